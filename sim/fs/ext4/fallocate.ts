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
import { canReserve, claimable } from "./allocate.ts";
import { FILE_SIZE_MAX, freeRange, makeFile, mappingOf } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";
import { mapMissing } from "./writeback.ts";

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
  if (end > state.size(ino)) state.setSize(ino, end);
  data.onDisk = Math.max(data.onDisk, end);
}

function preallocate(state: Ext4State, ino: number, data: FileData, range: Range, mode: number): Errno | undefined {
  const failed = fill(state, ino, data, range);
  const given = failed === ENOSPC ? fillSome(state, ino, data, range) : range;
  if (failed !== undefined && failed !== ENOSPC) return failed;
  if (given === undefined) return failed;
  grow(state, ino, data, given, mode);
  return failed;
}

/** Gives unwritten blocks to what has none; to what was promised too, whose pages stay dirty (ext4_alloc_file_blocks). */
function fill(state: Ext4State, ino: number, data: FileData, range: Range): Errno | undefined {
  const end = Math.ceil((range.offset + range.length) / BLOCK_SIZE);
  const first = Math.floor(range.offset / BLOCK_SIZE);
  const missing = data.tree.list.missing(first, end);
  const promised = data.delayedBlocks;
  if (missing > promised && !canReserve(state, missing - promised)) return ENOSPC;
  const refused = state.begin(missing);
  if (refused !== undefined) return refused;
  return mapMissing(state, ino, data, { start: first, end, unwritten: true });
}

/**
 * Gives what blocks there are to the beginning of a range, which keeps them though the call fails. @returns the part that has blocks now; undefined
 * where there were none to give.
 */
function fillSome(state: Ext4State, ino: number, data: FileData, { offset, length }: Range): Range | undefined {
  const free = claimable(state);
  const first = Math.floor(offset / BLOCK_SIZE);
  const { list } = data.tree;
  let least = first;
  let most = Math.ceil((offset + length) / BLOCK_SIZE);
  // With space enough something else stood against it; and promised blocks are somebody's already.
  if (free <= 0 || data.delayedBlocks > 0 || list.missing(first, most) <= free) return undefined;
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (list.missing(first, middle) <= free) least = middle;
    else most = middle;
  }
  if (least === first || state.begin(free) !== undefined) return undefined;
  const failed = mapMissing(state, ino, data, { start: first, end: least, unwritten: true });
  return failed === undefined ? { offset, length: least * BLOCK_SIZE - offset } : undefined;
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
  const filled = fill(state, ino, data, range);
  if (filled !== undefined) return filled;
  const failed = zeroEdges(state, ino, data, range);
  if (failed !== undefined) return failed;
  const first = Math.ceil(range.offset / BLOCK_SIZE);
  const end = Math.floor((range.offset + range.length) / BLOCK_SIZE);
  if (first < end) {
    data.mapping?.punch(first * BLOCK_SIZE, (end - first) * BLOCK_SIZE);
    convertExtents(data.tree.list, first, end, { unwritten: true, growth: data.tree });
    settleTree(state, ino, data.tree);
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
  freeRange(state, ino, data, offset / BLOCK_SIZE, end);
  data.tree.list.shift(end, -(length / BLOCK_SIZE));
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
  data.tree.list.split(offset / BLOCK_SIZE, data.tree);
  data.tree.list.shift(offset / BLOCK_SIZE, length / BLOCK_SIZE);
  return moved(state, ino, data, size + length);
}

function moved(state: Ext4State, ino: number, data: FileData, size: number): undefined {
  settleTree(state, ino, data.tree);
  data.tree.dirtyAll(state.journal);
  state.setSize(ino, size);
  data.onDisk = size;
  return undefined;
}
