/**
 * Delayed allocation: blocks that a write promises, and what more it takes in advance (fs/xfs/xfs_iomap.c: xfs_buffered_write_iomap_begin,
 * xfs_iomap_prealloc_size; libxfs/xfs_bmap.c: xfs_bmapi_reserve_delalloc).
 *
 * Interface: a write is taken in pieces of up to 4 MiB; a piece finds room as a whole or not at all. A write behind the end of a file of 64 KiB or more
 * takes blocks behind it in advance: as many as the extent before has, doubled. Shared blocks get new ones in the copy-on-write fork, in
 * aligned runs of 32.
 */
import { KIB, MIB } from "../../core/units.ts";
import { CowFork, type FileData } from "./file-data.ts";
import { INNER_FLAGS, PROJECT, SHARES } from "./inodes.ts";
import { BLOCK_SIZE, EXTENT_BLOCKS_MAX, worstTreeBlocks } from "./layout.ts";
import { PromisedExtents } from "./promised-extents.ts";
import { canReserve } from "./reserve.ts";
import { firstShared } from "./shared.ts";
import type { XfsState } from "./state.ts";

/** What one mapping of a write covers at most: 1024 pages. */
const PIECE_BYTES: number = MIB(4);
/** m_allocsize_blocks: the least that is taken in advance. */
const ADVANCE_BLOCKS_MIN: number = KIB(64) / BLOCK_SIZE;
/** XFS_DEFAULT_COWEXTSZ_HINT. */
const COW_BLOCKS = 32;

/** Logical blocks [start, end). */
type Range = readonly [start: number, end: number];

function charge(state: XfsState, ino: number, blocks: number): void {
  state.delayedBlocks += blocks;
  state.projects.charge(state.word(ino, PROJECT), blocks);
}

/** Promises [start, end) of a fork, nothing of which is promised or mapped. @returns false when there is no room. */
function promise(state: XfsState, ino: number, promised: PromisedExtents, start: number, end: number): boolean {
  const { geometry } = state;
  const count = end - start;
  if (!canReserve(state, ino, count) || state.available < count + worstTreeBlocks(geometry, count)) return false;
  const before = promised.indirect;
  promised.promise(geometry, start, end);
  charge(state, ino, count);
  state.delayedBlocks += promised.indirect - before;
  return true;
}

/** Ends the promises of a fork in a range: the blocks have got their place, or nothing comes of them. */
export function endPromises(
  state: XfsState,
  ino: number,
  promised: PromisedExtents,
  [start, end]: Range,
  how: "kept" | "dropped",
): void {
  const before = promised.indirect;
  charge(state, ino, -promised.end(state.geometry, { start, end }, how));
  state.delayedBlocks += promised.indirect - before;
}

/** The same of a file's own fork, which has none to keep then where nothing is promised. */
export function endOwnPromises(state: XfsState, ino: number, data: FileData, range: Range, how: "kept" | "dropped"): void {
  if (data.delayed === undefined) return;
  endPromises(state, ino, data.delayed, range, how);
  if (data.delayed.blocks.covered === 0) data.delayed = undefined;
}

/** Where the copy-on-write fork's range ends that holds a block; the block itself when none does. */
export function cowEnd(data: FileData, block: number): number {
  const { cow } = data;
  if (cow === undefined) return block;
  const index = cow.list.find(block);
  if (index < cow.list.count && cow.list.logical(index) <= block) return cow.list.end(index);
  return cow.delayed.blocks.nextGap(block);
}

/** Where the copy-on-write fork's range begins that is next behind a block; infinity: none is. */
function nextCow(cow: CowFork, block: number): number {
  const index = cow.list.find(block);
  const own = index < cow.list.count ? cow.list.logical(index) : Number.POSITIVE_INFINITY;
  return Math.min(own, cow.delayed.blocks.nextCovered(block) ?? own);
}

/**
 * What is promised for blocks [start, end) of a hole of the copy-on-write fork: whole runs of 32, as long as those where they have to begin behind what the
 * fork has, or to end before it (libxfs/xfs_bmap.c: xfs_bmap_extsize_align).
 */
