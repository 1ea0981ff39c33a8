/**
 * What `zfs list`, `zfs get` and `zpool list` tell (cmd/zfs/zfs_main.c, cmd/zpool/zpool_main.c): which datasets, and their values by columns, in bytes.
 */
import { findDataset } from "./commands.ts";
import { type Dataset, type Directory, sumBelow } from "./dsl.ts";
import type { Pool } from "./pool.ts";
import { isOf, isUserProperty, propertyOf } from "./properties.ts";
import { findProperty, NO_COUNT, PROPERTIES } from "./property-table.ts";

/** The columns of `zfs list` without -o. */
const LIST_COLUMNS: readonly string[] = ["name", "used", "available", "referenced", "mountpoint"];
/** Those of `zfs list -o space`. */
const SPACE_COLUMNS: readonly string[] = [
  "name",
  "available",
  "used",
  "usedbysnapshots",
  "usedbydataset",
  "usedbyrefreservation",
  "usedbychildren",
];

/** A directory's bytes before compression (what logicalused shows) or after it: at the top with the pool's own tables. */
function bytesOf(pool: Pool, directory: Directory, kind: "logical" | "physical"): number {
  return sumBelow(directory, kind) + (directory === pool.root ? pool.meta.logical : 0);
}

function snapshotValue(pool: Pool, snapshot: Dataset, column: string): string {
  switch (column) {
    case "used":
      return String(snapshot.unique);
    case "written":
      return String(writtenBefore(snapshot));
    case "defer_destroy":
      return snapshot.deferred ? "on" : "off";
    case "userrefs":
      return String(snapshot.holds.length);
    case "clones":
      return [...snapshot.clones].map(({ directory }) => directory.path).join(",") || "-";
    case "compressratio":
      return ratio(snapshot.logical, snapshot.physical);
    default:
      return ownProperty(snapshot, column) ?? propertyOf(snapshot.directory, column, pool.profile).value;
  }
}

/** What somebody has set on a snapshot itself. */
function ownProperty({ properties }: Dataset, name: string): string | undefined {
  return properties.find(([has]) => has === name)?.[1];
}

/** Bytes that a snapshot has more than the one before it: what was written between them. */
function writtenBefore(snapshot: Dataset): number {
  const { previous } = snapshot;
  if (previous === undefined) return snapshot.referenced;
  return snapshot.referenced - previous.referenced + snapshot.deadList.space().used;
}

function filesystemValue(pool: Pool, directory: Directory, column: string): string {
  const { usage, head, origin } = directory;
  switch (column) {
    case "used":
      return String(directory.used);
    case "available":
      return String(pool.available(directory));
    case "usedbysnapshots":
      return String(usage.snapshots);
    case "usedbydataset":
      return String(usage.head);
    case "usedbychildren":
      return String(usage.children);
    case "usedbyrefreservation":
      return String(usage.promised);
    case "written":
      return String(head.written);
    case "logicalused":
      return String(bytesOf(pool, directory, "logical"));
    case "origin":
      return origin?.path ?? "-";
    case "mounted":
      return head.mounts > 0 ? "yes" : "no";
    case "compressratio":
      return ratio(bytesOf(pool, directory, "logical"), bytesOf(pool, directory, "physical"));
    case "filesystem_count":
      return isCounted(directory) ? String([...directory.below()].length - 1) : NO_COUNT;
    case "snapshot_count":
      return isCounted(directory) ? String([...directory.below()].reduce((sum, { named }) => sum + named.size, 0)) : NO_COUNT;
    default:
      return propertyOf(directory, column, pool.profile).value;
  }
}

/** Whether what is below a directory is counted: as soon as it has a limit, or one above (dsl_dir_activate_fs_ss_limit). */
function isCounted(directory: Directory): boolean {
  for (let at: Directory | undefined = directory; at !== undefined; at = at.parent)
    if (at.properties.has("filesystem_limit") || at.properties.has("snapshot_limit")) return true;
  return false;
}

/** Hundredths, cut off; of nothing 1.00 (dsl_get_refratio, dsl_dir_get_compressratio, ddt_get_pool_dedup_ratio). */
function ratio(before: number, after: number): string {
  return (after === 0 ? 1 : Math.floor((before * 100) / after) / 100).toFixed(2);
}

/**
 * written@SNAPSHOT: what a dataset has more than an earlier snapshot of its own line had: what was written since then and is there still
 * (dsl_dataset_space_written). "-" for a snapshot that is not one of them.
 */
