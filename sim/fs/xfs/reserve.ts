/** Whether blocks can be promised: to the filesystem as a whole and to the project of an inode (xfs_dec_fdblocks, xfs_trans_reserve_quota_nblks). */
import { PROJECT } from "./inodes.ts";
import type { XfsState } from "./state.ts";

/** How many more blocks an inode may have now. */
function reservable(state: XfsState, ino: number): number {
  return Math.max(0, Math.min(state.available, state.projects.left(state.word(ino, PROJECT))));
}

/** Whether an inode may have `count` more blocks. */
export function canReserve(state: XfsState, ino: number, count: number): boolean {
  if (state.environment.allocations?.fails() === true) return false;
  return reservable(state, ino) >= count;
}
