/**
 * Putting an entry into a B-tree. Room is made on the way down, so that a parent can always take one more child
 * (drivers/md/persistent-data/dm-btree.c, btree_insert_raw): a full node gives entries to a sibling that is not shared and has room for
 * eight, else it is split, in two at the edges, two into three within.
 */
import { type Errno, isErrno } from "../core/errno.ts";
import type { BTree, ValueType } from "./btree.ts";
import {
  childAt,
  copyEntries,
  countOf,
  emptyLike,
  insertAt,
  isLeaf,
  keyAt,
  lowerBound,
  makeParent,
  maxOf,
  redistribute2,
  redistribute3,
  setCount,
  setKey,
  valueAt,
} from "./btree-node.ts";
import { Spine, shadowChild } from "./btree-spine.ts";
import { set64 } from "./metadata-block.ts";

/** Free entries that a sibling must have to be worth moving entries to. */
const SPARE_ENTRIES_MIN = 8;

function hasKey(words: Uint32Array, key: number): boolean {
  const index = lowerBound(words, key);
  return index >= 0 && keyAt(words, index) === key;
}

/** Whether a node on the way can take one more entry: a leaf that only overwrites needs no room. */
function hasRoom(words: Uint32Array, key: number): boolean {
  return countOf(words) < maxOf(words) || (isLeaf(words) && hasKey(words, key));
}

/** Splits a full root: its entries move to two new children. */
function splitBeneath(spine: Spine): Errno | undefined {
  const { tx, node } = spine;
  const left = tx.newBlock("node");
  if (isErrno(left)) return left;
  const right = tx.newBlock("node");
  if (isErrno(right)) return right;
  const nrLeft = countOf(node) >>> 1;
  const nrRight = countOf(node) - nrLeft;
  emptyLike(left.words, node);
  emptyLike(right.words, node);
  copyEntries(left.words, node, { from: 0, to: 0, count: nrLeft });
  copyEntries(right.words, node, { from: nrLeft, to: 0, count: nrRight });
  setCount(left.words, nrLeft);
  setCount(right.words, nrRight);
  makeParent(
    node,
    [left, right].map(({ words, location }) => ({ key: keyAt(words, 0), location })),
  );
  return undefined;
}

/** Puts a new child into a parent. */
function insertChild(parent: Uint32Array, index: number, key: number, location: number): void {
  const value = new Uint32Array(2);
  set64(value, 0, location);
  insertAt(parent, index, key, value);
}

function splitInTwo(spine: Spine, index: number, key: number): Errno | undefined {
  const { tx, node, parent } = spine;
  const right = tx.newBlock("node");
  if (isErrno(right)) return right;
  emptyLike(right.words, node);
  redistribute2(node, right.words);
  insertChild(parent, index + 1, keyAt(right.words, 0), right.location);
  if (key >= keyAt(right.words, 0)) spine.replace(right);
  return undefined;
}

/** Splits the node, which is not the first of its parent, and its left sibling into three. */
function splitTwoInThree(spine: Spine, type: ValueType, index: number, key: number): Errno | undefined {
  const { tx, node, parent } = spine;
  const sibling = shadowChild(tx, parent, index - 1, type);
  if (isErrno(sibling)) return sibling;
  const middle = tx.newBlock("node");
  if (isErrno(middle)) return middle;
  const [left, right] = [sibling.words, node];
  emptyLike(middle.words, left);
  redistribute3(left, middle.words, right);
  setKey(parent, index, keyAt(right, 0));
  insertChild(parent, index, keyAt(middle.words, 0), middle.location);
  if (key < keyAt(middle.words, 0)) spine.replace(sibling);
  else if (key < keyAt(right, 0)) spine.replace(middle);
  return undefined;
}

/** Shares entries out with the sibling at `siblingIndex`, next to the node at `index`. */
function rebalance(spine: Spine, type: ValueType, indexes: { readonly node: number; readonly sibling: number }, key: number) {
  const { tx, node, parent } = spine;
  const sibling = shadowChild(tx, parent, indexes.sibling, type);
  if (isErrno(sibling)) return sibling;
  const siblingIsLeft = indexes.sibling < indexes.node;
  const left = siblingIsLeft ? sibling.words : node;
  const right = siblingIsLeft ? node : sibling.words;
  redistribute2(left, right);
  setKey(parent, Math.max(indexes.node, indexes.sibling), keyAt(right, 0));
  if (key < keyAt(right, 0) === siblingIsLeft) spine.replace(sibling);
  return undefined;
}

