/**
 * What differs between versions of Docker's storage drivers, as data (spec/drivers.md 11: read from moby's tags).
 *
 * Interface: the drivers are written after 20.10; a field says where another version does otherwise, and the driver asks it.
 */

export interface DockerProfile {
  /** Such as "20.10". */
  readonly version: string;
  /** The order in which the daemon tries drivers when none is asked for. */
  readonly priority: readonly string[];
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
}

/** The version that everything is written after. */
export const DOCKER_20_10: DockerProfile = {
  version: "20.10",
  priority: ["btrfs", "zfs", "overlay2", "fuse-overlayfs", "aufs", "overlay", "devicemapper", "vfs"],
  gone: [],
  overlayChanges: "trees",
  naiveApplyDiff: true,
  indexOff: true,
  deferred: true,
  vfsQuota: true,
};

const DOCKER_18_09: DockerProfile = {
  ...DOCKER_20_10,
  version: "18.09",
  naiveApplyDiff: false,
  priority: ["btrfs", "zfs", "overlay2", "aufs", "overlay", "devicemapper", "vfs"],
};

const DOCKER_17_06: DockerProfile = {
  ...DOCKER_18_09,
  version: "17.06",
  priority: ["aufs", "btrfs", "zfs", "overlay2", "overlay", "devicemapper", "vfs"],
  overlayChanges: "upper",
  indexOff: false,
  deferred: false,
  vfsQuota: false,
};

const DOCKER_24_0: DockerProfile = {
  ...DOCKER_20_10,
  version: "24.0",
  priority: ["overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs"],
  gone: ["aufs", "overlay"],
};

const DOCKER_29: DockerProfile = { ...DOCKER_24_0, version: "29", gone: ["aufs", "overlay", "devicemapper"] };

/** By version. */
export const DOCKER_PROFILES: ReadonlyMap<string, DockerProfile> = new Map(
  [DOCKER_17_06, DOCKER_18_09, DOCKER_20_10, DOCKER_24_0, DOCKER_29].map((profile) => [profile.version, profile]),
);
