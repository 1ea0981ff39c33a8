/** Timestamps that every change leaves. */
import { type Time, timeSet } from "../../core/clock.ts";
import type { AttributeChange } from "../../vfs/filesystem.ts";
import { ASKED, ATIME, CTIME, HOLDS, MTIME, TIMES, WORDS } from "./inodes.ts";
import { CHUNK_INODES } from "./layout.ts";
import type { XfsState } from "./state.ts";

/** The ends of what bigtime's 64 bits of nanoseconds hold, in seconds (XFS_BIGTIME_TIME_MIN, XFS_BIGTIME_TIME_MAX): 1901 to 2486. */
const SECONDS_MIN: number = -(2 ** 31);
const SECONDS_MAX = 16_299_260_424;

/** A time as an inode can keep it: what is beyond, as the end that it reached, without nanoseconds (timestamp_truncate). */
function keptTime(time: Time): Time {
  if (time.seconds <= SECONDS_MIN) return { seconds: SECONDS_MIN, nanoseconds: 0 };
  return time.seconds >= SECONDS_MAX ? { seconds: SECONDS_MAX, nanoseconds: 0 } : time;
}

/** Sets the times that a change gives to an inode, behind its stamp. @param at - where the inode's begin */
export function setTimes(times: Time[], at: number, { atime, mtime }: Pick<AttributeChange, "atime" | "mtime">): void {
  const now = times[at + CTIME] as Time;
  if (atime !== undefined) times[at + ATIME] = keptTime(timeSet(atime, now));
  if (mtime !== undefined) times[at + MTIME] = keptTime(timeSet(mtime, now));
}

/** Stamps an inode's change time, and its modification time too if asked, beside a change of something else. @returns the time. */
export function stamp(state: XfsState, ino: number, modified: boolean): Time {
  state.dirtyInode(ino);
  return putStamp(state, ino, modified);
}

/** Stamps an inode whose content was written: of the inode itself nothing else changes yet (xfs_vn_update_time). */
export function stampWrite(state: XfsState, ino: number): void {
  state.dirtyTimes(ino);
  putStamp(state, ino, true);
}

function putStamp(state: XfsState, ino: number, modified: boolean): Time {
  const { words, times } = state.chunk(ino);
  const index = ino % CHUNK_INODES;
  const at = index * TIMES;
  const { clock } = state.environment;
  const holds = words[index * WORDS + HOLDS] as number;
  const now = (holds & ASKED) === 0 ? clock.time() : clock.changeTime(times[at + CTIME] as Time);
  words[index * WORDS + HOLDS] = holds & ~ASKED;
  times[at + CTIME] = now;
  if (modified) times[at + MTIME] = now;
  return now;
}
