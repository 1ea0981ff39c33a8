/** Timestamps that every change leaves. */
import type { Time } from "../../core/clock.ts";
import { ASKED, CTIME, HOLDS, MTIME, WORDS } from "./inode-words.ts";
import type { InodeChunk } from "./inodes.ts";
import type { Ext4State } from "./state.ts";
import { putTime } from "./times.ts";

/** Stamps an inode's change time, and its modification time too if asked. @returns the time. */
export function stamp(state: Ext4State, ino: number, modified: boolean): Time {
  return stampIn(state, state.chunk(ino), (ino - 1) & 63, modified);
}

/** The same of an inode whose chunk is at hand. @param index - its place in the chunk. */
export function stampIn(state: Ext4State, chunk: InodeChunk, index: number, modified: boolean): Time {
  const { words } = chunk;
  const start = chunk.start + index * WORDS;
  const { clock } = state.environment;
  const holds = words[start + HOLDS] as number;
  const now = (holds & ASKED) === 0 ? clock.time() : clock.changeTime(state.times.get(words, start + CTIME));
  words[start + HOLDS] = holds & ~ASKED;
  putTime(words, start + CTIME, now);
  if (modified) putTime(words, start + MTIME, now);
  chunk.dirty(index, state.journal);
  return now;
}
