/** Timestamps that every change leaves. */
import { CTIME, MTIME, WORDS } from "./inode-words.ts";
import type { InodeChunk } from "./inodes.ts";
import type { Ext4State } from "./state.ts";
import { putTime } from "./times.ts";

/** Stamps an inode's change time, and its modification time too if asked. */
export function stamp(state: Ext4State, ino: number, modified: boolean): void {
  stampIn(state, state.chunk(ino), (ino - 1) & 63, modified);
}

/** The same of an inode whose chunk is at hand. @param index - its place in the chunk. */
export function stampIn(state: Ext4State, chunk: InodeChunk, index: number, modified: boolean): void {
  const start = chunk.start + index * WORDS;
  const now = state.environment.clock.time();
  putTime(chunk.words, start + CTIME, now);
  if (modified) putTime(chunk.words, start + MTIME, now);
  chunk.dirty(index, state.journal);
}