function alignedCow(data: FileData, cow: CowFork, [start, end]: Range): Range {
  let first = Math.floor(start / COW_BLOCKS) * COW_BLOCKS;
  const length = Math.ceil(end / COW_BLOCKS) * COW_BLOCKS - first;
  const next = nextCow(cow, start);
  let before = 0;
  for (let block = first; block < start; block += 1) {
    const covered = cowEnd(data, block);
    if (covered > block) before = covered;
  }
  if (first !== start) first = Math.max(first, before);
  if (first + length !== end && first + length > next) first = Math.max(0, next - length, before);
  return [first, first + length === end ? end : Math.min(first + length, next)];
}

/** Promises new blocks for shared ones from `start` on, where the fork has none. @returns up to where; `start` when there is no room */
function promiseCow(state: XfsState, ino: number, data: FileData, start: number, end: number): number {
  data.cow ??= new CowFork();
  const { cow } = data;
  const [first, last] = alignedCow(data, cow, [start, Math.min(end, nextCow(cow, start))]);
  if (!promise(state, ino, cow.delayed, first, last)) return start;
  return Math.min(end, last);
}

/** How long the run of blocks is that ends before `block`: promised ones, or extents that continue each other on the disk. */
function lengthBefore(data: FileData, block: number): number {
  const delayed = data.delayed?.blocks;
  if (delayed?.has(block - 1) === true) return block - delayed.startOf(block - 1);
  const { list } = data.fork;
  let index = list.find(block - 1);
  if (index >= list.count || list.logical(index) >= block) return 0;
  let length = block - list.logical(index);
  for (; index > 0 && length <= EXTENT_BLOCKS_MAX / 2; index--) {
    const before = index - 1;
    if (list.end(before) !== list.logical(index)) break;
    if (list.physical(before) + list.length(before) !== list.physical(index)) break;
    length += list.length(before);
  }
  return length;
}

/** By how many bits the advance is cut where space is low: below 5 %, 4 %, … of the disk. */
function shortage(state: XfsState, free: number): number {
  let shift = 0;
  for (let percent = 5; percent >= 1; percent--)
    if (free < Math.floor(state.geometry.blocks / 100) * percent) shift += percent === 5 ? 2 : 1;
  return shift;
}

function floorToPowerOfTwo(value: number): number {
  return value < 1 ? 0 : 2 ** Math.floor(Math.log2(value));
}

/** xfs_iomap_prealloc_size: how many blocks a write to `block` on is worth in advance. @param size - the file's size then. */
function advanceBlocks(
  state: XfsState,
  ino: number,
  data: FileData,
  block: number,
  range: { end: number; size: number },
): number {
  if (range.end <= range.size || range.size < ADVANCE_BLOCKS_MIN * BLOCK_SIZE) return 0;
  const before = range.size < state.geometry.stripeUnit * BLOCK_SIZE ? 0 : lengthBefore(data, block);
  if (before === 0) return ADVANCE_BLOCKS_MIN;
  let blocks = before * 2;
  if (blocks > EXTENT_BLOCKS_MAX) blocks = block;
  blocks = Math.min(EXTENT_BLOCKS_MAX + 1, blocks);
  const throttle = state.projects.throttle(state.word(ino, PROJECT), blocks);
  const available = Math.max(0, state.available);
  const free = Math.min(available, throttle.free);
  const shift = Math.max(shortage(state, available), throttle.shift);
  blocks = floorToPowerOfTwo(Math.floor(Math.min(blocks, throttle.most) / 2 ** shift));
  blocks = Math.min(blocks, EXTENT_BLOCKS_MAX);
  while (blocks > 0 && blocks >= free) blocks = Math.floor(blocks / 16);
  return Math.max(blocks, ADVANCE_BLOCKS_MIN);
}

/** xfs_eof_alignment: on a striped device what a file of a stripe unit or more takes ends with a unit. */
function stripeEnd({ geometry: { stripeUnit } }: XfsState, size: number, end: number): number {
  return stripeUnit === 0 || size < stripeUnit * BLOCK_SIZE ? end : Math.ceil(end / stripeUnit) * stripeUnit;
}

