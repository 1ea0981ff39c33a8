/** The nodes from a leaf up to its tree's root, and the slot in each: what a search leaves (fs/btrfs/ctree.h: struct btrfs_path). */
import { assert } from "../core/assert.ts";
import type { Node } from "./node.ts";

export class Path {
  /** By level: nodes[0] is the leaf. */
  readonly nodes: Node[] = [];
  readonly slots: number[] = [];

  clear(): void {
    this.nodes.length = 0;
    this.slots.length = 0;
  }

  get height(): number {
    return this.nodes.length;
  }

  node(level: number): Node {
    const node = this.nodes[level];
    if (node === undefined) assert(false, `a path has no level ${level}`);
    return node as Node;
  }

  slot(level: number): number {
    return this.slots[level] as number;
  }

  set(level: number, node: Node, slot: number): void {
    this.nodes[level] = node;
    this.slots[level] = slot;
  }
}
