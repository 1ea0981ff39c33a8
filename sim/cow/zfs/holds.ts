/**
 * zfs hold and zfs release: users who want a snapshot to stay (module/zfs/dsl_userhold.c; lib/libzfs, zfs_hold, zfs_release; texts recorded on OpenZFS 2.1).
 * A held snapshot cannot be destroyed, but deferred: then it goes with the last hold, and the last clone.
 */
import { findDataset, openSnapshot, suspended } from "./commands.ts";
import type { Dataset } from "./dsl.ts";
import { setHolds } from "./operations.ts";
import type { Pool } from "./pool.ts";

/** The snapshot that a hold is of: only that its filesystem is missing is told of the name (zfs_do_hold_rele_impl). */
function heldSnapshot(pool: Pool, path: string, doing: string): Dataset | string {
  const snapshot = openSnapshot(pool, path);
  if (typeof snapshot !== "string" || findDataset(pool, path.split("@", 1)[0] ?? "") === undefined) return snapshot;
  return suspended(pool, `cannot open '${path}'`) ?? `${doing}: dataset does not exist`;
}

/** zfs hold TAG SNAPSHOT. */
export function zfsHold(pool: Pool, tag: string, path: string): string | undefined {
  const doing = `cannot hold snapshot '${path}'`;
  const snapshot = heldSnapshot(pool, path, doing);
  if (typeof snapshot === "string") return snapshot;
  if (snapshot.holds.includes(tag)) return `${doing}: tag already exists on this dataset`;
  setHolds(pool, snapshot, [...snapshot.holds, tag]);
  return suspended(pool, doing);
}

/** zfs release TAG SNAPSHOT. */
export function zfsRelease(pool: Pool, tag: string, path: string): string | undefined {
  const doing = `cannot release hold from snapshot '${path}'`;
  const snapshot = heldSnapshot(pool, path, doing);
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
  const snapshot = openSnapshot(pool, path);
  return typeof snapshot === "string" ? snapshot : snapshot.holds.map((tag) => [path, tag]);
}
