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
function noRows(hasValues: boolean): Rows {
  const rows = new Rows(hasValues);
  rows.isShared = true;
  return rows;
}
const NO_ITEMS: Rows = noRows(true);
const NO_POINTERS: Rows = noRows(false);

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
  #rows: Rows;
  /** The version of the rows that is this node's. */
  #version = 0;
  #isSealed = false;

  constructor(place: { length: number; address: number; generation: number; level: number; owner: number }) {
    this.length = place.length;
    this.address = place.address;
    this.generation = place.generation;
    this.level = place.level;
    this.owner = place.owner;
    this.#rows = place.level === 0 ? NO_ITEMS : NO_POINTERS;
  }

  /** What the slots hold. */
  #now(): Rows {
    if (this.#rows.version !== this.#version) {
      this.#rows = this.#rows.asOf(this.#version);
      this.#version = 0;
    }
    return this.#rows;
  }

  /** Addresses of the nodes below, in order; none of a leaf. */
  get children(): readonly number[] {
    if (this.level === 0) return NOTHING;
    const rows = this.#now();
    return Array.from({ length: rows.count }, (_, slot) => rows.number(slot));
  }

  // One slot

  objectAt(slot: number): number {
    return this.#now().object(slot);
  }
  kindAt(slot: number): number {
    return this.#now().kind(slot);
  }
  offsetAt(slot: number): number {
    return this.#now().offset(slot);
  }
  key(slot: number): Key {
    const rows = this.#now();
    return { object: rows.object(slot), kind: rows.kind(slot), offset: rows.offset(slot) };
  }
  /** Of a leaf: bytes of an item. */
  sizeAt(slot: number): number {
    return this.#now().number(slot);
  }
  /** Of a leaf: the value of an item. */
  valueAt(slot: number): unknown {
    return this.#now().value(slot);
  }
  /** Of another node: the address of the node below. */
  childAt(slot: number): number {
    return this.#now().number(slot);
  }
  /** Of another node: the generation of the node below. */
  generationAt(slot: number): number {
    return this.#now().rest(slot);
  }

  /** Less than, equal to or greater than 0, as the key in a slot is before, at or behind the other. */
  compare(slot: number, key: Key): number {
    return this.#now().compare(slot, key);
  }

  /** The first slot whose key is not before `key`; `count` when all are. */
  lowerBound(key: Key): number {
    return this.#now().lowerBound(key);
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
    this.#rows = other.#now();
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
    const rows = this.#now();
    if (!rows.isShared && !rows.isFull) return rows;
    this.#rows = rows.fork();
    return this.#rows;
  }

  #changed(rows: Rows): void {
    this.#version = rows.version;
    this.count = rows.count;
  }

  // Changes

  setKey(slot: number, key: Key): void {
    const rows = this.#own();
    rows.setKey(slot, key);
    this.#changed(rows);
  }

  /** Puts another value and size in the place of an item's. */
  setItem(slot: number, size: number, value: unknown): void {
    const rows = this.#own();
    this.used += size - rows.number(slot);
    rows.setValue(slot, size, value);
    this.#changed(rows);
  }

  /** Puts another node in the place of the one below. */
  setChild(slot: number, child: { readonly address: number; readonly generation: number }): void {
    const rows = this.#own();
    rows.setRest(slot, child.address, child.generation);
    this.#changed(rows);
  }

  /** Puts an item into a slot of a leaf. */
  insertItem(slot: number, key: Key, item: { readonly size: number; readonly value: unknown }, itemBytes: number): void {
    const rows = this.#own();
    rows.insertValue(slot, key, item.size, item.value);
    this.#changed(rows);
    this.used += item.size + itemBytes;
  }

  insertChild(slot: number, key: Key, child: { readonly address: number; readonly generation: number }): void {
    const rows = this.#own();
    rows.insert(slot, key, child.address, child.generation);
    this.#changed(rows);
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
  for (let slot = from; slot < to; slot++) sum += leaf.sizeAt(slot) + itemBytes;
  return sum;
}
