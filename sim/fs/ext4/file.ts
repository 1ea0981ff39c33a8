import { InvariantError } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import { EFBIG, EIO, ENOSPC, EPERM, type Errno } from "../../core/errno.ts";
import { type AddressSpace, type Mapping, PAGE_SIZE } from "../../vfs/address-space.ts";
import { inodeHandle } from "../../vfs/filesystem.ts";
import { extentStretch, type Stretch, seekStretches } from "../seek.ts";
import { canReserve, claimable, freeBlocks } from "./allocate.ts";
import { FileData } from "./file-data.ts";
import { FLAGS, IMMUTABLE_FLAG, sizeIn } from "./inode-words.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { lonePageIn, lonePageOf, makeWhole, readLone, writeLone } from "./lone-file.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";

/** ext4_max_size for 4 KiB blocks and extents: 2^32 - 1 blocks. */
export const FILE_SIZE_MAX: number = (2 ** 32 - 1) * BLOCK_SIZE;

export function fileOf(state: Ext4State, ino: number): FileData | undefined {
  const data = state.data(ino);
  if (data instanceof FileData) return data;
  const page = lonePageOf(state, ino);
  return page === 0 ? undefined : makeWhole(state, ino, page);
}

export function makeFile(state: Ext4State, ino: number): FileData {
  const known = fileOf(state, ino);
  if (known !== undefined) return known;
  const made = new FileData();
  made.onDisk = state.size(ino);
  state.setData(ino, made);
  return made;
}

export function mappingOf(state: Ext4State, ino: number, data: FileData): Mapping {
  data.mapping ??= state.environment.cache.mapping(state.space as AddressSpace, inodeHandle(ino));
  return data.mapping;
}

// Reading and writing

export function read(state: Ext4State, ino: number, offset: number, length: number): Content | Errno {
  const { inodes } = state;
  const row = inodes.rowOf(ino);
  const words = inodes.wordsOf(row);
  const at = inodes.startOf(row);
  const size = sizeIn(words, at);
  if (offset >= size || length === 0) return Content.empty;
  // Whatever was wrong, a page was not filled (filemap_read_folio).
  if (state.reachTree(ino) !== undefined) return EIO;
  const count = Math.min(length, size - offset);
  const page = lonePageIn(words, at);
  if (page !== 0) return readLone(state, page, offset, offset + count);
  return mappingOf(state, ino, makeFile(state, ino)).read(offset, count);
}

/** ext4 asks for it anew in each call that changes the file, also through a file that was open before (ext4_write_checks, ext4_setattr). */
export function isImmutable(state: Ext4State, ino: number): boolean {
  return (state.word(ino, FLAGS) & IMMUTABLE_FLAG) !== 0;
}

export function write(state: Ext4State, ino: number, offset: number, content: Content): number | Errno {
  if (content.length === 0) return 0;
  if (isImmutable(state, ino)) return EPERM;
  if (offset >= FILE_SIZE_MAX) return EFBIG;
  const refused = state.begin() ?? state.reachTree(ino);
  if (refused !== undefined) return refused;
  if (offset === 0 && writeLone(state, ino, content)) return content.length;
  const data = makeFile(state, ino);
  const wanted = Math.min(content.length, FILE_SIZE_MAX - offset);
  const length = promise(state, data, offset, wanted);
  if (length === 0) return ENOSPC;
  const oldSize = state.size(ino);
  if (offset > oldSize) zeroOldEnd(state, ino, data, oldSize);
  const failed = mappingOf(state, ino, data).write(offset, content.slice(0, length), oldSize);
  if (failed !== undefined) return failed;
  if (offset + length > oldSize) state.setSize(ino, offset + length);
  if (data.delayedBlocks === 0 && data.onDisk !== state.size(ino)) {
    data.onDisk = state.size(ino);
    state.dirtyData(ino);
  }
  stamp(state, ino, true);
  return length;
}

