/**
 * A process of this shell: its system calls, each counted and told, and what it writes for people.
 *
 * Interface:
 * - A method is one call by the name that the kernel gives it, in the variants that coreutils make; it returns the call's value or an Errno.
 * - Paths are joined texts: a call "at" a directory's descriptor walks the same names from the working directory.
 * - `onCall` hears each call as strace would write it, but for addresses and times: name, arguments, and 0, a number or the errno.
 * - /dev/null, /dev/zero and /dev/urandom are the machine's own and lie in no tree.
 */
import type { Time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, ENODEV, ENOTDIR, ENOTSUP, type Errno, ESPIPE, EXDEV, isErrno } from "../../sim/core/errno.ts";
import type { Random } from "../../sim/core/random.ts";
import type { DirectoryEntry } from "../../sim/vfs/directory.ts";
import {
  type Attributes,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFLNK,
  S_IFMT,
  type StatFs,
} from "../../sim/vfs/filesystem.ts";
import { aclBytes, aclName, aclOfMode } from "../../sim/vfs/posix-acl.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { flagsText, type MadeCall, octal, pathText, tidy } from "./call-text.ts";
import { DEVICES, deviceAttributes, type OpenedFile, PIPE_ATTRIBUTES, where } from "./opened-file.ts";
import { takeFrom } from "./pipe.ts";

/** What getdents64 returns at a time in glibc: a buffer of 32 KiB; an entry takes its header, its name and its end, in eights. */
const DIRECTORY_BUFFER = 32_768;
const ENTRY_HEADER = 19;
/** copy_file_range moves at most this much (MAX_RW_COUNT). */
const TRANSFER_MAX = 0x7ffff000;

export type UtimeTo = Time | "NOW" | "OMIT";
const STDOUT_MAX = 2 ** 20;
/** What stdio keeps of a file's output: st_blksize. */
const STDIO_BUFFER = 4096;

export interface ProcessOptions {
  readonly task: Task;
  /** What /dev/urandom and temporary names come from. */
  readonly random: Random;
  readonly onCall?: ((call: MadeCall) => void) | undefined;
}

export class Process {
  readonly task: Task;
  readonly random: Random;
  /** System calls so far, and those answered with an errno. */
  calls = 0;
  refused = 0;
  /** Bytes that calls moved out of files, and into them. */
  bytesRead = 0;
  bytesWritten = 0;
  stdout = "";
  stderr = "";
  /** Where standard output and input are redirected to; undefined: to `stdout`, and from nothing. */
  output: OpenedFile | undefined;
  input: OpenedFile | undefined;
  /** Where standard error is redirected to. */
  errors: OpenedFile | "output" | undefined;
  /** What stdio has not written yet of standard output; undefined before its first use. */
  #buffered: Content | undefined;
  #flushError: Errno | undefined;
  readonly #onCall: ((call: MadeCall) => void) | undefined;

  constructor({ task, random, onCall }: ProcessOptions) {
    this.task = task;
    this.random = random;
    this.#onCall = onCall;
  }

