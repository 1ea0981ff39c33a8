/**
 * Keeping a copy-on-write tree's nodes filled: room for a new item by moving others to the neighbours or splitting the leaf; merging after removals
 * (fs/btrfs/ctree.c: split_leaf, push_leaf_right, push_leaf_left, btrfs_del_items, balance_level; Linux 6.18).
 *
 * Interface: every node of a path is own; functions leave the path where the key belongs.
 */
import { assert } from "../core/assert.ts";
import type { Key } from "./key.ts";
import { bytesOf, type Node } from "./node.ts";
import type { Path } from "./path.ts";
import { pointersMax, type TreeParts } from "./store.ts";

function room(tree: TreeParts, leaf: Node): number {
  const { format } = tree.store;
  return format.nodeBytes - format.headerBytes - leaf.used;
}

/** Makes room for `need` bytes in the path's leaf. */
export function leafRoom(tree: TreeParts, path: Path, key: Key, need: number): void {
  if (room(tree, path.node(0)) >= need) return;
  if (path.height > 1) {
    const leaf = path.node(0);
    const less = path.slot(0) < leaf.count ? room(tree, leaf) : 0;
    if (!pushRight(tree, path, need - less, { need, emptying: false })) {
      const lessLeft = path.slot(0) > 0 ? room(tree, leaf) : 0;
      pushLeft(tree, path, need - lessLeft, { need, emptying: false, slotsMax: Number.POSITIVE_INFINITY });
    }
    if (room(tree, path.node(0)) >= need) return;
  }
  splitLeaf(tree, path, key, need);
}

interface Push {
  /** Bytes of the item that is coming, with what it takes beside; 0 for none. */
  readonly need: number;
  /** The leaf is to become empty, if the neighbour takes all. */
  readonly emptying: boolean;
}

/** The neighbour of the path's node at `level`, which is not the root; undefined where the parent has none on that side. */
function neighbour(tree: TreeParts, path: Path, level: number, by: 1 | -1): Node | undefined {
  const parent = path.node(level + 1);
  const slot = path.slot(level + 1) + by;
  if (slot < 0 || slot >= parent.count) return undefined;
  return tree.store.read(parent.children[slot] as number);
}

/** Moves items from the end of the path's leaf to its right neighbour. @returns whether at least `least` bytes could be made. */
function pushRight(tree: TreeParts, path: Path, least: number, push: Push): boolean {
  const { itemBytes } = tree.store.format;
  const found = neighbour(tree, path, 0, 1);
  if (found === undefined) return false;
  const left = path.node(0);
  const free = room(tree, found);
  if (free < Math.max(least, push.need)) return false;
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
  const least0 = push.emptying ? 0 : 1;
  for (let at = left.count - 1; at >= least0; at--) {
    if (!push.emptying && items > 0) {
      if (slot > at) break;
      if (slot === at && room(tree, left) + space * 2 > free) break;
    }
    if (slot === at) space += push.need;
    const size = (left.sizes[at] as number) + itemBytes;
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
    if (left.count === 0) deletePointer(tree, path, 1, parentSlot, left);
  }
  return true;
}

/** Moves items from the beginning of the path's leaf to its left neighbour. */
function pushLeft(tree: TreeParts, path: Path, least: number, push: Push & { readonly slotsMax: number }): boolean {
  const { itemBytes } = tree.store.format;
  const found = neighbour(tree, path, 0, -1);
  if (found === undefined) return false;
  const right = path.node(0);
  const free = room(tree, found);
  if (free < least) return false;
  const parent = path.node(1);
  const parentSlot = path.slot(1);
  const left = tree.own(found, parent, parentSlot - 1);
  const slot = path.slot(0);
  const count = push.emptying ? Math.min(right.count, push.slotsMax) : Math.min(right.count - 1, push.slotsMax);
  let space = 0;
  let items = 0;
  for (let at = 0; at < count; at++) {
    if (!push.emptying && items > 0) {
      if (slot < at) break;
      if (slot === at && room(tree, right) + space * 2 > free) break;
    }
    if (slot === at) space += push.need;
    const size = (right.sizes[at] as number) + itemBytes;
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
    if (right.count === 0) deletePointer(tree, path, 1, parentSlot, right);
  } else path.slots[0] = slot - items;
  return true;
}

/** Where a leaf is cut, and whether the new item gets a leaf of its own beside it. */
function cutOf(tree: TreeParts, leaf: Node, slot: number, need: number): { middle: number; alone: boolean; twice: boolean } {
  const { format } = tree.store;
  const whole = format.nodeBytes - format.headerBytes;
  const { count } = leaf;
  const middle = (count + 1) >> 1;
  const fits = (from: number, to: number): boolean => bytesOf(leaf, from, to, format.itemBytes) + need <= whole;
  if (middle <= slot) {
    if (count > 1 && fits(middle, count)) return { middle, alone: false, twice: false };
    if (slot >= count) return { middle, alone: true, twice: false };
    return { middle: slot, alone: false, twice: slot !== count && !fits(slot, count) };
  }
  if (fits(0, middle)) return { middle, alone: false, twice: false };
  if (slot === 0) return { middle, alone: true, twice: false };
  return { middle: slot, alone: false, twice: slot !== count && !fits(slot, count) };
}

