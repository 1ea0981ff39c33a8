/**
 * Data of regular files between the page cache and the device: reading pages, and giving dirty ones their places (fs/ext4/inode.c: ext4_writepages,
 * mpage_map_and_submit_extent; extents.c: ext4_ext_map_blocks).
 *
 * Interface: data is on the device before the transaction that maps it commits (data=ordered), because it is written in the very call that maps it.
 */
import { readEach, writeEach } from "../../block/device.ts";
import { Content } from "../../core/content.ts";
import { ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { convertExtents } from "../convert-extents.ts";
import { allocateBlocks, allocateSmall, goalOf, REQUEST_BLOCKS, type Run, SMALL_FILE_BLOCKS } from "./allocate.ts";
import { dropPromises, makeFile } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import type { Ext4State } from "./state.ts";
import type { ExtentTree } from "./tree.ts";
import { settleTree } from "./tree-blocks.ts";

export function readPages(state: Ext4State, ino: number, start: number, length: number): Content | Errno {
  const { list } = makeFile(state, ino).tree;
  const parts: Content[] = [];
  const end = (start + length) / BLOCK_SIZE;
  let block = start / BLOCK_SIZE;
  for (let index = list.find(block); block < end; ) {
    const first = index < list.count ? list.logical(index) : end;
    if (first > block) {
      const hole = Math.min(end, first) - block;
      parts.push(Content.zeros(hole * BLOCK_SIZE));
      block += hole;
      if (block >= end) break;
    }
    const unit = Math.min(end, list.end(index)) - block;
    // A command each, which extents alike get at once.
    const count = block === first ? list.alike(index, end) : 1;
    if (list.isUnwritten(index)) parts.push(Content.zeros(count * unit * BLOCK_SIZE));
    else {
      const home = list.physical(index) + block - first;
      const length = bytes(count * unit * BLOCK_SIZE);
      const content = readEach(state.device, bytes(home * BLOCK_SIZE), length, bytes(unit * BLOCK_SIZE));
      if (isErrno(content)) return content;
      parts.push(content);
    }
    block += count * unit;
    index += count;
  }
  return Content.concat(parts);
}

export function writePages(state: Ext4State, ino: number, start: number, content: Content): Errno | undefined {
  const data = makeFile(state, ino);
  const tree = data.ownTree();
  const { list } = tree;
  const end = (start + content.length) / BLOCK_SIZE;
  const first = start / BLOCK_SIZE;
  const missing = list.missing(first, end);
  const refused = state.begin(missing);
  if (refused !== undefined) return refused;
  if (missing > 0) {
    // Blocks get data before a commit maps them: `begin` made sure that none is needed between allocation and write.
    const failed = mapMissing(state, ino, data, { start: first, end, unwritten: false });
    if (failed !== undefined) return failed;
  }
  let converts = false;
  for (let index = list.find(first); index < list.count && list.logical(index) < end; ) {
    const from = Math.max(first, list.logical(index));
    const unit = Math.min(end, list.end(index)) - from;
    // A command each, which extents alike get at once.
    const count = from === list.logical(index) ? list.alike(index, end) : 1;
    const home = list.physical(index) + from - list.logical(index);
    const failed = writeEach(
      state.device,
      bytes(home * BLOCK_SIZE),
      content.slice(from * BLOCK_SIZE - start, (from + count * unit) * BLOCK_SIZE - start),
      bytes(unit * BLOCK_SIZE),
    );
    if (failed !== undefined) return failed;
    if (list.isUnwritten(index)) converts = true;
    index += count;
  }
  if (converts) {
    convertExtents(list, first, end, { unwritten: false, growth: tree });
    settleTree(state, ino, tree);
    state.dirtyData(ino);
  }
  const onDisk = Math.max(data.onDisk, Math.min(state.size(ino), end * BLOCK_SIZE));
  const longer = onDisk > data.onDisk;
  data.onDisk = onDisk;
  if (missing > 0 || longer) state.dirtyData(ino);
  return undefined;
}

/** The fewest blocks that an extent has before the next begins: as many whole requests as an unwritten one holds. */
const FULL_EXTENT_BLOCKS: number = 15 * REQUEST_BLOCKS;

/** Logical blocks [start, end) of a file, and how their extents are marked. */
interface BlockRange {
  readonly start: number;
  readonly end: number;
  readonly unwritten: boolean;
}

/** Gives places to the blocks of [start, end) that have none, as written or unwritten extents. */
export function mapMissing(state: Ext4State, ino: number, data: FileData, range: BlockRange): Errno | undefined {
  const { list } = data.ownTree();
  const { end, unwritten } = range;
  for (let block = range.start; block < end; ) {
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, index < list.count ? list.logical(index) : end);
    const failed = allocateRange(state, ino, data, { start: block, end: gapEnd, unwritten });
    if (failed !== undefined) return failed;
    block = gapEnd;
  }
  return undefined;
}