/** Promises the blocks of a range that have none. @returns how many bytes from `offset` on may be written. */
function promise(state: Ext4State, data: FileData, offset: number, length: number): number {
  const first = Math.floor(offset / BLOCK_SIZE);
  const end = Math.ceil((offset + length) / BLOCK_SIZE);
  // Most writes are of one page.
  const isOne = end - first === 1;
  if ((isOne && data.isPromised(first)) || data.missing(first, end) === 0) return length;
  if (isOne && canReserve(state, 1)) {
    data.delay(first, end);
    state.delayedBlocks += 1;
    return length;
  }
  const { list } = data.tree;
  for (let block = first; block < end; ) {
    const index = list.find(block);
    const start = index < list.count ? list.logical(index) : Number.POSITIVE_INFINITY;
    if (start <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, start);
    const gone = promiseGap(state, data, block, gapEnd);
    if (gone < gapEnd) return Math.max(0, gone * BLOCK_SIZE - offset);
    block = gapEnd;
  }
  return length;
}

/** Promises [start, end), where nothing is mapped; parts may be promised already. @returns how far it went. */
function promiseGap(state: Ext4State, data: FileData, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const from = data.nextUnpromised(at);
    if (from >= end) break;
    const to = Math.min(end, data.nextPromised(from));
    let count = to - from;
    if (!canReserve(state, count)) {
      // Blocks freed in the running transaction are counted as free already: what lacks here lacks for good.
      count = mostReservable(state, count);
      if (count === 0) return from;
    }
    data.delay(from, from + count);
    state.delayedBlocks += count;
    if (count < to - from) return from + count;
    at = to;
  }
  return end;
}

/** How many of `count` blocks can be promised: asked for once more (ext4_should_retry_alloc), page by page up to the first that finds no room. */
function mostReservable(state: Ext4State, count: number): number {
  return canReserve(state, 0) ? Math.min(count, Math.max(0, claimable(state))) : 0;
}

/** The dirty pages of [start, end) are dropped: their promises end. */
export function dropPromises(state: Ext4State, data: FileData, start: number, end: number): void {
  state.delayedBlocks -= data.undelay(start, end);
}

// Cutting

/** Frees the blocks of [first, end). */
export function freeRange(state: Ext4State, ino: number, data: FileData, first: number, end: number): void {
  // Nothing is there: the file needs no tree for that.
  if (data.missing(first, end) === end - first) return;
  let freed = 0;
  const tree = data.ownTree();
  // The end is cut first: one extent more may take a block of the tree, which stays (ext4_ext_remove_space).
  if (tree.list.split(end, tree)) settleTree(state, ino, tree);
  tree.list.remove(
    first,
    end,
    (physical, count) => {
      freeBlocks(state, physical, count);
      freed += count;
    },
    tree,
  );
  state.addBlocks(ino, -freed);
  settleTree(state, ino, tree, true);
}

/**
 * Writes zeros behind the end within its block (ext4_block_truncate_page): only what is cached or mapped can hold other bytes. The commit writes that page
 * first, with what comes into it until then.
 */
function zeroTail(state: Ext4State, ino: number, data: FileData, size: number): Errno | undefined {
  const tail = size % PAGE_SIZE;
  if (tail === 0) return undefined;
  const { list } = data.tree;
  const index = list.find(Math.floor(size / BLOCK_SIZE));
  const isMapped = index < list.count && list.logical(index) * BLOCK_SIZE <= size && !list.isUnwritten(index);
  if (!isMapped) return undefined;
  state.orderPage(ino, Math.floor(size / PAGE_SIZE));
  return mappingOf(state, ino, data).write(size, Content.zeros(PAGE_SIZE - tail), size + PAGE_SIZE);
}

/**
 * A file becomes longer without the block that its end cuts: what lies behind the end there is zeroed. Nobody hears of it where that fails
 * (ext4_da_do_write_end, ext4_alloc_file_blocks, ext4_setattr).
 */
export function zeroOldEnd(state: Ext4State, ino: number, data: FileData, oldSize: number): void {
  if (state.profile.zeroesOldEnd && oldSize % BLOCK_SIZE !== 0 && state.reachTree(ino) === undefined)
    zeroTail(state, ino, data, oldSize);
}

