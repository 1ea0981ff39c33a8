/**
 * Where in the groups a run of free blocks is found (fs/ext4/mballoc.c, Linux 6.18: ext4_mb_regular_allocator, ext4_mb_good_group).
 *
 * The groups are asked one after another, as without mb_optimize_scan, which with a disk that turns asks the next four so. All bitmaps are at hand: a
 * kernel passes groups over whose bitmaps it has not read yet, for some seconds after it has mounted a disk. What is asked for is not made
 * shorter before a slow search (CR_BEST_AVAIL_LEN).
 *
 * Interface: a search goes from a group on and around, each time less choosy, and takes nothing.
 */
import type { FreeBlocks } from "../../block/free-runs.ts";
import { CHUNK_BLOCKS_MAX, type Found, scanGroup, smallestChunk } from "./buddy.ts";
import { BLOCKS_PER_GROUP, firstBlockOf, GROUPS_PER_FLEX } from "./layout.ts";
import type { Ext4State } from "./state.ts";

/** A run of blocks. */
export interface Run {
  start: number;
  count: number;
}

/** What is searched for. */
export interface Sought {
  /** The block whose group is asked first. */
  readonly goal: number;
  readonly count: number;
  /** EXT4_MB_HINT_DATA: blocks of a file, as others than those of directories and trees. */
  readonly isData: boolean;
}

/** CR_GOAL_LEN_FAST, CR_GOAL_LEN_SLOW, CR_ANY_FREE: what is asked of a group before it is looked through. */
type Criterion = "average run" | "free blocks" | "any";

/** Finds up to so many blocks. @returns undefined where no block is free, what is kept for others aside. */
export function findRun(state: Ext4State, sought: Sought): Run | undefined {
  const { goal } = sought;
  const first = goal < state.geometry.blocks ? Math.floor(goal / BLOCKS_PER_GROUP) : 0;
  const found = findFrom(state, first, sought);
  if (found !== undefined || state.preallocations.isEmpty) return found;
  state.preallocations.discardAll();
  return findRun(state, sought);
}

function findFrom(state: Ext4State, first: number, sought: Sought): Run | undefined {
  const { count } = sought;
  const isChunk = count > 1 && count <= CHUNK_BLOCKS_MAX && (count & (count - 1)) === 0;
  const chunk = isChunk ? findChunk(state, first, sought) : -1;
  if (chunk >= 0) return { start: chunk, count };
  const found: Found = { pieces: 0, group: 0, start: 0, count: 0 };
  for (const criterion of ["average run", "free blocks", "any"] as const)
    if (search(state, first, { wanted: count, criterion }, found)) break;
  if (found.count === 0) return undefined;
  return { start: firstBlockOf(found.group) + found.start, count: Math.min(count, found.count) };
}

/** The groups from one on and around that have so many free blocks. */
function* groupsWith({ groups, geometry }: Ext4State, first: number, free: number): Generator<number> {
  const end = geometry.groups;
  for (let group = groups.nextWith(free, first, end); group >= 0; group = groups.nextWith(free, group + 1, end)) yield group;
  for (let group = groups.nextWith(free, 0, first); group >= 0; group = groups.nextWith(free, group + 1, first)) yield group;
}

/** A power of two of blocks (CR_POWER2_ALIGNED): a file's are not in the first group of a flex group, which is for directories. @returns the first block, or -1 */
function findChunk(state: Ext4State, first: number, { count, isData }: Sought): number {
  const order = 31 - Math.clz32(count);
  for (const group of groupsWith(state, first, count)) {
    if (isData && group % GROUPS_PER_FLEX === 0) continue;
    // The first of the longest chunks, in a group that is free as a whole.
    const start = state.groups.isWhole(group) ? 0 : freeOf(state, group, (bits) => smallestChunk(bits, order));
    if (start >= 0) return firstBlockOf(group) + start;
  }
  return -1;
}

function search(state: Ext4State, first: number, how: { wanted: number; criterion: Criterion }, found: Found): boolean {
  const { wanted, criterion } = how;
  for (const group of groupsWith(state, first, criterion === "any" ? 1 : wanted)) {
    const isOver = freeOf(state, group, (bits) => {
      if (criterion === "average run" && bits.freeCount < wanted * runsIn(bits)) return false;
      return scanGroup(group, bits, { wanted, skips: criterion === "average run" }, found);
    });
    if (isOver) return true;
  }
  return false;
}

/** bb_fragments. */
function runsIn(bits: FreeBlocks): number {
  let runs = 0;
  bits.visitFree(() => {
    runs += 1;
  });
  return runs;
}

/** Looks at a group's free blocks without those that are kept. */
function freeOf<T>(state: Ext4State, group: number, look: (bits: FreeBlocks) => T): T {
  return state.preallocations.without(group, state.groups.blockBitmap(group).bits, look);
}
