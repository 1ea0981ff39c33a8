/**
 * Errors of the simulated kernel, as values: one frozen Errno object a code, compared with ===.
 *
 * Interface: a call that can fail returns `T | Errno` (or `Errno | undefined` where there is nothing to return); `isErrno`
 * narrows. Nothing is allocated when a call fails. Numbers and texts are Linux's (include/uapi/asm-generic/errno*.h, glibc).
 */
export class Errno {
  /** The symbolic name, such as "ENOENT". */
  readonly code: string;
  /** The positive number, as errno holds it. */
  readonly number: number;
  /** What strerror(3) says. */
  readonly text: string;

  private constructor(code: string, number: number, text: string) {
    this.code = code;
    this.number = number;
    this.text = text;
    Object.freeze(this);
  }

  static readonly #all = new Map<string, Errno>();

  /** The one object of a code; only this file makes them. */
  static define(code: string, number: number, text: string): Errno {
    const made = new Errno(code, number, text);
    Errno.#all.set(code, made);
    return made;
  }

  /** The Errno of a symbolic name, or undefined for a name that this simulator never returns. */
  static named(code: string): Errno | undefined {
    return Errno.#all.get(code);
  }

  /** Every code, in the order of their numbers. */
  static all(): readonly Errno[] {
    return [...Errno.#all.values()].sort((one, other) => one.number - other.number);
  }

  toString(): string {
    return this.code;
  }
}

/** Whether a call's result is an error. */
export function isErrno(value: unknown): value is Errno {
  return value instanceof Errno;
}

export const EPERM: Errno = Errno.define("EPERM", 1, "Operation not permitted");
export const ENOENT: Errno = Errno.define("ENOENT", 2, "No such file or directory");
export const EINTR: Errno = Errno.define("EINTR", 4, "Interrupted system call");
export const EIO: Errno = Errno.define("EIO", 5, "Input/output error");
export const ENXIO: Errno = Errno.define("ENXIO", 6, "No such device or address");
export const E2BIG: Errno = Errno.define("E2BIG", 7, "Argument list too long");
export const ENOEXEC: Errno = Errno.define("ENOEXEC", 8, "Exec format error");
export const EBADF: Errno = Errno.define("EBADF", 9, "Bad file descriptor");
export const EAGAIN: Errno = Errno.define("EAGAIN", 11, "Resource temporarily unavailable");
export const ENOMEM: Errno = Errno.define("ENOMEM", 12, "Cannot allocate memory");
export const EACCES: Errno = Errno.define("EACCES", 13, "Permission denied");
export const EFAULT: Errno = Errno.define("EFAULT", 14, "Bad address");
export const ENOTBLK: Errno = Errno.define("ENOTBLK", 15, "Block device required");
export const EBUSY: Errno = Errno.define("EBUSY", 16, "Device or resource busy");
export const EEXIST: Errno = Errno.define("EEXIST", 17, "File exists");
export const EXDEV: Errno = Errno.define("EXDEV", 18, "Invalid cross-device link");
export const ENODEV: Errno = Errno.define("ENODEV", 19, "No such device");
export const ENOTDIR: Errno = Errno.define("ENOTDIR", 20, "Not a directory");
export const EISDIR: Errno = Errno.define("EISDIR", 21, "Is a directory");
export const EINVAL: Errno = Errno.define("EINVAL", 22, "Invalid argument");
export const ENFILE: Errno = Errno.define("ENFILE", 23, "Too many open files in system");
export const EMFILE: Errno = Errno.define("EMFILE", 24, "Too many open files");
export const ENOTTY: Errno = Errno.define("ENOTTY", 25, "Inappropriate ioctl for device");
export const ETXTBSY: Errno = Errno.define("ETXTBSY", 26, "Text file busy");
export const EFBIG: Errno = Errno.define("EFBIG", 27, "File too large");
export const ENOSPC: Errno = Errno.define("ENOSPC", 28, "No space left on device");
export const ESPIPE: Errno = Errno.define("ESPIPE", 29, "Illegal seek");
export const EROFS: Errno = Errno.define("EROFS", 30, "Read-only file system");
export const EMLINK: Errno = Errno.define("EMLINK", 31, "Too many links");
export const EPIPE: Errno = Errno.define("EPIPE", 32, "Broken pipe");
export const EDOM: Errno = Errno.define("EDOM", 33, "Numerical argument out of domain");
export const ERANGE: Errno = Errno.define("ERANGE", 34, "Numerical result out of range");
export const ENAMETOOLONG: Errno = Errno.define("ENAMETOOLONG", 36, "File name too long");
export const ENOSYS: Errno = Errno.define("ENOSYS", 38, "Function not implemented");
export const ENOTEMPTY: Errno = Errno.define("ENOTEMPTY", 39, "Directory not empty");
export const ELOOP: Errno = Errno.define("ELOOP", 40, "Too many levels of symbolic links");
export const ENODATA: Errno = Errno.define("ENODATA", 61, "No data available");
export const ETIME: Errno = Errno.define("ETIME", 62, "Timer expired");
export const EBADMSG: Errno = Errno.define("EBADMSG", 74, "Bad message");
export const EOVERFLOW: Errno = Errno.define("EOVERFLOW", 75, "Value too large for defined data type");
export const EILSEQ: Errno = Errno.define("EILSEQ", 84, "Invalid or incomplete multibyte or wide character");
export const ENOTSUP: Errno = Errno.define("ENOTSUP", 95, "Operation not supported");
export const ETIMEDOUT: Errno = Errno.define("ETIMEDOUT", 110, "Connection timed out");
export const ESTALE: Errno = Errno.define("ESTALE", 116, "Stale file handle");
export const EUCLEAN: Errno = Errno.define("EUCLEAN", 117, "Structure needs cleaning");
export const ENOTCONN: Errno = Errno.define("ENOTCONN", 107, "Transport endpoint is not connected");
export const EDQUOT: Errno = Errno.define("EDQUOT", 122, "Disk quota exceeded");
