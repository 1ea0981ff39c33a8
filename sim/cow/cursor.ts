/** A place among the items of a copy-on-write tree. */
import type { Key } from "./key.ts";
import type { Node } from "./node.ts";
import { Path } from "./path.ts";
import type { TreeParts } from "./store.ts";

type Searched = Pick<TreeParts, "root" | "store">;

/** A place in a tree that moves from item to item. */
export class Cursor {
  readonly #tree: Searched;
  readonly #path: Path = new Path();

  constructor(tree: Searched) {
    this.#tree = tree;
  }

  /** Moves to the first item that is not before `key`. @returns whether there is one. */
  seek(key: Key): boolean {
    const path = this.#path;
    path.clear();
    let node = this.#tree.store.read(this.#tree.root);
    for (; node.level > 0; node = this.#tree.store.read(node.childAt(path.slot(node.level))))
      path.set(node.level, node, node.childSlot(key));
    path.set(0, node, node.lowerBound(key));
    return path.slot(0) < node.count || this.nextLeaf();
  }

  /** Moves to the last item that is before `key`. @returns whether there is one. */
  seekBefore(key: Key): boolean {
    this.seek(key);
    const path = this.#path;
    if (path.slot(0) > 0) {
      path.slots[0] = path.slot(0) - 1;
      return true;
    }
    for (let level = 1; level < path.height; level++) {
      if (path.slot(level) === 0) continue;
      path.slots[level] = path.slot(level) - 1;
      for (let below = level - 1; below >= 0; below--) {
        const above = path.node(below + 1);
        const node = this.#tree.store.read(above.childAt(path.slot(below + 1)));
        path.set(below, node, node.count - 1);
      }
      return true;
    }
    return false;
  }

  /** Moves to the next item. @returns whether there is one. */
  next(): boolean {
    const path = this.#path;
    const slot = path.slot(0) + 1;
    path.slots[0] = slot;
    return slot < path.node(0).count || this.nextLeaf();
  }

  /** Moves to the first item of the next leaf. @returns whether there is one. */
  nextLeaf(): boolean {
    const path = this.#path;
    for (let level = 1; level < path.height; level++) {
      if (path.slot(level) + 1 >= path.node(level).count) continue;
      path.slots[level] = path.slot(level) + 1;
      for (let below = level - 1; below >= 0; below--) {
        const above = path.node(below + 1);
        path.set(below, this.#tree.store.read(above.childAt(path.slot(below + 1))), 0);
      }
      return true;
    }
    return false;
  }

  get key(): Key {
    return this.#path.node(0).key(this.#path.slot(0));
  }
  get value(): unknown {
    return this.#path.node(0).valueAt(this.#path.slot(0));
  }
  get size(): number {
    return this.#path.node(0).sizeAt(this.#path.slot(0));
  }
  /** As compareKeys of the item's key and `key`. */
  compare(key: Key): number {
    return this.#path.node(0).compare(this.#path.slot(0), key);
  }
  /** The nodes from the leaf (level 0) to the root. */
  nodeAt(level: number): Node {
    return this.#path.node(level);
  }
}
