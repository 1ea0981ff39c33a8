/**
 * Taking entries out of a B-tree. On the way down each child that is visited is first merged with its siblings or filled up from them, so
 * that taking one entry from it leaves it a third full (drivers/md/persistent-data/dm-btree-remove.c).
 */
import { ENODATA, type Errno, isErrno } from "../core/errno.ts";
import type { BTree, ValueType } from "./btree.ts";
import {
  childAt,
  copyEntries,
  countOf,
  deleteAt,
  isLeaf,
  keyAt,
  lowerBound,
  maxOf,
  moveEntries,
  setCount,
  setKey,
  shiftEntries,
  valueAt,
} from "./btree-node.ts";
import { incChildren, Spine, shadowChild } from "./btree-spine.ts";
import type { MetadataBlock } from "./metadata-block.ts";
import type { Transaction } from "./transaction.ts";

/** A child that takes part, with its place in the parent. */
interface Child {
  index: number;
  readonly block: MetadataBlock;
}

function childOf(tx: Transaction, parent: Uint32Array, index: number, type: ValueType): Child | Errno {
  const block = shadowChild(tx, parent, index, type);
  return isErrno(block) ? block : { index, block };
}

/** The fewest entries that a node should keep. */
function mergeThreshold(words: Uint32Array): number {
  return Math.floor(maxOf(words) / 3);
}

/** Merges two children when both fit the lower bound of one, else evens them out. */
function balanceTwo(tx: Transaction, parent: Uint32Array, left: Child, right: Child): Errno | undefined {
  const one = left.block.words;
  const other = right.block.words;
  const nrLeft = countOf(one);
  const nrRight = countOf(other);
  if (nrLeft + nrRight < 2 * (mergeThreshold(one) + 1)) {
    copyEntries(one, other, { from: 0, to: nrLeft, count: nrRight });
    setCount(one, nrLeft + nrRight);
    deleteAt(parent, right.index);
    // What the entries stand for is still referenced: by the left node.
    return tx.space.dec(right.block.location, right.block.location + 1);
  }
  shiftEntries(one, other, nrLeft - Math.floor((nrLeft + nrRight) / 2));
  setKey(parent, right.index, keyAt(other, 0));
  return undefined;
}

type Three = readonly [Child, Child, Child];

/** Moves the entries of the middle child to its siblings, the left one first, and gives it up. */
function deleteCenter(tx: Transaction, parent: Uint32Array, [left, center, right]: Three): Errno | undefined {
  const [one, middle, other] = [left.block.words, center.block.words, right.block.words];
  const nrCenter = countOf(middle);
  const toLeft = Math.min(maxOf(one) - countOf(one), nrCenter);
  copyEntries(one, middle, { from: 0, to: countOf(one), count: toLeft });
  setCount(one, countOf(one) + toLeft);
  const toRight = nrCenter - toLeft;
  if (toRight > 0) {
    const nrRight = countOf(other);
    moveEntries(other, 0, toRight);
    copyEntries(other, middle, { from: nrCenter - toRight, to: 0, count: toRight });
    setCount(other, nrRight + toRight);
  }
  setKey(parent, right.index, keyAt(other, 0));
  deleteAt(parent, center.index);
  right.index -= 1;
  const failed = tx.space.dec(center.block.location, center.block.location + 1);
  return failed ?? balanceTwo(tx, parent, left, right);
}

/** Evens three children out; of what does not divide by three the left one gets more, then the middle. */
function evenThree(parent: Uint32Array, [left, center, right]: Three): void {
  const [one, middle, other] = [left.block.words, center.block.words, right.block.words];
  const total = countOf(one) + countOf(middle) + countOf(other);
  const targetRight = Math.floor(total / 3);
  const targetLeft = targetRight + (targetRight * 3 === total ? 0 : 1);
  if (countOf(one) < countOf(other)) {
    const short = targetLeft - countOf(one);
    if (short > countOf(middle)) {
      // The middle has not enough: what it lacks comes from the right.
      const rest = short - countOf(middle);
      shiftEntries(one, middle, -countOf(middle));
      shiftEntries(one, other, -rest);
    } else shiftEntries(one, middle, -short);
    shiftEntries(middle, other, targetRight - countOf(other));
  } else {
    const short = targetRight - countOf(other);
    if (short > countOf(middle)) {
      const rest = short - countOf(middle);
      shiftEntries(middle, other, countOf(middle));
      shiftEntries(one, other, rest);
    } else shiftEntries(middle, other, short);
    shiftEntries(one, middle, countOf(one) - targetLeft);
  }
  setKey(parent, center.index, keyAt(middle, 0));
  setKey(parent, right.index, keyAt(other, 0));
}