/** Where a block should lie: where the nearest extent before it would put it, else in the inode's flex group (ext4_ext_find_goal). */
function dataGoal(state: Ext4State, ino: number, data: FileData, block: number): number {
  const { list } = data.tree;
  const before = list.find(block) - 1;
  if (before >= 0) return list.physical(before) + block - list.logical(before);
  if (list.count > 0) {
    const goal = list.physical(0) - (list.logical(0) - block);
    if (goal > 0) return goal;
  }
  return goalOf(state, ino, true);
}

/**
 * Allocates [start, end), where nothing is mapped, and ends the promises for it. Requests that follow each other on the disk are met
 * together, unless the extent tree may need a block between them: that block is then taken where the kernel takes it.
 */
function allocateRange(state: Ext4State, ino: number, data: FileData, range: BlockRange): Errno | undefined {
  const run: Run = { start: 0, count: 0 };
  const tree = data.ownTree();
  const small = Math.ceil(state.size(ino) / BLOCK_SIZE) <= SMALL_FILE_BLOCKS && range.end <= SMALL_FILE_BLOCKS;
  for (let block = range.start; block < range.end; ) {
    const goal = dataGoal(state, ino, data, block);
    const rest = range.end - block;
    const elsewhere = Math.min(rest, requestsFor(tree, block));
    const wanted = Math.min(rest, elsewhere + requestsInto(tree, block, range.unwritten));
    const found =
      small && tree.list.count === 0
        ? allocateSmall(state, goal, wanted, run)
        : allocateBlocks(state, { goal, count: wanted, elsewhere }, run);
    if (!found) return ENOSPC;
    const { start, count } = run;
    tree.list.insert({ logical: block, physical: start, count, unwritten: range.unwritten, piece: REQUEST_BLOCKS }, tree);
    settleTree(state, ino, tree);
    state.addBlocks(ino, count);
    state.dirtyData(ino);
    dropPromises(state, data, block, block + count);
    const { events } = state.environment;
    if (events.listening) tellExtents(state, ino, run);
    block += count;
  }
  return undefined;
}

/** How many blocks from one on can be asked for together: those of the requests behind which the tree needs no block yet. */
function requestsFor({ list, room }: ExtentTree, block: number): number {
  const last = list.count - 1;
  // Extents elsewhere than at the end may be of a leaf that is full.
  if (last >= 0 && list.end(last) > block) return room >= 2 ? FULL_EXTENT_BLOCKS : REQUEST_BLOCKS;
  return Math.max(REQUEST_BLOCKS, room * FULL_EXTENT_BLOCKS);
}

/** How many more where they go on with the last extent: those that it takes. */
function requestsInto({ list, room }: ExtentTree, block: number, unwritten: boolean): number {
  const last = list.count - 1;
  if (last < 0 || list.end(last) !== block) return 0;
  const more = list.roomIn(last, unwritten);
  // Without room for another extent, the one request is among them.
  return Math.max(0, more - (more % REQUEST_BLOCKS) - (room === 0 ? REQUEST_BLOCKS : 0));
}

/** An event for each request that a run met. */
function tellExtents(state: Ext4State, ino: number, { start, count }: Run): void {
  for (let done = 0; done < count; done += REQUEST_BLOCKS) {
    const blocks = Math.min(REQUEST_BLOCKS, count - done);
    state.environment.events.emit({ op: "extent", filesystem: state.label, inode: ino, block: start + done, blocks });
  }
}
