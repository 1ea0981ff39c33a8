/** Reading a directory: its entries go to the dentry table, its blocks and index come into memory. */
import { isErrno } from "../../core/errno.ts";
import {
  DirectoryBlock,
  type DirectoryData,
  dataEntryBytes,
  INDEX_START,
  IndexBlock,
  shortEntryBytes,
} from "./directory-data.ts";
import { BLOCK_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import { type DirectoryEntryRecord, type DirectoryRecord, readRecord, type ShortDirectory } from "./records.ts";
import type { XfsState } from "./state.ts";

/** A block of entries, with room for "." and ".." in the first. */
export function newDirectoryBlock(state: XfsState, directory: number, block: number, isFirst: boolean): DirectoryBlock {
  const { header, dots } = state.format;
  return new DirectoryBlock(directory, block, isFirst ? header + dots : header, (rows) => packEntries(state, rows));
}

function packEntries(state: XfsState, rows: readonly number[]): DirectoryEntryRecord[] {
  const { names } = state.environment;
  return rows.map((row) => ({
    offset: ((state.positions[row] as number) & 511) * 8,
    name: names.text(state.dentries.name(row)),
    inode: state.dentries.child(row),
  }));
}

/** What an inode's record holds of a short directory. */
export function shortDirectory(state: XfsState, directory: number, data: DirectoryData): ShortDirectory {
  const { names } = state.environment;
  const entries = data.rows.map((row) => [names.text(state.dentries.name(row)), state.dentries.child(row)] as const);
  return { parent: state.parentOf(directory), entries };
}

/** Takes the entries of a short form from the inode's record. */
export function loadShort(state: XfsState, directory: number, data: DirectoryData, short: ShortDirectory): void {
  const { names } = state.environment;
  for (const [text, inode] of short.entries) {
    const name = names.intern(text);
    const row = state.dentries.insert(directory, name, inode);
    state.growColumns();
    data.rows.push(row);
    data.shortBytes += shortEntryBytes(names.byteLength(name), state.format.typeBytes);
  }
}

/** Reads a directory's blocks. A block that is not whole holds no names. */
export function loadDirectory(state: XfsState, directory: number, data: DirectoryData): void {
  data.loaded = true;
  const { list } = data.fork;
  for (let index = 0; index < list.count; index++) {
    for (let n = 0; n < list.length(index); n++) {
      const logical = list.logical(index) + n;
      const block = list.physical(index) + n;
      const record = readRecord(state.device, block * SECTORS_PER_BLOCK, BLOCK_SIZE);
      const found = record === undefined || isErrno(record) ? undefined : record;
      if (logical < INDEX_START) {
        const made = newDirectoryBlock(state, directory, block, logical === 0);
        data.blocks[logical] = made;
        if (found?.kind === "xfs.directoryBlock") loadBlock(state, { directory, at: logical, block: made }, found);
      } else if (found !== undefined && "hashes" in found) {
        const made = new IndexBlock(found.kind, directory, { block, logical });
        made.hashes = found.hashes.slice();
        if (found.kind === "xfs.directoryLeaf") data.leaves.push(made);
        else if (found.kind === "xfs.directoryNode") data.nodes.push(made);
        else data.free.push(made);
      }
    }
  }
  data.leaves.sort((one, other) => (one.hashes[0] ?? 0) - (other.hashes[0] ?? 0));
}

function loadBlock(
  state: XfsState,
  into: { readonly directory: number; readonly at: number; readonly block: DirectoryBlock },
  record: DirectoryRecord,
): void {
  const { names } = state.environment;
  const { block } = into;
  const gaps: number[] = [];
  let last = block.gaps[0] as number;
  for (const entry of record.entries.toSorted((one, other) => one.offset - other.offset)) {
    const name = names.intern(entry.name);
    const row = state.dentries.insert(into.directory, name, entry.inode);
    state.growColumns();
    state.positions[row] = into.at * 512 + (entry.offset >>> 3);
    state.places[row] = block.rows.length;
    block.rows.push(row);
    if (entry.offset > last) gaps.push(last, entry.offset);
    last = entry.offset + dataEntryBytes(names.byteLength(name), state.format.typeBytes);
  }
  if (last < BLOCK_SIZE) gaps.push(last, BLOCK_SIZE);
  block.gaps = gaps;
}
