/**
 * Go's os package as the drivers use it: files of the host by system calls of the daemon's task, with Go's errors.
 */
import { Content } from "../../sim/core/content.ts";
import { EEXIST, ENOENT, ENOTDIR, type Errno, isErrno } from "../../sim/core/errno.ts";
import {
  type Attributes,
  newAttributes,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFMT,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writeAll } from "../calls/write-all.ts";
import { type DriverError, isDriverError, pathError } from "./driver.ts";

/** The most that one read(2) gives. */
const READ_MAX = 0x7ffff000;

/** The folder that a path lies in. */
export function parentPath(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash <= 0 ? "/" : path.slice(0, slash);
}

/** Whether the attributes are a directory's. */
export function isDirectory(of: Attributes): boolean {
  return (of.mode & S_IFMT) === S_IFDIR;
}

/** os.Stat. */
export function stat(task: Task, path: string): Attributes | DriverError {
  const of = task.stat(path, newAttributes());
  return isErrno(of) ? pathError("stat", path, of) : of;
}

/** os.Lstat. */
export function lstat(task: Task, path: string): Attributes | DriverError {
  const of = task.lstat(path, newAttributes());
  return isErrno(of) ? pathError("lstat", path, of) : of;
}

/** Whether os.Stat succeeds. */
export function exists(task: Task, path: string): boolean {
  return !isErrno(task.stat(path));
}

/**
 * idtools.MkdirAndChown for root: makes a directory with exactly this mode, whatever the umask; one that exists gets the mode.
 * @returns ENOTDIR where something else has the name.
 */
export function makeDirectory(task: Task, path: string, mode: number): DriverError | undefined {
  const there = task.stat(path, newAttributes());
  if (!isErrno(there)) {
    if (!isDirectory(there)) return pathError("mkdir", path, ENOTDIR);
    if ((there.mode & 0o7777) === mode) return undefined;
  } else {
    const made = task.mkdir(path, mode);
    if (made !== undefined && made !== EEXIST) return pathError("mkdir", path, made);
  }
  const changed = task.chmod(path, mode);
  return changed === undefined ? undefined : pathError("chmod", path, changed);
}

/** idtools.MkdirAllAndChown for root: the missing folders above get the mode too. */
export function makeDirectories(task: Task, path: string, mode: number): DriverError | undefined {
  const above = parentPath(path);
  if (above !== "/" && !exists(task, above)) {
    const failed = makeDirectories(task, above, mode);
    if (failed !== undefined) return failed;
  }
  return makeDirectory(task, path, mode);
}

/** ioutil.WriteFile. */
export function writeFile(task: Task, path: string, file: { text: string; mode: number }): DriverError | undefined {
  const fd = task.open(path, O_WRONLY | O_CREAT | O_TRUNC, file.mode);
  if (isErrno(fd)) return pathError("open", path, fd);
  const failed = writeAll(task, fd, Content.text(file.text));
  task.close(fd);
  return failed === undefined ? undefined : pathError("write", path, failed);
}

/** ioutil.ReadFile, as text. */
export function readFile(task: Task, path: string): string | DriverError {
  const fd = task.open(path, O_RDONLY);
  if (isErrno(fd)) return pathError("open", path, fd);
  const content = task.read(fd, READ_MAX);
  task.close(fd);
  return isErrno(content) ? pathError("read", path, content) : content.toText();
}

/** os.Rename: a directory that has the new name is told as EEXIST, whatever is in it; the kernel would take an empty one away. */
export function rename(task: Task, source: string, target: string): DriverError | undefined {
  const there = task.lstat(target, newAttributes());
  let failed: Errno | undefined;
  if (isErrno(there) || !isDirectory(there)) failed = task.rename(source, target);
  else {
    const of = task.lstat(source, newAttributes());
    failed = isErrno(of) ? of : EEXIST;
  }
  return failed === undefined ? undefined : pathError("rename", `${source} ${target}`, failed);
}

/** os.RemoveAll: a path that is not there is removed already. */
export function removeAll(task: Task, path: string): DriverError | undefined {
  const before = task.cwd;
  const failed = removeTree(task, path, path);
  task.chdirTo(before);
  return failed === undefined ? undefined : pathError(failed.operation, failed.path, failed.errno);
}

interface Failure {
  readonly operation: string;
  readonly path: string;
  readonly errno: Errno;
}

/**
 * Removes `name` of the working directory (at first the whole path): going down and up by single names, a deep tree costs no long paths.
 * @param path - what errors call it
 */
function removeTree(task: Task, name: string, path: string): Failure | undefined {
  const unlinked = task.unlink(name);
  if (unlinked === undefined || unlinked === ENOENT) return undefined;
  const of = task.lstat(name, newAttributes());
  if (isErrno(of)) return of === ENOENT ? undefined : { operation: "lstat", path, errno: of };
  if (!isDirectory(of)) return { operation: "unlinkat", path, errno: unlinked };
  const above = task.cwd;
  const entries = task.chdir(name) ?? task.readdir(".");
  if (isErrno(entries)) return { operation: "open", path, errno: entries };
  for (const entry of entries) {
    const failed = removeTree(task, entry.name, `${path}/${entry.name}`);
    if (failed !== undefined) return failed;
  }
  task.chdirTo(above);
  const errno = task.rmdir(name);
  return errno === undefined || errno === ENOENT ? undefined : { operation: "unlinkat", path, errno };
}

/** Names in a directory, sorted by their bytes (filepath.Walk, ioutil.ReadDir). */
export function sortedNames(task: Task, path: string): string[] | DriverError {
  const entries = task.readdir(path);
  if (isErrno(entries)) return pathError("open", path, entries);
  return entries.map(({ name }) => name).sort(compareBytes);
}

/** Orders texts by their UTF-8 bytes, which is the order of their code points. */
function compareBytes(one: string, other: string): number {
  if (one === other) return 0;
  const left = [...one];
  const right = [...other];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const order = (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? 0);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** Whether a path is there and is a directory with something in it. */
export function isFilledDirectory(task: Task, path: string): boolean {
  const names = sortedNames(task, path);
  return !isDriverError(names) && names.length > 0;
}