function splitLeaf(tree: TreeParts, path: Path, key: Key, need: number): void {
  for (;;) {
    if (path.height === 1) raiseRoot(tree, path);
    const leaf = path.node(0);
    const slot = path.slot(0);
    const cut = cutOf(tree, leaf, slot, need);
    const made = tree.store.allocate(tree, 0);
    if (cut.alone) {
      const behind = cut.middle <= slot;
      insertPointer(tree, path, 1, { slot: path.slot(1) + (behind ? 1 : 0), key, child: made });
      settleSlot(path, made, 0);
      path.set(0, made, 0);
      if (!behind) tree.lowerKeys(path, 1, key);
      return;
    }
    const parentSlot = path.slot(1);
    leaf.moveTo(made, { from: cut.middle, to: leaf.count, front: true }, tree.store.format.itemBytes);
    insertPointer(tree, path, 1, { slot: parentSlot + 1, key: made.key(0), child: made });
    if (slot >= cut.middle) {
      settleSlot(path, made, 0);
      path.set(0, made, slot - cut.middle);
    } else settleSlot(path, leaf, 0);
    if (!cut.twice) return;
    // The items behind the slot fill a leaf of their own; the new one goes before them.
  }
}

/** Puts a root above the root. */
function raiseRoot(tree: TreeParts, path: Path): void {
  const level = path.height;
  const below = path.node(level - 1);
  const root = tree.store.allocate(tree, level);
  root.insertChild(0, below.key(0), below);
  tree.root = root.address;
  path.set(level, root, 0);
}

/** Puts a pointer into the path's node at `level`, which is split first when it is full. */
function insertPointer(tree: TreeParts, path: Path, level: number, what: { slot: number; key: Key; child: Node }): void {
  const node = path.node(level);
  if (node.count < pointersMax(tree.store.format)) {
    node.insertChild(what.slot, what.key, what.child);
    return;
  }
  if (level + 1 === path.height) raiseRoot(tree, path);
  const middle = (node.count + 1) >> 1;
  const made = tree.store.allocate(tree, level);
  node.moveTo(made, { from: middle, to: node.count, front: true }, 0);
  const aboveSlot = path.slot(level + 1);
  insertPointer(tree, path, level + 1, { slot: aboveSlot + 1, key: made.key(0), child: made });
  if (what.slot > middle) {
    made.insertChild(what.slot - middle, what.key, what.child);
    path.set(level, made, 0);
  } else node.insertChild(what.slot, what.key, what.child);
  settleSlot(path, path.node(level), level);
}

/** Finds the slots above a node again, after pointers have moved: where a node above was split, the path has the half with the node. */
function settleSlot(path: Path, node: Node, level: number): void {
  for (let above = level + 1, below = node; above < path.height; above++) {
    const parent = path.node(above);
    const slot = parent.children.indexOf(below.address);
    assert(slot >= 0, `node ${below.address} has a parent beside its path`);
    path.set(above, parent, slot);
    below = parent;
  }
}

/** Takes the pointer of a node that is empty out of the path's node at `level`, and frees it. */
function deletePointer(tree: TreeParts, path: Path, level: number, slot: number, child: Node): void {
  const node = path.node(level);
  node.remove(slot, 1, 0);
  tree.store.freed(tree, child);
  if (path.slot(level) > slot) path.slots[level] = path.slot(level) - 1;
  if (slot === 0 && node.count > 0) tree.lowerKeys(path, level + 1, node.key(0));
}

/** The path's leaf has lost items: it may go, give what it has to its neighbours, or stay. */
export function afterRemoval(tree: TreeParts, path: Path): void {
  const leaf = path.node(0);
  const { format } = tree.store;
  if (path.height === 1) return;
  if (leaf.count === 0) {
    deletePointer(tree, path, 1, path.slot(1), leaf);
    settleNodes(tree, path);
    return;
  }
  if (leaf.used >= (format.nodeBytes - format.headerBytes) / 3) return;
  // Only if the left neighbour takes all, or the right one what is left then, a node is saved.
  const least = format.itemBytes + (leaf.sizes[0] as number);
  path.slots[0] = 0;
  pushLeft(tree, path, least, { need: 0, emptying: true, slotsMax: Number.POSITIVE_INFINITY });
  if (path.node(0) === leaf && leaf.count > 0) {
    path.slots[0] = 0;
    pushRight(tree, path, leaf.used, { need: 0, emptying: true });
  }
  settleNodes(tree, path);
}

/** Merges nodes above the leaf that have few pointers, and takes away a root with a single one (balance_level). */
function settleNodes(tree: TreeParts, path: Path): void {
  const most = pointersMax(tree.store.format);
  for (let level = 1; level < path.height; level++) {
    const node = path.node(level);
    if (level === path.height - 1) {
      assert(node.count > 0, "a root above leaves has at least one");
      if (node.count === 1) lowerRoot(tree, node);
      return;
    }
    if (node.count === 0) {
      deletePointer(tree, path, level + 1, path.slot(level + 1), node);
      continue;
    }
    if (node.count > most / 4) return;
    const left = neighbour(tree, path, level, -1);
    const right = neighbour(tree, path, level, 1);
    const parent = path.node(level + 1);
    const slot = path.slot(level + 1);
    if (left !== undefined && left.count + node.count <= most) {
      node.moveTo(tree.own(left, parent, slot - 1), { from: 0, to: node.count, front: false }, 0);
      deletePointer(tree, path, level + 1, slot, node);
    } else if (right !== undefined && right.count + node.count <= most) {
      const filled = tree.own(right, parent, slot + 1);
      node.moveTo(filled, { from: 0, to: node.count, front: true }, 0);
      parent.setKey(slot + 1, filled.key(0));
      deletePointer(tree, path, level + 1, slot, node);
    } else return;
  }
}

/** The root has a single node below: that one becomes the root. */
function lowerRoot(tree: TreeParts, root: Node): void {
  let node = root;
  while (node.level > 0 && node.count === 1) {
    const below = tree.own(tree.store.read(node.children[0] as number), node, 0);
    tree.root = below.address;
    tree.store.freed(tree, node);
    node = below;
  }
}
