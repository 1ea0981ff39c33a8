/**
 * A whole tree, a row for each name, as os.walk and lstat find it.
 *
 * Interface: content is described, not shown, so that a file costs its runs and not its bytes until somebody asks for a digest.
 */
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { newAttributes, O_RDONLY, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { bytesText, compareTexts, modeText, typeName } from "./show.ts";

/** The most that one read(2) gives (kernel: MAX_RW_COUNT). */
const READ_MAX = 0x7ffff000;

/** What a tree shows of one name. */
export interface TreeRow {
  readonly path: string;
  readonly type: string;
  /** Permissions, as `modeText` has them. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Null of a directory: filesystems do not agree about it. */
  readonly nlink: number | null;
  /** Of a file its bytes, of a symbolic link where it leads. */
  readonly content: Content | string | null;
  /** Those of `user.`, each byte a character. */
  readonly attributes: Readonly<Record<string, string>>;
}

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

function contentOf(task: Task, path: string, type: number): TreeRow["content"] | Errno {
  if (type === S_IFLNK) return task.readlink(path);
  return type === S_IFREG ? readWhole(task, path) : null;
}

function userAttributes(task: Task, path: string): Record<string, string> | Errno {
  const names = task.llistxattr(path);
  if (isErrno(names)) return names;
  const out: Record<string, string> = {};
  for (const name of names.filter((one) => one.startsWith("user."))) {
    const value = task.lgetxattr(path, name);
    if (isErrno(value)) return value;
    out[name] = bytesText(value);
  }
  return out;
}

function rowOf(task: Task, path: string): TreeRow | Errno {
  const of = task.lstat(path, newAttributes());
  if (isErrno(of)) return of;
  const { uid, gid } = of;
  const type = of.mode & S_IFMT;
  const content = contentOf(task, path, type);
  if (isErrno(content)) return content;
  const attributes = userAttributes(task, path);
  if (isErrno(attributes)) return attributes;
  const nlink = type === S_IFDIR ? null : of.nlink;
  return { path, type: typeName(type), mode: modeText(of.mode), uid, gid, nlink, content, attributes };
}

/** Joins a folder and a name as os.path.join does. */
export function join(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Whether os.walk takes an entry for a folder: also a link that leads to one. */
function leadsToFolder(task: Task, path: string, type: number): boolean {
  if (type !== S_IFLNK) return type === S_IFDIR;
  const of = task.stat(path, newAttributes());
  return !isErrno(of) && (of.mode & S_IFMT) === S_IFDIR;
}

/** Every row below `folder`; a folder that cannot be listed has none, as with os.walk. Of several errors the first is told: folders come first. */
function addRows(task: Task, folder: string, rows: TreeRow[]): Errno | undefined {
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
    const failed = addRows(task, join(folder, name), rows);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Every row below a folder, by path. @returns the first errno of a name that cannot be looked at */
export function treeOf(task: Task, folder: string): TreeRow[] | Errno {
  const rows: TreeRow[] = [];
  return addRows(task, folder, rows) ?? rows.sort((one, other) => compareTexts(one.path, other.path));
}
