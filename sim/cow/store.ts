/** What a copy-on-write tree stands on: where nodes come from, and who counts who uses them. */
import type { Key } from "./key.ts";
import type { Node, NodeFormat } from "./node.ts";
import type { Path } from "./path.ts";

/** A tree as its store and its balancing see it. */
export interface TreeParts {
  readonly id: number;
  readonly store: NodeStore;
  /** Address of the root node. */
  root: number;
  /** The last transaction in which another tree was made to share this one's nodes; 0: never. Younger nodes are shared with nobody. */
  lastSnapshot: number;
  /** The node itself if it is own, else its copy, put into the parent's slot (or as the root). The parent must be own. */
  own(node: Node, parent: Node | undefined, slot: number): Node;
  /** The first key below a path's slots has changed: those above follow while they are first too. */
  lowerKeys(path: Path, level: number, key: Key): void;
}

export interface NodeStore {
  readonly format: NodeFormat;
  /** The node at an address, which a tree of this store has. */
  read(address: number): Node;
  /** A new, empty node of the running transaction. */
  allocate(tree: TreeParts, level: number): Node;
  /** Whether the tree may change the node in place. */
  isOwn(tree: TreeParts, node: Node): boolean;
  /** In `tree`, a copy is to stand where `original` stood. @returns whether other trees go on using the original. */
  copied(tree: TreeParts, original: Node): boolean;
  /** The tree has no use for one of its own nodes any more, which is empty or whose pointers have moved elsewhere. */
  freed(tree: TreeParts, node: Node): void;
}

/** How many pointers a node can have. */
export function pointersMax(format: NodeFormat): number {
  return Math.floor((format.nodeBytes - format.headerBytes) / format.pointerBytes);
}
