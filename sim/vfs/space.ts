/**
 * Calls on a file's size and space: truncate, fallocate, copy_file_range, FICLONE (fs/open.c, fs/read_write.c, fs/remap_range.c; Linux 6.18).
 */
import { EBADF, EFBIG, EINVAL, EISDIR, ENODEV, ENOTSUP, EPERM, type Errno, ESPIPE, EXDEV, isErrno } from "../core/errno.ts";
import { PAGE_SIZE } from "./address-space.ts";
import { dropFileCapabilities } from "./attributes.ts";
import { POSITION_MAX, readFile, removePrivileges, writeFile } from "./data.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  O_APPEND,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
} from "./filesystem.ts";
import { notifyChange } from "./notify-change.ts";
import type { OpenFile } from "./open-file.ts";
import { appendOnly, immutable, inodePermission, MAY_WRITE, modeAfterWrite, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";
import type { Reached } from "./watches.ts";

export function truncate(task: Process, path: string, length: number): Errno | undefined {
  if (length < 0) return EINVAL;
  const { walk } = task;
  const lost = walk.to(path, true);
  if (lost !== undefined) return lost;
  const { mount, inode } = walk;
  const type = mount.fs.mode(inode) & S_IFMT;
  if (type === S_IFDIR) return EISDIR;
  if (type !== S_IFREG) return EINVAL;
  const refused = inodePermission(task.credentials, mount.fs, inode, MAY_WRITE) ?? wantWrite(mount);
  if (refused !== undefined) return refused;
  if (appendOnly(mount.fs, inode)) return EPERM;
  return setSize(task, walk, length, false);
}

export function ftruncate(task: Process, fd: number, length: number): Errno | undefined {
  if (length < 0) return EINVAL;
  const file = task.files.named(fd);
  if (isErrno(file)) return file;
  if (file.type !== S_IFREG || !file.writable) return EINVAL;
  if (appendOnly(file.mount.fs, file.inode)) return EPERM;
  return setSize(task, file, length, true);
}

/**
 * do_truncate: set-id bits go with the size, in one change.
 * @param stamps - whether mtime is set even when the size stays: of an open file, which truncate(2) does not
 */
function setSize(task: Process, reached: Reached, size: number, stamps: boolean): Errno | undefined {
  const { fs } = reached.mount;
  const mode = modeAfterWrite(task.credentials, fs, reached.inode);
  const change: { size: number; mode?: number; mtime?: "now" } = { size };
  if (mode !== fs.mode(reached.inode)) change.mode = mode & 0o7777;
  if (stamps) change.mtime = "now";
  return notifyChange(task, reached, change) ?? dropFileCapabilities(task, reached);
}

/** The modes of fallocate that are known, without KEEP_SIZE, and whether they go with it. */
function modeError(mode: number): Errno | undefined {
  const keep = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
  switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
    case FALLOC_FL_ZERO_RANGE:
    case FALLOC_FL_UNSHARE_RANGE:
      return undefined;
    case FALLOC_FL_PUNCH_HOLE:
      return keep ? undefined : ENOTSUP;
    case FALLOC_FL_COLLAPSE_RANGE:
    case FALLOC_FL_INSERT_RANGE:
      return keep ? ENOTSUP : undefined;
    default:
      return ENOTSUP;
  }
}

export function fallocate(task: Process, fd: number, mode: number, offset: number, length: number): Errno | undefined {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  if (offset < 0 || length <= 0) return EINVAL;
  const wrong = modeError(mode);
  if (wrong !== undefined) return wrong;
  if (!file.writable) return EBADF;
  const { fs } = file.mount;
  if ((mode & ~FALLOC_FL_KEEP_SIZE) !== 0 && appendOnly(fs, file.inode)) return EPERM;
  const barred = immutable(fs, file.inode);
  if (barred !== undefined) return barred;
  if (file.type === S_IFIFO) return ESPIPE;
  if (file.type === S_IFDIR) return EISDIR;
  if (file.type !== S_IFREG) return ENODEV;
  // A sum of 2^63 is one that overflows.
  if (offset + length >= POSITION_MAX || offset + length > (fs.positionMax?.(file.handle) ?? POSITION_MAX)) return EFBIG;
  if (fs.fallocateModes !== undefined && (mode & ~fs.fallocateModes) !== 0) return ENOTSUP;
  return removePrivileges(task, file) ?? fs.fallocate(file.handle, mode, offset, length);
}

