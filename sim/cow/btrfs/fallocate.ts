/** fallocate(2) (fs/btrfs/file.c: btrfs_fallocate, btrfs_punch_hole, btrfs_zero_range; Linux 6.18). */
import { Content } from "../../core/content.ts";
import { ENOTSUP, EROFS, type Errno } from "../../core/errno.ts";
import { alignDown, alignUp, MIB } from "../../core/units.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE } from "../../vfs/filesystem.ts";
import { holeBehindEnd, zeroBehindEnd } from "./file-end.ts";
import { dropExtents, endOf, extentsIn, hasPlace } from "./file-extents.ts";
import { flushRange, type InodeState } from "./inode-state.ts";
import { stamp } from "./inodes.ts";
import { PREALLOC_FLAG, SECTOR_SIZE } from "./layout.ts";
import { promise, promiseRange, undelay, writePromised } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";
import { begin, beginUpdate } from "./transaction.ts";
import { insert } from "./writeback.ts";

export const FALLOCATE_MODES: number = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
/** The longest extent that is preallocated at once. */
const PREALLOC_MAX = MIB(256);
/** What is estimated to change, in items, when an extent is preallocated, when one is taken out, and when only the inode does. */
const PREALLOC_ITEMS = 3;
const PUNCH_ITEMS = 2;
const INODE_ITEMS = 1;

interface Range {
  readonly offset: number;
  readonly length: number;
}

/** Whole sectors. */
interface Sectors {
  readonly start: number;
  readonly end: number;
}

export function fallocate(state: BtrfsState, inode: InodeState, mode: number, range: Range): Errno | undefined {
  if ((mode & ~FALLOCATE_MODES) !== 0) return ENOTSUP;
  if (state.error !== undefined) return EROFS;
  if ((mode & FALLOC_FL_PUNCH_HOLE) !== 0) return punch(state, inode, range);
  const refused = beginUpdate(state, inode);
  if (refused !== undefined) return refused;
  if ((mode & FALLOC_FL_ZERO_RANGE) !== 0) return zero(state, inode, range, mode);
  return preallocate(state, inode, range, mode);
}

/** Whether a range makes the file longer. */
function grows(inode: InodeState, { offset, length }: Range, mode: number): boolean {
  return (mode & FALLOC_FL_KEEP_SIZE) === 0 && offset + length > inode.size;
}

/** Begins what preallocates, or only makes the file longer, or does neither. */
function beginPrealloc(state: BtrfsState, inode: InodeState, preallocates: boolean, isLonger: boolean): Errno | undefined {
  if (!preallocates && !isLonger) return undefined;
  return begin(state, preallocates ? PREALLOC_ITEMS : INODE_ITEMS, inode.subvolume);
}

function grow(state: BtrfsState, inode: InodeState, range: Range, mode: number): void {
  if (grows(inode, range, mode)) inode.size = range.offset + range.length;
  if (inode.delayed === undefined) inode.diskSize = inode.size;
  stamp(state, inode, true);
}

function preallocate(state: BtrfsState, inode: InodeState, range: Range, mode: number): Errno | undefined {
  const start = alignDown(range.offset, SECTOR_SIZE);
  const end = alignUp(range.offset + range.length, SECTOR_SIZE);
  const unwritten = zeroBehindEnd(state, inode, range.offset + range.length) ?? flushRange(inode, start, end - start);
  if (unwritten !== undefined) return unwritten;
  const gaps = gapsIn(inode, start, end);
  const failed = beginPrealloc(state, inode, gaps.length > 0, grows(inode, range, mode)) ?? fill(state, inode, gaps);
  if (failed !== undefined) return failed;
  if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && start > inode.size) holeBehindEnd(state, inode, start);
  grow(state, inode, range, mode);
  return undefined;
}

interface Gap {
  readonly from: number;
  readonly to: number;
}

