/**
 * fallocate(2) (fs/ext4/extents.c: ext4_fallocate, ext4_zero_range, ext4_collapse_range, ext4_insert_range; inode.c: ext4_punch_hole; Linux 6.18).
 *
 * Interface: the VFS has checked that the mode's flags go together. Blocks that are wholly within a range change their extents; the parts of
 * blocks at its edges are zeroed through the page cache.
 */
import { Content } from "../../core/content.ts";
import { EFBIG, EINVAL, ENOSPC, ENOTSUP, type Errno } from "../../core/errno.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from "../../vfs/filesystem.ts";
import { canReserve } from "./allocate.ts";
import { allocateRange, dropPromises, FILE_SIZE_MAX, freeRange, makeFile, mappingOf } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { stamp } from "./namei.ts";
import type { Ext4State } from "./state.ts";
import { treeBlocks } from "./tree-blocks.ts";

interface Range {
  readonly offset: number;
  readonly length: number;
}

export function fallocate(state: Ext4State, ino: number, mode: number, range: Range): Errno | undefined {
  if (range.offset + range.length > FILE_SIZE_MAX) return EFBIG;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const data = makeFile(state, ino);
  const keepSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
      return allocate(state, ino, data, range, keepSize);
    case FALLOC_FL_PUNCH_HOLE:
      return punch(state, ino, data, range);
    case FALLOC_FL_ZERO_RANGE:
      return zeroRange(state, ino, data, range, keepSize);
    case FALLOC_FL_COLLAPSE_RANGE:
      return collapse(state, ino, data, range);
    case FALLOC_FL_INSERT_RANGE:
      return insert(state, ino, data, range);
    default:
      return ENOTSUP;
  }
}

/** Gives unwritten extents to the blocks of [first, end) that have none. */
function allocateMissing(state: Ext4State, ino: number, data: FileData, first: number, end: number): Errno | undefined {
  const { list } = data.tree;
  const missing = list.missing(first, end);
  const promised = promisedIn(data, first, end);
  if (missing > promised && !canReserve(state, missing - promised)) return ENOSPC;
  for (let block = first; block < end; ) {
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, index < list.count ? list.logical(index) : end);
    const failed = allocateRange(state, ino, data, { start: block, end: gapEnd, unwritten: true });
    if (failed !== undefined) return failed;
    block = gapEnd;
  }
  return undefined;
}

function promisedIn(data: FileData, first: number, end: number): number {
  let count = 0;
  data.delayed?.visit(first, end, (from, to) => {
    count += to - from;
  });
  return count;
}

/** Makes a file at least as long as `size`, on the disk too (ext4_update_inode_size). */
function grow(state: Ext4State, ino: number, data: FileData, size: number): void {
  if (size > state.size(ino)) state.setSize(ino, size);
  data.onDisk = Math.max(data.onDisk, size);
}

/** Promises that end at the file's end go with a range: no writeback will follow the size then (ext4_update_disksize_before_punch). */
function keepSizeOnDisk(state: Ext4State, ino: number, data: FileData, end: number): void {
  const size = state.size(ino);
  if (end >= size) data.onDisk = size;
}

function allocate(state: Ext4State, ino: number, data: FileData, range: Range, keepSize: boolean): Errno | undefined {
  const end = range.offset + range.length;
  const failed = allocateMissing(state, ino, data, Math.floor(range.offset / BLOCK_SIZE), Math.ceil(end / BLOCK_SIZE));
  if (failed !== undefined) return failed;
  if (!keepSize) grow(state, ino, data, end);
  stamp(state, ino, true);
  return undefined;
}

/** Zeroes bytes within one block, through the cache, where the block holds any. */
function zeroPart(state: Ext4State, ino: number, data: FileData, from: number, to: number): Errno | undefined {
  if (to <= from) return undefined;
  const { list } = data.tree;
  const block = Math.floor(from / BLOCK_SIZE);
  const index = list.find(block);
  const mapped = index < list.count && list.logical(index) <= block && !list.isUnwritten(index);
  const inMemory = data.mapping?.isDirty(block) ?? false;
  if (!mapped && !inMemory) return undefined;
  return mappingOf(state, ino, data).write(from, Content.zeros(to - from), Math.max(state.size(ino), to));
}

