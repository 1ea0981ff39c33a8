/**
 * What `zfs list`, `zfs get` and `zpool list` show (cmd/zfs/zfs_main.c, cmd/zpool/zpool_main.c): columns by name, in bytes (-p).
 */
import { findDataset } from "./commands.ts";
import { type Dataset, type Directory, sumBelow } from "./dsl.ts";
import type { Pool } from "./pool.ts";
import { isSettable, propertyOf } from "./properties.ts";

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

function snapshotValue(snapshot: Dataset, column: string): string {
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
      return "-";
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
      return dataset.isSnapshot ? snapshotValue(dataset, column) : filesystemValue(pool, dataset.directory, column);
  }
}

export interface ListOptions {
  /** "space" stands for those of the space that a dataset takes. */
  readonly columns?: readonly string[];
  /** What to list; default filesystems. */
  readonly type?: "filesystem" | "snapshot" | "all";
  /** The filesystem at which the list begins; default the pool's own. */
  readonly top?: Directory;
}

/** Columns by the words behind -o. */
export function listColumns(words: readonly string[] = LIST_COLUMNS): readonly string[] {
  return words.flatMap((word) => (word === "space" ? SPACE_COLUMNS : [word]));
}

/** zfs list -Hp: one row a dataset, sorted by name, a filesystem's snapshots behind it. */
export function zfsList(pool: Pool, options: ListOptions = {}): string[][] {
  const type = options.type ?? "filesystem";
  const columns = listColumns(options.columns);
  const rows: string[][] = [];
  const add = (dataset: Dataset): void => {
    rows.push(columns.map((column) => columnOf(pool, dataset, column)));
  };
  for (const directory of (options.top ?? pool.root).below()) {
    if (type !== "snapshot") add(directory.head);
    if (type !== "filesystem") for (const snapshot of directory.snapshots) add(snapshot);
  }
  return rows;
}

/** zfs get -Hp: name, property, value and source of each. @returns undefined when there is no such dataset. */
export function zfsGet(pool: Pool, properties: readonly string[], path: string): string[][] | undefined {
  const dataset = findDataset(pool, path);
  if (dataset === undefined) return undefined;
  return properties.map((property) => {
    const source =
      isSettable(property) && !dataset.isSnapshot ? propertyOf(dataset.directory, property, pool.profile).source : "-";
    return [path, property, columnOf(pool, dataset, property), source];
  });
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