/** What of [start, end) has no extent. */
function gapsIn(inode: InodeState, start: number, end: number): Gap[] {
  const gaps: Gap[] = [];
  let at = start;
  for (const placed of extentsIn(inode, start, end)) {
    if (placed.at > at) gaps.push({ from: at, to: placed.at });
    at = Math.max(at, alignUp(endOf(placed), SECTOR_SIZE));
  }
  if (at < end) gaps.push({ from: at, to: end });
  return gaps;
}

/** Preallocates ranges, with one promise for all of them. @param hint - where on the device they should lie */
function fill(state: BtrfsState, inode: InodeState, gaps: readonly Gap[], hint?: number): Errno | undefined {
  const need = gaps.reduce((sum, { from, to }) => sum + to - from, 0);
  const refused = need === 0 ? undefined : promise(state, inode, need);
  if (refused !== undefined) return refused;
  let near = hint;
  for (const gap of gaps) near = prealloc(state, inode, gap, near);
  return undefined;
}

/** Puts preallocated extents in the place of what is in a gap, which space was promised for. @returns where on the device the last ends */
function prealloc(state: BtrfsState, inode: InodeState, gap: Gap, hint: number | undefined): number | undefined {
  let near = hint;
  for (let at = gap.from; at < gap.to; ) {
    const { start: place, length } = state.space.takePromised(Math.min(PREALLOC_MAX, gap.to - at), near);
    insert(state, inode, at, {
      kind: "prealloc",
      start: place,
      diskBytes: length,
      ramBytes: length,
      offset: 0,
      length,
      compression: "none",
    });
    at += length;
    near = place + length;
    inode.flags |= PREALLOC_FLAG;
  }
  return near;
}

/** Zeroes the bytes of [from, to), a part of one sector, where the file has something there. @param written - not only preallocated */
function zeroPart(state: BtrfsState, inode: InodeState, from: number, to: number, written: boolean): Errno | undefined {
  const sector = alignDown(from, SECTOR_SIZE);
  if (to <= from) return undefined;
  const isThere =
    inode.delayed?.nextCovered(sector) === sector ||
    (hasPlace(inode, sector, sector + SECTOR_SIZE, "all", true) &&
      !(written && hasPlace(inode, sector, sector + SECTOR_SIZE, "prealloc")));
  if (!isThere) return undefined;
  const refused = promiseRange(state, inode, from, to);
  return refused ?? writePromised(state, inode, { offset: from, content: Content.zeros(to - from) }, Math.max(inode.size, to));
}

/** Zeroes what of a range does not fill sectors. @param written - only where more than preallocated. @returns the whole sectors in between. */
function zeroEdges(state: BtrfsState, inode: InodeState, range: Range, written: boolean): Sectors | Errno {
  const { offset } = range;
  const stop = offset + range.length;
  const start = alignUp(offset, SECTOR_SIZE);
  const end = alignDown(stop, SECTOR_SIZE);
  if (start > end) return zeroPart(state, inode, offset, stop, written) ?? { start: 0, end: 0 };
  return zeroPart(state, inode, offset, start, written) ?? zeroPart(state, inode, end, stop, written) ?? { start, end };
}

