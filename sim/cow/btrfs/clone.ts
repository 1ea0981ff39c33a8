/** Sharing extents between files, also of different subvolumes (fs/btrfs/reflink.c: btrfs_clone, btrfs_remap_file_range; Linux 6.18). */
import { EINVAL, EROFS, type Errno } from "../../core/errno.ts";
import { alignDown, alignUp } from "../../core/units.ts";
import { zeroBehindEnd } from "./file-end.ts";
import { dropExtents, endOf, extentsIn, putExtent, visitExtents } from "./file-extents.ts";
import { flushRange, type InodeState } from "./inode-state.ts";
import { dirty, stamp } from "./inodes.ts";
import type { DiskExtent, InlineExtent } from "./items.ts";
import { NODATASUM_FLAG, SECTOR_SIZE } from "./layout.ts";
import { promiseRange, undelay, writePromised } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";
import { begin } from "./transaction.ts";

const CLONE_ITEMS = 4;

/** A part of a file: whole sectors, but for an end that is the file's. */
export interface FileRange {
  readonly inode: InodeState;
  readonly offset: number;
}

/** @param length - 0: to the source's end. @param same - both hold the same bytes: allowed in a read-only subvolume too, and times stay. */
export function clone(state: BtrfsState, source: FileRange, target: FileRange, length: number, same = false): Errno | undefined {
  if (target.inode.subvolume.item.readOnly && !same) return EROFS;
  if (!areAlike(source, target)) return EINVAL;
  const size = source.inode.size;
  const count = length === 0 ? size - source.offset : length;
  const span = alignUp(Math.max(0, count), SECTOR_SIZE);
  const unwritten = writeRanges(source, target, span);
  if (unwritten !== undefined) return unwritten;
  const unfit = unfitError(source, target, count);
  if (unfit !== undefined || count === 0) return unfit;
  const failed = begin(state, CLONE_ITEMS, target.inode.subvolume) ?? expand(state, target);
  if (failed !== undefined) return failed;
  return share(state, source, target, { count, span, same });
}

/** Whether both have checksums of their data, or neither. */
function areAlike(source: FileRange, target: FileRange): boolean {
  return ((source.inode.flags ^ target.inode.flags) & NODATASUM_FLAG) === 0;
}

/** Writes all of the source, and of the target what is to be replaced, before anything else is looked at (btrfs_remap_file_range_prep). */
function writeRanges(source: FileRange, target: FileRange, span: number): Errno | undefined {
  return source.inode.mapping?.flush() ?? flushRange(target.inode, alignDown(target.offset, SECTOR_SIZE), span);
}

/** A copy is tried as a clone first, which writes ranges of the length that was asked for, though it may share less of them, or nothing. */
export function prepareCopy(source: FileRange, target: FileRange, length: number): void {
  if (!target.inode.subvolume.item.readOnly && areAlike(source, target))
    writeRanges(source, target, alignUp(length, SECTOR_SIZE));
}

/** Why a range cannot be shared (generic_remap_checks). */
function unfitError(source: FileRange, target: FileRange, count: number): Errno | undefined {
  const { size } = source.inode;
  if (count < 0 || source.offset + count > size) return EINVAL;
  if (source.offset % SECTOR_SIZE !== 0 || target.offset % SECTOR_SIZE !== 0) return EINVAL;
  const reachesEnd = source.offset + count === size && target.offset + count >= target.inode.size;
  if (count % SECTOR_SIZE !== 0 && !reachesEnd) return EINVAL;
  const distance = Math.abs(source.offset - target.offset);
  return source.inode === target.inode && distance < alignUp(count, SECTOR_SIZE) ? EINVAL : undefined;
}

/** Makes a file longer up to where it gets something behind its end; the sector that is zeroed then is written before anything is shared. */
function expand(state: BtrfsState, { inode, offset }: FileRange): Errno | undefined {
  if (offset <= inode.size) return undefined;
  const start = alignDown(inode.size, SECTOR_SIZE);
  return zeroBehindEnd(state, inode, offset) ?? flushRange(inode, start, offset - start);
}

function share(
  state: BtrfsState,
  source: FileRange,
  target: FileRange,
  how: { count: number; span: number; same: boolean },
): Errno | undefined {
  const { inode } = target;
  const from = source.offset;
  const to = source.offset + how.span;
  const shift = target.offset - source.offset;
  const parts = extentsIn(source.inode, from, to);
  inode.log.reflinkedIn = state.generation;
  inode.log.needsFullSync = true;
  const inline = parts.map(({ extent }) => extent).find((extent): extent is InlineExtent => extent.kind === "inline");
  const asItem = inline !== undefined && takesItem(target, inline.length);
  inode.mapping?.punch(target.offset, how.span);
  undelay(state, inode, target.offset, target.offset + how.span);
  dropExtents(state, inode, target.offset, target.offset + how.span);
  for (const placed of parts) {
    const { at, extent } = placed;
    if (extent.kind === "inline") continue;
    const start = Math.max(at, from);
    const end = Math.min(endOf(placed), to);
    const part: DiskExtent = { ...extent, offset: extent.offset + start - at, length: end - start };
    takeShared(state, inode, start + shift, part);
  }
  const refused = inline === undefined ? undefined : copyInline(state, target, inline, asItem);
  if (refused !== undefined) return refused;
  inode.size = Math.max(inode.size, target.offset + how.count);
  if (inode.delayed === undefined) inode.diskSize = inode.size;
  if (how.same) dirty(state, inode);
  else stamp(state, inode, true);
  if (inline === undefined || asItem) return undefined;
  // What was copied into a page is written before it is forgotten with all others of the range (btrfs_clone_files).
  const unwritten = flushRange(inode, target.offset, how.span);
  if (unwritten === undefined) inode.mapping?.punch(target.offset, how.span);
  return unwritten;
}

/** Gives a file a part of an extent that others have too. */
function takeShared(state: BtrfsState, inode: InodeState, at: number, part: DiskExtent): void {
  putExtent(inode, at, part);
  inode.bytes += part.length;
  const reference = { start: part.start, object: inode.ino, offset: at - part.offset };
  state.references.changeData(inode.subvolume.id, reference, 1);
  const { events } = state.environment;
  if (!events.listening) return;
  events.emit({
    op: "extentShare",
    filesystem: state.label,
    inode: inode.ino,
    block: (part.start + part.offset) / SECTOR_SIZE,
    blocks: part.length / SECTOR_SIZE,
  });
}

/**
 * Whether an inline extent is copied as the item that it is: to the beginning of a file that is no longer, and that has nothing, or an inline extent too
 * (clone_copy_inline_extent).
 */
function takesItem({ inode, offset }: FileRange, length: number): boolean {
  if (offset > 0 || inode.size > length) return false;
  let takes = true;
  visitExtents(inode, 0, Number.MAX_SAFE_INTEGER, ({ extent }) => {
    takes = extent.kind === "inline";
    return true;
  });
  return takes;
}

/** What lies in an item is no extent to share: it is copied, into an item or a page of the file. */
function copyInline(state: BtrfsState, { inode, offset }: FileRange, extent: InlineExtent, asItem: boolean): Errno | undefined {
  if (asItem) {
    putExtent(inode, 0, extent);
    inode.bytes += extent.length;
    return undefined;
  }
  return (
    promiseRange(state, inode, offset, offset + extent.length) ??
    writePromised(state, inode, { offset, content: extent.content }, Math.max(inode.size, offset))
  );
}
