/** fallocate(2) (fs/ext4/extents.c: ext4_fallocate, ext4_punch_hole, ext4_zero_range, ext4_collapse_range, ext4_insert_range). */
import { Content } from "../../core/content.ts";
import { EFBIG, EINVAL, ENOSPC, ENOTSUP, type Errno } from "../../core/errno.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from "../../vfs/filesystem.ts";
import { convertExtents } from "../convert-extents.ts";
import { canReserve, claimable, freeBlocks, REQUEST_BLOCKS } from "./allocate.ts";
import { allocateData } from "./data-blocks.ts";
import { FILE_SIZE_MAX, freeRange, makeFile, mappingOf, zeroOldEnd } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import type { Run } from "./mballoc.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";
import { dataGoal, mapRun } from "./writeback.ts";

export const FALLOCATE_MODES: number =
  FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE;

interface Range {
  readonly offset: number;
  readonly length: number;
}

export function fallocate(state: Ext4State, ino: number, mode: number, range: Range): Errno | undefined {
  if ((mode & ~FALLOCATE_MODES) !== 0) return ENOTSUP;
  if (range.offset + range.length > FILE_SIZE_MAX) return EFBIG;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  // Whatever comes of it, and before a range is looked at (ext4_fallocate: file_modified).
  stamp(state, ino, true);
  state.dirtyData(ino);
  const unread = state.reachTree(ino);
  if (unread !== undefined) return unread;
  const data = makeFile(state, ino);
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) return punch(state, ino, data, range);
  if ((mode & FALLOC_FL_COLLAPSE_RANGE) !== 0) return collapse(state, ino, data, range);
  if ((mode & FALLOC_FL_INSERT_RANGE) !== 0) return insert(state, ino, data, range);
  if ((mode & FALLOC_FL_ZERO_RANGE) !== 0) return zero(state, ino, data, range, mode);
  return preallocate(state, ino, data, range, mode);
}

/** The size a call leaves. */
function grow(state: Ext4State, ino: number, data: FileData, range: Range, mode: number): void {
  const end = range.offset + range.length;
  if ((mode & FALLOC_FL_KEEP_SIZE) !== 0) return;
  const size = state.size(ino);
  if (end > size) {
    zeroOldEnd(state, ino, data, size);
    state.setSize(ino, end);
  }
  data.onDisk = Math.max(data.onDisk, end);
}

function preallocate(state: Ext4State, ino: number, data: FileData, range: Range, mode: number): Errno | undefined {
  const { failed, reached } = fill(state, ino, data, range);
  const length = Math.min(range.length, reached * BLOCK_SIZE - range.offset);
  if (length > 0) grow(state, ino, data, { offset: range.offset, length }, mode);
  return failed;
}

/** The longest range whose requests are taken as they stand: one unwritten extent (EXT_UNWRITTEN_MAX_LEN). */
const PLAIN_BLOCKS_MAX = 32_767;

/** How far a range has blocks now, and why no further. */
interface Filled {
  readonly failed: Errno | undefined;
  /** The first block that has none. */
  readonly reached: number;
}

/**
 * Gives unwritten blocks to what has none, to what was promised too, whose pages stay dirty (ext4_alloc_file_blocks): what there are to the beginning of
 * the range, which keeps them though the call fails.
 */
function fill(state: Ext4State, ino: number, data: FileData, range: Range): Filled {
  const first = Math.floor(range.offset / BLOCK_SIZE);
  const end = Math.ceil((range.offset + range.length) / BLOCK_SIZE);
  const isPlain = end - first <= PLAIN_BLOCKS_MAX;
  const missing = data.missing(first, end);
  const refused = missing > 0 && !canReserve(state, 1) ? ENOSPC : state.begin(Math.min(missing, Math.max(0, claimable(state))));
  if (refused !== undefined) return { failed: refused, reached: first };
  const { list } = data.ownTree();
  let block = first;
  while (block < end) {
    const index = list.find(block);
    const next = index < list.count ? list.logical(index) : end;
    if (next <= block) {
      block = list.end(index);
      continue;
    }
    const given = fillGap(state, ino, data, { block, end: Math.min(end, next), isPlain });
    if (given === 0) return { failed: ENOSPC, reached: block };
    block += given;
  }
  return { failed: undefined, reached: block };
}

/**
 * One request: for all that is missing, or a half of it, a quarter …, as far as there are so many free (ext4_mb_new_blocks).
 * @returns how many blocks there were
 */
function fillGap(
  state: Ext4State,
  ino: number,
  data: FileData,
  { block, end, isPlain }: { block: number; end: number; isPlain: boolean },
): number {
  const tree = data.ownTree();
  const { list } = tree;
  let count = Math.min(end - block, PLAIN_BLOCKS_MAX);
  while (count > 0 && count > claimable(state)) count >>= 1;
  if (count <= 0) return 0;
  const sizeBlocks = Math.max(Math.ceil(state.size(ino) / BLOCK_SIZE), isPlain ? 0 : end);
  const most = isPlain ? 0 : Math.min(end - block, claimable(state));
  const goal = dataGoal(state, ino, data, block);
  const run: Run = { start: 0, count: 0 };
  if (!allocateData(state, { ino, data, block, count, most, goal, sizeBlocks, isPlain, unwritten: true }, run)) return 0;
  const added = { logical: block, physical: run.start, count: run.count, unwritten: true };
  // The tree's block is asked for after the data have theirs, which are given back without it.
  if (!list.takes(added) && tree.room <= 0 && claimable(state) <= 0) {
    freeBlocks(state, run.start, run.count);
    return 0;
  }
  mapRun(state, ino, data, isPlain ? added : { ...added, piece: REQUEST_BLOCKS });
  return run.count;
}