function rebalanceTwo(tx: Transaction, parent: Uint32Array, first: number, type: ValueType): Errno | undefined {
  const left = childOf(tx, parent, first, type);
  if (isErrno(left)) return left;
  const right = childOf(tx, parent, first + 1, type);
  if (isErrno(right)) return right;
  return balanceTwo(tx, parent, left, right);
}

function rebalanceThree(tx: Transaction, parent: Uint32Array, first: number, type: ValueType): Errno | undefined {
  const left = childOf(tx, parent, first, type);
  if (isErrno(left)) return left;
  const center = childOf(tx, parent, first + 1, type);
  if (isErrno(center)) return center;
  const right = childOf(tx, parent, first + 2, type);
  if (isErrno(right)) return right;
  const three: Three = [left, center, right];
  const total = three.reduce((sum, child) => sum + countOf(child.block.words), 0);
  if (total < mergeThreshold(left.block.words) * 4 + 1) return deleteCenter(tx, parent, three);
  evenThree(parent, three);
  return undefined;
}

/** A node with one child becomes that child. */
function takeOnlyChild(tx: Transaction, node: Uint32Array, type: ValueType): Errno | undefined {
  const location = childAt(node, 0);
  const shared = tx.space.isShared(location);
  if (isErrno(shared)) return shared;
  const child = tx.read(location, "node");
  if (isErrno(child)) return child;
  if (shared) incChildren(tx, child.words, type);
  node.set(child.words);
  return tx.space.dec(location, location + 1);
}

/** Makes the child on the way to `key` full enough. @returns ENODATA where every key is above. */
function rebalanceChildren(tx: Transaction, node: Uint32Array, type: ValueType, key: number): Errno | undefined {
  const count = countOf(node);
  if (count === 1) return takeOnlyChild(tx, node, type);
  const index = lowerBound(node, key);
  if (index < 0) return ENODATA;
  if (index === 0) return rebalanceTwo(tx, node, 0, type);
  if (index === count - 1) return rebalanceTwo(tx, node, index - 1, type);
  return rebalanceThree(tx, node, index - 1, type);
}

/** Goes down to the leaf where a key is or would be. @returns the last entry there whose key is not above; -1 when all are. */
function descend(spine: Spine, root: number, type: ValueType, key: number): number | Errno {
  let location = root;
  for (let index = -1; ; ) {
    const failed = spine.step(location, type, index);
    if (failed !== undefined) return failed;
    const { node } = spine;
    if (!isLeaf(node)) {
      const wrong = rebalanceChildren(spine.tx, node, type, key);
      if (wrong !== undefined) return wrong;
    }
    index = lowerBound(node, key);
    // A node may just have become the leaf that was its only child.
    if (isLeaf(node)) return index;
    if (index < 0) return ENODATA;
    location = childAt(node, index);
  }
}

/** Removes a key. @returns ENODATA where it is missing; then the tree holds the same, but copied. */
export function remove(tree: BTree, key: number): Errno | undefined {
  const spine = new Spine(tree.tx);
  const index = descend(spine, tree.root, tree.type, key);
  if (isErrno(index)) return index;
  const { node } = spine;
  if (index < 0 || keyAt(node, index) !== key) return ENODATA;
  tree.type.dec?.(node, valueAt(node, index), 1);
  deleteAt(node, index);
  tree.root = spine.root;
  return undefined;
}

/**
 * Removes the entry of the highest key up to `key`, or of the leaf's first, when it lies within [key, end).
 * @returns the key that was removed; undefined when there was none there.
 */
function removeOne(tree: BTree, key: number, end: number): number | undefined | Errno {
  const spine = new Spine(tree.tx);
  const found = descend(spine, tree.root, tree.type, key);
  if (spine.root >= 0) tree.root = spine.root;
  if (isErrno(found)) return found === ENODATA ? undefined : found;
  const { node } = spine;
  const index = Math.max(found, 0);
  if (index >= countOf(node)) return undefined;
  const there = keyAt(node, index);
  if (there < key || there >= end) return undefined;
  tree.type.dec?.(node, valueAt(node, index), 1);
  deleteAt(node, index);
  return there;
}

/**
 * Removes consecutive keys from `begin` on, up to but not including `end`, until one is missing (dm_btree_remove_leaves).
 * @returns how many were removed, and the key to go on with.
 */
export function removeRun(tree: BTree, begin: number, end: number): { readonly removed: number; readonly next: number } | Errno {
  let key = begin;
  for (let removed = 0; ; removed++) {
    const gone = removeOne(tree, key, end);
    if (isErrno(gone)) return gone;
    if (gone === undefined) return { removed, next: key };
    key = gone + 1;
  }
}
