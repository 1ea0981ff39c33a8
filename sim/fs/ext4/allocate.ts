/**
 * Where blocks and inodes are placed (fs/ext4/mballoc.c, ialloc.c, the goals of fs/ext4/extents.c and indirect.c).
 *
 * Blocks: a request is met at its goal if that is free; else by the first group, from the goal's on, that has a run long enough, aligned to its own length
 * when that is a power of two (buddies); else by what there is. Files of up to 16 blocks share runs of 512 (the locality group's preallocation).
 * Inodes: files go beside their directory; directories below the root are spread over flex groups, others stay near their parent (Orlov).
 *
 * Interface: nothing here waits: freed blocks that only a commit makes usable are asked for by the caller (`state.commit`), who then tries again.
 */

import type { FreeBlocks } from "../../block/free-runs.ts";
import { assert, InvariantError } from "../../core/assert.ts";
import { BLOCKS_PER_GROUP, firstBlockOf, GROUPS_PER_FLEX, ROOT_INODE } from "./layout.ts";
import type { Metadata } from "./packed-words.ts";
import type { Ext4State } from "./state.ts";

/** s_mb_stream_request: files of up to this many blocks are packed. */
export const SMALL_FILE_BLOCKS = 16;
/** s_mb_group_prealloc. */
const LOCAL_BLOCKS = 512;
/** The largest run asked for at once: what one round of writeback maps (MAX_WRITEPAGES_EXTENT_LEN). */
export const REQUEST_BLOCKS = 2048;

/**
 * How many blocks whoever asks can have: the 5 % are the superuser's, the clusters of s_resv_clusters nobody's (ext4_has_free_clusters). Below zero
 * where some of those are taken.
 */
export function claimable(state: Ext4State): number {
  const { reservedBlocks, reservedClusters } = state.geometry;
  const left = state.freeBlocks - state.delayedBlocks - reservedClusters;
  return (state.environment.privileged?.() ?? true) ? left : left - reservedBlocks;
}

/** Whether `count` blocks can be promised. */
export function canReserve(state: Ext4State, count: number): boolean {
  return state.environment.allocations?.fails() !== true && claimable(state) >= count;
}

/** The first block of the group in which an inode's blocks begin (ext4_inode_to_goal_block). */
export function goalOf(state: Ext4State, ino: number, isFile: boolean): number {
  const group = Math.floor((ino - 1) / state.geometry.inodesPerGroup);
  const first = group - (group % GROUPS_PER_FLEX);
  const chosen = isFile && first + 1 < state.geometry.groups ? first + 1 : first;
  return firstBlockOf(chosen);
}

/** A run that an allocation gave. */
export interface Run {
  start: number;
  count: number;
}

function isPowerOfTwo(value: number): boolean {
  return (value & (value - 1)) === 0;
}

/** The first run of `wanted` blocks, aligned to `unit`, from `from` on, or -1. */
function alignedRun(bits: FreeBlocks, from: number, wanted: number, unit: number): number {
  for (let at = Math.ceil(from / unit) * unit; at + wanted <= bits.size; ) {
    const free = bits.nextFree(at);
    if (free === undefined) return -1;
    const start = Math.ceil(free / unit) * unit;
    if (start + wanted > bits.size) return -1;
    const used = bits.nextUsed(start);
    if (used - start >= wanted) return start;
    at = Math.max(used, start + unit);
    at = Math.ceil(at / unit) * unit;
  }
  return -1;
}

/** Finds `wanted` blocks in one group without taking them, or -1. The kept run looks used meanwhile. */
function findIn(state: Ext4State, group: number, from: number, wanted: number): number {
  const hidden = hideLocal(state, group);
  const found = findAmong(state.groups.blockBitmap(group).bits, from, wanted);
  if (hidden) showLocal(state, group);
  return found;
}

function findAmong(bits: FreeBlocks, from: number, wanted: number): number {
  if (bits.longestRun < wanted) return -1;
  if (wanted > 1 && isPowerOfTwo(wanted)) {
    const aligned = alignedRun(bits, from, wanted, wanted);
    if (aligned >= 0) return aligned;
    const anywhere = alignedRun(bits, 0, wanted, wanted);
    if (anywhere >= 0) return anywhere;
  }
  return bits.findRun(wanted, from);
}

