/**
 * open(2) and close(2) (fs/open.c: build_open_flags, do_dentry_open; fs/namei.c: path_openat, do_open, may_open; Linux 6.18).
 */

import {
  EACCES,
  EBADF,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  type Errno,
  isErrno,
} from "../core/errno.ts";
import { dropFileCapabilities } from "./attributes.ts";
import { endDentry } from "./dentries.ts";
import { isKnownDevice } from "./devices.ts";
import {
  type AttributeChange,
  accessOf,
  type FileHandle,
  fileHandle,
  type Inode,
  newAttributes,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  typeOf,
  WRITES,
} from "./filesystem.ts";
import type { Position } from "./mount.ts";
import { notifyChange } from "./notify-change.ts";
import { newOpenFile } from "./open-file.ts";
import {
  appendOnly,
  initOwner,
  inodePermission,
  isDirectory,
  MAY_READ,
  MAY_WRITE,
  mayCreate,
  mayCreateInSticky,
  modeAfterWrite,
  ownerOrCapable,
  wantWrite,
} from "./permission.ts";
import type { Process } from "./process.ts";
import { type Dentry, IN_CREATE, type Reached } from "./watches.ts";

/** O_TMPFILE without the O_DIRECTORY that it brings. */
const TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY;

/** What the access mode of open asks of permissions, O_TRUNC included. */
function accessMask(flags: number): number {
  const mask = (flags & O_ACCMODE) === 0 ? MAY_READ : (flags & O_ACCMODE) === O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
  return (flags & O_TRUNC) === 0 ? mask : mask | MAY_WRITE;
}

