/**
 * One node of a copy-on-write tree: a block of fixed size with items (level 0, a leaf) or pointers to nodes below, in the order of their keys.
 *
 * Words: a *key* is (object, kind, offset), ordered in that order. An *item* is a key, a size in bytes, and a value: an immutable object that stands for those bytes.
 *
 * Interface: a node is what its device keeps, as the record it is. Once its transaction has committed what it holds is never changed: trees change later versions of it.
 */
import { assert, InvariantError } from "../core/assert.ts";
import type { BlockRecord } from "../core/block-record.ts";
import type { Key } from "./key.ts";
import { Rows } from "./rows.ts";

/** How many bytes of a node what takes. */
export interface NodeFormat {
  /** The whole node. */
  readonly nodeBytes: number;
  /** What stands before its items or pointers. */
  readonly headerBytes: number;
  /** What an item takes beside its size. */
  readonly itemBytes: number;
  readonly pointerBytes: number;
}

const NOTHING: readonly never[] = [];
/** What a new node has, and no node changes. */
const NO_ROWS = new Rows();
NO_ROWS.isShared = true;

export class Node implements BlockRecord {
  readonly kind = "cow.node";
  readonly length: number;
  /** Where it lies on the device, in bytes. */
  readonly address: number;
  /** The transaction that made it. */
  readonly generation: number;
  readonly level: number;
  /** The tree that made it. */
  readonly owner: number;
  /** How many items or pointers there are. */
  count = 0;
  /** Bytes that all items of a leaf take, with what each takes beside. */
  used = 0;
  #rows: Rows = NO_ROWS;
  /** The version of the rows that is this node's. */
  #version = 0;
  #isSealed = false;

  constructor(place: { length: number; address: number; generation: number; level: number; owner: number }) {
    this.length = place.length;
    this.address = place.address;
    this.generation = place.generation;
    this.level = place.level;
    this.owner = place.owner;
  }

  /** What the slots hold. */
  get #now(): Rows {
    if (this.#rows.version !== this.#version) {
      this.#rows = this.#rows.asOf(this.#version);
      this.#version = 0;
    }
    return this.#rows;
  }

  get objects(): readonly number[] {
    return this.#now.objects;
  }
  get kinds(): readonly number[] {
    return this.#now.kinds;
  }
  get offsets(): readonly number[] {
    return this.#now.offsets;
  }
  /** Of a leaf: bytes of each item. */
  get sizes(): readonly number[] {
    return this.#now.numbers;
  }
  /** Of a leaf: the value of each item. */
  get values(): readonly unknown[] {
    return this.#now.things;
  }
  /** Addresses of the nodes below; none of a leaf. */
  get children(): readonly number[] {
    return this.level === 0 ? NOTHING : this.#now.numbers;
  }
  /** Of another node: generations of the nodes below. */
  get generations(): readonly number[] {
    return this.#now.things as number[];
  }

  key(slot: number): Key {
    const { objects, kinds, offsets } = this.#now;
    return { object: objects[slot] as number, kind: kinds[slot] as number, offset: offsets[slot] as number };
  }

  /** Less than, equal to or greater than 0, as the key in a slot is before, at or behind the other. */
  compare(slot: number, key: Key): number {
    const { objects, kinds, offsets } = this.#now;
    return (objects[slot] as number) - key.object || (kinds[slot] as number) - key.kind || (offsets[slot] as number) - key.offset;
  }

  /** The first slot whose key is not before `key`; `count` when all are. */
  lowerBound(key: Key): number {
    const { objects, kinds, offsets } = this.#now;
    const { object, kind, offset } = key;
    let low = 0;
    let high = objects.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order =
        (objects[middle] as number) - object || (kinds[middle] as number) - kind || (offsets[middle] as number) - offset;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The slot of the pointer below which a key lies: the last that is not behind it, else the first. */
  childSlot(key: Key): number {
    const at = this.lowerBound(key);
    if (at < this.count && this.compare(at, key) === 0) return at;
    return Math.max(0, at - 1);
  }

  // Versions

  /**
   * Takes over everything that the other node holds.
   * @param isUsed - whether the other goes on being used: both keep what they have as it is then, and copy it before a change.
   */
  fillFrom(other: Node, isUsed: boolean): void {
    this.#rows = other.#now;
    this.#version = other.#version;
    this.count = other.count;
    this.used = other.used;
    if (isUsed) this.#rows.isShared = true;
    else this.#rows.keep();
  }

  /** Whether it can change no more. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** It will not change any more. */
  seal(): void {
    this.#isSealed = true;
  }

  /** The rows, to be changed. The node's version goes on with `#changed`. */
  #own(): Rows {
    if (this.#isSealed) throw new InvariantError(`node ${this.address} changes no more`);
    const rows = this.#now;
    if (!rows.isShared && !rows.isFull) return rows;
    this.#rows = rows.fork();
    return this.#rows;
  }

  #changed(rows: Rows): void {
    this.#version = rows.version;
    this.count = rows.objects.length;
  }

  // Changes

  setKey(slot: number, key: Key): void {
    const rows = this.#own();
    rows.setKey(slot, key);
    this.#changed(rows);
  }

  #setRest(slot: number, number: number, thing: unknown): void {
    const rows = this.#own();
    rows.setRest(slot, number, thing);
    this.#changed(rows);
  }

  /** Puts another value and size in the place of an item's. */
  setItem(slot: number, size: number, value: unknown): void {
    this.used += size - (this.sizes[slot] as number);
    this.#setRest(slot, size, value);
  }

  /** Puts another node in the place of the one below. */
  setChild(slot: number, child: { readonly address: number; readonly generation: number }): void {
    this.#setRest(slot, child.address, child.generation);
  }

  #insert(slot: number, key: Key, number: number, thing: unknown): void {
    const rows = this.#own();
    rows.insert(slot, key, number, thing);
    this.#changed(rows);
  }

  /** Puts an item into a slot of a leaf. */
  insertItem(slot: number, key: Key, item: { readonly size: number; readonly value: unknown }, itemBytes: number): void {
    this.#insert(slot, key, item.size, item.value);
    this.used += item.size + itemBytes;
  }

  insertChild(slot: number, key: Key, child: { readonly address: number; readonly generation: number }): void {
    this.#insert(slot, key, child.address, child.generation);
  }

  /** Takes slots out. */
  remove(slot: number, count: number, itemBytes: number): void {
    if (this.level === 0) this.used -= bytesOf(this, slot, slot + count, itemBytes);
    const rows = this.#own();
    rows.remove(slot, count);
    this.#changed(rows);
  }

  /** Moves the slots [from, to) to another node of the level, in front of what it has or behind it. */
  moveTo(target: Node, range: { readonly from: number; readonly to: number; readonly front: boolean }, itemBytes: number): void {
    const { from, to, front } = range;
    assert(target.level === this.level, "items move between nodes of one level");
    if (this.level === 0) {
      const moved = bytesOf(this, from, to, itemBytes);
      target.used += moved;
      this.used -= moved;
    }
    const source = this.#own();
    const rows = target.#own();
    source.moveTo(rows, { at: front ? 0 : target.count, slot: from, count: to - from });
    this.#changed(source);
    target.#changed(rows);
  }
}

/** Bytes that the items of [from, to) take in a leaf. */
export function bytesOf(leaf: Node, from: number, to: number, itemBytes: number): number {
  let sum = 0;
  for (let slot = from; slot < to; slot++) sum += (leaf.sizes[slot] as number) + itemBytes;
  return sum;
}
