/**
 * A B+ tree of records in metadata blocks (fs/xfs/libxfs/xfs_btree.c): free space, inodes and shared extents are found by such trees.
 *
 * A full block first moves a record to a neighbour below the same parent, else it is cut in half; a block that falls below half joins a
 * neighbour, or takes a record from it. A root that is cut gets a new root above it.
 *
 * Interface: the place is set by `seek` and stands until the tree changes. Records are `stride` numbers; they are ordered by the columns that
 * `order` names, which make each one unique.
 */
import { assert } from "../../core/assert.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import type { TreeRecord } from "./records.ts";
import { TreeBlock, type TreeFormat, type TreeSpace } from "./tree-block.ts";

export class BTree {
  readonly format: TreeFormat;
  readonly #space: TreeSpace;
  root: TreeBlock;
  /** Blocks of the tree, the root included. */
  blocks = 1;
  /** Records. */
  size = 0;
  /** The place: a leaf and the index of a record in it; -1: before its first. */
  #leaf: TreeBlock;
  #index = -1;

  /** An empty tree. @param root - the block of its root. */
  constructor(format: TreeFormat, space: TreeSpace, root: number) {
    this.format = format;
    this.#space = space;
    this.root = new TreeBlock(format.kind, root, 0);
    this.#leaf = this.root;
  }

  get levels(): number {
    return this.root.level + 1;
  }

