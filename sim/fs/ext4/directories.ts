/**
 * Entries of directories: placed in blocks as ext4_add_entry, do_split and ext4_delete_entry do (fs/ext4/namei.c), found by the dentry table.
 *
 * Interface: a directory's entries are read from the device when it is first used (`loadDirectory`). A directory's blocks are never given back
 * before the directory is removed. The caller has begun a transaction and checked that the name is free.
 */
import { assert } from "../../core/assert.ts";
import { EBADMSG, ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import type { DentryRow } from "../../vfs/dentry-table.ts";
import { allocateMetadata, canReserve, freeMetadata, goalOf } from "./allocate.ts";
import {
  DIRECTORY_BLOCK_END,
  DirectoryBlock,
  type DirectoryData,
  DOTS_BYTES,
  entryBytes,
  goneAt,
  type HashLeaf,
  NODE_LEAVES,
  nameHash,
  offsetGone,
  ROOT_LEAVES,
} from "./directory-data.ts";
import { blockAt, indexOf, loadIndex, makeNode } from "./directory-index.ts";
import { FLAGS, INDEX_FLAG } from "./inode-words.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { type DirectoryRecord, entriesOf, readRecord } from "./records.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";

/** Blocks that adding one name may take at most: two to become indexed, or a leaf and inner nodes; and the extent tree's. */
const ENTRY_BLOCKS_MAX = 5;

/** More than a block has entries. */
const PLACES = 1024;
/** What the entries of a block are sorted by while it is split: hash and place in the block in one number each. */
const KEYS: Float64Array = new Float64Array(PLACES);

/** The inode of a name, or 0. */
export function lookupEntry(state: Ext4State, directory: number, name: Name): number | Errno {
  const known = state.dentries.lookup(directory, name);
  if (known !== 0) return known;
  const data = state.directory(directory);
  if (data.loaded) return 0;
  return loadDirectory(state, directory, data) ?? state.dentries.lookup(directory, name);
}

/** Sees to it that a directory's entries are in the dentry table. @returns EIO, EBADMSG. */
export function readDirectory(state: Ext4State, directory: number): Errno | undefined {
  const data = state.directory(directory);
  return data.loaded ? undefined : loadDirectory(state, directory, data);
}

/** Whether a directory has no entries beside "." and ".."; one that cannot be read is taken to have some (ext4_empty_dir). */
export function isEmpty(state: Ext4State, directory: number): boolean {
  return readDirectory(state, directory) === undefined && state.dentries.count(directory) === 0;
}

function newBlock(state: Ext4State, directory: number, block: number, from: number): DirectoryBlock {
  const { names } = state.environment;
  const made: DirectoryBlock = new DirectoryBlock(directory, block, from, names, (notes) => packEntries(state, made, notes));
  return made;
}

/** A block's notes in triples. A row that was noted may be another block's by now: then a later note tells what became of its entry. */
function packEntries(state: Ext4State, block: DirectoryBlock, notes: readonly number[]): number[] {
  const { dentries, places } = state;
  const out: number[] = [];
  for (const note of notes) {
    if (note < 0) out.push(offsetGone(note), 0, 0);
    else if (block.rows[places[note] as number] === note)
      out.push(offsetOf(state, note), dentries.name(note), dentries.child(note));
  }
  return out;
}

/** Where in its block an entry lies. */
function offsetOf(state: Ext4State, row: number): number {
  return ((state.positions[row] as number) & 1023) * 4;
}

/** How many bytes an entry takes in its block. */
function bytesOf(state: Ext4State, row: number): number {
  return (state.lengths[row] as number) * 4;
}

/** Appends a block to a directory. */
function appendBlock(state: Ext4State, directory: number, from: number, chosen = 0): DirectoryBlock {
  const data = state.directory(directory);
  const { list } = data.tree;
  const last = list.count - 1;
  const goal = chosen !== 0 ? chosen : last >= 0 ? list.physical(last) + list.length(last) : goalOf(state, directory, false);
  const block = allocateMetadata(state, goal);
  const at = data.blocks.length;
  list.insert({ logical: at, physical: block, count: 1, unwritten: false }, data.tree);
  settleTree(state, directory, data.tree);
  const made = newBlock(state, directory, block, from);
  data.blocks.push(made);
  state.setSize(directory, data.blocks.length * BLOCK_SIZE);
  state.addBlocks(directory, 1);
  state.dirtyInode(directory);
  state.journal.dirty(made);
  return made;
}

/** Gives a new directory its first block: near `goal` if given. */
export function beginDirectory(state: Ext4State, directory: number, goal = 0): void {
  appendBlock(state, directory, DOTS_BYTES, goal);
}

/** Gives a directory an empty block in advance, as mke2fs does lost+found. */
export function growDirectory(state: Ext4State, directory: number, goal: number): void {
  appendBlock(state, directory, 0, goal);
}

/** Gives back the blocks of a directory that is gone. */
export function endDirectory(state: Ext4State, directory: number): void {
  const data = state.directory(directory);
  // One that a mount finds on the orphan list has not been read yet.
  if (!data.loaded) loadDirectory(state, directory, data);
  for (const block of data.blocks) if (block !== undefined) freeMetadata(state, block);
  state.unreadTrees.delete(directory);
  data.tree.list.remove(0, data.blocks.length, () => undefined, data.tree);
  settleTree(state, directory, data.tree);
}

/** Puts a row that has been inserted or moved in the dentry table into a block that has room. @returns false when it has none. */
function putInto(state: Ext4State, data: DirectoryData, at: number, row: number): boolean {
  const block = blockAt(data, at);
  const offset = block.take(bytesOf(state, row));
  if (offset < 0) return false;
  state.positions[row] = at * 1024 + (offset >>> 2);
  state.places[row] = block.rows.length;
  block.rows.push(row);
  block.note(row);
  state.journal.dirty(block);
  return true;
}

/** Places a dentry row in its directory's blocks. */
export function placeEntry(state: Ext4State, directory: number, row: number): void {
  state.growColumns();
  const data = state.directory(directory);
  const { names } = state.environment;
  const name = state.dentries.name(row);
  state.lengths[row] = entryBytes(names.byteLength(name)) / 4;
  if (data.leaves === undefined) {
    for (let at = 0; at < data.blocks.length; at++) if (putInto(state, data, at, row)) return;
    if (data.blocks.length > 1) {
      // Made in advance without an index: it goes on as a list.
      appendBlock(state, directory, 0);
      putInto(state, data, data.blocks.length - 1, row);
      return;
    }
    beginIndex(state, directory, data);
  }
  const hash = nameHash(names, name);
  const leaves = data.leaves as HashLeaf[];
  const leafAt = data.leafOf(hash);
  if (putInto(state, data, (leaves[leafAt] as HashLeaf).at, row)) return;
  splitLeaf(state, directory, leafAt);
  const place = data.leafOf(hash);
  assert(putInto(state, data, (leaves[place] as HashLeaf).at, row), `directory ${directory}: a leaf is full after its split`);
}

/** make_indexed_dir: the first block becomes the root, what it held goes to a leaf. */
function beginIndex(state: Ext4State, directory: number, data: DirectoryData): void {
  const root = blockAt(data, 0);
  const leaf = appendBlock(state, directory, 0);
  data.leaves = [{ hash: 0, at: 1 }];
  state.setWord(directory, FLAGS, state.word(directory, FLAGS) | INDEX_FLAG);
  const { rows } = root;
  root.rows = [];
  root.gaps = [];
  root.noteAll();
  root.index = () => indexOf(data);
  state.journal.dirty(root);
  pack(state, leaf, 1, rows);
}

/** Puts rows one after the other into an emptied block, whose list of rows they become. @param at - the block's index in the directory. */
function pack(state: Ext4State, block: DirectoryBlock, at: number, rows: number[]): void {
  const { positions, places } = state;
  let offset = 0;
  for (let place = 0; place < rows.length; place++) {
    const row = rows[place] as number;
    positions[row] = at * 1024 + (offset >>> 2);
    places[row] = place;
    offset += bytesOf(state, row);
  }
  block.rows = rows;
  block.gaps = offset < DIRECTORY_BLOCK_END ? [offset, DIRECTORY_BLOCK_END] : [];
  block.noteAll();
  state.journal.dirty(block);
}

/** do_split: the upper half of a leaf's names by hash, half by size, goes to a new leaf; both are packed. */
function splitLeaf(state: Ext4State, directory: number, leafAt: number): void {
  const data = state.directory(directory);
  const { names } = state.environment;
  const leaves = data.leaves as HashLeaf[];
  const leaf = leaves[leafAt] as HashLeaf;
  const block = blockAt(data, leaf.at);
  const before = block.rows;
  for (let place = 0; place < before.length; place++)
    KEYS[place] = nameHash(names, state.dentries.name(before[place] as number)) * PLACES + place;
  const keys = KEYS.subarray(0, before.length).sort();
  const rows = new Array<number>(before.length);
  for (let place = 0; place < rows.length; place++) {
    const key = keys[place] as number;
    rows[place] = before[key - Math.floor(key / PLACES) * PLACES] as number;
  }
  let moved = 0;
  let split = rows.length;
  while (split > 1) {
    const size = bytesOf(state, rows[split - 1] as number);
    if (moved + size / 2 > BLOCK_SIZE / 2) break;
    moved += size;
    split -= 1;
  }
  const at = data.blocks.length;
  const made = appendBlock(state, directory, 0);
  leaves.splice(leafAt + 1, 0, { hash: Math.floor((keys[split] as number) / PLACES), at });
  pack(state, made, at, rows.slice(split));
  pack(state, block, leaf.at, rows.slice(0, split));
  growIndex(state, directory, data, leafAt);
}

/** Notes a new leaf in the inner nodes; a full root gets a node below it, a full node is cut in two. */
function growIndex(state: Ext4State, directory: number, data: DirectoryData, leafAt: number): void {
  const { nodes } = data;
  const leaves = data.leaves as HashLeaf[];
  if (nodes.length === 0) {
    state.journal.dirty(blockAt(data, 0));
    if (leaves.length <= ROOT_LEAVES) return;
    addNode(state, directory, 0, leaves.length);
    return;
  }
  let before = 0;
  for (const [n, node] of nodes.entries()) {
    before += node.count;
    if (leafAt >= before && n < nodes.length - 1) continue;
    node.count += 1;
    state.journal.dirty(blockAt(data, node.at));
    if (node.count <= NODE_LEAVES) return;
    const half = node.count >>> 1;
    node.count -= half;
    addNode(state, directory, n + 1, half);
    state.journal.dirty(blockAt(data, 0));
    return;
  }
}

/** Appends a block that leads to `count` leaves, as the n-th inner node. */
function addNode(state: Ext4State, directory: number, n: number, count: number): void {
  const data = state.directory(directory);
  const node = { at: data.blocks.length, count };
  data.nodes.splice(n, 0, node);
  makeNode(data, node, appendBlock(state, directory, 0));
}

/** Takes an entry out of its block. Its dentry row is still in the table. */
function displaceEntry(state: Ext4State, directory: number, row: number): void {
  const data = state.directory(directory);
  const position = state.positions[row] as number;
  const block = blockAt(data, position >>> 10);
  block.note(goneAt((position & 1023) * 4));
  block.give((position & 1023) * 4, bytesOf(state, row));
  const place = state.places[row] as number;
  const last = block.rows.pop() as number;
  if (last !== row) {
    block.rows[place] = last;
    state.places[last] = place;
  }
  state.journal.dirty(block);
}

/** The block of an entry changes: it gets another inode. */
export function dirtyEntry(state: Ext4State, directory: number, row: number): void {
  const block = blockAt(state.directory(directory), (state.positions[row] as number) >>> 10);
  block.note(row);
  state.journal.dirty(block);
}

/** "..", in the first block, changes. */
export function dirtyDots(state: Ext4State, directory: number): void {
  readDirectory(state, directory);
  state.journal.dirty(blockAt(state.directory(directory), 0));
}

/** Adds an entry. */
export function addEntry(state: Ext4State, directory: number, name: Name, ino: number): void {
  placeEntry(state, directory, state.dentries.insert(directory, name, ino));
}

/** Takes an entry away. */
export function removeEntry(state: Ext4State, directory: number, row: number): void {
  displaceEntry(state, directory, row);
  state.dentries.remove(row);
}

/** The dentry row of a name, or 0. */
export function findEntry(state: Ext4State, directory: number, name: Name): DentryRow {
  const known = state.dentries.find(directory, name);
  if (known !== 0) return known;
  readDirectory(state, directory);
  return state.dentries.find(directory, name);
}

/**
 * ENOSPC when a name, and `more` blocks beside it, would not find room. Only a disk that is nearly full looks closely.
 */
export function roomForEntry(state: Ext4State, directory: number, name: Name, more: number): Errno | undefined {
  if (canReserve(state, more + ENTRY_BLOCKS_MAX)) return undefined;
  const data = state.directory(directory);
  const { names } = state.environment;
  const length = entryBytes(names.byteLength(name));
  const at = data.leaves === undefined ? 0 : (data.leaves[data.leafOf(nameHash(names, name))] as HashLeaf).at;
  const fits = blockAt(data, at).fits(length);
  const needed = more + (fits ? 0 : ENTRY_BLOCKS_MAX);
  return needed === 0 || canReserve(state, needed) ? undefined : ENOSPC;
}

/** Reads a directory's blocks, or takes none of them. @returns EIO; EBADMSG where a block is none of a directory's: its checksum is wrong. */
function loadDirectory(state: Ext4State, directory: number, data: DirectoryData): Errno | undefined {
  const unread = state.reachTree(directory);
  if (unread !== undefined) return unread;
  const records = readBlocks(state, data);
  if (isErrno(records)) return records;
  data.loaded = true;
  const indexes = new Map<number, readonly number[]>();
  for (const [home, record] of records) {
    const at = data.blocks.length;
    const block = newBlock(state, directory, home, at === 0 ? DOTS_BYTES : 0);
    data.blocks.push(block);
    loadBlock(state, { directory, at, block }, record);
    if (record.index.length > 0) indexes.set(at, record.index);
  }
  loadIndex(data, indexes);
  return undefined;
}

/** What a directory's blocks hold, by their places on the device. */
function readBlocks(state: Ext4State, { tree: { list } }: DirectoryData): Map<number, DirectoryRecord> | Errno {
  const records = new Map<number, DirectoryRecord>();
  for (let index = 0; index < list.count; index++) {
    for (let n = 0; n < list.length(index); n++) {
      const home = list.physical(index) + n;
      const record = readRecord(state.device, home);
      if (isErrno(record)) return record;
      if (record?.kind !== "ext4.directoryBlock") return EBADMSG;
      records.set(home, record);
    }
  }
  return records;
}

function loadBlock(
  state: Ext4State,
  into: { directory: number; at: number; block: DirectoryBlock },
  record: DirectoryRecord,
): void {
  const { names } = state.environment;
  const { block } = into;
  const gaps: number[] = [];
  let last = block.gaps[0] as number;
  for (const entry of entriesOf(record)) {
    const name = names.intern(entry.name);
    const row = state.dentries.insert(into.directory, name, entry.inode);
    const length = entryBytes(names.byteLength(name));
    state.growColumns();
    state.lengths[row] = length / 4;
    state.positions[row] = into.at * 1024 + (entry.offset >>> 2);
    state.places[row] = block.rows.length;
    block.rows.push(row);
    if (entry.offset > last) gaps.push(last, entry.offset);
    last = entry.offset + length;
  }
  if (last < DIRECTORY_BLOCK_END) gaps.push(last, DIRECTORY_BLOCK_END);
  block.gaps = gaps;
}
