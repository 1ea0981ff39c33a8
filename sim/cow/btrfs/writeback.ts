/**
 * Writing data back: into its item, compressed, in place or to a new place (fs/btrfs/inode.c: btrfs_run_delalloc_range, cow_file_range, compress_file_range,
 * run_delalloc_nocow; Linux 6.18. spec/block-cow.md 2.2, 2.7).
 */
import { Content } from "../../core/content.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { alignUp, KIB } from "../../core/units.ts";
import { type Compression, compressedBytes, looksCompressible } from "./compression.ts";
import { addChecksums } from "./extent-items.ts";
import { dropExtents, endOf, extentsIn, type Placed, putExtent, visitExtents, wasAlone } from "./file-extents.ts";
import type { InodeState } from "./inode-state.ts";
import { dirty } from "./inodes.ts";
import type { CompressedRecord, DiskExtent } from "./items.ts";
import {
  COMPRESS_FLAG,
  COMPRESSED_BYTES_MAX,
  EXTENT_BYTES_MAX,
  NOCOMPRESS_FLAG,
  NOCOW_FLAG,
  NODATASUM_FLAG,
  PREALLOC_FLAG,
  SECTOR_SIZE,
} from "./layout.ts";
import { canCompress, compressionProperty } from "./props.ts";
import { undelay } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";

/** How much one thread is given to compress (cow_file_range_async: SZ_512K). */
const CHUNK_BYTES = KIB(512);

/** Bytes of a file that are being written: whole sectors. */
interface Run {
  readonly start: number;
  readonly content: Content;
}

export function writePages(state: BtrfsState, inode: InodeState, start: number, content: Content): Errno | undefined {
  const end = start + content.length;
  const failed = state.error === undefined ? place(state, inode, { start, content }) : EIO;
  // What could not be written is not tried again: its pages are clean, and nothing is promised to them (btrfs_finish_one_ordered).
  undelay(state, inode, start, end);
  if (failed !== undefined) return failed;
  inode.writtenTo = end;
  inode.diskSize = Math.max(inode.diskSize, Math.min(inode.size, end));
  if (inode.delayed === undefined) inode.diskSize = inode.size;
  dirty(state, inode);
  return undefined;
}

function place(state: BtrfsState, inode: InodeState, run: Run): Errno | undefined {
  // Data that may stay where it is never goes into the item, and is not compressed (should_nocow; fallback_to_cow).
  if ((inode.flags & (NOCOW_FLAG | PREALLOC_FLAG)) !== 0) return placeAround(state, inode, run);
  if (isWorthCompressing(state, inode, run.content) && putCompressedInline(state, inode, run)) return undefined;
  return putInline(state, inode, run, "none") ? undefined : copyOut(state, inode, run);
}

/** Writes what may be written in place there, and the rest to new places (run_delalloc_nocow). */
function placeAround(state: BtrfsState, inode: InodeState, run: Run): Errno | undefined {
  const end = run.start + run.content.length;
  const nocow = (inode.flags & NOCOW_FLAG) !== 0;
  for (let at = run.start; at < end; ) {
    const found = inPlace(state, inode, at, end, nocow);
    const stop = found.placed === undefined ? found.end : Math.min(end, found.end);
    const part: Run = { start: at, content: run.content.slice(at - run.start, stop - run.start) };
    const failed = found.placed === undefined ? copyOut(state, inode, part) : overwrite(state, inode, part, found.placed);
    if (failed !== undefined) return failed;
    at = stop;
  }
  return undefined;
}

// Inline

/** Puts a whole small file into its item, if it may be there. @returns whether it is. */
function putInline(state: BtrfsState, inode: InodeState, run: Run, by: Compression, stored: number = inode.size): boolean {
  const { size } = inode;
  if (run.start !== 0 || size > SECTOR_SIZE || size === 0 || stored > state.inlineMax) return false;
  if (by === "none" && size >= SECTOR_SIZE) return false;
  dropExtents(state, inode, 0, Number.MAX_SAFE_INTEGER);
  const content = run.content.slice(0, size);
  putExtent(inode, 0, { kind: "inline", generation: state.generation, length: size, stored, content, compression: by });
  inode.log.needsFullSync = true;
  inode.bytes += size;
  return true;
}

/** What data is compressed with: as the file says, else as the mount does. */
function algorithmOf(state: BtrfsState, inode: InodeState): Compression {
  const own = compressionProperty(inode);
  if (own !== "none") return own;
  const asked = state.environment.options?.compress ?? "none";
  return asked === "none" ? "zlib" : asked;
}