type Sibling = "shared" | "full" | "spare";

function siblingAt(spine: Spine, index: number): Sibling | Errno {
  const location = childAt(spine.parent, index);
  const shared = spine.tx.space.isShared(location);
  if (isErrno(shared)) return shared;
  if (shared) return "shared";
  const sibling = spine.tx.read(location, "node");
  if (isErrno(sibling)) return sibling;
  return maxOf(sibling.words) - countOf(sibling.words) >= SPARE_ENTRIES_MIN ? "spare" : "full";
}

/** Makes room in a node that is not the root: `index` is its entry in the parent. */
function makeRoom(spine: Spine, type: ValueType, index: number, key: number): Errno | undefined {
  const last = countOf(spine.parent) - 1;
  const siblings = [index > 0 ? index - 1 : -1, index < last ? index + 1 : -1];
  let anyShared = false;
  for (const sibling of siblings) {
    if (sibling < 0) continue;
    const state = siblingAt(spine, sibling);
    if (isErrno(state)) return state;
    if (state === "spare") return rebalance(spine, type, { node: index, sibling }, key);
    anyShared ||= state === "shared";
  }
  if (anyShared || last + 1 <= 2 || index === 0 || index === last) return splitInTwo(spine, index, key);
  return splitTwoInThree(spine, type, index, key);
}

/**
 * Goes down to the leaf where a key is or belongs; it has room for it. The tree begins at `root`, which the last node of the spine, if
 * any, points to with its entry `index`.
 * @returns where in the leaf the key is or belongs.
 */
function descend(spine: Spine, root: number, type: ValueType, key: number, index: number): number | Errno {
  let location = root;
  let at = index;
  for (let isTop = true; ; isTop = false) {
    const failed = spine.step(location, type, at);
    if (failed !== undefined) return failed;
    if (!hasRoom(spine.node, key)) {
      const wrong = isTop ? splitBeneath(spine) : makeRoom(spine, type, at, key);
      if (wrong !== undefined) return wrong;
    }
    const { node } = spine;
    at = lowerBound(node, key);
    if (isLeaf(node)) return at < 0 || keyAt(node, at) !== key ? at + 1 : at;
    if (at < 0) {
      setKey(node, 0, key);
      at = 0;
    }
    location = childAt(node, at);
  }
}

/** Whether a node's entry at `index` is the key's. */
function isAt(words: Uint32Array, index: number, key: number): boolean {
  return index < countOf(words) && keyAt(words, index) === key;
}

/** Gives an entry that is there another value. */
export function replaceAt(node: Uint32Array, type: ValueType, index: number, value: Uint32Array): void {
  const at = valueAt(node, index);
  if (type.dec !== undefined && type.same?.(node, at, value) !== true) type.dec(node, at, 1);
  node.set(value, at);
}

/** Sets a key's value. @returns ENOSPC, EIO; then the transaction must be aborted. */
export function insert(tree: BTree, key: number, value: Uint32Array): Errno | undefined {
  const spine = new Spine(tree.tx);
  const index = descend(spine, tree.root, tree.type, key, -1);
  if (isErrno(index)) return index;
  if (isAt(spine.node, index, key)) replaceAt(spine.node, tree.type, index, value);
  else insertAt(spine.node, index, key, value);
  tree.root = spine.root;
  return undefined;
}

/**
 * Sets the value of `key` in the tree whose root is the value of `outerKey` in `outer`, which has it.
 * @returns whether the key is new; ENOSPC, EIO.
 */
export function insertNested(outer: BTree, outerKey: number, inner: ValueType, key: number, value: Uint32Array): boolean | Errno {
  const spine = new Spine(outer.tx);
  const outerIndex = descend(spine, outer.root, outer.type, outerKey, -1);
  if (isErrno(outerIndex)) return outerIndex;
  const index = descend(spine, childAt(spine.node, outerIndex), inner, key, outerIndex);
  if (isErrno(index)) return index;
  const isNew = !isAt(spine.node, index, key);
  if (isNew) insertAt(spine.node, index, key, value);
  else replaceAt(spine.node, inner, index, value);
  outer.root = spine.root;
  return isNew;
}
