/**
 * Errors as Node makes them: those of system calls (code, negative errno, syscall, path, dest, libuv's wording) and those of arguments
 * (ERR_INVALID_ARG_TYPE and its like, Node 20 lib/internal/errors.js).
 */
import { inspect } from "node:util";
import type { Errno } from "../../sim/core/errno.ts";

/** What libuv says of each code where that is not strerror(3)'s text with a small first letter (libuv 1.46, include/uv.h, UV_ERRNO_MAP). */
const LIBUV_TEXT: Readonly<Record<string, string>> = {
  E2BIG: "argument list too long",
  EBUSY: "resource busy or locked",
  EEXIST: "file already exists",
  EFAULT: "bad address in system call argument",
  EILSEQ: "illegal byte sequence",
  EIO: "i/o error",
  EISDIR: "illegal operation on a directory",
  ELOOP: "too many symbolic links encountered",
  EMFILE: "too many open files",
  ENAMETOOLONG: "name too long",
  ENFILE: "file table overflow",
  ENODATA: "no data available",
  ENOMEM: "not enough memory",
  ENOTCONN: "socket is not connected",
  ENOTEMPTY: "directory not empty",
  ENOTSUP: "operation not supported on socket",
  ENOTTY: "inappropriate ioctl for device",
  EOVERFLOW: "value too large for defined data type",
  EPIPE: "broken pipe",
  ESPIPE: "invalid seek",
  ETXTBSY: "text file is busy",
  EXDEV: "cross-device link not permitted",
  ETIMEDOUT: "connection timed out",
  ERANGE: "result too large",
};

/** Codes that libuv does not know; their errors have a number and no more. */
const UNKNOWN: ReadonlySet<string> = new Set(["EBADMSG", "EDOM", "EDQUOT", "ENOEXEC", "ENOTBLK", "ESTALE", "ETIME", "EUCLEAN"]);

/** What libuv calls an error (uv_err_name). */
export function libuvCode(errno: Errno): string {
  return UNKNOWN.has(errno.code) ? `Unknown system error ${-errno.number}` : errno.code;
}

/** What libuv says of an error (uv_strerror). */
export function libuvText(errno: Errno): string {
  if (UNKNOWN.has(errno.code)) return libuvCode(errno);
  return LIBUV_TEXT[errno.code] ?? errno.text.charAt(0).toLowerCase() + errno.text.slice(1);
}

/** What a system call's error is about. */
export interface ErrorPlace {
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
}

/** A system call's error: "ENOENT: no such file or directory, open '/a'". */
export function systemError(errno: Errno, syscall: string, { path, dest }: ErrorPlace = {}): NodeJS.ErrnoException {
  const code = libuvCode(errno);
  let message = `${code}: ${libuvText(errno)}, ${syscall}`;
  if (path !== undefined) message += ` '${path}'`;
  if (dest !== undefined) message += ` -> '${dest}'`;
  const fields: Record<string, unknown> = { errno: -errno.number, code, syscall };
  if (path !== undefined) fields["path"] = path;
  if (dest !== undefined) fields["dest"] = dest;
  return Object.assign(new Error(message), fields);
}

/** What ERR_FS_CP_EINVAL and its like tell of the failure behind them. */
export interface Context extends ErrorPlace {
  readonly errno: Errno;
  readonly syscall: string;
  readonly message: string;
}

/** An error of Node's own checks on files: "Path is a directory: rm returned EISDIR (is a directory) /a". */
export function checkError(code: string, prefix: string, context: Context): Error {
  const { errno, syscall, message, path, dest } = context;
  let text = `${prefix}: ${syscall} returned ${errno.code} (${message})`;
  if (path !== undefined) text += ` ${path}`;
  if (dest !== undefined) text += ` => ${dest}`;
  const info: Record<string, unknown> = { errno: errno.number, code: errno.code, message, syscall };
  if (path !== undefined) info["path"] = path;
  if (dest !== undefined) info["dest"] = dest;
  const error = Object.assign(new Error(text), { code, info, errno: errno.number, syscall });
  if (path !== undefined) Object.assign(error, { path });
  if (dest !== undefined) Object.assign(error, { dest });
  markStack(error, "SystemError", code);
  setQuietly(error, "name", "SystemError");
  return error;
}

