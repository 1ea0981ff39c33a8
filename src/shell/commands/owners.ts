/**
 * chmod, chown and chgrp (coreutils 9.1, src/chmod.c, chown-core.c). Trees are walked by fts: chmod changes a directory before what is in it,
 * chown afterwards.
 */
import { type Errno, isErrno } from "../../../sim/core/errno.ts";
import * as fs from "../../../sim/vfs/filesystem.ts";
import { isDirectory } from "../../../sim/vfs/permission.ts";
import { below, type Command, fail, missingOperand, quoted } from "../command.ts";
import { option } from "../options.ts";
import type { Process } from "../process.ts";
import { groupNamed, userNamed } from "./accounts.ts";
import { changedMode, type ModeChange, readMode } from "./mode-text.ts";

const WALK = fs.O_RDONLY | fs.O_NOCTTY | fs.O_NONBLOCK | fs.O_CLOEXEC | fs.O_DIRECTORY;

function changeMode(process: Process, path: string, change: ModeChange, recursive: boolean): number {
  const found = process.stat(path);
  if (isErrno(found)) {
    // fts looks at the link itself, and then once more at both.
    process.lstat(path);
    process.stat(path);
    process.lstat(path);
    return fail(process, `chmod: cannot access ${quoted(path)}`, found);
  }
  return changeTree(process, path, found.mode, { change, recursive, top: true });
}

interface Changing {
  readonly change: ModeChange;
  readonly recursive: boolean;
  /** Whether it is the operand itself, whose symbolic link was followed. */
  readonly top: boolean;
}

function changeTree(process: Process, path: string, mode: number, how: Changing): number {
  if ((mode & fs.S_IFMT) === fs.S_IFLNK) return 0;
  const next = changedMode(how.change, mode & 0o7777, { directory: isDirectory(mode), umask: process.task.umask });
  const failed = process.chmod(path, next);
  if (failed !== undefined) return fail(process, `chmod: changing permissions of ${quoted(path)}`, failed);
  if (!how.recursive || !isDirectory(mode)) return 0;
  const entries = process.list(path, how.top ? WALK : WALK | fs.O_NOFOLLOW);
  if (isErrno(entries)) return fail(process, `chmod: cannot read directory ${quoted(path)}`, entries);
  let status = 0;
  for (const { name } of entries) {
    const inner = below(path, name);
    const found = process.lstat(inner);
    if (isErrno(found)) status = fail(process, `chmod: cannot access ${quoted(inner)}`, found);
    else status = Math.max(status, changeTree(process, inner, found.mode, { ...how, top: false }));
  }
  return status;
}

export const chmod: Command = {
  name: "chmod",
  about: "changes modes; -R of trees",
  options: [option("recursive", "-R --recursive"), option("quiet", "-f --silent --quiet")],
  run: (process, { values, operands }) => {
    const [text, ...files] = operands;
    if (text === undefined) return missingOperand(process, "chmod", undefined, "");
    if (files.length === 0) {
      process.complain(`chmod: missing operand after ${quoted(text)}\nTry 'chmod --help' for more information.`);
      return 1;
    }
    const change = readMode(text);
    if (change === undefined)
      return fail(process, `chmod: invalid mode: ${quoted(text)}\nTry 'chmod --help' for more information.`);
    return files.reduce((status, path) => Math.max(status, changeMode(process, path, change, values.has("recursive"))), 0);
  },
};

interface Owners {
  readonly command: string;
  readonly uid: number;
  readonly gid: number;
  readonly recursive: boolean;
  /** Of a symbolic link itself. */
  readonly links: boolean;
}

function changeOwner(process: Process, path: string, how: Owners): number {
  const found = process.lstat(path);
  if (isErrno(found)) {
    process.lstat(path);
    return fail(process, `${how.command}: cannot access ${quoted(path)}`, found);
  }
  if (how.recursive && isDirectory(found.mode)) return changeOwnerTree(process, path, how);
  return ended(process, path, process.chown(path, how.uid, how.gid, !how.links && !how.recursive), how);
}

function ended(process: Process, path: string, failed: Errno | undefined, how: Owners): number {
  if (failed === undefined) return 0;
  const what = how.command === "chgrp" ? "changing group of" : "changing ownership of";
  return fail(process, `${how.command}: ${what} ${quoted(path)}`, failed);
}

function changeOwnerTree(process: Process, path: string, how: Owners): number {
  const entries = process.list(path, WALK | fs.O_NOFOLLOW);
  if (isErrno(entries)) return fail(process, `${how.command}: cannot read directory ${quoted(path)}`, entries);
  let status = 0;
  for (const { name, type } of entries) {
    const inner = below(path, name);
    if (type === fs.S_IFDIR) {
      const found = process.lstat(inner);
      status = Math.max(status, isErrno(found) ? 1 : changeOwnerTree(process, inner, how));
    } else status = Math.max(status, ended(process, inner, process.chown(inner, how.uid, how.gid, false), how));
  }
  return Math.max(status, ended(process, path, process.chown(path, how.uid, how.gid, false), how));
}

type Ids = Pick<Owners, "uid" | "gid">;

/** USER, USER:GROUP, USER: with the user's own group, or :GROUP, by names or numbers; -1 stays. @returns what is wrong, else */
function ownersNamed(process: Process, text: string): Ids | "user" | "group" {
  const at = text.search(/[:.]/);
  const user = at < 0 ? text : text.slice(0, at);
  const group = at < 0 ? undefined : text.slice(at + 1);
  const found = /^\d*$/.test(user) ? { uid: user === "" ? -1 : Number(user), gid: -1 } : userNamed(process, user);
  if (found === undefined) return "user";
  if (group === undefined) return { uid: found.uid, gid: -1 };
  if (group === "") return found;
  const gid = groupId(process, group);
  return gid === undefined ? "group" : { uid: found.uid, gid };
}

function groupOnly(process: Process, text: string): Ids | "group" {
  const gid = groupId(process, text);
  return gid === undefined ? "group" : { uid: -1, gid };
}

function groupId(process: Process, text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : groupNamed(process, text);
}

function owner(command: "chown" | "chgrp", about: string): Command {
  return {
    name: command,
    about,
    options: [option("recursive", "-R --recursive"), option("links", "-h --no-dereference")],
    run: (process, { values, operands }) => {
      const [text, ...files] = operands;
      if (text === undefined) return missingOperand(process, command, undefined, "");
      if (files.length === 0) {
        process.complain(`${command}: missing operand after ${quoted(text)}\nTry '${command} --help' for more information.`);
        return 1;
      }
      const ids = command === "chown" ? ownersNamed(process, text) : groupOnly(process, text);
      if (typeof ids === "string") return fail(process, `${command}: invalid ${ids}: ${quoted(text)}`);
      const how = { command, ...ids, recursive: values.has("recursive"), links: values.has("links") };
      return files.reduce((status, path) => Math.max(status, changeOwner(process, path, how)), 0);
    },
  };
}

export const chown: Command = owner(
  "chown",
  "changes owners: USER, USER:GROUP or :GROUP, by number or as /etc/passwd and /etc/group name them; -R of trees",
);
export const chgrp: Command = owner("chgrp", "changes groups, by number or name; -R of trees");
