/**
 * Properties of datasets: defaults, what children inherit, and how values are written (module/zcommon/zfs_prop.c).
 */
import type { Compression } from "./compress.ts";
import type { Directory } from "./dsl.ts";
import type { ZfsProfile } from "./profile.ts";

/** Properties that can be set, with their defaults; those that children do not inherit are in OWN. */
const DEFAULTS: Readonly<Record<string, string>> = {
  recordsize: "131072",
  compression: "",
  atime: "on",
  relatime: "off",
  xattr: "on",
  dedup: "off",
  checksum: "on",
  copies: "1",
  redundant_metadata: "all",
  dnodesize: "legacy",
  sync: "standard",
  logbias: "latency",
  readonly: "off",
  mountpoint: "",
  quota: "0",
  refquota: "0",
  reservation: "0",
  refreservation: "0",
};
const OWN: ReadonlySet<string> = new Set(["quota", "refquota", "reservation", "refreservation"]);
const READ_ONLY: ReadonlySet<string> = new Set([
  ...[
    "type",
    "creation",
    "createtxg",
    "used",
    "available",
    "referenced",
    "compressratio",
    "refcompressratio",
    "mounted",
    "origin",
  ],
  ...["usedbysnapshots", "usedbydataset", "usedbychildren", "usedbyrefreservation", "written", "clones", "defer_destroy"],
  ...["userrefs", "logicalused", "logicalreferenced", "name", "guid", "objsetid"],
]);
/** Properties in bytes. */
const SIZES: ReadonlySet<string> = new Set(["quota", "refquota", "reservation", "refreservation", "recordsize"]);
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  compression: ["on", "off", "lzjb", "zle", "lz4"],
  atime: ["on", "off"],
  relatime: ["on", "off"],
  xattr: ["on", "off", "sa", "dir"],
  dedup: ["on", "off", "verify", "sha256"],
  checksum: ["on", "off", "fletcher2", "fletcher4", "sha256"],
  copies: ["1", "2", "3"],
  redundant_metadata: ["all", "most"],
  dnodesize: ["legacy", "auto"],
  sync: ["standard", "always", "disabled"],
  logbias: ["latency", "throughput"],
  readonly: ["on", "off"],
};

const SIZE = /^(\d+(?:\.\d+)?)([kmgtpe]?)i?b?$/i;
const POWERS = "kmgtpe";

/** A size as zfs(8) takes it: "10M" is 10 × 2^20, "none" 0; undefined for anything else. */
function parseZfsSize(text: string): number | undefined {
  if (text === "none") return 0;
  const parts = SIZE.exec(text);
  if (parts === null) return undefined;
  const unit = (parts[2] as string).toLowerCase();
  return Math.floor(Number(parts[1]) * 1024 ** (unit === "" ? 0 : POWERS.indexOf(unit) + 1));
}

/** A property that an administrator makes up: a colon in it, small letters and digits (zfs_prop_user). */
const USER = /^[a-z0-9\-_.]*:[a-z0-9\-_.:]*$/;

/** Whether a name is that of a property that can be set. */
export function isSettable(name: string): boolean {
  return Object.hasOwn(DEFAULTS, name) || USER.test(name);
}

/** Whether snapshots show a property, their filesystem's. */
export function isOfSnapshots(name: string): boolean {
  return name === "xattr" || USER.test(name);
}

/** Whether a property can be shown and never set. */
export function isReadOnly(name: string): boolean {
  return READ_ONLY.has(name);
}

/** Whether children have what is set here. */
export function isInheritable(name: string): boolean {
  return !OWN.has(name);
}

/** The values of a property that has a list of them; those that OpenZFS has and the simulator has not are not among them. */
export function choicesOf(name: string): readonly string[] | undefined {
  return CHOICES[name];
}

/** A value as it is kept; undefined when it is none for this property. */
export function keptValue(name: string, value: string): string | undefined {
  if (SIZES.has(name)) {
    const size = parseZfsSize(value);
    if (size === undefined) return undefined;
    const isPowerOf2 = size > 0 && 2 ** Math.round(Math.log2(size)) === size;
    if (name === "recordsize" && !(isPowerOf2 && size >= 512 && size <= 2 ** 20)) return undefined;
    return String(size);
  }
  const choices = choicesOf(name);
  return choices === undefined || choices.includes(value) ? value : undefined;
}

/** Where a property is set: in the directory, or in the nearest above that it inherits from; undefined: nowhere. */
function setIn(directory: Directory, name: string): Directory | undefined {
  if (directory.properties.has(name) || OWN.has(name)) return directory;
  let at = directory.parent;
  while (at !== undefined && !at.properties.has(name)) at = at.parent;
  return at;
}

function defaultOf(directory: Directory, name: string, profile: ZfsProfile): string {
  if (name === "mountpoint") return `/${directory.path}`;
  return name === "compression" ? profile.defaultCompression : (DEFAULTS[name] ?? "-");
}

/** A property's value, and where it comes from, as `zfs get` tells. */
export function propertyOf(directory: Directory, name: string, profile: ZfsProfile): { value: string; source: string } {
  const at = setIn(directory, name);
  const value = at?.properties.get(name);
  if (at === undefined || value === undefined)
    return { value: defaultOf(directory, name, profile), source: USER.test(name) ? "-" : "default" };
  if (at === directory) return { value, source: "local" };
  const inherited = name === "mountpoint" && value !== "legacy" && value !== "none";
  const rest = directory.path.slice(at.path.length);
  return { value: inherited ? `${value}${rest}` : value, source: `inherited from ${at.path}` };
}

/** A property's value alone, of any but "mountpoint": what each block that is written asks for. */
export function settingOf(directory: Directory, name: string, profile: ZfsProfile): string {
  return setIn(directory, name)?.properties.get(name) ?? defaultOf(directory, name, profile);
}

/** How many copies of a data block are written. */
export function copiesOf(directory: Directory, profile: ZfsProfile): number {
  return Number(settingOf(directory, "copies", profile));
}

/** How data blocks are compressed: what "on" stands for, too. */
export function compressionOf(directory: Directory, profile: ZfsProfile): Compression {
  const compression = settingOf(directory, "compression", profile);
  return compression === "on" ? profile.onCompression : (compression as Compression);
}
