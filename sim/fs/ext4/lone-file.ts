/**
 * Small files that were written once and wait for writeback: one page in memory, one block promised, nothing on the disk. Such a file has no
 * FileData: its inode's row tells which row of the page cache has its page (EXTRA), and all else follows from that.
 *
 * Interface: whoever wants more of a file than to read it asks `fileOf` or `makeFile` (file.ts), which give it its FileData.
 */
import type { Content } from "../../core/content.ts";
import { inodeHandle, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import type { LonePages } from "../../vfs/lone-pages.ts";
import { canReserve } from "./allocate.ts";
import { FileData } from "./file-data.ts";
import { EXTRA, MODE, putSize, sizeIn } from "./inode-words.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";

/** The row of a file's lone page; 0 when it has none. @param words - that have the inode's row, which begins `at`. */
export function lonePageIn(words: Int32Array, at: number): number {
  const extra = words[at + EXTRA] as number;
  return extra < 0 && ((words[at + MODE] as number) & S_IFMT) === S_IFREG ? -extra : 0;
}

function pagesOf(state: Ext4State): LonePages {
  return state.lonePages as LonePages;
}

export function lonePageOf(state: Ext4State, ino: number): number {
  const row = state.inodes.rowOf(ino);
  return lonePageIn(state.inodes.wordsOf(row), state.inodes.startOf(row));
}

/** Writes the first bytes of a file that never had any, at most a block. @returns whether it did: the file had some, or there is no room. */
export function writeLone(state: Ext4State, ino: number, content: Content): boolean {
  const { inodes } = state;
  const row = inodes.rowOf(ino);
  const words = inodes.wordsOf(row);
  const at = inodes.startOf(row);
  if (content.length > BLOCK_SIZE || words[at + EXTRA] !== 0 || sizeIn(words, at) !== 0 || !canReserve(state, 1)) return false;
  state.delayedBlocks += 1;
  const lonePages = pagesOf(state);
  words[at + EXTRA] = -lonePages.add(inodeHandle(ino), content);
  lonePages.afterWrite();
  putSize(words, at, content.length);
  const data = state.data(ino);
  // Memory is so full that the page was written back at once.
  if (data instanceof FileData && data.delayedBlocks === 0 && data.onDisk !== content.length) {
    data.onDisk = content.length;
    state.dirtyData(ino);
  }
  stamp(state, ino, true);
  return true;
}

/** The bytes of a part of a file's lone page. */
export function readLone(state: Ext4State, page: number, from: number, to: number): Content {
  return pagesOf(state).read(page, from, to);
}

/** Gives the file of a lone page its FileData. */
export function makeWhole(state: Ext4State, ino: number, page: number): FileData {
  const data = new FileData();
  data.delay(0, 1);
  data.mapping = pagesOf(state).toMapping(page);
  state.setData(ino, data);
  return data;
}

/** Forgets the page of a file that is freed, and its promise. */
export function dropLone(state: Ext4State, page: number): void {
  pagesOf(state).remove(page);
  state.delayedBlocks -= 1;
}
