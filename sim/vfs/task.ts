/**
 * A task: a process as the filesystem sees it, and every system call it can make on files. The calls' bodies are in the files by
 * operation (open.ts, data.ts, attributes.ts, create.ts, remove.ts, rename.ts, xattr.ts …); this is the list.
 *
 * Interface: a call returns its value or an Errno; nothing is returned where the call has no value but 0. Paths are text as given
 * to the kernel: relative ones start at the working directory, absolute ones at the task's root. Errors come in the kernel's order
 * (Linux 6.18). Offsets and lengths are bytes; a negative one gives EINVAL as the kernel's loff_t would.
 */
import type { Time } from "../core/clock.ts";
import type { Content } from "../core/content.ts";
import { type Errno, isErrno } from "../core/errno.ts";
import * as attributes from "./attributes.ts";
import * as create from "./create.ts";
import { type Credentials, ROOT } from "./credentials.ts";
import * as data from "./data.ts";
import { type DedupeRange, dedupe } from "./dedupe.ts";
import * as directory from "./directory.ts";
import { type Attributes, newAttributes, type StatFs } from "./filesystem.ts";
import type { Position } from "./mount.ts";
import * as notify from "./notify.ts";
import * as open from "./open.ts";
import { FileTable } from "./open-file.ts";
import * as other from "./other.ts";
import type { Process, Surroundings } from "./process.ts";
import * as remove from "./remove.ts";
import * as renaming from "./rename.ts";
import * as space from "./space.ts";
import { Walk } from "./walk.ts";
import { IN_ATTRIB, IN_MODIFY, type Listener } from "./watches.ts";
import * as xattr from "./xattr.ts";

export class Task implements Process {
  readonly vfs: Surroundings;
  /** Where absolute paths begin, and what ".." does not leave. */
  root: Position;
  /** Where relative paths begin. */
  cwd: Position;
  credentials: Credentials;
  /** Permission bits that new files do not get. */
  umask = 0o022;
  /** The open files by descriptor; shared by the tasks that `withCredentials` makes. */
  readonly files: FileTable;
  /** The path walk at work; for the calls' own files. */
  readonly walk: Walk;
  readonly secondWalk: Walk;
  /** Attributes that a call needs for itself. */
  readonly scratch: Attributes = newAttributes();

  /** A task whose root and working directory are `root`. `vfs.task` makes the usual one. */
  constructor(vfs: Surroundings, root: Position, credentials: Credentials = ROOT, files: FileTable = new FileTable()) {
    this.vfs = vfs;
    this.root = root;
    this.cwd = root;
    this.credentials = credentials;
    this.files = files;
    vfs.tables.add(files);
    this.walk = new Walk(this);
    this.secondWalk = new Walk(this);
    root.mount.users += 2;
    root.mount.fs.hold(root.inode);
    root.mount.fs.hold(root.inode);
  }

  // The task itself
  /** The same process as somebody else: shares root, working directory and descriptors; `umask` is copied. */
  withCredentials(credentials: Credentials): Task {
    const task = new Task(this.vfs, this.root, credentials, this.files);
    task.umask = this.umask;
    task.chdirTo(this.cwd);
    return task;
  }
  /** A new task with no open files whose root is the directory at `path`. @returns ENOTDIR, EACCES and those of the walk. */
  chroot(path: string): Task | Errno {
    const place = directory.standing(this, path);
    if (isErrno(place)) return place;
    const task = new Task(this.vfs, place, this.credentials);
    task.umask = this.umask;
    return task;
  }
  chdir(path: string): Errno | undefined {
    return directory.chdir(this, path);
  }
  /** Makes a place the working directory, unchecked. */
  chdirTo(place: Position): void {
    place.mount.users += 1;
    place.mount.fs.hold(place.inode);
    const before = this.cwd;
    this.cwd = place;
    before.mount.fs.drop(before.inode);
    before.mount.users -= 1;
  }
  /** Closes every descriptor, and lets go of root and working directory. One that shares descriptors with others leaves them open: `false`. */
  exit(closeFiles = true): void {
    if (closeFiles) {
      for (const fd of this.files.descriptors()) this.close(fd);
      this.vfs.tables.delete(this.files);
    }
    for (const place of [this.root, this.cwd]) {
      place.mount.fs.drop(place.inode);
      place.mount.users -= 1;
    }
  }
  /** The place that a path leads to, symbolic links followed. */
  resolve(path: string): Position | Errno {
    return directory.resolve(this, path);
  }