  #made<T>(name: string, result: T | Errno, ...words: readonly (string | number | undefined)[]): T | Errno {
    this.calls += 1;
    if (isErrno(result)) this.refused += 1;
    if (this.#onCall !== undefined) {
      const shown = isErrno(result) ? result.code : typeof result === "number" ? String(result) : "0";
      const text = words.filter((word) => word !== undefined).join(", ");
      this.#onCall({ name, arguments: text, result: shown });
    }
    return result;
  }

  // Looking
  stat(path: string): Attributes | Errno {
    return this.#made("newfstatat", deviceAttributes(path) ?? this.task.stat(path), pathText(path));
  }
  lstat(path: string): Attributes | Errno {
    return this.#made("newfstatat", deviceAttributes(path) ?? this.task.lstat(path), pathText(path), "AT_SYMLINK_NOFOLLOW");
  }
  statx(path: string, follow: boolean): Attributes | Errno {
    const found = deviceAttributes(path) ?? (follow ? this.task.stat(path) : this.task.lstat(path));
    return this.#made("statx", found, pathText(path), follow ? undefined : "AT_SYMLINK_NOFOLLOW");
  }
  fstat(file: OpenedFile): Attributes | Errno {
    if (file.device === "pipe") return PIPE_ATTRIBUTES;
    return this.#made("newfstatat", deviceAttributes(file.path) ?? this.task.fstat(file.fd), `<${file.path}>`);
  }
  statfs(path: string): StatFs | Errno {
    return this.#made("statfs", this.task.statfs(path), pathText(path));
  }

  /** Opens a directory and reads its entries; `whole`: to its end, else the first part. */
  list(path: string, flags: number, { whole = true }: { readonly whole?: boolean } = {}): DirectoryEntry[] | Errno {
    const file = this.open(path, flags);
    if (isErrno(file)) return file;
    this.fstat(file);
    const entries = this.getdents(file, path, whole);
    this.close(file);
    return entries;
  }
  /** Reads an open directory. */
  getdents(file: OpenedFile, path: string, whole = true): DirectoryEntry[] | Errno {
    const entries = this.task.readdir(path);
    if (isErrno(entries)) return this.#made("getdents64", entries, `<${file.path}>`);
    let filled = 2 * (ENTRY_HEADER + 5);
    for (const { name } of entries) {
      const size = Math.ceil((ENTRY_HEADER + name.length + 1) / 8) * 8;
      if (filled + size > DIRECTORY_BUFFER) {
        if (!whole) return entries;
        this.#made("getdents64", filled, `<${file.path}>`);
        filled = 0;
      }
      filled += size;
    }
    this.#made("getdents64", filled, `<${file.path}>`);
    if (whole) this.#made("getdents64", 0, `<${file.path}>`);
    return entries;
  }

  /** A directory with nothing in it, just looked at, is read to its end. */
  endOfList(path: string): void {
    this.#made("getdents64", 0, `<${tidy(path)}>`);
  }

  // Open files
  /** @param shown - the path as the call has it, where the process stands elsewhere. */
  open(path: string, flags: number, mode?: number, shown: string = path): OpenedFile | Errno {
    const device = DEVICES.get(path);
    const fd = device === undefined ? this.task.open(path, flags, mode) : (flags & O_DIRECTORY) !== 0 ? ENOTDIR : -1;
    this.#made(
      "openat",
      isErrno(fd) ? fd : Math.max(fd, 0) + 3,
      pathText(shown),
      flagsText(flags),
      mode === undefined ? undefined : octal(mode),
    );
    return isErrno(fd) ? fd : { fd, path: tidy(path), device };
  }
  /** creat(2): the older way to open for writing. */
  creat(path: string, mode: number): OpenedFile | Errno {
    const fd = this.task.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    this.#made("creat", isErrno(fd) ? fd : fd + 3, pathText(path), octal(mode));
    return isErrno(fd) ? fd : { fd, path: tidy(path), device: undefined };
  }
  close(file: OpenedFile): Errno | undefined {
    if (file.device !== undefined) return undefined;
    return this.#made("close", this.task.close(file.fd), `<${file.path}>`);
  }
  read(file: OpenedFile, length: number): Content | Errno {
    if (file.held !== undefined) return takeFrom(file.held, length);
    const found =
      file.device === undefined || file.device === "pipe" ? this.task.read(file.fd, length) : this.#ofDevice(file.device, length);
    this.#made("read", isErrno(found) ? found : found.length, `<${file.path}>`, length);
    if (!isErrno(found) && file.device === undefined) this.bytesRead += found.length;
    return found;
  }
  #ofDevice(device: Exclude<OpenedFile["device"], "pipe" | undefined>, length: number): Content {
    if (device === "null") return Content.empty;
    return device === "zero" ? Content.zeros(length) : Content.pattern(this.random.uint32(), length);
  }
  /** Writes all of it, as full_write does. */
  write(file: OpenedFile, content: Content): number | Errno {
    if (file.held !== undefined) {
      file.held.push(content);
      return content.length;
    }
    let done = 0;
    while (done < content.length) {
      const rest = done === 0 ? content : content.slice(done);
      const written = file.device === undefined ? this.task.write(file.fd, rest) : rest.length;
      this.#made("write", written, `<${file.path}>`, rest.length);
      if (isErrno(written)) return written;
      if (file.device === undefined) this.bytesWritten += written;
      done += written;
    }
    return done;
  }
  lseek(file: OpenedFile, offset: number, whence: number): number | Errno {
    const names = ["SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"];
    if (file.device === "pipe") return ESPIPE;
    const found = file.device === undefined ? this.task.lseek(file.fd, offset, whence) : 0;
    return this.#made("lseek", found, `<${file.path}>`, offset, names[whence]);
  }
  copyFileRange(from: OpenedFile, to: OpenedFile, length: number = TRANSFER_MAX): number | Errno {
    const copied = from.device ?? to.device;
    const done = copied === undefined ? this.task.copyFileRange(from.fd, to.fd, Math.min(length, TRANSFER_MAX)) : EINVAL;
    if (!isErrno(done)) {
      this.bytesRead += done;
      this.bytesWritten += done;
    }
    return this.#made("copy_file_range", done, `<${from.path}>`, `<${to.path}>`);
  }
  clone(from: OpenedFile, to: OpenedFile): Errno | undefined {
    const failed = (from.device ?? to.device) === undefined ? this.task.clone(from.fd, to.fd) : EXDEV;
    return this.#made("ioctl", failed, `<${to.path}>`, "FICLONE", `<${from.path}>`);
  }
  ftruncate(file: OpenedFile, length: number): Errno | undefined {
    const failed = file.device === undefined ? this.task.ftruncate(file.fd, length) : EINVAL;
    return this.#made("ftruncate", failed, `<${file.path}>`, length);
  }
  fallocate(file: OpenedFile, mode: number, offset: number, length: number): Errno | undefined {
    const failed = file.device === undefined ? this.task.fallocate(file.fd, mode, offset, length) : ENODEV;
    return this.#made("fallocate", failed, `<${file.path}>`, offset, length);
  }
  fsync(file: OpenedFile, dataOnly = false): Errno | undefined {
    const failed = file.device !== undefined ? EINVAL : dataOnly ? this.task.fdatasync(file.fd) : this.task.fsync(file.fd);
    return this.#made(dataOnly ? "fdatasync" : "fsync", failed, `<${file.path}>`);
  }
  syncfs(file?: OpenedFile): Errno | undefined {
    return file === undefined
      ? this.#made("sync", this.task.syncfs())
      : this.#made("syncfs", this.task.syncfs(), `<${file.path}>`);
  }

  // Names
  /** @param call - mkdir of a shell's command, mkdirat where a copy makes it. */
  mkdir(path: string, mode: number, call: "mkdir" | "mkdirat" = "mkdir"): Errno | undefined {
    return this.#made(call, this.task.mkdir(path, mode), pathText(path), octal(mode));
  }
  /** mkdir by a name in a directory that the process stands in meanwhile, as mkdir -p does. */
  mkdirIn(directory: string, name: string, mode: number): Errno | undefined {
    const path = directory === "." ? name : `${directory.replace(/\/$/, "")}/${name}`;
    return this.#made("mkdir", this.task.mkdir(path, mode), pathText(name), octal(mode));
  }
  mknod(path: string, mode: number, rdev: number): Errno | undefined {
    return this.#made("mknodat", this.task.mknod(path, mode, rdev), pathText(path), octal(mode));
  }
  rmdir(path: string): Errno | undefined {
    return this.#made("rmdir", this.task.rmdir(path), pathText(path));
  }
  unlinkat(path: string, directory = false): Errno | undefined {
    const failed = directory ? this.task.rmdir(path) : this.task.unlink(path);
    return this.#made("unlinkat", failed, pathText(path), directory ? "AT_REMOVEDIR" : undefined);
  }
  /** @param flags - RENAME_NOREPLACE, or none: the older call. */
  rename(path: string, to: string, flags = 0): Errno | undefined {
    const failed = this.task.rename(path, to, flags);
    const name = flags === 0 ? "renameat" : "renameat2";
    return this.#made(name, failed, pathText(path), pathText(to), flags === 0 ? undefined : "RENAME_NOREPLACE");
  }
  link(path: string, to: string, follow = false): Errno | undefined {
    return this.#made("linkat", this.task.link(path, to), pathText(path), pathText(to), follow ? "AT_SYMLINK_FOLLOW" : undefined);
  }
  symlink(target: string, path: string): Errno | undefined {
    return this.#made("symlinkat", this.task.symlink(target, path), pathText(target), pathText(path));
  }
  readlink(path: string, call: "readlink" | "readlinkat" = "readlink"): string | Errno {
    const target = this.task.readlink(path);
    this.#made(call, isErrno(target) ? target : target.length, pathText(path));
    return target;
  }
  chdir(path: string): Errno | undefined {
    return this.#made("chdir", this.task.chdir(path), pathText(path));
  }

  // Attributes
  chmod(path: string, mode: number): Errno | undefined {
    return this.#made("fchmodat", this.task.chmod(path, mode), pathText(path), octal(mode));
  }
  /** lchmodat of gnulib: through a descriptor that leads to the link itself, if it is one, and not to what it leads to. */
  lchmod(path: string, mode: number): Errno | undefined {
    const file = this.open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_PATH);
    if (isErrno(file)) return file;
    const of = this.fstat(file);
    // A symbolic link has no mode of its own to change.
    if (!isErrno(of) && (of.mode & S_IFMT) === S_IFLNK) {
      this.close(file);
      return ENOTSUP;
    }
    const failed = this.#made("chmod", this.task.chmod(path, mode), `"/proc/self/fd/${file.fd + 3}"`, octal(mode));
    this.close(file);
    return failed;
  }
  fchmod(file: OpenedFile, mode: number): Errno | undefined {
    return this.#made("fchmod", this.task.fchmod(file.fd, mode & 0o7777), `<${file.path}>`, octal(mode));
  }
  chown(path: string, uid: number, gid: number, follow: boolean): Errno | undefined {
    const failed = follow ? this.task.chown(path, uid, gid) : this.task.lchown(path, uid, gid);
    return this.#made("fchownat", failed, pathText(path), uid, gid, follow ? 0 : "AT_SYMLINK_NOFOLLOW");
  }
  fchown(file: OpenedFile, uid: number, gid: number): Errno | undefined {
    return this.#made("fchown", this.task.fchown(file.fd, uid, gid), `<${file.path}>`, uid, gid);
  }
  utimens(path: string, atime: UtimeTo, mtime: UtimeTo, nofollow = false): Errno | undefined {
    const failed = this.task.utimens(path, atime, mtime, nofollow);
    return this.#made("utimensat", failed, pathText(path), nofollow ? "AT_SYMLINK_NOFOLLOW" : undefined);
  }
  /** Of an open file: by its path, which leads to the same inode. */
  futimens(file: OpenedFile, atime: UtimeTo, mtime: UtimeTo): Errno | undefined {
    return this.#made("utimensat", this.task.utimens(file.path, atime, mtime), `<${file.path}>`);
  }

  // Extended attributes
  /** On a path, its last symbolic link not followed where the call's name begins with l; or on an open file. */
  listxattr(of: string | OpenedFile, follow = false): string[] | Errno {
    const found =
      typeof of !== "string" ? this.task.flistxattr(of.fd) : follow ? this.task.listxattr(of) : this.task.llistxattr(of);
    const name = typeof of !== "string" ? "flistxattr" : follow ? "listxattr" : "llistxattr";
    const size = isErrno(found) ? found : found.reduce((sum, one) => sum + one.length + 1, 0);
    this.#made(name, size, where(of));
    return found;
  }
  getxattr(of: string | OpenedFile, name: string, follow = true): Uint8Array | Errno {
    const found =
      typeof of !== "string"
        ? this.task.fgetxattr(of.fd, name)
        : follow
          ? this.task.getxattr(of, name)
          : this.task.lgetxattr(of, name);
    const call = typeof of !== "string" ? "fgetxattr" : follow ? "getxattr" : "lgetxattr";
    this.#made(call, isErrno(found) ? found : found.length, where(of), pathText(name));
    return found;
  }
  setxattr(of: string | OpenedFile, name: string, value: Uint8Array, follow = true): Errno | undefined {
    const failed =
      typeof of !== "string"
        ? this.task.fsetxattr(of.fd, name, value)
        : follow
          ? this.task.setxattr(of, name, value)
          : this.task.lsetxattr(of, name, value);
    const call = typeof of !== "string" ? "fsetxattr" : follow ? "setxattr" : "lsetxattr";
    return this.#made(call, failed, where(of), pathText(name));
  }
  /**
   * Stores an access control list that says no more than a mode: the kernel keeps no list then, but sets the mode (fs/posix_acl.c,
   * posix_acl_update_mode).
   */
  setModeList(of: string | OpenedFile, mode: number): Errno | undefined {
    return this.setxattr(of, aclName("access"), aclBytes(aclOfMode(mode)));
  }
  /** Takes a directory's default list away, if there is one. */
  removeDefaultList(path: string): void {
    const name = aclName("default");
    this.#made("removexattr", this.task.removexattr(path, name), pathText(path), pathText(name));
  }

  // For people
  /** Writes to standard output as stdio does: a file is looked at first, and gets whole blocks, the rest when the command ends. */
  print(text: string): void {
    this.printBuffered(Content.text(text));
  }
  printBuffered(content: Content): void {
    if (this.output === undefined || this.output.device !== undefined) {
      this.printContent(content);
      return;
    }
    if (this.#buffered === undefined) this.fstat(this.output);
    const all = Content.concat([this.#buffered ?? Content.empty, content]);
    const full = all.length - (all.length % STDIO_BUFFER);
    this.#buffered = all.slice(full);
    if (full > 0) this.#flushError ??= this.printContent(all.slice(0, full));
  }
  /** Ends a line that stdio writes at once (setvbuf, _IOLBF). */
  endLine(): void {
    if (this.#buffered === undefined || this.#buffered.length === 0) return;
    this.#flushError ??= this.printContent(this.#buffered);
    this.#buffered = Content.empty;
  }
  /** Writes what `print` left, at a command's end. @returns why something that was printed could not be written */
  flush(): Errno | undefined {
    const rest = this.#buffered;
    const failed = this.#flushError ?? (rest === undefined || rest.length === 0 ? undefined : this.printContent(rest));
    this.#buffered = undefined;
    this.#flushError = undefined;
    return failed;
  }
  printContent(content: Content): Errno | undefined {
    if (this.output !== undefined) {
      const written = this.write(this.output, content);
      return isErrno(written) ? written : undefined;
    }
    if (this.stdout.length < STDOUT_MAX) this.stdout += content.slice(0, STDOUT_MAX).toText();
    return undefined;
  }
  /** Writes a message, on one line, to standard error. */
  complain(message: string): void {
    if (this.errors === undefined) this.stderr += `${message}\n`;
    else if (this.errors === "output") this.printContent(Content.text(`${message}\n`));
    else this.write(this.errors, Content.text(`${message}\n`));
  }
}
