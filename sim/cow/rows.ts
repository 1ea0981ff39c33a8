/**
 * The slots of a node as columns, for all versions of the node at once: the columns are as the newest version has them, and a log tells how to undo what was changed
 * since an earlier one (Baker's persistent arrays). So a transaction pays for what it changes in a node and not for a copy of the node, and whoever kept a block of
 * an older tree still finds there what it held.
 *
 * Interface: a version is a number of changes. Changes are logged from the first `keep` on: before it nobody knows an earlier version.
 */
import { assert } from "../core/assert.ts";
import type { Key } from "./key.ts";

/** A log of fewer numbers than these is no burden, however small the node. */
const LOG_MIN = 1024;
/** A log of so many times the numbers that the columns have takes more memory than it saves: a copy of the columns begins another one. */
const LOG_TIMES = 2;

/** How a change is undone: slots are taken out, one or several are put in again, or a slot gets the key or the rest that it had. */
const TAKE_OUT = 0;
const PUT_IN = 1;
const PUT_ALL_IN = 2;
const KEY = 3;
const REST = 4;
const WAY_BITS = 3;
const WAYS = 7;

/** Slots that were taken out together. */
interface Columns {
  readonly objects: readonly number[];
  readonly kinds: readonly number[];
  readonly offsets: readonly number[];
  readonly numbers: readonly number[];
  readonly things: readonly unknown[];
}
const COLUMNS = 5;

export class Rows {
  objects: number[] = [];
  kinds: number[] = [];
  offsets: number[] = [];
  /** Of a leaf: bytes of each item; of other nodes: addresses of the nodes below. */
  numbers: number[] = [];
  /** Of a leaf: values; of other nodes: generations of the nodes below. */
  things: unknown[] = [];
  /** How many changes there have been. */
  version = 0;
  /** Whether several nodes go on using these columns: who changes them copies first. */
  isShared = false;
  #logs = false;
  /** Of each change the numbers that the slot had, or how many slots have come, then the slot and how to undo it. */
  readonly #log: number[] = [];
  /** Of changes of the rest what the slots had; of removals the slots. */
  readonly #loggedThings: unknown[] = [];
  /** How many numbers both logs hold. */
  #logged = 0;