function take(state: Ext4State, into: Run, start: number, count: number): boolean {
  const group = Math.floor(start / BLOCKS_PER_GROUP);
  state.groups.take(group, start - firstBlockOf(group), count);
  state.freeBlocks -= count;
  into.start = start;
  into.count = count;
  return true;
}

/** What is asked for: contiguous blocks, by as many requests as they make. */
interface Wanted {
  readonly goal: number;
  /** The most at the goal, and the most where they lie elsewhere. */
  readonly count: number;
  readonly elsewhere: number;
}

/**
 * Takes contiguous blocks near a goal.
 * @returns false when no block is free (some may become so by a commit).
 */
export function allocateBlocks(state: Ext4State, wanted: Wanted, into: Run): boolean {
  const { geometry } = state;
  const { goal, count: most } = wanted;
  const goalGroup = goal < geometry.blocks ? Math.floor(goal / BLOCKS_PER_GROUP) : 0;
  const from = goal < geometry.blocks ? goal - firstBlockOf(goalGroup) : 0;
  if (from > 0 && !isLocal(state, goal)) {
    const count = runAt(state, goalGroup, from, most);
    if (count > 0) return take(state, into, goal, clipLocal(state, goal, count));
  }
  if (from === 0 && most >= BLOCKS_PER_GROUP && takeWhole(state, goalGroup, Math.floor(most / BLOCKS_PER_GROUP), into))
    return true;
  const start = search(state, goalGroup, from, Math.min(most, REQUEST_BLOCKS), into);
  if (start >= 0) return take(state, into, start, into.count + requestsBehind(state, start, into.count, wanted.elsewhere));
  if (state.localCount === 0) return false;
  dropLocal(state);
  return allocateBlocks(state, wanted, into);
}

/** How many blocks more the requests get that go on in the same group where one was met that had to be searched for. */
function requestsBehind(state: Ext4State, start: number, count: number, most: number): number {
  const goal = start + count;
  if (count < REQUEST_BLOCKS || most <= count || goal % BLOCKS_PER_GROUP === 0 || isLocal(state, goal)) return 0;
  const group = Math.floor(goal / BLOCKS_PER_GROUP);
  const more = runAt(state, group, goal - firstBlockOf(group), most - count);
  return more === 0 ? 0 : clipLocal(state, goal, more);
}

/**
 * How many blocks a file that goes on at its goal gets there: all requests that it would make one after the other, as long as each is met
 * whole or reaches the end of the group. 0: the first one is not met.
 */
function runAt(state: Ext4State, group: number, from: number, wanted: number): number {
  const { bits } = state.groups.blockBitmap(group);
  if (!bits.isFree(from)) return 0;
  const free = bits.nextUsed(from) - from;
  if (free >= wanted) return wanted;
  return free >= bits.size - from ? free : free - (free % REQUEST_BLOCKS);
}

/** Takes groups whole that are free as a whole, `most` at most: all requests that meet them, one after the other, would. */
function takeWhole(state: Ext4State, group: number, most: number, into: Run): boolean {
  const count = state.groups.wholeFrom(group, most);
  if (count === 0) return false;
  state.groups.takeWhole(group, count);
  into.start = firstBlockOf(group);
  into.count = count * BLOCKS_PER_GROUP;
  state.freeBlocks -= into.count;
  return true;
}

/** Finds a run for one request from a group on: long enough, else the longest near. @returns its first block, or -1; `into.count` tells how long it is. */
function search(state: Ext4State, goalGroup: number, from: number, asked: number, into: Run): number {
  into.count = asked;
  const found = firstIn(state, goalGroup, asked, (group) => findIn(state, group, group === goalGroup ? from : 0, asked));
  if (found >= 0) return found;
  return firstIn(state, goalGroup, 1, (group) => {
    const hidden = hideLocal(state, group);
    const run = longest(state.groups.blockBitmap(group).bits, asked);
    if (hidden) showLocal(state, group);
    into.count = run.count;
    return run.count === 0 ? -1 : run.start;
  });
}

