/**
 * The blocks that a request of a regular file gets (fs/ext4/mballoc.c, Linux 6.18: ext4_mb_new_blocks, ext4_mb_group_or_file,
 * ext4_mb_normalize_request, ext4_mb_new_inode_pa).
 *
 * Files of up to 16 blocks share runs of 512. A larger one that somebody has open to write asks for more than it needs, so that what is written next
 * follows on the disk, and is sought from the group on where the last such file was (stream allocation). One that nobody writes any more, and
 * fallocate, get what they ask for.
 */
import { freeAt, REQUEST_BLOCKS, take } from "./allocate.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE, BLOCKS_PER_GROUP, firstBlockOf } from "./layout.ts";
import { findRun, type Run } from "./mballoc.ts";
import { type Preallocation, SMALL_FILES } from "./preallocations.ts";
import type { Ext4State } from "./state.ts";
import type { ExtentTree } from "./tree.ts";

/** s_mb_stream_request: files of up to this many blocks are packed. */
const SMALL_FILE_BLOCKS = 16;
/** s_mb_group_prealloc. */
const LOCAL_BLOCKS = 512;
/** The most of a file's block that has the next one's number (EXT_MAX_BLOCKS). */
const FILE_BLOCKS_MAX = 2 ** 32 - 1;
/** The fewest blocks that an extent has before the next begins: as many whole requests as an unwritten one holds. */
const FULL_EXTENT_BLOCKS: number = 15 * REQUEST_BLOCKS;

/** What a file asks for. */
export interface Request {
  readonly ino: number;
  readonly data: FileData;
  /** Its first block that has none. */
  readonly block: number;
  readonly count: number;
  /** How many blocks the requests ask for that the same call makes one after the other, this one the first. */
  readonly most: number;
  /** Where the first block should lie, as its neighbours would have it. */
  readonly goal: number;
  /** How many blocks the file is long, with what is being written. */
  readonly sizeBlocks: number;
  /** EXT4_MB_HINT_NOPREALLOC: taken as it stands. */
  readonly isPlain: boolean;
  /** Whether they will be mapped as unwritten. */
  readonly unwritten: boolean;
}

/** Takes blocks for a request, and for those that go on with it on the disk: as many as are asked for or less. @returns whether some were free */
export function allocateData(state: Ext4State, request: Request, into: Run): boolean {
  into.start = request.goal;
  into.count = 0;
  if (goesOn(request, into) && followOn(state, request, into)) return true;
  if (!allocateOne(state, request, into)) return false;
  followOn(state, request, into);
  return true;
}

/** Takes blocks for the one request. */
function allocateOne(state: Ext4State, request: Request, into: Run): boolean {
  const { ino, block, count, sizeBlocks } = request;
  const own = state.preallocations.of(ino).find((one) => block >= one.logical && block < one.logical + one.count);
  if (own !== undefined) return useOwn(state, own, request, into);
  const end = block + count;
  if (Math.max(end, sizeBlocks) <= SMALL_FILE_BLOCKS) return allocateSmall(state, request, into);
  const streams = end !== sizeBlocks || state.writers.of(ino) > 0;
  const normal = request.isPlain || !streams ? undefined : normalized(state, request);
  const wanted = normal?.count ?? count;
  if (normal?.beside !== undefined && freeAt(state, normal.beside, wanted) === wanted) {
    into.start = normal.beside;
    into.count = wanted;
  } else {
    const goal = streams ? firstBlockOf(streamGroup(state, ino)) : request.goal;
    const found = findRun(state, { goal, count: wanted, least: count, isData: true });
    if (found === undefined) return false;
    into.start = found.start;
    into.count = found.count;
  }
  if (streams) noteStream(state, ino, into.start);
  if (normal !== undefined && into.count > count) return useOwn(state, preallocate(state, request, normal, into), request, into);
  const { start, count: found } = into;
  if (found === REQUEST_BLOCKS && state.groups.beginsWhole(start)) {
    // With the requests that follow, it may take the whole group, or several.
    into.count = 0;
    if (followOn(state, request, into)) return true;
  }
  return takeInto(state, into, start, found);
}

