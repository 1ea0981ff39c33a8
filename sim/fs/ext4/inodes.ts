/**
 * Inodes: the words of a row, and chunks of 64 by number (fs/ext4/inode.c, ext4_iget and ext4_do_update_inode).
 *
 * Interface: a chunk is read from its four inode table blocks when one of its inodes is first asked for. `dirty` puts the table block of an inode into
 * the running transaction. `data` is what hangs on an inode beyond its row: extents and cached pages of a file, blocks of a directory, a link's target.
 */
import { lowestBit, onesIn } from "../../core/bits.ts";
import type { DirectoryData } from "./directory-data.ts";
import type { FileData } from "./file-data.ts";
import type { Journal, Metadata } from "./journal.ts";
import { BLOCK_SIZE, INODES_PER_BLOCK } from "./layout.ts";
import type { InodeRow, InodeTableRecord, SymlinkRecord, TreeRoot } from "./records.ts";
import { Revisions } from "./revisions.ts";
import type { XattrSet } from "./xattr-set.ts";

/** The words of a row (inode-rows.ts). */
export const MODE = 0;
export const UID = 1;
export const GID = 2;
export const NLINK = 3;
/** FS_*_FL bits of chattr(1). */
export const FLAGS = 4;
/** Blocks of 4 KiB that the inode has, its extent and xattr blocks included. */
export const BLOCKS = 5;
/** A device node's number; a directory's parent; whether a regular file has `data`, which on the disk is 0. */
export const EXTRA = 6;
/** How often it is held in memory; on the disk always 0. */
export const HOLDS = 7;
/** The size in bytes, its low and its high half. */
const SIZE_LOW = 8;
const SIZE_HIGH = 9;
/** Two words each (times.ts). */
export const ATIME = 10;
export const MTIME = 12;
export const CTIME = 14;
export const WORDS = 16;

export const CHUNK_INODES = 64;
const BLOCKS_PER_CHUNK: number = CHUNK_INODES / INODES_PER_BLOCK;

/** The size in the row that begins at `start`. */
export function sizeIn(words: Int32Array, start: number): number {
  return ((words[start + SIZE_LOW] as number) >>> 0) + (words[start + SIZE_HIGH] as number) * 2 ** 32;
}

export function putSize(words: Int32Array, start: number, size: number): void {
  words[start + SIZE_LOW] = size % 2 ** 32;
  words[start + SIZE_HIGH] = size / 2 ** 32;
}

/** A symbolic link's target, in a block of its own when it is longer than 59 bytes. */
export class SymlinkData implements Metadata {
  readonly target: string;
  readonly block: number;
  stamp = 0;

  /** @param block - 0: the target lies in the inode. */
  constructor(target: string, block: number) {
    this.target = target;
    this.block = block;
  }
  freeze(): SymlinkRecord {
    return { kind: "ext4.symlinkBlock", length: BLOCK_SIZE, target: this.target };
  }
}

export type InodeData = FileData | DirectoryData | SymlinkData | undefined;

/** One block of the inode table. */
class TableBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  /** Which of its inodes changed since the last record, a bit each. */
  changed = 0;
  readonly #chunk: InodeChunk;
  readonly #from: number;
  readonly #revisions = new Revisions<InodeTableRecord>();

  constructor(chunk: InodeChunk, index: number, block: number) {
    this.#chunk = chunk;
    this.#from = index * INODES_PER_BLOCK;
    this.block = block;
  }

  freeze(): InodeTableRecord {
    const changed = this.changed;
    const since = this.#revisions.base(onesIn(changed), INODES_PER_BLOCK);
    const changes = this.#rows(since === undefined ? ALL_CHANGED : changed);
    this.changed = 0;
    return this.#revisions.made({ kind: "ext4.inodeTable", length: BLOCK_SIZE, since, changes });
  }

  /** The inodes of a set of bits, in an array without slack: there is one for each commit in the log. */
  #rows(bits: number): InodeRow[] {
    const rows = [imageOf(this.#chunk, this.#from + lowestBit(bits))];
    const rest = bits & (bits - 1);
    if (rest === 0) return rows;
    for (let left = rest; left !== 0; left &= left - 1) rows.push(imageOf(this.#chunk, this.#from + lowestBit(left)));
    return rows.slice();
  }
}

const ALL_CHANGED: number = (1 << INODES_PER_BLOCK) - 1;

/** An inode as a commit writes it. */
function imageOf(chunk: InodeChunk, index: number): InodeRow {
  const start = chunk.start + index * WORDS;
  const data = chunk.data[index];
  const xattrs = chunk.xattrs?.[index];
  const isLink = data instanceof SymlinkData;
  const words = new Array<number>(WORDS);
  for (let at = 0; at < WORDS; at++) words[at] = chunk.words[start + at] as number;
  words[HOLDS] = 0;
  if (data !== undefined && "onDisk" in data) {
    words[SIZE_LOW] = (data.onDisk % 2 ** 32) | 0;
    words[SIZE_HIGH] = Math.floor(data.onDisk / 2 ** 32);
    words[EXTRA] = 0;
  }
  return {
    ino: chunk.first + index,
    words,
    tree: isLink ? linkTree(data) : data?.tree.root(),
    target: isLink && data.block === 0 ? data.target : undefined,
    xattrs: xattrs?.inInode,
    xattrBlock: xattrs?.outside?.block ?? 0,
  };
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
  readonly data: InodeData[] = new Array(CHUNK_INODES).fill(undefined);
  xattrs: (XattrSet | undefined)[] | undefined;
  readonly #tables: (TableBlock | undefined)[] = new Array(BLOCKS_PER_CHUNK).fill(undefined);
  readonly #homes: readonly number[];

  /** @param homes - the four inode table blocks that hold its inodes. */
  constructor(first: number, homes: readonly number[], rows: { readonly words: Int32Array; readonly start: number }) {
    this.first = first;
    this.words = rows.words;
    this.start = rows.start;
    this.#homes = homes;
  }

  dirty(index: number, journal: Journal): void {
    const at = index >>> 4;
    const table = this.#tables[at] ?? (this.#tables[at] = new TableBlock(this, at, this.#homes[at] as number));
    table.changed |= 1 << (index & (INODES_PER_BLOCK - 1));
    journal.dirty(table);
  }

  /** Takes the words of one inode of a table block's record. @returns where they begin. */
  load(row: InodeRow): number {
    const start = this.start + (row.ino - this.first) * WORDS;
    this.words.set(row.words, start);
    return start;
  }
}
