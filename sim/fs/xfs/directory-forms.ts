/**
 * Directories in blocks: how they grow from one form to the next and shrink again (fs/xfs/libxfs/xfs_dir2_block.c, xfs_dir2_leaf.c, xfs_dir2_node.c).
 */
import { assert } from "../../core/assert.ts";
import {
  blockFormEnd,
  blocksPerFree,
  type DirectoryBlock,
  type DirectoryData,
  dataEntryBytes,
  FREE_START,
  INDEX_BYTES,
  INDEX_START,
  IndexBlock,
  leafEntriesMax,
  loneLeafEntriesMax,
  nameHash,
  shortEntryBytes,
} from "./directory-data.ts";
import { newDirectoryBlock } from "./directory-load.ts";
import { forkSpace } from "./fork-space.ts";
import { BLOCK_SIZE, blockOfInode } from "./layout.ts";
import type { DirectoryIndexRecord } from "./records.ts";
import { allocateMetadata, freeMetadata } from "./space.ts";
import type { XfsState } from "./state.ts";

const ENCODER = new TextEncoder();
/** "." and ".." have entries in the index, too. */
const DOTS = 2;

/** Gives a directory a block at a logical place. */
function mapBlock(state: XfsState, directory: number, logical: number): number {
  const data = state.directory(directory);
  const { list } = data.fork;
  const before = list.find(logical) - 1;
  const goal = before < 0 ? blockOfInode(state.geometry, directory) : list.physical(before) + logical - list.logical(before);
  // Far apart in the directory is not far apart on the disk.
  const near = before >= 0 && logical - list.end(before) > 1024 ? list.physical(before) + list.length(before) : goal;
  const block = allocateMetadata(state, near);
  list.insert({ logical, physical: block, count: 1, unwritten: false }, data.fork);
  data.fork.settle(forkSpace(state, directory));
  state.addBlocks(directory, 1);
  state.dirtyFork(directory);
  return block;
}

function unmapBlock(state: XfsState, directory: number, logical: number): void {
  const { fork } = state.directory(directory);
  fork.list.remove(logical, logical + 1, () => undefined, fork);
  fork.settle(forkSpace(state, directory));
  state.addBlocks(directory, -1);
  state.dirtyFork(directory);
}

/** Appends a block of entries, or fills the first hole between them. */
function addBlock(state: XfsState, directory: number): number {
  const data = state.directory(directory);
  let at = 0;
  while (data.blocks[at] !== undefined) at += 1;
  const made = newDirectoryBlock(state, directory, mapBlock(state, directory, at), at === 0);
  data.blocks[at] = made;
  setSize(state, directory, data);
  state.log.dirty(made);
  if (data.isNode) settleFree(state, directory, data);
  return at;
}

function setSize(state: XfsState, directory: number, data: DirectoryData): void {
  state.setSize(directory, data.blocks.length * BLOCK_SIZE);
  state.dirtyFork(directory);
}

function hashOf(state: XfsState, row: number): number {
  return nameHash(ENCODER.encode(state.environment.names.text(state.dentries.name(row))));
}
function bytesOf(state: XfsState, row: number): number {
  return dataEntryBytes(state.environment.names.byteLength(state.dentries.name(row)), state.format.typeBytes);
}

function putInto(state: XfsState, block: DirectoryBlock, row: number, place: { at: number; end: number }): void {
  const offset = block.take(bytesOf(state, row), place.end);
  state.positions[row] = place.at * 512 + (offset >>> 3);
  state.places[row] = block.rows.length;
  block.rows.push(row);
  state.log.dirty(block);
}

/** xfs_dir2_sf_to_block. */
export function toBlockForm(state: XfsState, directory: number): void {
  const data = state.directory(directory);
  const { rows } = data;
  data.isShort = false;
  data.rows = [];
  data.shortBytes = shortEntryBytes(0, 0) - 1;
  addBlock(state, directory);
  const [block] = data.blocks;
  assert(block !== undefined, `directory ${directory} has no first block`);
  for (const [place, row] of rows.entries()) {
    block.takeAt((state.positions[row] as number) * 8, bytesOf(state, row));
    state.places[row] = place;
    block.rows.push(row);
  }
  block.changed(state.format.header, state.format.header + state.format.dots);
  block.indexChanged(rows.length + DOTS);
}

