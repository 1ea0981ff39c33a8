/**
 * Calls that change no content: locks, advice, inode flags, inotify, execve, sendfile, file handles, and what mincore(2) tells.
 */
import {
  EACCES,
  EBADF,
  EINVAL,
  ELOOP,
  ENODEV,
  ENOEXEC,
  ENOTSUP,
  ENOTTY,
  EPERM,
  type Errno,
  ESPIPE,
  ETXTBSY,
  isErrno,
} from "../core/errno.ts";
import { alignDown } from "../core/units.ts";
import { PAGE_SIZE } from "./address-space.ts";
import { CAP_LINUX_IMMUTABLE, capable } from "./credentials.ts";
import { deviceOf, fsync, readFile } from "./data.ts";
import { canSplice } from "./devices.ts";
import { type FileSystem, type Inode, O_NOATIME, O_RDONLY, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from "./filesystem.ts";
import { APPEND_ONLY, IMMUTABLE } from "./inode-flags.ts";
import { close, open } from "./open.ts";
import type { OpenFile } from "./open-file.ts";
import { inodePermission, MAY_EXEC, MAY_READ, ownerOrCapable, wantWrite } from "./permission.ts";
import type { Process } from "./process.ts";
import type { Advice } from "./readahead.ts";

/** How many interpreters of interpreters execve follows (fs/exec.c: exec_binprm). */
const INTERPRETERS_MAX = 5;
/** How much of a program is looked at (BINPRM_BUF_SIZE), in bytes. */
const HEAD = 256;

export function flock(task: Process, fd: number): Errno | undefined {
  const file = task.files.file(fd);
  return isErrno(file) ? file : undefined;
}

export function lock(task: Process, fd: number, exclusive: boolean): Errno | undefined {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  return (exclusive ? file.writable : file.readable) ? undefined : EBADF;
}

/** What posix_fadvise is told, by the word behind POSIX_FADV_. */
export type Advised = Advice | "willneed" | "dontneed";

/**
 * generic_fadvise. Of "dontneed" dirty pages are written and stay; clean ones go. Of "willneed" pages are read now, as many as readahead would at most;
 * the other words tell it how the open file will be read.
 */
export function fadvise(
  task: Process,
  fd: number,
  advice: Advised,
  range: { readonly offset: number; readonly length: number },
): Errno | undefined {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  if (file.type === S_IFIFO) return ESPIPE;
  if (range.length < 0) return EINVAL;
  if (file.type !== S_IFREG) return undefined;
  const { readahead } = task.vfs.cache;
  if (advice === "dontneed") file.mount.fs.dropPages(file.handle);
  else if (advice !== "willneed") readahead?.advise(file, advice);
  else if (readahead !== undefined) {
    const from = alignDown(range.offset, PAGE_SIZE);
    const end = range.length === 0 ? Number.POSITIVE_INFINITY : range.offset + range.length;
    // Nobody waits for it, nor is told what fails.
    const outer = readahead.begin(file, "needs", Math.ceil((end - from) / PAGE_SIZE));
    file.mount.fs.read(file.handle, from, 1);
    readahead.end(outer);
  }
  return undefined;
}

/** Devices and FIFOs have them where their inodes have the operations of files (fileattr_get). */
function hasNoFlags(file: OpenFile): boolean {
  return file.held && file.mount.fs.specialsHaveFlags !== true;
}

export function getFlags(task: Process, fd: number): number | Errno {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  const { fs } = file.mount;
  return fs.fileFlags === undefined || fs.setFileFlags === undefined || hasNoFlags(file) ? ENOTTY : fs.fileFlags(file.inode);
}

export function setFlags(task: Process, fd: number, flags: number): Errno | undefined {
  const file = task.files.named(fd);
  if (isErrno(file)) return file;
  const { fs } = file.mount;
  if (fs.setFileFlags === undefined || hasNoFlags(file)) return ENOTTY;
  const readOnly = wantWrite(file.mount);
  if (readOnly !== undefined) return readOnly;
  if (!ownerOrCapable(task.credentials, fs, file.inode)) return EPERM;
  // Immutable and append-only are not the owner's to change (fileattr_set_prepare).
  const before = fs.fileFlags?.(file.inode) ?? 0;
  if (isErrno(before)) return before;
  const protects = (before ^ flags) & (IMMUTABLE | APPEND_ONLY);
  if (protects !== 0 && !capable(task.credentials, CAP_LINUX_IMMUTABLE)) return EPERM;
  return fs.setFileFlags(file.inode, flags);
}

export function inotifyAdd(task: Process, path: string): Errno | undefined {
  const { walk } = task;
  return walk.to(path, true) ?? inodePermission(task.credentials, walk.mount.fs, walk.inode, MAY_READ);
}

export function exec(task: Process, path: string): Errno | undefined {
  return execAt(task, path, 0);
}

/** Whether somebody has a file open for writing (i_writecount); asked for seldom, so that opening and closing count nothing. */
function isOpenForWriting({ vfs }: Process, fs: FileSystem, inode: Inode): boolean {
  for (const table of vfs.tables) if (table.isWriting(fs, inode)) return true;
  return false;
}

/** do_open_execat and the search for a binary format: a script leads to its interpreter, an ELF header is taken for a program. */
function execAt(task: Process, path: string, depth: number): Errno | undefined {
  const { walk } = task;
  // An interpreter is opened before its depth is found too large.
  const lost = walk.to(path, true);
  if (lost !== undefined) return lost;
  const { mount, inode } = walk;
  if ((mount.fs.mode(inode) & S_IFMT) !== S_IFREG || mount.options.noexec === true) return EACCES;
  const refused = inodePermission(task.credentials, mount.fs, inode, MAY_EXEC);
  if (refused !== undefined) return refused;
  const handle = mount.fs.open(inode, O_RDONLY);
  if (isErrno(handle)) return handle;
  // exe_file_deny_write_access, once the file is open.
  if (isOpenForWriting(task, mount.fs, inode)) {
    mount.fs.close(handle, O_RDONLY);
    return ETXTBSY;
  }
  const head = mount.fs.read(handle, 0, HEAD);
  mount.touchAtime(inode);
  mount.fs.close(handle, O_RDONLY);
  if (isErrno(head)) return head;
  const raw = head.toBytes();
  if (depth > INTERPRETERS_MAX) return ELOOP;
  if (raw[0] === 0x7f && raw[1] === 0x45 && raw[2] === 0x4c && raw[3] === 0x46) return undefined;
  if (raw[0] !== 0x23 || raw[1] !== 0x21) return ENOEXEC;
  const line = new TextDecoder().decode(raw.subarray(2)).split("\n", 1)[0] ?? "";
  const interpreter = line.trim().split(/[ \t]/, 1)[0] ?? "";
  return interpreter === "" ? ENOEXEC : execAt(task, interpreter, depth + 1);
}

export function sendfile(task: Process, fd: number, length: number): number | Errno {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  if (!file.readable) return EBADF;
  // What has no splice_read (fs/splice.c, do_splice_read).
  if (file.type === S_IFDIR || (file.type === S_IFCHR && !canSplice(deviceOf(file)))) {
    // As a read that failed does, too (splice_direct_to_actor: file_accessed).
    if ((file.flags & O_NOATIME) === 0) file.mount.touchAtime(file.inode);
    return EINVAL;
  }
  const found = readFile(task, file, 0, length);
  return isErrno(found) ? found : found.length;
}

export function nameToHandle(task: Process, path: string): Errno | undefined {
  const lost = task.walk.to(path, false);
  if (lost !== undefined) return lost;
  const { fs } = task.walk.mount;
  return fs.handles !== undefined ? fs.connectHandle?.(task.walk.inode) : ENOTSUP;
}

/** Of what has no bytes nothing is mapped; a directory that has some cannot be (do_mmap). */
function mappedPages({ mount, type, handle, inode }: OpenFile): number | Errno {
  if (type === S_IFREG) return mount.fs.cachedPages(handle);
  return mount.fs.size(inode) === 0 ? 0 : ENODEV;
}

export function cachedPages(task: Process, path: string): number | Errno {
  const fd = open(task, path, O_RDONLY, 0);
  if (isErrno(fd)) return fd;
  const file = task.files.file(fd);
  const pages = isErrno(file) ? file : mappedPages(file);
  close(task, fd);
  return pages;
}

export function dropPages(task: Process, path: string): Errno | undefined {
  const fd = open(task, path, O_RDONLY, 0);
  if (isErrno(fd)) return fd;
  const failed = fsync(task, fd, false);
  if (failed === undefined) fadvise(task, fd, "dontneed", { offset: 0, length: 0 });
  close(task, fd);
  return failed;
}
