/**
 * zfs hold and zfs release: users who want a snapshot to stay (module/zfs/dsl_userhold.c; lib/libzfs, zfs_hold, zfs_release; texts recorded on OpenZFS 2.1).
 * A held snapshot cannot be destroyed, but deferred: then it goes with the last hold, and the last clone.
 */
import { openSnapshot, suspended } from "./commands.ts";
import { setHolds } from "./operations.ts";
import type { Pool } from "./pool.ts";

/** zfs hold TAG SNAPSHOT. */
export function zfsHold(pool: Pool, tag: string, path: string): string | undefined {
  const doing = `cannot hold snapshot '${path}'`;
  const snapshot = openSnapshot(pool, path, `${doing}: dataset does not exist`);
  if (typeof snapshot === "string") return snapshot;
  if (snapshot.holds.includes(tag)) return `${doing}: tag already exists on this dataset`;
  setHolds(pool, snapshot, [...snapshot.holds, tag]);
  return suspended(pool, doing);
}

/** zfs release TAG SNAPSHOT. */
export function zfsRelease(pool: Pool, tag: string, path: string): string | undefined {
  const doing = `cannot release hold from snapshot '${path}'`;
  const snapshot = openSnapshot(pool, path, `${doing}: dataset does not exist`);
  if (typeof snapshot === "string") return snapshot;
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
  const snapshot = openSnapshot(pool, path, `cannot open '${path}': dataset does not exist`);
  return typeof snapshot === "string" ? snapshot : snapshot.holds.map((tag) => [path, tag]);
}
