/**
 * zfs hold and zfs release: users who want a snapshot to stay (module/zfs/dsl_userhold.c; lib/libzfs, zfs_hold, zfs_release; texts recorded on OpenZFS 2.1).
 * A held snapshot cannot be destroyed, but deferred: then it goes with the last hold, and the last clone.
 */
import { filesystemOf, findDirectory, opened, suspended } from "./commands.ts";
import type { Dataset, Directory } from "./dsl.ts";
import { setHolds } from "./operations.ts";
import type { Pool } from "./pool.ts";

interface HoldOptions {
  /** The snapshots of the same name below too (-r). */
  readonly recursive?: boolean;
}

/** The snapshots that a command is about, found by way of their filesystem, which is opened first; a text is what is wrong. */
function snapshotsAt(pool: Pool, path: string, { recursive }: HoldOptions): readonly Dataset[] | string {
  const failed = suspended(pool, `cannot open '${path}'`);
  if (failed !== undefined) return failed;
  const filesystem = filesystemOf(path);
  const directory: Directory | string = opened(pool, filesystem, findDirectory(pool, filesystem));
  if (typeof directory === "string") return directory;
  const name = path.slice(filesystem.length + 1);
  const found: Dataset[] = [];
  for (const { named } of recursive === true ? directory.below() : [directory]) {
    const snapshot = named.get(name);
    if (snapshot !== undefined) found.push(snapshot);
  }
  return found;
}

/** zfs hold TAG SNAPSHOT: all of them or none. */
export function zfsHold(pool: Pool, tag: string, path: string, options: HoldOptions = {}): string | undefined {
  const doing = (one: string): string => `cannot hold snapshot '${one}'`;
  const snapshots = snapshotsAt(pool, path, options);
  if (typeof snapshots === "string") return snapshots;
  if (snapshots.length === 0) return `${doing(path)}: dataset does not exist`;
  const held = snapshots.find(({ holds }) => holds.includes(tag));
  if (held !== undefined) return `${doing(held.path)}: tag already exists on this dataset`;
  setHolds(
    pool,
    snapshots.map((snapshot) => [snapshot, [...snapshot.holds, tag]]),
  );
  return suspended(pool, doing(path));
}

/** zfs release TAG SNAPSHOT: of those that have the tag. */
export function zfsRelease(pool: Pool, tag: string, path: string, options: HoldOptions = {}): string | undefined {
  const doing = `cannot release hold from snapshot '${path}'`;
  const snapshots = snapshotsAt(pool, path, options);
  if (typeof snapshots === "string") return snapshots;
  if (snapshots.length === 0) return `${doing}: dataset does not exist`;
  const held = snapshots.filter(({ holds }) => holds.includes(tag));
  // The filesystem that was looked into last tells why (zfs_release_one).
  const last = [...(findDirectory(pool, filesystemOf(path))?.below() ?? [])].at(-1);
  const isMissing = options.recursive === true && snapshots.at(-1)?.directory !== last;
  if (held.length === 0) return `${doing}: ${isMissing ? "dataset does not exist" : "no such tag on this dataset"}`;
  setHolds(
    pool,
    held.map((snapshot) => [snapshot, snapshot.holds.filter((one) => one !== tag)]),
  );
  return suspended(pool, doing);
}

/** zfs holds -H: a snapshot's name and a tag a row. */
export function zfsHolds(pool: Pool, path: string, options: HoldOptions = {}): string[][] | string {
  const snapshots = snapshotsAt(pool, path, options);
  if (typeof snapshots === "string") return snapshots;
  if (snapshots.length === 0) return `cannot open '${path}': dataset does not exist`;
  return snapshots.flatMap((snapshot) => snapshot.holds.map((tag) => [snapshot.path, tag]));
}
