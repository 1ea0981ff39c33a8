/** File handles of xfs (fs/xfs/xfs_export.c): the number in 64 bits, and the generation. */
import type { FileHandles } from "../../vfs/file-handles.ts";
import { generationOf, INNER_FLAGS } from "./inodes.ts";
import { CHUNK_INODES, groupInodes, groupOfInode, inodeGroups } from "./layout.ts";
import type { XfsState } from "./state.ts";

/** FILEID_INO32_GEN | XFS_FILEID_TYPE_64FLAG. */
const INO64_GEN = 0x81;

/** Whether a number is in a chunk that there is (xfs_imap_lookup, of a number that cannot be trusted). */
function isThere(state: XfsState, ino: number): boolean {
  const { geometry } = state;
  const group = groupOfInode(geometry, ino);
  const inGroup = ino % groupInodes(geometry);
  return group < inodeGroups(geometry) && state.group(group).inodes.find(inGroup - (inGroup % CHUNK_INODES));
}

export function xfsHandles(state: XfsState): FileHandles {
  const generation = (ino: number): number => generationOf(state.word(ino, INNER_FLAGS)) >>> 0;
  return {
    type: INO64_GEN,
    words: 3,
    encode: (inode) => [inode % 2 ** 32, Math.floor(inode / 2 ** 32), generation(inode)],
    decode([low = 0, high = 0, drawn]) {
      const inode = low + high * 2 ** 32;
      return isThere(state, inode) && generation(inode) === drawn ? inode : undefined;
    },
  };
}