/** What copying between open files asks of both (generic_file_rw_checks). */
function copyError(source: OpenFile, target: OpenFile): Errno | undefined {
  if (source.type === S_IFDIR || target.type === S_IFDIR) return EISDIR;
  if (source.type !== S_IFREG || target.type !== S_IFREG) return EINVAL;
  if (!source.readable || !target.writable || (target.flags & O_APPEND) !== 0) return EBADF;
  return undefined;
}

/**
 * Shares extents where the filesystem can, else copies; the bytes are shared by reference either way, and what is counted is what the
 * filesystems did. Between filesystems it is EXDEV, but for those of one type that have a copy of their own.
 */
export function copyFileRange(task: Process, fdIn: number, fdOut: number, length: number): number | Errno {
  const source = task.files.file(fdIn);
  if (isErrno(source)) return source;
  const target = task.files.file(fdOut);
  if (isErrno(target)) return target;
  const wrong = copyError(source, target);
  if (wrong !== undefined) return wrong;
  if (source.mount.fs !== target.mount.fs) return EXDEV;
  const { fs } = source.mount;
  const barred = immutable(fs, target.inode);
  if (barred !== undefined) return barred;
  const count = Math.max(0, Math.min(length, fs.size(source.inode) - source.position));
  if (source.inode === target.inode && Math.abs(source.position - target.position) < count) return EINVAL;
  if (count === 0) return 0;
  const range = { from: source.position, to: target.position, length: count };
  const refused = removePrivileges(task, target) ?? fs.prepareSharing?.(source.handle, target.handle, "copy", range);
  if (refused !== undefined) return refused;
  const shared = sharedLength(source, target, count);
  let copied: number | Errno = shared;
  if (shared === 0 || fs.clone(source.handle, source.position, target.handle, target.position, shared) !== undefined) {
    const content = readFile(task, source, source.position, count);
    copied = isErrno(content) ? content : writeFile(task, target, target.position, content);
  }
  if (isErrno(copied)) return copied;
  source.position += copied;
  target.position += copied;
  return copied;
}

/**
 * How much of a range can be shared at most: whole blocks, unless both files end with it (REMAP_FILE_CAN_SHORTEN: generic_remap_checks,
 * generic_remap_check_len). The rest of a block is copied by the next call.
 */
function sharedLength(source: OpenFile, target: OpenFile, count: number): number {
  const { fs } = source.mount;
  const endsSource = source.position + count === fs.size(source.inode);
  const endsTarget = target.position + count >= fs.size(target.inode);
  return endsSource && endsTarget ? count : count - (count % PAGE_SIZE);
}

export function clone(task: Process, fdIn: number, fdOut: number): Errno | undefined {
  const target = task.files.file(fdOut);
  if (isErrno(target)) return target;
  const source = task.files.file(fdIn);
  if (isErrno(source)) return source;
  if (source.mount.fs !== target.mount.fs) return EXDEV;
  const wrong = copyError(source, target);
  if (wrong !== undefined) return wrong;
  const { fs } = source.mount;
  // One that shares no ranges says so first (vfs_clone_file_range: remap_file_range). aufs is one, whatever its branches do.
  if (fs.dedupe === undefined) return ENOTSUP;
  // A union takes privileges away before it asks the files below (ovl_copyfile); a filesystem of its own does it when nothing stands against it.
  if (fs.stackDepth === 0) {
    if (immutable(fs, target.inode) !== undefined) return EPERM;
    if (fs.size(source.inode) === 0) return undefined;
  }
  const kept = fs.stackDepth === 0 && isCloneRefused(source, target);
  return (kept ? undefined : removePrivileges(task, target)) ?? fs.clone(source.handle, 0, target.handle, 0, 0);
}

/** Whether a clone of a whole file will be EINVAL: onto itself, or with a part of a block that does not end the target (generic_remap_file_range_prep). */
function isCloneRefused(source: OpenFile, target: OpenFile): boolean {
  const { fs } = source.mount;
  const size = fs.size(source.inode);
  return source.inode === target.inode || (size % PAGE_SIZE !== 0 && size < fs.size(target.inode));
}