/** Whether the directory is one block that holds its own index. */
function isBlockForm(data: DirectoryData): boolean {
  return data.leaves.length === 0;
}

/** Places a row in a directory that has blocks; the row is in the dentry table already. */
export function placeInBlocks(state: XfsState, directory: number, row: number): void {
  const data = state.directory(directory);
  const length = bytesOf(state, row);
  if (isBlockForm(data)) {
    const [block] = data.blocks;
    const end = blockFormEnd(state.dentries.count(directory));
    if (block?.fits(length, end) === true && lastEnd(block) <= end) {
      putInto(state, block, row, { at: 0, end });
      block.indexChanged(state.dentries.count(directory) + DOTS);
      return;
    }
    toLeafForm(state, directory, data, row);
  }
  let at = 0;
  while (at < data.blocks.length && data.blocks[at]?.fits(length) !== true) at += 1;
  if (at === data.blocks.length) at = addBlock(state, directory);
  putInto(state, data.blocks[at] as DirectoryBlock, row, { at, end: BLOCK_SIZE });
  tellLongest(state, data, at);
  addHash(state, directory, data, hashOf(state, row));
}

/** The largest gap of a block is another now: the index, or the list of free space, says so. */
function tellLongest(state: XfsState, data: DirectoryData, at: number): void {
  const { format } = state;
  const block = data.isNode ? data.free[Math.floor(at / blocksPerFree(format))] : data.leaves[0];
  if (block === undefined) return;
  if (data.isNode) block.bestChanged(format.indexHeader, at % blocksPerFree(format));
  else block.bestInLeafChanged(data.blocks.length - 1 - at);
  state.log.dirty(block);
}

/** Where the last entry of a block ends. */
function lastEnd(block: DirectoryBlock): number {
  const { gaps } = block;
  return gaps.at(-1) === BLOCK_SIZE ? (gaps.at(-2) as number) : BLOCK_SIZE;
}

function newIndexBlock(state: XfsState, directory: number, kind: DirectoryIndexRecord["kind"]): IndexBlock {
  const data = state.directory(directory);
  const isFree = kind === "xfs.directoryFree";
  const taken = new Set((isFree ? data.free : [...data.leaves, ...data.nodes]).map(({ logical }) => logical));
  let logical = isFree ? FREE_START : INDEX_START;
  while (taken.has(logical)) logical += 1;
  const made = new IndexBlock(kind, directory, { block: mapBlock(state, directory, logical), logical });
  state.log.dirty(made);
  return made;
}

function dropIndexBlock(state: XfsState, directory: number, block: IndexBlock): void {
  unmapBlock(state, directory, block.logical);
  freeMetadata(state, block, block.block);
}

/** xfs_dir2_block_to_leaf: the index gets a block of its own. @param but - a row that is not placed yet. */
function toLeafForm(state: XfsState, directory: number, data: DirectoryData, but: number): void {
  const leaf = newIndexBlock(state, directory, "xfs.directoryLeaf");
  for (let row = state.dentries.first(directory); row !== 0; row = state.dentries.next(row))
    if (row !== but) leaf.hashes.push(hashOf(state, row));
  leaf.hashes.sort((one, other) => one - other);
  data.leaves = [leaf];
  leaf.changed(state.format.indexHeader, 0, leaf.hashes.length + DOTS);
  const [block] = data.blocks;
  if (block === undefined) return;
  block.indexGone();
  state.log.dirty(block);
}

/** The first place in a sorted list where a number belongs. */
function placeOf(hashes: readonly number[], hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hashes[middle] as number) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

