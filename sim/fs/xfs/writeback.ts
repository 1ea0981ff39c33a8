/**
 * Giving promised blocks their place and writing pages to them (fs/xfs/xfs_aops.c, xfs_reflink.c: xfs_bmapi_convert_delalloc, xfs_end_ioend, xfs_reflink_end_cow).
 *
 * Interface: a promised range gets its place as a whole, blocks behind the end of the file included; what is not written of it is unwritten. Pages of
 * shared blocks go to the copy-on-write fork's blocks, which become the file's once they are written.
 */
import type { Content } from "../../core/content.ts";
import { ENOSPC, type Errno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { convertExtents } from "../convert-extents.ts";
import type { ExtentList } from "../extent-list.ts";
import type { PromisedBlocks } from "../promised-blocks.ts";
import { dataGoal, type Place } from "./adjacent.ts";
import type { CowFork, FileData } from "./file-data.ts";
import { makeFile } from "./file-of.ts";
import { forkSpace } from "./fork-space.ts";
import { PROJECT } from "./inodes.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { endOwnPromises, endPromises } from "./promise.ts";
import { addStaging, endStaging } from "./shared.ts";
import { allocateBlocks, allocateStriped, type Run } from "./space.ts";
import type { XfsState } from "./state.ts";
import { freeMapped } from "./unmap.ts";

/** Logical blocks [start, end) of a file, and how their extents are marked. */
export interface BlockRange {
  readonly start: number;
  readonly end: number;
  readonly unwritten: boolean;
  /** Whether nothing was promised for them. */
  readonly isHole?: boolean;
}

/**
 * Takes blocks for a file's data. On a striped device those of a whole stripe unit or more at the file's end are aligned; what no write
 * has promised goes on where the file ends, if it can (xfs_bmap_btalloc_best_length, Linux 6.18).
 */
function allocateData(state: XfsState, ino: number, place: Place, into: Run): boolean {
  const { stripeUnit } = state.geometry;
  const { list, promised, block, count, isHole } = place;
  const wish = { goal: dataGoal(state.geometry, ino, place), wanted: count };
  if (stripeUnit > 0 && count >= stripeUnit) {
    const isLast = list.find(block) >= list.count && promised?.nextCovered(block + count) === undefined;
    if (isLast && allocateStriped(state, wish, isHole && block > 0, into)) return true;
  }
  return allocateBlocks(state, { ...wish, userData: true }, into);
}

/** Allocates [start, end), where nothing is mapped, and ends the promises for it. */
export function allocateRange(state: XfsState, ino: number, data: FileData, range: BlockRange): Errno | undefined {
  const run: Run = { start: 0, count: 0 };
  const { fork } = data;
  for (let block = range.start; block < range.end; ) {
    const wanted = range.end - block;
    const isHole = range.isHole === true;
    const place = { list: fork.list, promised: data.delayed?.blocks, block, count: wanted, isHole };
    if (!allocateData(state, ino, place, run)) return ENOSPC;
    endOwnPromises(state, ino, data, [block, block + run.count], "kept");
    fork.list.insert({ logical: block, physical: run.start, count: run.count, unwritten: range.unwritten }, fork);
    fork.settle(forkSpace(state, ino));
    state.addBlocks(ino, run.count);
    state.dirtyFork(ino);
    const { events } = state.environment;
    if (events.listening) events.emit({ op: "extent", filesystem: state.label, inode: ino, block: run.start, blocks: run.count });
    block += run.count;
  }
  return undefined;
}

/** The promised range that holds a block; the block alone when none does. */
function promisedAround(promised: PromisedBlocks | undefined, block: number): { start: number; end: number } {
  if (promised?.has(block) !== true) return { start: block, end: block + 1 };
  return { start: promised.startOf(block), end: promised.nextGap(block) };
}

/** Gives places to the blocks of [first, end) that have none, with all that was promised together with them. */
function convertPromises(state: XfsState, ino: number, data: FileData, first: number, end: number): Errno | undefined {
  const { list } = data.fork;
  for (let block = first; block < end; ) {
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    if (data.cow !== undefined && coveredByCow(data.cow, block)) {
      block += 1;
      continue;
    }
    const range = promisedAround(data.delayed?.blocks, block);
    const unwritten = range.start < first || range.end > end;
    const failed = allocateRange(state, ino, data, { ...range, unwritten });
    if (failed !== undefined) return failed;
    block = range.end;
  }
  return undefined;
}

/**
 * A file grows from one end to another, or is written beyond its end: what was promised behind the old end gets its place unwritten
 * (the zeroing of xfs_file_write_checks), together with what was promised before.
 */
export function settleBehindEnd(state: XfsState, ino: number, data: FileData, end: number): Errno | undefined {
  if (data.delayed === undefined) return undefined;
  const old = Math.ceil(state.size(ino) / BLOCK_SIZE);
  for (let at = data.delayed.blocks.nextCovered(old); at !== undefined && at < end; at = data.delayed?.blocks.nextCovered(old)) {
    const range = promisedAround(data.delayed?.blocks, at);
    const failed = state.begin(range.end - range.start) ?? allocateRange(state, ino, data, { ...range, unwritten: true });
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function coveredByCow(cow: CowFork, block: number): boolean {
  return cow.list.has(block) || cow.delayed.blocks.has(block);
}

/** Gives places to what the copy-on-write fork promised around [first, end). */
function convertCow(state: XfsState, ino: number, data: FileData, first: number, end: number): Errno | undefined {
  const { cow } = data;
  if (cow === undefined) return undefined;
  for (let at = cow.delayed.blocks.nextCovered(first); at !== undefined && at < end; at = cow.delayed.blocks.nextCovered(first)) {
    const range = promisedAround(cow.delayed.blocks, at);
    const run: Run = { start: 0, count: 0 };
    for (let block = range.start; block < range.end; ) {
      const wanted = range.end - block;
      const place = { list: cow.list, promised: cow.delayed.blocks, block, count: wanted, isHole: false };
      if (!allocateData(state, ino, place, run)) return ENOSPC;
      endPromises(state, ino, cow.delayed, [block, block + run.count], "kept");
      cow.list.insert({ logical: block, physical: run.start, count: run.count, unwritten: false }, cow);
      addStaging(state, run.start, run.count);
      block += run.count;
    }
  }
  return undefined;
}

/** The blocks of [from, to) that a list maps, as runs on the disk. */
function visitMapped(
  list: ExtentList,
  range: { readonly from: number; readonly to: number },
  visit: (from: number, to: number, physical: number) => void,
): void {
  for (let index = list.find(range.from); index < list.count && list.logical(index) < range.to; index++) {
    const from = Math.max(range.from, list.logical(index));
    const to = Math.min(range.to, list.end(index));
    visit(from, to, list.physical(index) + from - list.logical(index));
  }
}

/** Pages that are written to one place: blocks [from, to) of the file, to `physical` on. */
interface Piece {
  readonly from: number;
  readonly to: number;
  readonly physical: number;
  /** The copy-on-write fork whose blocks these are. */
  readonly cow?: CowFork;
}

/** Where each page of [first, end) goes: to the copy-on-write fork where it has blocks, else to the file's own. */
function piecesOf(data: FileData, first: number, end: number): Piece[] {
  const pieces: Piece[] = [];
  let at = first;
  const own = (to: number): void =>
    visitMapped(data.fork.list, { from: at, to }, (from, until, physical) => pieces.push({ from, to: until, physical }));
  const { cow } = data;
  if (cow !== undefined)
    visitMapped(cow.list, { from: first, to: end }, (from, to, physical) => {
      own(from);
      pieces.push({ from, to, physical, cow });
      at = to;
    });
  own(end);
  return pieces;
}

/** xfs_reflink_end_cow: blocks that were written take the place of the shared ones. */
function remap(state: XfsState, ino: number, data: FileData, piece: Piece & { readonly cow: CowFork }): void {
  const { from, to, physical, cow } = piece;
  const { fork } = data;
  cow.list.remove(from, to, () => undefined, cow);
  state.projects.charge(state.word(ino, PROJECT), -(to - from));
  endStaging(state, physical, to - from);
  endOwnPromises(state, ino, data, [from, to], "dropped");
  freeMapped(state, ino, data, from, to);
  fork.list.insert({ logical: from, physical, count: to - from, unwritten: false }, fork);
  state.addBlocks(ino, to - from);
  fork.settle(forkSpace(state, ino));
  state.dirtyFork(ino);
}

export function writePages(state: XfsState, ino: number, start: number, content: Content): Errno | undefined {
  const data = makeFile(state, ino);
  // The next close has nothing to hurry with then, and does not trim again (xfs_vm_writepages).
  data.truncated = false;
  const { fork } = data;
  const end = (start + content.length) / BLOCK_SIZE;
  const first = start / BLOCK_SIZE;
  const missing = fork.list.missing(first, end);
  const needed = data.cow === undefined ? missing : missing + data.cow.blocks;
  const refused = state.begin(needed);
  if (refused !== undefined) return refused;
  // Blocks get data before a checkpoint maps them: `begin` made sure that none is needed between allocation and write.
  const failed =
    convertCow(state, ino, data, first, end) ?? (missing > 0 ? convertPromises(state, ino, data, first, end) : undefined);
  if (failed !== undefined) return failed;
  let converts = false;
  for (const piece of piecesOf(data, first, end)) {
    const part = content.slice(piece.from * BLOCK_SIZE - start, piece.to * BLOCK_SIZE - start);
    const lost = state.device.write(bytes(piece.physical * BLOCK_SIZE), part);
    if (lost !== undefined) return lost;
    if (piece.cow !== undefined) remap(state, ino, data, { ...piece, cow: piece.cow });
    else if (!converts) converts = hasUnwritten(fork.list, piece.from, piece.to);
  }
  if (converts) {
    convertExtents(fork.list, first, end, { unwritten: false, growth: fork });
    fork.settle(forkSpace(state, ino));
    state.dirtyFork(ino);
  }
  const onDisk = Math.max(data.onDisk, Math.min(state.size(ino), end * BLOCK_SIZE));
  const isLonger = onDisk > data.onDisk;
  data.onDisk = onDisk;
  if (missing > 0 || isLonger) state.dirtyFork(ino);
  return undefined;
}

function hasUnwritten(list: ExtentList, from: number, to: number): boolean {
  for (let index = list.find(from); index < list.count && list.logical(index) < to; index++)
    if (list.isUnwritten(index)) return true;
  return false;
}
