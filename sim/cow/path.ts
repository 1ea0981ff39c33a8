/** The nodes from a leaf up to its tree's root, and the slot in each: what a search leaves (fs/btrfs/ctree.h: struct btrfs_path). */
import { assert } from "../core/assert.ts";
import type { Node } from "./node.ts";

export class Path {
  /** By level: nodes[0] is the leaf. */
  readonly nodes: Node[] = [];
  readonly slots: number[] = [];

  /** How many levels it has; what the arrays hold beyond is left over. */
  height = 0;

  clear(): void {
    this.height = 0;
  }

  node(level: number): Node {
    assert(level < this.height, "a path has the level");
    return this.nodes[level] as Node;
  }

  slot(level: number): number {
    return this.slots[level] as number;
  }

  set(level: number, node: Node, slot: number): void {
    if (level >= this.height) this.height = level + 1;
    this.nodes[level] = node;
    this.slots[level] = slot;
  }
}
