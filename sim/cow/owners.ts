/**
 * Which trees use an extent: its back references followed up to roots (fs/btrfs/backref.c: btrfs_find_all_roots).
 *
 * Interface: a Finder answers for one state of all trees, and remembers what it found; make a new one after a change.
 */
import { assert } from "../core/assert.ts";
import { Cursor } from "./cursor.ts";
import type { Extent, Reference } from "./extent.ts";
import type { Key } from "./key.ts";
import type { Node } from "./node.ts";
import type { ItemReference } from "./references.ts";
import type { Tree } from "./tree.ts";

/** One state of all trees. */
export interface TreesView {
  extent(start: number): Extent | undefined;
  references(extent: Extent): readonly Reference[];
  node(address: number): Node;
  /** A tree with its root as of this state; undefined where it does not count. */
  tree(id: number): Tree | undefined;
  referenceOf(leaf: Node, slot: number): ItemReference | undefined;
  /** The kind of the items that refer to data. */
  readonly dataKind: number;
}

const NONE: ReadonlySet<number> = new Set();

export class OwnerFinder {
  readonly #view: TreesView;
  readonly #found = new Map<number, ReadonlySet<number>>();

  constructor(view: TreesView) {
    this.#view = view;
  }

  /** The ids of the trees from whose roots the extent can be reached. */
  treesOf(start: number): ReadonlySet<number> {
    const known = this.#found.get(start);
    if (known !== undefined) return known;
    const extent = this.#view.extent(start);
    const out = extent === undefined ? NONE : this.#resolve(extent);
    this.#found.set(start, out);
    return out;
  }

  /** The leaves, now reachable or not, whose items use data. */
  leavesOf(start: number): ReadonlySet<number> {
    const leaves = new Set<number>();
    const extent = this.#view.extent(start);
    assert(extent !== undefined, `there is data at ${start}`);
    for (const owner of this.#view.references(extent)) for (const leaf of this.#leavesWith(extent, owner)) leaves.add(leaf);
    return leaves;
  }

  #resolve(extent: Extent): ReadonlySet<number> {
    const out = new Set<number>();
    const addAll = (address: number): void => {
      for (const id of this.treesOf(address)) out.add(id);
    };
    for (const owner of this.#view.references(extent)) {
      if (extent.level < 0) for (const leaf of this.#leavesWith(extent, owner)) addAll(leaf);
      else if (owner.parent > 0) addAll(owner.parent);
      else {
        const tree = this.#view.tree(owner.tree);
        if (tree === undefined) continue;
        if (tree.root === extent.start) out.add(tree.id);
        else addAll(this.#above(extent, tree));
      }
    }
    return out;
  }

  /** The node of the tree that points to a node. */
  #above(extent: Extent, tree: Tree): number {
    const first: Key = this.#view.node(extent.start).key(0);
    let at = tree.rootNode;
    while (at.level > extent.level + 1) at = this.#view.node(at.childAt(at.childSlot(first)));
    assert(at.childAt(at.childSlot(first)) === extent.start, `tree ${tree.id} points to node ${extent.start}, as it says`);
    return at.address;
  }

  /** The leaves whose items one reference to data stands for: a parent itself, or those of the owner's tree in which the object's items are. */
  #leavesWith(extent: Extent, owner: Reference): Set<number> {
    if (owner.parent > 0) return new Set([owner.parent]);
    const tree = this.#view.tree(owner.tree);
    assert(tree !== undefined, `the owner of data at ${extent.start}, tree ${owner.tree}, is there`);
    const leaves = new Set<number>();
    const cursor = new Cursor(tree);
    const { object } = owner;
    const kind = this.#view.dataKind;
    // Where a compressed extent ends in the file is not told by its length; all its items are found before the object's end.
    const end: Key = { object, kind: kind + 1, offset: 0 };
    let left = owner.count;
    const from: Key = { object, kind, offset: Math.max(0, owner.offset) };
    for (let more = cursor.seek(from); more && left > 0 && cursor.compare(end) < 0; more = cursor.next()) {
      const leaf = cursor.nodeAt(0);
      const item = this.#view.referenceOf(leaf, leaf.lowerBound(cursor.key));
      if (item?.start !== extent.start || item.offset !== owner.offset) continue;
      leaves.add(leaf.address);
      left -= 1;
    }
    return leaves;
  }
}
