/**
 * Calls that make names: mkdir, mknod, symlink, link (fs/namei.c: filename_create, vfs_mkdir, vfs_mknod, vfs_link; Linux 6.18).
 */
import { EBADF, EEXIST, EINVAL, ENOENT, EPERM, EROFS, type Errno, EXDEV, isErrno } from "../core/errno.ts";
import { CAP_DAC_READ_SEARCH, CAP_MKNOD, capable } from "./credentials.ts";
import { hasName } from "./dentries.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  S_ISUID,
  S_ISVTX,
} from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { meanOpenedName } from "./open-file.ts";
import {
  immutableOrAppendOnly,
  initOwner,
  inodePermission,
  isDirectory,
  MAY_READ,
  MAY_WRITE,
  type Made,
  mayCreate,
  ownerOrCapable,
} from "./permission.ts";
import type { Process } from "./process.ts";
import { pathError } from "./walk.ts";

/**
 * Walks to where a name is to be made, which must be free (filename_create). EEXIST comes before ENOENT for slashes behind it, and both
 * before EROFS.
 */
function freeName(task: Process, path: string, forDirectory: boolean): Errno | undefined {
  const { walk } = task;
  const lost = walk.parent(path);
  if (lost !== undefined) return lost;
  if (walk.kind !== "normal") return EEXIST;
  const found = walk.child();
  if (!isErrno(found)) return EEXIST;
  if (found !== ENOENT || (walk.slash && !forDirectory)) return found;
  return walk.mount.readOnly ? EROFS : undefined;
}

export function mkdir(task: Process, path: string, mode: number): Errno | undefined {
  const wrong = freeName(task, path, true);
  if (wrong !== undefined) return wrong;
  return make(task, { mode: S_IFDIR | (mode & (0o777 | S_ISVTX)), umask: task.umask });
}

export function mknod(task: Process, path: string, mode: number, rdev: number): Errno | undefined {
  const type = (mode & S_IFMT) === 0 ? S_IFREG : mode & S_IFMT;
  if (type === S_IFDIR) return EPERM;
  if (type !== S_IFREG && type !== S_IFCHR && type !== S_IFBLK && type !== S_IFIFO && type !== S_IFSOCK) return EINVAL;
  const device = type === S_IFCHR || type === S_IFBLK;
  const wrong = freeName(task, path, false) ?? mayCreate(task.credentials, task.walk);
  if (wrong !== undefined) return wrong;
  const whiteout = type === S_IFCHR && rdev === 0;
  if (device && !whiteout && !capable(task.credentials, CAP_MKNOD)) return EPERM;
  return make(task, { mode: type | (mode & 0o7777), umask: task.umask, rdev: device ? rdev : 0 });
}

export function symlink(task: Process, target: string, path: string): Errno | undefined {
  const wrong = pathError(target) ?? freeName(task, path, false);
  return wrong ?? make(task, { mode: S_IFLNK | 0o777, umask: 0, target });
}

/** Makes an inode at the free name where the walk stands. */
function make(task: Process, init: Made): Errno | undefined {
  const { walk } = task;
  const refused = mayCreate(task.credentials, walk);
  if (refused !== undefined) return refused;
  walk.mount.fs.actFor?.(task.credentials);
  const made = walk.mount.fs.create(walk.inode, walk.name, initOwner(task.credentials, walk, init));
  return isErrno(made) ? made : undefined;
}

export function link(task: Process, path: string, to: string): Errno | undefined {
  const { walk } = task;
  const lost = walk.to(path, false);
  if (lost !== undefined) return lost;
  return linkTo(task, walk.position(), to);
}

/**
 * linkat(2) of a descriptor (AT_EMPTY_PATH). @returns also ENOENT for somebody without CAP_DAC_READ_SEARCH who has opened the file as somebody else
 * (LOOKUP_LINKAT_EMPTY, from Linux 6.10).
 */
export function linkFile(task: Process, fd: number, path: string): Errno | undefined {
  const file = task.files.get(fd);
  if (file === undefined) return EBADF;
  if (file.credentials !== task.credentials && !capable(task.credentials, CAP_DAC_READ_SEARCH)) return ENOENT;
  meanOpenedName(file);
  const failed = linkTo(task, file, path, file.linkable);
  if (failed === undefined) file.linkable = false;
  return failed;
}

/** @param linkable - whether a source without names may get one. */
function linkTo(task: Process, source: Position, to: string, linkable = false): Errno | undefined {
  const { walk } = task;
  const wrong = freeName(task, to, false);
  if (wrong !== undefined) return wrong;
  if (source.mount !== walk.mount) return EXDEV;
  const { fs } = source.mount;
  if (task.vfs.sysctls.protectedHardlinks && !mayLink(task, source)) return EPERM;
  const refused = mayCreate(task.credentials, walk) ?? immutableOrAppendOnly(fs, source.inode);
  if (refused !== undefined) return refused;
  if (isDirectory(fs.mode(source.inode))) return EPERM;
  if (!linkable && !hasName(task, source)) return ENOENT;
  fs.actFor?.(task.credentials);
  return fs.link(source.inode, walk.inode, walk.name);
}

/** fs.protected_hardlinks: somebody else's file may be linked when it could be read and written and is not set-id (may_linkat). */
function mayLink(task: Process, { mount, inode }: Position): boolean {
  if (ownerOrCapable(task.credentials, mount.fs, inode)) return true;
  const mode = mount.fs.mode(inode);
  if ((mode & S_IFMT) !== S_IFREG || (mode & S_ISUID) !== 0) return false;
  if ((mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010)) return false;
  return inodePermission(task.credentials, mount.fs, inode, MAY_READ | MAY_WRITE) === undefined;
}