  // Open files
  /** @param flags - O_* of filesystem.ts. @param mode - permission bits of a file that is made, before the umask. @returns the lowest free fd. */
  open(path: string, flags: number, mode = 0o644): number | Errno {
    return open.open(this, path, flags, mode);
  }
  close(fd: number): Errno | undefined {
    return open.close(this, fd);
  }
  /** Gives an open file (O_TMPFILE too) a name: linkat with AT_EMPTY_PATH, or through /proc/self/fd. */
  linkFile(fd: number, path: string): Errno | undefined {
    return this.vfs.watches === undefined
      ? create.linkFile(this, fd, path)
      : this.#making(path, () => create.linkFile(this, fd, path), true);
  }
  /** From the file's position on; moves it. */
  read(fd: number, length: number): Content | Errno {
    return data.read(this, fd, length);
  }
  pread(fd: number, length: number, offset: number): Content | Errno {
    return data.pread(this, fd, length, offset);
  }
  /** Fills `target` from `offset`, or from the file's position on. @returns how many bytes. */
  readInto(fd: number, target: Uint8Array, offset?: number): number | Errno {
    return data.readInto(this, fd, target, offset);
  }
  write(fd: number, content: Content): number | Errno {
    return this.#toldData(data.write(this, fd, content), fd);
  }
  /** With O_APPEND it writes at the end, whatever `offset` says, as Linux does. */
  pwrite(fd: number, content: Content, offset: number): number | Errno {
    return this.#toldData(data.pwrite(this, fd, content, offset), fd);
  }
  /** @param whence - 0 to 4: SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE. */
  lseek(fd: number, offset: number, whence: number): number | Errno {
    return data.lseek(this, fd, offset, whence);
  }
  truncate(path: string, length: number): Errno | undefined {
    return space.truncate(this, path, length);
  }
  ftruncate(fd: number, length: number): Errno | undefined {
    return space.ftruncate(this, fd, length);
  }
  fsync(fd: number): Errno | undefined {
    return data.fsync(this, fd, false);
  }
  fdatasync(fd: number): Errno | undefined {
    return data.fsync(this, fd, true);
  }
  /** syncfs(2) of the filesystem that the task's root is on. */
  syncfs(): Errno | undefined {
    return this.root.mount.fs.sync();
  }
  /** @param mode - FALLOC_FL_* bits. */
  fallocate(fd: number, mode: number, offset: number, length: number): Errno | undefined {
    return this.#toldFile(space.fallocate(this, fd, mode, offset, length), fd, IN_MODIFY);
  }
  /** Copies at both files' positions and moves them. */
  copyFileRange(fdIn: number, fdOut: number, length: number): number | Errno {
    return this.#toldData(space.copyFileRange(this, fdIn, fdOut, length), fdOut);
  }
  /** ioctl FICLONE: `fdOut` gets the whole of `fdIn`. */
  clone(fdIn: number, fdOut: number): Errno | undefined {
    return this.#toldFile(space.clone(this, fdIn, fdOut), fdOut, IN_MODIFY);
  }
  /** ioctl FIDEDUPERANGE. @returns the bytes asked for; undefined where the ranges differ. */
  dedupe(from: DedupeRange, to: DedupeRange, length: number): number | undefined | Errno {
    return dedupe(this, from, to, length);
  }
  /** Maps the first page, reads its first byte and, for "rw", writes it back (which a private mapping keeps to itself). */
  mmap(fd: number, protection: "r" | "rw", share: "shared" | "private"): Errno | undefined {
    return data.mmap(this, fd, protection, share);
  }

