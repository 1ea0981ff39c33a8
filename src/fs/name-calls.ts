/**
 * Operations on names and attributes.
 */
import { posix } from "node:path";
import { EEXIST, ENOENT, ENOTDIR, type Errno, isErrno } from "../../sim/core/errno.ts";
import { type Attributes, S_IFDIR, S_IFLNK, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { codedError, systemError } from "./errors.ts";
import { type Kernel, timeOf } from "./kernel.ts";
import { type Operation, type OperationTable, operation } from "./operation.ts";
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
import { bigIntStats, Stats, statFs } from "./stats.ts";

/** stat and lstat. @returns undefined where nothing is and `throwIfNoEntry` is false. */
function statOf(kernel: Kernel, call: "stat" | "lstat", name: string, given: Options): object | undefined {
  const of: Attributes | Errno = kernel.task[call](name, kernel.attributes);
  if (of === ENOENT && given["throwIfNoEntry"] === false) return undefined;
  const known = kernel.done(of, call, name);
  return given["bigint"] === true ? bigIntStats(known) : new Stats(known);
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

type Refuse = (errno: Errno, syscall: string, at: string) => Error;

/**
 * Follows a path link by link, as Node's own realpath does with lstat, stat and readlink.
 * @param refuse - makes the error of a component that cannot be passed
 */
function realpath(kernel: Kernel, name: string, refuse: Refuse): string {
  const { task } = kernel;
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

/** realpath(3) as the C library does it: one error, about the whole path. */
function nativeRealpath(kernel: Kernel, name: string): string {
  if (name === "") throw systemError(ENOENT, "realpath", { path: name });
  return realpath(kernel, name, (errno) => systemError(errno, "realpath", { path: name }));
}

const times = [secondsNamed(), secondsNamed()] as const;
const owners = [ownerNamed("uid"), ownerNamed("gid")] as const;

/** Operations on names and attributes, by name. */
export const NAME_CALLS: OperationTable = {
  access: operation([path, bits], (kernel, name, mode) => kernel.done(kernel.task.access(name, mode), "access", name)),
  stat: operation([path, looseOptions], (kernel, name, given) => statOf(kernel, "stat", name, given)),
  lstat: operation([path, looseOptions], (kernel, name, given) => statOf(kernel, "lstat", name, given)),
  statfs: operation([path, looseOptions], (kernel, name, given) =>
    statFs(kernel.done(kernel.task.statfs(name), "statfs", name), given["bigint"] === true),
  ),
  chmod: operation([path, modeNamed("mode")], (kernel, name, mode) => kernel.done(kernel.task.chmod(name, mode), "chmod", name)),
  chown: operation([path, ...owners], (kernel, name, uid, gid) => kernel.done(kernel.task.chown(name, uid, gid), "chown", name)),
  lchown: operation([path, ...owners], (kernel, name, uid, gid) =>
    kernel.done(kernel.task.lchown(name, uid, gid), "lchown", name),
  ),
  utimes: operation([path, ...times], (kernel, name, atime, mtime) =>
    kernel.done(kernel.task.utimens(name, timeOf(atime), timeOf(mtime)), "utime", name),
  ),
  lutimes: operation([path, ...times], (kernel, name, atime, mtime) =>
    kernel.done(kernel.task.utimens(name, timeOf(atime), timeOf(mtime), true), "lutime", name),
  ),
  link: operation([pathNamed("existingPath"), pathNamed("newPath")], (kernel, name, to) =>
    kernel.done(kernel.task.link(name, to), "link", name, to),
  ),
  symlink: operation([pathNamed("target"), path, linkType], (kernel, target, name) =>
    kernel.done(kernel.task.symlink(target, name), "symlink", target, name),
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
  realpath: operation([pathText, options], (kernel, name, given) =>
    encoded(
      realpath(kernel, name, (errno, syscall, at) => systemError(errno, syscall, { path: at })),
      given,
    ),
  ),
};

/** realpath.native, and the promise form of realpath. */
export const NATIVE_REALPATH: Operation = operation([path, options], (kernel, name, given) =>
  encoded(nativeRealpath(kernel, name), given),
);