/** Gives an error what nobody sees among its keys. */
function setQuietly(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: false, configurable: true, writable: true });
}

/**
 * Puts the code where Node has it: into the stack's first line, whose text is made, with the name at that time, when it is first asked for, and
 * into what the error is as text.
 */
function markStack(error: Error, name: string, code: string): void {
  setQuietly(error, "name", `${name} [${code}]`);
  void error.stack;
  Reflect.deleteProperty(error, "name");
  setQuietly(error, "toString", () => `${error.name} [${code}]: ${error.message}`);
}

function withCode<T extends Error>(error: T, code: string): T {
  markStack(error, error.name, code);
  return Object.assign(error, { code });
}

/** "argument", or "property" for a name such as "options.mode". */
function kindOf(name: string): string {
  return name.includes(".") ? "property" : "argument";
}

function received(value: unknown): string {
  if (value === null || value === undefined) return `Received ${String(value)}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") {
    const maker = (value as { constructor?: { name?: string } }).constructor?.name;
    return maker === undefined || maker === "" ? `Received ${inspect(value, { depth: -1 })}` : `Received an instance of ${maker}`;
  }
  if (typeof value === "string") {
    const short = value.length > 28 ? `${value.slice(0, 25)}...` : value;
    return `Received type string (${short.includes("'") ? JSON.stringify(short) : `'${short}'`})`;
  }
  return `Received type ${typeof value} (${inspect(value)})`;
}

/** What ERR_INVALID_ARG_TYPE says. @param expected - as "of type string or an instance of Buffer". */
export function typeText(name: string, expected: string, value: unknown): string {
  return `The "${name}" ${kindOf(name)} must be ${expected}. ${received(value)}`;
}

/** ERR_INVALID_ARG_TYPE. */
export function typeError(name: string, expected: string, value: unknown): TypeError {
  return withCode(new TypeError(typeText(name, expected, value)), "ERR_INVALID_ARG_TYPE");
}

/** ERR_INVALID_ARG_TYPE of Node's checks in C++: in words of their own, and with the code in the error alone. */
export function plainTypeError(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_TYPE" });
}

/** ERR_OUT_OF_RANGE of Node's checks in C++. */
export function plainRangeError(message: string): RangeError {
  return Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" });
}

/** ERR_INVALID_ARG_VALUE. */
export function valueError(name: string, value: unknown, reason = "is invalid"): TypeError {
  const shown = inspect(value);
  const text = shown.length > 128 ? `${shown.slice(0, 128)}...` : shown;
  return withCode(new TypeError(`The ${kindOf(name)} '${name}' ${reason}. Received ${text}`), "ERR_INVALID_ARG_VALUE");
}

function separated(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+$)/g, "_");
}

/** What ERR_OUT_OF_RANGE says. @param range - as ">= 0 && <= 7". */
export function rangeText(name: string, range: string, value: unknown): string {
  let shown = inspect(value);
  if (Number.isInteger(value) && Math.abs(value as number) > 2 ** 32) shown = separated(String(value));
  else if (typeof value === "bigint" && (value > 2n ** 32n || value < -(2n ** 32n))) shown = `${separated(String(value))}n`;
  return `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`;
}

/** ERR_OUT_OF_RANGE. */
export function rangeError(name: string, range: string, value: unknown): RangeError {
  return withCode(new RangeError(rangeText(name, range, value)), "ERR_OUT_OF_RANGE");
}

/** Any other error with one of Node's codes. @param kind - its class */
export function codedError(code: string, message: string, kind: ErrorConstructor = Error): Error {
  return withCode(new kind(message), code);
}

/** What a call throws that a signal has ended. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error("The operation was aborted", { cause: signal.reason });
  return Object.assign(error, { code: "ABORT_ERR", name: "AbortError" });
}
