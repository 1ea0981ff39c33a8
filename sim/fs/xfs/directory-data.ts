/**
 * The entries of one directory and where they lie (fs/xfs/libxfs/xfs_dir2.c, xfs_dir2_sf.c, xfs_dir2_block.c, xfs_dir2_leaf.c, xfs_dir2_node.c): lookups never come here,
 * they are one probe of the dentry table.
 *
 * A directory begins in its inode (short form). It grows to one block, whose tail holds the index by hash (block form); to several with the
 * index in a block of its own (leaf form); to several with an index of many leaves below a node (node form).
 *
 * Interface: a gap is where a new entry fits; neighbouring gaps are one. The largest gap of a block is the one that is used.
 */
import { Fork } from "./fork.ts";
import { BLOCK_SIZE, type Geometry, SECTORS_PER_BLOCK } from "./layout.ts";
import type { Metadata } from "./log.ts";
import { type LoggedSize, measurePieces, piecesOf } from "./logged-pieces.ts";
import type { DirectoryEntryRecord, DirectoryIndexRecord, DirectoryRecord, ShortDirectory } from "./records.ts";

/** Where the parts of a directory's address space begin, in blocks (XFS_DIR2_LEAF_OFFSET, XFS_DIR2_FREE_OFFSET). */
export const INDEX_START: number = 2 ** 35 / BLOCK_SIZE;
export const FREE_START: number = 2 * INDEX_START;
/** Count, flag of long inode numbers, parent. */
const SHORT_HEADER_BYTES = 6;
/** An entry of the index: hash and place. */
export const INDEX_BYTES = 8;
/** Count of entries, and of stale ones, at the end of a block form's block. */
const BLOCK_TAIL_BYTES = 8;
const LEAF_TAIL_BYTES = 4;
/** What begins a block of either format: its largest gaps, or the count of its entries, are in it. */
const BEGINNING_BYTES = 64;
/** At the beginning of a gap its length, at its end its place. */
const GAP_HEAD_BYTES = 4;
const GAP_TAIL_BYTES = 2;
/** The largest gap of a block, in the list of free space. */
const BEST_BYTES = 2;

/** The sizes that differ by format. */
export interface DirectoryFormat {
  /** Bytes before the first entry of a block; "." and ".." lie behind them in the first. */
  readonly header: number;
  readonly dots: number;
  /** Bytes before the entries of an index block. */
  readonly indexHeader: number;
  /** 1 where entries tell their type. */
  readonly typeBytes: number;
}

export function directoryFormat(geometry: Geometry): DirectoryFormat {
  const typeBytes = geometry.ftype ? 1 : 0;
  const header = geometry.crc ? 64 : 16;
  const dots = dataEntryBytes(1, typeBytes) + dataEntryBytes(2, typeBytes);
  return { header, dots, indexHeader: geometry.crc ? 64 : 16, typeBytes };
}

/** Bytes of an entry in a block: inode, length, name, type, tag; a multiple of 8 (xfs_dir2_data_entsize). */
export function dataEntryBytes(nameBytes: number, typeBytes: number): number {
  return (8 + 1 + nameBytes + typeBytes + 2 + 7) & ~7;
}
/** Bytes of an entry in the inode: length, offset, name, type, inode (xfs_dir2_sf_entsize). */
export function shortEntryBytes(nameBytes: number, typeBytes: number): number {
  return 1 + 2 + nameBytes + typeBytes + 4;
}
/** How many entries a leaf of the node form holds. */
export function leafEntriesMax(format: DirectoryFormat): number {
  return Math.floor((BLOCK_SIZE - format.indexHeader) / INDEX_BYTES);
}
/** How many the only leaf of the leaf form holds beside the largest gap of each block. */
export function loneLeafEntriesMax(format: DirectoryFormat, blocks: number): number {
  return Math.floor((BLOCK_SIZE - format.indexHeader - LEAF_TAIL_BYTES - 2 * blocks) / INDEX_BYTES);
}
/** What a block form's block has left for entries when its index has so many. */
export function blockFormEnd(entries: number): number {
  return BLOCK_SIZE - BLOCK_TAIL_BYTES - INDEX_BYTES * (entries + 2);
}
/** Blocks whose largest gaps one block of free space lists. */
export function blocksPerFree(format: DirectoryFormat): number {
  return (BLOCK_SIZE - format.indexHeader) / 2;
}

/** What the filesystem makes of dentry rows when a block is written. */
export type PackEntries = (rows: readonly number[]) => DirectoryEntryRecord[];

