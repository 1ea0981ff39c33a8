/**
 * Properties of pools, in the order in which zpool(8) shows them (module/zcommon/zpool_prop.c; zfeature_common.c; OpenZFS 2.1.11), and their values.
 */
import { niceBytes } from "./amounts.ts";
import { findDataset } from "./commands.ts";
import { zpoolList } from "./listing.ts";
import type { Pool } from "./pool.ts";
import { withSetting } from "./pool-notes.ts";

export interface PoolProperty {
  readonly name: string;
  readonly heading: string;
  readonly kind: "number" | "choice" | "text";
  /** What may be set, in the tool's words; absent: nobody sets it. */
  readonly values?: string;
  /** What stands where nobody has set it; absent: what the pool tells. */
  readonly initial?: string;
}

const toggle = (name: string, heading: string, initial: "on" | "off"): PoolProperty => ({
  ...{ name, heading, initial },
  kind: "choice",
  values: "on | off",
});
const told = (name: string, heading: string): PoolProperty => ({ name, heading, kind: "number" });

const ALL: readonly PoolProperty[] = [
  told("size", "SIZE"),
  told("capacity", "CAP"),
  { name: "altroot", heading: "ALTROOT", kind: "text", initial: "-" },
  told("health", "HEALTH"),
  told("guid", "GUID"),
  { name: "version", heading: "VERSION", kind: "number", initial: "-", values: "<version>" },
  { name: "bootfs", heading: "BOOTFS", kind: "text", initial: "-", values: "<filesystem>" },
  toggle("delegation", "DELEGATION", "on"),
  toggle("autoreplace", "REPLACE", "off"),
  { name: "cachefile", heading: "CACHEFILE", kind: "text", initial: "-", values: "<file> | none" },
  { name: "failmode", heading: "FAILMODE", kind: "choice", initial: "wait", values: "wait | continue | panic" },
  toggle("listsnapshots", "LISTSNAPS", "off"),
  toggle("autoexpand", "EXPAND", "off"),
  told("dedupratio", "DEDUP"),
  told("free", "FREE"),
  told("allocated", "ALLOC"),
  { name: "readonly", heading: "RDONLY", kind: "choice" },
  { name: "ashift", heading: "ASHIFT", kind: "number", initial: "0", values: "<ashift, 9-16, or 0=default>" },
  { name: "comment", heading: "COMMENT", kind: "text", initial: "-", values: "<comment-string>" },
  told("expandsize", "EXPANDSZ"),
  told("freeing", "FREEING"),
  told("fragmentation", "FRAG"),
  told("leaked", "LEAKED"),
  toggle("multihost", "MULTIHOST", "off"),
  told("checkpoint", "CKPOINT"),
  told("load_guid", "LOAD_GUID"),
  toggle("autotrim", "AUTOTRIM", "off"),
  { name: "compatibility", heading: "COMPATIBILITY", kind: "text", initial: "off", values: "<file[,file...]> | off | legacy" },
];

/** Properties by name, in their order. */
const POOL_PROPERTIES: ReadonlyMap<string, PoolProperty> = new Map(ALL.map((property) => [property.name, property]));
const BY_HEADING: ReadonlyMap<string, PoolProperty> = new Map(ALL.map((property) => [property.heading.toLowerCase(), property]));

/** Features of pools since version 5000, and those that every filesystem has at work from the beginning. */
const FEATURES: readonly string[] = [
  ...["async_destroy", "empty_bpobj", "lz4_compress", "multi_vdev_crash_dump", "spacemap_histogram", "enabled_txg"],
  ...["hole_birth", "extensible_dataset", "embedded_data", "bookmarks", "filesystem_limits", "large_blocks"],
  ...["large_dnode", "sha512", "skein", "edonr", "userobj_accounting", "encryption", "project_quota", "device_removal"],
  ...["obsolete_counts", "zpool_checkpoint", "spacemap_v2", "allocation_classes", "resilver_defer", "bookmark_v2"],
  ...["redaction_bookmarks", "redacted_datasets", "bookmark_written", "log_spacemap", "livelist", "device_rebuild"],
  ...["zstd_compress", "draid"],
];
const ALWAYS_ACTIVE: ReadonlySet<string> = new Set([
  ...["lz4_compress", "spacemap_histogram", "enabled_txg", "hole_birth", "extensible_dataset", "embedded_data"],
  ...["userobj_accounting", "project_quota", "spacemap_v2", "log_spacemap"],
]);
/** Features that are at work as soon as a filesystem has a property so. */
const ACTIVE_WITH: Readonly<Record<string, (property: string, value: string) => boolean>> = {
  filesystem_limits: (property) => property === "filesystem_limit" || property === "snapshot_limit",
  large_blocks: (property, value) => property === "recordsize" && Number(value) > 2 ** 17,
  large_dnode: (property, value) => property === "dnodesize" && value !== "legacy",
  zstd_compress: (property, value) => property === "compression" && value.startsWith("zstd"),
};