/** What is left of a write as one mapping of it begins: logical blocks, the last byte's end, and the file's size by then. */
interface Piece {
  readonly from: number;
  readonly end: number;
  readonly endByte: number;
  readonly size: number;
}

/** Promises a gap, and what is taken in advance when nothing follows it. */
function promiseGap(state: XfsState, ino: number, data: FileData, to: number, piece: Piece): boolean {
  const { from, endByte, size } = piece;
  data.delayed ??= new PromisedExtents();
  const promised = data.delayed;
  const isLast = data.fork.list.find(from) >= data.fork.list.count && promised.blocks.nextCovered(from) === undefined;
  if (isLast) {
    const advance = advanceBlocks(state, ino, data, from, { end: endByte, size });
    const aligned = Math.floor((endByte - 1) / (ADVANCE_BLOCKS_MIN * BLOCK_SIZE)) * ADVANCE_BLOCKS_MIN;
    const end = stripeEnd(state, size, aligned + advance);
    if (advance > 0 && end > to && promise(state, ino, promised, from, end)) return true;
  }
  return promise(state, ino, promised, from, to);
}

/** Promises what one mapping of a write covers. @returns where the next begins; where it begun when there is no room. */
function promisePiece(state: XfsState, ino: number, data: FileData, piece: Piece): number {
  const { list } = data.fork;
  const { from, end } = piece;
  const shares = (state.word(ino, INNER_FLAGS) & SHARES) !== 0;
  const covered = shares ? cowEnd(data, from) : from;
  if (covered > from) return Math.min(end, covered);
  const index = list.find(from);
  if (index < list.count && list.logical(index) <= from) {
    const stop = Math.min(end, list.end(index));
    if (!shares || list.isUnwritten(index)) return stop;
    const found = firstShared(state, list.physical(index) + from - list.logical(index), stop - from);
    if (found.offset > 0) return from + found.offset;
    return promiseCow(state, ino, data, from, from + found.length);
  }
  const gap = data.delayed?.blocks.nextGap(from) ?? from;
  if (gap > from) return Math.min(end, gap);
  const next = index < list.count ? list.logical(index) : end;
  const to = Math.min(end, next, data.delayed?.blocks.nextCovered(from) ?? end);
  return promiseGap(state, ino, data, to, piece) ? to : from;
}

/** Where the mapping of blocks ends that a write goes through from a block on. @param next - where what it asked of the mapping ends */
function mappingEnd(state: XfsState, ino: number, data: FileData, { from, next }: { from: number; next: number }): number {
  if ((state.word(ino, INNER_FLAGS) & SHARES) !== 0) return next;
  const { list } = data.fork;
  const index = list.find(from);
  if (index < list.count && list.logical(index) <= from) return list.end(index);
  return data.delayed?.blocks.nextGap(from) ?? next;
}

/**
 * Promises what a write of `length` bytes from `offset` on needs.
 * @param borders - gets the blocks, in order, at which the mappings end that the write goes through
 * @returns how many bytes may be written
 */
export function promiseWrite(
  state: XfsState,
  ino: number,
  data: FileData,
  { offset, length }: { readonly offset: number; readonly length: number },
  borders?: number[],
): number {
  const last = Math.ceil((offset + length) / BLOCK_SIZE);
  const { list } = data.fork;
  const first = Math.floor(offset / BLOCK_SIZE);
  const shares = (state.word(ino, INNER_FLAGS) & SHARES) !== 0;
  if (borders === undefined && !shares && list.missing(first, last) === 0) return length;
  for (let from = first; from < last; ) {
    const byte = Math.max(offset, from * BLOCK_SIZE);
    const endByte = Math.min(offset + length, byte + PIECE_BYTES);
    const size = Math.max(state.size(ino), from > first ? byte : 0);
    const next = promisePiece(state, ino, data, { from, end: Math.ceil(endByte / BLOCK_SIZE), endByte, size });
    if (next === from) return byte - offset;
    borders?.push(mappingEnd(state, ino, data, { from, next }));
    from = next;
  }
  return length;
}
