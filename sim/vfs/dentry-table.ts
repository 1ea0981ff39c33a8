/**
 * Directory entries of one filesystem: (directory, name) → child, in one typed array.
 *
 * A hash table with open addressing finds an entry in one probe; a circular list through a directory's entries, begun by a head row
 * (name 0), keeps the order in which they were added. About 30 bytes an entry. A directory without a head row is empty.
 *
 * Interface: directories and children are whole numbers from 1 to 2^32 - 1; 0 means "none". A row stays the entry's number until it is
 * removed, also when the table grows or the entry moves: a filesystem may keep columns of its own beside it.
 */
import { assert } from "../core/assert.ts";
import type { Name } from "../core/names.ts";

/** The number of an entry within its table; 0 is none. */
export type DentryRow = number;

const FIRST_ROWS = 16;
const FIRST_SLOTS = 32;

/** The words of a row. */
const WIDTH = 5;
const DIRECTORY = 0;
const NAME = 1;
/** Of a head row: how many entries the directory has. */
const CHILD = 2;
/** Next and previous in the directory's order; of a free row, the next free one. */
const NEXT = 3;
const PREVIOUS = 4;

function hashOf(directory: number, name: number): number {
  const hash = Math.imul(directory, 0x9e3779b1) ^ Math.imul(name, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

export class DentryTable {
  /** WIDTH words a row, so that a probe touches one place of memory. */
  #words = new Uint32Array(FIRST_ROWS * WIDTH);
  #capacity = FIRST_ROWS;
  #slots = new Uint32Array(FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  /** Rows ever used, row 0 included. */
  #end = 1;
  #free = 0;
  #used = 0;
  #heads = 0;

  /** How many entries there are, in all directories. */
  get size(): number {
    return this.#used - this.#heads;
  }

  /** How many rows columns beside this table must have. */
  get rows(): number {
    return this.#capacity;
  }

  /** The entry's row, or 0. */
  find(directory: number, name: Name): DentryRow {
    return this.#probe(directory, name);
  }

  /** The child, or 0 when there is no such entry. */
  lookup(directory: number, name: Name): number {
    const row = this.#probe(directory, name);
    return row === 0 ? 0 : (this.#words[row * WIDTH + CHILD] as number);
  }

  #probe(directory: number, name: number): DentryRow {
    const slots = this.#slots;
    const words = this.#words;
    const mask = this.#mask;
    let slot = hashOf(directory, name) & mask;
    for (let row = slots[slot] as number; row !== 0; row = slots[slot] as number) {
      const at = row * WIDTH;
      if (words[at + NAME] === name && words[at + DIRECTORY] === directory) return row;
      slot = (slot + 1) & mask;
    }
    return 0;
  }

  child(row: DentryRow): number {
    return this.#words[row * WIDTH + CHILD] as number;
  }
  name(row: DentryRow): Name {
    return this.#words[row * WIDTH + NAME] as Name;
  }
  directory(row: DentryRow): number {
    return this.#words[row * WIDTH + DIRECTORY] as number;
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    const head = this.#probe(directory, 0);
    return head === 0 ? 0 : (this.#words[head * WIDTH + CHILD] as number);
  }

  /** The directory's oldest entry, or 0. */
  first(directory: number): DentryRow {
    const head = this.#probe(directory, 0);
    if (head === 0) return 0;
    const row = this.#words[head * WIDTH + NEXT] as number;
    return row === head ? 0 : row;
  }

  /** The entry after this one in its directory's order, or 0. */
  next(row: DentryRow): DentryRow {
    const after = this.#words[row * WIDTH + NEXT] as number;
    return this.#words[after * WIDTH + NAME] === 0 ? 0 : after;
  }

  /** The directory's newest entry, or 0. */
  last(directory: number): DentryRow {
    const head = this.#probe(directory, 0);
    if (head === 0) return 0;
    const row = this.#words[head * WIDTH + PREVIOUS] as number;
    return row === head ? 0 : row;
  }

  /** The entry before this one in its directory's order, or 0. */
  previous(row: DentryRow): DentryRow {
    const before = this.#words[row * WIDTH + PREVIOUS] as number;
    return this.#words[before * WIDTH + NAME] === 0 ? 0 : before;
  }

  /** Adds an entry at the end of the directory's order. Precondition: there is none of this name. */
  insert(directory: number, name: Name, child: number): DentryRow {
    const row = this.#newRow(directory, name, child);
    this.#linkLast(row);
    return row;
  }

  /** Gives an entry another child; its place in the order stays. */
  replace(row: DentryRow, child: number): void {
    this.#words[row * WIDTH + CHILD] = child;
  }

  /** Ends an entry. */
  remove(row: DentryRow): void {
    const head = this.#unlink(row);
    this.#freeRow(row);
    if (this.#words[head * WIDTH + CHILD] === 0) {
      this.#freeRow(head);
      this.#heads -= 1;
    }
  }

  /** Puts an entry under another name, at the end of that directory's order. Precondition: there is none of this name. */
  move(row: DentryRow, directory: number, name: Name): void {
    const head = this.#unlink(row);
    this.#emptySlotOf(row);
    this.#words[row * WIDTH + DIRECTORY] = directory;
    this.#words[row * WIDTH + NAME] = name;
    this.#fillSlotOf(row);
    this.#linkLast(row);
    if (this.#words[head * WIDTH + CHILD] === 0) {
      this.#freeRow(head);
      this.#heads -= 1;
    }
  }

  /** Throws an InvariantError unless every row is found by its key and every list closes with the count that its head tells. */
  check(): void {
    let entries = 0;
    let heads = 0;
    for (const row of this.#slots) {
      if (row === 0) continue;
      const directory = this.#words[row * WIDTH + DIRECTORY] as number;
      assert(this.#probe(directory, this.#words[row * WIDTH + NAME] as number) === row, `dentry ${row} is not found by its key`);
      if (this.#words[row * WIDTH + NAME] !== 0) {
        assert(this.#words[row * WIDTH + CHILD] !== 0, `dentry ${row} has no child`);
        continue;
      }
      heads += 1;
      let count = 0;
      for (let at = this.#words[row * WIDTH + NEXT] as number; at !== row; at = this.#words[at * WIDTH + NEXT] as number) {
        assert(this.#words[at * WIDTH + DIRECTORY] === directory, `dentry ${at} is in the list of directory ${directory}`);
        assert(
          this.#words[(this.#words[at * WIDTH + NEXT] as number) * WIDTH + PREVIOUS] === at,
          `the list of directory ${directory} is broken at ${at}`,
        );
        count += 1;
      }
      assert(
        count > 0 && count === this.#words[row * WIDTH + CHILD],
        `directory ${directory} counts ${this.#words[row * WIDTH + CHILD]} of ${count} entries`,
      );
      entries += count;
    }
    assert(entries === this.size && heads === this.#heads, `${this.size} dentries are counted, ${entries} found`);
  }

  #linkLast(row: DentryRow): void {
    const directory = this.#words[row * WIDTH + DIRECTORY] as number;
    let head = this.#probe(directory, 0);
    if (head === 0) {
      head = this.#newRow(directory, 0, 0);
      this.#words[head * WIDTH + NEXT] = head;
      this.#words[head * WIDTH + PREVIOUS] = head;
      this.#heads += 1;
    }
    const last = this.#words[head * WIDTH + PREVIOUS] as number;
    this.#words[last * WIDTH + NEXT] = row;
    this.#words[row * WIDTH + PREVIOUS] = last;
    this.#words[row * WIDTH + NEXT] = head;
    this.#words[head * WIDTH + PREVIOUS] = row;
    this.#words[head * WIDTH + CHILD] = (this.#words[head * WIDTH + CHILD] as number) + 1;
  }

  /** Takes a row out of its directory's order. @returns the directory's head row. */
  #unlink(row: DentryRow): DentryRow {
    const next = this.#words[row * WIDTH + NEXT] as number;
    const previous = this.#words[row * WIDTH + PREVIOUS] as number;
    this.#words[previous * WIDTH + NEXT] = next;
    this.#words[next * WIDTH + PREVIOUS] = previous;
    const head = this.#probe(this.#words[row * WIDTH + DIRECTORY] as number, 0);
    this.#words[head * WIDTH + CHILD] = (this.#words[head * WIDTH + CHILD] as number) - 1;
    return head;
  }

  #newRow(directory: number, name: number, child: number): DentryRow {
    if ((this.#used + 1) * 4 > this.#slots.length * 3) this.#rehash();
    let row = this.#free;
    if (row !== 0) this.#free = this.#words[row * WIDTH + NEXT] as number;
    else {
      row = this.#end++;
      if (row === this.#capacity) this.#growRows();
    }
    this.#words[row * WIDTH + DIRECTORY] = directory;
    this.#words[row * WIDTH + NAME] = name;
    this.#words[row * WIDTH + CHILD] = child;
    this.#used += 1;
    this.#fillSlotOf(row);
    return row;
  }

  #freeRow(row: DentryRow): void {
    this.#emptySlotOf(row);
    this.#words[row * WIDTH + NEXT] = this.#free;
    this.#free = row;
    this.#used -= 1;
  }

  #growRows(): void {
    this.#capacity = Math.ceil(this.#capacity * 1.5);
    const words = new Uint32Array(this.#capacity * WIDTH);
    words.set(this.#words);
    this.#words = words;
  }

  #rehash(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.#mask = this.#slots.length - 1;
    for (const row of before) if (row !== 0) this.#fillSlotOf(row);
  }

  #fillSlotOf(row: DentryRow): void {
    let slot = hashOf(this.#words[row * WIDTH + DIRECTORY] as number, this.#words[row * WIDTH + NAME] as number) & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = row;
  }

  /** Empties the row's slot and moves later ones of the cluster up, so that no probe meets a gap before its entry. */
  #emptySlotOf(row: DentryRow): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = hashOf(this.#words[row * WIDTH + DIRECTORY] as number, this.#words[row * WIDTH + NAME] as number) & mask;
    while (slots[gap] !== row) gap = (gap + 1) & mask;
    for (let slot = (gap + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot] as number;
      const home = hashOf(this.#words[other * WIDTH + DIRECTORY] as number, this.#words[other * WIDTH + NAME] as number) & mask;
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      slots[gap] = other;
      gap = slot;
    }
    slots[gap] = 0;
  }
}
