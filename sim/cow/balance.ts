/**
 * Keeping a copy-on-write tree's leaves filled: room for what an item needs by moving others to the neighbours or splitting the leaf; merging after removals
 * (fs/btrfs/ctree.c: split_leaf, push_leaf_right, push_leaf_left, push_for_double_split, btrfs_del_items; Linux 6.18).
 *
 * Interface: every node of a path is own, and those above the leaf have room for two pointers more (levels.ts); functions leave the path where the key belongs.
 */
import type { Key } from "./key.ts";
import { raiseRoot, removePointer } from "./levels.ts";
import { bytesOf, type Node } from "./node.ts";
import type { Path } from "./path.ts";
import type { TreeParts } from "./store.ts";

function room(tree: TreeParts, leaf: Node): number {
  const { format } = tree.store;
  return format.nodeBytes - format.headerBytes - leaf.used;
}

/** What is asked of a leaf: bytes for a new item before the path's slot, or, where it `extends`, for the item in that slot. */
interface Need {
  readonly key: Key;
  readonly bytes: number;
  readonly extends: boolean;
}

/** Makes room in the path's leaf. */
export function leafRoom(tree: TreeParts, path: Path, need: Need): void {
  const { bytes } = need;
  if (room(tree, path.node(0)) >= bytes) return;
  if (path.height > 1) {
    const leaf = path.node(0);
    const right = bytes - (path.slot(0) < leaf.count ? room(tree, leaf) : 0);
    if (!pushRight(tree, path, { least: right, counted: right, emptying: false, from: 0 })) {
      const left = bytes - (path.slot(0) > 0 ? room(tree, leaf) : 0);
      pushLeft(tree, path, { least: left, counted: left, emptying: false, to: Number.POSITIVE_INFINITY });
    }
    if (room(tree, path.node(0)) >= bytes) return;
  }
  splitLeaf(tree, path, need);
}

interface Push {
  /** Bytes that the neighbour must have free, else nothing moves. */
  readonly least: number;
  /** Bytes that are coming at the path's slot; 0 for none. */
  readonly counted: number;
  /** The leaf is to become empty, if the neighbour takes all. */
  readonly emptying: boolean;
}

/** The neighbour of the path's leaf; undefined where the parent has none on that side. */
function neighbour(tree: TreeParts, path: Path, by: 1 | -1): Node | undefined {
  const parent = path.node(1);
  const slot = path.slot(1) + by;
  if (slot < 0 || slot >= parent.count) return undefined;
  return tree.store.read(parent.childAt(slot));
}

/** Moves items from the end of the path's leaf, from slot `from` on, to its right neighbour. @returns whether any have moved, or the key belongs there. */
function pushRight(tree: TreeParts, path: Path, push: Push & { readonly from: number }): boolean {
  const { itemBytes } = tree.store.format;
  const found = neighbour(tree, path, 1);
  if (found === undefined) return false;
  const left = path.node(0);
  const free = room(tree, found);
  if (free < push.least) return false;
  const parent = path.node(1);
  const parentSlot = path.slot(1);
  const right = tree.own(found, parent, parentSlot + 1);
  if (path.slot(0) === left.count && !push.emptying) {
    // The new key is behind all of the leaf: it goes to the neighbour, and the leaf stays as it is.
    path.set(0, right, 0);
    path.slots[1] = parentSlot + 1;
    return true;
  }
  const slot = path.slot(0);
  let space = 0;
  let items = 0;
  const first = push.emptying ? 0 : Math.max(1, push.from);
  for (let at = left.count - 1; at >= first; at--) {
    if (!push.emptying && items > 0) {
      if (slot > at) break;
      if (slot === at && room(tree, left) + space * 2 > free) break;
    }
    if (slot === at) space += push.counted;
    const size = left.sizeAt(at) + itemBytes;
    if (size + space > free) break;
    items += 1;
    space += size;
  }
  if (items === 0) return false;
  const from = left.count - items;
  left.moveTo(right, { from, to: left.count, front: true }, itemBytes);
  parent.setKey(parentSlot + 1, right.key(0));
  if (slot >= from) {
    path.set(0, right, slot - from);
    path.slots[1] = parentSlot + 1;
  }
  return true;
}

