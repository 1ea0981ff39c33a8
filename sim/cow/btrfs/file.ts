/**
 * Data of regular files as calls see it (fs/btrfs/file.c: btrfs_buffered_write, btrfs_sync_file; inode.c: btrfs_setsize, btrfs_cont_expand; Linux 6.18).
 *
 * Interface: a write promises space, then dirties pages; where the data goes is decided when it is written back (writeback.ts).
 */
import { Content } from "../../core/content.ts";
import { EFBIG, EIO, type Errno, isErrno } from "../../core/errno.ts";
import { IntervalMap } from "../../core/intervals.ts";
import { alignDown, alignUp } from "../../core/units.ts";
import { PAGE_SIZE } from "../../vfs/address-space.ts";
import { holeBehindEnd, zeroBehindEnd } from "./file-end.ts";
import { dropExtents, endOf, extentsIn, hasPlace, type Placed, putExtent, visitExtents } from "./file-extents.ts";
import type { InodeState } from "./inode-state.ts";
import { mappingOf, setTimes, stamp } from "./inodes.ts";
import type { CompressedRecord, DiskExtent } from "./items.ts";
import { FILE_SIZE_MAX, ITEM_KIND_MAX, key, SECTOR_SIZE } from "./layout.ts";
import { promiseRange, undelay, writePromised } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";
import { begin, join } from "./transaction.ts";

/** What a change of a file's inode is estimated to need, in items. */
const INODE_ITEMS = 1;

export function read(state: BtrfsState, inode: InodeState, offset: number, length: number): Content | Errno {
  if (offset >= inode.size || length === 0) return Content.empty;
  return mappingOf(state, inode).read(offset, Math.min(length, inode.size - offset));
}

export function write(state: BtrfsState, inode: InodeState, offset: number, content: Content): number | Errno {
  if (content.length === 0) return 0;
  if (offset >= FILE_SIZE_MAX) return EFBIG;
  const refused = join(state) ?? zeroBehindEnd(state, inode, offset);
  if (refused !== undefined) return refused;
  if (alignDown(offset, SECTOR_SIZE) > inode.size) holeBehindEnd(state, inode, offset + content.length);
  const wanted = Math.min(content.length, FILE_SIZE_MAX - offset);
  if (state.profile.writesBatches) return writeBatches(state, inode, offset, content.slice(0, wanted));
  const granted = promiseMost(state, inode, offset, wanted);
  return isErrno(granted) ? granted : dirtyPages(state, inode, offset, content.slice(0, granted));
}

/** Puts bytes that have space promised into the cache. */
function dirtyPages(state: BtrfsState, inode: InodeState, offset: number, content: Content): number | Errno {
  const oldSize = inode.size;
  const end = offset + content.length;
  const failed = writePromised(state, inode, { offset, content }, oldSize);
  if (failed !== undefined) return failed;
  if (end > oldSize) inode.size = end;
  // Where memory is short, all of it has been written back already, before the size covered it.
  if (inode.delayed === undefined) inode.diskSize = inode.size;
  // Its item is written when the data has its place (update_time_for_write).
  setTimes(state, inode, true);
  return content.length;
}

/** The most pages that one batch has, and the fewest. */
const BATCH_PAGES_MAX = 512;
const BATCH_PAGES_MIN = 8;
/** Up to where writing is free, in percent of memory: half way between vm.dirty_background_ratio and vm.dirty_ratio. */
const FREE_RUN_RATIO = 15;

/** After how many pages made dirty a task looks at how many there are (mm/page-writeback.c: dirty_poll_interval). */
function pauseAfter(state: BtrfsState): number {
  const { memoryPages, dirtyPages: dirty } = state.environment.cache;
  const left = Math.floor((memoryPages * FREE_RUN_RATIO) / 100) - dirty;
  return left > 0 ? 2 ** (Math.floor(Math.log2(left)) >> 1) : 1;
}

