/**
 * Entries of directories: where a name is put and what becomes of the forms (fs/xfs/libxfs/xfs_dir2*.c), found by the dentry table.
 *
 * Interface: a directory's entries are read from the device when it is first used (`enter`): all else asks about directories that were entered. The
 * caller has begun a checkpoint and checked that the name is free and that blocks are left.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { ENOSPC, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import {
  blockFormEnd,
  type DirectoryBlock,
  DirectoryData,
  dataEntryBytes,
  loneLeafEntriesMax,
  shortEntryBytes,
} from "./directory-data.ts";
import { placeInBlocks, shrinkForm, takeFromBlocks, toBlockForm } from "./directory-forms.ts";
import { loadDirectory } from "./directory-load.ts";
import { entryReserve, inodeReserve } from "./layout.ts";
import { canReserve } from "./reserve.ts";
import type { XfsState } from "./state.ts";

/** Reads a directory's entries unless they are in memory. @returns EIO or EUCLEAN when that fails. */
export function enter(state: XfsState, directory: number): Errno | undefined {
  const failed = state.reachBody(directory);
  if (failed !== undefined) return failed;
  const data = state.directory(directory);
  return data.loaded ? undefined : loadDirectory(state, directory, data);
}

function loaded(state: XfsState, directory: number): DirectoryData {
  const data = state.directory(directory);
  if (!data.loaded) throw new InvariantError(`directory ${directory} was not entered before it is used`);
  return data;
}

/** The inode of a name, or 0. */
export function lookupEntry(state: XfsState, directory: number, name: Name): number {
  loaded(state, directory);
  return state.dentries.lookup(directory, name);
}

/** Whether a directory has no entries beside "." and "..": it fits its inode then, and nothing is read (xfs_dir_isempty). */
export function isEmpty(state: XfsState, directory: number): boolean {
  const data = state.data(directory);
  return data instanceof DirectoryData && data.isShort && data.rows.length === 0;
}

/** Bytes of a row's name in the inode, and in a block. */
function shortBytesOf(state: XfsState, row: number): number {
  return shortEntryBytes(state.environment.names.byteLength(state.dentries.name(row)), state.format.typeBytes);
}
function dataBytesOf(state: XfsState, row: number): number {
  return dataEntryBytes(state.environment.names.byteLength(state.dentries.name(row)), state.format.typeBytes);
}

/** Places a dentry row in its directory. */
export function placeEntry(state: XfsState, directory: number, row: number): void {
  state.growColumns();
  const data = loaded(state, directory);
  if (!data.isShort) {
    placeInBlocks(state, directory, row);
    return;
  }
  const bytes = data.shortBytes + shortBytesOf(state, row);
  if (bytes > state.dataForkBytes(directory) || !placeInShort(state, data, row)) {
    toBlockForm(state, directory);
    placeInBlocks(state, directory, row);
    return;
  }
  data.shortBytes = bytes;
  state.setSize(directory, bytes);
  state.dirtyFork(directory);
}

/**
 * Gives an entry of a short form the offset that it would have in a block: behind the last one, or in the first hole that is long enough once the block would
 * be full (xfs_dir2_sf_addname_pick, xfs_dir2_sf_addname_hard). @returns false where it would not fit the block either
 */
function placeInShort(state: XfsState, data: DirectoryData, row: number): boolean {
  const length = dataBytesOf(state, row);
  let end = state.format.header + state.format.dots;
  let hole = -1;
  let holeStart = 0;
  for (const [at, one] of data.rows.entries()) {
    const start = (state.positions[one] as number) * 8;
    if (hole < 0 && end + length <= start) {
      hole = at;
      holeStart = end;
    }
    end = start + dataBytesOf(state, one);
  }
  const isLast = end + length <= blockFormEnd(data.rows.length + 1);
  if (!isLast && (hole < 0 || end > blockFormEnd(data.rows.length + 1))) return false;
  state.positions[row] = (isLast ? end : holeStart) >>> 3;
  data.rows.splice(isLast ? data.rows.length : hole, 0, row);
  return true;
}

/** Adds an entry. */
export function addEntry(state: XfsState, directory: number, name: Name, ino: number): void {
  placeEntry(state, directory, state.dentries.insert(directory, name, ino));
}

/** Takes an entry away. */
export function removeEntry(state: XfsState, directory: number, row: number): void {
  const data = loaded(state, directory);
  if (data.isShort) {
    data.rows.splice(data.rows.indexOf(row), 1);
    data.shortBytes -= shortBytesOf(state, row);
    state.setSize(directory, data.shortBytes);
    state.dirtyFork(directory);
    state.dentries.remove(row);
    return;
  }
  takeFromBlocks(state, directory, row, dataBytesOf(state, row));
  state.dentries.remove(row);
  shrinkForm(state, directory);
}

/** An entry gets another inode: what holds it changes. */
export function dirtyEntry(state: XfsState, directory: number, row: number): void {
  const data = loaded(state, directory);
  if (data.isShort) state.dirtyFork(directory);
  else {
    const position = state.positions[row] as number;
    const start = (position & 511) * 8;
    const block = blockOf(data, position >>> 9);
    block.changed(start, start + dataBytesOf(state, row));
    state.log.dirty(block);
  }
}

/** ".." changes. */
export function dirtyDots(state: XfsState, directory: number): void {
  const data = loaded(state, directory);
  if (data.isShort) state.dirtyFork(directory);
  else {
    const { header, dots } = state.format;
    const block = blockOf(data, 0);
    block.changed(header, header + dots);
    state.log.dirty(block);
  }
}

function blockOf(data: DirectoryData, at: number): DirectoryBlock {
  const block = data.blocks[at];
  assert(block !== undefined, `directory block ${at} is not there`);
  return block;
}

/** Whether a name finds room without a new block (xfs_dir_canenter). */
function canEnter(state: XfsState, directory: number, name: Name): boolean {
  const data = loaded(state, directory);
  const length = state.environment.names.byteLength(name);
  const { typeBytes } = state.format;
  if (data.isShort) return data.shortBytes + shortEntryBytes(length, typeBytes) <= state.dataForkBytes(directory);
  const bytes = dataEntryBytes(length, typeBytes);
  if (data.leaves.length === 0) return data.blocks[0]?.fits(bytes, blockFormEnd(state.dentries.count(directory) + 1)) === true;
  const isFull = data.leaves.some((leaf) => leaf.hashes.length + 3 > loneLeafEntriesMax(state.format, data.blocks.length));
  return !isFull && data.blocks.some((block) => block?.fits(bytes) === true);
}

/**
 * ENOSPC when there is no room for a name: blocks for the worst that may happen, or room where it is. A new inode insists on the worst case, with
 * `more` blocks for itself.
 */
export function roomForEntry(state: XfsState, directory: number, name: Name, more?: number): Errno | undefined {
  const worst = entryReserve(state.geometry);
  if (more !== undefined) return canReserve(state, directory, more + worst + inodeReserve(state.geometry)) ? undefined : ENOSPC;
  return canReserve(state, directory, worst) || canEnter(state, directory, name) ? undefined : ENOSPC;
}
