/**
 * Data of regular files (module/zfs/zfs_vnops.c: zfs_read, zfs_write; zfs_znode.c: zfs_extend, zfs_trunc, zfs_grow_blocksize).
 *
 * A file of one block has a block of its own length in units of 512 bytes; once it is longer than the record size, all its blocks are of that size
 * (spec/block-cow.md §3.2). A block size never falls again.
 *
 * Interface: reading does not go through the page cache: blocks come from the dirty ones, or through the ARC. A write that runs out of room
 * part of the way gives what it wrote.
 */
import { Content } from "../../../core/content.ts";
import { EFBIG, EINVAL, ENOSPC, ENOTSUP, ENXIO, type Errno, isErrno } from "../../../core/errno.ts";
import { alignUp } from "../../../core/units.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, S_IFMT, S_IFREG } from "../../../vfs/filesystem.ts";
import { SECTOR } from "../compress.ts";
import { writeIntents } from "../log-records.ts";
import { BLOCK_SIZE, BLOCKS, CTIME, LEVELS, MODE, MTIME, SIZE } from "../records.ts";
import { fileOf, updatePages, withStored, writeBack } from "./mapped.ts";
import { ATTRIBUTE_BYTES, type ZplState } from "./state.ts";

/** The largest file, in bytes: what a number holds. ZFS's own limit is 2^63. */
const FILE_SIZE_MAX: number = 2 ** 53 - 2 ** 20;
/** A block of more runs than this is made one run of bytes. */
const RUNS_MAX = 256;
const END = Number.POSITIVE_INFINITY;

/** A block as it is now; undefined for a hole. May be shorter than the block size: zeros follow. */
function blockContent(state: ZplState, object: number, block: number): Content | undefined | Errno {
  const data = state.files.get(object);
  const dirty = data?.dirty.get(block);
  if (dirty !== undefined) return dirty;
  if (data !== undefined && data.holes.length > 0 && data.isHole(block)) return undefined;
  const pointer = state.set.pointerOf(object, block);
  return pointer === undefined || isErrno(pointer) ? pointer : state.set.store.read(pointer);
}

export function read(state: ZplState, object: number, offset: number, length: number): Content | Errno {
  if ((state.set.word(object, MODE) & S_IFMT) !== S_IFREG) return EINVAL;
  const end = Math.min(offset + length, state.set.word(object, SIZE));
  if (end <= offset) return Content.empty;
  const size = state.set.word(object, BLOCK_SIZE);
  const blocks = state.set.word(object, BLOCKS);
  const parts: Content[] = [];
  let at = offset;
  while (at < end) {
    const block = size === 0 ? blocks : Math.floor(at / size);
    if (block >= blocks) break;
    const start = block * size;
    const to = Math.min(end, start + size);
    const content = blockContent(state, object, block);
    if (isErrno(content)) return content;
    const part = content?.slice(at - start, to - start) ?? Content.empty;
    parts.push(part);
    if (part.length < to - at) parts.push(Content.zeros(to - at - part.length));
    at = to;
  }
  if (at < end) parts.push(Content.zeros(end - at));
  return withStored(state, object, offset, Content.concat(parts));
}

/** Makes the blocks as large as a file that ends at `end` has them. */
function growBlocks(state: ZplState, object: number, end: number): Errno | undefined {
  const { set } = state;
  const size = set.word(object, BLOCK_SIZE);
  const most = state.dataset.recordSize;
  if (set.word(object, BLOCKS) > 1 || end <= size) return undefined;
  const isPowerOf2 = size > 0 && 2 ** Math.round(Math.log2(size)) === size;
  if (size >= most && isPowerOf2) return undefined;
  const limit = size > most ? 2 ** Math.ceil(Math.log2(size)) : most;
  const grown = Math.min(alignUp(end, SECTOR), limit);
  if (grown <= size) return undefined;
  const first = set.word(object, BLOCKS) === 0 ? undefined : blockContent(state, object, 0);
  if (isErrno(first)) return first;
  set.setWord(object, BLOCK_SIZE, grown);
  if (first !== undefined) fileOf(state, object).put(0, first);
  return undefined;
}

/** A block with `part` put in at `from`. */
function merged(before: Content, from: number, part: Content): Content {
  const pieces = [before.slice(0, from)];
  if (before.length < from) pieces.push(Content.zeros(from - before.length));
  pieces.push(part, before.slice(from + part.length));
  const content = Content.concat(pieces);
  const isBytes = content.runs.length > RUNS_MAX && content.runs.every((run) => run.kind !== "record");
  return isBytes ? Content.literal(content.toBytes()) : content;
}

