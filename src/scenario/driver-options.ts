/**
 * The options that a scenario can give a driver, as named data: what values each takes, and what it means to the driver.
 * Interface: what has no row here is refused, for a driver without options too.
 */
import type { DriverSettings, TreeCopyEngine } from "../drivers/driver.ts";
import { quoted } from "./problem.ts";
import type { DriverName } from "./schema.ts";
import { suggestion } from "./suggest.ts";

/** What a driver is started with. */
export interface DriverStart {
  /** `--storage-opt` of the daemon. */
  readonly options: readonly string[];
  readonly settings: DriverSettings;
}

/** The values by name, or what they look like and how that is called. */
type Values = readonly string[] | { readonly pattern: RegExp; readonly shown: string };
const SWITCH: Values = ["on", "off"];

/** The mount options of overlayfs that an experiment may set. */
const OVERLAY_OPTIONS: Readonly<Record<string, Values>> = {
  redirect_dir: ["on", "off", "follow", "nofollow"],
  metacopy: SWITCH,
  index: SWITCH,
  xino: ["on", "off", "auto"],
  nfs_export: SWITCH,
};

/** The mount options of aufs that an experiment may set. */
const AUFS_OPTIONS: Readonly<Record<string, Values>> = {
  diropq: ["whiteouted", "always"],
  plink: SWITCH,
  dirren: SWITCH,
  sum: SWITCH,
  shwh: SWITCH,
};

const SIZE: Values = { pattern: /^\d+(\.\d+)? ?([kmgt]i?)?b?$/i, shown: "SIZE" };
const YES_OR_NO: Values = ["true", "false"];

/** The dm.* options of the daemon that an experiment may set, without their "dm.". */
const DM_OPTIONS: Readonly<Record<string, Values>> = {
  fs: ["ext4", "xfs"],
  basesize: SIZE,
  blocksize: SIZE,
  loopdatasize: SIZE,
  loopmetadatasize: SIZE,
  blkdiscard: YES_OR_NO,
  mountopt: ["discard", "nodiscard"],
  min_free_space: { pattern: /^\d+%$/, shown: "PERCENT%" },
  use_deferred_removal: YES_OR_NO,
  use_deferred_deletion: YES_OR_NO,
};

/** The names of options that are the daemon's own; what has none here is an option of each mount. */
const STORAGE_NAMES: Readonly<Partial<Record<DriverName, (name: string) => string | undefined>>> = {
  btrfs: (name) => `btrfs.${name}`,
  devicemapper: (name) => `dm.${name}`,
  overlay2: (name) => (name === "size" ? "overlay2.size" : undefined),
  vfs: (name) => (name === "size" ? "size" : undefined),
};

const OPTIONS: Readonly<Record<DriverName, Readonly<Record<string, Values>>>> = {
  aufs: AUFS_OPTIONS,
  btrfs: { min_space: SIZE },
  devicemapper: DM_OPTIONS,
  overlay: {},
  overlay2: { ...OVERLAY_OPTIONS, size: SIZE },
  vfs: { copy: ["docker", "all"], size: SIZE },
  zfs: {},
};

/** The options of a driver, as `name=value|value`; empty for a driver that has none. */
export function optionWords(driver: DriverName): readonly string[] {
  return Object.entries(OPTIONS[driver]).map(
    ([name, values]) => `${name}=${"pattern" in values ? values.shown : values.join("|")}`,
  );
}

/** What is wrong with one option; undefined when nothing is. */
export function optionFault(driver: DriverName, name: string, value: string): string | undefined {
  const known = OPTIONS[driver];
  const values = Object.hasOwn(known, name) ? known[name] : undefined;
  if (values === undefined) return `the driver ${driver} has no option ${quoted(name)}${suggestion(name, Object.keys(known))}`;
  if ("pattern" in values) {
    return values.pattern.test(value) ? undefined : `${name} is ${values.shown}, not ${quoted(value)}`;
  }
  return values.includes(value) ? undefined : `${name} is ${values.join(" or ")}, not ${quoted(value)}`;
}

/** How options of mounts are written where it is not `name=value`. */
const MOUNT_WORDS: Readonly<Partial<Record<DriverName, (name: string, value: string) => string>>> = {
  // "dirren" or "nodirren", "diropq=always".
  aufs: (name, value) => (AUFS_OPTIONS[name] === SWITCH ? `${value === "on" ? "" : "no"}${name}` : `${name}=${value}`),
};

/** What the options mean to the driver. */
export function startOf(driver: DriverName, options: Readonly<Record<string, string>>): DriverStart {
  const storage: string[] = [];
  const mount: string[] = [];
  let settings: DriverSettings = {};
  for (const [name, value] of Object.entries(options)) {
    const ofDaemon = STORAGE_NAMES[driver]?.(name);
    if (ofDaemon !== undefined) storage.push(`${ofDaemon}=${value}`);
    else if (name === "copy") settings = { treeCopy: value as TreeCopyEngine };
    else mount.push(MOUNT_WORDS[driver]?.(name, value) ?? `${name}=${value}`);
  }
  return { options: storage, settings: mount.length === 0 ? settings : { ...settings, moreMountOptions: mount.join(",") } };
}
