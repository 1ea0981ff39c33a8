/**
 * Who uses a piece of the device: reference counts and back references of nodes and data of copy-on-write trees
 * (fs/btrfs/extent-tree.c, delayed-ref.c, ctree.c: update_ref_for_cow; Linux 6.18).
 *
 * Words: an *extent* is a node or a run of data. A reference is either an *owner's*: some node of that tree points to it, whichever it is now; or a *parent's*: that very
 * node points to it. A node whose own pointers count as a parent's is *full*: that is what happens to a node which its owner has left to others.
 * So copying a node that nobody shares touches no other extent.
 *
 * Interface: changes gather in `pending` until the store commits them; an extent without references is to be freed then.
 */
import { assert } from "../core/assert.ts";
import type { Node } from "./node.ts";
import type { TreeParts } from "./store.ts";

/** A tree's reference: for data also from which object, and at which offset the extent would begin there. */
export interface OwnerReference {
  readonly tree: number;
  readonly object: number;
  readonly offset: number;
  readonly count: number;
}

interface ParentReference {
  readonly parent: number;
  readonly count: number;
}

export interface Extent {
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  /** Of a node; -1 for data. */
  readonly level: number;
  readonly generation: number;
  /** Whether the node's own pointers are a parent's references. */
  readonly full: boolean;
  readonly owners: readonly OwnerReference[];
  readonly parents: readonly ParentReference[];
}

/** What an item of a leaf says of the data it uses. */
export interface ItemReference {
  readonly start: number;
  readonly object: number;
  readonly offset: number;
}

/** How many references there are. */
export function referencesOf(extent: Extent): number {
  let sum = 0;
  for (const { count } of extent.owners) sum += count;
  for (const { count } of extent.parents) sum += count;
  return sum;
}

type Who = { readonly parent: number } | { readonly tree: number };

export interface ReferenceSource {
  /** The extent as the last commit left it. */
  stored(start: number): Extent | undefined;
  /** What an item refers to, if it refers to data. */
  referenceOf(leaf: Node, slot: number): ItemReference | undefined;
}

export class References {
  /** What this transaction has changed or touched, by start. */
  readonly pending: Map<number, Extent> = new Map();
  readonly #source: ReferenceSource;

  constructor(source: ReferenceSource) {
    this.#source = source;
  }

  /** An extent as it is now; undefined where there is none. */
  get(start: number): Extent | undefined {
    return this.pending.get(start) ?? this.#source.stored(start);
  }