/** A block of entries. */
export class DirectoryBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  /** Dentry rows of its entries, in no order. */
  rows: number[] = [];
  /** Pairs of start and end, ascending. */
  gaps: number[];
  /** Its pieces that are logged. */
  #logged = 0;
  /** How many places the index of a block form has. */
  #index = 0;
  readonly #inode: number;
  readonly #pack: PackEntries;

  constructor(inode: number, block: number, from: number, pack: PackEntries) {
    this.#inode = inode;
    this.block = block;
    this.gaps = [from, BLOCK_SIZE];
    this.#pack = pack;
  }
  get sector(): number {
    return this.block * SECTORS_PER_BLOCK;
  }
  measure(into: LoggedSize): void {
    measurePieces(into, this.#logged);
  }
  written(): void {
    this.#logged = 0;
  }
  /** The bytes [from, to) change. */
  changed(from: number, to: number): void {
    this.#logged |= piecesOf(from, to);
  }
  /**
   * The index of a block form, which grows towards the entries, changes. Places of names that went stay in it, for others (stale).
   * @param entries - how many it has to have at least
   */
  indexChanged(entries: number): void {
    this.#index = Math.max(this.#index, entries);
    this.changed(this.#indexStart, BLOCK_SIZE);
    if (this.gaps.at(-1) === BLOCK_SIZE) this.#gapChanged(this.gaps.length - 2);
  }
  /** A name went: its place in the index is stale. */
  indexStaled(): void {
    this.changed(BLOCK_SIZE - BLOCK_TAIL_BYTES, BLOCK_SIZE);
  }
  /** The index lies in a block of its own from now on: what it took is free. */
  indexGone(): void {
    this.#index = 0;
    this.changed(0, BEGINNING_BYTES);
    if (this.gaps.at(-1) === BLOCK_SIZE) this.#gapChanged(this.gaps.length - 2);
  }
  get #indexStart(): number {
    return this.#index === 0 ? BLOCK_SIZE : BLOCK_SIZE - BLOCK_TAIL_BYTES - INDEX_BYTES * this.#index;
  }

  /** Bytes of the largest gap (bestfree[0]). */
  get longest(): number {
    const at = this.#largest(BLOCK_SIZE);
    return at < 0 ? 0 : (this.gaps[at + 1] as number) - (this.gaps[at] as number);
  }
  /** The index of the largest gap that ends before `end`, or -1; gaps are cut there. */
  #largest(end: number): number {
    let best = -1;
    let size = 0;
    for (let at = 0; at < this.gaps.length; at += 2) {
      const length = Math.min(this.gaps[at + 1] as number, end) - (this.gaps[at] as number);
      if (length <= size) continue;
      best = at;
      size = length;
    }
    return best;
  }
  /** Whether an entry finds room before `end`. */
  fits(length: number, end: number = BLOCK_SIZE): boolean {
    const at = this.#largest(end);
    return at >= 0 && Math.min(this.gaps[at + 1] as number, end) - (this.gaps[at] as number) >= length;
  }
  /** Takes room for an entry that fits. @returns its offset. */
  take(length: number, end: number = BLOCK_SIZE): number {
    const at = this.#largest(end);
    const start = this.gaps[at] as number;
    this.changed(0, BEGINNING_BYTES);
    this.changed(start, start + length);
    if (this.gaps[at + 1] === start + length) this.gaps.splice(at, 2);
    else {
      this.gaps[at] = start + length;
      this.#gapChanged(at);
    }
    return start;
  }
  /** Takes the room of an entry that has its offset already, and which lies in the last gap. */
  takeAt(start: number, length: number): void {
    const last = this.gaps.length - 2;
    const gap = this.gaps[last] as number;
    this.changed(start, start + length);
    this.gaps[last] = start + length;
    if (start === gap) return;
    this.gaps.splice(last, 0, gap, start);
    this.#gapChanged(last);
  }
  /** Gives the room of an entry back. */
  give(start: number, length: number): void {
    const { gaps } = this;
    let at = 0;
    while (at < gaps.length && (gaps[at] as number) < start) at += 2;
    const end = start + length;
    const joinsLeft = at > 0 && gaps[at - 1] === start;
    const joinsRight = at < gaps.length && gaps[at] === end;
    if (joinsLeft && joinsRight) gaps.splice(at - 1, 2);
    else if (joinsLeft) gaps[at - 1] = end;
    else if (joinsRight) gaps[at] = start;
    else gaps.splice(at, 0, start, end);
    this.changed(0, BEGINNING_BYTES);
    this.#gapChanged(joinsLeft ? at - 2 : at);
  }
  /** Both ends of a gap tell of it (xfs_dir2_data_log_unused). */
  #gapChanged(at: number): void {
    const start = this.gaps[at] as number;
    const end = Math.min(this.gaps[at + 1] as number, this.#indexStart);
    this.changed(start, start + GAP_HEAD_BYTES);
    this.changed(end - GAP_TAIL_BYTES, end);
  }

  freeze(): DirectoryRecord {
    return { kind: "xfs.directoryBlock", length: BLOCK_SIZE, inode: this.#inode, entries: this.#pack(this.rows) };
  }
}

