/**
 * The rows of lone pages (lone-pages.ts): 24 bytes each, and 4 in the queue of what is dirty.
 *
 * Interface: row 0 is none. The list of least recent use goes through these rows and through those of runs; its links are run-table.ts's business.
 */
import type { Content } from "../core/content.ts";

/** The number of a lone page, below 2^31; 0 is none. */
export type LoneRow = number;

/** Whose pages they are: those of the inodes of a filesystem. */
interface LoneOwner {
  /** Throws an InvariantError when its rows or counts are wrong. */
  check(): void;
}

const WIDTH = 6;
const NEWER = 0;
const OLDER = 1;
/** Never 0; of a free row 0. */
const INODE = 2;
/** Which of #held has the bytes; of a free row the next free one. */
const HELD = 3;
/** Which part of them. */
const SPAN = 4;
/** The place in the queue of what is dirty. */
const PLACE = 5;

/** Rows that share an array. */
const SLAB_BITS = 9;
const SLAB_ROWS: number = 1 << SLAB_BITS;

export class LoneRows {
  readonly #slabs: Int32Array[] = [];
  /** Rows ever used, row 0 included. */
  #end = 1;
  #free: LoneRow = 0;
  #used = 0;
  /** What the bytes of pages lie in, whose pages those are, and how many. */
  readonly #held: (Uint8Array | Content | undefined)[] = [];
  readonly #owners: (LoneOwner | undefined)[] = [];
  readonly #counts: number[] = [];
  readonly #freeHeld: number[] = [];
  /** What was taken last: small files that are written one after the other share an array. */
  #lastHeld = -1;

  get size(): number {
    return this.#used;
  }

  #word(row: LoneRow, column: number): number {
    return (this.#slabs[row >>> SLAB_BITS] as Int32Array)[(row & (SLAB_ROWS - 1)) * WIDTH + column] as number;
  }
  #setWord(row: LoneRow, column: number, value: number): void {
    (this.#slabs[row >>> SLAB_BITS] as Int32Array)[(row & (SLAB_ROWS - 1)) * WIDTH + column] = value;
  }

  /** A new row. @param span - which part of `held` the page has. */
  add(owner: LoneOwner, page: { readonly inode: number; readonly held: Uint8Array | Content; readonly span: number }): LoneRow {
    let row = this.#free;
    if (row !== 0) this.#free = this.#word(row, HELD);
    else {
      row = this.#end++;
      if (row >>> SLAB_BITS === this.#slabs.length) this.#slabs.push(new Int32Array(SLAB_ROWS * WIDTH));
    }
    this.#used += 1;
    const words = this.#slabs[row >>> SLAB_BITS] as Int32Array;
    const at = (row & (SLAB_ROWS - 1)) * WIDTH;
    words[at + INODE] = page.inode;
    words[at + HELD] = this.#hold(owner, page.held);
    words[at + SPAN] = page.span;
    return row;
  }

  remove(row: LoneRow): void {
    this.#release(this.#word(row, HELD));
    this.#setWord(row, INODE, 0);
    this.#setWord(row, HELD, this.#free);
    this.#free = row;
    this.#used -= 1;
  }

  #hold(owner: LoneOwner, held: Uint8Array | Content): number {
    const last = this.#lastHeld;
    if (last >= 0 && this.#held[last] === held && this.#owners[last] === owner) {
      this.#counts[last] = (this.#counts[last] as number) + 1;
      return last;
    }
    const index = this.#freeHeld.pop() ?? this.#held.length;
    this.#held[index] = held;
    this.#owners[index] = owner;
    this.#counts[index] = 1;
    this.#lastHeld = index;
    return index;
  }

  #release(index: number): void {
    const left = (this.#counts[index] as number) - 1;
    this.#counts[index] = left;
    if (left > 0) return;
    this.#held[index] = undefined;
    this.#owners[index] = undefined;
    this.#freeHeld.push(index);
  }

  inode(row: LoneRow): number {
    return this.#word(row, INODE) >>> 0;
  }
  held(row: LoneRow): Uint8Array | Content {
    return this.#held[this.#word(row, HELD)] as Uint8Array | Content;
  }
  owner(row: LoneRow): LoneOwner | undefined {
    return this.#owners[this.#word(row, HELD)];
  }
  span(row: LoneRow): number {
    return this.#word(row, SPAN);
  }
  /** The place in the queue of what is dirty; -1 for a row that is no page's any more. */
  place(row: LoneRow): number {
    return this.#word(row, INODE) === 0 ? -1 : this.#word(row, PLACE) >>> 0;
  }
  setPlace(row: LoneRow, place: number): void {
    this.#setWord(row, PLACE, place);
  }

  newer(row: LoneRow): number {
    return this.#word(row, NEWER);
  }
  setNewer(row: LoneRow, link: number): void {
    this.#setWord(row, NEWER, link);
  }
  older(row: LoneRow): number {
    return this.#word(row, OLDER);
  }
  setOlder(row: LoneRow, link: number): void {
    this.#setWord(row, OLDER, link);
  }

  /** Whose pages there are. */
  owners(): Set<LoneOwner> {
    return new Set(this.#owners.filter((owner) => owner !== undefined));
  }

  /** Visits the rows of an owner's pages. */
  visit(owner: LoneOwner, visit: (row: LoneRow) => void): void {
    for (let row = 1; row < this.#end; row++) if (this.inode(row) !== 0 && this.owner(row) === owner) visit(row);
  }
}
