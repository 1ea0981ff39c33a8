/**
 * Directory entries of one filesystem: (directory, name) → child, in two typed arrays.
 *
 * A hash table with open addressing holds the entries themselves, so that a lookup touches one place of memory. Beside it an entry has a row:
 * where it is in the table, and its neighbours in a circular list through the directory's entries, begun by a head (name 0), which keeps
 * the order in which they were added. About 40 bytes an entry. A directory without a head is empty.
 *
 * Interface: directories and children are whole numbers from 1 to 2^32 - 1; 0 means "none". A row stays the entry's number until it is
 * removed, also when the table grows or the entry moves: a filesystem may keep columns of its own beside it.
 */
import { assert } from "../core/assert.ts";
import type { Name } from "../core/names.ts";

/** The number of an entry; 0 is none. */
export type DentryRow = number;

const FIRST_ROWS = 16;
const FIRST_SLOTS = 32;

/** The words of a slot of the table. */
const SLOT_WORDS = 4;
const SLOT_SHIFT = 2;
const DIRECTORY = 0;
const NAME = 1;
/** Of a head: how many entries the directory has. */
const CHILD = 2;
/** 0: the slot is empty. */
const ROW = 3;

/** The words of a row. */
const ROW_WORDS = 3;
/** Where the entry's words begin. */
const PLACE = 0;
/** Next and previous in the directory's order; of a free row, the next free one. */
const NEXT = 1;
const PREVIOUS = 2;