/** Whether a place lies behind the file's last extent, in the file and on the disk. */
function goesOn({ data, block, goal }: Request, { start }: Run): boolean {
  const { list } = data.tree;
  return list.count > 0 && list.end(list.count - 1) === block && start === goal;
}

function streamGroup({ streamGroups }: Ext4State, ino: number): number {
  return streamGroups[ino % streamGroups.length] as number;
}

/** Notes where a file of a stream got blocks. */
function noteStream({ streamGroups }: Ext4State, ino: number, block: number): void {
  streamGroups[ino % streamGroups.length] = Math.floor(block / BLOCKS_PER_GROUP);
}

/**
 * Takes the blocks of all the requests at once that a large file makes one after the other where each goes on with the last: whole spans of 8 MiB, as far
 * as they are free behind what `into` has, or from its start on, and it grows by them. @returns whether there is one at least
 */
function followOn(state: Ext4State, request: Request, into: Run): boolean {
  const { ino, data, block, sizeBlocks } = request;
  const first = block + into.count;
  if (sizeBlocks <= REQUEST_BLOCKS || first % REQUEST_BLOCKS !== 0 || state.preallocations.of(ino).length > 0) return false;
  const { list } = data.tree;
  if (list.count > 0 && list.end(list.count - 1) > block) return false;
  const together = blocksTogether(data.tree, goesOn(request, into), request.unwritten);
  let most = Math.min(request.most, together) - into.count;
  // The last request of a file that nobody writes is taken as it stands.
  if (state.writers.of(ino) === 0) most = Math.min(most, sizeBlocks - 1 - first);
  const before = into.count;
  while (most >= REQUEST_BLOCKS) {
    const more = takeBehind(state, into, most);
    if (more === 0) break;
    most -= more;
  }
  if (into.count === before) return false;
  noteStream(state, ino, into.start + into.count - 1);
  return true;
}

/** How many blocks can be had together, so that the tree needs no block of its own before the last request. */
function blocksTogether({ list, room }: ExtentTree, isBehindLast: boolean, unwritten: boolean): number {
  const elsewhere = Math.max(REQUEST_BLOCKS, room * FULL_EXTENT_BLOCKS);
  if (!isBehindLast) return elsewhere;
  const more = list.roomIn(list.count - 1, unwritten);
  // Without room for another extent, the one request is among those that the last one takes.
  return elsewhere + Math.max(0, more - (more % REQUEST_BLOCKS) - (room === 0 ? REQUEST_BLOCKS : 0));
}

/** Takes what is free behind a run, in its group or as whole groups: spans of 8 MiB, `most` blocks at most. @returns how many blocks */
function takeBehind(state: Ext4State, into: Run, most: number): number {
  const at = into.start + into.count;
  const groups = at % BLOCKS_PER_GROUP === 0 ? Math.floor(most / BLOCKS_PER_GROUP) : 0;
  const whole = groups === 0 ? 0 : takeWhole(state, at / BLOCKS_PER_GROUP, groups);
  const free = whole > 0 ? 0 : freeAt(state, at, most);
  const count = whole + free - (free % REQUEST_BLOCKS);
  if (whole === 0 && count > 0) take(state, at, count);
  into.count += count;
  return count;
}

/** Takes groups whole that are free as a whole, `most` at most. @returns how many blocks */
function takeWhole(state: Ext4State, group: number, most: number): number {
  const groups = state.groups.wholeFrom(group, most);
  if (groups === 0) return 0;
  state.groups.takeWhole(group, groups);
  const count = groups * BLOCKS_PER_GROUP;
  state.freeBlocks -= count;
  return count;
}

function takeInto(state: Ext4State, into: Run, start: number, count: number): true {
  take(state, start, count);
  into.start = start;
  into.count = count;
  return true;
}

/** Takes what of a preallocation is for a request. */
function useOwn(state: Ext4State, own: Preallocation, { block, count }: Request, into: Run): boolean {
  const skipped = block - own.logical;
  const taken = Math.min(count, own.count - skipped);
  const start = own.start + skipped;
  state.preallocations.use(own, taken);
  return takeInto(state, into, start, taken);
}

