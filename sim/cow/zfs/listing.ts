/**
 * What `zfs list`, `zfs get` and `zpool list` show (cmd/zfs/zfs_main.c, cmd/zpool/zpool_main.c): columns by name, in bytes (-p).
 */
import { findDataset } from "./commands.ts";
import { type Dataset, type Directory, sumBelow } from "./dsl.ts";
import type { Pool } from "./pool.ts";
import { niceBytes, niceNumber } from "./pool-status.ts";
import { isInheritable, isOfSnapshots, isReadOnly, isSettable, propertyOf } from "./properties.ts";

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

/** Short names of columns. */
const SHORT: Readonly<Record<string, string>> = {
  avail: "available",
  refer: "referenced",
  lused: "logicalused",
  lrefer: "logicalreferenced",
  usedsnap: "usedbysnapshots",
  usedds: "usedbydataset",
  usedchild: "usedbychildren",
};

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
      return isOfSnapshots(column) ? propertyOf(snapshot.directory, column, pool.profile).value : "-";
  }
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
    default:
      return isSettable(column) ? propertyOf(directory, column, pool.profile).value : "-";
  }
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

/** A dataset's value in a column. */
export function columnOf(pool: Pool, dataset: Dataset, name: string): string {
  const column = SHORT[name] ?? name;
  if (column.startsWith("written@")) return writtenSince(pool, dataset, column.slice("written@".length));
  switch (column) {
    case "name":
      return dataset.path;
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
    case "type":
      return dataset.isSnapshot ? "snapshot" : "filesystem";
    default:
      return dataset.isSnapshot ? snapshotValue(pool, dataset, column) : filesystemValue(pool, dataset.directory, column);
  }
}

/** Columns in bytes, which are told with a unit. */
const BYTES: ReadonlySet<string> = new Set([
  ...["used", "available", "referenced", "written", "logicalused", "logicalreferenced"],
  ...["usedbysnapshots", "usedbydataset", "usedbychildren", "usedbyrefreservation"],
]);

/** A value as it is told without -p: rounded (zfs_prop_get, zfs_nicebytes). */
export function roundedValue(name: string, value: string): string {
  const column = SHORT[name] ?? name;
  if (value === "-") return value;
  if (BYTES.has(column) || column.startsWith("written@")) return niceBytes(Number(value));
  if (!isInheritable(column)) return value === "0" ? "none" : niceBytes(Number(value));
  if (column === "recordsize") return niceNumber(Number(value));
  return column === "compressratio" || column === "refcompressratio" ? `${value}x` : value;
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
  readonly type: "filesystem" | "snapshot" | "all";
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
    if (type === "all" || (type === "snapshot") === dataset.isSnapshot || type === undefined) found.add(dataset);
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
  const column = SHORT[name] ?? name;
  return isReadOnly(column) || isSettable(column) || column.startsWith("written@");
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
function sourceOf({ profile }: Pool, { isSnapshot, directory }: Dataset, property: string, value: string): string {
  // What the tool computes for a name that it is given counts as set there.
  if (property.startsWith("written@")) return value === "-" ? "-" : "local";
  if (!isSettable(property) || value === "-") return "-";
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
