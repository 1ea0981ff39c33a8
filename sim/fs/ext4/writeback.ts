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
import type { AddressSpace } from "../../vfs/address-space.ts";
import { FOLIO_PAGES_MAX, folioPages } from "../../vfs/large-folios.ts";
import { convertExtents } from "../convert-extents.ts";
import type { NewExtent } from "../extent-list.ts";
import { goalOf, REQUEST_BLOCKS } from "./allocate.ts";
import { allocateData } from "./data-blocks.ts";
import { discardUnneeded, dropPromises, makeFile } from "./file.ts";
import type { FileData } from "./file-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import type { Run } from "./mballoc.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";

/** What an ext4 does for the page cache. */
export function addressSpace(state: Ext4State): AddressSpace {
  return {
    label: state.label,
    readPages: (inode, start, length) => readPages(state, inode, start, length),
    writePages: (inode, start, content) => writePages(state, inode, start, content),
    ahead: { size: (inode) => state.size(inode), largeFolios: true },
  };
}

function readPages(state: Ext4State, ino: number, start: number, length: number): Content | Errno {
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

function writePages(state: Ext4State, ino: number, start: number, content: Content): Errno | undefined {
  const data = makeFile(state, ino);
  const end = (start + content.length) / BLOCK_SIZE;
  const first = start / BLOCK_SIZE;
  const missing = data.missing(first, end);
  const refused = state.begin(missing);
  if (refused !== undefined) return refused;
  if (missing > 0) {
    // Blocks get data before a commit maps them: `begin` made sure that none is needed between allocation and write.
    const failed = mapMissing(state, ino, data, { start: first, end });
    if (failed !== undefined) return failed;
  }
  const { list } = data.tree;
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
    const tree = data.ownTree();
    convertExtents(tree.list, first, end, { unwritten: false, growth: tree });
    settleTree(state, ino, tree);
    state.dirtyData(ino);
  }
  const onDisk = Math.max(data.onDisk, Math.min(state.size(ino), end * BLOCK_SIZE));
  const longer = onDisk > data.onDisk;
  data.onDisk = onDisk;
  if (missing > 0 || longer) state.dirtyData(ino);
  data.fold();
  return undefined;
}

/** Logical blocks [start, end) of a file. */
interface BlockRange {
  readonly start: number;
  readonly end: number;
}

/** Gives places to the blocks of [start, end) that have none. */
function mapMissing(state: Ext4State, ino: number, data: FileData, range: BlockRange): Errno | undefined {
  const { list } = data.ownTree();
  const { end } = range;
  for (let block = range.start; block < end; ) {
    const index = list.find(block);
    if (index < list.count && list.logical(index) <= block) {
      block = list.end(index);
      continue;
    }
    const gapEnd = Math.min(end, index < list.count ? list.logical(index) : end);
    const failed = allocateRange(state, ino, data, { start: block, end: gapEnd });
    if (failed !== undefined) return failed;
    block = gapEnd;
  }
  return undefined;
}

/** Where a block should lie: where the nearest extent before it would put it, else in the inode's flex group (ext4_ext_find_goal). */
export function dataGoal(state: Ext4State, ino: number, data: FileData, block: number): number {
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
  // A write that the memory's limit has written back has not set the size yet.
  const sizeBlocks = Math.max(Math.ceil(state.size(ino) / BLOCK_SIZE), range.end);
  for (let block = range.start; block < range.end; ) {
    const goal = dataGoal(state, ino, data, block);
    const folio = state.profile.largeFolios ? folioEnd(range, block) : undefined;
    const asked = Math.min(range.end, folio ?? block + REQUEST_BLOCKS);
    const most = range.end - block;
    const request = { ino, data, block, count: asked - block, most, goal, sizeBlocks, isPlain: false, unwritten: false };
    if (!allocateData(state, request, run)) return ENOSPC;
    const { start, count } = run;
    mapRun(state, ino, data, { logical: block, physical: start, count, unwritten: false, piece: REQUEST_BLOCKS });
    block += count;
  }
  discardUnneeded(state, ino, data.delayedBlocks);
  return undefined;
}

/**
 * Where the folio ends that a page of [start, end), which one call has written, lies within; undefined where one begins. Each is as large as its place
 * and what follows allow (__filemap_get_folio). What of one has no block yet is asked for by itself, before further pages are looked at
 * (mpage_map_and_submit_buffers).
 */
function folioEnd({ start, end }: BlockRange, page: number): number | undefined {
  let at = start;
  while (at < page) {
    const pages = folioPages(at, end - at);
    at += pages < FOLIO_PAGES_MAX ? pages : pages * Math.max(1, Math.floor((page - at) / pages));
  }
  return at === page ? undefined : at;
}

/** Enters blocks that were taken, and ends the promises for them. */
export function mapRun(state: Ext4State, ino: number, data: FileData, run: NewExtent): void {
  const { logical, physical: start, count } = run;
  const tree = data.ownTree();
  tree.list.insert(run, tree);
  settleTree(state, ino, tree);
  state.addBlocks(ino, count);
  state.dirtyData(ino);
  dropPromises(state, data, logical, logical + count);
  if (state.environment.events.listening) tellExtents(state, ino, { start, count });
}

/** An event for each request that a run met. */
function tellExtents(state: Ext4State, ino: number, { start, count }: Run): void {
  for (let done = 0; done < count; done += REQUEST_BLOCKS) {
    const blocks = Math.min(REQUEST_BLOCKS, count - done);
    state.environment.events.emit({ op: "extent", filesystem: state.label, inode: ino, block: start + done, blocks });
  }
}