  #take(from: Rows): void {
    this.objects = from.objects;
    this.kinds = from.kinds;
    this.offsets = from.offsets;
    this.numbers = from.numbers;
    this.things = from.things;
  }

  #copy(from: Rows): void {
    this.objects = from.objects.slice();
    this.kinds = from.kinds.slice();
    this.offsets = from.offsets.slice();
    this.numbers = from.numbers.slice();
    this.things = from.things.slice();
  }

  // Versions

  /** The same columns once more, to be changed alone. These here, which change no more, keep arrays without room to grow. */
  fork(): Rows {
    const fork = new Rows();
    fork.#take(this);
    this.#copy(fork);
    return fork;
  }

  /** The version of now will be asked for later on. */
  keep(): void {
    this.#logs = true;
  }

  /** Whether it is cheaper to go on with a copy than to log more. */
  get isFull(): boolean {
    return this.#logged > LOG_MIN && this.#logged > LOG_TIMES * COLUMNS * this.objects.length;
  }

  /** The columns as an earlier version had them, to be changed by nobody else. */
  asOf(version: number): Rows {
    const rows = new Rows();
    rows.#copy(this);
    let at = this.#log.length;
    let thing = this.#loggedThings.length;
    const back = (): number => this.#log[--at] as number;
    const keyBack = (): Key => {
      const offset = back();
      const kind = back();
      return { object: back(), kind, offset };
    };
    for (let now = this.version; now > version; now--) {
      assert(at > 0, "every change since a version that was kept is logged");
      const change = back();
      const slot = change >> WAY_BITS;
      const way = change & WAYS;
      if (way === TAKE_OUT) rows.#cut(slot, back());
      else if (way === KEY) rows.#putKey(slot, keyBack());
      else if (way === REST) rows.#putRest(slot, back(), this.#loggedThings[--thing]);
      else if (way === PUT_ALL_IN) rows.#putAll(slot, this.#loggedThings[--thing] as Columns);
      else {
        const number = back();
        rows.#put(slot, keyBack(), number, this.#loggedThings[--thing]);
      }
    }
    return rows;
  }

  /** Notes that slots have come. */
  #noteComing(slot: number, count: number): void {
    this.version += 1;
    if (!this.#logs) return;
    this.#log.push(count, (slot << WAY_BITS) + TAKE_OUT);
    this.#logged += 2;
  }

  /** Notes that several slots have gone. */
  #noteGoing(slot: number, gone: Columns): void {
    this.version += 1;
    if (!this.#logs) return;
    this.#log.push((slot << WAY_BITS) + PUT_ALL_IN);
    this.#loggedThings.push(gone);
    this.#logged += COLUMNS * gone.objects.length;
  }

  /** Notes what a slot has: its key, its rest, or both. */
  #noteSlot(slot: number, way: typeof KEY | typeof REST | typeof PUT_IN): void {
    this.version += 1;
    if (!this.#logs) return;
    const log = this.#log;
    const before = log.length;
    if (way !== REST) log.push(this.objects[slot] as number, this.kinds[slot] as number, this.offsets[slot] as number);
    if (way !== KEY) {
      log.push(this.numbers[slot] as number);
      this.#loggedThings.push(this.things[slot]);
    }
    log.push((slot << WAY_BITS) + way);
    this.#logged += log.length - before + 1;
  }

  // Changes

  #putKey(slot: number, key: Key): void {
    this.objects[slot] = key.object;
    this.kinds[slot] = key.kind;
    this.offsets[slot] = key.offset;
  }

  #putRest(slot: number, number: number, thing: unknown): void {
    this.numbers[slot] = number;
    this.things[slot] = thing;
  }

  #put(slot: number, key: Key, number: number, thing: unknown): void {
    this.objects.splice(slot, 0, key.object);
    this.kinds.splice(slot, 0, key.kind);
    this.offsets.splice(slot, 0, key.offset);
    this.numbers.splice(slot, 0, number);
    this.things.splice(slot, 0, thing);
  }

  #putAll(slot: number, columns: Columns): void {
    this.objects.splice(slot, 0, ...columns.objects);
    this.kinds.splice(slot, 0, ...columns.kinds);
    this.offsets.splice(slot, 0, ...columns.offsets);
    this.numbers.splice(slot, 0, ...columns.numbers);
    this.things.splice(slot, 0, ...columns.things);
  }

  #cut(slot: number, count: number): Columns {
    return {
      objects: this.objects.splice(slot, count),
      kinds: this.kinds.splice(slot, count),
      offsets: this.offsets.splice(slot, count),
      numbers: this.numbers.splice(slot, count),
      things: this.things.splice(slot, count),
    };
  }

  setKey(slot: number, key: Key): void {
    this.#noteSlot(slot, KEY);
    this.#putKey(slot, key);
  }

  setRest(slot: number, number: number, thing: unknown): void {
    this.#noteSlot(slot, REST);
    this.#putRest(slot, number, thing);
  }

  insert(slot: number, key: Key, number: number, thing: unknown): void {
    this.#noteComing(slot, 1);
    this.#put(slot, key, number, thing);
  }

  remove(slot: number, count: number): void {
    if (count === 1) {
      this.#noteSlot(slot, PUT_IN);
      this.#cut(slot, 1);
    } else this.#noteGoing(slot, this.#cut(slot, count));
  }

  /** Takes slots out and puts them in at a slot of another node's rows: what one array gives up goes into the other as it is. */
  moveTo(target: Rows, places: { readonly at: number; readonly slot: number; readonly count: number }): void {
    const { at, slot, count } = places;
    const moved = this.#cut(slot, count);
    this.#noteGoing(slot, moved);
    target.#noteComing(at, count);
    target.#putAll(at, moved);
  }
}
