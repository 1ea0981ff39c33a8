/** Timestamps that every change leaves. */
import type { Time } from "../../core/clock.ts";
import { CTIME, MTIME, TIMES } from "./inodes.ts";
import { CHUNK_INODES } from "./layout.ts";
import type { XfsState } from "./state.ts";

/** The ends of what bigtime's 64 bits of nanoseconds hold, in seconds (XFS_BIGTIME_TIME_MIN, XFS_BIGTIME_TIME_MAX): 1901 to 2486. */
const SECONDS_MIN: number = -(2 ** 31);
const SECONDS_MAX = 16_299_260_424;

/** A time as an inode can keep it: what is beyond, as the end that it reached, without nanoseconds (timestamp_truncate). */
export function keptTime(time: Time): Time {
  if (time.seconds <= SECONDS_MIN) return { seconds: SECONDS_MIN, nanoseconds: 0 };
  return time.seconds >= SECONDS_MAX ? { seconds: SECONDS_MAX, nanoseconds: 0 } : time;
}

/** Stamps an inode's change time, and its modification time too if asked. */
export function stamp(state: XfsState, ino: number, modified: boolean): void {
  const chunk = state.chunk(ino);
  const at = (ino % CHUNK_INODES) * TIMES;
  const now = state.environment.clock.time();
  chunk.times[at + CTIME] = now;
  if (modified) chunk.times[at + MTIME] = now;
  state.dirtyInode(ino);
}
