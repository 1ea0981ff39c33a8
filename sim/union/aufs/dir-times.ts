/**
 * Times of a directory that changes on one of its branches (fs/aufs/dir.c, au_dir_ts; cpup.c, au_dtime_store and au_dtime_revert).
 */

import { compareTimes, type Time } from "../../core/clock.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { newAttributes } from "../../vfs/filesystem.ts";
import type { Node } from "../nodes.ts";
import type { Aufs } from "./state.ts";

interface DirectoryTimes {
  readonly atime: Time;
  readonly mtime: Time;
}

function timesOn(aufs: Aufs, directory: Node, branch: number): DirectoryTimes | Errno {
  const into = newAttributes();
  const failed = aufs.upperAt(branch).fs.getattr(aufs.mustBeOn(directory, branch), into);
  return failed ?? { atime: into.atime, mtime: into.mtime };
}

/** Gives a directory's instance times; that this fails is nobody's failure. */
function setTimes(aufs: Aufs, directory: Node, branch: number, times: DirectoryTimes): void {
  aufs.upperAt(branch).fs.setattr(aufs.mustBeOn(directory, branch), times);
}

/** Makes a change in a directory on a branch that its times do not tell of. */
export function keepingTimes(aufs: Aufs, directory: Node, branch: number, change: () => Errno | undefined): Errno | undefined {
  const before = timesOn(aufs, directory, branch);
  const failed = change();
  if (!isErrno(before)) setTimes(aufs, directory, branch, before);
  return failed;
}

/** A directory has changed on a branch: the topmost one, which tells its times, is not older then, if it is written. */
export function noteChange(aufs: Aufs, directory: Node, branch: number): void {
  const top = aufs.branchOf(directory);
  if (top >= branch || !aufs.isWritable(top)) return;
  const [shown, changed] = [timesOn(aufs, directory, top), timesOn(aufs, directory, branch)];
  if (isErrno(shown) || isErrno(changed) || compareTimes(shown.mtime, changed.mtime) >= 0) return;
  setTimes(aufs, directory, top, changed);
}
