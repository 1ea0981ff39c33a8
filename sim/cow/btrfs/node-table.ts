/** Nodes by address. A snapshot of a large tree looks for hundreds of them, all over the device: each is one look into an array, nothing is hashed. */
import type { Node } from "../node.ts";
import { NODE_SIZE } from "./layout.ts";

const PAGE_BITS = 10;
const PAGE_MASK: number = 2 ** PAGE_BITS - 1;

export class NodeTable {
  readonly #pages: (Node | undefined)[][] = [];

  /** The node at an address, a multiple of a node's size; undefined where there is none. */
  get(address: number): Node | undefined {
    const index = address / NODE_SIZE;
    return this.#pages[index >>> PAGE_BITS]?.[index & PAGE_MASK];
  }

  set(address: number, node: Node): void {
    const index = address / NODE_SIZE;
    const at = index >>> PAGE_BITS;
    let page = this.#pages[at];
    if (page === undefined) {
      page = new Array<Node | undefined>(PAGE_MASK + 1).fill(undefined);
      this.#pages[at] = page;
    }
    page[index & PAGE_MASK] = node;
  }

  /** Takes out a node that is there. */
  delete(address: number): void {
    const index = address / NODE_SIZE;
    const page = this.#pages[index >>> PAGE_BITS] as (Node | undefined)[];
    page[index & PAGE_MASK] = undefined;
  }
}
