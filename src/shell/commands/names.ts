/**
 * ln, mkdir, mkfifo and mknod (coreutils 9.1, src/ln.c, mkdir.c; gnulib's force-link and mkdir-p).
 */
import { EEXIST, ENOENT, EPERM, type Errno, isErrno } from "../../../sim/core/errno.ts";
import { deviceNumber } from "../../../sim/core/units.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { baseName, below, type Command, fail, missingOperand, quoted } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";
import { sameInode } from "./copy.ts";
import { changedMode, readMode } from "./mode-text.ts";

const TEMPORARY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

interface Linking {
  readonly symbolic: boolean;
  readonly force: boolean;
  readonly follow: boolean;
}

function linkOnce(process: Process, target: string, name: string, how: Linking): Errno | undefined {
  return how.symbolic ? process.symlink(target, name) : process.link(target, name, how.follow);
}

/** Replaces what stands at a name: a link under a name of its own, renamed over it (gnulib's force-link). */
function linkOver(process: Process, target: string, name: string, how: Linking): Errno | undefined {
  const slash = name.lastIndexOf("/") + 1;
  const random = Array.from({ length: 6 }, () => TEMPORARY[process.random.uint32() % TEMPORARY.length] ?? "a").join("");
  const temporary = `${name.slice(0, slash)}Cu${random}`;
  const failed = linkOnce(process, target, temporary, how) ?? process.rename(temporary, name);
  // A rename between two links of one inode does nothing, and leaves both.
  if (failed === undefined && !how.symbolic) process.unlinkat(temporary);
  return failed;
}

/** @param tried - what the first link gave, where it was made already */
function makeLink(process: Process, target: string, name: string, how: Linking, tried: Errno | undefined | "not tried"): number {
  const failed = tried === "not tried" ? linkOnce(process, target, name, how) : tried;
  if (failed === undefined) return 0;
  if (!how.symbolic) {
    const source = process.lstat(target);
    if (isErrno(source)) return fail(process, `ln: failed to access ${quoted(target)}`, source);
    if ((source.mode & fs.S_IFMT) === fs.S_IFDIR) return fail(process, `ln: ${target}: hard link not allowed for directory`);
  }
  const kind = how.symbolic ? "symbolic link" : "hard link";
  if (failed === EEXIST && how.force) return replaceLink(process, target, name, how);
  const toward = failed === EPERM || failed === EEXIST ? "" : how.symbolic ? "" : ` => ${quoted(target)}`;
  return fail(process, `ln: failed to create ${kind} ${quoted(name)}${toward}`, failed);
}

function replaceLink(process: Process, target: string, name: string, how: Linking): number {
  const there = process.lstat(name);
  const kind = how.symbolic ? "symbolic link" : "hard link";
  if (isErrno(there)) return fail(process, `ln: failed to access ${quoted(name)}`, there);
  if ((there.mode & fs.S_IFMT) === fs.S_IFDIR) return fail(process, `ln: ${name}: cannot overwrite directory`);
  if (how.symbolic) {
    const source = process.stat(target);
    if (!isErrno(source) && sameInode(source, there))
      return fail(process, `ln: ${quoted(target)} and ${quoted(name)} are the same file`);
  }
  const failed = linkOver(process, target, name, how);
  return failed === undefined ? 0 : fail(process, `ln: failed to create ${kind} ${quoted(name)}`, failed);
}

export const ln: Command = {
  name: "ln",
  about: "makes links; -s symbolic ones",
  options: [
    option("symbolic", "-s --symbolic"),
    option("force", "-f --force"),
    option("no-dereference", "-n --no-dereference"),
    option("no-directory", "-T --no-target-directory"),
    option("logical", "-L --logical"),
    option("physical", "-P --physical"),
    option("directory", "-t --target-directory", "value"),
  ],
  run: (process, { values, operands }) => {
    const how = { symbolic: values.has("symbolic"), force: values.has("force"), follow: values.has("logical") };
    const named = values.get("directory");
    const [first] = operands;
    if (first === undefined) return missingOperand(process, "ln");
    if (values.has("no-directory")) {
      if (operands.length < 2) return missingOperand(process, "ln", first);
      return makeLink(process, first, operands[1] ?? "", how, "not tried");
    }
    const last = named ?? (operands.length === 1 ? "." : (operands.at(-1) ?? ""));
    const files = named === undefined && operands.length > 1 ? operands.slice(0, -1) : operands;
    const only = named === undefined && operands.length === 2;
    const tried = only ? linkOnce(process, first, last, how) : undefined;
    if (only && tried === undefined) return 0;
    // Only a name that is there can be a directory.
    const looks = !only || tried === EEXIST || tried?.code === "ENOTDIR" || tried?.code === "EINVAL";
    const flags = fs.O_RDONLY | fs.O_PATH | fs.O_DIRECTORY | (values.has("no-dereference") ? fs.O_NOFOLLOW : 0);
    const directory = looks ? process.open(last, flags) : ENOENT;
    if (isErrno(directory)) {
      if (only) return makeLink(process, first, last, how, tried);
      return fail(process, `ln: target ${quoted(last)}`, directory);
    }
    let status = 0;
    for (const file of files) status = Math.max(status, makeLink(process, file, below(last, baseName(file)), how, "not tried"));
    return status;
  },
};

