/**
 * How a call joins the running transaction: each that changes something begins so, and reserves room for the nodes that it may copy (fs/btrfs/transaction.c: start_transaction; Linux 6.18).
 *
 * Interface: what may be flushed for it, a commit too, is flushed before anything of the call is done. What a call estimates to change is in items, as the kernel has it.
 */
import { EDQUOT, ENOSPC, EROFS, type Errno } from "../../core/errno.ts";
import type { InodeState } from "./inode-state.ts";
import { ITEM_RESERVE } from "./layout.ts";
import { UPDATE_RESERVE } from "./metadata-space.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";

/** What a name of a subvolume changes of the one that it is in: the folder, and two entries. */
const NAME_ITEMS = 3;

/** Joins the running transaction, with what was reserved before (btrfs_join_transaction). @returns EROFS after an error. */
export function join(state: BtrfsState): Errno | undefined {
  if (state.error !== undefined) return EROFS;
  state.delayedInodes.balance(state.generation);
  return undefined;
}

/** Begins a call that changes up to `items` items of a subvolume (btrfs_start_transaction). @returns EROFS after an error, ENOSPC, EDQUOT. */
export function begin(state: BtrfsState, items: number, subvolume: Subvolume): Errno | undefined {
  return join(state) ?? reserveItems(state, items, subvolume) ?? state.metadata.begin(items, "all");
}

/** Begins a call that changes items of no subvolume, which no limit holds. @returns EROFS, ENOSPC. */
export function beginUnlimited(state: BtrfsState, items: number): Errno | undefined {
  return join(state) ?? state.metadata.begin(items, "all");
}

/** Begins a call that takes away: it may use the global reserve (btrfs_start_transaction_fallback_global_rsv). @returns EROFS, ENOSPC. */
export function beginRemoval(state: BtrfsState, items: number): Errno | undefined {
  return join(state) ?? state.metadata.begin(items, "steal");
}

/** Begins a call that changes an inode's item, which needs no more where that is to be written already (btrfs_dirty_inode). @returns as `begin`. */
export function beginUpdate(state: BtrfsState, { isDirty, subvolume }: InodeState): Errno | undefined {
  const refused = join(state);
  if (refused !== undefined || isDirty) return refused;
  const unreserved = reserveItems(state, 1, subvolume);
  if (unreserved !== undefined) return unreserved;
  return state.metadata.reserve(UPDATE_RESERVE, "none") === undefined ? undefined : state.metadata.begin(1, "all");
}

/**
 * Begins to make or take away a subvolume whose name is in another one (btrfs_subvolume_reserve_metadata).
 * @param items - that change, but for what refers to their nodes.
 * @param removes - then it may use the global reserve.
 */
export function beginSubvolume(state: BtrfsState, items: number, around: Subvolume, removes = false): Errno | undefined {
  const refused = join(state) ?? reserveItems(state, NAME_ITEMS, around);
  return refused ?? state.metadata.reserve(items * ITEM_RESERVE, removes ? "steal" : "all");
}

/** Reserves for items what a limit must allow. @returns ENOSPC where a fault says so, EDQUOT. */
function reserveItems(state: BtrfsState, items: number, { id }: Subvolume): Errno | undefined {
  const { environment, quotas } = state;
  if (environment.allocations?.fails() === true) return ENOSPC;
  if (quotas === undefined || quotas.reserveItems(id, items)) return undefined;
  const failed = state.flushAndCommit();
  if (failed !== undefined) return failed;
  return quotas.reserveItems(id, items) ? undefined : EDQUOT;
}