  #known(start: number): Extent {
    const extent = this.get(start);
    if (extent === undefined) assert(false, `no extent at ${start}`);
    return extent as Extent;
  }

  count(start: number): number {
    return referencesOf(this.#known(start));
  }

  /** Puts an extent among the touched ones, without a change. */
  touch(start: number): void {
    if (!this.pending.has(start)) this.pending.set(start, this.#known(start));
  }

  /** A new node of a tree. */
  addNode(tree: TreeParts, node: Node): void {
    this.pending.set(node.address, {
      start: node.address,
      length: node.length,
      level: node.level,
      generation: node.generation,
      full: false,
      owners: [{ tree: tree.id, object: 0, offset: 0, count: 1 }],
      parents: [],
    });
  }

  /** New data, which an object of a tree uses. */
  addData(place: { start: number; length: number; generation: number }, tree: number, item: ItemReference): void {
    const owner: OwnerReference = { tree, object: item.object, offset: item.offset, count: 1 };
    this.pending.set(place.start, { ...place, level: -1, full: false, owners: [owner], parents: [] });
  }

  /** One reference of a tree's object to data more, or (`by` -1) less. */
  changeData(tree: number, item: ItemReference, by: 1 | -1): void {
    this.#changeOwner(item.start, { tree, object: item.object, offset: item.offset }, by);
  }

  #changeOwner(start: number, owner: { tree: number; object: number; offset: number }, by: number): void {
    const extent = this.#known(start);
    const owners = extent.owners.slice();
    // New references are mostly of the youngest tree: searched from the end.
    let at = owners.length - 1;
    for (; at >= 0; at--) {
      const known = owners[at] as OwnerReference;
      if (known.tree === owner.tree && known.object === owner.object && known.offset === owner.offset) break;
    }
    const before = at < 0 ? 0 : (owners[at] as OwnerReference).count;
    assert(before + by >= 0, `tree ${owner.tree} gives back a reference to ${start} that it does not have`);
    if (at < 0) owners.push({ ...owner, count: by });
    else if (before + by === 0) owners.splice(at, 1);
    else owners[at] = { ...owner, count: before + by };
    this.pending.set(start, { ...extent, owners });
  }

  #changeParent(start: number, parent: number, by: number): void {
    const extent = this.#known(start);
    const parents = extent.parents.slice();
    const at = parents.findIndex((known) => known.parent === parent);
    const before = at < 0 ? 0 : (parents[at] as ParentReference).count;
    assert(before + by >= 0, `node ${parent} gives back a reference to ${start} that it does not have`);
    if (at < 0) parents.push({ parent, count: by });
    else if (before + by === 0) parents.splice(at, 1);
    else parents[at] = { parent, count: before + by };
    this.pending.set(start, { ...extent, parents });
  }

  /** One reference to a node more or less. */
  changeNode(start: number, who: Who, by: 1 | -1): void {
    if ("parent" in who) this.#changeParent(start, who.parent, by);
    else this.#changeOwner(start, { tree: who.tree, object: 0, offset: 0 }, by);
  }

  /** One reference more or less to everything that a node points to. */
  changeBelow(node: Node, who: Who, by: 1 | -1): void {
    if (node.level > 0) {
      for (const child of node.children) this.changeNode(child, who, by);
      return;
    }
    for (let slot = 0; slot < node.count; slot++) {
      const item = this.#source.referenceOf(node, slot);
      if (item === undefined) continue;
      if ("parent" in who) this.#changeParent(item.start, who.parent, by);
      else this.changeData(who.tree, item, by);
    }
  }

  #setFull(start: number): void {
    this.pending.set(start, { ...this.#known(start), full: true });
  }

  /** In `tree`, `copy` stands where `original` stood. @param mayBeShared - false where nobody else can know the original. */
  copied(tree: TreeParts, original: Node, copy: Node, mayBeShared: boolean): void {
    const extent = mayBeShared ? this.#known(original.address) : undefined;
    const count = extent === undefined ? 1 : referencesOf(extent);
    const full = extent?.full === true;
    if (count > 1) {
      if (original.owner === tree.id && !full) {
        // What the tree's references were is the copy's now; the original counts for itself.
        this.changeBelow(original, { parent: original.address }, 1);
        this.#setFull(original.address);
      } else this.changeBelow(copy, { tree: tree.id }, 1);
    } else if (full) {
      this.changeBelow(copy, { tree: tree.id }, 1);
      this.changeBelow(original, { parent: original.address }, -1);
    }
    this.changeNode(original.address, { tree: tree.id }, -1);
  }

  /** The tree, which owns the node, leaves it to others: it and what the tree owns below count for themselves from now on. */
  disown(tree: TreeParts, node: Node): void {
    if (node.owner !== tree.id) return;
    if (!this.#known(node.address).full) {
      this.changeBelow(node, { parent: node.address }, 1);
      this.changeBelow(node, { tree: tree.id }, -1);
      this.#setFull(node.address);
    }
    for (const child of node.children) this.disown(tree, tree.store.read(child));
  }

  /**
   * Takes a whole tree's references back, from its root on, down to what others use too (btrfs_drop_snapshot).
   * @param shared - told of each subtree that others go on using.
   */
  dropTree(tree: TreeParts, shared: (node: Node) => void): void {
    const drop = (node: Node, who: Who): void => {
      const extent = this.#known(node.address);
      if (referencesOf(extent) > 1) {
        this.disown(tree, node);
        shared(node);
      } else {
        const below: Who = extent.full ? { parent: node.address } : { tree: tree.id };
        if (node.level > 0) for (const child of node.children) drop(tree.store.read(child), below);
        else this.changeBelow(node, below, -1);
      }
      this.changeNode(node.address, who, -1);
    };
    drop(tree.store.read(tree.root), { tree: tree.id });
  }
}