/** Keeps the blocks that were found; where they are fewer than sought, those of the file's blocks that begin or end where all of them would. */
function preallocate(
  state: Ext4State,
  { ino, block, count }: Request,
  normal: Normal,
  { start, count: found }: Run,
): Preallocation {
  let { logical } = normal;
  if (found < normal.count) {
    const atEnd = logical + normal.count - found;
    if (block >= atEnd) logical = atEnd;
    else if (block + count > logical + found) logical = block;
  }
  const made: Preallocation = { ino, logical, start, count: found, free: found };
  state.preallocations.add(made);
  return made;
}

/** A request made rounder. */
interface Normal {
  /** The file's blocks that are asked for. */
  readonly logical: number;
  readonly count: number;
  /** The block at which they go on with what the file has before or behind them. */
  readonly beside: number | undefined;
}

const KIB = 1024;
/** Up to these sizes of a file it is asked for whole. */
const WHOLE_KIB = [16, 32, 64, 128, 256, 512, 1024] as const;

/** Which blocks a file of so many is asked for where it needs some: a span of its size, or of 2 to 8 MiB at a multiple of its length. */
function spanOf(block: number, sizeBlocks: number): Run {
  const blocks = (kib: number): number => (kib * KIB) / BLOCK_SIZE;
  const spanned = (length: number): Run => ({ start: block - (block % length), count: length });
  const whole = WHOLE_KIB.find((kib) => sizeBlocks <= blocks(kib));
  if (whole !== undefined) return { start: 0, count: blocks(whole) };
  if (sizeBlocks <= blocks(4 * KIB)) return spanned(blocks(2 * KIB));
  if (sizeBlocks <= blocks(8 * KIB)) return spanned(blocks(4 * KIB));
  return spanned(blocks(8 * KIB));
}

function normalized(state: Ext4State, { ino, data, block, count, sizeBlocks }: Request): Normal {
  const { list } = data.tree;
  const span = spanOf(block, Math.max(block + count, sizeBlocks));
  let { start } = span;
  let end = Math.min(start + span.count, FILE_BLOCKS_MAX);
  const next = list.find(block);
  const before = next > 0 ? list.end(next - 1) : 0;
  if (next > 0 && start < before) start = before;
  if (next < list.count && end > list.logical(next)) end = list.logical(next);
  end = Math.min(end, start + BLOCKS_PER_GROUP);
  for (const one of state.preallocations.of(ino)) {
    const last = one.logical + one.count;
    if (last <= block && last > start) start = last;
    if (one.logical > block && one.logical < end) end = one.logical;
  }
  let beside: number | undefined;
  if (next < list.count && list.logical(next) === end && list.physical(next) >= end - start)
    beside = list.physical(next) - (end - start);
  if (next > 0 && before === start) beside = list.physical(next - 1) + list.length(next - 1);
  return { logical: start, count: end - start, beside };
}

/** Takes blocks for a small file: of what is kept for such, the nearest to where it should lie that suffices. */
function allocateSmall(state: Ext4State, request: Request, into: Run): boolean {
  const { goal, count, isPlain } = request;
  let near: Preallocation | undefined;
  for (const one of state.preallocations.of(SMALL_FILES)) {
    if (one.count < count) continue;
    if (near === undefined || Math.abs(goal - one.start) < Math.abs(goal - near.start)) near = one;
  }
  if (near === undefined) {
    const found = findRun(state, { goal, count: isPlain ? count : LOCAL_BLOCKS, least: count, isData: true });
    if (found === undefined) return false;
    if (found.count <= count || isPlain) return takeInto(state, into, found.start, Math.min(count, found.count));
    near = { ino: SMALL_FILES, logical: 0, start: found.start, count: found.count, free: found.count };
    state.preallocations.add(near);
  }
  const { start } = near;
  state.preallocations.use(near, count);
  return takeInto(state, into, start, count);
}