function addHash(state: XfsState, directory: number, data: DirectoryData, hash: number): void {
  const at = data.leafOf(hash);
  const leaf = data.leaves[at] as IndexBlock;
  const index = placeOf(leaf.hashes, hash);
  leaf.hashes.splice(index, 0, hash);
  // "." and ".." have entries in the index too.
  const before = at === 0 ? DOTS : 0;
  const used = leaf.hashes.length + before;
  leaf.changed(state.format.indexHeader, before + index, used);
  state.log.dirty(leaf);
  if (!data.isNode) {
    if (used <= loneLeafEntriesMax(state.format, data.blocks.length)) return;
    settleFree(state, directory, data);
  }
  if (used > leafEntriesMax(state.format)) splitLeaf(state, directory, data, at);
}

/** xfs_da3_split of a leaf: its upper half goes to a new one. */
function splitLeaf(state: XfsState, directory: number, data: DirectoryData, at: number): void {
  const leaf = data.leaves[at] as IndexBlock;
  const made = newIndexBlock(state, directory, "xfs.directoryLeaf");
  made.hashes = leaf.hashes.splice(leaf.hashes.length >>> 1);
  made.changed(state.format.indexHeader, 0, made.hashes.length);
  data.leaves.splice(at + 1, 0, made);
  settleNodes(state, directory, data);
}

/** As many nodes as the leaves need: one above them, and more once that one is full. */
function settleNodes(state: XfsState, directory: number, data: DirectoryData): void {
  const most = leafEntriesMax(state.format);
  const below = Math.ceil(data.leaves.length / most);
  const wanted = data.leaves.length <= 1 ? 0 : below === 1 ? 1 : 1 + below;
  while (data.nodes.length < wanted) data.nodes = [...data.nodes, newIndexBlock(state, directory, "xfs.directoryNode")];
  while (data.nodes.length > wanted) {
    const last = data.nodes.at(-1) as IndexBlock;
    data.nodes = data.nodes.slice(0, -1);
    dropIndexBlock(state, directory, last);
  }
  for (const [at, node] of data.nodes.entries()) {
    const from = below === 1 ? 0 : (at - 1) * most;
    const leaves = data.leaves.slice(Math.max(0, from), Math.max(0, from) + most);
    node.hashes = leaves.map(({ hashes }) => hashes.at(-1) ?? 0);
    node.changed(state.format.indexHeader, 0, node.hashes.length);
    state.log.dirty(node);
  }
}

/** As many lists of free space as there are blocks to list: the node form has at least one. */
function settleFree(state: XfsState, directory: number, data: DirectoryData): void {
  const wanted = Math.max(1, Math.ceil(data.blocks.length / blocksPerFree(state.format)));
  while (data.free.length < wanted) data.free = [...data.free, newIndexBlock(state, directory, "xfs.directoryFree")];
  for (const block of data.free) state.log.dirty(block);
}

/** Takes a row out of its block and of the index; a block without entries is given back. */
export function takeFromBlocks(state: XfsState, directory: number, row: number, length: number): void {
  const data = state.directory(directory);
  const position = state.positions[row] as number;
  const at = position >>> 9;
  const block = data.blocks[at];
  assert(block !== undefined, `directory block ${at} is not there`);
  const { longest } = block;
  block.give((position & 511) * 8, length);
  const place = state.places[row] as number;
  const last = block.rows.pop() as number;
  if (last !== row) {
    block.rows[place] = last;
    state.places[last] = place;
  }
  state.log.dirty(block);
  if (isBlockForm(data)) {
    block.indexStaled();
    return;
  }
  if (block.longest !== longest) tellLongest(state, data, at);
  const hash = hashOf(state, row);
  const leafAt = data.leafOf(hash);
  // Equal hashes may have been cut apart: the leaf before may hold this one.
  for (let n = leafAt; n >= 0; n--) {
    const leaf = data.leaves[n] as IndexBlock;
    const index = placeOf(leaf.hashes, hash);
    if (leaf.hashes[index] !== hash) continue;
    leaf.hashes.splice(index, 1);
    leaf.changed(state.format.indexHeader, index, index + 1);
    state.log.dirty(leaf);
    if (data.isNode) joinLeaf(state, directory, data, n);
    break;
  }
  if (block.rows.length === 0 && at > 0) dropBlock(state, directory, data, at);
}