/** Moves items from the beginning of the path's leaf, up to slot `to`, to its left neighbour. @returns whether any have moved. */
function pushLeft(tree: TreeParts, path: Path, push: Push & { readonly to: number }): boolean {
  const { itemBytes } = tree.store.format;
  const found = neighbour(tree, path, -1);
  if (found === undefined) return false;
  const right = path.node(0);
  const free = room(tree, found);
  if (free < push.least) return false;
  const parentSlot = path.slot(1);
  const left = tree.own(found, path.node(1), parentSlot - 1);
  const slot = path.slot(0);
  const count = Math.min(push.emptying ? right.count : right.count - 1, push.to);
  let space = 0;
  let items = 0;
  for (let at = 0; at < count; at++) {
    if (!push.emptying && items > 0) {
      if (slot < at) break;
      if (slot === at && room(tree, right) + space * 2 > free) break;
    }
    if (slot === at) space += push.counted;
    const size = right.sizeAt(at) + itemBytes;
    if (size + space > free) break;
    items += 1;
    space += size;
  }
  if (items === 0) return false;
  const before = left.count;
  right.moveTo(left, { from: 0, to: items, front: false }, itemBytes);
  if (right.count > 0) tree.lowerKeys(path, 1, right.key(0));
  if (slot < items) {
    path.set(0, left, before + slot);
    path.slots[1] = parentSlot - 1;
  } else path.slots[0] = slot - items;
  return true;
}

/** Where a leaf is cut. */
interface Cut {
  readonly middle: number;
  /** The new item gets a leaf of its own beside it. */
  readonly alone: boolean;
  /** What is behind the slot needs a leaf of its own, too. */
  readonly twice: boolean;
}

function cutOf(tree: TreeParts, leaf: Node, slot: number, need: Need): Cut {
  const { format } = tree.store;
  const whole = format.nodeBytes - format.headerBytes;
  const { count } = leaf;
  const middle = (count + 1) >> 1;
  const fits = (from: number, to: number): boolean => bytesOf(leaf, from, to, format.itemBytes) + need.bytes <= whole;
  const atSlot = (): Cut => ({ middle: slot, alone: false, twice: slot !== count && !fits(slot, count) });
  if (middle <= slot) {
    if (count > 1 && fits(middle, count)) return { middle, alone: false, twice: false };
    return slot >= count ? { middle, alone: true, twice: false } : atSlot();
  }
  if (fits(0, middle)) return { middle, alone: false, twice: false };
  if (slot > 0) return atSlot();
  return need.extends ? { middle: 1, alone: false, twice: false } : { middle, alone: true, twice: false };
}

function splitLeaf(tree: TreeParts, path: Path, need: Need): void {
  if (path.height === 1) raiseRoot(tree, path);
  let triesToPush = true;
  for (;;) {
    const leaf = path.node(0);
    const slot = path.slot(0);
    const cut = cutOf(tree, leaf, slot, need);
    if (cut.twice && triesToPush) {
      triesToPush = false;
      pushAroundSlot(tree, path, need.bytes);
      if (room(tree, path.node(0)) >= need.bytes) return;
      continue;
    }
    const made = tree.store.allocate(tree, 0);
    const behind = cut.middle <= slot;
    if (cut.alone) {
      path.node(1).insertChild(path.slot(1) + (behind ? 1 : 0), need.key, made);
      path.set(0, made, 0);
      if (behind) path.slots[1] = path.slot(1) + 1;
      else if (path.slot(1) === 0) tree.lowerKeys(path, 1, need.key);
      return;
    }
    leaf.moveTo(made, { from: cut.middle, to: leaf.count, front: true }, tree.store.format.itemBytes);
    path.node(1).insertChild(path.slot(1) + 1, made.key(0), made);
    if (behind) {
      path.set(0, made, slot - cut.middle);
      path.slots[1] = path.slot(1) + 1;
    }
    if (!cut.twice) return;
  }
}

/** Brings the path's slot to an end of its leaf, if the neighbours take what is behind it or before it, so that one leaf more will do (push_for_double_split). */
function pushAroundSlot(tree: TreeParts, path: Path, need: number): void {
  const leaf = path.node(0);
  const right = need - (path.slot(0) < leaf.count ? room(tree, leaf) : 0);
  pushRight(tree, path, { least: right, counted: 1, emptying: false, from: path.slot(0) });
  const now = path.node(0);
  if (path.slot(0) === 0 || path.slot(0) === now.count || room(tree, now) >= need) return;
  pushLeft(tree, path, { least: need - room(tree, now), counted: 1, emptying: false, to: path.slot(0) });
}

/** The path's leaf has lost items: it may go, give what it has to its neighbours, or stay. */
export function afterRemoval(tree: TreeParts, path: Path): void {
  const leaf = path.node(0);
  const { format } = tree.store;
  if (path.height === 1) return;
  const slot = path.slot(1);
  if (leaf.count > 0) {
    if (leaf.used >= Math.floor((format.nodeBytes - format.headerBytes) / 3)) return;
    // Only if the left neighbour takes all, or the right one what is left then, a node is saved.
    const least = format.itemBytes + leaf.sizeAt(0);
    pushLeft(tree, path, { least, counted: 0, emptying: true, to: Number.POSITIVE_INFINITY });
    if (path.node(0) === leaf && leaf.count > 0) pushRight(tree, path, { least: leaf.used, counted: 0, emptying: true, from: 0 });
    if (leaf.count > 0) return;
  }
  removePointer(tree, path, { level: 1, slot, child: leaf });
}
