/**
 * Directory entries of one filesystem: (directory, name) → child, in typed arrays.
 *
 * Each directory has a small hash table of its own, with open addressing, that holds the entries themselves. So a lookup touches one place of memory,
 * and calls that go through a directory find its entries near each other, in what the processor holds already. The tables are blocks of one array
 * (slot-blocks.ts). Beside its slot an entry has a row: whose it is, where its slot is, and its neighbours in a list that keeps the order in which a
 * directory's entries were added. About 40 bytes an entry, and 30 a directory that has any.
 *
 * Interface: directories and children are whole numbers from 1 to 2^32 - 1; 0 means "none". A row stays the entry's number until it is
 * removed, also when its table grows or the entry moves: a filesystem may keep columns of its own beside it.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { roomFor } from "../core/growth.ts";
import type { Name } from "../core/names.ts";
import { COUNT, DentryHeads, DIRECTORY, FIRST, type Head, LAST, SLOTS, START } from "./dentry-heads.ts";
import { FIRST_SLOTS, homeOf, SlotBlocks, stepsFrom, widerThan } from "./slot-blocks.ts";

/** The number of an entry; 0 is none. */
export type DentryRow = number;

/** The words of a slot. A name is never 0: where it is, the slot is empty and its other words are 0, too. */
const SLOT_WORDS = 3;
const NAME = 0;
const CHILD = 1;
const ROW = 2;

/** The words of a row. */
const ROW_WORDS = 4;
const HEAD = 0;
/** Where the entry's slot begins. */
const PLACE = 1;
/** Next and previous in the directory's order, or 0; of a free row, the next free one. */
const NEXT = 2;
const PREVIOUS = 3;

const FIRST_ROWS = 16;

export class DentryTable {
  readonly #slots = new SlotBlocks(SLOT_WORDS);
  #rows = new Uint32Array(FIRST_ROWS * ROW_WORDS);
  #capacity = FIRST_ROWS;
  /** Rows ever used, row 0 included. */
  #end = 1;
  #freeRow = 0;
  #size = 0;
  readonly #heads = new DentryHeads();

  /** How many entries there are, in all directories. */
  get size(): number {
    return this.#size;
  }

  /** How many rows columns beside this table must have. */
  get rows(): number {
    return this.#capacity;
  }

  /** The entry's row, or 0. */
  find(directory: number, name: Name): DentryRow {
    return this.#slots.words[this.#probe(this.#heads.of(directory), name) + ROW] as number;
  }

  /** The child, or 0 when there is no such entry. */
  lookup(directory: number, name: Name): number {
    return this.#slots.words[this.#probe(this.#heads.of(directory), name) + CHILD] as number;
  }

