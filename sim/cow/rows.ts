/**
 * The slots of a node as rows of numbers, for all versions of the node at once: the rows are as the newest version has them, and a log tells how to undo what was changed
 * since an earlier one (Baker's persistent arrays). So a transaction pays for what it changes in a node and not for a copy of the node, and whoever kept a block of
 * an older tree still finds there what it held.
 *
 * Words: a *row* is five numbers: its key's object, kind and offset, a number, and the rest: of a leaf the place of the item's value among the values, of other nodes the
 * generation of the node below. Rows lie behind each other in one array, so that a search stays in few lines of memory.
 * It is a plain one, of numbers that are no objects: typed arrays lie outside the heap, whose collector is called the more often the more of them come, and goes through
 * a million files' nodes each time.
 *
 * Interface: a version is a number of changes. Changes are logged from the first `keep` on: before it nobody knows an earlier version. From then on a value stays where it is.
 */
import { assert } from "../core/assert.ts";
import type { Key } from "./key.ts";
import { UndoLog } from "./undo-log.ts";

const WIDTH = 5;
/** Where a row has what. */
const KIND = 1;
const OFFSET = 2;
const NUMBER = 3;
const REST = 4;

/** A log of fewer numbers than these is no burden, however small the node. */
const LOG_MIN = 1024;
/** A log of so many times the numbers that the rows have takes more memory than it saves: a copy of the rows begins another one. */
const LOG_TIMES = 2;

/** How a change is undone: rows are taken out, rows are put in again, or a row gets the key, or the number and the rest, that it had. */
const TAKE_OUT = 0;
const PUT_IN = 1;
const KEY_BACK = 2;
const REST_BACK = 3;
const WAYS = 4;

/** An empty array for numbers of any size: one that has had a fraction keeps all of them as doubles. */
function noNumbers(): number[] {
  const made = [0.5];
  made.length = 0;
  return made;
}

export class Rows {
  /** How many changes there have been. */
  version = 0;
  /** Whether several nodes go on using these rows: who changes them copies first. */
  isShared = false;
  #cells: number[] = noNumbers();
  /** Of a leaf: what the rows' rest tells the places of, in the order in which they came. */
  readonly #values: unknown[] = [];
  readonly #hasValues: boolean;
  #logs = false;
  /** Of each change the numbers that the row had, or how many have come, then the slot and how to undo it. */
  readonly #log: UndoLog = new UndoLog();

  /** @param hasValues - whether the rows are a leaf's, whose rest is a place among the values. */
  constructor(hasValues: boolean) {
    this.#hasValues = hasValues;
  }

  // What is there

  get count(): number {
    return this.#cells.length / WIDTH;
  }
  object(slot: number): number {
    return this.#cells[slot * WIDTH] as number;
  }
  kind(slot: number): number {
    return this.#cells[slot * WIDTH + KIND] as number;
  }
  offset(slot: number): number {
    return this.#cells[slot * WIDTH + OFFSET] as number;
  }
  number(slot: number): number {
    return this.#cells[slot * WIDTH + NUMBER] as number;
  }
  rest(slot: number): number {
    return this.#cells[slot * WIDTH + REST] as number;
  }
  value(slot: number): unknown {
    return this.#values[this.#cells[slot * WIDTH + REST] as number];
  }

  /** Less than, equal to or greater than 0, as the key in a slot is before, at or behind the other. */
  compare(slot: number, key: Key): number {
    const cells = this.#cells;
    const at = slot * WIDTH;
    return (
      (cells[at] as number) - key.object || (cells[at + KIND] as number) - key.kind || (cells[at + OFFSET] as number) - key.offset
    );
  }

