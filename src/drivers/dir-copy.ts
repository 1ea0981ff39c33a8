/**
 * Copies a whole tree by system calls, in one of two ways:
 * - "docker": Docker's DirCopy (moby daemon/graphdriver/copy/copy.go). Data by FICLONE, else copy_file_range, else read and write; a method
 *   that the filesystem refuses is not tried again in this walk. Sockets become FIFOs; of xattrs only security.capability and
 *   trusted.overlay.opaque are kept; holes are filled except where extents are shared.
 * - "all": what `cp -a` keeps (coreutils 9.1, src/copy.c): sockets, every xattr, and holes of files that have some.
 *
 * Both keep hard links within the tree, owner, mode, atime and mtime; those of a directory are set when its content is there.
 * With `links` files are not copied: the copy gets further names of them (Docker: of regular files; `cp -al`: of all but directories).
 *
 * Interface: O(entries + extents): data moves as runs of Content. Counts what it copied; a failure leaves what was copied so far.
 */
import { ENODATA, ENOSYS, ENOTSUP, ENXIO, type Errno, EXDEV, isErrno } from "../../sim/core/errno.ts";
import type { Host } from "../../sim/host.ts";
import {
  type Attributes,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writeAll } from "../calls/write-all.ts";
import { DriverError, isDriverError, pathError, type TreeCopyEngine } from "./driver.ts";
import { lstat, sortedNames } from "./files.ts";

/** What tree copies have done; each only grows. */
export interface TreeCopyCounters {
  /** Files of any type but directories, a further name of one included. */
  treeCopyFiles: number;
  /** Bytes that the calls moved or shared. */
  treeCopyBytes: number;
}

/** The xattrs that Docker's copy keeps. */
const DOCKER_XATTRS = ["security.capability", "trusted.overlay.opaque"];
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** The most that one call moves (kernel: MAX_RW_COUNT). */
const MOVE_MAX = 0x7ffff000;
/** st_blocks counts these. */
const STAT_BLOCK = 512;

/** A copy under way. */
export interface Walk {
  readonly task: Task;
  readonly engine: TreeCopyEngine;
  readonly counters: TreeCopyCounters;
  readonly links: boolean;
  /** Targets of the files that have more than one name, by device and inode. */
  readonly copied: Map<string, string>;
  useClone: boolean;
  useRange: boolean;
}

/** One file on its way: from where, to where, and the source's attributes. */
export interface Item {
  readonly source: string;
  readonly target: string;
  readonly of: Attributes;
}

/** How a tree is copied. */
export interface TreeCopyHow {
  readonly task: Task;
  readonly engine: TreeCopyEngine;
  readonly counters: TreeCopyCounters;
  /** Hard links in the place of copies. Default false. */
  readonly links?: boolean;
}

/** Begins a copy: hard links are kept among all the files that it takes. */
export function beginCopy(how: TreeCopyHow): Walk {
  return { ...how, links: how.links === true, copied: new Map(), useClone: true, useRange: true };
}

/** Copies the tree at `source` onto `target`, which may exist as a directory. */
export function copyTree(host: Host, paths: { source: string; target: string }, how: TreeCopyHow): DriverError | undefined {
  const walk = beginCopy(how);
  const { treeCopyFiles, treeCopyBytes } = how.counters;
  const failed = copyItem(walk, paths.source, paths.target);
  if (host.events.listening) {
    const files = how.counters.treeCopyFiles - treeCopyFiles;
    host.events.emit({ op: "treeCopy", ...paths, files, bytes: how.counters.treeCopyBytes - treeCopyBytes });
  }
  return failed;
}

function copyItem(walk: Walk, source: string, target: string): DriverError | undefined {
  const of = lstat(walk.task, source);
  if (isDriverError(of)) return of;
  const item: Item = { source, target, of };
  const isFolder = (of.mode & S_IFMT) === S_IFDIR;
  return isFolder ? (copyFolder(walk, item) ?? copyMetadata(walk, item)) : copyOne(walk, item);
}

/** Copies one object that is no directory, with all that the engine keeps of it. */
export function copyOne(walk: Walk, item: Item): DriverError | undefined {
  const made = copyFile(walk, item);
  return made === "linked" ? undefined : (made ?? copyMetadata(walk, item));
}

