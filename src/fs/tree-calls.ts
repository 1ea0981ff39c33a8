/**
 * Operations on directories and trees: readdir, rmdir, rm, opendir.
 */
import { posix } from "node:path";
import { EBUSY, EISDIR, EMFILE, ENFILE, ENOENT, ENOTEMPTY, EPERM, type Errno, isErrno } from "../../sim/core/errno.ts";
import { S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { Dir } from "./dir.ts";
import { checkError, systemError } from "./errors.ts";
import type { Kernel } from "./kernel.ts";
import { type Form, formOperation, freeOperation, type OperationTable, operation } from "./operation.ts";
import { countOf, delayOf, encoded, flagOf, type Options, objectOptions, options, path, type Reader } from "./readers.ts";
import { Dirent } from "./stats.ts";

interface Listing {
  readonly name: string;
  readonly type: number;
}

/** scandir(3) as libuv calls it: sorted by bytes. */
export function scan(kernel: Kernel, folder: string): Listing[] {
  const entries = kernel.done(kernel.task.readdir(folder), "scandir", folder);
  return entries.sort((one, other) => compareBytes(one.name, other.name));
}

/** strcmp(3) of two names: by their UTF-8 bytes, which is the order of code points. */
function compareBytes(one: string, other: string): number {
  for (let at = 0; at < one.length && at < other.length; at++) {
    if (one.charCodeAt(at) === other.charCodeAt(at)) continue;
    return (one.codePointAt(at) ?? 0) - (other.codePointAt(at) ?? 0);
  }
  return one.length - other.length;
}

/** Options with a switch for what is below. */
const treeOptions: Reader<Options> = (value) => {
  const given = options(value);
  flagOf(given, "recursive");
  return given;
};

function readdir(kernel: Kernel, form: Form, folder: string, given: Options): unknown[] {
  const typed = Boolean(given["withFileTypes"]);
  if (given["recursive"] === true) return readdirAll(kernel, folder, { given, typed, form });
  return scan(kernel, folder).map(({ name, type }) =>
    typed ? new Dirent(encoded(name, given), folder, type) : encoded(name, given),
  );
}

interface Listed {
  readonly given: Options;
  readonly typed: boolean;
  readonly form: Form;
}

/**
 * A whole tree, folder after folder: the first that was found comes first, in the promise form the last. A link to a folder is gone into unless types
 * are asked for, as Node does.
 */
function readdirAll(kernel: Kernel, top: string, { given, typed, form }: Listed): unknown[] {
  const found: unknown[] = [];
  const folders = [top];
  const next = (): string | undefined => (form === "promise" ? folders.pop() : folders.shift());
  for (let folder = next(); folder !== undefined; folder = next()) {
    for (const { name, type } of scan(kernel, folder)) {
      const at = posix.join(folder, name);
      found.push(typed ? new Dirent(encoded(name, given), folder, type) : encoded(posix.relative(top, at), given));
      const of = typed ? type : typeBehind(kernel, at);
      if (of === S_IFDIR) folders.push(at);
    }
  }
  return found;
}

/** The type bits of what a path leads to; 0 where it leads nowhere. */
function typeBehind(kernel: Kernel, name: string): number {
  const of = kernel.task.stat(name, kernel.attributes);
  return isErrno(of) ? 0 : of.mode & S_IFMT;
}

/** What rmdir takes. */
const emptyingOptions: Reader<Options> = (value) => {
  const given = objectOptions(value);
  flagOf(given, "recursive");
  delayOf(given, "retryDelay");
  countOf(given, "maxRetries");
  return given;
};

/** What rm takes. */
const removalOptions: Reader<Options> = (value) => {
  const given = emptyingOptions(value);
  flagOf(given, "force");
  return given;
};

function rmdir(kernel: Kernel, form: Form, folder: string, given: Options): void {
  if (given["recursive"] === true) {
    const asked = form === "promise" ? "stat" : "lstat";
    const of = kernel.done(kernel.task[asked](folder, kernel.attributes), asked, folder);
    if ((of.mode & S_IFMT) === S_IFDIR) {
      removeTree(kernel, folder);
      return;
    }
  }
  kernel.done(kernel.task.rmdir(folder), "rmdir", folder);
}

/** fs.rm: `force` hides what is not there; a folder needs `recursive`. */
function rm(kernel: Kernel, [name, given]: readonly [string, Options], form: Form): void {
  const force = given["force"] === true;
  if (form === "sync" && force && given["recursive"] === true) {
    removeTree(kernel, name);
    return;
  }
  const of = kernel.task.lstat(name, kernel.attributes);
  if (isErrno(of)) {
    if (force && of === ENOENT) return;
    throw systemError(of, "lstat", { path: name });
  }
  if ((of.mode & S_IFMT) === S_IFDIR && given["recursive"] !== true) {
    const context = { errno: EISDIR, syscall: "rm", message: "is a directory", path: name };
    throw checkError("ERR_FS_EISDIR", "Path is a directory", context);
  }
  removeTree(kernel, name);
}

/** What says that a folder must be emptied first. */
const NOT_EMPTY: ReadonlySet<Errno> = new Set([ENOTEMPTY, EBUSY, EMFILE, ENFILE, EPERM]);

/**
 * Removes a file, or a folder and what is in it; what has gone meanwhile is no error. What may not be unlinked is tried as a folder, too, so that its
 * error may be that of reading it (Node 20 lib/internal/fs/rimraf.js).
 */
function removeTree(kernel: Kernel, name: string): void {
  const { task } = kernel;
  const of = task.lstat(name, kernel.attributes);
  if (of === ENOENT) return;
  if (!isErrno(of) && (of.mode & S_IFMT) === S_IFDIR) {
    removeFolder(kernel, name);
    return;
  }
  const failed = task.unlink(name);
  if (failed === undefined || failed === ENOENT) return;
  if (failed === EPERM || failed === EISDIR) removeFolder(kernel, name, failed);
  else kernel.done(failed, "unlink", name);
}

/** @param before - why it could not be unlinked */
function removeFolder(kernel: Kernel, name: string, before?: Errno): void {
  const { task } = kernel;
  const failed = task.rmdir(name);
  if (failed === undefined || failed === ENOENT) return;
  // xfs says EEXIST of a folder that is not empty.
  if (!(NOT_EMPTY.has(failed) || failed.code === "EEXIST")) {
    kernel.done(before, "unlink", name);
    kernel.done(failed, "rmdir", name);
  }
  for (const { name: child } of scan(kernel, name)) removeTree(kernel, posix.join(name, child));
  const still = task.rmdir(name);
  if (still !== ENOENT) kernel.done(still, "rmdir", name);
}

const dirOptions: Reader<Options> = (value) => {
  const given = treeOptions(value);
  countOf(given, "bufferSize", 1);
  return given;
};

function opendir(kernel: Kernel, folder: string, given: Options): Dir {
  const entriesOf = (at: string): Dirent[] =>
    kernel.done(kernel.task.readdir(at), "opendir", at).map(({ name, type }) => new Dirent(encoded(name, given), at, type));
  const below = (directory: Dirent): Dirent[] => entriesOf(posix.join(directory.parentPath, String(directory.name)));
  return new Dir(folder, entriesOf(folder), given["recursive"] === true ? below : undefined);
}

/** Operations on directories and trees, by name. */
export const TREE_CALLS: OperationTable = {
  readdir: formOperation([path, treeOptions], readdir),
  rmdir: formOperation([path, emptyingOptions], rmdir),
  rm: freeOperation(([name, given]) => [path(name), removalOptions(given)] as const, rm, { arity: 2 }),
  opendir: operation([path, dirOptions], opendir),
};
