/** The hash tree of an indexed directory as its blocks tell it (fs/ext4/namei.c: struct dx_root, dx_node). */
import { InvariantError } from "../../core/assert.ts";
import type { DirectoryBlock, DirectoryData, HashLeaf, HashNode } from "./directory-data.ts";

/** A directory's block by its index. */
export function blockAt(data: DirectoryData, at: number): DirectoryBlock {
  const block = data.blocks[at];
  if (block === undefined) throw new InvariantError(`directory block ${at} is not in memory`);
  return block;
}

/** What the root leads to: the leaves, or the inner nodes between it and them. */
export function indexOf({ leaves = [], nodes }: DirectoryData): number[] {
  if (nodes.length === 0) return pairsOf(leaves);
  const out: number[] = [];
  let first = 0;
  for (const node of nodes) {
    out.push(wordOf(leaves[first] as HashLeaf), node.at);
    first += node.count;
  }
  return out;
}

/** The leaves that an inner node leads to. */
function indexOfNode({ leaves = [], nodes }: DirectoryData, wanted: HashNode): number[] {
  let first = 0;
  for (const node of nodes) {
    if (node === wanted) break;
    first += node.count;
  }
  return pairsOf(leaves.slice(first, first + wanted.count));
}

function pairsOf(leaves: readonly HashLeaf[]): number[] {
  const out: number[] = [];
  for (const leaf of leaves) out.push(wordOf(leaf), leaf.at);
  return out;
}

/** A leaf's hash on the disk, whose lowest bit says that it continues. */
function wordOf({ hash, continues }: HashLeaf): number {
  return hash * 2 + (continues ? 1 : 0);
}

function leafOf(word: number, at: number): HashLeaf {
  return { hash: word >>> 1, continues: (word & 1) !== 0, at };
}

/** An inner node holds no names. */
export function makeNode(data: DirectoryData, node: HashNode, block: DirectoryBlock): void {
  block.gaps = [];
  block.index = () => indexOfNode(data, node);
}

/** Rebuilds the tree. @param indexes - what the root and the inner nodes lead to, by their blocks: pairs of hash and block. */
export function loadIndex(data: DirectoryData, indexes: ReadonlyMap<number, readonly number[]>): void {
  const ofRoot = indexes.get(0);
  if (ofRoot === undefined) return;
  const root = blockAt(data, 0);
  root.gaps = [];
  root.index = () => indexOf(data);
  const leaves: HashLeaf[] = [];
  for (let pair = 0; pair < ofRoot.length; pair += 2) {
    const at = ofRoot[pair + 1] as number;
    const below = indexes.get(at);
    if (below === undefined) leaves.push(leafOf(ofRoot[pair] as number, at));
    else {
      for (let leaf = 0; leaf < below.length; leaf += 2) leaves.push(leafOf(below[leaf] as number, below[leaf + 1] as number));
      const node = { at, count: below.length / 2 };
      data.nodes.push(node);
      makeNode(data, node, blockAt(data, at));
    }
  }
  data.leaves = leaves;
}