function copyFolder(walk: Walk, { source, target, of }: Item): DriverError | undefined {
  const { task } = walk;
  const made = task.mkdir(target, (of.mode & 0o7777) | 0o700);
  if (made !== undefined && isErrno(task.stat(target))) return pathError("mkdir", target, made);
  const names = sortedNames(task, source);
  if (isDriverError(names)) return names;
  for (const name of names) {
    const failed = copyItem(walk, `${source}/${name}`, `${target}/${name}`);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/** Makes one file's copy: a further name of one that has been copied, or a new one of its type. */
function copyFile(walk: Walk, item: Item): DriverError | "linked" | undefined {
  const { source, target, of } = item;
  walk.counters.treeCopyFiles += 1;
  const key = `${of.device}:${of.inodeNumber}`;
  const type = of.mode & S_IFMT;
  if (walk.links && (type === S_IFREG || walk.engine === "all")) return linkFile(walk, source, target);
  // Docker looks for hard links of regular files only.
  if (of.nlink > 1 && (type === S_IFREG || walk.engine === "all")) {
    const first = walk.copied.get(key);
    if (first !== undefined) return linkFile(walk, first, target);
    walk.copied.set(key, target);
  }
  if (type === S_IFREG) return copyRegular(walk, item);
  if (type === S_IFLNK) {
    const text = walk.task.readlink(source);
    if (isErrno(text)) return pathError("readlink", source, text);
    const made = walk.task.symlink(text, target);
    return made === undefined ? undefined : pathError("symlink", `${text} ${target}`, made);
  }
  return copySpecial(walk, item, type);
}

function linkFile({ task }: Walk, source: string, target: string): DriverError | "linked" {
  const linked = task.link(source, target);
  return linked === undefined ? "linked" : pathError("link", `${source} ${target}`, linked);
}

function copySpecial(walk: Walk, { source, target, of }: Item, type: number): DriverError | undefined {
  const known = type === S_IFIFO || type === S_IFSOCK || type === S_IFCHR || type === S_IFBLK;
  if (!known) return new DriverError(`unknown file type (${of.mode} / ${of.mode.toString(8)}) for ${source}`);
  const kept = walk.engine === "docker" && type === S_IFSOCK ? S_IFIFO : type;
  const made = walk.task.mknod(target, kept | (of.mode & 0o7777), of.rdev);
  return made === undefined ? undefined : pathError("mknod", target, made);
}

function copyRegular(walk: Walk, item: Item): DriverError | undefined {
  const { source, target, of } = item;
  const { task } = walk;
  const from = task.open(source, O_RDONLY);
  if (isErrno(from)) return pathError("open", source, from);
  const to = task.open(target, O_WRONLY | O_CREAT | O_TRUNC, of.mode & 0o7777);
  if (isErrno(to)) {
    task.close(from);
    return pathError("open", target, to);
  }
  const failed = moveData(walk, { from, to, of });
  task.close(to);
  task.close(from);
  if (failed !== undefined) return pathError("copy", target, failed);
  walk.counters.treeCopyBytes += of.size;
  return undefined;
}

interface Data {
  readonly from: number;
  readonly to: number;
  readonly of: Attributes;
}

function moveData(walk: Walk, data: Data): Errno | undefined {
  if (walk.useClone) {
    const cloned = walk.task.clone(data.from, data.to);
    if (cloned === undefined) return undefined;
    walk.useClone = false;
    if (cloned === EXDEV) walk.useRange = false;
  }
  const sparse = walk.engine === "all" && data.of.blocks < Math.floor(data.of.size / STAT_BLOCK);
  return sparse ? moveSegments(walk, data) : moveRange(walk, data, data.of.size);
}

/** Moves `length` bytes at both files' positions. */
function moveRange(walk: Walk, { from, to }: Data, length: number): Errno | undefined {
  for (let left = length; left > 0; ) {
    const moved = moveSome(walk, { from, to }, Math.min(left, MOVE_MAX));
    if (isErrno(moved)) return moved;
    if (moved === 0) return undefined;
    left -= moved;
  }
  return undefined;
}

function moveSome(walk: Walk, files: { from: number; to: number }, length: number): number | Errno {
  if (walk.useRange) {
    const moved = walk.task.copyFileRange(files.from, files.to, length);
    if (moved !== ENOSYS && moved !== EXDEV && moved !== ENOTSUP) return moved;
    walk.useRange = false;
  }
  const content = walk.task.read(files.from, length);
  return isErrno(content) ? content : (writeAll(walk.task, files.to, content) ?? content.length);
}

/** Moves what is data and leaves holes where holes are (coreutils: lseek_copy). */
function moveSegments(walk: Walk, data: Data): Errno | undefined {
  const { task } = walk;
  for (let at = 0; at < data.of.size; ) {
    const start = task.lseek(data.from, at, SEEK_DATA);
    if (start === ENXIO) break;
    if (isErrno(start)) return start;
    const end = task.lseek(data.from, start, SEEK_HOLE);
    if (isErrno(end)) return end;
    task.lseek(data.from, start, SEEK_SET);
    task.lseek(data.to, start, SEEK_SET);
    const failed = moveRange(walk, data, end - start);
    if (failed !== undefined) return failed;
    at = end;
  }
  return task.ftruncate(data.to, data.of.size);
}

/** Owner, xattrs, mode and times, in this order: a change of owner clears set-id bits and capabilities. */
function copyMetadata(walk: Walk, item: Item): DriverError | undefined {
  return copyOwner(walk, item) ?? copyXattrs(walk, item) ?? copyModeAndTimes(walk, item);
}

/** Owner, mode and times without xattrs: what an archive's entry sets of a directory. */
export function copyAttributes(walk: Walk, item: Item): DriverError | undefined {
  return copyOwner(walk, item) ?? copyModeAndTimes(walk, item);
}

function copyOwner({ task }: Walk, { target, of }: Item): DriverError | undefined {
  const owned = task.lchown(target, of.uid, of.gid);
  return owned === undefined ? undefined : pathError("lchown", target, owned);
}

function copyModeAndTimes({ task }: Walk, { target, of }: Item): DriverError | undefined {
  if ((of.mode & S_IFMT) !== S_IFLNK) {
    const changed = task.chmod(target, of.mode & 0o7777);
    if (changed !== undefined) return pathError("chmod", target, changed);
  }
  const timed = task.utimens(target, of.atime, of.mtime, true);
  return timed === undefined ? undefined : pathError("chtimes", target, timed);
}

function copyXattrs(walk: Walk, { source, target }: Item): DriverError | undefined {
  const { task } = walk;
  const names = walk.engine === "docker" ? DOCKER_XATTRS : task.llistxattr(source);
  if (isErrno(names)) return undefined;
  for (const name of names) {
    const value = task.lgetxattr(source, name);
    if (value === ENODATA || value === ENOTSUP) continue;
    const failed = isErrno(value) ? value : task.lsetxattr(target, name, value);
    // cp -a goes on without an attribute that cannot be set; Docker gives up.
    if (failed !== undefined && walk.engine === "docker") return pathError("lsetxattr", target, failed);
  }
  return undefined;
}
