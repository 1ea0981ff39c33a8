/**
 * Inodes: the words of a row, and chunks of 64 by number (fs/ext4/inode.c, ext4_iget and ext4_do_update_inode).
 *
 * Interface: a chunk is read from its four inode table blocks when one of its inodes is first asked for. `dirty` puts the table block of an inode into
 * the running transaction. `data` is what hangs on an inode beyond its row: extents and cached pages of a file, blocks of a directory, a link's target.
 */
import type { DirectoryData } from "./directory-data.ts";
import type { FileData } from "./file-data.ts";
import type { Journal, Metadata } from "./journal.ts";
import { BLOCK_SIZE, INODES_PER_BLOCK } from "./layout.ts";
import type { InodeBody, InodeTableRecord, SymlinkRecord } from "./records.ts";
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
  readonly #chunk: InodeChunk;
  readonly #index: number;
  /** The bodies of the last record: those that are as they were are shared with the next. */
  #last: readonly (InodeBody | undefined)[] = [];

  constructor(chunk: InodeChunk, index: number, block: number) {
    this.#chunk = chunk;
    this.#index = index;
    this.block = block;
  }

  freeze(): InodeTableRecord {
    const chunk = this.#chunk;
    const from = this.#index * INODES_PER_BLOCK;
    const to = from + INODES_PER_BLOCK;
    const words = chunk.words.slice(chunk.start + from * WORDS, chunk.start + to * WORDS);
    const bodies: (InodeBody | undefined)[] = [];
    for (let at = from; at < to; at++) {
      const start = (at - from) * WORDS;
      words[start + HOLDS] = 0;
      const data = chunk.data[at];
      const xattrs = chunk.xattrs?.[at];
      bodies.push(bodyOf(data, xattrs, this.#last[at - from]));
      if (data === undefined || !("onDisk" in data)) continue;
      putSize(words, start, data.onDisk);
      words[start + EXTRA] = 0;
    }
    this.#last = bodies;
    return { kind: "ext4.inodeTable", length: BLOCK_SIZE, first: chunk.first + from, words, bodies };
  }
}

/** What an inode has beyond its row; `last` is what it had in the record before. */
function bodyOf(data: InodeData, xattrs: XattrSet | undefined, last: InodeBody | undefined): InodeBody | undefined {
  if (data === undefined && xattrs === undefined) return undefined;
  const isLink = data instanceof SymlinkData;
  const tree = data === undefined || isLink ? undefined : data.tree.root();
  const target = isLink && data.block === 0 ? data.target : undefined;
  const inInode = xattrs !== undefined && xattrs.inInode.size > 0 ? xattrs.inInode : undefined;
  const block = xattrs?.outside?.block;
  const same = last !== undefined && last.tree === tree && last.target === target && last.xattrs === inInode;
  if (same && last.xattrBlock === block && !(isLink && data.block !== 0)) return last;
  const body: { -readonly [K in keyof InodeBody]: InodeBody[K] } = {};
  if (target !== undefined) body.target = target;
  if (tree !== undefined) body.tree = tree;
  else if (isLink && data.block !== 0) body.tree = { depth: 0, entries: [0, 1, data.block] };
  if (inInode !== undefined) body.xattrs = inInode;
  if (block !== undefined) body.xattrBlock = block;
  return body;
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
    const table = this.#tables[at];
    journal.dirty(table ?? (this.#tables[at] = new TableBlock(this, at, this.#homes[at] as number)));
  }

  /** Takes the rows of one table block's record. */
  load(record: InodeTableRecord): void {
    this.words.set(record.words, this.start + (record.first - this.first) * WORDS);
  }
}