function mayCompress(state: BtrfsState, inode: InodeState): boolean {
  if ((inode.flags & PREALLOC_FLAG) !== 0 || !canCompress(inode)) return false;
  if (state.environment.options?.force === true) return true;
  if ((inode.flags & NOCOMPRESS_FLAG) !== 0) return false;
  return (inode.flags & COMPRESS_FLAG) !== 0 || (state.environment.options?.compress ?? "none") !== "none";
}

/** Whether data is to be compressed, and looks as if it would shrink (inode_need_compress). */
function isWorthCompressing(state: BtrfsState, inode: InodeState, content: Content): boolean {
  return mayCompress(state, inode) && (state.environment.options?.force === true || looksCompressible(content));
}

function putCompressedInline(state: BtrfsState, inode: InodeState, run: Run): boolean {
  if (run.start !== 0 || inode.size > SECTOR_SIZE) return false;
  const by = algorithmOf(state, inode);
  const stored = compressedBytes(run.content.slice(0, inode.size), by);
  return stored < inode.size && putInline(state, inode, run, by, stored);
}

// In place

/** What to do at a byte: the extent that may be written in place, or undefined for a new place; and how far. */
function inPlace(
  state: BtrfsState,
  inode: InodeState,
  at: number,
  end: number,
  nocow: boolean,
): { placed: Placed<DiskExtent> | undefined; end: number } {
  let out: { placed: Placed<DiskExtent> | undefined; end: number } = { placed: undefined, end };
  visitExtents(inode, at, end, (placed) => {
    const { extent } = placed;
    const inThis = placed.at <= at;
    const allowed =
      extent.kind !== "inline" &&
      (extent.kind === "prealloc" || nocow) &&
      extent.compression === "none" &&
      wasAlone(state, extent);
    if (inThis && allowed) {
      out = { placed: { at: placed.at, extent }, end: endOf(placed) };
      return true;
    }
    if (!allowed) return false;
    out = { placed: undefined, end: placed.at };
    return true;
  });
  return out;
}

/** Writes data to where it is; what was preallocated is written from now on. */
function overwrite(state: BtrfsState, inode: InodeState, run: Run, placed: Placed<DiskExtent>): Errno | undefined {
  const { at, extent } = placed;
  const failed = state.write(extent.start + extent.offset + run.start - at, run.content);
  if (failed !== undefined) return failed;
  if (extent.kind === "regular") return undefined;
  const end = run.start + run.content.length;
  const part = (from: number, to: number, kind: DiskExtent["kind"]): void => {
    if (from >= to) return;
    const { generation } = state;
    putExtent(inode, from, { ...extent, kind, generation, offset: extent.offset + from - at, length: to - from });
  };
  const reference = { start: extent.start, object: inode.ino, offset: at - extent.offset };
  const parts = (run.start > at ? 1 : 0) + (end < endOf(placed) ? 1 : 0);
  for (let more = 0; more < parts; more++) state.references.changeData(inode.subvolume.id, reference, 1);
  part(at, run.start, "prealloc");
  part(run.start, end, "regular");
  part(end, endOf(placed), "prealloc");
  inode.log.extentsChanged(state.generation, run.start, end);
  if ((inode.flags & NODATASUM_FLAG) === 0)
    addChecksums(state, extent.start + extent.offset + run.start - at, run.content.length);
  return undefined;
}

// To a new place

