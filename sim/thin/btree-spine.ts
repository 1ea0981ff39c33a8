/**
 * The way down to a leaf that is about to be changed: each node is copied first, and its parent made to point to the copy
 * (drivers/md/persistent-data/dm-btree-spine.c).
 */
import { assert } from "../core/assert.ts";
import { type Errno, isErrno } from "../core/errno.ts";
import type { ValueType } from "./btree.ts";
import { childAt, countOf, isLeaf, setChild, valueAt } from "./btree-node.ts";
import { get64, type MetadataBlock, visitRuns } from "./metadata-block.ts";
import type { Transaction } from "./transaction.ts";

/** Calls `each` for the runs of consecutive block numbers among values of 8 bytes. */
function visitBlockRuns(words: Uint32Array, at: number, count: number, each: (begin: number, end: number) => void): void {
  visitRuns({ words, at, count, numberAt: get64 }, each);
}

/** Values that are the numbers of metadata blocks: the children of a node, or the roots of trees. */
export function blockNumbers(tx: Transaction): ValueType {
  return {
    size: 8,
    inc: (words, at, count) => visitBlockRuns(words, at, count, (begin, end) => tx.space.inc(begin, end)),
    dec: (words, at, count) => visitBlockRuns(words, at, count, (begin, end) => tx.space.dec(begin, end)),
    same: (words, at, value) => get64(words, at) === get64(value, 0),
  };
}

/** Takes a reference more for everything that a node points to. */
export function incChildren(tx: Transaction, words: Uint32Array, type: ValueType): void {
  const at = valueAt(words, 0);
  const count = countOf(words);
  if (isLeaf(words)) type.inc?.(words, at, count);
  else visitBlockRuns(words, at, count, (begin, end) => tx.space.inc(begin, end));
}

/** Copies a child before it is changed, and makes its parent point to the copy. */
export function shadowChild(tx: Transaction, parent: Uint32Array, index: number, type: ValueType): MetadataBlock | Errno {
  const child = tx.shadow(childAt(parent, index), "node");
  if (isErrno(child)) return child;
  if (tx.shared) incChildren(tx, child.words, type);
  setChild(parent, index, child.location);
  return child;
}

export class Spine {
  readonly tx: Transaction;
  /** The first node of the way, after copying. */
  root = -1;
  #parent: MetadataBlock | undefined;
  #current: MetadataBlock | undefined;

  constructor(tx: Transaction) {
    this.tx = tx;
  }

  /** Goes down to a node. @param index - the parent's entry that points to it; below 0 where nothing is to be changed there. */
  step(location: number, type: ValueType, index: number): Errno | undefined {
    const node = this.tx.shadow(location, "node");
    if (isErrno(node)) return node;
    if (this.tx.shared) incChildren(this.tx, node.words, type);
    this.#parent = this.#current;
    this.#current = node;
    if (this.#parent === undefined) this.root = node.location;
    else if (index >= 0) setChild(this.#parent.words, index, node.location);
    return undefined;
  }

  get node(): Uint32Array {
    assert(this.#current !== undefined, "a B-tree's way down has not begun");
    return this.#current.words;
  }

  get parent(): Uint32Array {
    assert(this.#parent !== undefined, "a B-tree's root has no parent");
    return this.#parent.words;
  }

  /** Another child of the same parent is the one to go on with. */
  replace(block: MetadataBlock): void {
    this.#current = block;
  }
}
