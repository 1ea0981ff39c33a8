/**
 * zfs promote: a clone and the filesystem that it came from change sides (module/zfs/dsl_dataset.c: dsl_dataset_promote_check, dsl_dataset_promote_sync).
 *
 * Interface: no block moves. The snapshots up to the clone's origin get another directory, and each side's sums follow from its dead lists.
 */
import type { Space } from "./dead-list.ts";
import { addUsage, canTransfer, type Dataset, type Directory, settlePromise } from "./dsl.ts";
import type { Pool } from "./pool.ts";

/** Makes a clone the owner of its origin, and the origin's filesystem its clone (dsl_dataset_promote_sync). */
export function promote(pool: Pool, directory: Directory): void {
  const origin = directory.origin as Dataset;
  const other = origin.directory;
  pool.syncGroup(() => {
    const shared = sharedWith(directory);
    const own = [...directory.snapshots, directory.head];
    const others = [...other.snapshots.filter((snapshot) => snapshot.group > origin.group), other.head];
    moveSums(pool, { directory, other, origin, shared, own, others });
    const next = own[0] as Dataset;
    const otherNext = others[0] as Dataset;
    for (const snapshot of shared) {
      other.removeSnapshot(snapshot);
      directory.addSnapshot(snapshot);
      snapshot.directory = directory;
    }
    origin.next = next;
    origin.removeClone(next);
    origin.addClone(otherNext);
    directory.origin = other.origin;
    other.origin = origin;
    // Neither side's blocks are a clone's alone any more.
    directory.head.liveBytes = -1;
    other.head.liveBytes = -1;
    settlePromise(directory);
    settlePromise(other);
    const first = shared[0] as Dataset;
    if (first.previous !== undefined) pool.meta.change(first.previous.id);
    for (const dataset of [...shared, next, otherNext]) pool.meta.change(dataset.id);
    pool.touch(directory.head);
    pool.touch(other.head);
    return undefined;
  });
}

interface Promotion {
  readonly directory: Directory;
  readonly other: Directory;
  readonly origin: Dataset;
  /** The snapshots that change sides, the oldest first. */
  readonly shared: readonly Dataset[];
  /** What follows the origin on each side, heads last. */
  readonly own: readonly Dataset[];
  readonly others: readonly Dataset[];
}

function deadSpace(datasets: readonly Dataset[], from: number): number {
  return datasets.reduce((sum, { deadList }) => sum + deadList.space(from).used, 0);
}

/** What snapshots of one directory hold, from its first on: the oldest first. */
function heldBy(shared: readonly Dataset[]): Space {
  const origin = shared.at(-1) as Dataset;
  const sum = { used: origin.referenced, logical: origin.logical, physical: origin.physical };
  for (const snapshot of shared) {
    const dead = snapshot.deadList.space();
    sum.used += dead.used;
    sum.logical += dead.logical;
    sum.physical += dead.physical;
  }
  const { origin: further } = origin.directory;
  if (further !== undefined) {
    sum.used -= further.referenced;
    sum.logical -= further.logical;
    sum.physical -= further.physical;
  }
  return sum;
}

/** The snapshots that a promotion gives to a clone: its origin and all that are older. */
function sharedWith(directory: Directory): Dataset[] {
  const origin = directory.origin as Dataset;
  return origin.directory.snapshots.filter((snapshot) => snapshot.group <= origin.group);
}

/** Whether a clone's limits have room for what a promotion gives to it (dsl_dataset_promote_check). */
export function canPromote(pool: Pool, directory: Directory): boolean {
  const origin = directory.origin as Dataset;
  return canTransfer(origin.directory, directory, heldBy(sharedWith(directory)).used, pool.usableBytes);
}

/** What the shared snapshots hold changes sides, and each side's sums follow from its dead lists. */
function moveSums(pool: Pool, { directory, other, origin, shared, own, others }: Promotion): void {
  const sum = heldBy(shared);
  const otherFrom = other.originGroup;
  const ownSnapshots = deadSpace(shared, otherFrom) + deadSpace(own, otherFrom);
  const otherSnapshots = deadSpace(others, origin.group);
  const delta = ownSnapshots - directory.usage.snapshots;
  addUsage(directory, "snapshots", { used: delta });
  addUsage(directory, "head", { used: sum.used - delta, logical: sum.logical, physical: sum.physical });
  const otherDelta = otherSnapshots - other.usage.snapshots;
  addUsage(other, "snapshots", { used: otherDelta });
  addUsage(other, "head", { used: -sum.used - otherDelta, logical: -sum.logical, physical: -sum.physical });
  origin.unique = (own[0] as Dataset).deadList.space(origin.previousGroup).used;
  pool.meta.change(origin.id);
}