/** A run that is worth compressing is cut into chunks, each with threads of its own to compress it (cow_file_range_async). */
function copyOut(state: BtrfsState, inode: InodeState, run: Run): Errno | undefined {
  if (!isWorthCompressing(state, inode, run.content)) return copyPlain(state, inode, run);
  for (let at = 0; at < run.content.length; at += CHUNK_BYTES) {
    const chunk: Run = { start: run.start + at, content: run.content.slice(at, at + CHUNK_BYTES) };
    const failed = copyChunk(state, inode, chunk);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Writes a chunk compressed, piece by piece; what is behind the first piece that does not shrink is written as it is (compress_file_range). */
function copyChunk(state: BtrfsState, inode: InodeState, { start, content }: Run): Errno | undefined {
  let at = 0;
  while (at < content.length) {
    const done = copyCompressed(state, inode, { start: start + at, content: content.slice(at, at + COMPRESSED_BYTES_MAX) });
    if (isErrno(done)) return done;
    if (!done) return copyPlain(state, inode, { start: start + at, content: content.slice(at) });
    at += COMPRESSED_BYTES_MAX;
  }
  return undefined;
}

/** Writes a piece compressed, if it shrinks by a sector at least, and as it is if no place is long enough. @returns false when it does not shrink. */
function copyCompressed(state: BtrfsState, inode: InodeState, piece: Run): boolean | Errno {
  const { length } = piece.content;
  if (!isWorthCompressing(state, inode, piece.content)) return false;
  // A single sector cannot shrink; only at the beginning of a small file it was tried for the item.
  if (length <= SECTOR_SIZE && (piece.start > 0 || length < inode.size)) return false;
  const by = algorithmOf(state, inode);
  const disk = alignUp(compressedBytes(piece.content, by), SECTOR_SIZE);
  if (disk + SECTOR_SIZE > length) {
    const insists = state.environment.options?.force === true || compressionProperty(inode) !== "none";
    if (!insists) inode.flags |= NOCOMPRESS_FLAG;
    return false;
  }
  return allocate(state, inode, piece, { by, disk }) ?? true;
}

function copyPlain(state: BtrfsState, inode: InodeState, { start, content }: Run): Errno | undefined {
  for (let at = 0; at < content.length; ) {
    const done = allocatePlain(state, inode, { start: start + at, content: content.slice(at, at + EXTENT_BYTES_MAX) });
    if (isErrno(done)) return done;
    at += done;
  }
  return undefined;
}

/** Where the file has been so far, near a byte: new data goes there if there is room (get_extent_allocation_hint). */
function hintFor(inode: InodeState, at: number): number | undefined {
  const here =
    extentsIn(inode, at, at + 1)[0] ?? extentsIn(inode, Math.max(0, at - SECTOR_SIZE), at)[0] ?? extentsIn(inode, 0, 1)[0];
  return here === undefined || here.extent.kind === "inline" ? undefined : here.extent.start + here.extent.offset;
}

/** @returns how many bytes got their place. */
function allocatePlain(state: BtrfsState, inode: InodeState, run: Run): number | Errno {
  const { start, length } = state.space.takePromised(run.content.length, hintFor(inode, run.start));
  const content = run.content.slice(0, length);
  const failed = state.write(start, content);
  if (failed !== undefined) {
    state.space.giveUp(start, length);
    return failed;
  }
  insert(state, inode, run.start, {
    kind: "regular",
    start,
    diskBytes: length,
    ramBytes: length,
    offset: 0,
    length,
    compression: "none",
  });
  return length;
}

function allocate(state: BtrfsState, inode: InodeState, run: Run, how: { by: Compression; disk: number }): Errno | undefined {
  const taken = state.space.takePromised(how.disk, hintFor(inode, run.start));
  if (taken.length < how.disk) {
    // No piece is long enough for what may not be split: plain sectors are.
    state.space.release(taken.start, taken.length);
    return copyPlain(state, inode, run);
  }
  const record: CompressedRecord = { kind: "btrfs.compressed", length: how.disk, content: run.content };
  const failed = state.write(taken.start, Content.record(record));
  if (failed !== undefined) {
    state.space.giveUp(taken.start, taken.length);
    return failed;
  }
  const { length } = run.content;
  insert(state, inode, run.start, {
    kind: "regular",
    start: taken.start,
    diskBytes: how.disk,
    ramBytes: length,
    offset: 0,
    length,
    compression: how.by,
  });
  return undefined;
}

/** Puts a new extent in the place of what the file had there. */
export function insert(state: BtrfsState, inode: InodeState, at: number, extent: Omit<DiskExtent, "generation">): void {
  dropExtents(state, inode, at, at + extent.length);
  putExtent(inode, at, { ...extent, generation: state.generation });
  inode.log.extentsChanged(state.generation, at, at + extent.length);
  inode.bytes += extent.length;
  const place = { start: extent.start, length: extent.diskBytes, generation: state.generation };
  state.references.addData(place, inode.subvolume.id, { start: extent.start, object: inode.ino, offset: at });
  if (extent.kind === "regular" && (inode.flags & NODATASUM_FLAG) === 0) addChecksums(state, extent.start, extent.diskBytes);
  const { events } = state.environment;
  if (events.listening)
    events.emit({
      op: "extent",
      filesystem: state.label,
      inode: inode.ino,
      block: extent.start / SECTOR_SIZE,
      blocks: extent.diskBytes / SECTOR_SIZE,
    });
}