/** Changes a file's size. To the size that it has, what was allocated behind the end goes (ext4_setattr calls ext4_truncate then too). */
export function truncate(state: Ext4State, ino: number, size: number): Errno | undefined {
  if (size > FILE_SIZE_MAX) return EFBIG;
  const old = state.size(ino);
  // A file that grows is not looked at.
  const refused = state.begin() ?? (size > old ? undefined : state.reachTree(ino));
  if (refused !== undefined) return refused;
  const data = fileOf(state, ino) ?? (size === old ? undefined : makeFile(state, ino));
  if (data !== undefined && size <= old) {
    const failed = zeroTail(state, ino, data, size);
    if (failed !== undefined) return failed;
    data.mapping?.truncate(size);
    state.preallocations.discard(ino);
    const first = Math.ceil(size / BLOCK_SIZE);
    dropPromises(state, data, first, Number.MAX_SAFE_INTEGER);
    freeRange(state, ino, data, first, Number.MAX_SAFE_INTEGER);
    // The inode is on the orphan list while it is cut.
    state.dirtySuperblock();
  } else if (data !== undefined) zeroOldEnd(state, ino, data, old);
  if (size === 0) state.allocatedOnClose.add(ino);
  if (data !== undefined) data.onDisk = size;
  state.setSize(ino, size);
  state.dirtyData(ino);
  stamp(state, ino, true);
  return undefined;
}

/**
 * Begins to write a file back that was promised blocks, so that a commit finds them allocated and, as ordered, written (ext4_alloc_da_blocks): the
 * protection of auto_da_alloc, on unless the mount says otherwise, for who replaces a file and syncs nothing.
 */
export function allocatePromised(state: Ext4State, ino: number): void {
  const data = fileOf(state, ino);
  if (data !== undefined && data.delayedBlocks > 0) data.mapping?.startWriteback();
}

/** Whoever closes a file that was cut to nothing begins to write it back (ext4_release_file). */
export function release(state: Ext4State, ino: number, writes: boolean): void {
  if (state.allocatedOnClose.size > 0 && state.allocatedOnClose.delete(ino)) allocatePromised(state, ino);
  if (!writes) return;
  const left = state.writers.drop(ino);
  if (left === undefined) throw new InvariantError("a file is closed that nobody opened to write");
  if (left === 0 && !state.preallocations.isEmpty) discardUnneeded(state, ino, fileOf(state, ino)?.delayedBlocks ?? 0);
}

/** What is kept for a file that nobody can write is given up, unless blocks are promised still (ext4_release_file, ext4_da_update_reserve_space). */
export function discardUnneeded(state: Ext4State, ino: number, promised: number): void {
  if (promised === 0 && state.writers.of(ino) === 0) state.preallocations.discard(ino);
}

/** Frees everything that a file has. */
export function freeFile(state: Ext4State, ino: number, data: FileData): void {
  state.unreadTrees.delete(ino);
  state.preallocations.discard(ino);
  data.mapping?.truncate(0);
  dropPromises(state, data, 0, Number.MAX_SAFE_INTEGER);
  freeRange(state, ino, data, 0, Number.MAX_SAFE_INTEGER);
}

/** Writes every file's dirty pages. @returns the last error */
export function flushAll(state: Ext4State): Errno | undefined {
  let failed: Errno | undefined;
  for (const ino of state.inodesInMemory()) {
    const mapping = fileOf(state, ino)?.mapping;
    if (mapping !== undefined && mapping.dirtyPages > 0) failed = mapping.flush() ?? failed;
  }
  return failed;
}

/**
 * Writes a file's dirty pages, and commits where the running transaction has something of the inode, else flushes the device alone (ext4_fsync_journal).
 * @param dataOnly - only what is needed to find its data matters (fdatasync)
 */
export function fsync(state: Ext4State, ino: number, dataOnly: boolean): Errno | undefined {
  if (state.journal.error !== undefined) return EIO;
  const failed = fileOf(state, ino)?.mapping?.flush();
  if (failed !== undefined) return failed;
  return state.chunk(ino).isChanged((ino - 1) & 63, dataOnly) ? state.commit() : state.device.flush();
}

/** SEEK_DATA and SEEK_HOLE: unwritten extents are holes but for pages that are cached. */
export function seek(state: Ext4State, ino: number, offset: number, hole: boolean): number {
  const data = makeFile(state, ino);
  const size = state.size(ino);
  return seekStretches({ size, stretch: (block, end) => stretchOf(data, block, end) }, offset, hole);
}

/** Whether a block holds data, and how far the same answer holds for sure. */
function stretchOf(data: FileData, block: number, end: number): Stretch {
  const { list } = data.tree;
  const index = list.find(block);
  const within = extentStretch(list, index, block, data.mapping);
  if (within !== undefined) return within;
  const next = index < list.count ? list.logical(index) : end;
  const promised = data.nextPromised(block);
  if (promised === block) return { isData: true, end: Math.min(next, data.nextUnpromised(block)) };
  return { isData: false, end: Math.min(next, promised) };
}
