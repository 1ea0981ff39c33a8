/**
 * The blocks of one directory and who lies where in them (fs/ext4/dir.c, namei.c): lookups never come here, they go by rows (entry-rows.ts).
 *
 * Entries take 8 bytes and their name, rounded up to 4; a block ends with a checksum of 12 bytes. A directory of one block is a list; when it
 * overflows, its first block becomes the root of a tree of hashes, and each leaf holds the names of a range of hashes.
 *
 * Interface: a gap is where a new entry fits: the slack behind an entry, or a removed one; removed neighbours are one gap, as rec_len would tell.
 */
import type { NameTable } from "../../core/names.ts";
import { cutPair, putPair } from "../../core/pairs.ts";
import type { EntryRow, EntryRows } from "./entry-rows.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { packDirectory } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import { Revisions } from "./revisions.ts";
import { ExtentTree } from "./tree.ts";

const TAIL_BYTES = 12;
/** "." and ".." */
export const DOTS_BYTES = 24;
export const DIRECTORY_BLOCK_END: number = BLOCK_SIZE - TAIL_BYTES;
/** Entries of the hash tree's root and of its inner nodes (dx_root_limit, dx_node_limit, with checksums). */
export const ROOT_LEAVES = 507;
export const NODE_LEAVES = 510;

/** Bytes that an entry takes (ext4_dir_rec_len). */
export function entryBytes(nameBytes: number): number {
  return (8 + nameBytes + 3) & ~3;
}

/** The note that the entry at an offset, a multiple of 4, is gone. */
export function goneAt(offset: number): number {
  return ~(offset / 4);
}

/** The offset that such a note tells. */
function offsetGone(note: number): number {
  return ~note * 4;
}

const NO_INDEX: readonly number[] = [];

export class DirectoryBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  /** The rows of its entries, in no order but where `isHashed`. */
  rows: EntryRow[] = [];
  /** Whether they are in the order of their names' hashes (readdir.ts). Whoever changes them says so. */
  isHashed = false;
  /** Pairs of start and end. */
  gaps: number[];
  /** Of an indexed directory's first block and of inner nodes: pairs of hash and logical block. */
  index: (() => number[]) | undefined;
  /**
   * Notes of what changed since the last record: the row of an entry that is new or has another inode; negative, the offset of one that is
   * gone (`goneAt`). Undefined: too much to tell.
   */
  #changes: number[] | undefined;
  /** Made by its first record. */
  #revisions: Revisions | undefined;
  readonly #inode: number;
  readonly #entries: EntryRows;
  readonly #names: NameTable;

  constructor(
    { inode, block, from }: { readonly inode: number; readonly block: number; readonly from: number },
    entries: EntryRows,
    names: NameTable,
  ) {
    this.#inode = inode;
    this.block = block;
    this.gaps = [from, DIRECTORY_BLOCK_END];
    this.#entries = entries;
    this.#names = names;
  }

  /** An entry is new, or has another inode: `note` is its row; or one is gone: `goneAt`. */
  note(note: number): void {
    const changes = this.#changes;
    if (changes === undefined) return;
    if (changes.length > this.rows.length) this.#changes = undefined;
    else changes.push(note);
  }

  /** All entries are others. */
  noteAll(): void {
    this.#changes = undefined;
  }

  /** Whether an entry finds room. */
  fits(length: number): boolean {
    for (let at = 0; at < this.gaps.length; at += 2)
      if ((this.gaps[at + 1] as number) - (this.gaps[at] as number) >= length) return true;
    return false;
  }

  /** How large the gap is that begins at an offset; 0 where none does. */
  gapAt(start: number): number {
    const { gaps } = this;
    for (let at = 0; at < gaps.length; at += 2) if (gaps[at] === start) return (gaps[at + 1] as number) - start;
    return 0;
  }

  /** Takes room for an entry. @returns its offset, or -1. */
  take(length: number): number {
    const gaps = this.gaps;
    for (let at = 0; at < gaps.length; at += 2) {
      const start = gaps[at] as number;
      const end = gaps[at + 1] as number;
      if (end - start < length) continue;
      if (end - start === length) cutPair(gaps, at);
      else gaps[at] = start + length;
      return start;
    }
    return -1;
  }

  /** Gives the room of an entry back. */
  give(start: number, length: number): void {
    const gaps = this.gaps;
    let at = 0;
    while (at < gaps.length && (gaps[at] as number) < start) at += 2;
    const end = start + length;
    const joinsLeft = at > 0 && gaps[at - 1] === start;
    const joinsRight = at < gaps.length && gaps[at] === end;
    if (joinsLeft && joinsRight) cutPair(gaps, at - 1);
    else if (joinsLeft) gaps[at - 1] = end;
    else if (joinsRight) gaps[at] = start;
    else putPair(gaps, at, start, end);
  }

  pack(into: PackedWords): number {
    const told = this.#changes;
    const whole = this.rows.length;
    const builds = (this.#revisions ??= new Revisions()).begin(into, told === undefined ? whole + 1 : told.length, whole);
    const changes = this.#told(!builds || told === undefined ? this.rows : told);
    const kind = packDirectory(into, { inode: this.#inode, names: this.#names, changes, index: this.index?.() ?? NO_INDEX });
    if (told === undefined) this.#changes = [];
    else told.length = 0;
    return kind;
  }

  /** Notes as DirectoryRecord.changes has them. A row that was noted may be another block's by now: then a later note tells what became of its entry. */
  #told(notes: readonly number[]): number[] {
    const entries = this.#entries;
    const out: number[] = [];
    for (const note of notes) {
      if (note < 0) out.push(offsetGone(note), 0, 0);
      else if (this.rows[entries.placeOf(note)] === note)
        out.push(entries.offsetOf(note), entries.name(note), entries.child(note));
    }
    return out;
  }
}

/** A leaf of the hash tree: names whose hash is at least `hash` and below the next leaf's. */
export interface HashLeaf {
  readonly hash: number;
  /** Whether the leaf before it has names of this hash, too: new ones go there. */
  readonly continues: boolean;
  /** Index among the directory's blocks. */
  readonly at: number;
}

/** An inner node of the hash tree: its block's index, and how many leaves it leads to. */
export interface HashNode {
  readonly at: number;
  count: number;
}

export class DirectoryData {
  readonly tree: ExtentTree = new ExtentTree();
  /** By logical block. */
  readonly blocks: (DirectoryBlock | undefined)[] = [];
  /** In the order of hashes; undefined: the directory is one block, a list. */
  leaves: HashLeaf[] | undefined;
  /** In the order of their leaves; none while the root leads to leaves. */
  readonly nodes: HashNode[] = [];
  /** Whether its entries are in memory. */
  loaded = true;

  /** The leaf where a hash belongs, as an index into `leaves`. */
  leafOf(hash: number): number {
    const leaves = this.leaves as HashLeaf[];
    let low = 0;
    let high = leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const leaf = leaves[middle] as HashLeaf;
      if (leaf.hash < hash || (leaf.hash === hash && !leaf.continues)) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
