/** Timestamps that every change leaves. */
import { CTIME, MTIME, TIMES } from "./inodes.ts";
import { CHUNK_INODES } from "./layout.ts";
import type { XfsState } from "./state.ts";

/** Stamps an inode's change time, and its modification time too if asked. */
export function stamp(state: XfsState, ino: number, modified: boolean): void {
  const chunk = state.chunk(ino);
  const at = (ino % CHUNK_INODES) * TIMES;
  const now = state.environment.clock.time();
  chunk.times[at + CTIME] = now;
  if (modified) chunk.times[at + MTIME] = now;
  state.dirtyInode(ino);
}
