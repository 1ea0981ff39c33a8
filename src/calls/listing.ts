/**
 * Calls that list: a directory, a whole tree; and those that look at the page cache or change no content.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { newAttributes, O_NONBLOCK, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE, NO_ATIME, NO_DUMP, SYNCHRONOUS } from "../../sim/vfs/inode-flags.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { type CallTable, call, type MakeCall } from "./call.ts";
import type { Json } from "./json.ts";
import { bytesText, compareTexts, modeText, shown, typeName } from "./show.ts";
import { choiceOf, type Step, textOf } from "./step.ts";

/** The most that one read(2) gives (kernel: MAX_RW_COUNT). */
const READ_MAX = 0x7ffff000;

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

/** The whole content of an open file, from its position on. */
function readToEnd(task: Task, fd: number): Content | Errno {
  const parts: Content[] = [];
  for (;;) {
    const part = task.read(fd, READ_MAX);
    if (isErrno(part)) return part;
    if (part.length === 0) return Content.concat(parts);
    parts.push(part);
  }
}

/** The whole content of the file at a path. */
function readWhole(task: Task, path: string): Content | Errno {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return fd;
  const content = readToEnd(task, fd);
  task.close(fd);
  return content;
}

/** What a tree's row shows of a file or link besides its attributes. */
function contentOf(task: Task, path: string, type: number): Json | Errno {
  if (type === S_IFLNK) return task.readlink(path);
  if (type !== S_IFREG) return null;
  const content = readWhole(task, path);
  return isErrno(content) ? content : shown(content);
}

function userAttributes(task: Task, path: string): Record<string, Json> | Errno {
  const names = task.llistxattr(path);
  if (isErrno(names)) return names;
  const out: Record<string, Json> = {};
  for (const name of names.filter((one) => one.startsWith("user."))) {
    const value = task.lgetxattr(path, name);
    if (isErrno(value)) return value;
    out[name] = bytesText(value);
  }
  return out;
}

type Row = readonly [path: string, ...Json[]];

function rowOf(task: Task, path: string): Row | Errno {
  const of = task.lstat(path, newAttributes());
  if (isErrno(of)) return of;
  const type = of.mode & S_IFMT;
  const content = contentOf(task, path, type);
  if (isErrno(content)) return content;
  const attributes = userAttributes(task, path);
  if (isErrno(attributes)) return attributes;
  const nlink = type === S_IFDIR ? null : of.nlink;
  return [path, typeName(type), modeText(of.mode), of.uid, of.gid, nlink, content, attributes];
}

/** Joins a folder and a name as os.path.join does. */
function join(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Whether os.walk takes an entry for a folder: also a link that leads to one. */
function leadsToFolder(task: Task, path: string, type: number): boolean {
  if (type !== S_IFLNK) return type === S_IFDIR;
  const of = task.stat(path, newAttributes());
  return !isErrno(of) && (of.mode & S_IFMT) === S_IFDIR;
}

/** Every row below `folder`; a folder that cannot be listed has none, as with os.walk. Of several errors the first is told: folders come first. */
function treeRows(task: Task, folder: string, rows: Row[]): Errno | undefined {
  const entries = task.readdir(folder);
  if (isErrno(entries)) return undefined;
  const isFolder = entries.map(({ name, type }) => leadsToFolder(task, join(folder, name), type & S_IFMT));
  for (const first of [true, false]) {
    for (const [at, { name }] of entries.entries()) {
      if (isFolder[at] !== first) continue;
      const row = rowOf(task, join(folder, name));
      if (isErrno(row)) return row;
      rows.push(row);
    }
  }
  for (const { name, type } of entries) {
    if ((type & S_IFMT) !== S_IFDIR) continue;
    const failed = treeRows(task, join(folder, name), rows);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

const tree: MakeCall = (_, task, step) => {
  const rows: Row[] = [];
  const failed = treeRows(task, step["path"] === undefined ? "/" : textOf(step, "path"), rows);
  return failed ?? rows.sort(([one], [other]) => compareTexts(one, other));
};

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
