/**
 * zfs hold and zfs release: users who want a snapshot to stay (module/zfs/dsl_userhold.c; lib/libzfs, zfs_hold, zfs_release; texts recorded on OpenZFS 2.1).
 * A held snapshot cannot be destroyed, but deferred: then it goes with the last hold, and the last clone.
 */
import { findDataset, opened, suspended } from "./commands.ts";
import type { Dataset } from "./dsl.ts";
import { setHolds } from "./operations.ts";
import type { Pool } from "./pool.ts";

function snapshotOf(pool: Pool, path: string): Dataset | string {
  return opened(pool, path, path.includes("@") ? findDataset(pool, path) : undefined);
}

/** zfs hold TAG SNAPSHOT. */
export function zfsHold(pool: Pool, tag: string, path: string): string | undefined {
  const snapshot = snapshotOf(pool, path);
  if (typeof snapshot === "string") return snapshot;
  const doing = `cannot hold snapshot '${path}'`;
  if (snapshot.holds.includes(tag)) return `${doing}: tag already exists on this dataset`;
  setHolds(pool, snapshot, [...snapshot.holds, tag]);
  return suspended(pool, doing);
}

/** zfs release TAG SNAPSHOT. */
export function zfsRelease(pool: Pool, tag: string, path: string): string | undefined {
  const doing = `cannot release hold from snapshot '${path}'`;
  const snapshot = snapshotOf(pool, path);
  if (typeof snapshot === "string")
    return findDataset(pool, path.split("@", 1)[0] ?? "") ? `${doing}: dataset does not exist` : snapshot;
  if (!snapshot.holds.includes(tag)) return `${doing}: no such tag on this dataset`;
  setHolds(
    pool,
    snapshot,
    snapshot.holds.filter((one) => one !== tag),
  );
  return suspended(pool, doing);
}

/** zfs holds -H: a snapshot's name and a tag a row. */
export function zfsHolds(pool: Pool, path: string): string[][] | string {
  const snapshot = snapshotOf(pool, path);
  return typeof snapshot === "string" ? snapshot : snapshot.holds.map((tag) => [path, tag]);
}