const INTO = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_NOFOLLOW | fs.O_DIRECTORY;

/** mkdir -p: each part is made and entered in turn; the process comes back afterwards. */
function makeParents(process: Process, path: string, mode: number): number {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  let made = path.startsWith("/") ? "/" : ".";
  for (const [index, name] of names.entries()) {
    const next = below(made, name);
    const failed = process.mkdirIn(made, name, index === names.length - 1 ? mode : 0o777);
    if (failed !== undefined) {
      if (failed !== EEXIST) return fail(process, `mkdir: cannot create directory ${quoted(next)}`, failed);
      if (index === names.length - 1) {
        const there = process.stat(next);
        if (isErrno(there) || (there.mode & fs.S_IFMT) !== fs.S_IFDIR)
          return fail(process, `mkdir: cannot create directory ${quoted(path)}`, EEXIST);
      }
    } else if (index < names.length - 1) {
      const entered = process.open(next, INTO, undefined, name);
      if (!isErrno(entered)) process.close(entered);
    }
    made = next;
  }
  return 0;
}

export const mkdir: Command = {
  name: "mkdir",
  about: "makes directories; -p with their parents",
  options: [option("parents", "-p --parents"), option("mode", "-m --mode", "value")],
  run: (process, { values, operands }) => {
    if (operands.length === 0) return missingOperand(process, "mkdir", undefined, "");
    const text = values.get("mode");
    const change = text === undefined ? undefined : readMode(text);
    if (text !== undefined && change === undefined) return fail(process, `mkdir: invalid mode ${quoted(text)}`);
    let status = 0;
    for (const path of operands) {
      const mode = change === undefined ? 0o777 : changedMode(change, 0o777, { directory: true, umask: process.task.umask });
      if (values.has("parents")) {
        status = Math.max(status, makeParents(process, path, mode));
        continue;
      }
      const failed = process.mkdir(path, mode);
      if (failed !== undefined) {
        status = fail(process, `mkdir: cannot create directory ${quoted(path)}`, failed);
        continue;
      }
      if (change === undefined) continue;
      const made = process.open(path, INTO);
      if (isErrno(made)) continue;
      const now = process.fstat(made);
      if (!isErrno(now) && (now.mode & 0o7777) !== mode) process.fchmod(made, mode);
      process.close(made);
    }
    return status;
  },
};

export const mkfifo: Command = {
  name: "mkfifo",
  about: "makes named pipes",
  options: [],
  run: (process, { operands }) => {
    if (operands.length === 0) return missingOperand(process, "mkfifo", undefined, "");
    let status = 0;
    for (const path of operands) {
      const failed = process.mknod(path, fs.S_IFIFO | 0o666, 0);
      if (failed !== undefined) status = fail(process, `mkfifo: cannot create fifo ${quoted(path)}`, failed);
    }
    return status;
  },
};

export const mknod: Command = {
  name: "mknod",
  about: "makes device nodes: mknod NAME b|c MAJOR MINOR, or NAME p",
  options: [],
  run: (process, { operands }) => {
    const [path, type, major, minor] = operands;
    if (path === undefined || type === undefined) return missingOperand(process, "mknod", path, "");
    if (type === "p") {
      const failed = process.mknod(path, fs.S_IFIFO | 0o666, 0);
      return failed === undefined ? 0 : fail(process, `mknod: ${path}`, failed);
    }
    if (!/^[bcu]$/.test(type)) return fail(process, `mknod: invalid device type ${quoted(type)}`);
    if (!/^\d+$/.test(major ?? "") || !/^\d+$/.test(minor ?? ""))
      return fail(process, "mknod: invalid major or minor device number");
    const bits = type === "b" ? fs.S_IFBLK : fs.S_IFCHR;
    const failed = process.mknod(path, bits | 0o666, deviceNumber(Number(major), Number(minor)));
    return failed === undefined ? 0 : fail(process, `mknod: ${path}`, failed);
  },
};
