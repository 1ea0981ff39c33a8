/**
 * When reading sets atime (fs/inode.c: relatime_need_update): when it is not later than mtime or ctime, or a day old, or, where a mount is strict,
 * always; and what to (current_time, touch_atime).
 */
import { type Clock, compareTimes, type Time } from "../core/clock.ts";

const A_DAY_IN_SECONDS = 86_400;

interface Times {
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
}

/**
 * The atime that a read gives an inode now; undefined where it leaves it.
 * @param asked - whether somebody was told the inode's times since its last change
 * @param above - whether a filesystem above, whose inodes have no fine times, has to find first that it is due (ovl_update_time)
 * @param strict - whether the mount has MS_STRICTATIME
 */
export function atimeOfRead(clock: Clock, times: Times, asked: boolean, above: boolean, strict: boolean): Time | undefined {
  const tick = clock.time();
  if (!asked) return needsAtime(times, tick, strict) ? tick : undefined;
  if (above && !needsAtime(times, tick, strict)) return undefined;
  const now = clock.accessTime(times.ctime);
  return needsAtime(times, now, strict) ? now : undefined;
}

/** Whether a read at `now` sets the atime of an inode with these times. */
function needsAtime(times: Times, now: Time, strict: boolean): boolean {
  const { atime, mtime, ctime } = times;
  if (atime === now || compareTimes(atime, now) === 0) return false;
  if (strict) return true;
  if (compareTimes(mtime, atime) >= 0 || compareTimes(ctime, atime) >= 0) return true;
  return now.seconds - atime.seconds >= A_DAY_IN_SECONDS;
}
