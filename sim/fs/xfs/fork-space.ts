/** Where the blocks of an inode's extent tree come from and go to: counted to it, logged. */
import type { ForkSpace } from "./fork.ts";
import { blockOfInode, extentsPerBlock } from "./layout.ts";
import { allocateMetadata, freeMetadata } from "./space.ts";
import type { XfsState } from "./state.ts";

export function forkSpace(state: XfsState, ino: number): ForkSpace {
  return {
    inInode: Math.floor(state.dataForkBytes(ino) / 16),
    perBlock: extentsPerBlock(state.geometry),
    allocate: () => {
      state.addBlocks(ino, 1);
      return allocateMetadata(state, blockOfInode(state.geometry, ino));
    },
    free: (metadata, block) => {
      state.addBlocks(ino, -1);
      freeMetadata(state, metadata, block);
    },
    dirty: (metadata) => state.log.dirty(metadata),
  };
}
