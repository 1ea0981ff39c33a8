/** The data of a file in a send stream: what its extents hold, in pieces of 48 KiB (fs/btrfs/send.c: process_extent, send_write, send_hole). */
import { type Errno, isErrno } from "../../core/errno.ts";
import { alignUp, KIB } from "../../core/units.ts";
import { S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { readPages } from "./file.ts";
import { endOf, type Placed, visitExtents } from "./file-extents.ts";
import { inodeOf } from "./inodes.ts";
import type { InodeItem } from "./items.ts";
import { handleOf, INODE_ITEM, key, SECTOR_SIZE } from "./layout.ts";
import { type CloneFinder, CloneRange, type SendRange, sizeOf } from "./send-clone.ts";
import type { Sending } from "./sending.ts";
import type { Subvolume } from "./subvolume.ts";

/** BTRFS_SEND_READ_SIZE. */
const PIECE = KIB(48);

function extentsOf(subvolume: Subvolume, ino: number, start: number, end: number): Placed[] {
  const out: Placed[] = [];
  visitExtents({ ino, subvolume }, start, end, (placed) => {
    out.push(placed);
    return false;
  });
  return out;
}

/** Whether an item is the one that was in its place: then nobody looks at it. */
function isSameItem({ at, extent }: Placed, [old]: readonly Placed[]): boolean {
  if (old === undefined || old.at !== at) return false;
  if (old.extent.kind === "inline" || extent.kind === "inline") return old.extent === extent;
  return (
    old.extent.kind === extent.kind &&
    old.extent.start === extent.start &&
    old.extent.offset === extent.offset &&
    old.extent.length === extent.length
  );
}

/** The extents of a file from the one around a byte on, up to the first that begins at or behind `end`. */
function extentsUpTo(subvolume: Subvolume, ino: number, start: number, end: number): Placed[] {
  const out: Placed[] = [];
  visitExtents({ ino, subvolume }, start, Number.MAX_SAFE_INTEGER, (placed) => {
    out.push(placed);
    return placed.at >= end;
  });
  return out;
}

/**
 * Whether the receiver's parent has the very same bytes of the device there, in extents without a gap up to the one behind them. What is preallocated
 * is always taken for new (is_extent_unchanged).
 */
function isUnchanged(placed: Placed, left: Subvolume, ino: number): boolean {
  const end = endOf(placed);
  const before = extentsUpTo(left, ino, placed.at, end);
  if (isSameItem(placed, before)) return true;
  const { extent } = placed;
  if (extent.kind !== "regular" || before[0] === undefined || before[0].at > placed.at) return false;
  let at = before[0].at;
  for (const old of before) {
    if (old.at !== at) return false;
    if (at >= end) break;
    if (old.extent.kind === "inline" || old.extent.start !== extent.start || old.extent.kind !== extent.kind) return false;
    if (old.extent.offset - old.at !== extent.offset - placed.at) return false;
    at = endOf(old);
  }
  return at >= end;
}

/** Bytes of a file that are to be sent; and the extent that they are, where they are no hole's. */
interface Part {
  readonly start: number;
  readonly end: number;
  readonly placed: Placed | undefined;
}

/** What of a file the receiver does not have; and the hole behind all of it. @param left - its parent, where that has the file. */
function partsOf(
  right: Subvolume,
  left: Subvolume | undefined,
  ino: number,
  size: number,
): { readonly parts: readonly Part[]; readonly last: Part | undefined } {
  const parts: Part[] = [];
  let at = 0;
  // A hole where the parent has an extent is sent as zeros, behind the extent that ends it (maybe_send_hole, range_is_hole_in_parent).
  const holeUpTo = (end: number): Part | undefined => {
    const isThere = left === undefined || at >= Math.min(end, size) || extentsOf(left, ino, at, end).length === 0;
    return isThere ? undefined : { start: at, end: Math.min(end, size), placed: undefined };
  };
  for (const placed of extentsOf(right, ino, 0, Number.MAX_SAFE_INTEGER)) {
    // What is in an item stands for its sector, as far as the file goes (btrfs_file_extent_end).
    const stop = placed.extent.kind === "inline" ? alignUp(endOf(placed), SECTOR_SIZE) : endOf(placed);
    const end = Math.min(stop, size);
    const isThere = left === undefined ? placed.extent.kind === "prealloc" : isUnchanged(placed, left, ino);
    if (!isThere && placed.at < end) parts.push({ start: placed.at, end, placed });
    const hole = holeUpTo(placed.at);
    if (hole !== undefined) parts.push(hole);
    at = stop;
  }
  return { parts, last: holeUpTo(size) };
}

/** Sends a file's data. @param finder - knows where the receiver has data already. */
export function sendData(sending: Sending, finder: CloneFinder, ino: number, item: InodeItem): Errno | undefined {
  if ((item.mode & S_IFMT) !== S_IFREG) return undefined;
  const { left, right } = sending;
  const old = left?.tree.get(key(ino, INODE_ITEM)) as InodeItem | undefined;
  let sent = 0;
  const { parts, last } = partsOf(right, old === undefined ? undefined : left, ino, item.size);
  for (const part of last === undefined ? parts : [...parts, last]) {
    const { start, end, placed } = part;
    const range = { ino, size: item.size, start, length: end - start, sent };
    // Whether it must be cut is known before the last hole is sent (finish_inode_if_needed).
    if (part !== last) sent = end;
    const failed = placed === undefined ? write(sending, ino, start, end) : writeOrClone(sending, finder, range, placed);
    if (failed !== undefined) return failed;
  }
  const grows = old === undefined || item.size > old.size;
  const isDone = old?.size === item.size || (grows && sent === item.size);
  if (!isDone) sending.emit("truncate", { path: sending.path(ino), size: item.size });
  return undefined;
}

/** A range as a clone of what the receiver has, or as data (send_write_or_clone). */
function writeOrClone(sending: Sending, finder: CloneFinder, range: SendRange, placed: Placed): Errno | undefined {
  const { ino, start, length, size } = range;
  const end = start + length;
  const { extent } = placed;
  const source = extent.kind === "inline" ? undefined : finder.find(range, { at: placed.at, extent });
  if (source === undefined || extent.kind === "inline") return write(sending, ino, start, end);
  if (end % SECTOR_SIZE !== 0) {
    // An end that is not aligned can only be cloned onto the end of the file, from the end of the source.
    if (end !== size || source.offset + length !== sizeOf(source.root, source.ino)) return write(sending, ino, start, end);
    if (sending.left !== undefined) sending.emit("truncate", { path: sending.path(ino), size: start });
  }
  let failed: Errno | undefined;
  new CloneRange(sending, range, source, (from, to) => {
    failed ??= write(sending, ino, from, to);
  }).run(extent);
  return failed;
}

function write(sending: Sending, ino: number, start: number, end: number): Errno | undefined {
  const inode = inodeOf(sending.state, handleOf(sending.right.id, ino));
  const path = sending.path(ino);
  for (let at = start; at < end; at += PIECE) {
    const from = at - (at % SECTOR_SIZE);
    const to = Math.min(end, at + PIECE);
    const content = readPages(sending.state, inode, from, alignUp(to, SECTOR_SIZE) - from);
    if (isErrno(content)) return content;
    sending.emit("write", { path, file_offset: at, data: content.slice(at - from, to - from).toBytes() });
  }
  return undefined;
}
