/**
 * What differs between versions of Docker's storage drivers, as data (spec/drivers.md 11: read from moby's tags).
 *
 * Interface: the drivers are written after 20.10; a field says where another version does otherwise, and the driver asks it.
 */

/** How a daemon chooses where it is not told which driver (graphdriver.New). */
interface ChoiceRules {
  /** Whether a deprecated driver may be taken, by the list or for what it has kept; else only by its name. */
  readonly takesDeprecated: boolean;
  /** What is said of several drivers that have kept something, behind their names. */
  readonly several: string;
  /** What is said where none works. */
  readonly none: string;
}

export interface DockerProfile {
  /** Such as "20.10". */
  readonly version: string;
  /** The order in which the daemon tries drivers when none is asked for. */
  readonly priority: readonly string[];
  readonly choice: ChoiceRules;
  /** Drivers that this version has no more. */
  readonly gone: readonly string[];
  /**
   * How overlay2 finds what a container changed: before 18.06 by its upper folder alone, where an opaque directory counts as a deleted one
   * (moby#37880: on Linux 4.10 to 5.15 every new one is opaque); since then by comparing the two mounted trees.
   */
  readonly overlayChanges: "upper" | "trees";
  /** Whether overlay2, where upper folders tell no differences, takes a layer in through its mount too; before, always straight into the folder. */
  readonly naiveApplyDiff: boolean;
  /** Whether overlay2 mounts with index=off where the kernel knows it: since 18.09. */
  readonly indexOff: boolean;
  /** Whether dm.use_deferred_removal and dm.use_deferred_deletion are on by default: since 17.07. */
  readonly deferred: boolean;
  /** Whether the vfs driver limits containers by project quotas: since 17.12. */
  readonly vfsQuota: boolean;
  /** Permission bits of a driver's home and of the folders in it that hold layers: 0700 before 20.10.9 (CVE-2021-41091), devicemapper's always. */
  readonly folderMode: number;
  /** Whether overlay and overlay2 refuse a new home where directory entries tell no type: since 17.12; before, Docker only warns. */
  readonly needsTypes: boolean;
  /** Whether overlay2 marks a layer that became a parent, and mounts it read-only: since 19.03. */
  readonly marksCommitted: boolean;
  /** The labels of overlay2's rows in docker info, in their order. */
  readonly overlay2Rows: readonly Overlay2Row[];
  /** Whether docker info tells the versions of btrfs's build and library: before 23.0. */
  readonly btrfsVersions: boolean;
}

/** "userxattr": since 20.10.6; "Using metacopy": since 23.0. */
export type Overlay2Row = "Backing Filesystem" | "Supports d_type" | "Using metacopy" | "Native Overlay Diff" | "userxattr";

/** The version that everything is written after. */
export const DOCKER_20_10: DockerProfile = {
  version: "20.10",
  priority: ["btrfs", "zfs", "overlay2", "fuse-overlayfs", "aufs", "overlay", "devicemapper", "vfs"],
  choice: {
    takesDeprecated: true,
    several: "Please cleanup or explicitly choose storage driver (-s <DRIVER>)",
    none: "No supported storage backend found",
  },
  gone: [],
  overlayChanges: "trees",
  naiveApplyDiff: true,
  indexOff: true,
  deferred: true,
  vfsQuota: true,
  folderMode: 0o710,
  needsTypes: true,
  marksCommitted: true,
  overlay2Rows: ["Backing Filesystem", "Supports d_type", "Native Overlay Diff", "userxattr"],
  btrfsVersions: true,
};

const DOCKER_18_09: DockerProfile = {
  ...DOCKER_20_10,
  version: "18.09",
  naiveApplyDiff: false,
  priority: ["btrfs", "zfs", "overlay2", "aufs", "overlay", "devicemapper", "vfs"],
  folderMode: 0o700,
  marksCommitted: false,
  overlay2Rows: ["Backing Filesystem", "Supports d_type", "Native Overlay Diff"],
};

const DOCKER_17_06: DockerProfile = {
  ...DOCKER_18_09,
  version: "17.06",
  priority: ["aufs", "btrfs", "zfs", "overlay2", "overlay", "devicemapper", "vfs"],
  overlayChanges: "upper",
  indexOff: false,
  deferred: false,
  vfsQuota: false,
  needsTypes: false,
};

const DOCKER_24_0: DockerProfile = {
  ...DOCKER_20_10,
  version: "24.0",
  priority: ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "devicemapper", "vfs"],
  choice: {
    takesDeprecated: false,
    several: "cleanup or explicitly choose storage driver (-s <DRIVER>)",
    none: "no supported storage driver found",
  },
  gone: ["aufs", "overlay"],
  overlay2Rows: ["Backing Filesystem", "Supports d_type", "Using metacopy", "Native Overlay Diff", "userxattr"],
  btrfsVersions: false,
};

const DOCKER_29: DockerProfile = {
  ...DOCKER_24_0,
  version: "29",
  priority: ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs"],
  gone: ["aufs", "overlay", "devicemapper"],
};

/** By version. */
export const DOCKER_PROFILES: ReadonlyMap<string, DockerProfile> = new Map(
  [DOCKER_17_06, DOCKER_18_09, DOCKER_20_10, DOCKER_24_0, DOCKER_29].map((profile) => [profile.version, profile]),
);

/** Whose drivers they are. @param settings - of a driver; without a word of it: 20.10 */
export function dockerOf({ docker = DOCKER_20_10 }: { readonly docker?: DockerProfile }): DockerProfile {
  return docker;
}
