/** File handles of ext4 (ext4_get_parent and ext4_nfs_get_inode of fs/ext4; the encoding is the kernel's default). */
import { type FileHandles, INO32_GEN } from "../../vfs/file-handles.ts";
import { generationIn } from "./inode-words.ts";
import type { Ext4State } from "./state.ts";

export function ext4Handles(state: Ext4State): FileHandles {
  const generation = (ino: number): number => {
    const row = state.inodes.rowOf(ino);
    return generationIn(state.inodes.wordsOf(row), state.inodes.startOf(row));
  };
  return {
    type: INO32_GEN,
    words: 2,
    encode: (inode) => [inode, generation(inode)],
    decode: ([inode = 0, drawn]) =>
      inode > 0 && inode <= state.geometry.inodes && generation(inode) === drawn ? inode : undefined,
  };
}