/** The first block that `find` gives in a group with enough free blocks, from the goal's group on and around; -1: none. */
function firstIn(state: Ext4State, goalGroup: number, wanted: number, find: (group: number) => number): number {
  const { groups } = state;
  const end = state.geometry.groups;
  for (let group = groups.nextWith(wanted, goalGroup, end); group >= 0; group = groups.nextWith(wanted, group + 1, end)) {
    const start = find(group);
    if (start >= 0) return firstBlockOf(group) + start;
  }
  for (let group = groups.nextWith(wanted, 0, goalGroup); group >= 0; group = groups.nextWith(wanted, group + 1, goalGroup)) {
    const start = find(group);
    if (start >= 0) return firstBlockOf(group) + start;
  }
  return -1;
}

function longest(bits: FreeBlocks, wanted: number): Run {
  const best: Run = { start: 0, count: 0 };
  bits.visitFree((start, count) => {
    if (count > best.count) {
      best.start = start;
      best.count = Math.min(count, wanted);
    }
  });
  return best;
}

// The locality group: a run that is free on the disk and kept for small files

function isLocal(state: Ext4State, block: number): boolean {
  return state.localCount > 0 && block >= state.localStart && block < state.localStart + state.localCount;
}
function clipLocal(state: Ext4State, start: number, count: number): number {
  if (state.localCount === 0 || start >= state.localStart) return count;
  return Math.min(count, Math.max(1, state.localStart - start));
}
/** Makes the kept run look used while a group is searched. @returns whether it lies in that group. */
function hideLocal(state: Ext4State, group: number): boolean {
  if (state.localCount === 0 || Math.floor(state.localStart / BLOCKS_PER_GROUP) !== group) return false;
  state.groups.blockBitmap(group).bits.take(state.localStart - firstBlockOf(group), state.localCount);
  return true;
}
function showLocal(state: Ext4State, group: number): void {
  state.groups.blockBitmap(group).bits.free(state.localStart - firstBlockOf(group), state.localCount);
}
/** Gives the kept run up (ext4_mb_discard_preallocations). */
function dropLocal(state: Ext4State): void {
  state.localCount = 0;
}

/** Takes up to `wanted` blocks for a small file. */
export function allocateSmall(state: Ext4State, goal: number, wanted: number, into: Run): boolean {
  if (state.localCount < wanted) {
    state.localCount = 0;
    const found = findLocal(state, goal);
    if (found < 0) return allocateBlocks(state, { goal, count: wanted, elsewhere: wanted }, into);
    state.localStart = found;
    state.localCount = LOCAL_BLOCKS;
  }
  const start = state.localStart;
  state.localStart += wanted;
  state.localCount -= wanted;
  return take(state, into, start, wanted);
}

/** A run of 512 free blocks from the goal's group on, or -1. */
function findLocal(state: Ext4State, goal: number): number {
  return firstIn(state, Math.floor(goal / BLOCKS_PER_GROUP), LOCAL_BLOCKS, (group) => {
    const start = findIn(state, group, 0, LOCAL_BLOCKS);
    return start >= 0 && start % LOCAL_BLOCKS === 0 ? start : -1;
  });
}

/** Gives blocks back; they may span groups. */
export function freeBlocks(state: Ext4State, start: number, count: number): void {
  for (let at = start; at < start + count; ) {
    const group = Math.floor(at / BLOCKS_PER_GROUP);
    const part = Math.min(start + count, firstBlockOf(group + 1)) - at;
    state.groups.free(group, at - firstBlockOf(group), part);
    at += part;
  }
  state.freeBlocks += count;
}

/** Takes one block for metadata, which may use every reserve. The caller has checked that one is left. */
export function allocateMetadata(state: Ext4State, goal: number): number {
  const run: Run = { start: 0, count: 0 };
  if (allocateBlocks(state, { goal, count: 1, elsewhere: 1 }, run)) return run.start;
  const block = state.groups.takeFreed();
  assert(block !== 0, "ext4: a block that was promised is not there");
  state.freeBlocks -= 1;
  return block;
}

/** Frees a metadata block: it leaves the journal, too. */
export function freeMetadata(state: Ext4State, metadata: Metadata): void {
  state.journal.forget(metadata);
  freeBlocks(state, metadata.block, 1);
}

// Inodes