/** Writes record by record, each with room that is asked for and a part of the log's record of the call; what a later one is refused stays out. */
export function write(state: ZplState, object: number, offset: number, content: Content): number | Errno {
  if (offset + content.length > FILE_SIZE_MAX) return EFBIG;
  const most = state.dataset.recordSize;
  let done = 0;
  let failed: Errno | undefined;
  do {
    const at = offset + done;
    const part = content.slice(done, done + most - (at % most));
    failed =
      state.begin(part.length, dirtiedBy(state, object, at, part.length)) ??
      (done === 0 ? growBlocks(state, object, offset + content.length) : undefined);
    failed ??= writeRecord(state, object, at, part);
    if (failed === undefined) done += part.length;
  } while (failed === undefined && done < content.length);
  if (failed !== undefined && done === 0) return failed;
  updatePages(state, object, offset, content.slice(0, done));
  state.dataset.settle();
  return done;
}

/** Bytes of the blocks that a write makes dirty: its own, and with the first of a file's in a group the indirect ones above (dbuf_dirty). */
function dirtiedBy({ set, files }: ZplState, object: number, offset: number, length: number): number {
  const size = set.word(object, BLOCK_SIZE);
  if (size === 0) return length;
  const dirty = files.get(object)?.dirty;
  let sum = 0;
  for (let block = Math.floor(offset / size); block * size < offset + length; block++)
    if (dirty?.has(block) !== true) sum += size;
  const levels = Math.max(set.word(object, LEVELS), offset + length > size ? 2 : 1);
  return sum + (set.pending(object) === undefined ? (levels - 1) << set.store.profile.indirectShift : 0);
}

/**
 * Writes dirty pages of mappings to their blocks (zfs_putpage): what lies within the file, which keeps the times that the store gave it.
 * @param content - whole pages
 */
export function putPages(state: ZplState, object: number, start: number, content: Content): Errno | undefined {
  const { set } = state;
  const length = Math.min(content.length, set.word(object, SIZE) - start);
  if (length <= 0) return undefined;
  const [mtime, ctime] = [set.time(object, MTIME), set.time(object, CTIME)];
  const failed =
    state.begin(length, dirtiedBy(state, object, start, length)) ?? writeRecord(state, object, start, content.slice(0, length));
  if (failed !== undefined) return failed;
  set.setTime(object, MTIME, mtime);
  set.setTime(object, CTIME, ctime);
  state.dataset.settle();
  return undefined;
}

/** Writes one record's worth, block by block: files whose blocks are smaller have several in it. */
function writeRecord(state: ZplState, object: number, offset: number, content: Content): Errno | undefined {
  const { set } = state;
  const data = fileOf(state, object);
  const size = set.word(object, BLOCK_SIZE);
  for (let done = 0; done < content.length; ) {
    const block = Math.floor((offset + done) / size);
    const from = offset + done - block * size;
    const part = content.slice(done, done + size - from);
    const isWhole = from === 0 && part.length === size;
    const before = isWhole ? Content.empty : blockContent(state, object, block);
    if (isErrno(before)) return before;
    data.put(block, isWhole ? part : merged(before ?? Content.empty, from, part));
    if (block >= set.word(object, BLOCKS)) set.setWord(object, BLOCKS, block + 1);
    done += part.length;
    if (offset + done > set.word(object, SIZE)) set.setWord(object, SIZE, offset + done);
  }
  state.stamp(object, true);
  const how = { blockSize: size, throughput: state.dataset.throughput };
  for (const intent of writeIntents({ object, offset, length: content.length }, how)) state.dataset.remember(intent);
  return undefined;
}

/** Takes the bytes of [offset, end) away: whole blocks become holes, parts of blocks zeros. */
function clearRange(state: ZplState, object: number, offset: number, end: number): Errno | undefined {
  const { set } = state;
  const size = set.word(object, BLOCK_SIZE);
  const blocks = set.word(object, BLOCKS);
  if (size === 0 || blocks === 0) return undefined;
  const first = Math.ceil(offset / size);
  const last = end === END ? END : Math.floor(end / size);
  const data = fileOf(state, object);
  const left = new Map<number, Content>();
  // The blocks of both edges, of which a part stays.
  for (const block of new Set([Math.floor(offset / size), end === END ? blocks : Math.floor(end / size)])) {
    if (block >= blocks || (block >= first && block < last)) continue;
    const content = blockContent(state, object, block);
    if (isErrno(content)) return content;
    const from = Math.max(0, offset - block * size);
    const to = Math.min(size, end - block * size);
    if (content !== undefined && from < to) left.set(block, cleared(content, from, to));
  }
  for (const [block, content] of left) data.put(block, content);
  if (first < Math.min(last, blocks)) data.punch(first, last);
  data.mapping?.punch(offset, Math.min(end, FILE_SIZE_MAX) - offset);
  return undefined;
}

/** A block with zeros in [from, to). */
function cleared(content: Content, from: number, to: number): Content {
  const rest = content.slice(to);
  const zeros = rest.length > 0 ? Content.zeros(to - from) : Content.empty;
  return Content.concat([content.slice(0, from), zeros, rest]);
}