/** Writes batch by batch: one for which there is no space is refused as a whole (btrfs_buffered_write of Linux 6.13 and before). */
function writeBatches(state: BtrfsState, inode: InodeState, offset: number, content: Content): number | Errno {
  let done = 0;
  while (done < content.length) {
    const pause = pauseAfter(state);
    const pages = Math.min(BATCH_PAGES_MAX, Math.max(BATCH_PAGES_MIN, pause - state.dirtiedPages));
    const at = offset + done;
    const end = Math.min(offset + content.length, at - (at % PAGE_SIZE) + pages * PAGE_SIZE);
    const refused = promiseRange(state, inode, at, end);
    if (refused !== undefined) return done > 0 ? done : refused;
    const mapping = mappingOf(state, inode);
    const dirty = mapping.dirtyPages;
    const written = dirtyPages(state, inode, at, content.slice(done, end - offset));
    if (isErrno(written)) return done > 0 ? done : written;
    state.dirtiedPages += Math.max(0, mapping.dirtyPages - dirty);
    if (state.dirtiedPages >= pause) state.dirtiedPages = 0;
    done += written;
  }
  return done;
}

/** Promises as much of a range as there is room for, page by page as the kernel goes. @returns bytes from `offset` on. */
function promiseMost(state: BtrfsState, inode: InodeState, offset: number, length: number): number | Errno {
  const refused = promiseRange(state, inode, offset, offset + length);
  if (refused === undefined) return length;
  let done = 0;
  for (let pages = Math.ceil(length / PAGE_SIZE) >> 1; pages > 0; ) {
    const end = Math.min(length, alignUp(offset + done + 1, PAGE_SIZE) + (pages - 1) * PAGE_SIZE - offset);
    if (end > done && promiseRange(state, inode, offset + done, offset + end) === undefined) done = end;
    else pages >>= 1;
  }
  return done === 0 ? refused : done;
}

/** What making a file shorter is estimated to need, in items. */
const CUT_ITEMS = 2;

/** Changes a file's size. */
export function truncate(state: BtrfsState, inode: InodeState, size: number): Errno | undefined {
  if (size > FILE_SIZE_MAX) return EFBIG;
  const refused = begin(state, size > inode.size ? INODE_ITEMS : CUT_ITEMS, inode.subvolume);
  if (refused !== undefined) return refused;
  if (size !== inode.size) stamp(state, inode, true);
  if (size === 0) inode.flushesOnClose = true;
  if (size > inode.size) {
    const failed = zeroBehindEnd(state, inode, size);
    if (failed !== undefined) return failed;
    holeBehindEnd(state, inode, size);
  } else {
    const failed = cut(state, inode, size);
    if (failed !== undefined) return failed;
  }
  inode.size = size;
  if (inode.delayed === undefined || size < inode.diskSize) inode.diskSize = size;
  return undefined;
}

/** Takes what lies behind `size` out of memory and off the device. The sector of the new end is written first, if it is dirty (btrfs_truncate). */
function cut(state: BtrfsState, inode: InodeState, size: number): Errno | undefined {
  inode.mapping?.truncate(size);
  const first = alignUp(size, SECTOR_SIZE);
  undelay(state, inode, first, Number.MAX_SAFE_INTEGER);
  if (first > size) {
    inode.size = size;
    const failed = inode.mapping?.flush(first - SECTOR_SIZE, SECTOR_SIZE);
    if (failed !== undefined) return failed;
  }
  if (hasPlace(inode, size, Number.MAX_SAFE_INTEGER, "all", true)) inode.log.needsFullSync = true;
  // The end of its items is searched as if there were something to take out (btrfs_truncate_inode_items).
  inode.subvolume.tree.reach(key(inode.ino, ITEM_KIND_MAX, Number.MAX_SAFE_INTEGER));
  dropExtents(state, inode, first, Number.MAX_SAFE_INTEGER);
  shortenInline(inode, size);
  return undefined;
}

function shortenInline(inode: InodeState, size: number): void {
  const [first] = extentsIn(inode, 0, SECTOR_SIZE);
  if (first === undefined || first.extent.kind !== "inline" || first.extent.length <= size) return;
  const { extent } = first;
  const content = extent.content.slice(0, size);
  const stored = extent.compression === "none" ? content.length : extent.stored;
  inode.bytes -= extent.length - size;
  putExtent(inode, 0, { ...extent, length: size, content, stored });
}

