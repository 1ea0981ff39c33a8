/**
 * zfs rollback: what must go before, and how a refusal is worded (cmd/zfs/zfs_main.c, zfs_do_rollback; lib/libzfs, zfs_rollback; texts recorded on OpenZFS 2.1).
 *
 * A filesystem is taken back to its newest snapshot, mounted or not. With `recursive` (-r) newer snapshots go before, with `clones` (-R) what was made of them too.
 */
import { findDataset, opened, suspended } from "./commands.ts";
import { dependentsOf, destroyAll, firstInUse } from "./destroy.ts";
import type { Dataset } from "./dsl.ts";
import { underMount } from "./mount.ts";
import { rollback } from "./operations.ts";
import type { Pool } from "./pool.ts";

export interface RollbackOptions {
  readonly recursive?: boolean;
  readonly clones?: boolean;
  /** Unmounts a clone that is about to go; says what is wrong when it cannot be. Absent: nothing is. */
  readonly unmount?: (head: Dataset) => string | undefined;
}

export function zfsRollback(pool: Pool, path: string, options: RollbackOptions = {}): string | undefined {
  if (!path.includes("@")) return `cannot open '${path}': missing '@' delimiter in snapshot name`;
  const snapshot = opened(pool, path, findDataset(pool, path));
  if (typeof snapshot === "string") return snapshot;
  const { directory } = snapshot;
  // The newest first, as the tool goes back through them.
  const newer = directory.snapshots.filter(({ group }) => group > snapshot.group).reverse();
  const refused = newer.length > 0 ? makeNewest(pool, path, newer, options) : undefined;
  if (refused !== undefined) return refused;
  const failed = underMount(pool, directory.head, () => rollback(pool, directory.head));
  const doing = `cannot rollback '${directory.path}'`;
  return failed === undefined ? suspended(pool, doing) : (suspended(pool, doing) ?? `${doing}: I/O error`);
}

function list(paths: Iterable<Dataset>): string {
  return [...paths].map((one) => one.path).join("\n");
}

/** Takes the newer snapshots away. */
function makeNewest(pool: Pool, path: string, newer: readonly Dataset[], options: RollbackOptions): string | undefined {
  const doing = `cannot rollback to '${path}'`;
  if (options.recursive !== true && options.clones !== true)
    return `${doing}: more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n${list(newer)}`;
  const dependents = dependentsOf(newer);
  if (dependents.size > 0 && options.clones !== true)
    return `${doing}: clones of previous snapshots exist\nuse '-R' to force deletion of the following clones and dependents:\n${list(dependents)}`;
  for (const { isSnapshot, directory } of dependents) {
    const stays = isSnapshot ? undefined : options.unmount?.(directory.head);
    if (stays !== undefined) return stays;
  }
  for (const one of newer) dependents.add(one);
  const busy = firstInUse(dependents);
  return busy === undefined ? destroyAll(pool, dependents) : `cannot destroy '${busy.path}': dataset is busy`;
}
