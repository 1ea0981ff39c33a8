/**
 * Inodes: the words of a row, and chunks of 64 by number (fs/ext4/inode.c, ext4_iget and ext4_do_update_inode).
 *
 * Interface: a chunk is read from its four inode table blocks when one of its inodes is first asked for. `dirty` puts the table block of an inode into
 * the running transaction. `data` is what hangs on an inode beyond its row: extents and cached pages of a file, blocks of a directory, a link's target.
 */
import { lowestBit, onesIn } from "../../core/bits.ts";
import { S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import type { DirectoryData } from "./directory-data.ts";
import type { FileData } from "./file-data.ts";
import { EXTRA, HOLDS, MODE, putSize, WORDS } from "./inode-words.ts";
import type { Journal } from "./journal.ts";
import { INODES_PER_BLOCK } from "./layout.ts";
import { packInode } from "./packed-inodes.ts";
import { INODE_TABLE, SYMLINK_BLOCK } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import type { InodeRow, TreeRoot } from "./records.ts";
import { Revisions } from "./revisions.ts";
import type { XattrSet } from "./xattr-set.ts";

/** Rows that records of a table block tell before one is whole again: packed, they take what the block takes on the disk. */
const ROWS_BEHIND: number = 4 * INODES_PER_BLOCK;

export const CHUNK_INODES = 64;
const BLOCKS_PER_CHUNK: number = CHUNK_INODES / INODES_PER_BLOCK;

/** A symbolic link's target, in a block of its own when it is longer than 59 bytes. */
export class SymlinkData implements Metadata {
  /** Undefined where its block could not be read. */
  readonly target: string | undefined;
  readonly block: number;
  stamp = 0;

  /** @param block - 0: the target lies in the inode. */
  constructor(target: string | undefined, block: number) {
    this.target = target;
    this.block = block;
  }
  pack(into: PackedWords): number {
    into.putObject(this.target);
    return SYMLINK_BLOCK;
  }
}

export type InodeData = FileData | DirectoryData | SymlinkData | undefined;

/** One block of the inode table. */
class TableBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  /** Which of its inodes changed since the last record, a bit each: in the running transaction (i_sync_tid). */
  changed = 0;
  /** Those of which that changed without which their data is not found: size, extents (i_datasync_tid). */
  changedForData = 0;
  readonly #chunk: InodeChunk;
  readonly #from: number;
  /** Made by its first record. */
  #revisions: Revisions | undefined;

  constructor(chunk: InodeChunk, index: number, block: number) {
    this.#chunk = chunk;
    this.#from = index * INODES_PER_BLOCK;
    this.block = block;
  }

  pack(into: PackedWords): number {
    const { changed } = this;
    const builds = (this.#revisions ??= new Revisions()).begin(into, onesIn(changed), ROWS_BEHIND);
    const told = builds ? changed : ALL_CHANGED;
    into.put(onesIn(told));
    for (let left = told; left !== 0; left &= left - 1) packOne(into, this.#chunk, this.#from + lowestBit(left));
    this.changed = 0;
    this.changedForData = 0;
    return INODE_TABLE;
  }
}

const ALL_CHANGED: number = (1 << INODES_PER_BLOCK) - 1;
/** A row as a commit writes it. */
const row: Int32Array = new Int32Array(WORDS);

function packOne(into: PackedWords, chunk: InodeChunk, index: number): void {
  const start = chunk.start + index * WORDS;
  const data = chunk.dataAt(index);
  const xattrs = chunk.xattrs?.[index];
  for (let at = 0; at < WORDS; at++) row[at] = chunk.words[start + at] as number;
  row[HOLDS] = 0;
  if (((row[MODE] as number) & S_IFMT) === S_IFREG && row[EXTRA] !== 0) {
    // A file with a lone page (lone-file.ts) has nothing on the disk.
    putSize(row, 0, data !== undefined && "onDisk" in data ? data.onDisk : 0);
    row[EXTRA] = 0;
  }
  const isLink = data instanceof SymlinkData;
  packInode(into, chunk.first + index, row, {
    tree: isLink ? linkTree(data) : data?.tree.root(),
    target: isLink && data.block === 0 ? data.target : undefined,
    xattrs: xattrs?.inInode,
    xattrBlock: xattrs?.outside?.block ?? 0,
  });
}

/** The extent of a link whose target has a block of its own. */
function linkTree(data: SymlinkData): TreeRoot | undefined {
  return data.block === 0 ? undefined : { depth: 0, entries: [0, 1, data.block] };
}

export class InodeChunk {
  /** Number of its first inode. */
  readonly first: number;
  /** The array that has its rows, and where they begin in it. */
  readonly words: Int32Array;
  readonly start: number;
  /** Made when an inode first has some: files that are empty, or one page in memory, have none. */
  #data: InodeData[] | undefined;
  xattrs: (XattrSet | undefined)[] | undefined;
  readonly #tables: (TableBlock | undefined)[] = new Array(BLOCKS_PER_CHUNK).fill(undefined);
  readonly #homeOf: (ino: number) => number;

  /** @param homeOf - the inode table block that holds an inode. */
  constructor(first: number, homeOf: (ino: number) => number, rows: { readonly words: Int32Array; readonly start: number }) {
    this.first = first;
    this.words = rows.words;
    this.start = rows.start;
    this.#homeOf = homeOf;
  }

  dataAt(index: number): InodeData {
    return this.#data === undefined ? undefined : this.#data[index];
  }

  setData(index: number, data: InodeData): void {
    if (this.#data === undefined && data === undefined) return;
    this.#data ??= new Array<InodeData>(CHUNK_INODES).fill(undefined);
    this.#data[index] = data;
  }

  /** @param forData - whether the data is not found without the change. */
  dirty(index: number, journal: Journal, forData = false): void {
    const at = index >>> 4;
    const table = this.#tables[at] ?? this.#addTable(at);
    const bit = 1 << (index & (INODES_PER_BLOCK - 1));
    table.changed |= bit;
    if (forData) table.changedForData |= bit;
    journal.dirty(table);
  }

  #addTable(at: number): TableBlock {
    const table = new TableBlock(this, at, this.#homeOf(this.first + at * INODES_PER_BLOCK));
    this.#tables[at] = table;
    return table;
  }

  /** Whether the running transaction has a change of an inode. @param forData - one without which its data is not found. */
  isChanged(index: number, forData: boolean): boolean {
    const table = this.#tables[index >>> 4];
    if (table === undefined) return false;
    return (((forData ? table.changedForData : table.changed) >>> (index & (INODES_PER_BLOCK - 1))) & 1) === 1;
  }

  /** Takes the words of one inode of a table block's record. @returns where they begin. */
  load(row: InodeRow): number {
    const start = this.start + (row.ino - this.first) * WORDS;
    this.words.set(row.words, start);
    return start;
  }
}