  /** The place of an entry, or the empty one where it would be. */
  #probe(head: Head, name: number): number {
    const { words } = this.#heads;
    return this.#slots.probe(words[head + START] as number, words[head + SLOTS] as number, name);
  }

  child(row: DentryRow): number {
    return this.#slots.words[this.#placeOf(row) + CHILD] as number;
  }
  name(row: DentryRow): Name {
    return this.#slots.words[this.#placeOf(row) + NAME] as Name;
  }
  directory(row: DentryRow): number {
    return this.#heads.words[(this.#rows[row * ROW_WORDS + HEAD] as number) + DIRECTORY] as number;
  }
  #placeOf(row: DentryRow): number {
    return this.#rows[row * ROW_WORDS + PLACE] as number;
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    return this.#heads.words[this.#heads.of(directory) + COUNT] as number;
  }

  /** The directory's oldest entry, or 0. */
  first(directory: number): DentryRow {
    return this.#heads.words[this.#heads.of(directory) + FIRST] as number;
  }

  /** The entry after this one in its directory's order, or 0. */
  next(row: DentryRow): DentryRow {
    return this.#rows[row * ROW_WORDS + NEXT] as number;
  }

  /** The directory's newest entry, or 0. */
  last(directory: number): DentryRow {
    return this.#heads.words[this.#heads.of(directory) + LAST] as number;
  }

  /** The entry before this one in its directory's order, or 0. */
  previous(row: DentryRow): DentryRow {
    return this.#rows[row * ROW_WORDS + PREVIOUS] as number;
  }

  /** Adds an entry at the end of the directory's order. Precondition: there is none of this name. */
  insert(directory: number, name: Name, child: number): DentryRow {
    let row = this.#freeRow;
    if (row !== 0) this.#freeRow = this.#rows[row * ROW_WORDS + NEXT] as number;
    else {
      row = this.#end++;
      if (row === this.#capacity) this.#growRows();
    }
    this.#size += 1;
    this.#enter(row, directory, name, child);
    return row;
  }

  /** Gives an entry another child; its place in the order stays. */
  replace(row: DentryRow, child: number): void {
    this.#slots.words[this.#placeOf(row) + CHILD] = child;
  }

  /** Ends an entry. */
  remove(row: DentryRow): void {
    this.#leave(row);
    this.#rows[row * ROW_WORDS + NEXT] = this.#freeRow;
    this.#freeRow = row;
    this.#size -= 1;
  }

  /** Puts an entry under another name, at the end of that directory's order. Precondition: there is none of this name. */
  move(row: DentryRow, directory: number, name: Name): void {
    const child = this.child(row);
    this.#leave(row);
    this.#enter(row, directory, name, child);
  }

  /** Gives a row that is nowhere a slot, and the last place in its directory's order. */
  #enter(row: DentryRow, directory: number, name: number, child: number): void {
    const head = this.#heads.of(directory) || this.#begin(directory);
    const heads = this.#heads.words;
    const count = (heads[head + COUNT] as number) + 1;
    if (count * 4 > (heads[head + SLOTS] as number) * 3) this.#widen(head);
    heads[head + COUNT] = count;
    const place = this.#probe(head, name);
    const slots = this.#slots.words;
    slots[place + NAME] = name;
    slots[place + CHILD] = child;
    slots[place + ROW] = row;
    const rows = this.#rows;
    const at = row * ROW_WORDS;
    const last = heads[head + LAST] as number;
    rows[at + HEAD] = head;
    rows[at + PLACE] = place;
    rows[at + NEXT] = 0;
    rows[at + PREVIOUS] = last;
    heads[head + LAST] = row;
    if (last === 0) heads[head + FIRST] = row;
    else rows[last * ROW_WORDS + NEXT] = row;
  }

  /** Takes a row out of its directory, whose head goes with the last entry. */
  #leave(row: DentryRow): void {
    const rows = this.#rows;
    const heads = this.#heads.words;
    const at = row * ROW_WORDS;
    const head = rows[at + HEAD] as number;
    const next = rows[at + NEXT] as number;
    const previous = rows[at + PREVIOUS] as number;
    if (previous === 0) heads[head + FIRST] = next;
    else rows[previous * ROW_WORDS + NEXT] = next;
    if (next === 0) heads[head + LAST] = previous;
    else rows[next * ROW_WORDS + PREVIOUS] = previous;
    this.#emptySlot(head, rows[at + PLACE] as number);
    const count = (heads[head + COUNT] as number) - 1;
    heads[head + COUNT] = count;
    if (count > 0) return;
    this.#slots.give(heads[head + START] as number, heads[head + SLOTS] as number);
    this.#heads.end(head);
  }

  /** A directory gets its first block. */
  #begin(directory: number): Head {
    const head = this.#heads.add(directory);
    this.#heads.words[head + START] = this.#slots.take(FIRST_SLOTS);
    this.#heads.words[head + SLOTS] = FIRST_SLOTS;
    return head;
  }

  /** Empties a slot and moves later ones of the cluster up, so that no probe meets a gap before its entry. */
  #emptySlot(head: Head, place: number): void {
    const slots = this.#slots.words;
    const start = this.#heads.words[head + START] as number;
    const count = this.#heads.words[head + SLOTS] as number;
    let gap = (place - start) / SLOT_WORDS;
    let gapPlace = place;
    for (let slot = gap + 1; ; slot++) {
      if (slot === count) slot = 0;
      const at = start + slot * SLOT_WORDS;
      const name = slots[at + NAME] as number;
      if (name === 0) break;
      if (stepsFrom(homeOf(name, count), slot, count) < stepsFrom(gap, slot, count)) continue;
      const row = slots[at + ROW] as number;
      slots[gapPlace + NAME] = name;
      slots[gapPlace + CHILD] = slots[at + CHILD] as number;
      slots[gapPlace + ROW] = row;
      this.#rows[row * ROW_WORDS + PLACE] = gapPlace;
      gap = slot;
      gapPlace = at;
    }
    slots[gapPlace + NAME] = 0;
    slots[gapPlace + CHILD] = 0;
    slots[gapPlace + ROW] = 0;
  }

  /** Gives a directory a larger block. */
  #widen(head: Head): void {
    const start = this.#heads.words[head + START] as number;
    const count = this.#heads.words[head + SLOTS] as number;
    this.#heads.words[head + START] = this.#slots.take(widerThan(count));
    this.#heads.words[head + SLOTS] = widerThan(count);
    const slots = this.#slots.words;
    for (let from = start, end = start + count * SLOT_WORDS; from < end; from += SLOT_WORDS) {
      const name = slots[from + NAME] as number;
      if (name === 0) continue;
      const row = slots[from + ROW] as number;
      const to = this.#probe(head, name);
      slots[to + NAME] = name;
      slots[to + CHILD] = slots[from + CHILD] as number;
      slots[to + ROW] = row;
      this.#rows[row * ROW_WORDS + PLACE] = to;
    }
    this.#slots.give(start, count);
  }

  #growRows(): void {
    this.#capacity = roomFor(this.#capacity);
    const rows = new Uint32Array(this.#capacity * ROW_WORDS);
    rows.set(this.#rows);
    this.#rows = rows;
  }

  /** Throws an InvariantError unless every row is found by its key, every list has all entries of its directory, and the counts are right. */
  check(): void {
    let entries = 0;
    this.#heads.visit((head) => {
      entries += this.#checkDirectory(head);
    });
    assert(entries === this.#size, `${this.#size} dentries are counted, ${entries} found`);
    this.#heads.check();
    assert(this.#slots.isNothingEmpty, "the table that nothing is in has an entry");
  }

  /** @returns how many entries the directory has. */
  #checkDirectory(head: Head): number {
    const heads = this.#heads.words;
    const directory = heads[head + DIRECTORY] as number;
    const start = heads[head + START] as number;
    const end = start + (heads[head + SLOTS] as number) * SLOT_WORDS;
    let filled = 0;
    for (let place = start; place < end; place += SLOT_WORDS) {
      const row = this.#slots.words[place + ROW] as number;
      const name = this.#slots.words[place + NAME] as number;
      if ((row === 0) !== (name === 0)) throw new InvariantError(`a slot of directory ${directory} is half empty`);
      if (row === 0) continue;
      filled += 1;
      if (this.#placeOf(row) !== place) throw new InvariantError(`dentry ${row} is noted at another place`);
      if (this.directory(row) !== directory) throw new InvariantError(`dentry ${row} is in the table of directory ${directory}`);
      if (this.#probe(head, name) !== place) throw new InvariantError(`dentry ${row} is not found by its key`);
      if (this.child(row) === 0) throw new InvariantError(`dentry ${row} has no child`);
    }
    let listed = 0;
    let before = 0;
    for (let row = this.first(directory); row !== 0; row = this.next(row)) {
      if (this.directory(row) !== directory) throw new InvariantError(`dentry ${row} is in the list of directory ${directory}`);
      if (this.previous(row) !== before) throw new InvariantError(`the list of directory ${directory} is broken at ${row}`);
      before = row;
      listed += 1;
    }
    assert(this.last(directory) === before, `directory ${directory} ends with another dentry`);
    const count = heads[head + COUNT] as number;
    assert(count === filled && count === listed, `directory ${directory} counts ${count} of ${filled} entries, ${listed} listed`);
    return count;
  }
}