// The page cache's side

/** What of an extent on the device lies at [from, to) of the file. */
function readExtent(state: BtrfsState, placed: Placed<DiskExtent>, from: number, to: number): Content | Errno {
  const { at, extent } = placed;
  if (extent.kind === "prealloc") return Content.zeros(to - from);
  const skip = extent.offset + from - at;
  if (extent.compression === "none") return state.readData(extent.start + skip, to - from);
  const stored = state.readData(extent.start, extent.diskBytes);
  if (isErrno(stored)) return stored;
  const record = stored.wholeRecord();
  // Other bytes than were written there have another checksum.
  return record?.kind === "btrfs.compressed" ? (record as CompressedRecord).content.slice(skip, skip + to - from) : EIO;
}

export function readPages(state: BtrfsState, inode: InodeState, start: number, length: number): Content | Errno {
  const parts: Content[] = [];
  const end = Math.min(start + length, alignUp(inode.size, SECTOR_SIZE));
  let at = start;
  let failed: Errno | undefined;
  visitExtents(inode, start, end, (placed) => {
    const from = Math.max(placed.at, at);
    const to = Math.min(endOf(placed), end);
    if (from > at) parts.push(Content.zeros(from - at));
    const { extent } = placed;
    const content =
      extent.kind === "inline" ? extent.content.slice(from, to) : readExtent(state, { at: placed.at, extent }, from, to);
    if (isErrno(content)) {
      failed = content;
      return true;
    }
    parts.push(content);
    at = to;
    return false;
  });
  if (failed !== undefined) return failed;
  if (start + length > at) parts.push(Content.zeros(start + length - at));
  const whole = Content.concat(parts);
  // The device may hold old bytes behind the end of the file.
  const valid = inode.size - start;
  if (valid >= length) return whole;
  return Content.concat([whole.slice(0, Math.max(0, valid)), Content.zeros(length - Math.max(0, valid))]);
}

// SEEK_DATA and SEEK_HOLE

/** Preallocated extents are holes, but for what is dirty in them. @returns -1 when there is no data any more. */
export function seek(inode: InodeState, offset: number, hole: boolean): number {
  const end = inode.size;
  for (let at = offset; at < end; ) {
    const step = stretch(inode, at, end);
    if (step.isData !== hole) return at;
    at = step.end;
  }
  return hole ? end : -1;
}

/**
 * From before the beginning (fs/btrfs/file.c, find_desired_extent): that is the beginning, but data in an extent of the tree are held against the
 * offset itself, which counts as behind any end there.
 */
export function seekFromBefore(inode: InodeState, hole: boolean): number {
  const found = seek(inode, 0, hole);
  if (hole || found < 0) return found;
  let isWritten = false;
  visitExtents(inode, found, found + 1, ({ extent }) => {
    isWritten = extent.kind !== "prealloc";
    return true;
  });
  return isWritten ? -1 : found;
}

const NOTHING_DELAYED = new IntervalMap<true>(undefined, () => true);

/** Whether a byte is data, and how far the same answer holds for sure. */
function stretch(inode: InodeState, at: number, end: number): { isData: boolean; end: number } {
  const { delayed = NOTHING_DELAYED } = inode;
  const dirty = delayed.nextCovered(at);
  if (dirty === at) return { isData: true, end: Math.min(end, delayed.nextGap(at)) };
  const until = Math.min(end, dirty ?? end);
  let answer = { isData: false, end: until };
  // Bytes in the tree stand for a whole sector, however few they are (btrfs_file_extent_end).
  visitExtents(inode, at - (at % SECTOR_SIZE), until, (placed) => {
    const isData = placed.extent.kind !== "prealloc";
    if (placed.at > at) answer = { isData: false, end: placed.at };
    else answer = { isData, end: Math.min(until, placed.extent.kind === "inline" ? SECTOR_SIZE : endOf(placed)) };
    return true;
  });
  return answer;
}
