/**
 * A copy-on-write tree of items: searches and changes in O(log n), a snapshot in O(one node).
 *
 * Words: a node is *own* while nothing but this tree's running transaction knows it: it may be changed in place. Any other node that a change meets is copied first, and so
 * is each above it up to the root (path copying). Who counts references to nodes is the tree's store.
 *
 * Interface:
 * - Values are immutable: to change one is to `set` another. Nothing here fails: space is promised before, and all nodes are in memory.
 * - A Cursor (cursor.ts) stands still while its tree does; after a change it must be placed again.
 * - The rules of splitting and of moving items to neighbours are those of btrfs (fs/btrfs/ctree.c, Linux 6.18), so that nodes are as full as its nodes.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { afterRemoval, leafRoom } from "./balance.ts";
import { Cursor } from "./cursor.ts";
import type { Key } from "./key.ts";
import { fitNode, type Purpose } from "./levels.ts";
import { bytesOf, type Node } from "./node.ts";
import { Path } from "./path.ts";
import { type NodeStore, pointersMax, type TreeParts } from "./store.ts";

export class Tree implements TreeParts {
  readonly id: number;
  readonly store: NodeStore;
  /** Address of the root node. */
  root: number;
  /** The last transaction in which another tree was made to share this one's nodes; 0: never. Younger nodes are shared with nobody. */
  lastSnapshot = 0;
  readonly #path: Path = new Path();
  /** The key that the path is for, while the tree is as it was when it was searched for; an object of -1: there is none. By its parts: who searches for a key need not make an object of it. */
  #placedObject = -1;
  #placedKind = 0;
  #placedOffset = 0;

  /** @param root - the address of the root node; absent: a new tree with an empty leaf. */
  constructor(store: NodeStore, id: number, root?: number) {
    this.store = store;
    this.id = id;
    this.root = root ?? store.allocate(this, 0).address;
  }

  get rootNode(): Node {
    return this.store.read(this.root);
  }

  // Searches

  /** The path to where a key is or belongs. What is looked for is mostly changed next: then it is there already. */
  #place(key: Key): Path {
    const path = this.#path;
    if (this.#placedObject >= 0) {
      if (this.#placedObject === key.object && this.#placedKind === key.kind && this.#placedOffset === key.offset) return path;
      const leaf = path.node(0);
      const slot = path.slot(0);
      if (slot < leaf.count && leaf.compare(slot, key) === 0) return path;
      // Between the first and the last item of the leaf: only the place in it is another.
      if (leaf.count > 0 && leaf.compare(0, key) <= 0 && leaf.compare(leaf.count - 1, key) >= 0) {
        path.slots[0] = leaf.lowerBound(key);
        this.#placed(key);
        return path;
      }
    }
    path.clear();
    let node = this.rootNode;
    for (; node.level > 0; node = this.store.read(node.childAt(path.slot(node.level))))
      path.set(node.level, node, node.childSlot(key));
    path.set(0, node, node.lowerBound(key));
    this.#placed(key);
    return path;
  }

  /** The path leads to where a key is or belongs. */
  #placed(key: Key): void {
    this.#placedObject = key.object;
    this.#placedKind = key.kind;
    this.#placedOffset = key.offset;
  }

  /** The value of an item; undefined where there is none. */
  get(key: Key): unknown {
    const path = this.#place(key);
    const leaf = path.node(0);
    const slot = path.slot(0);
    return slot < leaf.count && leaf.compare(slot, key) === 0 ? leaf.valueAt(slot) : undefined;
  }

  /** The value of the first item from `from` on, if it is before `to`. */
  first(from: Key, to: Key): unknown {
    const path = this.#place(from);
    const leaf = path.node(0);
    const slot = path.slot(0);
    if (slot < leaf.count) return leaf.compare(slot, to) < 0 ? leaf.valueAt(slot) : undefined;
    const cursor = new Cursor(this);
    return cursor.seek(from) && cursor.compare(to) < 0 ? cursor.value : undefined;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  /** Visits the items from `from` up to but not including `to`, in order, until a visit gives true. The tree must not change meanwhile. */
  visit(from: Key, to: Key, visitor: (key: Key, value: unknown, size: number) => boolean | undefined): void {
    const cursor = new Cursor(this);
    for (let more = cursor.seek(from); more; more = cursor.next()) {
      if (cursor.compare(to) >= 0) return;
      if (visitor(cursor.key, cursor.value, cursor.size) === true) return;
    }
  }

  // Changes

  /** Puts an item in, or a new value and size in the place of what its key had. */
  set(key: Key, size: number, value: unknown): void {
    const { format } = this.store;
    if (size + format.itemBytes > format.nodeBytes - format.headerBytes)
      throw new InvariantError(`an item of ${size} bytes fits no node`);
    const path = this.#place(key);
    const known = sizeIn(path, key);
    if (known === undefined) {
      this.#prepare(path, "insert");
      leafRoom(this, path, { key, bytes: size + format.itemBytes, extends: false });
      path.node(0).insertItem(path.slot(0), key, { size, value }, format.itemBytes);
      if (path.slot(0) === 0) this.lowerKeys(path, 1, key);
      this.#placed(key);
      return;
    }
    this.#prepare(path, size > known ? "insert" : "change");
    if (size > known) leafRoom(this, path, { key, bytes: size - known, extends: true });
    path.node(0).setItem(path.slot(0), size, value);
    this.#placed(key);
  }

  /**
   * Asks for so many bytes beside an item that is there, as a search for who inserts what has its key: none are made where it could not have them with what it has.
   * @returns how many its leaf has free then.
   */
  askRoom(key: Key, bytes: number): number {
    const { format } = this.store;
    const most = format.nodeBytes - format.headerBytes;
    const path = this.#prepare(this.#place(key), "insert");
    const known = sizeIn(path, key);
    assert(known !== undefined, `tree ${this.id} has an item that is to grow`);
    if (known + format.itemBytes + bytes <= most) leafRoom(this, path, { key, bytes, extends: true });
    return most - path.node(0).used;
  }

  /** Puts in items that are not there, in ascending order with nothing between them: as many at once as a leaf takes (btrfs_insert_empty_items). */
  insertAll(items: readonly { readonly key: Key; readonly size: number; readonly value: unknown }[]): void {
    const { format } = this.store;
    const most = format.nodeBytes - format.headerBytes;
    for (let from = 0; from < items.length; ) {
      let need = 0;
      let to = from;
      for (; to < items.length; to++) {
        const more = (items[to] as { size: number }).size + format.itemBytes;
        if (need + more > most) break;
        need += more;
      }
      const { key } = items[from] as { key: Key };
      const path = this.#prepare(this.#place(key), "insert");
      leafRoom(this, path, { key, bytes: need, extends: false });
      const leaf = path.node(0);
      const first = path.slot(0);
      for (let at = from; at < to; at++) {
        const item = items[at] as { readonly key: Key; readonly size: number; readonly value: unknown };
        leaf.insertItem(first + at - from, item.key, item, format.itemBytes);
      }
      if (first === 0) this.lowerKeys(path, 1, key);
      from = to;
    }
  }

  /** Gives an item another key, which no other item is or lies between, and another value of a size that is not larger (btrfs_set_item_key_safe). */
  rekey(key: Key, to: Key, item: { readonly size: number; readonly value: unknown }): void {
    const path = this.#prepare(this.#place(key), "change");
    const leaf = path.node(0);
    const slot = path.slot(0);
    assert(sizeIn(path, key) !== undefined, `tree ${this.id} has an item to give another key`);
    leaf.setKey(slot, to);
    leaf.setItem(slot, item.size, item.value);
    if (slot === 0) this.lowerKeys(path, 1, to);
  }

  /** Makes two items of one: what it had from some byte on gets a key of its own, behind it (btrfs_split_item). */
  split(
    key: Key,
    first: { readonly size: number; readonly value: unknown },
    second: { readonly key: Key; readonly size: number; readonly value: unknown },
  ): void {
    const { itemBytes } = this.store.format;
    const path = this.#prepare(this.#place(key), "insert");
    leafRoom(this, path, { key, bytes: itemBytes, extends: true });
    const leaf = path.node(0);
    leaf.setItem(path.slot(0), first.size, first.value);
    leaf.insertItem(path.slot(0) + 1, second.key, second, itemBytes);
  }

  /**
   * Searches for a key as who may take something out does: all on the way to it is own afterwards, whatever is there.
   * @returns the last item that is not behind the key.
   */
  reach(key: Key): { readonly key: Key; readonly value: unknown } | undefined {
    const path = this.#prepare(this.#place(key), "remove");
    const leaf = path.node(0);
    const slot = sizeIn(path, key) === undefined ? path.slot(0) - 1 : path.slot(0);
    return slot < 0 ? undefined : { key: leaf.key(slot), value: leaf.valueAt(slot) };
  }

  /** Gives an item that is there another value of fewer bytes, found as if it were to be taken out (btrfs_truncate_item). */
  shorten(key: Key, size: number, value: unknown): void {
    this.#prepare(this.#place(key), "remove");
    this.set(key, size, value);
  }

  /** Takes an item out. @returns whether there was one. */
  remove(key: Key): boolean {
    const path = this.#place(key);
    if (sizeIn(path, key) === undefined) return false;
    this.#takeOut(this.#prepare(path, "remove"), 1);
    return true;
  }

  /** Takes out what a path leads to, and what is behind it in the leaf, `count` items in all. */
  #takeOut(path: Path, count: number): void {
    const leaf = path.node(0);
    leaf.remove(path.slot(0), count, this.store.format.itemBytes);
    if (path.slot(0) === 0 && leaf.count > 0) this.lowerKeys(path, 1, leaf.key(0));
    afterRemoval(this, path);
  }

  /** Takes out items that are there, by ascending keys: at once those that follow each other in a leaf (btrfs_delete_delayed_items). */
  removeAll(keys: readonly Key[]): void {
    for (let at = 0; at < keys.length; ) {
      const path = this.#prepare(this.#place(keys[at] as Key), "remove");
      const leaf = path.node(0);
      let slot = path.slot(0);
      for (; at < keys.length && slot < leaf.count && leaf.compare(slot, keys[at] as Key) === 0; slot++) at++;
      assert(slot > path.slot(0), `tree ${this.id} has what is taken out`);
      this.#takeOut(path, slot - path.slot(0));
    }
  }

  /** Takes out all items from `from` up to but not including `to`, what one leaf has of them at once, the last leaf first (btrfs_truncate_inode_items). */
  removeRange(from: Key, to: Key): void {
    while (this.removeLast(from, to) !== undefined);
  }

  /** Takes out of the items from `from` up to but not including `to` those that are in the last leaf with any. @returns the first of them. */
  removeLast(from: Key, to: Key): Key | undefined {
    const cursor = new Cursor(this);
    if (!cursor.seekBefore(to) || cursor.compare(from) < 0) return undefined;
    const path = this.#prepare(this.#place(cursor.key), "remove");
    const last = path.slot(0);
    path.slots[0] = path.node(0).lowerBound(from);
    const gone = path.node(0).key(path.slot(0));
    this.#takeOut(path, last + 1 - path.slot(0));
    return gone;
  }

  /** Makes all of a path own, and fit for what is to be done at its end. @returns the path. */
  #prepare(path: Path, purpose: Purpose): Path {
    for (let level = path.height - 1; level >= 0; level--) {
      const above = level + 1 < path.height ? path.node(level + 1) : undefined;
      path.nodes[level] = this.own(path.node(level), above, above === undefined ? 0 : path.slot(level + 1));
      if (level > 0) fitNode(this, path, level, purpose);
    }
    this.#placedObject = -1;
    return path;
  }

  own(node: Node, parent: Node | undefined, slot: number): Node {
    if (this.store.isOwn(this, node)) return node;
    this.#placedObject = -1;
    const copy = this.store.allocate(this, node.level);
    copy.fillFrom(node, this.store.copied(this, node));
    if (parent === undefined) this.root = copy.address;
    else parent.setChild(slot, copy);
    return copy;
  }

  /** Another tree, which has all nodes below its root in common with this one (btrfs_copy_root): who counts references adds those of its root. */
  snapshot(id: number): Tree {
    const original = this.own(this.rootNode, undefined, 0);
    const tree = new Tree(this.store, id, original.address);
    const root = this.store.allocate(tree, original.level);
    root.fillFrom(original, true);
    tree.root = root.address;
    return tree;
  }

  lowerKeys(path: Path, level: number, key: Key): void {
    for (let above = level; above < path.height; above++) {
      path.node(above).setKey(path.slot(above), key);
      if (path.slot(above) > 0) return;
    }
  }

  /** Visits every node, parents first. */
  visitNodes(visitor: (node: Node) => void): void {
    const go = (address: number): void => {
      const node = this.store.read(address);
      visitor(node);
      for (const child of node.children) go(child);
    };
    go(this.root);
  }

  /** Throws an InvariantError when order, sizes or levels do not hold. O(items). */
  check(): void {
    const { format } = this.store;
    const go = (node: Node, low: Key | undefined, high: Key | undefined): void => {
      for (let slot = 0; slot < node.count; slot++) {
        if (slot > 0 && node.compare(slot - 1, node.key(slot)) >= 0)
          throw new InvariantError(`tree ${this.id}: keys of ${node.address} are out of order`);
        if (high !== undefined && node.compare(slot, high) >= 0)
          throw new InvariantError(`tree ${this.id}: node ${node.address} reaches into the next`);
      }
      assert(low === undefined || node.compare(0, low) === 0, `tree ${this.id}: the key above ${node.address} is its first`);
      if (node.level === 0) {
        const used = bytesOf(node, 0, node.count, format.itemBytes);
        assert(
          used === node.used && used <= format.nodeBytes - format.headerBytes,
          `leaf ${node.address} counts ${node.used}, has ${used}`,
        );
        return;
      }
      assert(node.count > 0 && node.count <= pointersMax(format), `node ${node.address} has ${node.count} pointers`);
      node.children.forEach((address, slot) => {
        const child = this.store.read(address);
        assert(child.level === node.level - 1 && child.count > 0, `node ${address} is a child of ${node.address}`);
        assert(child.generation === node.generationAt(slot), `node ${address} is as old as ${node.address} says`);
        go(child, node.key(slot), slot + 1 < node.count ? node.key(slot + 1) : high);
      });
    };
    go(this.rootNode, undefined, undefined);
  }
}

/** Bytes of the item that a path leads to, if it has the key. */
function sizeIn(path: Path, key: Key): number | undefined {
  const leaf = path.node(0);
  const slot = path.slot(0);
  return slot < leaf.count && leaf.compare(slot, key) === 0 ? leaf.sizeAt(slot) : undefined;
}
