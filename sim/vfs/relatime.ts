/**
 * When reading sets atime (fs/inode.c: relatime_need_update): when it is not later than mtime or ctime, or a day old.
 */
import { compareTimes, type Time } from "../core/clock.ts";

const A_DAY_IN_SECONDS = 86_400;

/** Whether a read at `now` sets the atime of an inode with these times. */
export function needsAtime(times: { readonly atime: Time; readonly mtime: Time; readonly ctime: Time }, now: Time): boolean {
  const { atime, mtime, ctime } = times;
  if (atime === now || compareTimes(atime, now) === 0) return false;
  if (compareTimes(mtime, atime) >= 0 || compareTimes(ctime, atime) >= 0) return true;
  return now.seconds - atime.seconds >= A_DAY_IN_SECONDS;
}
