/**
 * Where blocks are placed (fs/xfs/libxfs/xfs_alloc.c: xfs_alloc_ag_vextent_near, xfs_alloc_compute_diff; xfs_bmap.c: xfs_bmap_btalloc).
 *
 * A request is met by the free extent nearest to its goal that is long enough; where none is, by the longest. The goal's group comes first,
 * then those behind it, around.
 *
 * Interface: nothing here waits: freed blocks that only a checkpoint makes usable are asked for by the caller (`state.begin`).
 */
import { assert } from "../../core/assert.ts";
import type { Group } from "./group.ts";
import { groupStart } from "./layout.ts";
import type { Metadata } from "./log.ts";
import type { XfsState } from "./state.ts";

/** A run that an allocation gave. */
export interface Run {
  start: number;
  count: number;
}

/** What is asked for. */
interface Request {
  /** Where it would best begin: a block of the group. */
  readonly goal: number;
  readonly wanted: number;
  /** 1, or what the first block must be a multiple of. */
  readonly alignment: number;
  /** Whether it is a file's data, which leaves room behind it to grow. */
  readonly userData: boolean;
}

/** xfs_alloc_compute_diff: the best place for `count` blocks in a free extent that is long enough; -1 when alignment leaves none. */
function placeIn(request: Request, first: number, length: number, count: number): number {
  const { goal, alignment, userData } = request;
  const end = first + length;
  if (first >= goal || (userData && end < goal + count)) {
    const start = Math.ceil(first / alignment) * alignment;
    return start + count <= end ? start : -1;
  }
  if (end >= goal + count) {
    const start = Math.ceil(goal / alignment) * alignment;
    if (start + count <= end) return start;
    return start - alignment >= first ? start - alignment : -1;
  }
  const start = Math.floor((end - count) / alignment) * alignment;
  return start >= first ? start : -1;
}

/** Records of the tree by size that are looked at one by one before the search goes by place. */
const LISTED_MAX = 252;

/** The place nearest to the goal for `count` blocks, all of which must be free and together; -1 when there is none. */
function nearest(group: Group, request: Request, count: number): number {
  let best = -1;
  let distance = Number.POSITIVE_INFINITY;
  const consider = (first: number, length: number): void => {
    if (length < count) return;
    const start = placeIn(request, first, length, count);
    // Of two as near the later one is taken.
    if (start < 0 || Math.abs(start - request.goal) > distance) return;
    best = start;
    distance = Math.abs(start - request.goal);
  };
  const { bySize, byBlock } = group;
  if (!bySize.seekFrom(count, 0)) return -1;
  let listed = 0;
  let more = true;
  for (; more && listed < LISTED_MAX; listed++) {
    consider(bySize.get(0), bySize.get(1));
    more = bySize.next();
  }
  if (!more) return best;
  // Many are long enough: those around the goal, outwards to both sides.
  for (let there = byBlock.seek(request.goal); there; there = byBlock.previous()) {
    if (request.goal - byBlock.get(0) - byBlock.get(1) > distance) break;
    consider(byBlock.get(0), byBlock.get(1));
  }
  byBlock.seek(request.goal);
  for (let there = byBlock.next(); there; there = byBlock.next()) {
    if (byBlock.get(0) - request.goal > distance) break;
    consider(byBlock.get(0), byBlock.get(1));
  }
  return best;
}

function take(state: XfsState, group: Group, into: Run, start: number, count: number): true {
  group.takeRun(start, count);
  state.freeBlocks -= count;
  into.start = group.start + start;
  into.count = count;
  return true;
}

/** Takes blocks in one group: as many as asked for, or what its longest extent holds. @param most - what the group may give. */
function takeIn(state: XfsState, group: Group, request: Request, most: number, into: Run): boolean {
  group.fixFreeList();
  const { bySize } = group;
  if (!bySize.last()) return false;
  const count = Math.min(request.wanted, bySize.get(1), most);
  if (count <= 0) return false;
  const start = nearest(group, request, count);
  return start >= 0 && take(state, group, into, start, count);
}

/** What is asked of the whole device. */
export interface Wish {
  /** A block of the device near which to allocate. */
  readonly goal: number;
  /** How many blocks at most. */
  readonly wanted: number;
  /** Whether it is a file's data. */
  readonly userData: boolean;
}

/**
 * Takes up to `wanted` contiguous blocks.
 * @returns false when no block is free (some may become so when the checkpoint is forced).
 */
