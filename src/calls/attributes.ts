/**
 * Calls that show or change what stat(2) shows, and extended attributes.
 */
import { type Time, timeToNanoseconds } from "../../sim/core/clock.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { majorOf, minorOf } from "../../sim/core/units.ts";
import {
  type Attributes,
  O_NOFOLLOW,
  O_PATH,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type CallTable, call, descriptorOf, type MakeCall } from "./call.ts";
import { type Json, wholeNumber } from "./json.ts";
import type { CallSession } from "./session.ts";
import { bytesText, compareTexts, modeText, typeName } from "./show.ts";
import { bitsOf, bytesOf, choiceOf, flagOf, modeOf, type Step, StepError, textOf, timeOf, wholeOf } from "./step.ts";

const XATTR_FLAGS: Readonly<Record<string, number>> = { CREATE: 1, REPLACE: 2 };
const ACCESS: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 };

type TimeField = "atime" | "mtime" | "ctime";
const TIME_FIELDS: Readonly<Record<TimeField, TimeField>> = { atime: "atime", mtime: "mtime", ctime: "ctime" };

/** The fields that a stat step shows. */
function statFields(session: CallSession, of: Attributes, options: { dirnlink: boolean; hold: () => void }): Json {
  const { ino, dev } = session.identify(of, options.hold);
  const type = of.mode & S_IFMT;
  return {
    type: typeName(of.mode),
    mode: modeText(of.mode),
    uid: of.uid,
    gid: of.gid,
    ino,
    dev,
    ...(type !== S_IFDIR || options.dirnlink ? { nlink: of.nlink } : {}),
    ...(type === S_IFREG || type === S_IFLNK ? { size: of.size } : {}),
    ...(type === S_IFCHR || type === S_IFBLK ? { rdev: [majorOf(of.rdev), minorOf(of.rdev)] } : {}),
  };
}

function statCall(follow: boolean): MakeCall {
  return (session, task, step) => {
    const path = textOf(step, "path");
    const of = follow ? task.stat(path, session.attributes) : task.lstat(path, session.attributes);
    if (isErrno(of)) return of;
    // What cannot be opened any more (no permission to reach it) is not held.
    const hold = (): void => void task.open(path, follow ? O_PATH : O_PATH | O_NOFOLLOW);
    return statFields(session, of, { dirnlink: flagOf(step, "dirnlink"), hold });
  };
}

const fstat: MakeCall = (session, task, step) => {
  const fd = descriptorOf(session, step);
  if (isErrno(fd)) return fd;
  const of = task.fstat(fd, session.attributes);
  if (isErrno(of)) return of;
  return statFields(session, of, { dirnlink: false, hold: () => session.holdFile(fd) });
};

function timeAt(session: CallSession, task: Task, step: Step, field: TimeField): bigint | Errno {
  const path = textOf(step, "path");
  const of = flagOf(step, "nofollow") ? task.lstat(path, session.attributes) : task.stat(path, session.attributes);
  return isErrno(of) ? of : timeToNanoseconds(of[field]);
}

function timeCall(field: TimeField): MakeCall {
  return (session, task, step) => {
    const at = timeAt(session, task, step, field);
    return isErrno(at) ? at : wholeNumber(at);
  };
}

const times: MakeCall = (session, task, step) => {
  const now = timeAt(session, task, step, choiceOf(step, "of", TIME_FIELDS));
  if (isErrno(now)) return now;
  const key = textOf(step, "key");
  const before = session.seenTimes.get(key);
  session.seenTimes.set(key, now);
  if (before === undefined) return undefined;
  if (now === before) return "same";
  return now > before ? "later" : "earlier";
};

const access: MakeCall = (_, task, step) => {
  let mask = 0;
  for (const letter of textOf(step, "want")) {
    const bit = ACCESS[letter];
    if (bit === undefined) throw new StepError(`access: want must be letters of rwx, not ${JSON.stringify(step["want"])}`);
    mask |= bit;
  }
  return task.access(textOf(step, "path"), mask);
};

const utimens: MakeCall = (_, task, step) => {
  const atime: Time | "NOW" | "OMIT" = timeOf(step, "atime");
  return task.utimens(textOf(step, "path"), atime, timeOf(step, "mtime"), flagOf(step, "nofollow"));
};

const fchmod: MakeCall = (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.fchmod(fd, modeOf(step, "mode"));
};

const fchown: MakeCall = (session, task, step) => {
  const fd = descriptorOf(session, step);
  return isErrno(fd) ? fd : task.fchown(fd, wholeOf(step, "uid"), wholeOf(step, "gid"));
};

const setxattr: MakeCall = (_, task, step) => {
  const flags = bitsOf(step, "flags", XATTR_FLAGS);
  return task.setxattr(textOf(step, "path"), textOf(step, "name"), bytesOf(step, "value"), flags);
};

const getxattr: MakeCall = (_, task, step) => {
  const value = task.getxattr(textOf(step, "path"), textOf(step, "name"));
  return isErrno(value) ? value : bytesText(value);
};

const listxattr: MakeCall = (_, task, step) => {
  const names = task.listxattr(textOf(step, "path"));
  return isErrno(names) ? names : names.filter((name) => !name.startsWith("security.selinux")).sort(compareTexts);
};

/** Calls on attributes, by name. */
export const ATTRIBUTE_CALLS: CallTable = {
  stat: call("path dirnlink?", statCall(true)),
  lstat: call("path dirnlink?", statCall(false)),
  fstat: call("fd", fstat),
  atime: call("path nofollow?", timeCall("atime")),
  mtime: call("path nofollow?", timeCall("mtime")),
  times: call("path of key nofollow?", times),
  access: call("path want", access),
  chmod: call("path mode", (_, task, step) => task.chmod(textOf(step, "path"), modeOf(step, "mode"))),
  fchmod: call("fd mode", fchmod),
  chown: call("path uid gid", (_, task, step) => task.chown(textOf(step, "path"), wholeOf(step, "uid"), wholeOf(step, "gid"))),
  lchown: call("path uid gid", (_, task, step) => task.lchown(textOf(step, "path"), wholeOf(step, "uid"), wholeOf(step, "gid"))),
  fchown: call("fd uid gid", fchown),
  utimens: call("path atime mtime nofollow?", utimens),
  setxattr: call("path name value flags?", setxattr),
  getxattr: call("path name", getxattr),
  listxattr: call("path", listxattr),
  removexattr: call("path name", (_, task, step) => task.removexattr(textOf(step, "path"), textOf(step, "name"))),
};
