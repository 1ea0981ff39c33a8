/**
 * Calls on an open file's bytes: read, write, lseek, fsync, mmap (fs/read_write.c, fs/sync.c, mm/mmap.c; Linux 6.18).
 */
import { Content } from "../core/content.ts";
import { EACCES, EBADF, EFBIG, EINVAL, EISDIR, ENODEV, ENXIO, EPERM, EPIPE, type Errno, ESPIPE, isErrno } from "../core/errno.ts";
import { TIB } from "../core/units.ts";
import { PAGE_SIZE } from "./address-space.ts";
import { dropFileCapabilities } from "./attributes.ts";
import { CAP_FSETID, capable } from "./credentials.ts";
import { canMap, readDevice, seekDevice, writeDevice } from "./devices.ts";
import type { DirectIo } from "./direct-io.ts";
import {
  newAttributes,
  O_APPEND,
  O_DIRECT,
  O_DSYNC,
  O_NOATIME,
  O_SYNC,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFREG,
} from "./filesystem.ts";
import { notifyChange } from "./notify-change.ts";
import type { OpenFile } from "./open-file.ts";
import { modeAfterWrite } from "./permission.ts";
import type { Process } from "./process.ts";
import { writeMapped } from "./write-mapped.ts";

/** The most that one call reads or writes, in bytes (MAX_RW_COUNT). */
const COUNT_MAX = 0x7ffff000;
/** The largest position, 2^63 - 1, as near as a double comes. */
export const POSITION_MAX: number = 2 ** 63;
/** Nearer than this, in bytes, no filesystem's files must end: it need not be asked. */
const FAR: number = TIB(1);
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * An open file to be read. @param offset - where; absent: at its position.
 * @returns EBADF; of a directory EISDIR, or EINVAL for a range that nothing has.
 */
function readable(task: Process, fd: number, length: number, offset?: number): OpenFile | Errno {
  const file = task.files.get(fd);
  if (file === undefined || !file.readable) return EBADF;
  if (file.type === S_IFDIR) return passesEnd(offset ?? file.position, length) ? EINVAL : EISDIR;
  return file;
}

export function deviceOf(file: OpenFile): number {
  const attributes = newAttributes();
  file.mount.fs.getattr(file.inode, attributes);
  return attributes.rdev;
}

export function read(task: Process, fd: number, length: number): Content | Errno {
  const file = readable(task, fd, length);
  if (isErrno(file)) return file;
  if (file.type === S_IFIFO) return readPipe(task, file, length);
  const found = readFile(task, file, file.position, length);
  if (!isErrno(found)) file.position += found.length;
  return found;
}

/** Whether a descriptor is a FIFO's, which has no positions, however it was opened (ksys_pread64). */
function isPipe(task: Process, fd: number): boolean {
  const file = task.files.file(fd);
  return !isErrno(file) && file.type === S_IFIFO;
}

function readPipe(task: Process, file: OpenFile, length: number): Content | Errno {
  const found = task.vfs.pipes.of(file)?.read(length) ?? Content.empty;
  if (!isErrno(found) && found.length > 0 && (file.flags & O_NOATIME) === 0) file.mount.touchAtime(file.inode);
  return found;
}

export function pread(task: Process, fd: number, length: number, offset: number): Content | Errno {
  if (offset < 0) return EINVAL;
  if (isPipe(task, fd)) return ESPIPE;
  const file = readable(task, fd, length, offset);
  return isErrno(file) ? file : readFile(task, file, offset, length);
}

/** Whether a range reaches behind 2^63 - 1, for which 2^63 stands here (rw_verify_area). */
function passesEnd(offset: number, length: number): boolean {
  return length > 0 && (offset >= POSITION_MAX || length > POSITION_MAX - offset);
}

/** Reads and sets atime, as also a read at the end of the file does; one of no bytes does not. */
export function readFile(task: Process, file: OpenFile, offset: number, length: number): Content | Errno {
  if (length < 0 || passesEnd(offset, length)) return EINVAL;
  if (length === 0 && file.mount.fs.stampsEmptyReads !== true) return Content.empty;
  const count = Math.min(length, COUNT_MAX);
  if (file.type === S_IFCHR) return readDevice(deviceOf(file), count);
  const { fs } = file.mount;
  if ((file.flags & O_DIRECT) !== 0 && misalignedRead(file, offset, count)) {
    if ((file.flags & O_NOATIME) === 0) file.mount.touchAtime(file.inode);
    return EINVAL;
  }
  const readahead = (file.flags & O_DIRECT) === 0 ? task.vfs.cache.readahead : undefined;
  const outer = readahead?.begin(file);
  const found = fs.read(file.handle, offset, count);
  readahead?.end(outer);
  if (!isErrno(found) && (file.flags & O_NOATIME) === 0) file.mount.touchAtime(file.inode);
  return found;
}