/** Cuts a file, or, where there is room, lets it grow. The log is told by whoever asks (zfs_freesp). */
export function resize(state: ZplState, object: number, size: number): Errno | undefined {
  return state.begin(size > state.set.word(object, SIZE) ? ATTRIBUTE_BYTES : 0) ?? setSize(state, object, size);
}

/** Cuts a file, or lets it grow, and tells the log. */
export function truncate(state: ZplState, object: number, size: number): Errno | undefined {
  const failed = setSize(state, object, size);
  if (failed === undefined) state.dataset.intend({ op: "truncate", object, offset: size, length: 0, size });
  return failed;
}

/** Cuts a file, or lets it grow. */
export function setSize(state: ZplState, object: number, size: number): Errno | undefined {
  const { set } = state;
  if (size > FILE_SIZE_MAX) return EFBIG;
  const old = set.word(object, SIZE);
  if (size > old) {
    const failed = growBlocks(state, object, size);
    if (failed !== undefined) return failed;
  } else if (size < old) {
    const failed = clearRange(state, object, size, END);
    if (failed !== undefined) return failed;
    const blockSize = set.word(object, BLOCK_SIZE);
    const kept = blockSize === 0 ? 0 : Math.max(1, Math.ceil(size / blockSize));
    if (set.word(object, BLOCKS) > kept) set.setWord(object, BLOCKS, kept);
  }
  set.setWord(object, SIZE, size);
  return undefined;
}

export function fallocate(
  state: ZplState,
  object: number,
  mode: number,
  range: { readonly offset: number; readonly length: number },
): Errno | undefined {
  const frees = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | frees)) !== 0) return ENOTSUP;
  const size = state.set.word(object, SIZE);
  const end = range.offset + range.length;
  const grows = (mode & FALLOC_FL_KEEP_SIZE) === 0 && end > size;
  const refused = state.begin(0);
  if (refused !== undefined) return refused;
  if ((mode & frees) !== 0) return freeRange(state, object, range, grows);
  // Nothing is set aside: only whether there is room is looked at (zfs_fallocate_reserve_percent).
  if (range.length * 1.1 > state.dataset.available) return ENOSPC;
  // Neither times nor the log are told (zfs_freesp with log=FALSE).
  return grows ? resize(state, object, end) : undefined;
}

/** Makes zeros of a range, and lets the file grow to its end if it may (zfs_space, zfs_freesp). */
function freeRange(
  state: ZplState,
  object: number,
  { offset, length }: { readonly offset: number; readonly length: number },
  grows: boolean,
): Errno | undefined {
  const size = state.set.word(object, SIZE);
  const within = Math.min(offset + length, size) - offset;
  if (within < 0 && !grows) return undefined;
  if (within > 0) {
    const failed = clearRange(state, object, offset, offset + within);
    if (failed !== undefined) return failed;
  }
  if (within > 0 || !grows) state.dataset.intend({ op: "truncate", object, offset, length: within, size });
  const failed = state.begin(ATTRIBUTE_BYTES) ?? (grows ? truncate(state, object, offset + length) : undefined);
  if (failed === undefined) state.stamp(object, true);
  return failed;
}

/** Punches or cuts as an intent says: what the log replays. */
export function replayTruncate(
  state: ZplState,
  object: number,
  range: { readonly offset: number; readonly length: number; readonly size: number },
): Errno | undefined {
  if (range.length > 0) return clearRange(state, object, range.offset, range.offset + range.length);
  return truncate(state, object, range.size);
}

/** SEEK_DATA and SEEK_HOLE, block by block; what is dirty of the file is written before, pages too (zfs_holey_common, dmu_offset_next; zfs_dmu_offset_next_sync=1). */
export function seek(state: ZplState, object: number, offset: number, hole: boolean): number | Errno {
  const { set } = state;
  const end = set.word(object, SIZE);
  if (offset < 0 || offset >= end) return ENXIO;
  const unstored = writeBack(state, object);
  const unwritten = unstored ?? (set.pending(object) === undefined ? undefined : state.dataset.syncGroup());
  if (unwritten !== undefined) return unwritten;
  const size = set.word(object, BLOCK_SIZE);
  const blocks = set.word(object, BLOCKS);
  const data = state.files.get(object);
  for (let block = size === 0 ? blocks : Math.floor(offset / size); block < blocks; block++) {
    const isDirty = data?.dirty.has(block) === true;
    const onDevice = isDirty || data?.isHole(block) === true ? undefined : set.pointerOf(object, block);
    if (isErrno(onDevice)) return onDevice;
    const isData = isDirty || onDevice !== undefined;
    if (isData !== hole) return Math.max(offset, block * size) < end ? Math.max(offset, block * size) : ENXIO;
  }
  if (!hole) return ENXIO;
  return Math.min(end, Math.max(offset, blocks * size));
}
