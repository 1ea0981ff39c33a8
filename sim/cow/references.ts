/**
 * Who uses a piece of the device: reference counts and back references of nodes and data of copy-on-write trees
 * (fs/btrfs/extent-tree.c, delayed-ref.c, ctree.c: update_ref_for_cow; Linux 6.18).
 *
 * Words: an *extent* is a node or a run of data. A reference is either an *owner's*: some node of that tree points to it, whichever it is now; or a *parent's*: that very
 * node points to it. A node whose own pointers count as a parent's is *full*: that is what happens to a node which its owner has left to others.
 * So copying a node that nobody shares touches no other extent.
 *
 * Interface: changes gather until the store commits them, which takes them one extent after the other; an extent without references is to be freed then. A change costs the same however many references its
 * extent has.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { changesOf, type Delta, Deltas, newExtent } from "./deltas.ts";
import { type Extent, type Reference, sameReference } from "./extent.ts";
import type { Node } from "./node.ts";
import type { TreeParts } from "./store.ts";

/** What an item of a leaf says of the data it uses. */
export interface ItemReference {
  readonly start: number;
  readonly object: number;
  readonly offset: number;
}

type Who = { readonly parent: number } | { readonly tree: number };

/** References to a node, or a parent's to data. */
function referenceBy(who: Who, count: number): Reference {
  const parent = "parent" in who ? who.parent : 0;
  const tree = "parent" in who ? 0 : who.tree;
  return { parent, tree, object: 0, offset: 0, count };
}

export interface ReferenceSource {
  /** The extent as the last commit left it. */
  stored(start: number): Extent | undefined;
  /** All references of it, those too that are kept apart. */
  storedReferences(extent: Extent): readonly Reference[];
  /** What an item refers to, if it refers to data. */
  referenceOf(leaf: Node, slot: number): ItemReference | undefined;
}

export class References {
  readonly #deltas: Deltas = new Deltas();
  readonly #source: ReferenceSource;
  /** Each owner's reference to a node, given and taken: it says the same of all that the transaction gives and takes. */
  readonly #given: Map<number, Reference> = new Map();
  readonly #taken: Map<number, Reference> = new Map();

  constructor(source: ReferenceSource) {
    this.#source = source;
  }

  /** Of how many extents something is pending. */
  get pending(): number {
    return this.#deltas.left;
  }

  /** Whether anything is pending. */
  get isChanged(): boolean {
    return this.#deltas.left > 0;
  }

  /** What is pending: the starts of extents, in the order of the first change. */
  changed(): number[] {
    return this.#deltas.starts();
  }

  /** Takes the extent out that was changed first; undefined when none is left. It may change again, and is pending again then. */
  take(): Delta | undefined {
    const delta = this.#deltas.take();
    if (delta === undefined) {
      this.#given.clear();
      this.#taken.clear();
    }
    return delta;
  }

  /** Forgets an extent that this transaction has made and nobody refers to any more. @returns whether it was one (check_ref_cleanup). */
  forget(start: number): boolean {
    const delta = this.#deltas.get(start);
    if (delta === undefined || !delta.isNew || delta.more > 0) return false;
    this.#deltas.passed(delta);
    return true;
  }

  /** An extent as it is now, but for its references; undefined where there is none. */
  extent(start: number): Extent | undefined {
    const delta = this.#deltas.get(start);
    return delta?.isNew === true ? newExtent(delta) : this.#source.stored(start);
  }

