/**
 * Where in the groups a run of free blocks is found (fs/ext4/mballoc.c, Linux 6.18: ext4_mb_regular_allocator, ext4_mb_scan_groups, ext4_mb_good_group).
 *
 * Without mb_optimize_scan the groups are asked one after another. With it, on disks of 2 GiB and more, a disk that turns is asked for the next four so; then
 * come the groups by how their free blocks lie (group-info.ts): those first that fit what is wanted most closely. All bitmaps are at hand: a kernel passes
 * groups over whose bitmaps it has not read yet, for some seconds after it has mounted a disk.
 *
 * Interface: a search goes from a group on and around, each time less choosy, and takes nothing.
 */
import type { FreeBlocks } from "../../block/free-runs.ts";
import { CHUNK_BLOCKS_MAX, type Found, ORDER_MAX, scanGroup, smallestChunk } from "./buddy.ts";
import { averageOrder } from "./group-info.ts";
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
  /** How many of them are needed: where no more than that can be had together it will do. */
  readonly least: number;
  /** EXT4_MB_HINT_DATA: blocks of a file, as others than those of directories and trees. */
  readonly isData: boolean;
}

/** MB_DEFAULT_LINEAR_SCAN_THRESHOLD: from so many groups on a search is optimized. */
const OPTIMIZED_GROUPS = 16;
/** MB_DEFAULT_LINEAR_LIMIT: so many groups are asked one after another where a head has to move. */
const LINEAR_GROUPS = 4;
/** s_mb_best_avail_max_trim_order: what is asked for is made shorter by so many orders at most. */
const TRIM_ORDERS = 3;

/** CR_GOAL_LEN_FAST and CR_BEST_AVAIL_LEN, CR_GOAL_LEN_SLOW, CR_ANY_FREE: what is asked of a group before it is looked through. */
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
  const { count, isData } = sought;
  const isChunk = count > 1 && count <= CHUNK_BLOCKS_MAX && (count & (count - 1)) === 0;
  const chunk = isChunk ? findChunk(state, first, sought) : -1;
  if (chunk >= 0) return { start: chunk, count };
  const found: Found = { pieces: 0, group: 0, start: 0, count: 0 };
  const long: Look = (group) => lookThrough(state, group, { wanted: count, criterion: "average run" }, found);
  const isFound =
    nextGroups(state, first, count, long) ||
    fromListed(state, first, (from, end) => state.groupInfo.someAverage(count, ORDER_MAX, from, end, long));
  if (isFound) return runOf(found, count);
  const shorter =
    isData && isOptimized(state) && state.profile.triesShorter ? findShorter(state, first, sought, found) : undefined;
  if (shorter !== undefined) return shorter;
  const { groups } = state.geometry;
  for (const criterion of ["free blocks", "any"] as const) {
    const free = criterion === "any" ? 1 : count;
    if (someGroup(state, first, groups, free, (group) => lookThrough(state, group, { wanted: count, criterion }, found))) break;
  }
  return found.count === 0 ? undefined : runOf(found, count);
}

function runOf(found: Found, most: number): Run {
  return { start: firstBlockOf(found.group) + found.start, count: Math.min(most, found.count) };
}

/** Whether groups are found by how their free blocks lie (mb_optimize_scan, whose default is this). */
function isOptimized({ profile, geometry }: Ext4State): boolean {
  return profile.optimizesScan && geometry.groups >= OPTIMIZED_GROUPS;
}

/** Looks at a group. @returns whether that is the end of the search */
type Look = (group: number) => boolean;

/** Looks at `count` groups from one on and around, at those that have so many free blocks. */
function someGroup({ groups, geometry }: Ext4State, first: number, count: number, free: number, look: Look): boolean {
  const stop = first + count;
  const end = Math.min(stop, geometry.groups);
  for (let group = groups.nextWith(free, first, end); group >= 0; group = groups.nextWith(free, group + 1, end))
    if (look(group)) return true;
  const rest = stop - geometry.groups;
  for (let group = groups.nextWith(free, 0, rest); group >= 0; group = groups.nextWith(free, group + 1, rest))
    if (look(group)) return true;
  return false;
}

/** How many groups a search asks one after another: the next four where a head has to move, all where it is not optimized. */
function linearGroups(state: Ext4State): number {
  if (!isOptimized(state)) return state.geometry.groups;
  return state.device.rotational === false ? 0 : LINEAR_GROUPS;
}

function nextGroups(state: Ext4State, first: number, free: number, look: Look): boolean {
  return someGroup(state, first, linearGroups(state), free, look);
}

/** The groups behind those go by their lists, first to the last group, and then those before. */
function fromListed(state: Ext4State, first: number, some: (from: number, end: number) => boolean): boolean {
  if (!isOptimized(state)) return false;
  const { groups } = state.geometry;
  const start = (first + linearGroups(state)) % groups;
  return some(start, groups) || some(0, start);
}

/** A power of two of blocks (CR_POWER2_ALIGNED): a file's are not in the first group of a flex group, which is for directories. @returns the first block, or -1 */
function findChunk(state: Ext4State, first: number, { count, isData }: Sought): number {
  const order = 31 - Math.clz32(count);
  let block = -1;
  const look: Look = (group) => {
    if (isData && group % GROUPS_PER_FLEX === 0) return false;
    // The first of the longest chunks, in a group that is free as a whole.
    const start = state.groups.isWhole(group) ? 0 : freeOf(state, group, (bits) => smallestChunk(bits, order));
    if (start >= 0) block = firstBlockOf(group) + start;
    return start >= 0;
  };
  if (nextGroups(state, first, count, look)) return block;
  fromListed(state, first, (from, end) => state.groupInfo.someLongest(order, from, end, look));
  return block;
}

/** Less than is wanted, from the longest power of two on, but what is needed (CR_BEST_AVAIL_LEN). */
function findShorter(state: Ext4State, first: number, { count, least }: Sought, found: Found): Run | undefined {
  const longest = 31 - Math.clz32(count);
  let shortest = Math.max(0, longest - TRIM_ORDERS);
  if (1 << shortest < least) shortest = 32 - Math.clz32(least);
  let wanted = 0;
  const look: Look = (group) => lookThrough(state, group, { wanted, criterion: "average run" }, found);
  const isFound = fromListed(state, first, (from, end) => {
    for (let order = longest; order >= shortest; order--) {
      wanted = 1 << order;
      if (state.groupInfo.someAverage(wanted, averageOrder(wanted), from, end, look)) return true;
    }
    return false;
  });
  return isFound ? runOf(found, wanted) : undefined;
}

/** Looks for a piece in a group that fits the criterion. @returns whether the search is over */
function lookThrough(state: Ext4State, group: number, how: { wanted: number; criterion: Criterion }, found: Found): boolean {
  const { wanted, criterion } = how;
  return freeOf(state, group, (bits) => {
    if (criterion === "average run" && bits.freeCount < wanted * runsIn(bits)) return false;
    return scanGroup(group, bits, { wanted, skips: criterion === "average run" }, found);
  });
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
