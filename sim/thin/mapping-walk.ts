/**
 * The way down from the tree of devices to a mapping, kept from a lookup for the insertion that follows it and for the next block of the
 * same leaf.
 *
 * Interface:
 * - `find` gives what the two trees hold; `put` puts an entry into the leaf that was found last where an insertion (btree-insert.ts) would
 *   do nothing else: every node on the way is this transaction's alone, none of the inner ones is full, and the leaf has room.
 * - Whoever changes a tree of mappings or the tree of devices by another way calls `forget`, and so does the end of a transaction.
 */
import { ENODATA, type Errno, isErrno } from "../core/errno.ts";
import type { Hit, ValueType } from "./btree.ts";
import { replaceAt } from "./btree-insert.ts";
import { childAt, countOf, insertAt, isLeaf, keyAt, lowerBound, lowerBoundNear, maxOf, valueAt } from "./btree-node.ts";
import type { MetadataBlock } from "./metadata-block.ts";
import type { Transaction } from "./transaction.ts";

/** Whether an insertion would leave a node on the way to a leaf as it is. */
function staysAsIs(node: MetadataBlock): boolean {
  return node.sole && (isLeaf(node.words) || countOf(node.words) < maxOf(node.words));
}

export class MappingWalk {
  /** Whose way it is; -1: none is known. */
  #device = -1;
  /** Where the device's tree begins, and whether an insertion would leave everything above it as it is. */
  #root = 0;
  #rootStays = false;
  /** The leaf, for keys of [low, high); undefined where only the device's tree is known. */
  #leaf: MetadataBlock | undefined;
  #low = 0;
  #high = 0;
  /** Whether an insertion would leave everything above the leaf, and the leaf's place, as it is. */
  #leafStays = false;
  /** The key that was looked for last, and the last entry of the leaf whose key is not above. */
  #key = -1;
  #index = -1;
  readonly #hit: Hit = { words: new Uint32Array(0), valueAt: 0, key: 0 };

  forget(): void {
    this.#device = -1;
    this.#leaf = undefined;
  }

  /** A device's mapping; the same object each time. @param devices - where the tree of devices begins. @returns ENODATA. */
  find(tx: Transaction, devices: number, device: number, key: number): Hit | Errno {
    if (device !== this.#device) {
      const failed = this.#goToDevice(tx, devices, device);
      if (failed !== undefined) return failed;
    }
    if (this.#leaf === undefined || key < this.#low || key >= this.#high) {
      const failed = this.#goToLeaf(tx, key);
      if (failed !== undefined) return failed;
    }
    const { words } = this.#leaf as MetadataBlock;
    // Where the key is or belongs, if keys are evenly spread, or the next after the last one.
    const guess = key === this.#key + 1 ? this.#index + 1 : ((key - this.#low) / (this.#high - this.#low)) * countOf(words);
    const index = lowerBoundNear(words, key, guess);
    this.#key = key;
    this.#index = index;
    if (index < 0 || keyAt(words, index) !== key) return ENODATA;
    this.#hit.words = words;
    this.#hit.valueAt = valueAt(words, index);
    this.#hit.key = key;
    return this.#hit;
  }

  #goToDevice(tx: Transaction, devices: number, device: number): Errno | undefined {
    this.forget();
    let stays = true;
    for (let location = devices; ; ) {
      const node = tx.read(location, "node");
      if (isErrno(node)) return node;
      const { words } = node;
      const index = lowerBound(words, device);
      if (index < 0) return ENODATA;
      stays &&= staysAsIs(node);
      location = childAt(words, index);
      if (!isLeaf(words)) continue;
      if (keyAt(words, index) !== device) return ENODATA;
      this.#device = device;
      this.#root = location;
      this.#rootStays = stays;
      return undefined;
    }
  }

  #goToLeaf(tx: Transaction, key: number): Errno | undefined {
    this.#leaf = undefined;
    let stays = this.#rootStays;
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    for (let location = this.#root; ; ) {
      const node = tx.read(location, "node");
      if (isErrno(node)) return node;
      const { words } = node;
      stays &&= staysAsIs(node);
      if (isLeaf(words)) {
        this.#leaf = node;
        this.#low = low;
        this.#high = high;
        this.#leafStays = stays;
        return undefined;
      }
      const first = keyAt(words, 0);
      const last = countOf(words) - 1;
      const index = lowerBoundNear(words, key, ((key - first) / (keyAt(words, last) - first)) * last);
      // Before the first key of all: an insertion would lower the keys on the way.
      if (index < 0) return ENODATA;
      low = keyAt(words, index);
      if (index + 1 < countOf(words)) high = keyAt(words, index + 1);
      location = childAt(words, index);
    }
  }

  /**
   * Puts an entry into the leaf that was found last for this very device and key. @returns whether the key is new; undefined where that
   * takes more than the leaf: nothing is done.
   */
  put(device: number, key: number, type: ValueType, value: Uint32Array): boolean | undefined {
    const leaf = this.#leaf;
    if (leaf === undefined || device !== this.#device || key !== this.#key || !this.#leafStays) return undefined;
    const { words } = leaf;
    const isThere = this.#index >= 0 && keyAt(words, this.#index) === key;
    if (!isThere && countOf(words) === maxOf(words)) return undefined;
    if (isThere) replaceAt(words, type, this.#index, value);
    else insertAt(words, ++this.#index, key, value);
    return !isThere;
  }
}