function hashOf(directory: number, name: number): number {
  const hash = Math.imul(directory, 0x9e3779b1) ^ Math.imul(name, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

export class DentryTable {
  #slots = new Uint32Array(FIRST_SLOTS * SLOT_WORDS);
  /** What a place in #slots is taken with, so that it stays within. */
  #mask = FIRST_SLOTS * SLOT_WORDS - 1;
  #rows = new Uint32Array(FIRST_ROWS * ROW_WORDS);
  #capacity = FIRST_ROWS;
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
    return this.#slots[this.#probe(directory, name) + ROW] as number;
  }

  /** The child, or 0 when there is no such entry. */
  lookup(directory: number, name: Name): number {
    // An empty slot's words are all 0.
    return this.#slots[this.#probe(directory, name) + CHILD] as number;
  }

  /** The place of an entry, or the empty one where it would be. */
  #probe(directory: number, name: number): number {
    const slots = this.#slots;
    const mask = this.#mask;
    let at = (hashOf(directory, name) << SLOT_SHIFT) & mask;
    while ((slots[at + NAME] !== name || slots[at + DIRECTORY] !== directory) && slots[at + ROW] !== 0) {
      at = (at + SLOT_WORDS) & mask;
    }
    return at;
  }

  #word(row: DentryRow, word: number): number {
    return this.#slots[(this.#rows[row * ROW_WORDS + PLACE] as number) + word] as number;
  }
  #setWord(row: DentryRow, word: number, value: number): void {
    this.#slots[(this.#rows[row * ROW_WORDS + PLACE] as number) + word] = value;
  }
  #link(row: DentryRow, way: number): DentryRow {
    return this.#rows[row * ROW_WORDS + way] as number;
  }

  child(row: DentryRow): number {
    return this.#word(row, CHILD);
  }
  name(row: DentryRow): Name {
    return this.#word(row, NAME) as Name;
  }
  directory(row: DentryRow): number {
    return this.#word(row, DIRECTORY);
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    return this.#slots[this.#probe(directory, 0) + CHILD] as number;
  }

  /** The directory's oldest entry, or 0. */
  first(directory: number): DentryRow {
    const head = this.#head(directory);
    return head === 0 ? 0 : this.#link(head, NEXT);
  }

  /** The entry after this one in its directory's order, or 0. */
  next(row: DentryRow): DentryRow {
    const after = this.#link(row, NEXT);
    return this.#word(after, NAME) === 0 ? 0 : after;
  }

  /** The directory's newest entry, or 0. */
  last(directory: number): DentryRow {
    const head = this.#head(directory);
    return head === 0 ? 0 : this.#link(head, PREVIOUS);
  }

  /** The entry before this one in its directory's order, or 0. */
  previous(row: DentryRow): DentryRow {
    const before = this.#link(row, PREVIOUS);
    return this.#word(before, NAME) === 0 ? 0 : before;
  }

  #head(directory: number): DentryRow {
    return this.#slots[this.#probe(directory, 0) + ROW] as number;
  }

  /** Adds an entry at the end of the directory's order. Precondition: there is none of this name. */
  insert(directory: number, name: Name, child: number): DentryRow {
    const row = this.#newRow(directory, name, child);
    this.#linkLast(row, directory);
    return row;
  }

  /** Gives an entry another child; its place in the order stays. */
  replace(row: DentryRow, child: number): void {
    this.#setWord(row, CHILD, child);
  }

  /** Ends an entry. */
  remove(row: DentryRow): void {
    this.#unlink(row);
    this.#freeRow(row);
  }

  /** Puts an entry under another name, at the end of that directory's order. Precondition: there is none of this name. */
  move(row: DentryRow, directory: number, name: Name): void {
    const child = this.child(row);
    this.#unlink(row);
    this.#emptySlot(this.#rows[row * ROW_WORDS + PLACE] as number);
    this.#fillSlot(row, directory, name, child);
    this.#linkLast(row, directory);
  }

  /** Throws an InvariantError unless every row is found by its key and every list closes with the count that its head tells. */
  check(): void {
    let entries = 0;
    let heads = 0;
    for (let at = 0; at < this.#slots.length; at += SLOT_WORDS) {
      const row = this.#slots[at + ROW] as number;
      if (row === 0) continue;
      const directory = this.directory(row);
      assert(this.#rows[row * ROW_WORDS + PLACE] === at, `dentry ${row} is noted at another place`);
      assert(this.#probe(directory, this.name(row)) === at, `dentry ${row} is not found by its key`);
      assert(this.child(row) !== 0, `dentry ${row} has no child`);
      if (this.name(row) !== 0) continue;
      heads += 1;
      let count = 0;
      for (let one = this.#link(row, NEXT); one !== row; one = this.#link(one, NEXT)) {
        assert(this.directory(one) === directory, `dentry ${one} is in the list of directory ${directory}`);
        assert(this.#link(this.#link(one, NEXT), PREVIOUS) === one, `the list of directory ${directory} is broken at ${one}`);
        count += 1;
      }
      assert(count === this.child(row), `directory ${directory} counts ${this.child(row)} of ${count} entries`);
      entries += count;
    }
    assert(entries === this.size && heads === this.#heads, `${this.size} dentries are counted, ${entries} found`);
  }

  #linkLast(row: DentryRow, directory: number): void {
    let at = this.#probe(directory, 0);
    let head = this.#slots[at + ROW] as number;
    if (head === 0) {
      head = this.#newRow(directory, 0, 0);
      at = this.#rows[head * ROW_WORDS + PLACE] as number;
      this.#rows[head * ROW_WORDS + NEXT] = head;
      this.#rows[head * ROW_WORDS + PREVIOUS] = head;
      this.#heads += 1;
    }
    const rows = this.#rows;
    const last = rows[head * ROW_WORDS + PREVIOUS] as number;
    rows[last * ROW_WORDS + NEXT] = row;
    rows[row * ROW_WORDS + PREVIOUS] = last;
    rows[row * ROW_WORDS + NEXT] = head;
    rows[head * ROW_WORDS + PREVIOUS] = row;
    this.#slots[at + CHILD] = (this.#slots[at + CHILD] as number) + 1;
  }

  /** Takes a row out of its directory's order; the head goes with the last. */
  #unlink(row: DentryRow): void {
    const rows = this.#rows;
    const next = rows[row * ROW_WORDS + NEXT] as number;
    const previous = rows[row * ROW_WORDS + PREVIOUS] as number;
    rows[previous * ROW_WORDS + NEXT] = next;
    rows[next * ROW_WORDS + PREVIOUS] = previous;
    const at = this.#probe(this.directory(row), 0);
    const count = (this.#slots[at + CHILD] as number) - 1;
    this.#slots[at + CHILD] = count;
    if (count > 0) return;
    this.#freeRow(this.#slots[at + ROW] as number);
    this.#heads -= 1;
  }

  #newRow(directory: number, name: number, child: number): DentryRow {
    if ((this.#used + 1) * (4 * SLOT_WORDS) > this.#slots.length * 3) this.#rehash();
    let row = this.#free;
    if (row !== 0) this.#free = this.#link(row, NEXT);
    else {
      row = this.#end++;
      if (row === this.#capacity) this.#growRows();
    }
    this.#used += 1;
    this.#fillSlot(row, directory, name, child);
    return row;
  }

  #freeRow(row: DentryRow): void {
    this.#emptySlot(this.#rows[row * ROW_WORDS + PLACE] as number);
    this.#rows[row * ROW_WORDS + NEXT] = this.#free;
    this.#free = row;
    this.#used -= 1;
  }

  #growRows(): void {
    this.#capacity = Math.ceil(this.#capacity * 1.5);
    const rows = new Uint32Array(this.#capacity * ROW_WORDS);
    rows.set(this.#rows);
    this.#rows = rows;
  }

  #rehash(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.#mask = this.#slots.length - 1;
    for (let at = 0; at < before.length; at += SLOT_WORDS) {
      const row = before[at + ROW] as number;
      if (row === 0) continue;
      this.#fillSlot(row, before[at + DIRECTORY] as number, before[at + NAME] as number, before[at + CHILD] as number);
    }
  }

  /** Puts an entry into the table. Precondition: there is none of this name. */
  #fillSlot(row: DentryRow, directory: number, name: number, child: number): void {
    const at = this.#probe(directory, name);
    const slots = this.#slots;
    slots[at + DIRECTORY] = directory;
    slots[at + NAME] = name;
    slots[at + CHILD] = child;
    slots[at + ROW] = row;
    this.#rows[row * ROW_WORDS + PLACE] = at;
  }

  /** Empties a slot and moves later ones of the cluster up, so that no probe meets a gap before its entry. */
  #emptySlot(place: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = place;
    for (let at = (gap + SLOT_WORDS) & mask; slots[at + ROW] !== 0; at = (at + SLOT_WORDS) & mask) {
      const home = (hashOf(slots[at + DIRECTORY] as number, slots[at + NAME] as number) << SLOT_SHIFT) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      for (let word = 0; word < SLOT_WORDS; word++) slots[gap + word] = slots[at + word] as number;
      this.#rows[(slots[at + ROW] as number) * ROW_WORDS + PLACE] = gap;
      gap = at;
    }
    for (let word = 0; word < SLOT_WORDS; word++) slots[gap + word] = 0;
  }
}
