/** fallocate(2) (fs/xfs/xfs_file.c, xfs_bmap_util.c: xfs_alloc_file_space, xfs_free_file_space, xfs_collapse_file_space, xfs_insert_file_space). */
import { EFBIG, EINVAL, ENOSPC, ENOTSUP, type Errno, isErrno } from "../../core/errno.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
} from "../../vfs/filesystem.ts";
import { mayTrim, trim, zeroBytes } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { makeFile, mappingOf, writeCached } from "./file-of.ts";
import { forkSpace } from "./fork-space.ts";
import { INNER_FLAGS, PREALLOCATED } from "./inodes.ts";
import { BLOCK_SIZE, FILE_SIZE_MAX } from "./layout.ts";
import { dropPromises, promiseWrite } from "./promise.ts";
import { canReserve } from "./reserve.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { freeMapped } from "./unmap.ts";
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
  const data = makeFile(state, ino);
  const failed = state.begin() ?? change(state, ino, data, { ...range, mode });
  if (failed !== undefined) return failed;
  stamp(state, ino, true);
  return undefined;
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
  if ((mode & FALLOC_FL_KEEP_SIZE) !== 0) return undefined;
  const end = offset + length;
  if (end > state.size(ino)) state.setSize(ino, end);
  data.onDisk = Math.max(data.onDisk, end);
  return undefined;
}

/** xfs_alloc_file_space: gives unwritten blocks to what has none. What is dirty in the range gets its place first. */
function fill(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { list } = data.fork;
  const end = Math.ceil((range.offset + range.length) / BLOCK_SIZE);
  const first = Math.floor(range.offset / BLOCK_SIZE);
  const flushed = data.delayedBlocks > 0 ? data.mapping?.flush(range.offset, range.length) : undefined;
  if (flushed !== undefined) return flushed;
  const missing = list.missing(first, end);
  const promised = data.delayedBlocks;
  if (missing > promised && !canReserve(state, ino, missing - promised)) return ENOSPC;
  const refused = state.begin(missing);
  if (refused !== undefined) return refused;
  for (let block = first; block < end; ) {
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, index < list.count ? list.logical(index) : end);
    const failed = allocateRange(state, ino, data, { start: block, end: gapEnd, unwritten: true, isHole: true });
    if (failed !== undefined) return failed;
    block = gapEnd;
  }
  return undefined;
}

/** xfs_free_file_space: whole blocks go, the parts of those at the edges are zeroed as far as the file reaches. */
function clear(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const stop = range.offset + range.length;
  const first = Math.ceil(range.offset / BLOCK_SIZE);
  const end = Math.floor(stop / BLOCK_SIZE);
  const within = Math.min(stop, state.size(ino));
  const head = Math.min(first * BLOCK_SIZE, within);
  const failed =
    (head > range.offset ? zeroBytes(state, ino, data, range.offset, head) : undefined) ??
    (end >= first && within > end * BLOCK_SIZE ? zeroBytes(state, ino, data, end * BLOCK_SIZE, within) : undefined);
  if (failed !== undefined || first >= end) return failed;
  const flushed = data.mapping?.flush(first * BLOCK_SIZE, (end - first) * BLOCK_SIZE);
  if (flushed !== undefined) return flushed;
  data.mapping?.punch(first * BLOCK_SIZE, (end - first) * BLOCK_SIZE);
  dropPromises(state, ino, data, first, end);
  freeMapped(state, ino, data, first, end);
  if (data.delayedBlocks === 0 || end * BLOCK_SIZE >= state.size(ino)) data.onDisk = state.size(ino);
  return undefined;
}

/** xfs_reflink_unshare: shared blocks are read and written, so that they get new ones. */
function unshare(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const size = state.size(ino);
  const end = Math.min(range.offset + range.length, size);
  const start = Math.floor(range.offset / BLOCK_SIZE) * BLOCK_SIZE;
  if (end <= start) return undefined;
  if (promiseWrite(state, ino, data, start, end - start) < end - start) return ENOSPC;
  const content = mappingOf(state, ino, data).read(start, end - start);
  if (isErrno(content)) return content;
  return writeCached(state, ino, data, { offset: start, content, size }) ?? data.mapping?.flush(start, end - start);
}

/** xfs_prepare_shift: writes everything dirty, and forgets cached pages from `offset` on: what follows moves. */
function quiesce(state: XfsState, ino: number, data: FileData, offset: number): Errno | undefined {
  const failed = data.mapping?.flush();
  if (failed !== undefined) return failed;
  data.mapping?.truncate(offset);
  if (mayTrim(state, ino, data)) trim(state, ino, data);
  return undefined;
}

function collapse(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (offset + length >= size) return EINVAL;
  const failed = quiesce(state, ino, data, offset);
  if (failed !== undefined) return failed;
  const end = (offset + length) / BLOCK_SIZE;
  freeMapped(state, ino, data, offset / BLOCK_SIZE, end);
  data.fork.list.shift(end, -(length / BLOCK_SIZE));
  return moved(state, ino, data, size - length);
}

function insert(state: XfsState, ino: number, data: FileData, range: Range): Errno | undefined {
  const { offset, length } = range;
  if (offset % BLOCK_SIZE !== 0 || length % BLOCK_SIZE !== 0) return EINVAL;
  const size = state.size(ino);
  if (size + length > FILE_SIZE_MAX) return EFBIG;
  if (offset >= size) return EINVAL;
  // The new size comes first: what is trimmed lies behind it.
  state.setSize(ino, size + length);
  const failed = quiesce(state, ino, data, offset);
  if (failed !== undefined) return failed;
  const { fork } = data;
  fork.list.split(offset / BLOCK_SIZE, fork);
  fork.list.shift(offset / BLOCK_SIZE, length / BLOCK_SIZE);
  return moved(state, ino, data, size + length);
}

function moved(state: XfsState, ino: number, data: FileData, size: number): undefined {
  const space = forkSpace(state, ino);
  data.fork.settle(space);
  data.fork.dirtyAll(space);
  state.dirtyFork(ino);
  state.setSize(ino, size);
  data.onDisk = size;
  return undefined;
}