  // Attributes
  /** @param into - filled and returned; a new one by default. */
  stat(path: string, into?: Attributes): Attributes | Errno {
    return attributes.stat(this, path, true, into);
  }
  lstat(path: string, into?: Attributes): Attributes | Errno {
    return attributes.stat(this, path, false, into);
  }
  fstat(fd: number, into?: Attributes): Attributes | Errno {
    return attributes.fstat(this, fd, into);
  }
  statfs(path: string): StatFs | Errno {
    return attributes.statfs(this, path);
  }
  /** @param mask - 4 read, 2 write, 1 execute, 0 existence; by the effective ids (AT_EACCESS). */
  access(path: string, mask: number): Errno | undefined {
    return attributes.access(this, path, mask);
  }
  chmod(path: string, mode: number): Errno | undefined {
    return attributes.chmod(this, path, mode);
  }
  fchmod(fd: number, mode: number): Errno | undefined {
    return attributes.fchmod(this, fd, mode);
  }
  /** @param uid - or -1: as it is. @param gid - likewise. */
  chown(path: string, uid: number, gid: number): Errno | undefined {
    return attributes.chown(this, path, { uid, gid, follow: true });
  }
  lchown(path: string, uid: number, gid: number): Errno | undefined {
    return attributes.chown(this, path, { uid, gid, follow: false });
  }
  fchown(fd: number, uid: number, gid: number): Errno | undefined {
    return attributes.fchown(this, fd, uid, gid);
  }
  utimens(path: string, atime: Time | "NOW" | "OMIT", mtime: Time | "NOW" | "OMIT", nofollow = false): Errno | undefined {
    return attributes.utimens(this, path, { atime, mtime, nofollow });
  }
  futimens(fd: number, atime: Time | "NOW" | "OMIT", mtime: Time | "NOW" | "OMIT"): Errno | undefined {
    return attributes.futimens(this, fd, atime, mtime);
  }

  // Names
  mkdir(path: string, mode = 0o777): Errno | undefined {
    return this.vfs.watches === undefined
      ? create.mkdir(this, path, mode)
      : this.#making(path, () => create.mkdir(this, path, mode));
  }
  /** @param mode - type (0: a regular file) and permission bits. @param rdev - of a device node, by units.ts. */
  mknod(path: string, mode: number, rdev = 0): Errno | undefined {
    return this.vfs.watches === undefined
      ? create.mknod(this, path, mode, rdev)
      : this.#making(path, () => create.mknod(this, path, mode, rdev));
  }
  symlink(target: string, path: string): Errno | undefined {
    return this.vfs.watches === undefined
      ? create.symlink(this, target, path)
      : this.#making(path, () => create.symlink(this, target, path));
  }
  /** linkat(2) with flags 0: a symbolic link at the end of `path` is linked itself. */
  link(path: string, to: string): Errno | undefined {
    return this.vfs.watches === undefined
      ? create.link(this, path, to)
      : this.#making(to, () => create.link(this, path, to), true);
  }
  unlink(path: string): Errno | undefined {
    const { watches } = this.vfs;
    return watches === undefined ? remove.unlink(this, path) : notify.watchedRemove(this, watches, path, "file");
  }
  rmdir(path: string): Errno | undefined {
    const { watches } = this.vfs;
    return watches === undefined ? remove.rmdir(this, path) : notify.watchedRemove(this, watches, path, "folder");
  }
  /** @param flags - RENAME_* bits. */
  rename(path: string, to: string, flags = 0): Errno | undefined {
    const { watches } = this.vfs;
    if (watches !== undefined) return notify.watchedRename(this, watches, [path, to], flags);
    return renaming.rename(this, path, to, flags);
  }
  readlink(path: string): string | Errno {
    return directory.readlink(this, path);
  }
  /** Every entry but "." and "..", in the filesystem's order. */
  readdir(path: string): directory.DirectoryEntry[] | Errno {
    return directory.readdir(this, path);
  }

  // Extended attributes
  /** @param flags - XATTR_CREATE (1), XATTR_REPLACE (2) or 0. */
  setxattr(path: string, name: string, value: Uint8Array, flags = 0): Errno | undefined {
    return this.#told(xattr.setxattr(this, path, { name, value, flags, follow: true }), IN_ATTRIB);
  }
  lsetxattr(path: string, name: string, value: Uint8Array, flags = 0): Errno | undefined {
    return this.#told(xattr.setxattr(this, path, { name, value, flags, follow: false }), IN_ATTRIB);
  }
  fsetxattr(fd: number, name: string, value: Uint8Array, flags = 0): Errno | undefined {
    return this.#toldFile(xattr.fsetxattr(this, fd, { name, value, flags }), fd, IN_ATTRIB);
  }
  getxattr(path: string, name: string): Uint8Array | Errno {
    return xattr.getxattr(this, path, name, true);
  }
  lgetxattr(path: string, name: string): Uint8Array | Errno {
    return xattr.getxattr(this, path, name, false);
  }
  fgetxattr(fd: number, name: string): Uint8Array | Errno {
    return xattr.fgetxattr(this, fd, name);
  }
  listxattr(path: string): string[] | Errno {
    return xattr.listxattr(this, path, true);
  }
  llistxattr(path: string): string[] | Errno {
    return xattr.listxattr(this, path, false);
  }
  flistxattr(fd: number): string[] | Errno {
    return xattr.flistxattr(this, fd);
  }
  removexattr(path: string, name: string): Errno | undefined {
    return this.#told(xattr.removexattr(this, path, name, true), IN_ATTRIB);
  }
  lremovexattr(path: string, name: string): Errno | undefined {
    return this.#told(xattr.removexattr(this, path, name, false), IN_ATTRIB);
  }
  fremovexattr(fd: number, name: string): Errno | undefined {
    return this.#toldFile(xattr.fremovexattr(this, fd, name), fd, IN_ATTRIB);
  }