function punch(state: BtrfsState, inode: InodeState, range: Range): Errno | undefined {
  const first = alignDown(range.offset, SECTOR_SIZE);
  const last = alignUp(range.offset + range.length, SECTOR_SIZE);
  const unwritten = flushRange(inode, first, last - first);
  if (unwritten !== undefined) return unwritten;
  // What is a hole altogether is left alone, times too (find_first_non_hole).
  if (!hasPlace(inode, first, last, "all", true)) return undefined;
  const limit = alignUp(inode.size, SECTOR_SIZE);
  const stop = range.offset + range.length;
  // Behind the file's end there are only whole sectors to take out.
  const edges = { offset: Math.min(range.offset, limit), length: Math.max(0, Math.min(stop, limit) - range.offset) };
  const inner = { start: alignUp(range.offset, SECTOR_SIZE), end: alignDown(stop, SECTOR_SIZE) };
  const isInner = inner.end > inner.start;
  const refused = beginUpdate(state, inode) ?? begin(state, isInner ? PUNCH_ITEMS : INODE_ITEMS, inode.subvolume);
  if (refused !== undefined) return refused;
  const zeroed = zeroEdges(state, inode, edges, false);
  if (!("start" in zeroed)) return zeroed;
  if (isInner) {
    inode.mapping?.punch(inner.start, inner.end - inner.start);
    undelay(state, inode, inner.start, inner.end);
    dropExtents(state, inode, inner.start, inner.end);
    const hole = Math.min(inner.end, limit);
    if (hole > inner.start) inode.log.extentsChanged(state.generation, inner.start, hole);
  }
  if (inode.delayed === undefined) inode.diskSize = inode.size;
  stamp(state, inode, true);
  return undefined;
}

/** What zeroing preallocates: the sectors that it fills, with those at its edges where there is nothing. */
function zeroed(inode: InodeState, outer: Sectors, inner: Sectors): Gap[] {
  if (inner.end <= inner.start) return gapsIn(inode, outer.start, outer.end);
  const from = gapsIn(inode, outer.start, inner.start).length > 0 ? outer.start : inner.start;
  const to = gapsIn(inode, inner.end, outer.end).length > 0 ? outer.end : inner.end;
  return [{ from, to }];
}

/** A preallocated extent that holds the sector from `start` on: where in the file it ends, and where on the device. */
function preallocatedFrom(inode: InodeState, start: number): { end: number; place: number } | undefined {
  const [placed] = extentsIn(inode, start, start + SECTOR_SIZE);
  if (placed === undefined || placed.at > start || placed.extent.kind !== "prealloc") return undefined;
  const { start: place, offset, length } = placed.extent;
  return { end: endOf(placed), place: place + offset + length };
}

function sectorsOf({ offset, length }: Range): Sectors {
  return { start: alignDown(offset, SECTOR_SIZE), end: alignUp(offset + length, SECTOR_SIZE) };
}

/** Only the extent at the beginning stays where it is preallocated: what follows is to become one extent, also what is preallocated already. */
function zero(state: BtrfsState, inode: InodeState, range: Range, mode: number): Errno | undefined {
  const whole = sectorsOf(range);
  const stop = range.offset + range.length;
  const settled = zeroBehindEnd(state, inode, stop) ?? flushRange(inode, whole.start, whole.end - whole.start);
  if (settled !== undefined) return settled;
  const head = preallocatedFrom(inode, whole.start);
  const rest = head === undefined ? range : { offset: head.end, length: Math.max(0, stop - head.end) };
  const refused = beginPrealloc(state, inode, rest.length > 0, grows(inode, range, mode));
  const failed = refused ?? (rest.length === 0 ? undefined : zeroRest(state, inode, rest, head?.place));
  if (failed !== undefined) return failed;
  if (head !== undefined) inode.mapping?.punch(whole.start, Math.min(head.end, whole.end) - whole.start);
  grow(state, inode, range, mode);
  return undefined;
}

function zeroRest(state: BtrfsState, inode: InodeState, range: Range, hint: number | undefined): Errno | undefined {
  const outer = sectorsOf(range);
  const length = outer.end - outer.start;
  if (length === SECTOR_SIZE && preallocatedFrom(inode, outer.start) !== undefined) return undefined;
  const inner = zeroEdges(state, inode, range, true);
  if (!("start" in inner)) return inner;
  // What was zeroed at the edges stays dirty: it is no more put into the item when it is written, as the file has preallocated extents then.
  const failed = fill(state, inode, zeroed(inode, outer, inner), hint);
  if (failed !== undefined) return failed;
  inode.mapping?.punch(inner.start, Math.max(0, inner.end - inner.start));
  return undefined;
}
