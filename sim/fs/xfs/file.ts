/**
 * Data of regular files (fs/xfs/xfs_file.c, xfs_iops.c: xfs_setattr_size, xfs_bmap_util.c: xfs_free_eofblocks).
 *
 * Interface: a write goes to the page cache and promises blocks (promise.ts); `writePages` gives them their place (writeback.ts). Data is on the device
 * before the checkpoint that maps it, because it is written in the very call that maps it.
 */
import { Content } from "../../core/content.ts";
import { EFBIG, EIO, ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import { k6_18 } from "../../core/kernel-profile.ts";
import { bytes } from "../../core/units.ts";
import { type AddressSpace, PAGE_SIZE } from "../../vfs/address-space.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { extentStretch, type Stretch, seekStretches } from "../seek.ts";
import type { FileData } from "./file-data.ts";
import { fileOf, makeFile, mappingOf, writeCached } from "./file-of.ts";
import { INNER_FLAGS, MODE, NLINK, PREALLOCATED } from "./inodes.ts";
import { BLOCK_SIZE, CHUNK_INODES, FILE_SIZE_MAX } from "./layout.ts";
import { cowEnd, endOwnPromises, promiseWrite } from "./promise.ts";
import { stamp, stampWrite } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { cancelCow, freeRange } from "./unmap.ts";
import { settleBehindEnd, writePages } from "./writeback.ts";

export function read(state: XfsState, ino: number, offset: number, length: number): Content | Errno {
  if (state.isShutDown) return EIO;
  const size = state.size(ino);
  if (offset >= size || length === 0) return Content.empty;
  const unread = state.reachBody(ino);
  // xfs_read_iomap_begin fails the folio, and a folio that cannot be read is EIO whatever the reason.
  if (unread !== undefined) return EIO;
  return mappingOf(state, ino, makeFile(state, ino)).read(offset, Math.min(length, size - offset));
}

export function write(state: XfsState, ino: number, offset: number, content: Content): number | Errno {
  if (offset >= FILE_SIZE_MAX) return EFBIG;
  const refused = state.begin() ?? state.reachBody(ino);
  if (refused !== undefined) return refused;
  const data = makeFile(state, ino);
  const wanted = Math.min(content.length, FILE_SIZE_MAX - offset);
  if (offset > state.size(ino)) {
    const unsettled = moveEnd(state, ino, data, offset);
    if (unsettled !== undefined) return unsettled;
  }
  const asked = { offset, length: wanted };
  const borders: number[] | undefined = wanted < 2 * PAGE_SIZE ? undefined : [];
  let length = promiseWrite(state, ino, data, asked, borders);
  if (length === 0) {
    // xfs_flush_inodes, xfs_blockgc_free_space: what was promised for trees or taken in advance is given back before a write fails.
    const lost = flushAll(state);
    if (lost !== undefined) return lost;
    trimAll(state);
    length = promiseWrite(state, ino, data, asked, borders);
    if (length === 0) return ENOSPC;
  }
  const oldSize = state.size(ino);
  const failed = writeCached(state, ino, data, { offset, content: content.slice(0, length), size: oldSize, borders });
  if (failed !== undefined) return failed;
  if (offset + length > oldSize) state.setSize(ino, offset + length);
  stampWrite(state, ino);
  return length;
}

/** What an xfs does for the page cache. */
export function addressSpace(state: XfsState): AddressSpace {
  return {
    label: state.label,
    readPages: (inode, start, length) => readPages(state, inode, start, length),
    writePages: (inode, start, content) => writePages(state, inode, start, content),
    writesFolios: (state.environment.profile ?? k6_18.xfs).writesFolios,
    ahead: { size: (inode) => state.size(inode), largeFolios: true },
  };
}

function readPages(state: XfsState, ino: number, start: number, length: number): Content | Errno {
  const { list } = makeFile(state, ino).fork;
  const parts: Content[] = [];
  const end = (start + length) / BLOCK_SIZE;
  let block = start / BLOCK_SIZE;
  for (let index = list.find(block); block < end; index++) {
    const first = index < list.count ? list.logical(index) : end;
    if (first > block) {
      const hole = Math.min(end, first) - block;
      parts.push(Content.zeros(hole * BLOCK_SIZE));
      block += hole;
      if (block >= end) break;
    }
    const count = Math.min(end, list.end(index)) - block;
    if (list.isUnwritten(index)) parts.push(Content.zeros(count * BLOCK_SIZE));
    else {
      const home = list.physical(index) + block - first;
      const content = state.device.read(bytes(home * BLOCK_SIZE), bytes(count * BLOCK_SIZE));
      if (isErrno(content)) return content;
      parts.push(content);
    }
    block += count;
  }
  return Content.concat(parts);
}

/** Writes zeros over bytes that lie within the file, where something else may be (xfs_zero_range). */
export function zeroBytes(state: XfsState, ino: number, data: FileData, from: number, to: number): Errno | undefined {
  const { list } = data.fork;
  const block = Math.floor(from / BLOCK_SIZE);
  const index = list.find(block);
  const isWritten = index < list.count && list.logical(index) <= block && !list.isUnwritten(index);
  const isCached = data.mapping?.isDirty(block) === true;
  if (to <= from || !(isWritten || isCached)) return undefined;
  if (promiseWrite(state, ino, data, { offset: from, length: to - from }) < to - from) return ENOSPC;
  return writeCached(state, ino, data, { offset: from, content: Content.zeros(to - from), size: Math.max(state.size(ino), to) });
}

/**
 * A file's end moves to `to` (xfs_zero_range; fs/iomap/buffered-io.c: iomap_zero_range): the rest of the block that the old end cuts is zeroed, promises
 * behind it get their place, and a folio that reaches over the end is written where something of it is dirty: before the zeroing, unless the block was.
 */
function moveEnd(state: XfsState, ino: number, data: FileData, to: number): Errno | undefined {
  const { mapping } = data;
  const size = state.size(ino);
  const end = Math.min(to, Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE);
  const isBlockDirty = end > size && mapping?.reachesDirty(size, end - size) === true;
  const wasDirty = !isBlockDirty && mapping?.reachesDirty(size, to - size) === true;
  const failed = zeroBytes(state, ino, data, size, end) ?? settleBehindEnd(state, ino, data, Math.ceil(to / BLOCK_SIZE));
  if (failed !== undefined || end === to || mapping === undefined) return failed;
  const isDirty = isBlockDirty ? mapping.reachesDirty(end, to - end) : wasDirty;
  return isDirty ? mapping.flush(end, to - end) : undefined;
}

/** Whether a file has no bytes, and no extent, promised ones included. */
export function hasNothing(state: XfsState, ino: number): boolean {
  if (state.size(ino) > 0) return false;
  const data = fileOf(state, ino);
  return data === undefined || (data.fork.list.count === 0 && (data.delayed?.blocks.covered ?? 0) === 0);
}

/**
 * Changes a file's size.
 * @param explicit - whether the caller sets times itself: else they change with the size alone.
 */
export function truncate(state: XfsState, ino: number, size: number, explicit: boolean): Errno | undefined {
  if (size > FILE_SIZE_MAX) return EFBIG;
  const refused = state.begin() ?? state.reachBody(ino);
  if (refused !== undefined) return refused;
  const old = state.size(ino);
  const data = fileOf(state, ino) ?? (size === old ? undefined : makeFile(state, ino));
  if (data !== undefined) {
    const unready =
      size > old ? moveEnd(state, ino, data, size) : zeroBytes(state, ino, data, size, Math.ceil(size / PAGE_SIZE) * PAGE_SIZE);
    if (unready !== undefined) return unready;
    if (size < old) data.mapping?.truncate(size);
  }
  state.setSize(ino, size);
  if (data !== undefined) {
    // What lies between the size on the disk and the new one is written before the inode says so, the zeros too; pages behind the new end are gone by then.
    const lost = size > data.onDisk ? data.mapping?.flush(data.onDisk, size - data.onDisk) : undefined;
    if (lost !== undefined) return lost;
    if (size <= old) data.truncated = true;
    if (size <= old) freeRange(state, ino, data, Math.ceil(size / BLOCK_SIZE), Number.MAX_SAFE_INTEGER);
    data.onDisk = size;
  }
  // The inode is logged in any case (xfs_setattr_size).
  if (size !== old || explicit) stamp(state, ino, true);
  else state.dirtyInode(ino);
  return undefined;
}

/** Frees everything that a file has. */
export function freeFile(state: XfsState, ino: number, data: FileData): void {
  state.dirtyFiles.delete(ino);
  data.mapping?.truncate(0);
  freeRange(state, ino, data, 0, Number.MAX_SAFE_INTEGER);
}

/** Gives back the blocks behind the end of a file; where some were asked for, only promises (xfs_free_eofblocks). */
export function trim(state: XfsState, ino: number, data: FileData): void {
  if (state.isShutDown) return;
  const end = Math.ceil(state.size(ino) / BLOCK_SIZE);
  if ((state.word(ino, INNER_FLAGS) & PREALLOCATED) !== 0)
    endOwnPromises(state, ino, data, [end, Number.MAX_SAFE_INTEGER], "dropped");
  else freeRange(state, ino, data, end, Number.MAX_SAFE_INTEGER);
}

/** Whether a close may find blocks behind the end: there are some, or the file has promises at all (xfs_can_free_eofblocks). */
export function mayTrim(state: XfsState, ino: number, data: FileData): boolean {
  const { list } = data.fork;
  if ((state.word(ino, INNER_FLAGS) & PREALLOCATED) !== 0) return data.unsettledBlocks > 0;
  return data.unsettledBlocks > 0 || list.find(Math.ceil(state.size(ino) / BLOCK_SIZE)) < list.count;
}

/**
 * An open file is closed (xfs_file_release). One that was made shorter is written at once. The first close after writing gives blocks behind the end
 * back; later ones leave them to a file that is opened again and again.
 */
export function release(state: XfsState, ino: number, written: boolean): void {
  const data = fileOf(state, ino);
  if (data === undefined || state.isShutDown) return;
  if (data.truncated) {
    data.truncated = false;
    data.trimmed = false;
    if (data.unsettledBlocks > 0) data.mapping?.startWriteback();
  }
  if (!written || data.trimmed || state.word(ino, NLINK) === 0 || !mayTrim(state, ino, data)) return;
  data.trimmed = true;
  trim(state, ino, data);
}

/** What the background does every five minutes: blocks behind ends, and copy-on-write blocks of clean files, go (xfs_blockgc_worker). */
export function trimAll(state: XfsState): void {
  state.visitInodes((ino) => {
    const data = fileOf(state, ino);
    if (data === undefined) return;
    trim(state, ino, data);
    if (data.cow !== undefined && (data.mapping?.dirtyPages ?? 0) === 0) cancelCow(state, ino, data, 0, Number.MAX_SAFE_INTEGER);
  });
}

/** What is given back before a transaction of a file is refused its blocks: what other files without dirty pages took in advance (xfs_blockgc_flush_all). */
export function trimOthers(state: XfsState, of: number): void {
  state.visitInodes((ino) => {
    const data = fileOf(state, ino);
    if (data === undefined || ino === of || (data.mapping?.dirtyPages ?? 0) > 0) return;
    trim(state, ino, data);
    if (data.cow !== undefined) cancelCow(state, ino, data, 0, Number.MAX_SAFE_INTEGER);
  });
}

/** Writes every file's dirty pages. Files that were written before, and whose pages fsync wrote, are gone through too (I_DIRTY_PAGES). */
export function flushAll(state: XfsState): Errno | undefined {
  let failed: Errno | undefined;
  for (const ino of state.dirtyFiles) {
    const data = fileOf(state, ino);
    if (data !== undefined) data.truncated = false;
    if ((data?.mapping?.dirtyPages ?? 0) > 0) failed = data?.mapping?.flush() ?? failed;
    if (failed === undefined) state.dirtyFiles.delete(ino);
  }
  return failed;
}

/**
 * Writes a file's dirty pages, and forces the log where the running checkpoint has something of the inode, else flushes the device alone (xfs_file_fsync); of a
 * directory that has nothing there it does nothing (xfs_dir_fsync). @param dataOnly - changes of times alone do not matter (fdatasync)
 */
export function fsync(state: XfsState, ino: number, dataOnly: boolean): Errno | undefined {
  const isDirectory = (state.word(ino, MODE) & S_IFMT) === S_IFDIR;
  // A directory has nothing that waits for the log then.
  if (state.isShutDown) return isDirectory ? undefined : EIO;
  const failed = fileOf(state, ino)?.mapping?.flush();
  if (failed !== undefined) return failed;
  if (state.chunk(ino).isChanged(ino % CHUNK_INODES, dataOnly)) return state.force();
  return isDirectory ? undefined : state.device.flush();
}

/** SEEK_DATA and SEEK_HOLE: unwritten extents are holes but for pages that are cached. */
export function seek(state: XfsState, ino: number, offset: number, hole: boolean): number {
  const data = makeFile(state, ino);
  const size = state.size(ino);
  return seekStretches({ size, stretch: (block, end) => stretchOf(data, block, end) }, offset, hole);
}

/** Whether a block holds data, and how far the same answer holds for sure. */
function stretchOf(data: FileData, block: number, end: number): Stretch {
  const { list } = data.fork;
  const index = list.find(block);
  const within = extentStretch(list, index, block, data.mapping);
  if (within !== undefined) return within;
  const next = index < list.count ? list.logical(index) : end;
  // What the copy-on-write fork has in the place of a hole counts as unwritten (xfs_seek_iomap_begin).
  if (data.mapping?.isCached(block) === true && cowEnd(data, block) > block) return { isData: true, end: block + 1 };
  const delayed = data.delayed?.blocks.nextCovered(block);
  if (delayed === block) return { isData: true, end: Math.min(next, data.delayed?.blocks.nextGap(block) ?? next) };
  return { isData: false, end: data.cow === undefined ? Math.min(next, delayed ?? next) : block + 1 };
}