/** What forbids direct I/O of a range (fs/iomap/direct-io.c, iomap_dio_bio_iter). The buffer is taken to lie where it must. */
function misaligned(file: OpenFile, offset: number, length: number): DirectIo | undefined {
  const rule = file.mount.fs.directIo?.(file.handle);
  return rule !== undefined && (offset % rule.unit !== 0 || length % rule.unit !== 0) ? rule : undefined;
}

/** A read asks the device for the blocks that there are: of holes, and behind the end, a range may begin and end anywhere. */
function misalignedRead(file: OpenFile, offset: number, length: number): boolean {
  const rule = misaligned(file, offset, length);
  const { fs } = file.mount;
  const size = fs.size(file.inode);
  if (rule === undefined || offset >= size) return false;
  const isData = (at: number): boolean => fs.seek(file.handle, at, false) === at;
  const end = offset + length;
  // The last block of a file goes on behind its end.
  const last = end <= size ? end - 1 : size - 1;
  const endsInBlock = Math.ceil(end / PAGE_SIZE) <= Math.ceil(size / PAGE_SIZE);
  return (offset % rule.unit !== 0 && isData(offset)) || (end % rule.unit !== 0 && endsInBlock && isData(last));
}

export function readInto(task: Process, fd: number, target: Uint8Array, offset?: number): number | Errno {
  const found = offset === undefined ? read(task, fd, target.length) : pread(task, fd, target.length, offset);
  if (isErrno(found)) return found;
  found.copyTo(target, 0);
  return found.length;
}

function writable(task: Process, fd: number): OpenFile | Errno {
  const file = task.files.get(fd);
  return file === undefined || !file.writable ? EBADF : file;
}

export function write(task: Process, fd: number, content: Content): number | Errno {
  const file = writable(task, fd);
  if (isErrno(file)) return file;
  if (file.type === S_IFIFO) return task.vfs.pipes.of(file)?.write(content) ?? EPIPE;
  const at = (file.flags & O_APPEND) === 0 ? file.position : file.mount.fs.size(file.inode);
  const written = writeFile(task, file, at, content);
  if (!isErrno(written) && written > 0) file.position = at + written;
  return written;
}

export function pwrite(task: Process, fd: number, content: Content, offset: number): number | Errno {
  if (offset < 0) return EINVAL;
  if (isPipe(task, fd)) return ESPIPE;
  const file = writable(task, fd);
  if (isErrno(file)) return file;
  const at = (file.flags & O_APPEND) === 0 ? offset : file.mount.fs.size(file.inode);
  return writeFile(task, file, at, content);
}

/** Writes; set-id bits and file capabilities go first, and O_SYNC is obeyed afterwards (vfs_write, generic_write_sync). */
export function writeFile(task: Process, file: OpenFile, offset: number, content: Content): number | Errno {
  if (passesEnd(offset, content.length)) return EINVAL;
  const given = content.length > COUNT_MAX ? content.slice(0, COUNT_MAX) : content;
  if (file.type === S_IFCHR) return writeDevice(deviceOf(file), given.length);
  const { fs } = file.mount;
  if (content.length === 0) return fs.writeNothing?.(file.handle) ?? 0;
  // Where no file reaches comes before privileges go (generic_write_checks); in a union that is for the file below to say (backing_file_write_iter).
  const isOutside = offset >= FAR && offset >= (fs.positionMax?.(file.handle) ?? POSITION_MAX);
  if (isOutside && fs.stackDepth === 0) return EFBIG;
  const refused = removePrivileges(task, file) ?? (isOutside ? EFBIG : undefined);
  if (refused !== undefined) return refused;
  const barred = (file.flags & O_DIRECT) === 0 ? undefined : misaligned(file, offset, given.length);
  if (barred !== undefined) {
    return (barred.stampsRefused ? fs.setattr(file.inode, { mtime: "now" }) : undefined) ?? EINVAL;
  }
  const written = fs.write(file.handle, offset, given);
  if ((file.flags & O_DSYNC) === 0 || isErrno(written) || written === 0) return written;
  return fs.fsync(file.handle, (file.flags & O_SYNC) !== O_SYNC) ?? written;
}

