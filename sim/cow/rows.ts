/**
 * The slots of a node as columns, for all versions of the node at once: the columns are as the newest version has them, and a log tells how to undo what was changed
 * since an earlier one (Baker's persistent arrays). So a transaction pays for what it changes in a node and not for a copy of the node, and whoever kept a block of
 * an older tree still finds there what it held.
 *
 * Interface: a version is a number of changes. Changes are logged from the first `keep` on: before it nobody knows an earlier version.
 */
import { assert } from "../core/assert.ts";
import type { Key } from "./key.ts";

/** A log of more numbers than these would take as much memory as the copy that it saves. */
const LOG_MAX = 1024;
/** More slots than these are not moved one by one. */
const SLOTS_MAX = 64;

/** How a change is undone: the slot is taken out, put in again, or gets the key or the rest that it had. */
const TAKE_OUT = 0;
const PUT_IN = 1;
const KEY = 2;
const REST = 3;
const WAY_BITS = 2;
const WAYS = 3;

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
  /** Of each change the numbers that the slot had, then its slot and how to undo it. */
  readonly #log: number[] = [];
  readonly #loggedThings: unknown[] = [];

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

  /** Whether it is cheaper to change a copy than to log a change of so many slots. */
  isFull(slots: number): boolean {
    return this.#logs && (slots > SLOTS_MAX || this.#log.length > LOG_MAX);
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
      if (way === TAKE_OUT) rows.#cut(slot, 1);
      else if (way === KEY) rows.#putKey(slot, keyBack());
      else if (way === REST) rows.#putRest(slot, back(), this.#loggedThings[--thing]);
      else {
        const number = back();
        rows.#put(slot, keyBack(), number, this.#loggedThings[--thing]);
      }
    }
    return rows;
  }

  #note(slot: number, way: number): void {
    this.version += 1;
    if (!this.#logs) return;
    const log = this.#log;
    if (way === KEY || way === PUT_IN)
      log.push(this.objects[slot] as number, this.kinds[slot] as number, this.offsets[slot] as number);
    if (way === REST || way === PUT_IN) {
      log.push(this.numbers[slot] as number);
      this.#loggedThings.push(this.things[slot]);
    }
    log.push((slot << WAY_BITS) + way);
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

  #cut(slot: number, count: number): void {
    this.objects.splice(slot, count);
    this.kinds.splice(slot, count);
    this.offsets.splice(slot, count);
    this.numbers.splice(slot, count);
    this.things.splice(slot, count);
  }

  setKey(slot: number, key: Key): void {
    this.#note(slot, KEY);
    this.#putKey(slot, key);
  }

  setRest(slot: number, number: number, thing: unknown): void {
    this.#note(slot, REST);
    this.#putRest(slot, number, thing);
  }

  insert(slot: number, key: Key, number: number, thing: unknown): void {
    this.#note(slot, TAKE_OUT);
    this.#put(slot, key, number, thing);
  }

  remove(slot: number, count: number): void {
    this.#noteRemoval(slot, count);
    this.#cut(slot, count);
  }

  /** Undone in the other direction: the first comes back first. */
  #noteRemoval(slot: number, count: number): void {
    for (let index = count - 1; index >= 0; index--) this.#note(slot + index, PUT_IN);
  }

  /** Takes slots out and puts them in at a slot of another node's rows: what one array gives up goes into the other as it is. */
  moveTo(target: Rows, places: { readonly at: number; readonly slot: number; readonly count: number }): void {
    const { at, slot, count } = places;
    this.#noteRemoval(slot, count);
    for (let index = 0; index < count; index++) target.#note(at, TAKE_OUT);
    target.objects.splice(at, 0, ...this.objects.splice(slot, count));
    target.kinds.splice(at, 0, ...this.kinds.splice(slot, count));
    target.offsets.splice(at, 0, ...this.offsets.splice(slot, count));
    target.numbers.splice(at, 0, ...this.numbers.splice(slot, count));
    target.things.splice(at, 0, ...this.things.splice(slot, count));
  }
}
