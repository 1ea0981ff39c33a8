/** Reading a directory: its entries go to the dentry table, its blocks and index come into memory. */
import { type Errno, isErrno } from "../../core/errno.ts";
import {
  DirectoryBlock,
  type DirectoryData,
  dataEntryBytes,
  INDEX_START,
  IndexBlock,
  shortEntryBytes,
} from "./directory-data.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { type DirectoryEntryRecord, type DirectoryRecord, readBlock, type ShortDirectory } from "./records.ts";
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
  const entries = data.rows.map(
    (row) => [names.text(state.dentries.name(row)), state.dentries.child(row), (state.positions[row] as number) * 8] as const,
  );
  return { parent: state.parentOf(directory), entries };
}

/** Takes the entries of a short form from the inode's record. */
export function loadShort(state: XfsState, directory: number, data: DirectoryData, short: ShortDirectory): void {
  const { names } = state.environment;
  for (const [text, inode, offset] of short.entries) {
    const name = names.intern(text);
    const row = state.dentries.insert(directory, name, inode);
    state.growColumns();
    state.positions[row] = offset >>> 3;
    data.rows.push(row);
    data.shortBytes += shortEntryBytes(names.byteLength(name), state.format.typeBytes);
  }
}

/**
 * Reads a directory's blocks, all or none.
 * @returns EIO when one cannot be read, EUCLEAN when one is not what should lie there: then nothing of it is known.
 */
export function loadDirectory(state: XfsState, directory: number, data: DirectoryData): Errno | undefined {
  const { list } = data.fork;
  const entries: { readonly at: number; readonly block: number; readonly record: DirectoryRecord }[] = [];
  const index: IndexBlock[] = [];
  for (let extent = 0; extent < list.count; extent++) {
    for (let n = 0; n < list.length(extent); n++) {
      const logical = list.logical(extent) + n;
      const block = list.physical(extent) + n;
      if (logical < INDEX_START) {
        const record = readBlock(state.device, block, "xfs.directoryBlock");
        if (isErrno(record)) return record;
        entries.push({ at: logical, block, record });
      } else {
        const record = readBlock(state.device, block, "xfs.directoryLeaf", "xfs.directoryNode", "xfs.directoryFree");
        if (isErrno(record)) return record;
        const made = new IndexBlock(record.kind, directory, { block, logical });
        made.hashes = record.hashes.slice();
        index.push(made);
      }
    }
  }
  for (const { at, block, record } of entries) {
    const made = newDirectoryBlock(state, directory, block, at === 0);
    data.blocks[at] = made;
    loadBlock(state, { directory, at, block: made }, record);
  }
  const ofKind = (kind: IndexBlock["kind"]): IndexBlock[] => index.filter((one) => one.kind === kind);
  data.leaves = ofKind("xfs.directoryLeaf").sort((one, other) => (one.hashes[0] ?? 0) - (other.hashes[0] ?? 0));
  data.nodes = ofKind("xfs.directoryNode");
  data.free = ofKind("xfs.directoryFree");
  data.loaded = true;
  return undefined;
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