function dropBlock(state: XfsState, directory: number, data: DirectoryData, at: number): void {
  const block = data.blocks[at] as DirectoryBlock;
  data.blocks[at] = undefined;
  while (data.blocks.length > 0 && data.blocks.at(-1) === undefined) data.blocks.pop();
  unmapBlock(state, directory, at);
  freeMetadata(state, block, block.block);
  setSize(state, directory, data);
}

/**
 * A leaf that is filled to less than 37 % (m_dir_geo.magicpct) joins a neighbour when both fill no more than three quarters; an empty one goes
 * (xfs_dir2_leafn_toosmall). The neighbour with the lower number is asked first, and of two that join the higher number goes.
 */
function joinLeaf(state: XfsState, directory: number, data: DirectoryData, at: number): void {
  const leaf = data.leaves[at] as IndexBlock;
  const filled = state.format.indexHeader + leaf.hashes.length * INDEX_BYTES;
  if (data.leaves.length === 1 || filled >= Math.floor((BLOCK_SIZE * 37) / 100)) return;
  if (leaf.hashes.length === 0) {
    dropLeaf(state, directory, data, at);
    return;
  }
  const numberOf = (other: number): number => data.leaves[other]?.logical ?? 0;
  const order = numberOf(at + 1) < numberOf(at - 1) ? [at + 1, at - 1] : [at - 1, at + 1];
  for (const other of order) {
    const neighbour = data.leaves[other];
    if (neighbour === undefined) continue;
    if ((neighbour.hashes.length + leaf.hashes.length) * INDEX_BYTES > BLOCK_SIZE - BLOCK_SIZE / 4) continue;
    const hashes = other > at ? [...leaf.hashes, ...neighbour.hashes] : [...neighbour.hashes, ...leaf.hashes];
    const isKept = leaf.logical < neighbour.logical;
    const kept = isKept ? leaf : neighbour;
    kept.hashes = hashes;
    kept.changed(state.format.indexHeader, 0, hashes.length);
    state.log.dirty(kept);
    dropLeaf(state, directory, data, isKept ? other : at);
    return;
  }
}

function dropLeaf(state: XfsState, directory: number, data: DirectoryData, at: number): void {
  const [gone] = data.leaves.splice(at, 1) as [IndexBlock];
  dropIndexBlock(state, directory, gone);
  settleNodes(state, directory, data);
}

/** Goes back to the smaller forms that now suffice (xfs_dir2_node_to_leaf, xfs_dir2_leaf_to_block, xfs_dir2_block_to_sf). */
export function shrinkForm(state: XfsState, directory: number): void {
  const data = state.directory(directory);
  if (data.isNode && data.leaves.length === 1) {
    const [leaf] = data.leaves;
    if (leaf === undefined || leaf.hashes.length + 2 > loneLeafEntriesMax(state.format, data.blocks.length)) return;
    for (const free of data.free) dropIndexBlock(state, directory, free);
    data.free = [];
  }
  const [block] = data.blocks;
  if (block === undefined) return;
  if (!data.isNode && data.leaves.length === 1 && data.blocks.length === 1) {
    if (lastEnd(block) > blockFormEnd(state.dentries.count(directory))) return;
    dropIndexBlock(state, directory, data.leaves[0] as IndexBlock);
    data.leaves = [];
    block.indexChanged(state.dentries.count(directory) + DOTS);
    state.log.dirty(block);
  }
  if (data.leaves.length === 0) toShortForm(state, directory, data, block);
}

function toShortForm(state: XfsState, directory: number, data: DirectoryData, block: DirectoryBlock): void {
  const { names } = state.environment;
  const empty = shortEntryBytes(0, 0) - 1;
  let length = empty;
  for (const row of block.rows) length += shortEntryBytes(names.byteLength(state.dentries.name(row)), state.format.typeBytes);
  if (length > state.dataForkBytes(directory)) return;
  data.rows = block.rows.toSorted((one, other) => (state.positions[one] as number) - (state.positions[other] as number));
  data.shortBytes = length;
  data.isShort = true;
  data.blocks.length = 0;
  unmapBlock(state, directory, 0);
  freeMetadata(state, block, block.block);
  state.setSize(directory, length);
}
