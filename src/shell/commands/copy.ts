/**
 * cp, and the copy by which mv moves over devices (coreutils 9.1, src/copy.c: copy_internal, copy_dir, copy_reg).
 *
 * A directory's entries are copied in the order of their inode numbers; its times, owner, extended attributes and mode are set after them, in this order.
 */
import { ENOENT, type Errno, EXDEV, isErrno } from "../../../sim/core/errno.ts";
import {
  type Attributes,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../../sim/vfs/filesystem.ts";
import { below, quoted, refuse } from "../command.ts";
import type { OpenedFile } from "../opened-file.ts";
import type { Process } from "../process.ts";
import { copyList, copyXattrs } from "./copy-attributes.ts";
import { copyData } from "./copy-file.ts";

/** How cp or mv copies (struct cp_options). */
export interface Copying {
  readonly command: "cp" | "mv";
  readonly recursive: boolean;
  /** Follow symbolic links of the source: all, those on the command line, or none. */
  readonly dereference: "always" | "command line" | "never";
  readonly preserve: {
    readonly mode: boolean;
    readonly owner: boolean;
    readonly times: boolean;
    readonly links: boolean;
    readonly xattrs: boolean;
  };
  readonly sparse: "auto" | "always" | "never";
  readonly reflink: "auto" | "always" | "never";
  readonly hardLink: boolean;
  readonly symbolicLink: boolean;
  /** Do not overwrite. */
  readonly noClobber: boolean;
  readonly update: boolean;
  /** Unlink what cannot be opened (-f), or before it is opened. */
  readonly force: boolean;
  readonly removeDestination: boolean;
  /** Several operands: what was made is remembered, so that none is overwritten. */
  readonly several: boolean;
  /** Inodes that have been copied, and the names of the copies. */
  readonly copied: Map<string, string>;
  /** The first directory that was made for an operand, and the operand's names: a tree is not copied into itself. */
  readonly own: { made?: { readonly inode: string; readonly from: string; readonly to: string } };
}

/** One file to copy. */
export interface CopyOrder {
  readonly from: string;
  readonly to: string;
  /** Whether the destination is there: known not to be, known not to be a directory that one reaches, or not known. */
  readonly destination: "none" | "no directory" | "unknown";
  readonly onCommandLine: boolean;
}

/** What a copy works with, once both ends have been looked at. */
interface Looked {
  readonly source: Attributes;
  /** Undefined: nothing is there. */
  readonly target: Attributes | undefined;
  /** The mode that a copied directory gets back: while it was filled, its owner could write in it. */
  readonly restored?: number | undefined;
}

export function typeOf(attributes: Attributes): number {
  return attributes.mode & S_IFMT;
}

/** Whether both are the same inode. */
export function sameInode(one: Attributes, other: Attributes): boolean {
  return one.inodeNumber === other.inodeNumber && one.device === other.device;
}

function inodeKey({ device, inodeNumber }: Attributes): string {
  return `${device}:${inodeNumber}`;
}

/** Copies a file or a tree. @returns whether all of it is there; what is not has been complained about */
export function copyOne(process: Process, order: CopyOrder, how: Copying): boolean {
  const { from, to, onCommandLine } = order;
  const source = followsLinks(how) ? process.stat(from) : process.lstat(from);
  if (isErrno(source)) return refuse(process, `cp: cannot stat ${quoted(from)}`, source);
  if (typeOf(source) === S_IFDIR && !how.recursive)
    return refuse(process, `cp: -r not specified; omitting directory ${quoted(from)}`);
  const { made } = how.own;
  if (!onCommandLine && made?.inode === inodeKey(source)) return intoItself(process, from, made);
  const target = lookAtTarget(process, order, source, how);
  if (isErrno(target)) return refuse(process, `cp: cannot stat ${quoted(to)}`, target);
  if (target !== undefined) {
    const met = meet(process, order, { source, target }, how);
    if (met !== undefined) return met;
  }
  const replaced = target !== undefined && typeOf(target) !== S_IFDIR && how.removeDestination;
  if (replaced) {
    const failed = process.unlinkat(to);
    if (failed !== undefined && failed !== ENOENT) return refuse(process, `cp: cannot remove ${quoted(to)}`, failed);
  }
  if (onCommandLine && how.several) process.lstat(to);
  return transfer(process, order, { source, target: replaced ? undefined : target }, how);
}

/** The names are compared first: their directories are looked at. */
function intoItself(process: Process, path: string, made: NonNullable<Copying["own"]["made"]>): false {
  const parent = path.slice(0, Math.max(0, path.lastIndexOf("/"))) || ".";
  process.lstat(parent);
  process.lstat(parent);
  return refuse(process, `cp: cannot copy a directory, ${quoted(made.from)}, into itself, ${quoted(made.to)}`);
}

function followsLinks(how: Copying): boolean {
  return how.dereference !== "never";
}

/** Without -R, a device or a pipe is read like a file (copy_as_regular): `cp /dev/null log` empties a log. */
function copiedAsFile(source: Attributes, how: Copying): boolean {
  const type = typeOf(source);
  return type === S_IFREG || (!how.recursive && type !== S_IFLNK && type !== S_IFDIR);
}

/** lstat of what is replaced and not written into; else stat. */
function lookAtTarget(process: Process, order: CopyOrder, source: Attributes, how: Copying): Attributes | undefined | Errno {
  if (order.destination === "none") return undefined;
  const replaces = !copiedAsFile(source, how) || how.symbolicLink || how.hardLink || how.removeDestination;
  if (!replaces && order.destination === "no directory") return undefined;
  const found = replaces ? process.lstat(order.to) : process.stat(order.to);
  return found === ENOENT ? undefined : found;
}

/** What is decided by a destination that is there; undefined: go on. */
function meet(process: Process, { from, to }: CopyOrder, { source, target }: Looked, how: Copying): boolean | undefined {
  if (target === undefined) return undefined;
  if (how.noClobber && typeOf(source) !== S_IFDIR) return true;
  if (sameInode(source, target) && !(how.hardLink && !how.symbolicLink)) {
    if (how.dereference !== "never") {
      process.lstat(from);
      process.lstat(to);
    }
    return refuse(process, `cp: ${quoted(from)} and ${quoted(to)} are the same file`);
  }
  if (how.update && typeOf(source) !== S_IFDIR && !isNewer(source, target)) return true;
  if (typeOf(source) === S_IFDIR && typeOf(target) !== S_IFDIR)
    return refuse(process, `cp: cannot overwrite non-directory ${quoted(to)} with directory ${quoted(from)}`);
  if (typeOf(source) !== S_IFDIR && typeOf(target) === S_IFDIR)
    return refuse(process, `cp: cannot overwrite directory ${quoted(to)} with non-directory`);
  return undefined;
}

function isNewer(one: Attributes, other: Attributes): boolean {
  const { seconds, nanoseconds } = one.mtime;
  return seconds > other.mtime.seconds || (seconds === other.mtime.seconds && nanoseconds > other.mtime.nanoseconds);
}

/** The copy itself, both ends known. */
function transfer(process: Process, order: CopyOrder, looked: Looked, how: Copying): boolean {
  const { from, to, onCommandLine } = order;
  const { source } = looked;
  const type = typeOf(source);
  const remembers = how.preserve.links && !how.hardLink && type !== S_IFDIR && source.nlink > 1;
  const earlier = remembers ? how.copied.get(inodeKey(source)) : undefined;
  if (earlier !== undefined) return linkTo(process, earlier, to, how, false);
  if (remembers) how.copied.set(inodeKey(source), to);
  if (type === S_IFDIR) return copyDirectory(process, order, looked, how);
  if (how.symbolicLink)
    return report(process, process.symlink(from, to), `cannot create symbolic link ${quoted(to)} to ${quoted(from)}`, how);
  if (how.hardLink) return linkTo(process, from, to, how, followsLinks(how));
  const asRegular = copiedAsFile(source, how);
  const done = asRegular ? copyRegular(process, order, looked, how) : copySpecial(process, order, source, how);
  if (onCommandLine && how.several && how.command === "cp") process.lstat(to);
  if (!done || asRegular) return done;
  return type === S_IFLNK ? finishLink(process, order, source, how) : finish(process, order, looked, how);
}

function report(process: Process, failed: Errno | undefined, what: string, how: Copying): boolean {
  return failed === undefined || refuse(process, `${how.command}: ${what}`, failed);
}

function linkTo(process: Process, from: string, to: string, how: Copying, follow: boolean): boolean {
  return report(process, process.link(from, to, follow), `cannot create hard link ${quoted(to)} to ${quoted(from)}`, how);
}

/** The bits that the copy gets at first: group and others none while its owner is not yet right. */
function modeAtFirst(source: Attributes, how: Copying): number {
  const mode = source.mode & 0o7777;
  if (how.preserve.owner) return mode & ~0o077;
  return typeOf(source) === S_IFDIR ? mode & ~0o022 : mode;
}

function copyDirectory(process: Process, order: CopyOrder, { source, target }: Looked, how: Copying): boolean {
  const { from, to } = order;
  let restored: number | undefined;
  if (target === undefined) {
    const failed = process.mkdir(to, modeAtFirst(source, how), "mkdirat");
    if (failed !== undefined) return report(process, failed, `cannot create directory ${quoted(to)}`, how);
    const made = process.lstat(to);
    if (isErrno(made)) return report(process, made, `cannot stat ${quoted(to)}`, how);
    if ((made.mode & 0o700) !== 0o700) {
      restored = made.mode & 0o7777;
      process.lchmod(to, restored | 0o700);
    }
    how.own.made ??= { inode: inodeKey(made), from, to };
  }
  const entries = process.list(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY);
  if (isErrno(entries)) return report(process, entries, `cannot access ${quoted(from)}`, how);
  entries.sort((one, other) => one.inodeNumber - other.inodeNumber);
  let complete = true;
  for (const { name } of entries) {
    const inner: CopyOrder = {
      from: below(from, name),
      to: below(to, name),
      destination: target === undefined && how.command === "cp" ? "none" : "unknown",
      onCommandLine: false,
    };
    complete = (how.command === "mv" ? copyInMove(process, inner, how) : copyInTree(process, inner, how)) && complete;
  }
  return finish(process, order, { source, target, restored }, how) && complete;
}

/** An entry of a copied tree; the tree's own new directory is stepped over. */
function copyInTree(process: Process, order: CopyOrder, how: Copying): boolean {
  return copyOne(process, order, how.dereference === "command line" ? { ...how, dereference: "never" } : how);
}

/** An entry of a tree that mv copies: what stands at its place is removed first. */
function copyInMove(process: Process, order: CopyOrder, how: Copying): boolean {
  const source = process.lstat(order.from);
  if (isErrno(source)) return report(process, source, `cannot stat ${quoted(order.from)}`, how);
  return moveByCopy(process, order, source, how);
}

/** The copying part of a move over devices. */
function moveByCopy(process: Process, order: CopyOrder, source: Attributes, how: Copying): boolean {
  if (!order.onCommandLine || order.destination !== "none") {
    const there = process.lstat(order.to);
    if (isErrno(there) && there !== ENOENT) return report(process, there, `cannot stat ${quoted(order.to)}`, how);
  }
  const linked = source.nlink > 1 && typeOf(source) !== S_IFDIR ? how.copied.get(inodeKey(source)) : undefined;
  if (linked !== undefined) return linkTo(process, linked, order.to, how, false);
  return replaceByCopy(process, order, source, how);
}

/** After a rename that gave EXDEV: the destination is removed, then copied. */
export function replaceByCopy(process: Process, order: CopyOrder, source: Attributes, how: Copying): boolean {
  const failed = process.unlinkat(order.to, typeOf(source) === S_IFDIR);
  if (failed !== undefined && failed !== ENOENT) {
    const what = `inter-device move failed: ${quoted(order.from)} to ${quoted(order.to)}; unable to remove target`;
    return report(process, failed, what, how);
  }
  return transfer(process, order, { source, target: undefined }, how);
}

function copySpecial(process: Process, { from, to }: CopyOrder, source: Attributes, how: Copying): boolean {
  if (typeOf(source) === S_IFLNK) {
    const target = process.readlink(from);
    if (isErrno(target)) return report(process, target, `cannot read symbolic link ${quoted(from)}`, how);
    const made = process.symlink(target, to);
    if (made !== undefined) return report(process, made, `cannot create symbolic link ${quoted(to)}`, how);
    const owned = how.preserve.owner ? process.chown(to, source.uid, source.gid, false) : undefined;
    return report(process, owned, `failed to preserve ownership for ${quoted(to)}`, how);
  }
  const mode = typeOf(source) | modeAtFirst(source, how);
  const what = typeOf(source) === S_IFIFO ? "cannot create fifo" : "cannot create special file";
  return report(process, process.mknod(to, mode, source.rdev), `${what} ${quoted(to)}`, how);
}

function finishLink(process: Process, { from, to }: CopyOrder, source: Attributes, how: Copying): boolean {
  if (how.preserve.times) process.utimens(to, source.atime, source.mtime, true);
  if (how.preserve.xattrs) copyXattrs(process, from, to, false);
  return true;
}

/** Times, owner, attributes and mode of a copy that is no regular file. */
function finish(process: Process, { from, to }: CopyOrder, { source, target, restored }: Looked, how: Copying): boolean {
  if (how.preserve.times) {
    const failed = process.utimens(to, source.atime, source.mtime);
    if (failed !== undefined) report(process, failed, `preserving times for ${quoted(to)}`, how);
  }
  const owned = target !== undefined && target.uid === source.uid && target.gid === source.gid;
  if (how.preserve.owner && !owned) {
    const failed = process.chown(to, source.uid, source.gid, false);
    if (failed !== undefined) report(process, failed, `failed to preserve ownership for ${quoted(to)}`, how);
  }
  if (how.preserve.xattrs) copyXattrs(process, from, to, false);
  if (how.preserve.mode || how.command === "mv") return copyList(process, { from, to, source }, how.command);
  const omitted = typeOf(source) === S_IFDIR ? source.mode & 0o022 & ~process.task.umask : 0;
  if (restored !== undefined) process.lchmod(to, restored | omitted);
  else if (omitted !== 0 && target === undefined) {
    const now = process.lstat(to);
    if (!isErrno(now) && (omitted & ~now.mode) !== 0) process.lchmod(to, (now.mode & 0o7777) | omitted);
  }
  return true;
}

function copyRegular(process: Process, order: CopyOrder, looked: Looked, how: Copying): boolean {
  const { from } = order;
  const nofollow = how.dereference === "never" || how.command === "mv" ? O_NOFOLLOW : 0;
  const input = process.open(from, O_RDONLY | nofollow);
  if (isErrno(input)) return report(process, input, `cannot open ${quoted(from)} for reading`, how);
  const opened = process.fstat(input);
  const done = !isErrno(opened) && intoTarget(process, order, { ...looked, source: opened }, { how, input });
  process.close(input);
  return done;
}

interface Reading {
  readonly how: Copying;
  readonly input: OpenedFile;
}

function intoTarget(process: Process, order: CopyOrder, { source, target }: Looked, { how, input }: Reading): boolean {
  const { to } = order;
  const mode = (modeAtFirst(source, how) & 0o777) | (how.preserve.xattrs ? 0o200 : 0);
  let output = target === undefined ? process.open(to, O_WRONLY | O_CREAT | O_EXCL, mode) : process.open(to, O_WRONLY | O_TRUNC);
  if (isErrno(output) && target !== undefined && how.force && output !== ENOENT) {
    const failed = process.unlinkat(to);
    if (failed !== undefined) return report(process, failed, `cannot remove ${quoted(to)}`, how);
    output = process.open(to, O_WRONLY | O_CREAT | O_EXCL, mode);
  }
  if (isErrno(output)) return report(process, output, `cannot create regular file ${quoted(to)}`, how);
  const done = fill(process, order, source, { how, input, output });
  process.close(output);
  return done;
}

interface Filling extends Reading {
  readonly output: OpenedFile;
}

/** Data and attributes of an open copy. */
function fill(process: Process, { from, to }: CopyOrder, source: Attributes, { how, input, output }: Filling): boolean {
  const cloned = how.reflink === "never" ? EXDEV : process.clone(input, output);
  if (cloned !== undefined && how.reflink === "always")
    return report(process, cloned, `failed to clone ${quoted(to)} from ${quoted(from)}`, how);
  const needsLook = cloned !== undefined || how.preserve.owner || how.preserve.xattrs;
  const made = needsLook ? process.fstat(output) : source;
  if (isErrno(made)) return report(process, made, `cannot fstat ${quoted(to)}`, how);
  const copy = {
    command: how.command,
    from: input,
    to: output,
    names: [from, to],
    sparse: how.sparse,
    reflink: how.reflink,
  } as const;
  if (cloned !== undefined && !copyData(process, copy, source, made)) return false;
  if (how.preserve.times) process.futimens(output, source.atime, source.mtime);
  if (how.preserve.owner && (made.uid !== source.uid || made.gid !== source.gid)) {
    const failed = process.fchown(output, source.uid, source.gid);
    if (failed !== undefined) report(process, failed, `failed to preserve ownership for ${quoted(to)}`, how);
  }
  if (how.preserve.xattrs) copyXattrs(process, input, output, false);
  if (how.preserve.mode || how.command === "mv") return copyList(process, { from: input, to: output, source }, how.command);
  return true;
}