function writtenSince(pool: Pool, dataset: Dataset, wanted: string): string {
  const since = findDataset(pool, wanted.includes("@") ? wanted : `${dataset.directory.path}@${wanted}`);
  let sum = dataset.referenced;
  for (let at: Dataset | undefined = dataset; at !== undefined && since !== undefined; at = at.previous) {
    if (at === since) return String(sum - since.referenced);
    // What the snapshot had and was let go since: it was referred to then, and is not now.
    sum += at.deadList.space().used - at.deadList.space(since.group).used;
  }
  return "-";
}

/** A dataset's value in a column, by a property's name or its heading; "-" where it has none. */
export function columnOf(pool: Pool, dataset: Dataset, name: string): string {
  if (name === "name") return dataset.path;
  if (name.startsWith("written@")) return writtenSince(pool, dataset, name.slice("written@".length));
  const column = findProperty(name)?.name ?? name;
  if (!isOf(column, dataset.isSnapshot ? "s" : "f")) return "-";
  switch (column) {
    case "referenced":
      return String(dataset.referenced);
    case "logicalreferenced":
      return String(dataset.logical);
    case "refcompressratio":
      return ratio(dataset.logical, dataset.physical);
    case "creation":
      return String(dataset.created);
    case "createtxg":
      return String(dataset.group);
    case "guid":
      return String(pool.guid + dataset.id);
    case "objsetid":
      return String(dataset.id);
    case "type":
      return dataset.isSnapshot ? "snapshot" : "filesystem";
    default:
      return dataset.isSnapshot ? snapshotValue(pool, dataset, column) : filesystemValue(pool, dataset.directory, column);
  }
}

export interface ListOptions extends Partial<Selection> {
  /** "space" stands for those of the space that a dataset takes. */
  readonly columns?: readonly string[];
}

/** Which datasets a command is about (cmd/zfs/zfs_iter.c, zfs_for_each). */
export interface Selection {
  /** Default: all of the pool. */
  readonly names: readonly string[];
  /** Default: filesystems, and snapshots that are named. */
  readonly type: "filesystem" | "snapshot" | "all" | "none";
  /** How far below the names; default: not at all. */
  readonly depth: number;
  /** By which columns they are sorted; then by name, a filesystem's snapshots behind it, the oldest first. */
  readonly order: readonly { readonly column: string; readonly isReverse: boolean }[];
}

/** The datasets that are selected, and what is wrong with names that lead to none. */
export function selectDatasets(pool: Pool, of: Partial<Selection>): { found: Dataset[]; wrong: string[] } {
  const { names = [], type, order = [] } = of;
  // Of a filesystem whose snapshots are asked for, they are meant.
  const depth =
    names.length === 0 ? Number.POSITIVE_INFINITY : of.depth === undefined && type === "snapshot" ? 1 : (of.depth ?? 0);
  const found = new Set<Dataset>();
  const wrong: string[] = [];
  const visit = (dataset: Dataset, left: number): void => {
    if (type === "all" || type === undefined || type === (dataset.isSnapshot ? "snapshot" : "filesystem")) found.add(dataset);
    if (left <= 0 || dataset.isSnapshot) return;
    const { snapshots, children } = dataset.directory;
    if (type === "snapshot" || type === "all") for (const snapshot of snapshots) found.add(snapshot);
    for (const child of children.values()) visit(child.head, left - 1);
  };
  for (const name of names.length === 0 ? [pool.name] : names) {
    const dataset = findDataset(pool, name);
    if (type === "filesystem" && name.includes("@"))
      wrong.push(`cannot open '${name}': snapshot delimiter '@' is not expected here`);
    else if (dataset === undefined) wrong.push(`cannot open '${name}': dataset does not exist`);
    else visit(dataset, depth);
  }
  const compare = (one: Dataset, other: Dataset): number => {
    for (const { column, isReverse } of order) {
      const sign = compareValues(columnOf(pool, one, column), columnOf(pool, other, column), isReverse);
      if (sign !== 0) return sign;
    }
    return compareNames(one, other);
  };
  return { found: [...found].sort(compare), wrong };
}

const NUMBER = /^\d+(?:\.\d+)?$/;

