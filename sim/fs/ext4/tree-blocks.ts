/** Where the blocks of extent trees come from and go to: counted to their inode, journaled. */
import { allocateMetadata, freeMetadata, goalOf } from "./allocate.ts";
import type { Metadata } from "./packed-words.ts";
import type { Ext4State } from "./state.ts";
import type { ExtentTree, TreeBlocks } from "./tree.ts";

/** Ends a change of an inode's extents: the tree takes or gives blocks as it needs them. @param cut - as ExtentTree.settle has it */
export function settleTree(state: Ext4State, ino: number, tree: ExtentTree, cut = false): void {
  if (tree.liesInInode) return;
  state.treeBlocks ??= treeBlocks(state);
  tree.settle(state.treeBlocks, ino, cut);
}

function treeBlocks(state: Ext4State): TreeBlocks {
  return {
    journal: state.journal,
    allocate: (ino: number) => {
      state.addBlocks(ino, 1);
      return allocateMetadata(state, goalOf(state, ino, true));
    },
    free: (ino: number, metadata: Metadata) => {
      state.addBlocks(ino, -1);
      freeMetadata(state, metadata);
    },
  };
}
