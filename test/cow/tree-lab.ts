/** A store of small nodes in memory, for tests of trees. */
import type { Key } from "../../sim/cow/key.ts";
import { Node, type NodeFormat } from "../../sim/cow/node.ts";
import type { NodeStore, TreeParts } from "../../sim/cow/store.ts";

/** Nodes of 512 bytes with room for few items and twenty pointers, so that short sequences split and merge. */
export const FORMAT: NodeFormat = { nodeBytes: 512, headerBytes: 12, itemBytes: 25, pointerBytes: 25 };

/** Trees that never share: each node is own until `freeze`. */
export class MemoryStore implements NodeStore {
  readonly format: NodeFormat = FORMAT;
  readonly nodes: Map<number, Node> = new Map();
  generation = 1;
  #next = 1;
  read(address: number): Node {
    return this.nodes.get(address) as Node;
  }
  allocate(tree: TreeParts, level: number): Node {
    const node = new Node({ length: 512, address: this.#next++, generation: this.generation, level, owner: tree.id });
    this.nodes.set(node.address, node);
    return node;
  }
  isOwn(_tree: TreeParts, node: Node): boolean {
    return node.generation === this.generation;
  }
  /** Whether others are told to go on using what a transaction copies. */
  keeps = false;
  copied(): boolean {
    return this.keeps;
  }
  freed(_tree: TreeParts, node: Node): void {
    this.nodes.delete(node.address);
  }
}

export const key = (n: number): Key => ({ object: Math.floor(n / 16), kind: Math.floor(n / 4) % 4, offset: n % 4 });
