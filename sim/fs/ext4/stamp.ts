/** Timestamps that every change leaves. */
import { CTIME, MTIME, WORDS } from "./inode-words.ts";
import type { Ext4State } from "./state.ts";
import { putTime } from "./times.ts";

/** Stamps an inode's change time, and its modification time too if asked. */
export function stamp(state: Ext4State, ino: number, modified: boolean): void {
  const chunk = state.chunk(ino);
  const index = (ino - 1) & 63;
  const start = chunk.start + index * WORDS;
  const now = state.environment.clock.time();
  putTime(chunk.words, start + CTIME, now);
  if (modified) putTime(chunk.words, start + MTIME, now);
  chunk.dirty(index, state.journal);
}
