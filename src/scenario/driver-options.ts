/**
 * The options that a scenario can give a driver, as named data: what values each takes, and what it means to the driver.
 * Interface: a driver that has no row here takes any option, since nothing is known of it yet.
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

/** The mount options of aufs that an experiment may set; of those that are on or off, aufs has a word for either. */
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

const OPTIONS: Readonly<Partial<Record<DriverName, Readonly<Record<string, Values>>>>> = {
  aufs: AUFS_OPTIONS,
  devicemapper: DM_OPTIONS,
  overlay2: OVERLAY_OPTIONS,
  vfs: { copy: ["docker", "all"] },
};

/** The options of a driver, as `name=value|value`; empty for a driver that has none or is not there yet. */
export function optionWords(driver: DriverName): readonly string[] {
  return Object.entries(OPTIONS[driver] ?? {}).map(
    ([name, values]) => `${name}=${"pattern" in values ? values.shown : values.join("|")}`,
  );
}

/** What is wrong with one option; undefined when nothing is. */
export function optionFault(driver: DriverName, name: string, value: string): string | undefined {
  const known = OPTIONS[driver];
  if (known === undefined) return undefined;
  const values = Object.hasOwn(known, name) ? known[name] : undefined;
  if (values === undefined) return `the driver ${driver} has no option ${quoted(name)}${suggestion(name, Object.keys(known))}`;
  if ("pattern" in values) {
    return values.pattern.test(value) ? undefined : `${name} is ${values.shown}, not ${quoted(value)}`;
  }
  return values.includes(value) ? undefined : `${name} is ${values.join(" or ")}, not ${quoted(value)}`;
}

/** Docker mounts with index=off unless the scenario says otherwise. */
function mountOptions(options: Readonly<Record<string, string>>): string {
  const all = { index: "off", ...options };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

/** "dirren" or "nodirren", "diropq=always". */
function aufsWords(options: Readonly<Record<string, string>>): string {
  const word = (name: string, value: string): string =>
    AUFS_OPTIONS[name] === SWITCH ? `${value === "on" ? "" : "no"}${name}` : `${name}=${value}`;
  return Object.entries(options)
    .map(([name, value]) => word(name, value))
    .join(",");
}

/** What the options mean to the driver. */
export function startOf(driver: DriverName, options: Readonly<Record<string, string>>): DriverStart {
  if (Object.keys(options).length === 0) return { options: [], settings: {} };
  if (OPTIONS[driver] === DM_OPTIONS) {
    return { options: Object.entries(options).map(([name, value]) => `dm.${name}=${value}`), settings: {} };
  }
  if (OPTIONS[driver] === AUFS_OPTIONS) return { options: [], settings: { mountOptions: aufsWords(options) } };
  const { copy, ...others } = options;
  const treeCopy = copy === undefined ? {} : { treeCopy: copy as TreeCopyEngine };
  return { options: [], settings: OPTIONS[driver] === OVERLAY_OPTIONS ? { mountOptions: mountOptions(others) } : treeCopy };
}
