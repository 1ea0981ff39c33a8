/**
 * Keeping the nodes above a copy-on-write tree's leaves filled: each node on the way down to a change gets room for what the change may put in, or more to hold, before
 * its children are looked at (fs/btrfs/ctree.c: setup_nodes_for_search, split_node, push_nodes_for_insert, balance_level; Linux 6.18).
 *
 * Interface: nodes of the path from `level` up are own; afterwards the path leads to the same child as before.
 */
import { assert } from "../core/assert.ts";
import type { Node } from "./node.ts";
import type { Path } from "./path.ts";
import { pointersMax, type TreeParts } from "./store.ts";

/** What a search is for: the sign of btrfs_search_slot's ins_len. */
export type Purpose = "insert" | "change" | "remove";

/** A node with fewer free pointers is split before anything is put in below it: a leaf may be split twice, and so may this node. */
const SPARE_POINTERS = 3;
/** What a push leaves in a node that it does not empty. */
const KEPT_POINTERS = 8;
/** A node with fewer pointers gives none to the right. */
const SHARED_MIN = 4;

/** Makes the path's node at `level` fit for a change below it. The tree may become one level higher or lower. */
export function fitNode(tree: TreeParts, path: Path, level: number, purpose: Purpose): void {
  const most = pointersMax(tree.store.format);
  const { count } = path.node(level);
  if (purpose === "insert" && count >= most - SPARE_POINTERS) splitNode(tree, path, level, most);
  else if (purpose === "remove" && count < most >> 1) balanceLevel(tree, path, level, most);
}

// Pointers

/** Puts a root above the root. */
export function raiseRoot(tree: TreeParts, path: Path): void {
  const level = path.height;
  const below = path.node(level - 1);
  const root = tree.store.allocate(tree, level);
  root.insertChild(0, below.key(0), below);
  tree.root = root.address;
  path.set(level, root, 0);
}

/** Takes the pointer of a node that is empty out of the path's node at `level`, and frees it. */
export function removePointer(
  tree: TreeParts,
  path: Path,
  what: { readonly level: number; readonly slot: number; readonly child: Node },
): void {
  const { level, slot, child } = what;
  const node = path.node(level);
  node.remove(slot, 1, 0);
  assert(node.count > 0, `node ${node.address} was fit to lose a pointer`);
  if (slot === 0) tree.lowerKeys(path, level + 1, node.key(0));
  tree.store.freed(tree, child);
}

/** The neighbour of the path's node at `level`, to be changed; undefined where the parent has none on that side, or one with more than `most` pointers. */
function ownNeighbour(
  tree: TreeParts,
  path: Path,
  level: number,
  side: { readonly by: 1 | -1; readonly most: number },
): Node | undefined {
  const parent = path.node(level + 1);
  const slot = path.slot(level + 1) + side.by;
  if (slot < 0 || slot >= parent.count) return undefined;
  const found = tree.store.read(parent.childAt(slot));
  return found.count > side.most ? undefined : tree.own(found, parent, slot);
}

/** Moves pointers to the node on the left: all but a few, or, to empty it, all if they fit (push_node_left). @returns whether any have moved. */
function pushNodeLeft(left: Node, node: Node, most: number, emptying: boolean): boolean {
  const free = most - left.count;
  if (free <= 0 || (!emptying && node.count <= KEPT_POINTERS)) return false;
  let moved = Math.min(emptying ? node.count : node.count - KEPT_POINTERS, free);
  if (emptying && moved < node.count && node.count - moved < KEPT_POINTERS) {
    if (moved <= KEPT_POINTERS) return false;
    moved -= KEPT_POINTERS;
  }
  node.moveTo(left, { from: 0, to: moved, front: false }, 0);
  return true;
}

/** Moves up to half of the pointers to the node on the right (balance_node_right). @returns whether any have moved. */
function shareRight(node: Node, right: Node, most: number): boolean {
  const free = most - right.count;
  const half = (node.count >> 1) + 1;
  if (free <= 0 || node.count < SHARED_MIN || half >= node.count) return false;
  node.moveTo(right, { from: node.count - Math.min(half, free), to: node.count, front: true }, 0);
  return true;
}