/** What a change of content takes away: set-id bits and file capabilities (file_remove_privs). */
export function removePrivileges(task: Process, file: OpenFile): Errno | undefined {
  const { fs } = file.mount;
  if (file.checkedCapabilities !== task.vfs.capabilityChanges) {
    const failed = dropFileCapabilities(task, file, true);
    if (failed !== undefined) return failed;
    file.checkedCapabilities = task.vfs.capabilityChanges;
  }
  if (capable(task.credentials, CAP_FSETID)) return undefined;
  const mode = modeAfterWrite(task.credentials, fs, file.inode);
  return mode === fs.mode(file.inode) ? undefined : notifyChange(task, file, { mode: mode & 0o7777 });
}

export function lseek(task: Process, fd: number, offset: number, whence: number): number | Errno {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  if (whence < 0 || whence > SEEK_HOLE) return EINVAL;
  if (file.type === S_IFIFO) return ESPIPE;
  if (file.type === S_IFDIR) return seekDirectory(file, offset, whence);
  if (file.type === S_IFCHR) return (file.position = seekDevice());
  const { fs } = file.mount;
  let to = offset;
  if (whence === 1) to += file.position;
  else if (whence === SEEK_END) to += fs.size(file.inode);
  else if (whence >= SEEK_DATA) {
    const found = fs.seek(file.handle, offset, whence === SEEK_HOLE);
    if (isErrno(found)) return found;
    to = found;
  }
  if (to < 0 || to > (fs.positionMax?.(file.handle) ?? POSITION_MAX)) return EINVAL;
  file.position = to;
  return to;
}

/** generic_file_llseek_size with the end that the filesystem gives its directories; without one only SEEK_SET and SEEK_CUR. */
function seekDirectory(file: OpenFile, offset: number, whence: number): number | Errno {
  const end = file.mount.fs.directoryEnd?.(file.inode, file.handle, file.position === 0);
  let to = whence === 1 ? file.position + offset : offset;
  if (whence >= SEEK_END) {
    if (end === undefined) return EINVAL;
    if (whence >= SEEK_DATA && (offset < 0 || offset >= end)) return ENXIO;
    if (whence === SEEK_END) to = end + offset;
    else if (whence === SEEK_HOLE) to = end;
  }
  // 2^63 stands for 2^63 - 1, behind which a sum overflows.
  if (to < 0 || to > POSITION_MAX || (to === POSITION_MAX && whence <= SEEK_END && offset > 0)) return EINVAL;
  file.position = to;
  return to;
}

export function fsync(task: Process, fd: number, dataOnly: boolean): Errno | undefined {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  return file.held ? EINVAL : file.mount.fs.fsync(file.handle, dataOnly);
}

export function mmap(task: Process, fd: number, protection: "r" | "rw", share: "shared" | "private"): Errno | undefined {
  const file = task.files.file(fd);
  if (isErrno(file)) return file;
  const shared = share === "shared" && protection === "rw";
  if (shared && !file.writable) return EACCES;
  if (!file.readable) return EACCES;
  if (file.type !== S_IFREG) return file.type === S_IFCHR && canMap(deviceOf(file)) ? undefined : ENODEV;
  if (shared && file.mount.readOnly) return EPERM;
  const { fs } = file.mount;
  const refused = share === "shared" && file.writable ? fs.writeNothing?.(file.handle) : undefined;
  if (refused !== undefined) return refused;
  file.mount.touchAtime(file.inode);
  const { readahead } = task.vfs.cache;
  const outer = readahead?.begin(file, "maps");
  const first = fs.readMapped === undefined ? fs.read(file.handle, 0, 1) : fs.readMapped(file.handle, 0, 1);
  readahead?.end(outer);
  if (isErrno(first)) return first;
  if (!shared || first.length === 0) return undefined;
  // A store takes no set-id bit or capability away, and is not of the file's flags.
  const written = writeMapped(fs, file.handle, 0, first);
  return isErrno(written) ? written : undefined;
}