export function open(task: Process, path: string, flags: number, mode: number): number | Errno {
  const permissions = mode & 0o7777;
  if ((flags & O_PATH) !== 0) return openPath(task, path, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if ((flags & TMPFILE_BIT) !== 0) {
    if ((flags & (O_TMPFILE | O_CREAT)) !== O_TMPFILE || (flags & O_ACCMODE) === O_RDONLY) return EINVAL;
    return openTemporary(task, path, flags, permissions);
  }
  if ((flags & (O_DIRECTORY | O_CREAT)) === (O_DIRECTORY | O_CREAT)) return EINVAL;
  if ((flags & O_CREAT) === 0) {
    const lost = task.walk.to(path, (flags & O_NOFOLLOW) === 0);
    if (lost !== undefined) return lost;
    return openExisting(task, flags);
  }
  const lost = task.walk.parent(path);
  return lost ?? openOrCreate(task, flags, permissions);
}

/** With O_CREAT: the walk stands in the directory of the last component. */
function openOrCreate(task: Process, flags: number, mode: number): number | Errno {
  const { walk } = task;
  const follow = (flags & (O_EXCL | O_NOFOLLOW)) === 0;
  while (true) {
    if (walk.kind !== "normal") {
      walk.enterDots();
      return (flags & O_EXCL) === 0 ? EISDIR : EEXIST;
    }
    if (walk.slash) return EISDIR;
    const found = walk.child();
    if (found === ENOENT) return createAndOpen(task, flags, mode);
    if (isErrno(found)) return found;
    const covered = walk.mount.covers?.has(found) === true;
    if (!covered && follow && typeOf(walk.mount.fs, found) === S_IFLNK) {
      const lost = walk.parentOfTarget(found);
      if (lost !== undefined) return lost;
      continue;
    }
    if ((flags & O_EXCL) !== 0) return EEXIST;
    const { fs } = walk.mount;
    const directory = walk.inode;
    walk.enter(found);
    if (typeOf(walk.mount.fs, walk.inode) === S_IFDIR) return EISDIR;
    return mayCreateInSticky(task.credentials, { fs, directory, inode: found }) ?? openExisting(task, flags);
  }
}

/** Makes the file that is missing. What it is opened for needs no permission then. */
function createAndOpen(task: Process, flags: number, mode: number): number | Errno {
  const { walk } = task;
  const { fs } = walk.mount;
  if (walk.mount.readOnly) return EROFS;
  const refused = mayCreate(task.credentials, walk);
  if (refused !== undefined) return refused;
  const init = initOwner(task.credentials, walk, { mode: S_IFREG | mode, umask: task.umask });
  fs.actFor?.(task.credentials);
  const made = fs.create(walk.inode, walk.name, init);
  if (isErrno(made)) return made;
  task.vfs.watches?.named(walk, IN_CREATE, task.vfs.names.text(walk.name));
  if ((flags & O_NOATIME) !== 0 && !ownerOrCapable(task.credentials, fs, made)) return EPERM;
  walk.enter(made);
  return finish(task, walk, S_IFREG, flags & ~(O_TRUNC | O_EXCL));
}

/** do_open of what the walk found. */
function openExisting(task: Process, flags: number): number | Errno {
  const place = task.walk;
  const { fs } = place.mount;
  const type = typeOf(fs, place.inode);
  if ((flags & O_DIRECTORY) !== 0 && type !== S_IFDIR) return ENOTDIR;
  const truncates = (flags & O_TRUNC) !== 0 && type === S_IFREG;
  if (truncates && place.mount.readOnly) return EROFS;
  const refused = mayOpen(task, place, type, flags);
  if (refused !== undefined) return refused;
  if ((accessOf(flags) & WRITES) !== 0 && place.mount.readOnly && (type === S_IFREG || type === S_IFDIR)) return EROFS;
  const fd = finish(task, place, type, flags);
  if (!truncates || isErrno(fd)) return fd;
  const cut = notifyChange(task, place, sizeZero(task, place)) ?? dropFileCapabilities(task, place);
  if (cut === undefined) return fd;
  close(task, fd);
  return cut;
}

/** What O_TRUNC changes: the size, both times even when it was 0, and set-id bits. */
function sizeZero(task: Process, { mount, inode }: Position): AttributeChange {
  const before = mount.fs.mode(inode);
  const after = modeAfterWrite(task.credentials, mount.fs, inode);
  return before === after ? { size: 0, mtime: "now" } : { size: 0, mtime: "now", mode: after & 0o7777 };
}

function mayOpen(task: Process, { mount, inode }: Position, type: number, flags: number): Errno | undefined {
  const mask = accessMask(flags);
  if (type === S_IFLNK) return ELOOP;
  if (type === S_IFDIR && (mask & MAY_WRITE) !== 0) return EISDIR;
  if ((type === S_IFBLK || type === S_IFCHR) && mount.options.nodev === true) return EACCES;
  const refused = inodePermission(task.credentials, mount.fs, inode, mask);
  if (refused !== undefined) return refused;
  const rewrites = ((flags & O_ACCMODE) !== 0 && (flags & O_APPEND) === 0) || (flags & O_TRUNC) !== 0;
  if (rewrites && appendOnly(mount.fs, inode)) return EPERM;
  if ((flags & O_NOATIME) !== 0 && !ownerOrCapable(task.credentials, mount.fs, inode)) return EPERM;
  return undefined;
}

/** Begins the open file: by the filesystem for files and directories, by its own rules for the rest (do_dentry_open). */
function finish(task: Process, place: Reached, type: number, flags: number): number | Errno {
  const { fs } = place.mount;
  const special = type !== S_IFREG && type !== S_IFDIR;
  if (special) {
    const refused = openSpecial(task, place, type, flags);
    if (refused !== undefined) return refused;
  }
  if ((flags & O_DIRECT) !== 0 && type !== S_IFREG) return EINVAL;
  if (special) return addFile(task, place, { handle: heldHandle(place), type, flags, held: true, linkable: false });
  const handle = fs.open(place.inode, flags);
  if (isErrno(handle)) return handle;
  return addFile(task, place, { handle, type, flags, held: false, linkable: false });
}

/** Sockets and unknown devices are not there, nor a FIFO that is to be written where nobody reads it. */
function openSpecial(task: Process, { mount, inode }: Position, type: number, flags: number): Errno | undefined {
  if (type === S_IFSOCK) return ENXIO;
  if (type === S_IFIFO) {
    if (accessOf(flags) === 0) return EINVAL;
    const waits = (flags & O_ACCMODE) === O_WRONLY && (task.vfs.pipes.of({ mount, inode })?.readers ?? 0) === 0;
    return waits && (flags & O_NONBLOCK) !== 0 ? ENXIO : undefined;
  }
  const attributes = newAttributes();
  mount.fs.getattr(inode, attributes);
  return isKnownDevice(type, attributes.rdev) ? undefined : ENXIO;
}

function addFile(
  task: Process,
  reached: Reached,
  { handle, type, flags, held, linkable }: { handle: FileHandle; type: number; flags: number; held: boolean; linkable: boolean },
): number {
  const { mount, inode } = reached;
  mount.users += 1;
  const dentry = task.vfs.watches === undefined ? undefined : reached.dentry;
  const file = newOpenFile({ credentials: task.credentials, mount, inode, handle, type, flags, held, linkable, dentry });
  if (type === S_IFIFO) task.vfs.pipes.enter(file);
  return task.files.add(file);
}

/** Holds the inode of what the filesystem is not asked to open. */
function heldHandle({ mount: { fs }, inode }: Position): FileHandle {
  if (fs.openHeld !== undefined) return fs.openHeld(inode);
  fs.hold(inode);
  return fileHandle(inode);
}

function openPath(task: Process, path: string, flags: number): number | Errno {
  const lost = task.walk.to(path, (flags & O_NOFOLLOW) === 0);
  if (lost !== undefined) return lost;
  const place = task.walk;
  const type = typeOf(place.mount.fs, place.inode);
  if ((flags & O_DIRECTORY) !== 0 && type !== S_IFDIR) return ENOTDIR;
  return addFile(task, place, { handle: heldHandle(place), type, flags, held: true, linkable: false });
}

/** O_TMPFILE: a file without a name in the directory at `path`. */
function openTemporary(task: Process, path: string, flags: number, mode: number): number | Errno {
  const lost = task.walk.to(path, (flags & O_NOFOLLOW) === 0);
  if (lost !== undefined) return lost;
  const place = task.walk.position();
  const { fs } = place.mount;
  if (!isDirectory(fs.mode(place.inode))) return ENOTDIR;
  const refused = wantWrite(place.mount) ?? mayCreate(task.credentials, place);
  if (refused !== undefined) return refused;
  const init = initOwner(task.credentials, place, { mode: S_IFREG | mode, umask: task.umask });
  fs.actFor?.(task.credentials);
  const made: Inode | Errno = fs.tmpfile(place.inode, init);
  if (isErrno(made)) return made;
  const handle = fs.open(made, flags & ~(O_TMPFILE | O_EXCL));
  fs.drop(made);
  if (isErrno(handle)) return handle;
  const linkable = (flags & O_EXCL) === 0;
  return addFile(
    task,
    { mount: place.mount, inode: made, dentry: nameless(task, place, made) },
    { handle, type: S_IFREG, flags: flags & ~O_TMPFILE, held: false, linkable },
  );
}

/** What a file without a name is called in its directory (d_mark_tmpfile); undefined while nobody asks. */
function nameless(task: Process, { mount: { fs }, inode }: Position, made: Inode): Dentry | undefined {
  if (task.vfs.watches === undefined) return undefined;
  fs.getattr(made, task.scratch);
  return { directory: inode, name: `#${task.scratch.inodeNumber}`, gone: false };
}

export function close(task: Process, fd: number): Errno | undefined {
  const file = task.files.remove(fd);
  if (file === undefined) return EBADF;
  file.mount.users -= 1;
  if (file.type === S_IFIFO) task.vfs.pipes.leave(file);
  const { fs } = file.mount;
  if (file.held && fs.openHeld === undefined) fs.drop(file.inode);
  else fs.close(file.handle, file.flags);
  if (task.vfs.watches !== undefined) endDentry(task, task.vfs.watches, file);
  return undefined;
}
