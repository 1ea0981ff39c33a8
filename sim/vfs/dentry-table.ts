/**
 * Directory entries of one filesystem: (directory, name) → child, in typed columns.
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

/** A grown copy of a column. */
function grown(column: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(length);
  larger.set(column);
  return larger;
}

function hashOf(directory: number, name: number): number {
  const hash = Math.imul(directory, 0x9e3779b1) ^ Math.imul(name, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}

export class DentryTable {
  #directories = new Uint32Array(FIRST_ROWS);
  #names = new Uint32Array(FIRST_ROWS);
  /** Of a head row: how many entries the directory has. */
  #children = new Uint32Array(FIRST_ROWS);
  /** Next and previous in the directory's order; of a free row, the next free one. */
  #next = new Uint32Array(FIRST_ROWS);
  #previous = new Uint32Array(FIRST_ROWS);
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
    return this.#names.length;
  }

  /** The entry's row, or 0. */
  find(directory: number, name: Name): DentryRow {
    return this.#probe(directory, name);
  }

  /** The child, or 0 when there is no such entry. */
  lookup(directory: number, name: Name): number {
    const row = this.#probe(directory, name);
    return row === 0 ? 0 : (this.#children[row] as number);
  }

  #probe(directory: number, name: number): DentryRow {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = hashOf(directory, name) & mask;
    for (let row = slots[slot] as number; row !== 0; row = slots[slot] as number) {
      if (this.#names[row] === name && this.#directories[row] === directory) return row;
      slot = (slot + 1) & mask;
    }
    return 0;
  }

  child(row: DentryRow): number {
    return this.#children[row] as number;
  }
  name(row: DentryRow): Name {
    return this.#names[row] as Name;
  }
  directory(row: DentryRow): number {
    return this.#directories[row] as number;
  }

  /** How many entries a directory has. */
  count(directory: number): number {
    const head = this.#probe(directory, 0);
    return head === 0 ? 0 : (this.#children[head] as number);
  }

  /** The directory's oldest entry, or 0. */
  first(directory: number): DentryRow {
    const head = this.#probe(directory, 0);
    if (head === 0) return 0;
    const row = this.#next[head] as number;
    return row === head ? 0 : row;
  }

  /** The entry after this one in its directory's order, or 0. */
  next(row: DentryRow): DentryRow {
    const after = this.#next[row] as number;
    return this.#names[after] === 0 ? 0 : after;
  }

  /** The directory's newest entry, or 0. */
  last(directory: number): DentryRow {
    const head = this.#probe(directory, 0);
    if (head === 0) return 0;
    const row = this.#previous[head] as number;
    return row === head ? 0 : row;
  }

  /** The entry before this one in its directory's order, or 0. */
  previous(row: DentryRow): DentryRow {
    const before = this.#previous[row] as number;
    return this.#names[before] === 0 ? 0 : before;
  }

  /** Adds an entry at the end of the directory's order. Precondition: there is none of this name. */
  insert(directory: number, name: Name, child: number): DentryRow {
    const row = this.#newRow(directory, name, child);
    this.#linkLast(row);
    return row;
  }

  /** Gives an entry another child; its place in the order stays. */
  replace(row: DentryRow, child: number): void {
    this.#children[row] = child;
  }

  /** Ends an entry. */
  remove(row: DentryRow): void {
    const head = this.#unlink(row);
    this.#freeRow(row);
    if (this.#children[head] === 0) {
      this.#freeRow(head);
      this.#heads -= 1;
    }
  }

  /** Puts an entry under another name, at the end of that directory's order. Precondition: there is none of this name. */
  move(row: DentryRow, directory: number, name: Name): void {
    const head = this.#unlink(row);
    this.#emptySlotOf(row);
    this.#directories[row] = directory;
    this.#names[row] = name;
    this.#fillSlotOf(row);
    this.#linkLast(row);
    if (this.#children[head] === 0) {
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
      const directory = this.#directories[row] as number;
      assert(this.#probe(directory, this.#names[row] as number) === row, `dentry ${row} is not found by its key`);
      if (this.#names[row] !== 0) {
        assert(this.#children[row] !== 0, `dentry ${row} has no child`);
        continue;
      }
      heads += 1;
      let count = 0;
      for (let at = this.#next[row] as number; at !== row; at = this.#next[at] as number) {
        assert(this.#directories[at] === directory, `dentry ${at} is in the list of directory ${directory}`);
        assert(this.#previous[this.#next[at] as number] === at, `the list of directory ${directory} is broken at ${at}`);
        count += 1;
      }
      assert(
        count > 0 && count === this.#children[row],
        `directory ${directory} counts ${this.#children[row]} of ${count} entries`,
      );
      entries += count;
    }
    assert(entries === this.size && heads === this.#heads, `${this.size} dentries are counted, ${entries} found`);
  }

  #linkLast(row: DentryRow): void {
    const directory = this.#directories[row] as number;
    let head = this.#probe(directory, 0);
    if (head === 0) {
      head = this.#newRow(directory, 0, 0);
      this.#next[head] = head;
      this.#previous[head] = head;
      this.#heads += 1;
    }
    const last = this.#previous[head] as number;
    this.#next[last] = row;
    this.#previous[row] = last;
    this.#next[row] = head;
    this.#previous[head] = row;
    this.#children[head] = (this.#children[head] as number) + 1;
  }

  /** Takes a row out of its directory's order. @returns the directory's head row. */
  #unlink(row: DentryRow): DentryRow {
    const next = this.#next[row] as number;
    const previous = this.#previous[row] as number;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    const head = this.#probe(this.#directories[row] as number, 0);
    this.#children[head] = (this.#children[head] as number) - 1;
    return head;
  }

  #newRow(directory: number, name: number, child: number): DentryRow {
    if ((this.#used + 1) * 4 > this.#slots.length * 3) this.#rehash();
    let row = this.#free;
    if (row !== 0) this.#free = this.#next[row] as number;
    else {
      row = this.#end++;
      if (row === this.#names.length) this.#growRows();
    }
    this.#directories[row] = directory;
    this.#names[row] = name;
    this.#children[row] = child;
    this.#used += 1;
    this.#fillSlotOf(row);
    return row;
  }

  #freeRow(row: DentryRow): void {
    this.#emptySlotOf(row);
    this.#next[row] = this.#free;
    this.#free = row;
    this.#used -= 1;
  }

  #growRows(): void {
    const length = Math.ceil(this.#names.length * 1.5);
    this.#directories = grown(this.#directories, length);
    this.#names = grown(this.#names, length);
    this.#children = grown(this.#children, length);
    this.#next = grown(this.#next, length);
    this.#previous = grown(this.#previous, length);
  }

  #rehash(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    this.#mask = this.#slots.length - 1;
    for (const row of before) if (row !== 0) this.#fillSlotOf(row);
  }

  #fillSlotOf(row: DentryRow): void {
    let slot = hashOf(this.#directories[row] as number, this.#names[row] as number) & this.#mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = row;
  }

  /** Empties the row's slot and moves later ones of the cluster up, so that no probe meets a gap before its entry. */
  #emptySlotOf(row: DentryRow): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = hashOf(this.#directories[row] as number, this.#names[row] as number) & mask;
    while (slots[gap] !== row) gap = (gap + 1) & mask;
    for (let slot = (gap + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot] as number;
      const home = hashOf(this.#directories[other] as number, this.#names[other] as number) & mask;
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      slots[gap] = other;
      gap = slot;
    }
    slots[gap] = 0;
  }
}
