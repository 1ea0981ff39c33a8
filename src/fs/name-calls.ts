/**
 * Operations on names and attributes.
 */
import { posix } from "node:path";
import { EEXIST, ELOOP, ENOENT, ENOTDIR, type Errno, isErrno } from "../../sim/core/errno.ts";
import { type Attributes, S_IFDIR, S_IFLNK, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { codedError, systemError } from "./errors.ts";
import { type Kernel, setTimes } from "./kernel.ts";
import { formOperation, freeOperation, type Operation, type OperationTable, operation } from "./operation.ts";
import {
  bits,
  encoded,
  flagOf,
  looseOptions,
  modeNamed,
  type Options,
  options,
  ownerNamed,
  path,
  pathNamed,
  pathText,
  type Reader,
  secondsNamed,
} from "./readers.ts";
import { BigIntStats, StatFs, Stats } from "./stats.ts";

/** stat and lstat. The synchronous form of them returns undefined where nothing is and `throwIfNoEntry` is false. */
function statCall(call: "stat" | "lstat"): Operation {
  return formOperation([path, looseOptions], (kernel, form, name, given) => {
    const of: Attributes | Errno = kernel.task[call](name, kernel.attributes);
    if (of === ENOENT && form === "sync" && given["throwIfNoEntry"] === false) return undefined;
    const known = kernel.done(of, call, name);
    return given["bigint"] === true ? new BigIntStats(known) : new Stats(known);
  });
}

/** What a symbolic link leads to: only Windows asks for it, and only its words are checked. */
const linkType: Reader<unknown> = (value) => {
  if (typeof value === "string" && !["dir", "file", "junction"].includes(value))
    throw codedError(
      "ERR_FS_INVALID_SYMLINK_TYPE",
      `Symlink type must be one of "dir", "file", or "junction". Received "${value}"`,
    );
  return value;
};

/** mkdir with its options: permission bits, or { mode, recursive }. */
const mkdirOptions: Reader<{ mode: number; recursive: boolean }> = (value) => {
  if (typeof value === "number" || typeof value === "string") return { mode: modeNamed("mode")(value), recursive: false };
  const given = typeof value === "object" && value !== null ? (value as Options) : {};
  const recursive = flagOf(given, "recursive");
  return { mode: modeNamed("mode", 0o777)(given["mode"]), recursive };
};

function mkdir(kernel: Kernel, name: string, { mode, recursive }: { mode: number; recursive: boolean }): string | undefined {
  if (recursive) return mkdirAll(kernel, name, mode);
  kernel.done(kernel.task.mkdir(name, mode), "mkdir", name);
  return undefined;
}

/** Makes what is missing of a path, from the top. @returns the first directory that was made. */
export function mkdirAll(kernel: Kernel, name: string, mode: number): string | undefined {
  const { task } = kernel;
  const missing: string[] = [name];
  let first: string | undefined;
  for (let at = missing.pop(); at !== undefined; at = missing.pop()) {
    const made = task.mkdir(at, mode);
    if (made === undefined) {
      first ??= at;
      continue;
    }
    const above = at.replace(/\/+[^/]*\/*$/, "");
    if (made === ENOENT && above !== at && above !== "") {
      missing.push(at, above);
      continue;
    }
    if (made === ENOENT) throw systemError(made, "mkdir", { path: name });
    const there = task.stat(at, kernel.attributes);
    if (isErrno(there)) throw systemError(there, "mkdir", { path: name });
    if ((there.mode & S_IFMT) !== S_IFDIR) throw systemError(missing.length > 0 ? ENOTDIR : made, "mkdir", { path: name });
  }
  return first;
}

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** mkdtemp(3): six letters that the process's own chance chooses. */
function mkdtemp(kernel: Kernel, start: string, given: Options): unknown {
  for (;;) {
    const name = start + Array.from({ length: 6 }, () => LETTERS[kernel.random.below(LETTERS.length)]).join("");
    const made = kernel.task.mkdir(name, 0o700);
    if (made === undefined) return encoded(name, given);
    if (made !== EEXIST) throw systemError(made, "mkdtemp", { path: name });
  }
}

/** Follows a path link by link, as Node's own realpath does with lstat, stat and readlink; ".." is taken from its text first. */
function realpath(kernel: Kernel, name: string): string {
  const { task } = kernel;
  const refuse = (errno: Errno, syscall: string, at: string): Error => systemError(errno, syscall, { path: at });
  let rest = resolvePath(kernel.cwd, name).split("/").slice(1);
  let at = "";
  while (rest.length > 0) {
    const [first = "", ...others] = rest;
    const next = `${at}/${first}`;
    rest = others;
    if (first === "") continue;
    const of = task.lstat(next, kernel.attributes);
    if (isErrno(of)) throw refuse(of, "lstat", next);
    if ((of.mode & S_IFMT) !== S_IFLNK) {
      at = next;
      continue;
    }
    const there = task.stat(next, kernel.attributes);
    if (isErrno(there)) throw refuse(there, "stat", next);
    const target = task.readlink(next);
    if (isErrno(target)) throw refuse(target, "readlink", next);
    rest = [
      ...resolvePath(at === "" ? "/" : at, target)
        .split("/")
        .slice(1),
      ...others,
    ];
    at = "";
  }
  return at === "" ? "/" : at;
}

/** The text of a path without dots: where `name` leads from `base`, by its text alone. */
export function resolvePath(base: string, name: string): string {
  return posix.resolve(base, name);
}

/** How many links realpath(3) follows (MAXSYMLINKS). */
const LINKS_MOST = 40;

/**
 * realpath(3) as the C library does it (glibc 2.36, stdlib/canonicalize.c): ".." leaves the folder that the path before it leads to, whatever its
 * text says, what a slash follows must be a folder, and every error is about the whole path.
 */
function nativeRealpath(kernel: Kernel, name: string): string {
  const refuse = (errno: Errno): Error => systemError(errno, "realpath", { path: name });
  if (name === "") throw refuse(ENOENT);
  const { task } = kernel;
  let at = name.startsWith("/") ? "" : kernel.cwd.replace(/\/$/, "");
  let rest = name.split("/");
  let links = 0;
  while (rest.length > 0) {
    const [part = "", ...others] = rest;
    rest = others;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const next = `${at}/${part}`;
    const of = task.lstat(next, kernel.attributes);
    if (isErrno(of)) throw refuse(of);
    if ((of.mode & S_IFMT) === S_IFLNK) {
      const target = task.readlink(next);
      if (isErrno(target)) throw refuse(target);
      links += 1;
      if (links > LINKS_MOST) throw refuse(ELOOP);
      if (target.startsWith("/")) at = "";
      rest = [...target.split("/"), ...rest];
      continue;
    }
    if ((of.mode & S_IFMT) !== S_IFDIR && rest.length > 0) throw refuse(ENOTDIR);
    at = next;
  }
  return at === "" ? "/" : at;
}

const times = [secondsNamed(), secondsNamed()] as const;
type Moment = number | "now";

/** utimensat(2). */
function utimes(call: "utime" | "lutime"): Operation {
  const isLink = call === "lutime";
  return operation([path, ...times], (kernel, name, ...moments: readonly [Moment, Moment]) => {
    const { task, attributes } = kernel;
    const find = (): Attributes | Errno => (isLink ? task.lstat(name, attributes) : task.stat(name, attributes));
    kernel.done(
      setTimes(moments, find, (atime, mtime) => task.utimens(name, atime, mtime, isLink)),
      call,
      name,
    );
  });
}
const owners = [ownerNamed("uid"), ownerNamed("gid")] as const;

/** Operations on names and attributes, by name. */
export const NAME_CALLS: OperationTable = {
  access: operation([path, bits], (kernel, name, mode) => kernel.done(kernel.task.access(name, mode), "access", name)),
  stat: statCall("stat"),
  lstat: statCall("lstat"),
  statfs: operation(
    [path, looseOptions],
    (kernel, name, given) => new StatFs(kernel.done(kernel.task.statfs(name), "statfs", name), given["bigint"] === true),
  ),
  chmod: operation([path, modeNamed("mode")], (kernel, name, mode) => kernel.done(kernel.task.chmod(name, mode), "chmod", name)),
  chown: operation([path, ...owners], (kernel, name, uid, gid) => kernel.done(kernel.task.chown(name, uid, gid), "chown", name)),
  lchown: operation([path, ...owners], (kernel, name, uid, gid) =>
    kernel.done(kernel.task.lchown(name, uid, gid), "lchown", name),
  ),
  utimes: utimes("utime"),
  lutimes: utimes("lutime"),
  link: operation([pathNamed("existingPath"), pathNamed("newPath")], (kernel, name, to) =>
    kernel.done(kernel.task.link(name, to), "link", name, to),
  ),
  // Its callback is what stands last.
  symlink: freeOperation(
    ([target, name, type]) => ({ target: pathNamed("target")(target), name: path(name), type: linkType(type) }),
    (kernel, { target, name }) => kernel.done(kernel.task.symlink(target, name), "symlink", target, name),
  ),
  readlink: operation([pathNamed("oldPath"), options], (kernel, name, given) =>
    encoded(kernel.done(kernel.task.readlink(name), "readlink", name), given),
  ),
  rename: operation([pathNamed("oldPath"), pathNamed("newPath")], (kernel, name, to) =>
    kernel.done(kernel.task.rename(name, to), "rename", name, to),
  ),
  unlink: operation([path], (kernel, name) => kernel.done(kernel.task.unlink(name), "unlink", name)),
  mkdir: operation([path, mkdirOptions], mkdir),
  mkdtemp: operation([pathNamed("prefix"), options], mkdtemp),
  realpath: operation([pathText, options], (kernel, name, given) => encoded(realpath(kernel, name), given)),
};

/** realpath.native, and the promise form of realpath. */
export const NATIVE_REALPATH: Operation = operation([path, options], (kernel, name, given) =>
  encoded(nativeRealpath(kernel, name), given),
);
