/**
 * What stat(2) shows of a tmpfs inode, and its atime by the rules of relatime.
 */
import { type Clock, type Time, timeSet } from "../core/clock.ts";
import type { InodeNumber } from "../core/units.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import { type AttributeChange, type Attributes, S_IFBLK, S_IFCHR, S_IFMT } from "../vfs/filesystem.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import { atimeOfRead } from "../vfs/relatime.ts";
import { SHORT_TARGET, type TmpfsInodes } from "./tmpfs-inodes.ts";

/** Fills in what the inode's row says: all but the device and the size, which a directory has from its entries. */
export function readAttributes(inodes: TmpfsInodes, inode: number, into: Attributes): void {
  const mode = inodes.mode[inode] as number;
  const type = mode & S_IFMT;
  const data = inodes.data[inode];
  into.mode = mode;
  into.uid = inodes.uid[inode] as number;
  into.gid = inodes.gid[inode] as number;
  into.nlink = inodes.nlink[inode] as number;
  into.blocks = 0;
  if (data instanceof CachedMapping) into.blocks = data.cachedPages * (PAGE_SIZE / 512);
  else if (typeof data === "string" && (inodes.size[inode] as number) > SHORT_TARGET) into.blocks = PAGE_SIZE / 512;
  into.blockSize = PAGE_SIZE;
  into.rdev = type === S_IFCHR || type === S_IFBLK ? (inodes.extra[inode] as number) : 0;
  into.inodeNumber = inodes.number[inode] as InodeNumber;
  into.atime = inodes.atime[inode] as Time;
  into.mtime = inodes.mtime[inode] as Time;
  into.ctime = inodes.ctime[inode] as Time;
}

/** What a change stamps an inode with now. */
export function stampOf(inodes: TmpfsInodes, inode: number, clock: Clock): Time {
  if (inodes.asked[inode] === 0) return clock.time();
  inodes.asked[inode] = 0;
  return clock.changeTime(inodes.ctime[inode] as Time);
}

/** What setattr changes beside the size. @param cuts - whether the size or what lies behind it was changed. */
export function changeAttributes(inodes: TmpfsInodes, inode: number, change: AttributeChange, clock: Clock, cuts: boolean): void {
  const { mode, uid, gid, size, atime, mtime } = change;
  // A truncate to the size that an empty file has changes nothing.
  const stamps = size === undefined || cuts || mtime !== undefined || mode !== undefined;
  const now = stamps ? stampOf(inodes, inode, clock) : clock.time();
  if (stamps) inodes.ctime[inode] = now;
  if (cuts) inodes.mtime[inode] = now;
  if (mode !== undefined) inodes.mode[inode] = ((inodes.mode[inode] as number) & S_IFMT) | mode;
  if (uid !== undefined) inodes.uid[inode] = uid;
  if (gid !== undefined) inodes.gid[inode] = gid;
  if (atime !== undefined) inodes.atime[inode] = timeSet(atime, now);
  if (mtime !== undefined) inodes.mtime[inode] = timeSet(mtime, now);
}

/** A read: keeps its time when relatime asks for it. */
export function updateAtime(inodes: TmpfsInodes, inode: number, clock: Clock, above: boolean, strict: boolean): void {
  const atime = inodes.atime[inode] as Time;
  const mtime = inodes.mtime[inode] as Time;
  const ctime = inodes.ctime[inode] as Time;
  const now = atimeOfRead(clock, { atime, mtime, ctime }, inodes.asked[inode] !== 0, above, strict);
  if (now !== undefined) inodes.atime[inode] = now;
}