/** Numbers as such; what has no value comes last (zfs_sort). */
function compareValues(one: string, other: string, isReverse: boolean): number {
  if (one === other) return 0;
  if (one === "-" || other === "-") return one === "-" ? 1 : -1;
  const isLess = NUMBER.test(one) && NUMBER.test(other) ? Number(one) < Number(other) : one < other;
  return isLess === isReverse ? 1 : -1;
}

/** By the filesystem's name; its snapshots behind it, by age (zfs_compare). */
function compareNames(one: Dataset, other: Dataset): number {
  if (one.directory === other.directory) return Number(one.isSnapshot) - Number(other.isSnapshot) || one.group - other.group;
  return one.directory.path < other.directory.path ? -1 : 1;
}

/** Whether datasets have such a column. */
export function isColumn(name: string): boolean {
  return name === "name" || findProperty(name) !== undefined || isUserProperty(name) || name.startsWith("written@");
}

/** The properties that `zfs get all` tells of a dataset: those that it has, and behind them those that somebody made up. */
export function allProperties(pool: Pool, dataset: Dataset): string[] {
  const native = [...PROPERTIES.keys()].filter((name) => columnOf(pool, dataset, name) !== "-");
  const made = new Set<string>(dataset.properties.map(([name]) => name));
  for (let at: Directory | undefined = dataset.directory; at !== undefined; at = at.parent)
    for (const name of at.properties.keys()) if (isUserProperty(name)) made.add(name);
  return [...native, ...[...made].sort()];
}

/** Columns by the words behind -o. */
export function listColumns(words: readonly string[] = LIST_COLUMNS): readonly string[] {
  return words.flatMap((word) => (word === "space" ? SPACE_COLUMNS : [word]));
}

/** zfs list -Hp: one row a dataset. */
export function zfsList(pool: Pool, options: ListOptions = {}): string[][] {
  const columns = listColumns(options.columns);
  return selectDatasets(pool, options).found.map((dataset) => columns.map((column) => columnOf(pool, dataset, column)));
}

/** zfs get -Hp: name, property, value and source of each. @returns undefined when there is no such dataset. */
export function zfsGet(pool: Pool, properties: readonly string[], path: string): string[][] | undefined {
  const dataset = findDataset(pool, path);
  return dataset === undefined ? undefined : propertiesOf(pool, dataset, properties);
}

export function propertiesOf(pool: Pool, dataset: Dataset, properties: readonly string[]): string[][] {
  return properties.map((property) => {
    const value = columnOf(pool, dataset, property);
    return [dataset.path, property, value, sourceOf(pool, dataset, property, value)];
  });
}

/** Where a value comes from. */
function sourceOf({ profile }: Pool, dataset: Dataset, property: string, value: string): string {
  const { isSnapshot, directory } = dataset;
  // What the tool computes for a name that it is given counts as set there.
  if (property.startsWith("written@")) return value === "-" ? "-" : "local";
  if (value === "-") return "-";
  if (isSnapshot && ownProperty(dataset, property) !== undefined) return "local";
  // What is counted below is counted for a limit.
  if (property === "filesystem_count" || property === "snapshot_count") return value === NO_COUNT ? "default" : "local";
  const { source } = propertyOf(directory, property, profile);
  return isSnapshot && source === "local" ? `inherited from ${directory.path}` : source;
}

/** What `zpool list -Hp` shows, and the pool's state. */
export interface PoolFigures {
  readonly name: string;
  readonly size: number;
  readonly allocated: number;
  readonly free: number;
  /** Percent. */
  readonly capacity: number;
  /** How many times deduplicated blocks are used, on average. */
  readonly dedupRatio: string;
  readonly health: "ONLINE" | "DEGRADED" | "SUSPENDED";
}

export function zpoolList(pool: Pool): PoolFigures {
  const { capacity: size, allocated } = pool.store.space;
  let stored = 0;
  let used = 0;
  for (const { references, dvas } of pool.store.dedupTable.values()) {
    const bytes = dvas.reduce((sum, dva) => sum + dva.size, 0);
    stored += bytes;
    used += bytes * references;
  }
  const isDegraded = pool.store.tops.some(({ sides }) => sides.some(({ state }) => state !== "ONLINE"));
  return {
    name: pool.name,
    size,
    allocated,
    free: size - allocated,
    capacity: Math.floor((allocated * 100) / size),
    dedupRatio: stored === 0 ? "1.00" : ratio(used, stored),
    health: pool.failure !== undefined ? "SUSPENDED" : isDegraded ? "DEGRADED" : "ONLINE",
  };
}
