/**
 * One node of a copy-on-write tree: a block of fixed size with items (level 0, a leaf) or pointers to nodes below, in the order of their keys.
 *
 * Words: a *key* is (object, kind, offset), ordered in that order. An *item* is a key, a size in bytes, and a value: an immutable object that stands for those bytes.
 *
 * Interface: a node is what its device keeps, as the record it is. Once its transaction has committed it is never changed: trees change copies of it.
 */
import { assert } from "../core/assert.ts";
import type { BlockRecord } from "../core/block-record.ts";

export interface Key {
  readonly object: number;
  readonly kind: number;
  readonly offset: number;
}

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

/** Less than, equal to or greater than 0, as keys are ordered. */
export function compareKeys(one: Key, other: Key): number {
  return one.object - other.object || one.kind - other.kind || one.offset - other.offset;
}

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
  objects: number[] = [];
  kinds: number[] = [];
  offsets: number[] = [];
  /** Of a leaf: bytes of each item, its values, and how many bytes all items take with what each takes beside. */
  sizes: number[] = [];
  values: unknown[] = [];
  used = 0;
  /** Of other nodes: the addresses and generations of the nodes below. */
  children: number[] = [];
  generations: number[] = [];
  /** Whether the arrays of keys, and the others, may be another node's too. */
  #sharesKeys = false;
  #sharesRest = false;

  constructor(place: { length: number; address: number; generation: number; level: number; owner: number }) {
    this.length = place.length;
    this.address = place.address;
    this.generation = place.generation;
    this.level = place.level;
    this.owner = place.owner;
  }

  get count(): number {
    return this.objects.length;
  }

  /** Takes over everything that the other node holds. Both go on with the same arrays, and copy them before they change what is in them. */
  fillFrom(other: Node): void {
    this.objects = other.objects;
    this.kinds = other.kinds;
    this.offsets = other.offsets;
    this.sizes = other.sizes;
    this.values = other.values;
    this.children = other.children;
    this.generations = other.generations;
    this.used = other.used;
    this.#sharesKeys = true;
    this.#sharesRest = true;
    other.#sharesKeys = true;
    other.#sharesRest = true;
  }

  /** To be called before keys change. */
  #ownKeys(): void {
    if (!this.#sharesKeys) return;
    this.objects = this.objects.slice();
    this.kinds = this.kinds.slice();
    this.offsets = this.offsets.slice();
    this.#sharesKeys = false;
  }

  /** To be called before items or pointers change. */
  #ownRest(): void {
    if (!this.#sharesRest) return;
    if (this.level === 0) {
      this.sizes = this.sizes.slice();
      this.values = this.values.slice();
    } else {
      this.children = this.children.slice();
      this.generations = this.generations.slice();
    }
    this.#sharesRest = false;
  }

  key(slot: number): Key {
    return {
      object: this.objects[slot] as number,
      kind: this.kinds[slot] as number,
      offset: this.offsets[slot] as number,
    };
  }

  /** Less than, equal to or greater than 0, as the key in a slot is before, at or behind the other. */
  compare(slot: number, key: Key): number {
    return (
      (this.objects[slot] as number) - key.object ||
      (this.kinds[slot] as number) - key.kind ||
      (this.offsets[slot] as number) - key.offset
    );
  }

  /** The first slot whose key is not before `key`; `count` when all are. */
  lowerBound(key: Key): number {
    let low = 0;
    let high = this.objects.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, key) < 0) low = middle + 1;
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

  setKey(slot: number, key: Key): void {
    this.#ownKeys();
    this.objects[slot] = key.object;
    this.kinds[slot] = key.kind;
    this.offsets[slot] = key.offset;
  }

  /** Puts another value and size in the place of an item's. */
  setItem(slot: number, size: number, value: unknown): void {
    this.#ownRest();
    this.used += size - (this.sizes[slot] as number);
    this.sizes[slot] = size;
    this.values[slot] = value;
  }

  /** Puts another node in the place of the one below. */
  setChild(slot: number, child: { readonly address: number; readonly generation: number }): void {
    this.#ownRest();
    this.children[slot] = child.address;
    this.generations[slot] = child.generation;
  }

  #insertKey(slot: number, key: Key): void {
    this.#ownKeys();
    this.#ownRest();
    this.objects.splice(slot, 0, key.object);
    this.kinds.splice(slot, 0, key.kind);
    this.offsets.splice(slot, 0, key.offset);
  }

  /** Puts an item into a slot of a leaf. */
  insertItem(slot: number, key: Key, item: { readonly size: number; readonly value: unknown }, itemBytes: number): void {
    this.#insertKey(slot, key);
    this.sizes.splice(slot, 0, item.size);
    this.values.splice(slot, 0, item.value);
    this.used += item.size + itemBytes;
  }

  insertChild(slot: number, key: Key, child: { readonly address: number; readonly generation: number }): void {
    this.#insertKey(slot, key);
    this.children.splice(slot, 0, child.address);
    this.generations.splice(slot, 0, child.generation);
  }

  /** Takes slots out. */
  remove(slot: number, count: number, itemBytes: number): void {
    this.#ownKeys();
    this.#ownRest();
    this.objects.splice(slot, count);
    this.kinds.splice(slot, count);
    this.offsets.splice(slot, count);
    if (this.level > 0) {
      this.children.splice(slot, count);
      this.generations.splice(slot, count);
      return;
    }
    this.used -= bytesOf(this, slot, slot + count, itemBytes);
    this.sizes.splice(slot, count);
    this.values.splice(slot, count);
  }

  /** Moves the slots [from, to) to another node of the level, in front of what it has or behind it. */
  moveTo(target: Node, range: { readonly from: number; readonly to: number; readonly front: boolean }, itemBytes: number): void {
    const { from, to, front } = range;
    assert(target.level === this.level, "items move between nodes of one level");
    const at = front ? 0 : target.count;
    target.#ownKeys();
    target.#ownRest();
    const put = <T>(own: T[], other: T[]): void => {
      other.splice(at, 0, ...own.slice(from, to));
    };
    put(this.objects, target.objects);
    put(this.kinds, target.kinds);
    put(this.offsets, target.offsets);
    if (this.level === 0) {
      target.used += bytesOf(this, from, to, itemBytes);
      put(this.sizes, target.sizes);
      put(this.values, target.values);
    } else {
      put(this.children, target.children);
      put(this.generations, target.generations);
    }
    this.remove(from, to - from, itemBytes);
  }
}

/** Bytes that the items of [from, to) take in a leaf. */
export function bytesOf(leaf: Node, from: number, to: number, itemBytes: number): number {
  let sum = 0;
  for (let slot = from; slot < to; slot++) sum += (leaf.sizes[slot] as number) + itemBytes;
  return sum;
}