  /** The first slot whose key is not before `key`; `count` when all are. */
  lowerBound(key: Key): number {
    const cells = this.#cells;
    const { object, kind, offset } = key;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = middle * WIDTH;
      const order =
        (cells[at] as number) - object || (cells[at + KIND] as number) - kind || (cells[at + OFFSET] as number) - offset;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Versions

  /** The same rows once more, to be changed alone, without values that no row has any more. */
  fork(): Rows {
    return this.asOf(this.version);
  }

  /** The version of now will be asked for later on. */
  keep(): void {
    this.#logs = true;
  }

  /** Whether it is cheaper to go on with a copy than to log more. */
  get isFull(): boolean {
    const logged = this.#log.length + this.#values.length - (this.#hasValues ? this.count : 0);
    return logged > LOG_MIN && logged > LOG_TIMES * WIDTH * this.count;
  }

  /** The rows as an earlier version had them, to be changed by nobody else. */
  asOf(version: number): Rows {
    const then = new Rows(this.#hasValues);
    then.#cells = this.#cells.slice();
    const log = version === this.version ? [] : this.#log.all();
    let end = log.length;
    for (let now = this.version; now > version; now--) {
      assert(end > 0, "every change since a version that was kept is logged");
      end = then.#undo(log, end - 1);
    }
    if (this.#hasValues)
      for (let slot = 0; slot < then.count; slot++) {
        const at = slot * WIDTH + REST;
        then.#cells[at] = then.#values.push(this.#values[then.#cells[at] as number]) - 1;
      }
    return then;
  }

  /** Undoes the change that `end` of a log tells of, behind its numbers. @returns where they begin. */
  #undo(log: readonly number[], end: number): number {
    const change = log[end] as number;
    const slot = Math.floor(change / WAYS);
    const way = change % WAYS;
    if (way === TAKE_OUT) {
      this.#take(slot, log[end - 1] as number);
      return end - 1;
    }
    if (way === PUT_IN) {
      const begin = end - 1 - (log[end - 1] as number) * WIDTH;
      this.#put(slot, log.slice(begin, end - 1));
      return begin;
    }
    const length = way === KEY_BACK ? NUMBER : WIDTH - NUMBER;
    const begin = end - length;
    const to = slot * WIDTH + (way === REST_BACK ? NUMBER : 0);
    for (let index = 0; index < length; index++) this.#cells[to + index] = log[begin + index] as number;
    return begin;
  }

  /** Notes that rows have come. */
  #noteComing(slot: number, count: number): void {
    this.version += 1;
    if (!this.#logs) return;
    this.#log.push(count);
    this.#log.push(slot * WAYS + TAKE_OUT);
  }

  /** Logs numbers as they are. */
  #logNumbers(from: number, count: number): void {
    const cells = this.#cells;
    for (let at = from; at < from + count; at++) this.#log.push(cells[at] as number);
  }

  // Changes

  // What comes and goes in the middle of the rows moves what is behind it, which splice does as one block of memory, and a loop does not.

  /** Puts in rows whose numbers are given. */
  #put(slot: number, numbers: readonly number[]): void {
    const at = slot * WIDTH;
    const cells = this.#cells;
    if (at === cells.length) for (const number of numbers) cells.push(number);
    else this.#cells = at === 0 ? numbers.concat(cells) : cells.slice(0, at).concat(numbers, cells.slice(at));
  }

  /** Takes rows out. @returns their numbers. */
  #take(slot: number, count: number): number[] {
    return this.#cells.splice(slot * WIDTH, count * WIDTH);
  }

  #putKey(at: number, key: Key): void {
    this.#cells[at] = key.object;
    this.#cells[at + KIND] = key.kind;
    this.#cells[at + OFFSET] = key.offset;
  }

  setKey(slot: number, key: Key): void {
    const at = slot * WIDTH;
    this.version += 1;
    if (this.#logs) {
      this.#logNumbers(at, NUMBER);
      this.#log.push(slot * WAYS + KEY_BACK);
    }
    this.#putKey(at, key);
  }

  /** Gives a row another number and rest. */
  setRest(slot: number, number: number, rest: number): void {
    const at = slot * WIDTH + NUMBER;
    this.version += 1;
    if (this.#logs) {
      this.#logNumbers(at, WIDTH - NUMBER);
      this.#log.push(slot * WAYS + REST_BACK);
    }
    this.#cells[at] = number;
    this.#cells[at + 1] = rest;
  }

  /** Gives a leaf's row another number and value. */
  setValue(slot: number, number: number, value: unknown): void {
    const place = this.rest(slot);
    if (this.#logs) this.setRest(slot, number, this.#values.push(value) - 1);
    else {
      this.setRest(slot, number, place);
      this.#values[place] = value;
    }
  }

  insert(slot: number, key: Key, number: number, rest: number): void {
    this.#noteComing(slot, 1);
    this.#cells.splice(slot * WIDTH, 0, key.object, key.kind, key.offset, number, rest);
  }

  insertValue(slot: number, key: Key, number: number, value: unknown): void {
    this.insert(slot, key, number, this.#values.push(value) - 1);
  }

  /** Takes rows out. @returns their numbers. */
  remove(slot: number, count: number): readonly number[] {
    const gone = this.#take(slot, count);
    this.version += 1;
    if (this.#logs) {
      this.#log.add(gone);
      this.#log.push(count);
      this.#log.push(slot * WAYS + PUT_IN);
    }
    return gone;
  }

  /** Takes rows out and puts them in at a slot of another node's. */
  moveTo(target: Rows, places: { readonly at: number; readonly slot: number; readonly count: number }): void {
    const { at, slot, count } = places;
    const moved = this.remove(slot, count);
    target.#noteComing(at, count);
    target.#put(at, moved);
    if (!this.#hasValues) return;
    for (let row = at; row < at + count; row++) {
      const place = row * WIDTH + REST;
      target.#cells[place] = target.#values.push(this.#values[target.#cells[place] as number]) - 1;
    }
  }
}