/** Takes an inode. @returns 0 when all are in use. */
export function allocateInode(state: Ext4State, parent: number, isDirectory: boolean): number {
  const { inodesPerGroup } = state.geometry;
  if (state.freeInodes === 0 || state.environment.allocations?.fails() === true) return 0;
  const parentGroup = Math.floor((parent - 1) / inodesPerGroup);
  const group = isDirectory ? directoryGroup(state, parent, parentGroup) : fileGroup(state, parentGroup);
  if (group < 0) return 0;
  const bitmap = state.groups.inodeBitmap(group);
  const bit = bitmap.takeFirst();
  if (bit === undefined) throw new InvariantError(`group ${group} has no free inode`);
  state.groups.freeInodes[group] = (state.groups.freeInodes[group] as number) - 1;
  if (isDirectory) state.groups.directories[group] = (state.groups.directories[group] as number) + 1;
  state.freeInodes -= 1;
  state.journal.dirty(bitmap);
  state.groups.dirtyDescriptor(group);
  return group * inodesPerGroup + bit + 1;
}

export function freeInode(state: Ext4State, ino: number, isDirectory: boolean): void {
  const { inodesPerGroup } = state.geometry;
  const group = Math.floor((ino - 1) / inodesPerGroup);
  const bitmap = state.groups.inodeBitmap(group);
  bitmap.free((ino - 1) % inodesPerGroup, 1);
  state.groups.freeInodes[group] = (state.groups.freeInodes[group] as number) + 1;
  if (isDirectory) state.groups.directories[group] = (state.groups.directories[group] as number) - 1;
  state.freeInodes += 1;
  state.journal.dirty(bitmap);
  state.groups.dirtyDescriptor(group);
}

/** The parent's flex group from the parent's group on, then any group with a free inode (find_group_other). */
function fileGroup(state: Ext4State, parentGroup: number): number {
  const free = state.groups.freeInodes;
  const flexEnd = Math.min(parentGroup - (parentGroup % GROUPS_PER_FLEX) + GROUPS_PER_FLEX, state.geometry.groups);
  for (let group = parentGroup; group < flexEnd; group++) if ((free[group] as number) > 0) return group;
  for (let n = 0; n < state.geometry.groups; n++) {
    const group = (parentGroup + n) % state.geometry.groups;
    if ((free[group] as number) > 0) return group;
  }
  return -1;
}

/** find_group_orlov, with flex groups as units. */
function directoryGroup(state: Ext4State, parent: number, parentGroup: number): number {
  const { groups: count, inodesPerGroup } = state.geometry;
  const flexes = Math.ceil(count / GROUPS_PER_FLEX);
  const flex = Math.floor(parentGroup / GROUPS_PER_FLEX);
  const averageInodes = Math.floor(state.freeInodes / flexes);
  const averageBlocks = Math.floor(state.freeBlocks / flexes);
  if (parent === ROOT_INODE && flexes > 1) {
    let best = -1;
    let fewest = inodesPerGroup * GROUPS_PER_FLEX;
    for (let n = 0; n < flexes; n++) {
      const stats = flexStats(state, n);
      if (stats.inodes === 0 || stats.directories >= fewest) continue;
      if (stats.inodes < averageInodes || stats.blocks < averageBlocks) continue;
      best = n;
      fewest = stats.directories;
      if (fewest === 0) break;
    }
    if (best >= 0) return firstWithInode(state, best);
  }
  const least = Math.max(1, averageInodes - Math.floor((inodesPerGroup * GROUPS_PER_FLEX) / 4));
  for (let n = 0; n < flexes; n++) {
    const at = (flex + n) % flexes;
    const stats = flexStats(state, at);
    if (stats.inodes >= least && stats.blocks > 0) return firstWithInode(state, at);
  }
  return fileGroup(state, parentGroup);
}

function flexStats(state: Ext4State, flex: number): { inodes: number; blocks: number; directories: number } {
  const stats = { inodes: 0, blocks: 0, directories: 0 };
  const end = Math.min((flex + 1) * GROUPS_PER_FLEX, state.geometry.groups);
  for (let group = flex * GROUPS_PER_FLEX; group < end; group++) {
    stats.inodes += state.groups.freeInodes[group] as number;
    stats.blocks += state.groups.freeBlocks[group] as number;
    stats.directories += state.groups.directories[group] as number;
  }
  return stats;
}

function firstWithInode(state: Ext4State, flex: number): number {
  for (let group = flex * GROUPS_PER_FLEX; group < state.geometry.groups; group++)
    if ((state.groups.freeInodes[group] as number) > 0) return group;
  return -1;
}
