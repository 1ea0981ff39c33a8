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

function extentsOf(subvolume: Subvolume | undefined, ino: number, start: number, end: number): Placed[] {
  const out: Placed[] = [];
  if (subvolume !== undefined)
    visitExtents({ ino, subvolume }, start, end, (placed) => {
      out.push(placed);
      return false;
    });
  return out;
}

/** Whether the receiver's parent has the very same bytes of the device there. */
function isUnchanged(placed: Placed, before: readonly Placed[]): boolean {
  const { extent } = placed;
  let at = placed.at;
  for (const old of before) {
    if (old.at > at) return false;
    if (old.extent.kind === "inline" || extent.kind === "inline") return old.extent === extent;
    if (old.extent.start !== extent.start || old.extent.kind !== extent.kind) return false;
    if (old.extent.offset - old.at !== extent.offset - placed.at) return false;
    at = endOf(old);
  }
  return at >= endOf(placed);
}

/** Sends a file's data. @param finder - knows where the receiver has data already. */
export function sendData(sending: Sending, finder: CloneFinder, ino: number, item: InodeItem): Errno | undefined {
  if ((item.mode & S_IFMT) !== S_IFREG) return undefined;
  const { left, right } = sending;
  const old = left?.tree.get(key(ino, INODE_ITEM)) as InodeItem | undefined;
  let sent = 0;
  let at = 0;
  const failedOf = (placed: Placed): Errno | undefined => {
    const end = Math.min(endOf(placed), item.size);
    if (placed.at >= end) return undefined;
    const range = { ino, size: item.size, start: placed.at, length: end - placed.at, sent };
    sent = end;
    return writeOrClone(sending, finder, range, placed);
  };
  for (const placed of extentsOf(right, ino, 0, Number.MAX_SAFE_INTEGER)) {
    const hole = old === undefined ? undefined : sendHole(sending, ino, at, Math.min(placed.at, item.size));
    if (hole !== undefined) return hole;
    at = placed.extent.kind === "inline" ? alignUp(endOf(placed), SECTOR_SIZE) : endOf(placed);
    const isEmpty = placed.extent.kind === "prealloc" && old === undefined;
    if (isEmpty || (old !== undefined && isUnchanged(placed, extentsOf(left, ino, placed.at, endOf(placed))))) continue;
    const failed = failedOf(placed);
    if (failed !== undefined) return failed;
  }
  const hole = old === undefined ? undefined : sendHole(sending, ino, at, item.size);
  if (hole !== undefined) return hole;
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
  const source = extent.kind === "inline" ? undefined : finder.find(range, placed);
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

/** Zeros for what was data in the parent and is none any more. */
function sendHole(sending: Sending, ino: number, start: number, end: number): Errno | undefined {
  for (const placed of extentsOf(sending.left, ino, start, end)) {
    if (placed.extent.kind === "prealloc") continue;
    const failed = write(sending, ino, Math.max(start, placed.at), Math.min(end, endOf(placed)));
    if (failed !== undefined) return failed;
  }
  return undefined;
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