/** A property by its name, or by what is above its column. */
export function findPoolProperty(word: string): PoolProperty | undefined {
  return POOL_PROPERTIES.get(word) ?? BY_HEADING.get(word);
}

/** What `zpool get all` tells: properties, and features where the pool has any. */
export function poolProperties({ profile }: Pool): string[] {
  return [...POOL_PROPERTIES.keys(), ...(profile.embedded ? FEATURES.map((name) => `feature@${name}`) : [])];
}

function featureValue(pool: Pool, name: string): string | undefined {
  if (!pool.profile.embedded || !FEATURES.includes(name)) return undefined;
  const isAtWork = ACTIVE_WITH[name];
  const isUsed = [...pool.root.below()].some(({ properties, origin, head }) => {
    if (name === "livelist") return origin !== undefined && head.liveBytes >= 0;
    return isAtWork !== undefined && [...properties].some(([property, value]) => isAtWork(property, value));
  });
  return ALWAYS_ACTIVE.has(name) || isUsed ? "active" : "enabled";
}

/** A pool's value, in bytes, and where it comes from; undefined for what it does not have. */
export function poolValue(pool: Pool, name: string): { value: string; source: string } | undefined {
  if (name.startsWith("feature@")) {
    const value = featureValue(pool, name.slice("feature@".length));
    return value === undefined ? undefined : { value, source: "local" };
  }
  const property = findPoolProperty(name);
  const set = pool.meta.notes.settings.find(([one]) => one === property?.name)?.[1];
  if (set !== undefined) return { value: set, source: "local" };
  if (property?.initial !== undefined) return { value: property.initial, source: "default" };
  return { value: toldValue(pool, property?.name ?? name), source: "-" };
}

/** What the pool tells of itself. No pool has a checkpoint. */
function toldValue(pool: Pool, name: string): string {
  const { size, allocated, free, capacity, dedupRatio, health } = zpoolList(pool);
  const values: Readonly<Record<string, string | number>> = {
    ...{ name: pool.name, size, allocated, free, capacity, health },
    ...(pool.profile.logsSpace ? { fragmentation: pool.store.space.fragmentation } : {}),
    ...{ dedupratio: dedupRatio, guid: pool.guid, load_guid: pool.guid + 1, readonly: "off", freeing: 0, leaked: 0 },
  };
  return String(values[name] ?? "-");
}

/** A value as it is told without -p. */
export function roundedPoolValue(name: string, value: string): string {
  const property = findPoolProperty(name)?.name;
  if (value === "-") return value;
  if (property === "size" || property === "allocated" || property === "free") return niceBytes(Number(value));
  if (property === "capacity" || property === "fragmentation") return `${value}%`;
  return property === "dedupratio" ? `${value}x` : value;
}

/** zpool set. @returns what it writes to standard error; undefined when it worked. */
export function zpoolSet(pool: Pool, name: string, value: string): string | undefined {
  const doing = `cannot set property for '${pool.name}'`;
  if (name.startsWith("feature@")) return featureFault(doing, name, value);
  const property = POOL_PROPERTIES.get(name);
  if (property === undefined) return `${doing}: invalid property '${name}'`;
  if (property.values === undefined) return `${doing}: '${name}' is readonly`;
  if (property.kind === "choice" && !property.values.split(" | ").includes(value))
    return `${doing}: '${name}' must be one of '${property.values}'`;
  const number = Number(value);
  if (name === "ashift" && value !== "0" && !(number >= 9 && number <= 16))
    return `${doing}: property '${name}' number ${value} is invalid, only values between 9 and 16 are allowed.`;
  if (name === "bootfs" && findDataset(pool, value) === undefined) return `${doing}: no such pool or dataset`;
  if (name === "version") return `${doing}: property '${name}' number ${value} is invalid.`;
  pool.meta.notes = withSetting(pool.meta.notes, name, value);
  return undefined;
}

function featureFault(doing: string, name: string, value: string): string | undefined {
  const feature = name.slice("feature@".length);
  if (!FEATURES.includes(feature)) return `${doing}: feature '${feature}' unsupported by kernel`;
  if (value === "enabled") return undefined;
  if (value === "disabled") return `${doing}: property '${name}' can only be set to 'disabled' at creation time`;
  return `${doing}: property '${name}' can only be set to 'enabled' or 'disabled'`;
}
