/** fallocate(2) (fs/xfs/xfs_file.c, xfs_bmap_util.c: xfs_alloc_file_space, xfs_free_file_space, xfs_collapse_file_space, xfs_insert_file_space). */
import { EFBIG, EINVAL, ENOSPC, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
import { PAGE_SIZE } from "../../vfs/address-space.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
} from "../../vfs/filesystem.ts";
import { mayTrim, trim, trimOthers, truncate, zeroBytes } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { makeFile, mappingOf, writeCached } from "./file-of.ts";
import { forkSpace } from "./fork-space.ts";
import { INNER_FLAGS, PREALLOCATED, SHARES } from "./inodes.ts";
import { BLOCK_SIZE, EXTENT_BLOCKS_MAX, extentReserve, FILE_SIZE_MAX } from "./layout.ts";
import { promiseWrite } from "./promise.ts";
import { canReserve } from "./reserve.ts";
import { firstShared } from "./shared.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { cancelCow, freeData } from "./unmap.ts";
import { allocateRange } from "./writeback.ts";

const SUPPORTED: number =
  FALLOC_FL_KEEP_SIZE |
  FALLOC_FL_PUNCH_HOLE |
  FALLOC_FL_COLLAPSE_RANGE |
  FALLOC_FL_ZERO_RANGE |
  FALLOC_FL_INSERT_RANGE |
  FALLOC_FL_UNSHARE_RANGE;

interface Range {
  readonly offset: number;
  readonly length: number;
}

export function fallocate(state: XfsState, ino: number, mode: number, range: Range): Errno | undefined {
  if ((mode & ~SUPPORTED) !== 0) return ENOTSUP;
  if (range.offset + range.length > FILE_SIZE_MAX) return EFBIG;
  const failed = state.begin() ?? state.reachBody(ino);
  if (failed !== undefined) return failed;
  // Whatever comes of it, and before a range is looked at (xfs_file_fallocate: file_modified).
  stamp(state, ino, true);
  return change(state, ino, makeFile(state, ino), { ...range, mode });
}

function change(state: XfsState, ino: number, data: FileData, asked: Range & { readonly mode: number }): Errno | undefined {
  const { mode, offset, length } = asked;
  const range = { offset, length };
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) return clear(state, ino, data, range);
  if ((mode & FALLOC_FL_COLLAPSE_RANGE) !== 0) return collapse(state, ino, data, range);
  if ((mode & FALLOC_FL_INSERT_RANGE) !== 0) return insert(state, ino, data, range);
  let failed: Errno | undefined;
  if ((mode & FALLOC_FL_ZERO_RANGE) !== 0) failed = clear(state, ino, data, range);
  if ((mode & FALLOC_FL_UNSHARE_RANGE) !== 0) failed = unshare(state, ino, data, range);
  failed ??= fill(state, ino, data, range);
  if (failed !== undefined) return failed;
  state.setWord(ino, INNER_FLAGS, state.word(ino, INNER_FLAGS) | PREALLOCATED);
  const end = offset + length;
  // xfs_falloc_setsize: the file grows as by truncate(2), so that what was written below the new end gets its place.
  return (mode & FALLOC_FL_KEEP_SIZE) === 0 && end > state.size(ino) ? truncate(state, ino, end, false) : undefined;
}

/** Whether a transaction may set aside what is left of a range, also what of it the file has already (XFS_DIOSTRAT_SPACE_RES). */
function hasRoom(state: XfsState, ino: number, left: number): boolean {
  const wanted = Math.min(left, EXTENT_BLOCKS_MAX) + extentReserve(state.geometry);
  if (canReserve(state, ino, wanted)) return true;
  trimOthers(state, ino);
  return canReserve(state, ino, wanted);
}

/**
 * xfs_alloc_file_space: gives unwritten blocks to what has none; to what was promised too, whose pages stay dirty. A transaction for each
 * extent: what the ones before the refused one gave stays.
 */
function fill(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { list } = data.fork;
  const end = Math.ceil((range.offset + range.length) / BLOCK_SIZE);
  const first = Math.floor(range.offset / BLOCK_SIZE);
  const refused = state.begin(list.missing(first, end));
  if (refused !== undefined) return refused;
  for (let block = first; block < end; ) {
    if (!hasRoom(state, ino, end - block)) return ENOSPC;
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, index < list.count ? list.logical(index) : end, block + EXTENT_BLOCKS_MAX);
    const isHole = data.delayed?.blocks.has(block) !== true;
    const change = isHole ? data.delayed?.blocks.nextCovered(block) : data.delayed?.blocks.nextGap(block);
    const stop = Math.min(gapEnd, change ?? gapEnd);
    const failed = allocateRange(state, ino, data, { start: block, end: stop, unwritten: true, isHole });
    if (failed !== undefined) return failed;
    block = stop;
  }
  return undefined;
}

/** Writes what is dirty in the pages of a range, and forgets them (xfs_flush_unmap_range). */
function settlePages(data: FileData, start: number, stop: number): Errno | undefined {
  const first = Math.floor(start / PAGE_SIZE) * PAGE_SIZE;
  const length = Math.ceil(stop / PAGE_SIZE) * PAGE_SIZE - first;
  const failed = data.mapping?.flush(first, length);
  if (failed === undefined) data.mapping?.punch(first, length);
  return failed;
}

