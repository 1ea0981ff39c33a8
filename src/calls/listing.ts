/**
 * Calls that list: a directory, a whole tree; and those that look at the page cache or change no content.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { O_NONBLOCK, O_RDONLY, S_IFDIR, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE, NO_ATIME, NO_DUMP, SYNCHRONOUS } from "../../sim/vfs/inode-flags.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type CallTable, call, type MakeCall } from "./call.ts";
import type { Json } from "./json.ts";
import { compareTexts, shown, typeName } from "./show.ts";
import { choiceOf, type Step, textOf } from "./step.ts";
import { join, type TreeRow, treeOf } from "./tree.ts";

/**
 * Names and types. As the recorder does, folders and links are told by their entries, all else by lstat(2): its error is the call's, such
 * as ENOENT for a whiteout that a directory of one layer lists, or EACCES in a folder that may be read and not searched.
 */
const readdir: MakeCall = (session, task, step) => {
  const path = textOf(step, "path");
  const entries = task.readdir(path);
  if (isErrno(entries)) return entries;
  const rows: (readonly [name: string, type: string])[] = [];
  for (const { name, type } of entries) {
    if (type === S_IFDIR || type === S_IFLNK) {
      rows.push([name, typeName(type)]);
      continue;
    }
    const of = task.lstat(join(path, name), session.attributes);
    if (isErrno(of)) return of;
    rows.push([name, typeName(of.mode)]);
  }
  return rows.sort(([one], [other]) => compareTexts(one, other));
};

const tree: MakeCall = (_, task, step) => {
  const rows = treeOf(task, step["path"] === undefined ? "/" : textOf(step, "path"));
  return isErrno(rows) ? rows : rows.map(toldRow);
};

/** A tree's row as the traces have it. */
function toldRow({ path, type, mode, uid, gid, nlink, content, attributes }: TreeRow): Json {
  return [path, type, mode, uid, gid, nlink, content instanceof Content ? shown(content) : content, attributes];
}

/** Sets a flag with both ioctls of chattr(1). */
function setNoatime(task: Task, fd: number): Errno | undefined {
  const flags = task.getFlags(fd);
  return isErrno(flags) ? flags : task.setFlags(fd, flags | NO_ATIME);
}

/** Flags of chattr(1) that a step can name, by its letters. */
const FLAG_LETTERS: readonly (readonly [letter: string, bit: number])[] = [
  ["S", SYNCHRONOUS],
  ["i", IMMUTABLE],
  ["a", APPEND_ONLY],
  ["d", NO_DUMP],
  ["A", NO_ATIME],
];
const NAMED_FLAGS = FLAG_LETTERS.reduce((sum, [, bit]) => sum | bit, 0);

function openFlags(task: Task, step: Step, make: (fd: number) => Json | Errno | undefined): Json | Errno | undefined {
  const fd = task.open(textOf(step, "path"), O_RDONLY | O_NONBLOCK);
  if (isErrno(fd)) return fd;
  const made = make(fd);
  task.close(fd);
  return made;
}

/** FS_IOC_GETFLAGS. */
const getflags: MakeCall = (_, task, step) =>
  openFlags(task, step, (fd) => {
    const flags = task.getFlags(fd);
    if (isErrno(flags)) return flags;
    return FLAG_LETTERS.flatMap(([letter, bit]) => ((flags & bit) === 0 ? [] : [letter])).join("");
  });

/** FS_IOC_SETFLAGS: of the flags that have letters here, those given and no others. */
const setflags: MakeCall = (_, task, step) => {
  const letters = textOf(step, "flags");
  const wanted = FLAG_LETTERS.reduce((sum, [letter, bit]) => (letters.includes(letter) ? sum | bit : sum), 0);
  return openFlags(task, step, (fd) => {
    const flags = task.getFlags(fd);
    return isErrno(flags) ? flags : task.setFlags(fd, (flags & ~NAMED_FLAGS) | wanted);
  });
};

type Other = (task: Task, path: string) => unknown;

/** Opens a path for reading and makes a call on it. */
function opened(make: (task: Task, fd: number) => unknown): Other {
  return (task, path) => {
    const fd = task.open(path, O_RDONLY);
    if (isErrno(fd)) return fd;
    const result = make(task, fd);
    task.close(fd);
    return result;
  };
}

const OTHERS: Readonly<Record<string, Other>> = {
  flock: opened((task, fd) => task.flock(fd)),
  lock: opened((task, fd) => task.lock(fd)),
  fadvise: opened((task, fd) => task.fadvise(fd)),
  sendfile: opened((task, fd) => task.sendfile(fd, 100)),
  getflags: opened((task, fd) => task.getFlags(fd)),
  setnoatime: opened(setNoatime),
  inotify: (task, path) => task.inotifyAdd(path),
  exec: (task, path) => task.exec(path),
  handle: (task, path) => task.nameToHandle(path),
};

const other: MakeCall = (_, task, step) => {
  const result = choiceOf(step, "what", OTHERS)(task, textOf(step, "path"));
  return isErrno(result) ? result : undefined;
};

/** Calls that list or look, by name. */
export const LISTING_CALLS: CallTable = {
  readdir: call("path", readdir),
  tree: call("path?", tree),
  getflags: call("path", getflags),
  setflags: call("path flags", setflags),
  other: call("path what", other),
  drop: call("path", (_, task, step) => task.dropPages(textOf(step, "path"))),
  cached: call("path", (_, task, step) => task.cachedPages(textOf(step, "path"))),
};
