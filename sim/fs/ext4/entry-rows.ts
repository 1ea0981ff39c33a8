/**
 * The entries of the directories in memory: (directory, name) → row, and rows of words, 16 bytes each, so that what a call asks of an entry is one
 * place of memory.
 *
 * Interface: a row stays the entry's number until it is removed. Names and children are never 0; row 0 is none.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import type { Name } from "../../core/names.ts";
import { EntryMap } from "../../vfs/entry-map.ts";

/** The number of an entry; 0 is none. */
export type EntryRow = number;

const WIDTH = 4;
/** Of a free row 0. */
const NAME = 0;
/** Of a free row the next free one. */
const CHILD = 1;
/** The entry's block in its directory << 10 | its offset there / 4. */
const POSITION = 2;
/** The entry's index in DirectoryBlock.rows << LENGTH_BITS | the bytes that it takes / 4. */
const PLACE = 3;
const LENGTH_BITS = 8;
const LENGTH_MASK: number = (1 << LENGTH_BITS) - 1;

/** Rows that share an array. */
const SLAB_BITS = 9;
const SLAB_ROWS: number = 1 << SLAB_BITS;

export class EntryRows {
  readonly #rows = new EntryMap();
  readonly #slabs: Uint32Array[] = [];
  /** Rows ever used, row 0 included. */
  #end = 1;
  #free: EntryRow = 0;

  #slabOf(row: EntryRow): Uint32Array {
    return this.#slabs[row >>> SLAB_BITS] as Uint32Array;
  }
  #startOf(row: EntryRow): number {
    return (row & (SLAB_ROWS - 1)) * WIDTH;
  }
  #word(row: EntryRow, column: number): number {
    return this.#slabOf(row)[this.#startOf(row) + column] as number;
  }

  /** The entry's row, or 0. */
  find(directory: number, name: Name): EntryRow {
    return this.#rows.lookup(directory, name);
  }

  /** The child, or 0 when there is no such entry. */
  lookup(directory: number, name: Name): number {
    const row = this.#rows.lookup(directory, name);
    return row === 0 ? 0 : this.#word(row, CHILD);
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    return this.#rows.count(directory);
  }

  /** Adds an entry, which has no place yet. Precondition: there is none of this name. @param length - the bytes that it takes in its block. */
  insert(directory: number, name: Name, child: number, length: number): EntryRow {
    let row = this.#free;
    if (row !== 0) this.#free = this.#word(row, CHILD);
    else {
      row = this.#end++;
      if (row >>> SLAB_BITS === this.#slabs.length) this.#slabs.push(new Uint32Array(SLAB_ROWS * WIDTH));
    }
    const words = this.#slabOf(row);
    const at = this.#startOf(row);
    words[at + NAME] = name;
    words[at + CHILD] = child;
    words[at + PLACE] = length / 4;
    this.#rows.put(directory, name, row);
    return row;
  }

  /** Ends an entry. */
  remove(directory: number, row: EntryRow): void {
    const words = this.#slabOf(row);
    const at = this.#startOf(row);
    this.#rows.remove(directory, words[at + NAME] as Name);
    words[at + NAME] = 0;
    words[at + CHILD] = this.#free;
    this.#free = row;
  }

  name(row: EntryRow): Name {
    return this.#word(row, NAME) as Name;
  }
  child(row: EntryRow): number {
    return this.#word(row, CHILD);
  }
  /** Gives an entry another child. */
  replace(row: EntryRow, child: number): void {
    this.#slabOf(row)[this.#startOf(row) + CHILD] = child;
  }

  /** The bytes that an entry takes in its block. */
  lengthOf(row: EntryRow): number {
    return (this.#word(row, PLACE) & LENGTH_MASK) * 4;
  }
  /** The index of its block in its directory. */
  blockOf(row: EntryRow): number {
    return this.#word(row, POSITION) >>> 10;
  }
  /** Its offset in the block. */
  offsetOf(row: EntryRow): number {
    return (this.#word(row, POSITION) & 1023) * 4;
  }
  /** Its index in DirectoryBlock.rows. */
  placeOf(row: EntryRow): number {
    return this.#word(row, PLACE) >>> LENGTH_BITS;
  }
  setPlace(row: EntryRow, place: number): void {
    const words = this.#slabOf(row);
    const at = this.#startOf(row) + PLACE;
    words[at] = ((words[at] as number) & LENGTH_MASK) | (place << LENGTH_BITS);
  }
  /** Notes where an entry lies: in which block, and from which byte on. */
  setOffset(row: EntryRow, block: number, offset: number): void {
    this.#slabOf(row)[this.#startOf(row) + POSITION] = (block << 10) | (offset >>> 2);
  }

  /** Throws an InvariantError unless every row that is in use is found by its key, and no other. */
  check(): void {
    this.#rows.check();
    let used = 0;
    this.#rows.visit((name, row) => {
      used += 1;
      if (this.name(row) !== name) throw new InvariantError(`entry ${row} is found by another name`);
      assert(this.child(row) !== 0, `entry ${row} has no child`);
    });
    let free = 0;
    for (let row = this.#free; row !== 0; row = this.#word(row, CHILD)) free += 1;
    assert(used + free === this.#end - 1, `${used} entries and ${free} free rows of ${this.#end - 1}`);
  }
}
