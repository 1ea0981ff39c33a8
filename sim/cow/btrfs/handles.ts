/** File handles of btrfs (fs/btrfs/export.c): the inode's number, its subvolume's, and the transaction that made it. */
import type { FileHandles } from "../../vfs/file-handles.ts";
import { inodeOf, reachInode } from "./inodes.ts";
import { handleOf, inoOf, subvolumeOf } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

/** FILEID_BTRFS_WITHOUT_PARENT. */
const WITHOUT_PARENT = 0x4d;

export function btrfsHandles(state: BtrfsState): FileHandles {
  return {
    type: WITHOUT_PARENT,
    words: 5,
    encode(inode) {
      const ino = inoOf(inode);
      return [ino % 2 ** 32, Math.floor(ino / 2 ** 32), subvolumeOf(inode), 0, inodeOf(state, inode).generation];
    },
    decode([low = 0, high = 0, subvolume = 0, , generation]) {
      const handle = handleOf(subvolume, low + high * 2 ** 32);
      return reachInode(state, handle)?.generation === generation ? handle : undefined;
    },
  };
}
