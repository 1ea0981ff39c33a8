/**
 * The B-tree of persistent-data: 64-bit keys to values of one size, copied on write, so that trees may share nodes
 * (spec/block-cow.md §1.10; drivers/md/persistent-data/dm-btree.c).
 *
 * Interface:
 * - A tree is its root. What changes a tree (btree-insert.ts, btree-remove.ts, btree-delete.ts) sets `root` anew; a failure leaves the
 *   transaction to be aborted.
 * - A value that stands for something counted (a data block, the root of another tree) says how by `inc`, `dec` and `same`. When a shared
 *   node is copied, what its entries stand for gets one reference more each; nothing else ever walks down.
 */
import { ENODATA, type Errno, isErrno } from "../core/errno.ts";
import { childAt, countOf, emptyNode, isLeaf, keyAt, lowerBound, valueAt } from "./btree-node.ts";
import type { Transaction } from "./transaction.ts";

/** What the values of a tree are. */
export interface ValueType {
  /** Bytes; a multiple of 4. */
  readonly size: number;
  /** Takes one reference more for each of `count` values that begin at word `at`. */
  inc?(words: Uint32Array, at: number, count: number): void;
  /** Gives one back for each. */
  dec?(words: Uint32Array, at: number, count: number): void;
  /** Whether an overwritten value stands for the same as the new one; absent: never. */
  same?(words: Uint32Array, at: number, value: Uint32Array): boolean;
}

/** Where an entry was found. */
export interface Hit {
  /** The leaf's words. */
  words: Uint32Array;
  /** The word at which the value begins. */
  valueAt: number;
  key: number;
}

const NOTHING = new Uint32Array(0);
const EVERY = (): boolean => true;

export class BTree {
  readonly tx: Transaction;
  readonly type: ValueType;
  /** Where the root node lies. */
  root: number;
  readonly #hit: Hit = { words: NOTHING, valueAt: 0, key: 0 };

  constructor(tx: Transaction, type: ValueType, root = 0) {
    this.tx = tx;
    this.type = type;
    this.root = root;
  }

  /** Makes it an empty tree: one leaf without entries. */
  create(): Errno | undefined {
    const node = this.tx.newBlock("node");
    if (isErrno(node)) return node;
    emptyNode(node.words, this.type.size);
    this.root = node.location;
    return undefined;
  }

  /** The entry of a key; the same object each time. @returns ENODATA. O(log entries). */
  find(key: number): Hit | Errno {
    let location = this.root;
    for (;;) {
      const node = this.tx.read(location, "node");
      if (isErrno(node)) return node;
      const { words } = node;
      const index = lowerBound(words, key);
      if (index < 0) return ENODATA;
      if (!isLeaf(words)) {
        location = childAt(words, index);
        continue;
      }
      return keyAt(words, index) === key ? this.#found(words, index) : ENODATA;
    }
  }

  #found(words: Uint32Array, index: number): Hit {
    this.#hit.words = words;
    this.#hit.valueAt = valueAt(words, index);
    this.#hit.key = keyAt(words, index);
    return this.#hit;
  }

  /** The entry of the lowest key from `key` on; the same object each time. @returns ENODATA. */
  findFrom(key: number): Hit | Errno {
    return this.#findFrom(this.root, key);
  }

  #findFrom(location: number, key: number): Hit | Errno {
    const node = this.tx.read(location, "node");
    if (isErrno(node)) return node;
    const { words } = node;
    let index = lowerBound(words, key);
    if (isLeaf(words)) {
      if (index < 0 || keyAt(words, index) !== key) index += 1;
      return index < countOf(words) ? this.#found(words, index) : ENODATA;
    }
    index = Math.max(index, 0);
    if (index >= countOf(words)) return ENODATA;
    const found = this.#findFrom(childAt(words, index), key);
    if (found !== ENODATA || index + 1 >= countOf(words)) return found;
    return this.#findFrom(childAt(words, index + 1), key);
  }

  /** The highest key; undefined for an empty tree. */
  highestKey(): number | undefined | Errno {
    let location = this.root;
    for (;;) {
      const node = this.tx.read(location, "node");
      if (isErrno(node)) return node;
      const last = countOf(node.words) - 1;
      if (last < 0) return undefined;
      if (isLeaf(node.words)) return keyAt(node.words, last);
      location = childAt(node.words, last);
    }
  }

  /**
   * Visits every leaf in the order of the keys. @param isWanted - whether a node is to be looked into; default: each is.
   * @returns an error of reading.
   */
  visitLeaves(
    visit: (words: Uint32Array, location: number) => void,
    isWanted: (location: number) => boolean = EVERY,
  ): Errno | undefined {
    return this.#visitLeaves(this.root, visit, isWanted);
  }

  #visitLeaves(
    location: number,
    visit: (words: Uint32Array, location: number) => void,
    isWanted: (location: number) => boolean,
  ): Errno | undefined {
    if (!isWanted(location)) return undefined;
    const node = this.tx.read(location, "node");
    if (isErrno(node)) return node;
    if (isLeaf(node.words)) {
      visit(node.words, location);
      return undefined;
    }
    for (let index = 0; index < countOf(node.words); index++) {
      const failed = this.#visitLeaves(childAt(node.words, index), visit, isWanted);
      if (failed !== undefined) return failed;
    }
    return undefined;
  }
}