/** A block of the index: the hashes of a leaf, the last hash of each leaf of a node, or a list of free space. */
export class IndexBlock implements Metadata {
  readonly block: number;
  /** Its place in the directory. */
  readonly logical: number;
  stamp = 0;
  readonly kind: DirectoryIndexRecord["kind"];
  hashes: number[] = [];
  /** Its pieces that are logged. */
  #logged: number = piecesOf(0, BEGINNING_BYTES);
  readonly #inode: number;

  constructor(kind: DirectoryIndexRecord["kind"], inode: number, place: { readonly block: number; readonly logical: number }) {
    this.kind = kind;
    this.#inode = inode;
    this.block = place.block;
    this.logical = place.logical;
  }
  get sector(): number {
    return this.block * SECTORS_PER_BLOCK;
  }
  measure(into: LoggedSize): void {
    measurePieces(into, this.#logged);
  }
  written(): void {
    this.#logged = 0;
  }
  /** The entries [from, to) change, and what the block's beginning says of them. @param header - bytes before the entries. */
  changed(header: number, from: number, to: number): void {
    this.#logged |= piecesOf(0, BEGINNING_BYTES);
    const end = Math.min(header + to * INDEX_BYTES, BLOCK_SIZE);
    if (to > from) this.#logged |= piecesOf(header + from * INDEX_BYTES, end);
  }
  /** Of the only leaf: what its end tells of the largest gap of a block, `fromEnd` blocks before the last one. */
  bestInLeafChanged(fromEnd: number): void {
    const end = BLOCK_SIZE - LEAF_TAIL_BYTES - fromEnd * BEST_BYTES;
    this.#logged |= piecesOf(end - BEST_BYTES, end);
  }
  /** Of a list of free space: what it tells of the largest gap of a block. */
  bestChanged(header: number, at: number): void {
    this.#logged |= piecesOf(header + at * BEST_BYTES, header + (at + 1) * BEST_BYTES);
  }
  freeze(): DirectoryIndexRecord {
    return { kind: this.kind, length: BLOCK_SIZE, inode: this.#inode, hashes: this.hashes.slice() };
  }
}

export class DirectoryData {
  readonly fork: Fork = new Fork();
  /** By logical block; the blocks of entries. */
  readonly blocks: (DirectoryBlock | undefined)[] = [];
  /** Leaves of the index, in the order of hashes; none in short and block form. */
  leaves: IndexBlock[] = [];
  nodes: IndexBlock[] = [];
  free: IndexBlock[] = [];
  /** Whether the entries lie in the inode. */
  isShort = true;
  /** Of a short form: the rows in their order, and the bytes of all. */
  rows: number[] = [];
  shortBytes: number = SHORT_HEADER_BYTES;
  /** Whether its entries are in the dentry table. */
  loaded = true;
  /** i_size: set when the inode is read and never again, so 0 for a directory made since (fs/xfs/xfs_iops.c, xfs_setup_inode). */
  sizeWhenRead = 0;
  /** What the inode's record holds of a short form. */
  short: () => ShortDirectory;

  constructor(short: () => ShortDirectory) {
    this.short = short;
  }

  /** Whether the directory has an index of many leaves. */
  get isNode(): boolean {
    return this.free.length > 0;
  }

  /** The leaf where a hash belongs, as an index into `leaves`. */
  leafOf(hash: number): number {
    let low = 0;
    let high = this.leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (((this.leaves[middle] as IndexBlock).hashes[0] ?? 0) <= hash) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** xfs_da_hashname: rolls each byte of a name into 32 bits. */
export function nameHash(raw: Uint8Array): number {
  let hash = 0;
  for (const byte of raw) hash = byte ^ ((hash << 7) | (hash >>> 25));
  return hash >>> 0;
}