/** xfs_free_file_space: whole blocks go, the parts of those at the edges are zeroed as far as the file reaches. */
function clear(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const stop = range.offset + range.length;
  const unsettled = settlePages(data, range.offset, stop);
  if (unsettled !== undefined) return unsettled;
  const first = Math.ceil(range.offset / BLOCK_SIZE);
  const end = Math.floor(stop / BLOCK_SIZE);
  if (first < end) {
    freeData(state, ino, data, first, end);
  }
  const size = state.size(ino);
  const within = Math.min(stop, size);
  const head = Math.min(first * BLOCK_SIZE, within);
  return (
    (head > range.offset ? zeroBytes(state, ino, data, range.offset, head) : undefined) ??
    (end >= first && within > end * BLOCK_SIZE ? zeroBytes(state, ino, data, end * BLOCK_SIZE, within) : undefined) ??
    // The last page of the file is written when it was zeroed to its end.
    (stop >= size && stop % PAGE_SIZE !== 0 ? data.mapping?.flush(end * BLOCK_SIZE, PAGE_SIZE) : undefined)
  );
}

/**
 * xfs_reflink_unshare: blocks that other files use too are read and written, so that they get new ones; all that is dirty in the range is written. A file that
 * shares nothing any more gives back what its copy-on-write fork took in advance, unless the flusher has still to come to it
 * (xfs_reflink_try_clear_inode_flag, xfs_can_free_cowblocks).
 */
function unshare(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  if ((state.word(ino, INNER_FLAGS) & SHARES) === 0) return undefined;
  const size = state.size(ino);
  const end = Math.min(range.offset + range.length, size);
  for (const run of sharedRuns(state, data, Math.floor(range.offset / BLOCK_SIZE), Math.ceil(end / BLOCK_SIZE))) {
    const offset = run.start * BLOCK_SIZE;
    const length = Math.min(size, run.end * BLOCK_SIZE) - offset;
    if (promiseWrite(state, ino, data, { offset, length }) < length) return ENOSPC;
    const content = mappingOf(state, ino, data).read(offset, length);
    if (isErrno(content)) return content;
    const failed = writeCached(state, ino, data, { offset, content, size });
    if (failed !== undefined) return failed;
  }
  const lost = data.mapping?.flush(range.offset, range.length);
  if (lost !== undefined || state.dirtyFiles.has(ino)) return lost;
  if (sharedRuns(state, data, 0, Number.MAX_SAFE_INTEGER).length > 0) return undefined;
  cancelCow(state, ino, data, 0, Number.MAX_SAFE_INTEGER);
  state.setWord(ino, INNER_FLAGS, state.word(ino, INNER_FLAGS) & ~SHARES);
  state.dirtyInode(ino);
  return undefined;
}

/** The runs of [first, end) whose blocks other files use too. */
function sharedRuns(state: XfsState, data: FileData, first: number, end: number): { start: number; end: number }[] {
  const { list } = data.fork;
  const runs: { start: number; end: number }[] = [];
  for (let index = list.find(first); index < list.count && list.logical(index) < end; index++) {
    if (list.isUnwritten(index)) continue;
    const stop = Math.min(end, list.end(index));
    for (let block = Math.max(first, list.logical(index)); block < stop; ) {
      const found = firstShared(state, list.physical(index) + block - list.logical(index), stop - block);
      if (found.length > 0) runs.push({ start: block + found.offset, end: block + found.offset + found.length });
      block += found.offset + found.length;
    }
  }
  return runs;
}

/** xfs_prepare_shift: from the block before on everything dirty is written, and cached pages are forgotten: what follows moves. */
function quiesce(state: XfsState, ino: number, data: FileData, offset: number): Errno | undefined {
  if (mayTrim(state, ino, data)) trim(state, ino, data);
  const start = Math.max(0, offset - PAGE_SIZE);
  const failed = settlePages(data, start, Math.max(offset, state.size(ino)));
  if (failed === undefined) cancelCow(state, ino, data, start / BLOCK_SIZE, Number.MAX_SAFE_INTEGER);
  return failed;
}

function collapse(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (offset + length >= size) return EINVAL;
  const failed = clear(state, ino, data, range) ?? quiesce(state, ino, data, offset);
  if (failed !== undefined) return failed;
  data.fork.list.shift((offset + length) / BLOCK_SIZE, -(length / BLOCK_SIZE));
  return moved(state, ino, data) ?? truncate(state, ino, size - length, false);
}

function insert(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (size + length > FILE_SIZE_MAX) return EFBIG;
  if (offset >= size) return EINVAL;
  // The new size comes first: what is trimmed lies behind it.
  const failed = truncate(state, ino, size + length, false) ?? quiesce(state, ino, data, offset);
  if (failed !== undefined) return failed;
  const { fork } = data;
  fork.list.split(offset / BLOCK_SIZE, fork);
  fork.list.shift(offset / BLOCK_SIZE, length / BLOCK_SIZE);
  return moved(state, ino, data);
}

/** The extents of a file have come to other places. */
function moved(state: XfsState, ino: number, data: FileData): undefined {
  const space = forkSpace(state, ino);
  data.fork.settle(space);
  data.fork.dirtyAll(space);
  state.dirtyFork(ino);
  return undefined;
}