  #stored(start: number): Extent {
    const extent = this.#source.stored(start);
    if (extent === undefined) throw new InvariantError(`no extent at ${start}`);
    return extent;
  }

  /** The bytes of an extent. */
  lengthOf(start: number): number {
    const delta = this.#deltas.get(start);
    return delta?.isNew === true ? delta.length : this.#stored(start).length;
  }

  /** How many references an extent has now. */
  count(start: number): number {
    const delta = this.#deltas.get(start);
    if (delta?.isNew === true) return delta.more;
    return this.#stored(start).references + (delta?.more ?? 0);
  }

  /** Everybody's references to an extent as they are now. O(references). */
  referencesTo(start: number): readonly Reference[] {
    const delta = this.#deltas.get(start);
    const stored = delta?.isNew === true ? [] : this.#source.storedReferences(this.#stored(start));
    if (delta?.change === undefined) return stored;
    const now = stored.slice();
    for (const change of changesOf(delta)) {
      const at = now.findIndex((one) => sameReference(one, change));
      const count = change.count + (now[at]?.count ?? 0);
      if (at < 0) now.push(change);
      else now[at] = { ...change, count };
    }
    return now.filter(({ count }) => count > 0);
  }

  #isFull(start: number): boolean {
    const delta = this.#deltas.get(start);
    if (delta !== undefined && (delta.becomesFull || delta.isNew)) return delta.becomesFull;
    return this.#stored(start).full;
  }

  /** Puts an extent among the touched ones, without a change. */
  touch(start: number): void {
    this.#deltas.get(start) ?? this.#deltas.add(start, undefined);
  }

  #make(place: { start: number; length: number; generation: number }, level: number, first: Reference): void {
    const delta = this.#deltas.add(place.start, first);
    delta.isNew = true;
    delta.length = place.length;
    delta.level = level;
    delta.generation = place.generation;
  }

  /** A new node of a tree. */
  addNode(tree: TreeParts, node: Node): void {
    const { address, length, generation } = node;
    this.#make({ start: address, length, generation }, node.level, this.#ownersReference(tree.id, 1));
  }

  /** New data, which an object of a tree uses. */
  addData(place: { start: number; length: number; generation: number }, tree: number, item: ItemReference): void {
    this.#make(place, -1, { parent: 0, tree, object: item.object, offset: item.offset, count: 1 });
  }

  #change(start: number, change: Reference): void {
    const delta = this.#deltas.get(start);
    if (delta === undefined) {
      this.#deltas.add(start, change);
      return;
    }
    delta.more += change.count;
    const { change: first, others } = delta;
    // What is given back was mostly taken last: searched from the end.
    for (let at = (others?.length ?? 0) - 1; at >= 0; at--) {
      const known = (others as Reference[])[at] as Reference;
      if (!sameReference(known, change)) continue;
      const count = known.count + change.count;
      if (count === 0) (others as Reference[]).splice(at, 1);
      else (others as Reference[])[at] = { ...known, count };
      return;
    }
    if (first === undefined) delta.change = change;
    else if (sameReference(first, change)) {
      const count = first.count + change.count;
      delta.change = count === 0 ? others?.shift() : { ...first, count };
    } else if (others === undefined) delta.others = [change];
    else others.push(change);
  }

  /** One reference of a tree's object to data more, or (`by` -1) less. */
  changeData(tree: number, item: ItemReference, by: 1 | -1): void {
    this.#change(item.start, { parent: 0, tree, object: item.object, offset: item.offset, count: by });
  }

  /** An owner's reference to a node. */
  #ownersReference(tree: number, by: 1 | -1): Reference {
    const known = by === 1 ? this.#given : this.#taken;
    let reference = known.get(tree);
    if (reference === undefined) {
      reference = referenceBy({ tree }, by);
      known.set(tree, reference);
    }
    return reference;
  }

  /** One reference to a node more or less. */
  changeNode(start: number, who: Who, by: 1 | -1): void {
    this.#change(start, "tree" in who ? this.#ownersReference(who.tree, by) : referenceBy(who, by));
  }

  /** One reference more or less to everything that a node points to. */
  changeBelow(node: Node, who: Who, by: 1 | -1): void {
    // One reference says the same of everything below.
    const change = referenceBy(who, by);
    if (node.level > 0) {
      for (const child of node.children) this.#change(child, change);
      return;
    }
    for (let slot = 0; slot < node.count; slot++) {
      const item = this.#source.referenceOf(node, slot);
      if (item === undefined) continue;
      if ("parent" in who) this.#change(item.start, change);
      else this.changeData(who.tree, item, by);
    }
  }

  #setFull(start: number): void {
    const delta = this.#deltas.get(start) ?? this.#deltas.add(start, undefined);
    delta.becomesFull = true;
  }

  /**
   * In `tree`, a copy stands where `original` stood.
   * @param mayBeShared - false where nobody else can know the original.
   * @returns whether others go on using it.
   */
  copied(tree: TreeParts, original: Node, mayBeShared: boolean): boolean {
    const isShared = mayBeShared && this.count(original.address) > 1;
    const full = mayBeShared && this.#isFull(original.address);
    if (isShared && original.owner === tree.id && !full) {
      // What the tree's references were is the copy's now; the original counts for itself.
      this.changeBelow(original, { parent: original.address }, 1);
      this.#setFull(original.address);
    } else if (isShared || full) {
      this.changeBelow(original, { tree: tree.id }, 1);
      if (!isShared) this.changeBelow(original, { parent: original.address }, -1);
    }
    this.#change(original.address, this.#ownersReference(tree.id, -1));
    return isShared;
  }

  /** The tree, which owns the node, leaves it to others: it and what the tree owns below count for themselves from now on. */
  disown(tree: TreeParts, node: Node): void {
    if (node.owner !== tree.id) return;
    assert(!this.#isFull(node.address), `tree ${tree.id} has not left node ${node.address} yet`);
    this.changeBelow(node, { parent: node.address }, 1);
    this.changeBelow(node, { tree: tree.id }, -1);
    this.#setFull(node.address);
    for (const child of node.children) this.disown(tree, tree.store.read(child));
  }

  /**
   * Takes a whole tree's references back, from its root on, down to what others use too (btrfs_drop_snapshot).
   * @param shared - told of each subtree that others go on using.
   */
  dropTree(tree: TreeParts, shared: (node: Node) => void): void {
    const drop = (node: Node, who: Who): void => {
      if (this.count(node.address) > 1) {
        this.disown(tree, node);
        shared(node);
      } else {
        const below: Who = this.#isFull(node.address) ? { parent: node.address } : { tree: tree.id };
        if (node.level > 0) for (const child of node.children) drop(tree.store.read(child), below);
        else this.changeBelow(node, below, -1);
      }
      this.changeNode(node.address, who, -1);
    };
    drop(tree.store.read(tree.root), { tree: tree.id });
  }
}
