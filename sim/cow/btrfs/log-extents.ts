/**
 * File extents and their checksums in a log tree (fs/btrfs/tree-log.c: log_one_extent, btrfs_log_changed_extents, btrfs_log_prealloc_extents, btrfs_log_holes,
 * log_csums; Linux 6.18).
 *
 * Interface: items of a log tree count no references; a hole, which a subvolume's tree says nothing of, is an item there.
 */
import { alignUp } from "../../core/units.ts";
import { Cursor } from "../cursor.ts";
import type { Tree } from "../tree.ts";
import { addChecksums, removeChecksums } from "./extent-items.ts";
import { endOf, extentsIn, type Placed, sizeOfExtent, visitExtents } from "./file-extents.ts";
import type { InodeState } from "./inode-state.ts";
import type { DiskExtent, FileExtent } from "./items.ts";
import { EXTENT_DATA, FILE_EXTENT_BYTES, key, NODATASUM_FLAG, PREALLOC_FLAG, SECTOR_SIZE } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

/** Bytes of a file that have no extent. */
interface LoggedHole {
  readonly kind: "hole";
  readonly length: number;
}

/** What an EXTENT_DATA item of a log tree says. */
export type LoggedExtent = FileExtent | LoggedHole;

/** Which bytes of the device have the checksums of what an item stands for: the whole extent, where a part of it cannot be read alone. */
export function bytesWithChecksums({ start, offset, length, diskBytes, compression }: DiskExtent): {
  start: number;
  length: number;
} {
  return compression === "none" ? { start: start + offset, length } : { start, length: diskBytes };
}

function isOld(state: BtrfsState, inode: InodeState, { at, extent }: Placed): boolean {
  return extent.generation < state.generation && at < inode.size && inode.log.reflinkedIn < state.generation;
}

/** Puts an extent's item in, and the checksums of what the transaction wrote. */
function logExtent(state: BtrfsState, log: Tree, inode: InodeState, { at, extent }: Placed): void {
  const hasChecksums = extent.kind === "regular" && extent.generation === state.generation;
  if (hasChecksums && (inode.flags & NODATASUM_FLAG) === 0 && state.logs.claim()) {
    const { start, length } = bytesWithChecksums(extent);
    removeChecksums(log, start, length);
    addChecksums(state, start, length, log);
  }
  state.logs.set(log, key(inode.ino, EXTENT_DATA, at), sizeOfExtent(extent), extent);
}

function logHole(state: BtrfsState, log: Tree, inode: InodeState, start: number, end: number): void {
  const hole: LoggedHole = { kind: "hole", length: end - start };
  state.logs.set(log, key(inode.ino, EXTENT_DATA, start), FILE_EXTENT_BYTES, hole);
}

/** Logs an extent that a full sync has come to, unless an earlier transaction has it. */
export function logFoundExtent(state: BtrfsState, log: Tree, inode: InodeState, placed: Placed): void {
  if (!isOld(state, inode, placed)) logExtent(state, log, inode, placed);
}

function partOf({ at, extent }: { at: number; extent: DiskExtent | LoggedHole }, from: number, to: number): LoggedExtent {
  if (extent.kind === "hole") return { kind: "hole", length: to - from };
  return { ...extent, offset: extent.offset + from - at, length: to - from };
}

/** Takes [start, end) out of what the log says of a file. */
function dropLogged(state: BtrfsState, log: Tree, ino: number, start: number, end: number): void {
  const found: { at: number; extent: LoggedExtent }[] = [];
  const cursor = new Cursor(log);
  const first = key(ino, EXTENT_DATA);
  let more = cursor.seekBefore(key(ino, EXTENT_DATA, start + 1)) && cursor.compare(first) >= 0;
  if (!more) more = cursor.seek(first);
  for (; more && cursor.compare(key(ino, EXTENT_DATA, end)) < 0; more = cursor.next())
    found.push({ at: cursor.key.offset, extent: cursor.value as LoggedExtent });
  for (const { at, extent } of found) {
    const stop = at + extent.length;
    if (stop <= start || !state.logs.claim()) continue;
    log.remove(key(ino, EXTENT_DATA, at));
    if (extent.kind === "inline") continue;
    if (at < start) log.set(key(ino, EXTENT_DATA, at), FILE_EXTENT_BYTES, partOf({ at, extent }, at, start));
    if (stop > end) log.set(key(ino, EXTENT_DATA, end), FILE_EXTENT_BYTES, partOf({ at, extent }, end, stop));
  }
}

/** Logs what has changed of a file's extents since it was logged: new ones, and where there is none any more. */
export function logChangedExtents(state: BtrfsState, log: Tree, inode: InodeState, wasLogged: boolean): void {
  const put = (start: number, end: number, act: () => void): void => {
    if (wasLogged) dropLogged(state, log, inode.ino, start, end);
    act();
  };
  inode.log.takeExtents(state.generation)?.visit(0, Number.MAX_SAFE_INTEGER, (from, to) => {
    let at = from;
    for (const placed of extentsIn(inode, from, to)) {
      const start = Math.max(from, placed.at);
      if (start > at) put(at, start, () => logHole(state, log, inode, at, start));
      at = Math.min(to, alignUp(endOf(placed), SECTOR_SIZE));
      const isLater = placed.extent.kind === "prealloc" && placed.at >= inode.size;
      if (!isLater && placed.extent.generation === state.generation)
        put(placed.at, endOf(placed), () => logExtent(state, log, inode, placed));
    }
    const stop = Math.min(to, alignUp(inode.size, SECTOR_SIZE));
    if (stop > at) put(at, stop, () => logHole(state, log, inode, at, stop));
  });
  logPreallocated(state, log, inode);
}

/** Logs what is preallocated behind a file's end. */
export function logPreallocated(state: BtrfsState, log: Tree, inode: InodeState): void {
  if ((inode.flags & PREALLOC_FLAG) === 0) return;
  const behind = extentsIn(inode, inode.size, Number.MAX_SAFE_INTEGER).filter(({ at }) => at >= inode.size);
  const [first] = behind;
  if (first === undefined || !state.logs.claim()) return;
  dropLogged(state, log, inode.ino, first.at, Number.MAX_SAFE_INTEGER);
  for (const placed of behind) logExtent(state, log, inode, placed);
}

/** Logs all holes of a file. */
export function logHoles(state: BtrfsState, log: Tree, inode: InodeState): void {
  if (inode.size === 0) return;
  let at = 0;
  visitExtents(inode, 0, Number.MAX_SAFE_INTEGER, (placed) => {
    if (placed.at > at) logHole(state, log, inode, at, placed.at);
    at = alignUp(endOf(placed), SECTOR_SIZE);
    return false;
  });
  if (at < inode.size) logHole(state, log, inode, at, at + alignUp(inode.size - at, SECTOR_SIZE));
}