// Insertions

function splitNode(tree: TreeParts, path: Path, level: number, most: number): void {
  if (level + 1 === path.height) raiseRoot(tree, path);
  else if (pushForInsertion(tree, path, level, most) && path.node(level).count < most - SPARE_POINTERS) return;
  const node = path.node(level);
  const middle = (node.count + 1) >> 1;
  const made = tree.store.allocate(tree, level);
  node.moveTo(made, { from: middle, to: node.count, front: true }, 0);
  path.node(level + 1).insertChild(path.slot(level + 1) + 1, made.key(0), made);
  if (path.slot(level) < middle) return;
  path.set(level, made, path.slot(level) - middle);
  path.slots[level + 1] = path.slot(level + 1) + 1;
}

/** Moves pointers of the path's node, which is full, to a neighbour with room. @returns whether any have moved. */
function pushForInsertion(tree: TreeParts, path: Path, level: number, most: number): boolean {
  const node = path.node(level);
  const parent = path.node(level + 1);
  const parentSlot = path.slot(level + 1);
  const slot = path.slot(level);
  const left = ownNeighbour(tree, path, level, { by: -1, most: most - 2 });
  const before = left?.count ?? 0;
  if (left !== undefined && pushNodeLeft(left, node, most, false)) {
    parent.setKey(parentSlot, node.key(0));
    const moved = left.count - before;
    if (slot >= moved) path.slots[level] = slot - moved;
    else {
      path.set(level, left, before + slot);
      path.slots[level + 1] = parentSlot - 1;
    }
    return true;
  }
  const right = ownNeighbour(tree, path, level, { by: 1, most: most - 2 });
  if (right === undefined || !shareRight(node, right, most)) return false;
  parent.setKey(parentSlot + 1, right.key(0));
  if (slot >= node.count) {
    path.set(level, right, slot - node.count);
    path.slots[level + 1] = parentSlot + 1;
  }
  return true;
}

// Removals

/** Merges the path's node, where it has few pointers, with its neighbours; a root with a single pointer gives way to the node below. */
function balanceLevel(tree: TreeParts, path: Path, level: number, most: number): void {
  const node = path.node(level);
  if (level + 1 === path.height) {
    if (node.count === 1) lowerRoot(tree, path, node);
    return;
  }
  if (node.count > most >> 2) return;
  const parent = path.node(level + 1);
  const parentSlot = path.slot(level + 1);
  const left = ownNeighbour(tree, path, level, { by: -1, most });
  const right = ownNeighbour(tree, path, level, { by: 1, most });
  const slot = path.slot(level) + (left?.count ?? 0);
  if (left !== undefined) pushNodeLeft(left, node, most, true);
  if (right !== undefined) {
    pushNodeLeft(node, right, most, true);
    if (right.count === 0) removePointer(tree, path, { level: level + 1, slot: parentSlot + 1, child: right });
    else parent.setKey(parentSlot + 1, right.key(0));
  }
  // A removal below may take the last pointer of a node with only one.
  if (node.count === 1) {
    assert(left !== undefined, `node ${node.address} has a neighbour to share with`);
    if (!shareRight(left, node, most)) pushNodeLeft(left, node, most, true);
  }
  if (node.count === 0) removePointer(tree, path, { level: level + 1, slot: parentSlot, child: node });
  else parent.setKey(parentSlot, node.key(0));
  if (left === undefined) return;
  if (slot >= left.count) path.slots[level] = slot - left.count;
  else {
    path.set(level, left, slot);
    path.slots[level + 1] = parentSlot - 1;
  }
}

/** The root has a single node below, which becomes the root. */
function lowerRoot(tree: TreeParts, path: Path, root: Node): void {
  const level = path.height - 2;
  const below = tree.own(path.node(level), root, 0);
  path.nodes[level] = below;
  path.height = level + 1;
  tree.root = below.address;
  tree.store.freed(tree, root);
}