  /** Numbers that an item of a block takes. */
  #width(block: TreeBlock): number {
    return block.level === 0 ? this.format.stride : this.format.order.length;
  }
  #count(block: TreeBlock): number {
    return block.items.length / this.#width(block);
  }
  #most(block: TreeBlock): number {
    return block.level === 0 ? this.format.leafMax : this.format.nodeMax;
  }

  /** Whether an item of a block is at or before a key. */
  #isAtOrBefore(block: TreeBlock, index: number, key: readonly number[]): boolean {
    const { order } = this.format;
    const from = index * this.#width(block);
    for (let n = 0; n < order.length; n++) {
      const item = block.items[from + (block.level === 0 ? (order[n] as number) : n)] as number;
      const wanted = key[n] as number;
      if (item !== wanted) return item < wanted;
    }
    return true;
  }

  /** The last item of a block at or before a key; -1 when all are behind it. */
  #search(block: TreeBlock, key: readonly number[]): number {
    let low = 0;
    let high = this.#count(block);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isAtOrBefore(block, middle, key)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Sets the place to the last record at or before a key. @returns whether there is one. */
  seek(...key: readonly number[]): boolean {
    let block = this.root;
    while (block.level > 0) block = block.children[Math.max(0, this.#search(block, key))] as TreeBlock;
    this.#leaf = block;
    this.#index = this.#search(block, key);
    return this.#index >= 0;
  }
  /** Sets the place to the first record at or behind a key. @returns whether there is one. */
  seekFrom(...key: readonly number[]): boolean {
    if (this.seek(...key) && this.#isAt(key)) return true;
    return this.next();
  }
  /** Sets the place to the last record. @returns whether there is one. */
  last(): boolean {
    let block = this.root;
    while (block.level > 0) block = block.children.at(-1) as TreeBlock;
    this.#leaf = block;
    this.#index = this.#count(block) - 1;
    return this.#index >= 0;
  }
  #isAt(key: readonly number[]): boolean {
    const { order } = this.format;
    return order.every((column, n) => this.get(column) === key[n]);
  }
  /** Sets the place to the record of a key. @returns whether there is one. */
  find(...key: readonly number[]): boolean {
    return this.seek(...key) && this.#isAt(key);
  }
  /** A column of the record at the place. */
  get(column: number): number {
    return this.#leaf.items[this.#index * this.format.stride + column] as number;
  }
  next(): boolean {
    if (this.#index + 1 < this.#count(this.#leaf)) {
      this.#index += 1;
      return true;
    }
    if (this.#leaf.right === undefined) return false;
    this.#leaf = this.#leaf.right;
    this.#index = 0;
    return true;
  }
  previous(): boolean {
    if (this.#index > 0) {
      this.#index -= 1;
      return true;
    }
    if (this.#leaf.left === undefined) return false;
    this.#leaf = this.#leaf.left;
    this.#index = this.#count(this.#leaf) - 1;
    return true;
  }

  /** Visits all records in order: the columns of each. */
  visit(visit: (record: readonly number[]) => void): void {
    let block = this.root;
    while (block.level > 0) block = block.children[0] as TreeBlock;
    const { stride } = this.format;
    for (let leaf: TreeBlock | undefined = block; leaf !== undefined; leaf = leaf.right)
      for (let at = 0; at < leaf.items.length; at += stride) visit(leaf.items.slice(at, at + stride));
  }
  /** Visits every block. */
  visitBlocks(visit: (block: TreeBlock) => void, from: TreeBlock = this.root): void {
    visit(from);
    for (const child of from.children) this.visitBlocks(visit, child);
  }

  #keyOf(record: readonly number[]): number[] {
    return this.format.order.map((column) => record[column] as number);
  }
  #firstKey(block: TreeBlock): number[] {
    if (block.level > 0) return block.items.slice(0, this.format.order.length);
    return this.#keyOf(block.items.slice(0, this.format.stride));
  }
  /** The first key of a block changed: those above it say so. */
  #updateKeys(block: TreeBlock): void {
    for (let at = block; at.parent !== undefined; at = at.parent) {
      const place = at.parent.children.indexOf(at);
      const key = this.#firstKey(at);
      at.parent.items.splice(place * key.length, key.length, ...key);
      this.#space.dirty(at.parent);
      if (place > 0) return;
    }
  }

  /** Adds a record. Precondition: there is none of its key. */
  insert(record: readonly number[]): void {
    this.seek(...this.#keyOf(record));
    const leaf = this.#leaf;
    const at = this.#index + 1;
    leaf.items.splice(at * this.format.stride, 0, ...record);
    this.size += 1;
    this.#space.dirty(leaf);
    if (at === 0) this.#updateKeys(leaf);
    this.#spread(leaf);
  }

  /** Changes columns of the record at the place; the key must stay in its order. */
  update(record: readonly number[]): void {
    const leaf = this.#leaf;
    for (const [column, value] of record.entries()) leaf.items[this.#index * this.format.stride + column] = value;
    this.#space.dirty(leaf);
    if (this.#index === 0) this.#updateKeys(leaf);
  }

  /** Takes the record of a key away. */
  remove(...key: readonly number[]): void {
    assert(this.find(...key), `${this.format.kind}: no record ${key.join(",")}`);
    const leaf = this.#leaf;
    leaf.items.splice(this.#index * this.format.stride, this.format.stride);
    this.size -= 1;
    this.#space.dirty(leaf);
    if (this.#index === 0 && leaf.items.length > 0) this.#updateKeys(leaf);
    this.#settle(leaf);
  }

  /** The neighbours of a block below the same parent. */
  #siblings(block: TreeBlock): { left: TreeBlock | undefined; right: TreeBlock | undefined } {
    const { parent, left, right } = block;
    return { left: left?.parent === parent ? left : undefined, right: right?.parent === parent ? right : undefined };
  }

  /** Moves the first or last item of a block to a neighbour. */
  #shift(block: TreeBlock, to: TreeBlock): void {
    const width = this.#width(block);
    const isRight = block.right === to;
    const items = isRight ? block.items.splice(-width) : block.items.splice(0, width);
    if (isRight) to.items.unshift(...items);
    else to.items.push(...items);
    if (block.level > 0) {
      const child = (isRight ? block.children.pop() : block.children.shift()) as TreeBlock;
      child.parent = to;
      if (isRight) to.children.unshift(child);
      else to.children.push(child);
    }
    this.#space.dirty(block);
    this.#space.dirty(to);
    this.#updateKeys(isRight ? to : block);
  }

  /** Makes a block that has one item too many fit. */
  #spread(block: TreeBlock): void {
    if (this.#count(block) <= this.#most(block)) return;
    const { left, right } = this.#siblings(block);
    if (block.parent !== undefined && right !== undefined && this.#count(right) < this.#most(right)) this.#shift(block, right);
    else if (block.parent !== undefined && left !== undefined && this.#count(left) < this.#most(left)) this.#shift(block, left);
    else this.#split(block);
  }

  #split(block: TreeBlock): void {
    const width = this.#width(block);
    const keep = Math.ceil(this.#count(block) / 2);
    const made = new TreeBlock(this.format.kind, this.#space.take(), block.level);
    this.blocks += 1;
    made.items = block.items.splice(keep * width);
    made.children = block.children.splice(block.level === 0 ? 0 : keep);
    for (const child of made.children) child.parent = made;
    made.left = block;
    made.right = block.right;
    if (made.right !== undefined) {
      made.right.left = made;
      this.#space.dirty(made.right);
    }
    block.right = made;
    this.#space.dirty(block);
    this.#space.dirty(made);
    const { parent } = block;
    if (parent === undefined) {
      this.#growRoot(block, made);
      return;
    }
    made.parent = parent;
    const place = parent.children.indexOf(block) + 1;
    const key = this.#firstKey(made);
    parent.children.splice(place, 0, made);
    parent.items.splice(place * key.length, 0, ...key);
    this.#space.dirty(parent);
    this.#spread(parent);
  }

  #growRoot(left: TreeBlock, right: TreeBlock): void {
    const root = new TreeBlock(this.format.kind, this.#space.take(), left.level + 1);
    this.blocks += 1;
    root.children = [left, right];
    root.items = [...this.#firstKey(left), ...this.#firstKey(right)];
    left.parent = root;
    right.parent = root;
    this.root = root;
    this.#space.dirty(root);
    this.#space.rootMoved();
  }

  /** Makes up for an item that a block lost. */
  #settle(block: TreeBlock): void {
    const { parent } = block;
    if (parent === undefined) {
      if (block.level > 0 && block.children.length === 1) this.#shrinkRoot(block);
      return;
    }
    if (this.#count(block) >= Math.floor(this.#most(block) / 2)) return;
    const { left, right } = this.#siblings(block);
    if (left !== undefined && this.#count(left) + this.#count(block) <= this.#most(block)) this.#join(left, block);
    else if (right !== undefined && this.#count(right) + this.#count(block) <= this.#most(block)) this.#join(block, right);
    // What has a parent has a neighbour.
    else this.#shift(left ?? (right as TreeBlock), block);
  }

  /** Moves all of the right one of two neighbours to the left one, and frees it. */
  #join(left: TreeBlock, right: TreeBlock): void {
    const wasEmpty = left.items.length === 0;
    left.items.push(...right.items);
    left.children.push(...right.children);
    for (const child of right.children) child.parent = left;
    left.right = right.right;
    if (left.right !== undefined) {
      left.right.left = left;
      this.#space.dirty(left.right);
    }
    const parent = right.parent as TreeBlock;
    const place = parent.children.indexOf(right);
    const width = this.format.order.length;
    parent.children.splice(place, 1);
    parent.items.splice(place * width, width);
    this.blocks -= 1;
    this.#space.dirty(left);
    this.#space.dirty(parent);
    this.#space.give(right);
    if (wasEmpty) this.#updateKeys(left);
    this.#settle(parent);
  }

  #shrinkRoot(root: TreeBlock): void {
    const [only] = root.children;
    assert(only !== undefined, `${this.format.kind}: a root without children`);
    only.parent = undefined;
    this.root = only;
    this.blocks -= 1;
    this.#space.give(root);
    this.#space.rootMoved();
  }

  /** Rebuilds the tree from the records of its blocks. @param read - the record of a block. @returns what `read` fails with. */
  load(root: number, read: (block: number) => TreeRecord | Errno): Errno | undefined {
    this.blocks = 0;
    this.size = 0;
    const lastOf: (TreeBlock | undefined)[] = [];
    const build = (block: number): TreeBlock | Errno => {
      const record = read(block);
      if (isErrno(record)) return record;
      const made = new TreeBlock(this.format.kind, block, record.level);
      made.items = record.items.slice();
      this.blocks += 1;
      if (record.level === 0) this.size += made.items.length / this.format.stride;
      made.left = lastOf[record.level];
      if (made.left !== undefined) made.left.right = made;
      lastOf[record.level] = made;
      for (const child of record.children) {
        const below = build(child);
        if (isErrno(below)) return below;
        below.parent = made;
        made.children.push(below);
      }
      return made;
    };
    const found = build(root);
    if (isErrno(found)) return found;
    this.root = found;
    this.#leaf = found;
    this.#index = -1;
    return undefined;
  }

  /** Throws an InvariantError unless order, keys, fill and links hold. */
  check(): void {
    const { kind, stride } = this.format;
    let last: readonly number[] | undefined;
    let count = 0;
    this.visit((record) => {
      const key = this.#keyOf(record);
      if (last !== undefined) {
        const before = last;
        const differing = key.findIndex((value, n) => value !== before[n]);
        assert(differing >= 0 && (key[differing] as number) > (before[differing] as number), `${kind}: ${key} behind ${before}`);
      }
      last = key;
      count += 1;
    });
    assert(count === this.size, `${kind}: ${count} records, ${this.size} counted`);
    let blocks = 0;
    this.visitBlocks((block) => {
      blocks += 1;
      const items = this.#count(block);
      assert(items <= this.#most(block), `${kind}: block ${block.block} has ${items} items`);
      assert(block === this.root || items > 0, `${kind}: block ${block.block} is empty`);
      if (block.level === 0) assert(block.items.length % stride === 0, `${kind}: half a record`);
      else assert(block.children.length === items, `${kind}: block ${block.block} has ${block.children.length} children`);
      for (const [at, child] of block.children.entries()) {
        assert(child.parent === block && child.level === block.level - 1, `${kind}: block ${child.block} hangs elsewhere`);
        const key = this.#firstKey(child);
        assert(
          key.every((value, n) => value === block.items[at * key.length + n]),
          `${kind}: the key of block ${child.block} is ${key}`,
        );
      }
    });
    assert(blocks === this.blocks, `${kind}: ${blocks} blocks, ${this.blocks} counted`);
  }
}