/** Zeroes the parts of the blocks at the edges of [start, end). @returns the whole blocks between them, or an error. */
function zeroEdges(
  state: Ext4State,
  ino: number,
  data: FileData,
  start: number,
  end: number,
): { first: number; last: number } | Errno {
  const first = Math.ceil(start / BLOCK_SIZE);
  const last = Math.floor(end / BLOCK_SIZE);
  const failed =
    first > last
      ? zeroPart(state, ino, data, start, end)
      : (zeroPart(state, ino, data, start, first * BLOCK_SIZE) ?? zeroPart(state, ino, data, last * BLOCK_SIZE, end));
  return failed ?? { first, last };
}

function punch(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const size = state.size(ino);
  stamp(state, ino, true);
  if (range.offset >= size) return undefined;
  const sizeBlock = Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
  const end = range.offset + range.length > size ? sizeBlock : range.offset + range.length;
  const whole = zeroEdges(state, ino, data, range.offset, end);
  if (!("first" in whole)) return whole;
  if (whole.first >= whole.last) return undefined;
  data.mapping?.punch(whole.first * BLOCK_SIZE, (whole.last - whole.first) * BLOCK_SIZE);
  dropPromises(state, data, whole.first, whole.last);
  freeRange(state, ino, data, whole.first, whole.last);
  keepSizeOnDisk(state, ino, data, end);
  return undefined;
}

function zeroRange(state: Ext4State, ino: number, data: FileData, range: Range, keepSize: boolean): Errno | undefined {
  const end = range.offset + range.length;
  const whole = zeroEdges(state, ino, data, range.offset, end);
  if (!("first" in whole)) return whole;
  const outer = { first: Math.floor(range.offset / BLOCK_SIZE), last: Math.ceil(end / BLOCK_SIZE) };
  if (whole.first < whole.last) {
    data.mapping?.punch(whole.first * BLOCK_SIZE, (whole.last - whole.first) * BLOCK_SIZE);
    dropPromises(state, data, whole.first, whole.last);
    keepSizeOnDisk(state, ino, data, end);
  }
  const failed = allocateMissing(state, ino, data, outer.first, outer.last);
  if (failed !== undefined) return failed;
  if (whole.first < whole.last) {
    data.tree.list.convert(whole.first, whole.last, true, data.tree.changed);
    data.tree.settle(treeBlocks(state, ino));
  }
  if (!keepSize) grow(state, ino, data, end);
  stamp(state, ino, true);
  return undefined;
}

/** Writes everything of the file to the device and forgets its pages, so that extents can move under it. */
function settlePages(state: Ext4State, ino: number, data: FileData): Errno | undefined {
  const failed = data.mapping?.flush();
  if (failed !== undefined) return failed;
  data.mapping?.drop();
  return state.begin() ?? (state.data(ino) === data ? undefined : EINVAL);
}

function isAligned(range: Range): boolean {
  return range.offset % BLOCK_SIZE === 0 && range.length % BLOCK_SIZE === 0;
}

function resize(state: Ext4State, ino: number, data: FileData, size: number): void {
  data.tree.settle(treeBlocks(state, ino));
  data.tree.dirtyAll(state.journal);
  state.setSize(ino, size);
  data.onDisk = size;
  stamp(state, ino, true);
}

function collapse(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const size = state.size(ino);
  if (!isAligned(range) || range.offset + range.length >= size) return EINVAL;
  const failed = settlePages(state, ino, data);
  if (failed !== undefined) return failed;
  const first = range.offset / BLOCK_SIZE;
  const count = range.length / BLOCK_SIZE;
  freeRange(state, ino, data, first, first + count);
  data.tree.list.shift(first + count, -count);
  resize(state, ino, data, size - range.length);
  return undefined;
}

function insert(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const size = state.size(ino);
  if (!isAligned(range) || range.offset >= size) return EINVAL;
  if (range.length > FILE_SIZE_MAX - size) return EFBIG;
  const failed = settlePages(state, ino, data);
  if (failed !== undefined) return failed;
  const first = range.offset / BLOCK_SIZE;
  data.tree.list.split(first, data.tree.changed);
  data.tree.list.shift(first, range.length / BLOCK_SIZE);
  resize(state, ino, data, size + range.length);
  return undefined;
}
