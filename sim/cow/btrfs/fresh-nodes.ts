/** Nodes that the running transaction has made: how many it still has, and which are to be written. */
import type { Node } from "../node.ts";

export class FreshNodes {
  /** How many there are. */
  count = 0;
  /** In the order in which they were made, those that have gone among them, which are sealed. */
  #unwritten: Node[] = [];

  add(node: Node): void {
    this.count += 1;
    this.#unwritten.push(node);
  }

  /** One has gone: it is not written. */
  drop(node: Node): void {
    this.count -= 1;
    node.seal();
  }

  /** Those that are not written yet, in the order of their addresses. They count as written from now on. */
  takeUnwritten(): Node[] {
    const nodes = this.#unwritten.filter(({ isSealed }) => !isSealed);
    this.#unwritten = [];
    return nodes.sort((one, other) => one.address - other.address);
  }

  /** The transaction has ended. */
  clear(): void {
    this.count = 0;
    this.#unwritten = [];
  }
}