  // Calls that change no content
  /** flock(2) LOCK_EX. */
  flock(fd: number): Errno | undefined {
    return other.flock(this, fd);
  }
  /** fcntl(2) F_SETLK: a shared lock needs a file open for reading, an exclusive one a file open for writing. */
  lock(fd: number, exclusive = false): Errno | undefined {
    return other.lock(this, fd, exclusive);
  }
  /** posix_fadvise(2), in bytes; a length of 0 reaches to the file's end. Absent: POSIX_FADV_DONTNEED over the whole file, the only range that it knows here. */
  fadvise(fd: number, advice: other.Advised = "dontneed", offset = 0, length = 0): Errno | undefined {
    return other.fadvise(this, fd, advice, { offset, length });
  }
  /** ioctl FS_IOC_GETFLAGS. @returns ENOTTY where there is no such ioctl. */
  getFlags(fd: number): number | Errno {
    return other.getFlags(this, fd);
  }
  /** ioctl FS_IOC_SETFLAGS. */
  setFlags(fd: number, flags: number): Errno | undefined {
    return other.setFlags(this, fd, flags);
  }
  /**
   * inotify_add_watch(2).
   * @param mask - IN_* bits of interest
   * @returns what ends the watch
   */
  watch(path: string, mask: number, listener: Listener): (() => void) | Errno {
    const refused = other.inotifyAdd(this, path);
    if (refused !== undefined) return refused;
    const { mount, inode } = this.walk.position();
    return this.vfs.watch({ fs: mount.fs, inode }, mask, listener);
  }
  /** Tells of a change by path; the walk stands where it was made. @returns the call's result */
  #told<T>(result: T, mask: number): T {
    if (!isErrno(result)) this.vfs.watches?.changed(this.walk, mask);
    return result;
  }
  #toldFile<T>(result: T, fd: number, mask: number): T {
    if (this.vfs.watches === undefined || isErrno(result)) return result;
    const file = this.files.get(fd);
    if (file !== undefined) this.vfs.watches.changed(file, mask);
    return result;
  }
  /** Tells of bytes, if any were written. */
  #toldData(written: number | Errno, fd: number): number | Errno {
    return this.vfs.watches === undefined || written === 0 ? written : this.#toldFile(written, fd, IN_MODIFY);
  }
  #making(path: string, make: () => Errno | undefined, isLink = false): Errno | undefined {
    const { watches } = this.vfs;
    return watches === undefined ? make() : notify.watchedMake(this, watches, path, { make, isLink });
  }
  /** inotify_add_watch(2): the checks, no watch. */
  inotifyAdd(path: string): Errno | undefined {
    return other.inotifyAdd(this, path);
  }
  /** execve(2): the checks; a file that is no program gives ENOEXEC. */
  exec(path: string): Errno | undefined {
    return other.exec(this, path);
  }
  /** sendfile(2) of the first `length` bytes to somewhere outside. @returns how many. */
  sendfile(fd: number, length: number): number | Errno {
    return other.sendfile(this, fd, length);
  }
  /** name_to_handle_at(2), the last symbolic link not followed. @returns ENOTSUP where the filesystem cannot be exported. */
  nameToHandle(path: string): Errno | undefined {
    return other.nameToHandle(this, path);
  }
  /** mincore(2) over the whole file: how many of its pages are in the page cache. */
  cachedPages(path: string): number | Errno {
    return other.cachedPages(this, path);
  }
  /** Writes the file back (fsync) and drops its pages from the page cache. */
  dropPages(path: string): Errno | undefined {
    return other.dropPages(this, path);
  }
}