/** Writes zeros to the parts of a range that do not fill blocks, where there is something to zero. */
function zeroEdges(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const size = state.size(ino);
  const end = Math.min(range.offset + range.length, size);
  const head = Math.min(Math.ceil(range.offset / BLOCK_SIZE) * BLOCK_SIZE, end);
  const tail = Math.floor(end / BLOCK_SIZE) * BLOCK_SIZE;
  const edge = (from: number, to: number): Errno | undefined => {
    const block = Math.floor(from / BLOCK_SIZE);
    // Of a block that was never written nothing has to be zeroed, unless a page waits to be written into it (ext4_block_zero_page_range).
    const holdsData = data.tree.list.isWritten(block) || data.isPromised(block) || data.mapping?.isDirty(block) === true;
    if (to <= from || !holdsData) return undefined;
    return mappingOf(state, ino, data).write(from, Content.zeros(to - from), size);
  };
  return edge(range.offset, head) ?? (tail >= head ? edge(tail, end) : undefined);
}

/** Takes data and blocks out of a range. */
function clear(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const failed = zeroEdges(state, ino, data, range);
  if (failed !== undefined) return failed;
  const first = Math.ceil(range.offset / BLOCK_SIZE);
  const stop = range.offset + range.length;
  const size = state.size(ino);
  // A hole that goes behind the end of the file takes the block that the end cuts, and none behind it; one that ends there does not.
  const end = stop > size ? Math.ceil(size / BLOCK_SIZE) : Math.floor(stop / BLOCK_SIZE);
  if (first >= end) return undefined;
  data.mapping?.punch(first * BLOCK_SIZE, (end - first) * BLOCK_SIZE);
  state.delayedBlocks -= data.undelay(first, end);
  state.preallocations.discard(ino);
  freeRange(state, ino, data, first, end);
  return undefined;
}

function punch(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  if (range.offset >= state.size(ino)) return undefined;
  const failed = clear(state, ino, data, range);
  if (failed !== undefined) return failed;
  settleSize(state, ino, data, range.offset + range.length);
  return undefined;
}

/** The promises of a range are gone: no writeback will bring the size to the disk any more (ext4_update_disksize_before_punch). */
function settleSize(state: Ext4State, ino: number, data: FileData, end: number): void {
  const size = state.size(ino);
  if (data.delayedBlocks === 0 || end >= size) data.onDisk = size;
}

function zero(state: Ext4State, ino: number, data: FileData, range: Range, mode: number): Errno | undefined {
  const { failed: unfilled } = fill(state, ino, data, range);
  if (unfilled !== undefined) return unfilled;
  const failed = zeroEdges(state, ino, data, range);
  if (failed !== undefined) return failed;
  const first = Math.ceil(range.offset / BLOCK_SIZE);
  const end = Math.floor((range.offset + range.length) / BLOCK_SIZE);
  if (first < end) {
    data.mapping?.punch(first * BLOCK_SIZE, (end - first) * BLOCK_SIZE);
    const tree = data.ownTree();
    convertExtents(tree.list, first, end, { unwritten: true, growth: tree });
    settleTree(state, ino, tree);
  }
  grow(state, ino, data, range, mode);
  settleSize(state, ino, data, range.offset + range.length);
  return undefined;
}

/** Writes everything dirty, and forgets cached pages from `offset` on: what follows moves. */
function quiesce(data: FileData, offset: number): Errno | undefined {
  const failed = data.mapping?.flush();
  if (failed === undefined) data.mapping?.truncate(offset);
  return failed;
}

function collapse(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (offset + length >= size) return EINVAL;
  const failed = quiesce(data, offset) ?? state.begin();
  if (failed !== undefined) return failed;
  const end = (offset + length) / BLOCK_SIZE;
  state.preallocations.discard(ino);
  freeRange(state, ino, data, offset / BLOCK_SIZE, end);
  data.ownTree().list.shift(end, -(length / BLOCK_SIZE));
  return moved(state, ino, data, size - length);
}

function insert(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (offset >= size) return EINVAL;
  if (size + length > FILE_SIZE_MAX) return EFBIG;
  const failed = quiesce(data, offset) ?? state.begin();
  if (failed !== undefined) return failed;
  state.preallocations.discard(ino);
  const tree = data.ownTree();
  tree.list.split(offset / BLOCK_SIZE, tree);
  tree.list.shift(offset / BLOCK_SIZE, length / BLOCK_SIZE);
  return moved(state, ino, data, size + length);
}

function moved(state: Ext4State, ino: number, data: FileData, size: number): undefined {
  const tree = data.ownTree();
  settleTree(state, ino, tree, true);
  tree.dirtyAll(state.journal);
  state.setSize(ino, size);
  data.onDisk = size;
  return undefined;
}
