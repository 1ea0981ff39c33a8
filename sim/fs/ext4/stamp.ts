/** Timestamps that every change leaves. */
import { CTIME, MTIME, TIMES } from "./inodes.ts";
import type { Ext4State } from "./state.ts";

/** Stamps an inode's change time, and its modification time too if asked. */
export function stamp(state: Ext4State, ino: number, modified: boolean): void {
  const chunk = state.chunk(ino);
  const at = ((ino - 1) & 63) * TIMES;
  const now = state.environment.clock.time();
  chunk.times[at + CTIME] = now;
  if (modified) chunk.times[at + MTIME] = now;
  chunk.dirty((ino - 1) & 63, state.journal);
}
