/**
 * Makes one file of a tar entry by system calls, in Docker's order (moby v20.10.27 pkg/archive, createTarFile): create, owner, extended
 * attributes, mode, times.
 *
 * Interface: the task's root is the layer's, so no link leads out. Paths are absolute below it.
 */
import { type Time, timeFromNanoseconds, timeToNanoseconds } from "../../sim/core/clock.ts";
import { EBUSY, ENOENT, ENOTSUP, EPERM, type Errno, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import {
  newAttributes,
  O_CREAT,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { writeAll } from "../calls/write-all.ts";
import { ArchiveFault, type ReadMode } from "./fault.ts";
import { folderOf, layerPath } from "./names.ts";
import * as tar from "./tar-header.ts";
import type { TarEntry } from "./tar-read.ts";

/** A system call that failed while a layer was unpacked. */
export class UnpackError {
  /** "" where Docker tells the error alone. */
  readonly operation: string;
  readonly path: string;
  readonly errno: Errno;

  constructor(operation: string, path: string, errno: Errno) {
    this.operation = operation;
    this.path = path;
    this.errno = errno;
  }

  /** As Go words it. */
  get message(): string {
    const what = `${this.errno.text.charAt(0).toLowerCase()}${this.errno.text.slice(1)}`;
    return [[this.operation, this.path].filter((word) => word !== "").join(" "), what].filter((word) => word !== "").join(": ");
  }
}

/** The type bits of what stands at a path; undefined where nothing does. */
export function typeAt(task: Task, path: string): number | undefined {
  const of = task.lstat(path, newAttributes());
  return isErrno(of) ? undefined : of.mode & S_IFMT;
}

/** os.RemoveAll; the root's content goes, and the root itself is busy. */
export function removeTree(task: Task, path: string): UnpackError | undefined {
  const isRoot = path === "/";
  const failed = removeBelow(task, path, isRoot);
  // The walk goes down and up by single names, so that deep trees cost no long paths; it ends where it began.
  task.chdir("/");
  return failed ?? (isRoot ? new UnpackError("unlinkat", ".//", EBUSY) : undefined);
}

/** Removes `name` of the working directory (at first a whole path). */
function removeBelow(task: Task, name: string, isRoot: boolean): UnpackError | undefined {
  const unlinked = isRoot ? EPERM : task.unlink(name);
  if (unlinked === undefined || unlinked === ENOENT) return undefined;
  if (typeAt(task, name) !== S_IFDIR) return new UnpackError("unlinkat", name, unlinked);
  const above = task.cwd;
  const entered = task.chdir(name);
  const rows = entered ?? task.readdir(".");
  if (isErrno(rows)) return new UnpackError("open", name, rows);
  for (const row of rows) {
    const failed = removeBelow(task, row.name, false);
    if (failed !== undefined) return failed;
  }
  if (isRoot) return undefined;
  task.chdirTo(above);
  const errno = task.rmdir(name);
  return errno === undefined || errno === ENOENT ? undefined : new UnpackError("unlinkat", name, errno);
}

/** system.MkdirAll of a missing parent; symbolic links on the way are followed. A parent that cannot even be looked at is left to fail later. */
export function makeParents(task: Task, folder: string, mode: number): UnpackError | undefined {
  let there = folder;
  const missing: string[] = [];
  while (there !== "/" && task.lstat(there, newAttributes()) === ENOENT) {
    const slash = there.lastIndexOf("/");
    missing.push(there.slice(slash + 1));
    there = folderOf(there);
  }
  if (missing.length === 0) return undefined;
  const entered = task.chdir(there);
  if (entered !== undefined) return new UnpackError("mkdir", folder, entered);
  let failed: Errno | undefined;
  for (const name of missing.reverse()) failed ??= task.mkdir(name, mode) ?? task.chdir(name);
  task.chdir("/");
  return failed === undefined ? undefined : new UnpackError("mkdir", folder, failed);
}

/** Makes the entry at `path`; what stood there is gone, but for a directory that stays one. */
export function createFile(task: Task, entry: TarEntry, path: string, mode: ReadMode): UnpackError | undefined {
  const made = make(task, entry, path, mode);
  if (made !== undefined) return made;
  const { header } = entry;
  const owned = task.lchown(path, id32(header.uid), id32(header.gid));
  if (owned !== undefined) return new UnpackError("lchown", path, owned);
  for (const [name, value] of header.xattrs) {
    const errno = task.lsetxattr(path, name, value);
    // Not every filesystem keeps them: Docker only warns.
    if (errno !== undefined && errno !== ENOTSUP && errno !== EPERM) return new UnpackError("", "", errno);
  }
  return setModeAndTimes(task, entry, path);
}

/** An id as the kernel takes a wider number: the last one, which is -1, leaves the owner as it is. */
function id32(id: number): number {
  const wrapped = ((id % 2 ** 32) + 2 ** 32) % 2 ** 32;
  return wrapped === 2 ** 32 - 1 ? -1 : wrapped;
}

function setModeAndTimes(task: Task, { header }: TarEntry, path: string): UnpackError | undefined {
  const isLink = header.typeflag === tar.LINK;
  const isSymlink = header.typeflag === tar.SYMLINK || (isLink && typeAt(task, path) === S_IFLNK);
  if (!isSymlink) {
    const errno = task.chmod(path, header.mode & 0o7777);
    if (errno !== undefined) return new UnpackError("chmod", path, errno);
  }
  if (isLink && isSymlink) return undefined;
  if (!isSymlink) return setTimes(task, path, header.mtime);
  const time = ofNanoseconds(header.mtime);
  const errno = task.utimens(path, time, time, true);
  return errno === undefined ? undefined : new UnpackError("", "", errno);
}

/** The last second that 2^63 nanoseconds reach. */
const SECONDS_MAX = 9_223_372_036;

/** Both times of a file; what nanoseconds since 1970 do not reach becomes their beginning, as Docker's Chtimes has it. */
export function setTimes(task: Task, path: string, mtime: Time): UnpackError | undefined {
  const isBeyond = mtime.seconds < 0 || mtime.seconds > SECONDS_MAX;
  const time = isBeyond ? { seconds: 0, nanoseconds: 0 } : mtime;
  const errno = task.utimens(path, time, time, true);
  return errno === undefined ? undefined : new UnpackError("chtimes", path, errno);
}

/** A time as Docker gives it to a symbolic link: by nanoseconds of 64 bits, which wrap. */
function ofNanoseconds(at: Time): Time {
  return timeFromNanoseconds(BigInt.asIntN(64, timeToNanoseconds(at)));
}

function make(task: Task, { header, content }: TarEntry, path: string, mode: ReadMode): UnpackError | undefined {
  const bits = header.mode & 0o7777;
  const outcome = (operation: string, errno: Errno | undefined): UnpackError | undefined =>
    errno === undefined ? undefined : new UnpackError(operation, path, errno);
  switch (header.typeflag) {
    case tar.DIRECTORY:
      return typeAt(task, path) === S_IFDIR ? undefined : outcome("mkdir", task.mkdir(path, bits));
    case tar.REGULAR:
    case tar.REGULAR_OLD: {
      const fd = task.open(path, O_WRONLY | O_CREAT, bits);
      if (isErrno(fd)) return outcome("open", fd);
      const failed = writeAll(task, fd, content);
      const closed = task.close(fd);
      return outcome("write", failed ?? closed);
    }
    case tar.CHARACTER:
    case tar.BLOCK_DEVICE: {
      const type = header.typeflag === tar.CHARACTER ? S_IFCHR : S_IFBLK;
      return outcome("mknod", task.mknod(path, type | bits, deviceNumber(header.major & 0xfff, header.minor & 0xfffff)));
    }
    case tar.FIFO:
      return outcome("mknod", task.mknod(path, S_IFIFO | bits));
    case tar.LINK:
      return makeLink(task, header, path, mode);
    case tar.SYMLINK:
      return symlinked(task, header.linkname, path);
    default:
      throw new ArchiveFault("E_TAR_TYPE", `unhandled tar header type ${header.typeflag.charCodeAt(0)}`);
  }
}

function symlinked(task: Task, target: string, path: string): UnpackError | undefined {
  const errno = task.symlink(target, path);
  return errno === undefined ? undefined : new UnpackError("symlink", `${target} ${path}`, errno);
}

function makeLink(task: Task, header: tar.TarHeader, path: string, mode: ReadMode): UnpackError | undefined {
  const target = layerPath(header.linkname);
  const errno = task.link(target, path);
  if (errno === undefined) return undefined;
  if (mode === "strict") {
    const words = `${JSON.stringify(header.name)} -> ${JSON.stringify(header.linkname)}: ${errno.text}`;
    throw new ArchiveFault("E_LAYER_LINK", `invalid hardlink ${words}`);
  }
  return new UnpackError("link", `${target} ${path}`, errno);
}