export function allocateBlocks(state: XfsState, wish: Wish, into: Run): boolean {
  const { goal, wanted, userData } = wish;
  const { groups } = state.geometry;
  const goalGroup = Math.min(groups - 1, Math.floor(goal / state.geometry.groupBlocks));
  const goalInGroup = goal - groupStart(state.geometry, goalGroup);
  // First a group that holds all of it without touching what is kept for trees, then what each can give, then whatever there is.
  for (const enough of [wanted, 1, 0]) {
    for (let n = 0; n < groups; n++) {
      const group = state.group((goalGroup + n) % groups);
      const available = enough === 0 ? Number.POSITIVE_INFINITY : group.available;
      if (available < enough) continue;
      const request = { goal: n === 0 ? goalInGroup : 0, wanted, alignment: 1, userData };
      if (enough === wanted && enough > 1 && !holds(group, wanted)) continue;
      if (takeIn(state, group, request, available, into)) return true;
    }
  }
  return false;
}

/**
 * Takes blocks at the end of a file on a striped device, all or none (xfs_bmap_btalloc_at_eof): right behind those before, else from the
 * beginning of a stripe unit on.
 * @param follows - whether the goal is where the file's last blocks end
 */
export function allocateStriped(state: XfsState, wish: Omit<Wish, "userData">, follows: boolean, into: Run): boolean {
  const { goal, wanted: count } = wish;
  const { groups, groupBlocks, stripeUnit: alignment } = state.geometry;
  const goalGroup = Math.min(groups - 1, Math.floor(goal / groupBlocks));
  const goalInGroup = goal - groupStart(state.geometry, goalGroup);
  if (follows && allocateExact(state, state.group(goalGroup), goalInGroup, count)) {
    into.start = goal;
    into.count = count;
    return true;
  }
  for (let n = 0; n < groups; n++) {
    const group = state.group((goalGroup + n) % groups);
    const start = allocateAligned(state, group, { goal: n === 0 ? goalInGroup : 0, count, alignment, userData: true });
    if (start < 0) continue;
    into.start = group.start + start;
    into.count = count;
    return true;
  }
  return false;
}

/** Whether a group has a free extent of so many blocks. */
function holds(group: Group, count: number): boolean {
  return group.bySize.last() && group.bySize.get(1) >= count;
}

/** Aligned blocks of one group: the block near which, how many, and what the first must be a multiple of. */
interface AlignedWish {
  readonly goal: number;
  readonly count: number;
  readonly alignment: number;
  readonly userData?: boolean;
}

/** Takes aligned blocks in one group, all or none. @returns the first, in the group, or -1. */
export function allocateAligned(state: XfsState, group: Group, wish: AlignedWish): number {
  const { goal, count, alignment, userData = false } = wish;
  if (group.available < count) return -1;
  group.fixFreeList();
  const start = nearest(group, { goal, wanted: count, alignment, userData }, count);
  if (start < 0) return -1;
  group.takeRun(start, count);
  state.freeBlocks -= count;
  return start;
}

/** Takes blocks of one group from a given place on, if they are free. */
export function allocateExact(state: XfsState, group: Group, start: number, count: number): boolean {
  if (group.available < count) return false;
  group.fixFreeList();
  const { byBlock } = group;
  if (!byBlock.seek(start) || byBlock.get(0) + byBlock.get(1) < start + count) return false;
  group.takeRun(start, count);
  state.freeBlocks -= count;
  return true;
}

/** Gives blocks of one group back. */
export function freeBlocks(state: XfsState, start: number, count: number): void {
  const index = Math.floor(start / state.geometry.groupBlocks);
  const group = state.group(index);
  group.giveRun(start - group.start, count);
  state.freeBlocks += count;
}

/** Takes one block for metadata. The caller has checked that one is left. */
export function allocateMetadata(state: XfsState, goal: number): number {
  const run: Run = { start: 0, count: 0 };
  if (allocateBlocks(state, { goal, wanted: 1, userData: false }, run)) return run.start;
  const block = takeBusy(state);
  assert(block >= 0, "xfs: a block that was promised is not there");
  return block;
}

/**
 * Takes one block that the running checkpoint freed, for metadata alone: that reaches its place after the checkpoint, when what the block
 * held is gone for good. @returns -1 when there is none.
 */
function takeBusy(state: XfsState): number {
  for (let index = 0; index < state.geometry.groups; index++) {
    const group = state.group(index);
    const { busy } = group;
    if (busy.length === 0) continue;
    const [start, count] = busy.slice(-2) as [number, number];
    if (count === 1) busy.length -= 2;
    else busy[busy.length - 1] = count - 1;
    group.freeBlocks -= 1;
    state.freeBlocks -= 1;
    group.dirtySpace();
    return group.start + start + count - 1;
  }
  return -1;
}

/** Frees a metadata block: it leaves the log, too. */
export function freeMetadata(state: XfsState, metadata: Metadata, block: number, count = 1): void {
  state.log.forget(metadata);
  freeBlocks(state, block, count);
}
