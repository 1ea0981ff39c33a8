/**
 * fs.cp: copies files, links and trees with node's rules and its errors (Node 20 lib/internal/fs/cp).
 *
 * Interface: the work is a generator that yields what `filter` said of each pair, so that one text serves the synchronous form, which takes the
 * answer as it is, and the promise form, which waits for it.
 */
import { posix } from "node:path";
import type { Time } from "../../sim/core/clock.ts";
import { EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, type Errno, isErrno } from "../../sim/core/errno.ts";
import { type Attributes, newAttributes, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { copyFile } from "./content-calls.ts";
import { checkError, codedError, systemError, typeError } from "./errors.ts";
import { type Kernel, timeOf } from "./kernel.ts";
import { mkdirAll, resolvePath } from "./name-calls.ts";
import { flagOf, integer, type Options, objectOptions, pathNamed } from "./readers.ts";
import { dateOf, milliseconds } from "./stats.ts";

/** What cp has been asked for. */
export interface CopyRequest {
  readonly from: string;
  readonly to: string;
  readonly dereference: boolean;
  readonly errorOnExist: boolean;
  readonly force: boolean;
  readonly preserveTimestamps: boolean;
  readonly recursive: boolean;
  readonly verbatimSymlinks: boolean;
  readonly mode: number;
  readonly filter: ((from: string, to: string) => unknown) | undefined;
}

/** Reads the arguments of cp. */
export function copyRequest([from, to, given]: readonly unknown[]): CopyRequest {
  // What an object inherits is no option: typed arrays have a filter.
  const options: Options = { ...objectOptions(given) };
  const { filter, mode } = options;
  if (filter !== undefined && typeof filter !== "function") throw typeError("options.filter", "of type function", filter);
  const request = {
    from: pathNamed("src")(from),
    to: pathNamed("dest")(to),
    dereference: flagOf(options, "dereference"),
    errorOnExist: flagOf(options, "errorOnExist"),
    force: options["force"] === undefined || flagOf(options, "force"),
    preserveTimestamps: flagOf(options, "preserveTimestamps"),
    recursive: flagOf(options, "recursive"),
    verbatimSymlinks: flagOf(options, "verbatimSymlinks"),
    mode: mode === undefined || mode === null ? 0 : integer(mode, "mode", 0, 7),
    filter: filter as CopyRequest["filter"],
  };
  if (request.dereference && request.verbatimSymlinks) {
    const message = 'Option "dereference" cannot be used in combination with option "verbatimSymlinks"';
    throw codedError("ERR_INCOMPATIBLE_OPTION_PAIR", message, TypeError);
  }
  return request;
}

interface Pair {
  readonly from: string;
  readonly to: string;
}

function refusal(code: string, prefix: string, errno: Errno, message: string, path: string): Error {
  return checkError(code, prefix, { errno, syscall: "cp", message, path });
}

function invalid(message: string, path: string): Error {
  return refusal("ERR_FS_CP_EINVAL", "Invalid src or dest", EINVAL, message, path);
}

function attributesOf(kernel: Kernel, name: string, follow: boolean): Attributes | undefined {
  const of = follow ? kernel.task.stat(name, newAttributes()) : kernel.task.lstat(name, newAttributes());
  if (of === ENOENT) return undefined;
  return kernel.done(of, follow ? "stat" : "lstat", name);
}

const isFolder = (of: Attributes): boolean => (of.mode & S_IFMT) === S_IFDIR;

/** Whether one path is in the folder that another one names. */
function isWithin(folder: string, name: string): boolean {
  const parts = posix.resolve(folder).split("/").filter(Boolean);
  const others = posix.resolve(name).split("/").filter(Boolean);
  return parts.every((part, index) => others[index] === part);
}

/** What is at the other end, once it is certain that the copy makes sense. */
function checkPair(
  kernel: Kernel,
  { from, to }: Pair,
  request: CopyRequest,
): { source: Attributes; target: Attributes | undefined } {
  const source = attributesOf(kernel, from, request.dereference);
  if (source === undefined) throw systemError(ENOENT, request.dereference ? "stat" : "lstat", { path: from });
  const target = attributesOf(kernel, to, request.dereference);
  if (target !== undefined) {
    if (isSame(source, target)) throw invalid("src and dest cannot be the same", to);
    if (isFolder(source) && !isFolder(target)) {
      const message = `cannot overwrite non-directory ${to} with directory ${from}`;
      throw refusal("ERR_FS_CP_DIR_TO_NON_DIR", "Cannot overwrite non-directory with directory", EISDIR, message, to);
    }
    if (!isFolder(source) && isFolder(target)) {
      const message = `cannot overwrite directory ${to} with non-directory ${from}`;
      throw refusal("ERR_FS_CP_NON_DIR_TO_DIR", "Cannot overwrite directory with non-directory", ENOTDIR, message, to);
    }
  }
  if (isFolder(source) && isWithin(from, to)) throw invalid(`cannot copy ${from} to a subdirectory of self ${to}`, to);
  return { source, target };
}

const isSame = (one: Attributes, other: Attributes): boolean =>
  one.inodeNumber === other.inodeNumber && one.device === other.device;

/** The copying itself, from the checks on. */
export function* copyTree(kernel: Kernel, request: CopyRequest): Generator<unknown, void, unknown> {
  const { from, to } = request;
  if (request.filter !== undefined && !(yield request.filter(from, to))) return;
  const { source, target } = checkPair(kernel, request, request);
  checkAncestors(kernel, source, request);
  const parent = posix.dirname(to);
  if (attributesOf(kernel, parent, true) === undefined) mkdirAll(kernel, parent, 0o777);
  yield* copyPair(kernel, { from, to, source, target }, request);
}

/** Nothing is copied into itself by another name. */
function checkAncestors(kernel: Kernel, source: Attributes, { from, to }: Pair): void {
  const top = posix.dirname(resolvePath(kernel.cwd, from));
  for (let at = posix.dirname(resolvePath(kernel.cwd, to)); at !== top && at !== "/"; at = posix.dirname(at)) {
    const of = attributesOf(kernel, at, true);
    if (of === undefined) return;
    if (isSame(source, of)) throw invalid(`cannot copy ${from} to a subdirectory of self ${to}`, to);
  }
}

interface Checked extends Pair {
  readonly source: Attributes;
  readonly target: Attributes | undefined;
}

function* copyPair(kernel: Kernel, pair: Checked, request: CopyRequest): Generator<unknown, void, unknown> {
  const { from, to } = pair;
  const type = pair.source.mode & S_IFMT;
  if (type === S_IFDIR) {
    if (!request.recursive) {
      const context = { errno: EISDIR, syscall: "cp", message: `${from} is a directory (not copied)`, path: from };
      throw checkError("ERR_FS_EISDIR", "Path is a directory", context);
    }
    yield* copyFolder(kernel, pair, request);
  } else if (type === S_IFREG) copyOne(kernel, pair, request);
  else if (type === S_IFLNK) copyLink(kernel, pair, request);
  else throw refusal("ERR_FS_CP_FIFO_PIPE", "Cannot copy a FIFO pipe", EINVAL, `cannot copy a FIFO pipe: ${to}`, to);
}

function* copyFolder(kernel: Kernel, pair: Checked, request: CopyRequest): Generator<unknown, void, unknown> {
  const { source, target } = pair;
  if (target === undefined) kernel.done(kernel.task.mkdir(pair.to, 0o777), "mkdir", pair.to);
  const entries = kernel.done(kernel.task.readdir(pair.from), "opendir", pair.from);
  for (const { name } of entries) {
    const from = posix.join(pair.from, name);
    const to = posix.join(pair.to, name);
    if (request.filter !== undefined && !(yield request.filter(from, to))) continue;
    yield* copyPair(kernel, { from, to, ...checkPair(kernel, { from, to }, request) }, request);
  }
  if (target === undefined) kernel.done(kernel.task.chmod(pair.to, source.mode & 0o7777), "chmod", pair.to);
}

function existsError(to: string): Error {
  return refusal("ERR_FS_CP_EEXIST", "Target already exists", EEXIST, `${to} already exists`, to);
}

function copyOne(kernel: Kernel, { from, to, target }: Checked, request: CopyRequest): void {
  if (target !== undefined) {
    if (!request.force) {
      if (request.errorOnExist) throw existsError(to);
      return;
    }
    kernel.done(kernel.task.unlink(to), "unlink", to);
  }
  copyFile(kernel, from, to, request.mode);
  if (!request.preserveTimestamps) return;
  // The copy has read the source, which has another time of access since then. Times are Dates on their way, of whole milliseconds.
  const { atime, mtime } = kernel.done(kernel.task.stat(from, newAttributes()), "stat", from);
  kernel.done(kernel.task.utimens(to, wholeMilliseconds(atime), wholeMilliseconds(mtime)), "utime", to);
}

function wholeMilliseconds(of: Time): Time | "NOW" {
  return timeOf(dateOf(milliseconds(of)).getTime() / 1000) ?? of;
}

function copyLink(kernel: Kernel, { from, to, target }: Checked, request: CopyRequest): undefined {
  const { task } = kernel;
  let text = kernel.done(task.readlink(from), "readlink", from);
  if (!request.verbatimSymlinks && !text.startsWith("/")) text = resolvePath(posix.dirname(resolvePath(kernel.cwd, from)), text);
  if (target === undefined) return kernel.done(task.symlink(text, to), "symlink", text, to);
  const old = task.readlink(to);
  if (isErrno(old)) {
    if (old === EINVAL) return kernel.done(task.symlink(text, to), "symlink", text, to);
    throw systemError(old, "readlink", { path: to });
  }
  const there = resolvePath(posix.dirname(resolvePath(kernel.cwd, to)), old);
  const of = attributesOf(kernel, from, true);
  if (of !== undefined && isFolder(of) && isWithin(text, there)) {
    const message = `cannot copy ${text} to a subdirectory of self ${there}`;
    throw invalid(message, to);
  }
  if (of !== undefined && isFolder(of) && isWithin(there, text)) {
    const message = `cannot overwrite ${there} with ${text}`;
    throw refusal("ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY", "Cannot overwrite symlink in subdirectory of self", EINVAL, message, to);
  }
  kernel.done(task.unlink(to), "unlink", to);
  return kernel.done(task.symlink(text, to), "symlink", text, to);
}

/** Runs it at once; a filter that answers with a promise is refused. */
export function runNow(work: Generator<unknown, void, unknown>): void {
  for (let step = work.next(); step.done !== true; ) {
    if (step.value instanceof Promise) {
      const message = 'Expected boolean to be returned from the "filter" function but got an instance of Promise.';
      throw codedError("ERR_INVALID_RETURN_VALUE", message, TypeError);
    }
    step = work.next(step.value);
  }
}

/** Runs it, waiting for each answer of the filter. */
export async function runWaiting(work: Generator<unknown, void, unknown>): Promise<void> {
  for (let step = work.next(); step.done !== true; ) step = work.next(await step.value);
}
