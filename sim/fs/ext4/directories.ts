/**
 * Entries of directories: placed in blocks as ext4_add_entry, do_split and ext4_delete_entry do (fs/ext4/namei.c), found by their rows (entry-rows.ts).
 *
 * Interface: a directory's entries are read from the device when it is first used (`loadDirectory`). A directory's blocks are never given back
 * before the directory is removed. The caller has begun a transaction and checked that the name is free.
 */
import { assert } from "../../core/assert.ts";
import { EBADMSG, ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { allocateMetadata, canReserve, freeMetadata, goalOf, take } from "./allocate.ts";
import {
  DIRECTORY_BLOCK_END,
  DirectoryBlock,
  type DirectoryData,
  DOTS_BYTES,
  entryBytes,
  goneAt,
  type HashLeaf,
  NODE_LEAVES,
  ROOT_LEAVES,
} from "./directory-data.ts";
import { blockAt, indexOf, loadIndex, makeNode } from "./directory-index.ts";
import type { EntryRow } from "./entry-rows.ts";
import { FLAGS, INDEX_FLAG } from "./inode-words.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { inBlockOrder, inHashOrder } from "./readdir.ts";
import { type DirectoryRecord, entriesOf, readRecord } from "./records.ts";
import type { Ext4State } from "./state.ts";
import { settleTree } from "./tree-blocks.ts";

/** Blocks that adding one name may take at most: two to become indexed, or a leaf and inner nodes; and the extent tree's. */
const ENTRY_BLOCKS_MAX = 5;

/** The inode of a name, or 0. */
export function lookupEntry(state: Ext4State, directory: number, name: Name): number | Errno {
  const known = state.dentries.lookup(directory, name);
  if (known !== 0) return known;
  const data = state.directory(directory);
  if (data.loaded) return 0;
  return loadDirectory(state, directory, data) ?? state.dentries.lookup(directory, name);
}

/** Sees to it that a directory's entries are in memory. @returns EIO, EBADMSG. */
export function readDirectory(state: Ext4State, directory: number): Errno | undefined {
  const data = state.directory(directory);
  return data.loaded ? undefined : loadDirectory(state, directory, data);
}

/** Whether a directory has no entries beside "." and ".."; one that cannot be read is taken to have some (ext4_empty_dir). */
export function isEmpty(state: Ext4State, directory: number): boolean {
  return readDirectory(state, directory) === undefined && state.dentries.count(directory) === 0;
}

function newBlock(state: Ext4State, directory: number, block: number, from: number): DirectoryBlock {
  return new DirectoryBlock({ inode: directory, block, from }, state.dentries, state.environment.names);
}

/** Appends a block to a directory. */
function appendBlock(state: Ext4State, directory: number, from: number, chosen = 0): DirectoryBlock {
  const data = state.directory(directory);
  const { list } = data.tree;
  const last = list.count - 1;
  const goal = last >= 0 ? list.physical(last) + list.length(last) : goalOf(state, directory, false);
  if (chosen !== 0) take(state, chosen, 1);
  const block = chosen !== 0 ? chosen : allocateMetadata(state, goal);
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

/** Gives a new directory its first block: a free one that was chosen for it, if given. */
export function beginDirectory(state: Ext4State, directory: number, chosen = 0): void {
  appendBlock(state, directory, DOTS_BYTES, chosen);
}

/** Gives a directory an empty block in advance, as mke2fs does lost+found. */
export function growDirectory(state: Ext4State, directory: number, chosen: number): void {
  appendBlock(state, directory, 0, chosen);
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

/** Puts a row that has no place yet into a block that has room. @returns false when it has none. */
function putInto(state: Ext4State, data: DirectoryData, at: number, row: EntryRow): boolean {
  const { dentries } = state;
  const block = blockAt(data, at);
  const offset = block.take(dentries.lengthOf(row));
  if (offset < 0) return false;
  dentries.setOffset(row, at, offset);
  dentries.setPlace(row, block.rows.length);
  block.rows.push(row);
  block.isHashed = false;
  block.note(row);
  state.journal.dirty(block);
  return true;
}

/** Places an entry in its directory's blocks. */
function placeEntry(state: Ext4State, directory: number, name: Name, row: EntryRow): void {
  const data = state.directory(directory);
  if (data.leaves === undefined) {
    for (let at = 0; at < data.blocks.length; at++) if (putInto(state, data, at, row)) return;
    if (data.blocks.length > 1) {
      // Made in advance without an index: it goes on as a list.
      appendBlock(state, directory, 0);
      putInto(state, data, data.blocks.length - 1, row);
      return;
    }
  }
  const hash = state.hashes.of(name);
  // A list that becomes a tree is split at once.
  if (data.leaves === undefined) beginIndex(state, directory, data);
  else if (putInto(state, data, (data.leaves[data.leafOf(hash)] as HashLeaf).at, row)) return;
  const into = splitLeaf(state, directory, hash);
  assert(putInto(state, data, into, row), `directory ${directory}: a leaf is full after its split`);
}

/** make_indexed_dir: the first block becomes the root, what it held goes to a leaf. */
function beginIndex(state: Ext4State, directory: number, data: DirectoryData): void {
  const root = blockAt(data, 0);
  const leaf = appendBlock(state, directory, 0);
  data.leaves = [{ hash: 0, continues: false, at: 1 }];
  state.setWord(directory, FLAGS, state.word(directory, FLAGS) | INDEX_FLAG);
  // All that is behind ".." goes to the leaf's beginning, gaps and all; but a gap right behind ".." is a part of it.
  const { rows, gaps } = root;
  const from = gaps[0] === DOTS_BYTES ? (gaps[1] as number) : DOTS_BYTES;
  leaf.rows = rows;
  for (const row of rows) state.dentries.setOffset(row, 1, state.dentries.offsetOf(row) - from);
  leaf.gaps = gaps.filter((at) => at > from).map((at) => at - from);
  leaf.give(DIRECTORY_BLOCK_END - from, from);
  leaf.noteAll();
  root.rows = [];
  root.gaps = [];
  root.noteAll();
  root.index = () => indexOf(data);
  state.journal.dirty(root);
}

/** Puts rows one after the other into an emptied block. @param at - the block's index in the directory. */
function pack(state: Ext4State, block: DirectoryBlock, at: number, rows: readonly EntryRow[]): void {
  const { dentries } = state;
  let offset = 0;
  // A list that grows by itself has less room left over than a full one that gets one more.
  block.rows = [];
  for (let place = 0; place < rows.length; place++) {
    const row = rows[place] as EntryRow;
    dentries.setOffset(row, at, offset);
    dentries.setPlace(row, place);
    block.rows.push(row);
    offset += dentries.lengthOf(row);
  }
  block.isHashed = false;
  block.gaps = offset < DIRECTORY_BLOCK_END ? [offset, DIRECTORY_BLOCK_END] : [];
  block.noteAll();
  state.journal.dirty(block);
}

/** Behind how many of a leaf's rows, by hash, it is split: half by what entries take with the slack behind them, or by number where all take less. */
function middleOf({ dentries }: Ext4State, block: DirectoryBlock, rows: readonly EntryRow[]): number {
  let moved = 0;
  for (let split = rows.length; split > 0; split--) {
    const row = rows[split - 1] as EntryRow;
    const length = dentries.lengthOf(row);
    const size = length + block.gapAt(dentries.offsetOf(row) + length);
    if (moved + Math.floor(size / 2) > BLOCK_SIZE / 2) return split;
    moved += size;
  }
  return rows.length >>> 1;
}

/** do_split: of the leaf for a hash, the upper half by hash goes to a new leaf; both are packed. @returns the block where the hash belongs now. */
function splitLeaf(state: Ext4State, directory: number, hash: number): number {
  const data = state.directory(directory);
  const { dentries, hashes } = state;
  const leaves = data.leaves as HashLeaf[];
  const leafAt = data.leafOf(hash);
  const leaf = leaves[leafAt] as HashLeaf;
  const block = blockAt(data, leaf.at);
  const rows = inHashOrder(state, block.rows);
  const split = middleOf(state, block, rows);
  const at = data.blocks.length;
  const made = appendBlock(state, directory, 0);
  const from = hashes.of(dentries.name(rows[split] as EntryRow));
  const continues = from === hashes.of(dentries.name(rows[split - 1] as EntryRow));
  leaves.splice(leafAt + 1, 0, { hash: from, continues, at });
  pack(state, made, at, rows.slice(split));
  const kept = block.rows.filter((row) => dentries.blockOf(row) === leaf.at);
  pack(state, block, leaf.at, inBlockOrder(state, kept));
  growIndex(state, directory, data, leafAt);
  return hash >= from ? at : leaf.at;
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

/** Takes an entry out of its block. */
function displaceEntry(state: Ext4State, directory: number, row: EntryRow): void {
  const { dentries } = state;
  const block = blockAt(state.directory(directory), dentries.blockOf(row));
  const offset = dentries.offsetOf(row);
  block.note(goneAt(offset));
  block.give(offset, dentries.lengthOf(row));
  const last = block.rows.pop() as EntryRow;
  if (last !== row) {
    const place = dentries.placeOf(row);
    block.rows[place] = last;
    dentries.setPlace(last, place);
    block.isHashed = false;
  }
  state.journal.dirty(block);
}

/** The block of an entry changes: it gets another inode. */
export function dirtyEntry(state: Ext4State, directory: number, row: EntryRow): void {
  const block = blockAt(state.directory(directory), state.dentries.blockOf(row));
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
  const length = entryBytes(state.environment.names.byteLength(name));
  placeEntry(state, directory, name, state.dentries.insert(directory, name, ino, length));
}

/** Takes an entry away. */
export function removeEntry(state: Ext4State, directory: number, row: EntryRow): void {
  displaceEntry(state, directory, row);
  state.dentries.remove(directory, row);
}

/** The row of a name's entry, or 0. */
export function findEntry(state: Ext4State, directory: number, name: Name): EntryRow {
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
  const at = data.leaves === undefined ? 0 : (data.leaves[data.leafOf(state.hashes.of(name))] as HashLeaf).at;
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
    const length = entryBytes(names.byteLength(name));
    const row = state.dentries.insert(into.directory, name, entry.inode, length);
    state.dentries.setOffset(row, into.at, entry.offset);
    state.dentries.setPlace(row, block.rows.length);
    block.rows.push(row);
    if (entry.offset > last) gaps.push(last, entry.offset);
    last = entry.offset + length;
  }
  if (last < DIRECTORY_BLOCK_END) gaps.push(last, DIRECTORY_BLOCK_END);
  block.gaps = gaps;
}
