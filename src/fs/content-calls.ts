/**
 * Operations on whole files: readFile, writeFile, appendFile, truncate, copyFile. Each is several system calls, and its error is that of
 * the one that failed.
 */
import { Buffer } from "node:buffer";
import { EEXIST, ENOTSUP, isErrno } from "../../sim/core/errno.ts";
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, S_IFMT, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { abortError, codedError, typeError } from "./errors.ts";
import { closeQuietly, openPath, writeBytes } from "./file-calls.ts";
import { FileHandle } from "./handle.ts";
import type { Kernel } from "./kernel.ts";
import { type Form, freeOperation, type OperationTable, operation } from "./operation.ts";
import {
  bits,
  bytesOf,
  flagOf,
  flagsNamed,
  integer,
  modeNamed,
  nativeFd,
  type Options,
  options,
  path,
  pathNamed,
  type Reader,
} from "./readers.ts";

/** What files without a size are read by, in bytes. */
const CHUNK = 8192;
/** What a file that is read whole may have at most, in bytes. */
const READ_MOST = 2 ** 31 - 1;
const COPYFILE_EXCL = 1;
const COPYFILE_FICLONE_FORCE = 4;

/** A path, or a file that is open already: its descriptor or its FileHandle. */
const pathOrFile: Reader<string | number> = (value) => {
  if (value instanceof FileHandle) return value.fd;
  return typeof value === "number" && value === (value | 0) ? value | 0 : path(value);
};

/** A path, or any number for a descriptor. */
const pathOrNumber: Reader<string | number> = (value) => (typeof value === "number" ? nativeFd(value) : path(value));

/** An abort signal among options that has fired before the work begins; the synchronous forms have none. @throws its AbortError. */
function throwIfAborted(given: Options, form: Form): void {
  const signal = given["signal"] as AbortSignal | undefined;
  if (form !== "sync" && signal?.aborted === true) throw abortError(signal);
}

/** Does something with a path's file, opened for it, or with one that is open and stays so. */
function withFile<T>(kernel: Kernel, target: string | number, how: { flags: number; mode: number }, act: (file: number) => T): T {
  if (typeof target === "number") return act(target);
  const file = openPath(kernel, target, how.flags, how.mode);
  try {
    return act(file);
  } finally {
    closeQuietly(kernel, file);
  }
}

/** @param asked - the first call that Node makes of the descriptor, whose error a bad one gives. */
function readOpen(kernel: Kernel, file: number, asked: string): Buffer {
  const of = kernel.done(kernel.task.fstat(file, kernel.attributes), asked);
  const size = (of.mode & S_IFMT) === S_IFREG ? of.size : 0;
  if (size > READ_MOST) throw codedError("ERR_FS_FILE_TOO_LARGE", `File size (${size}) is greater than 2 GiB`, RangeError);
  if (size === 0) return readUnknown(kernel, file);
  const room = Buffer.allocUnsafeSlow(size);
  let at = 0;
  while (at < size) {
    const count = kernel.done(kernel.task.readInto(file, at === 0 ? room : room.subarray(at)), "read");
    if (count === 0) break;
    at += count;
  }
  return at < size ? room.subarray(0, at) : room;
}

/** Reads until nothing comes: what has no size, or says that it has none. */
function readUnknown(kernel: Kernel, file: number): Buffer {
  const parts: Buffer[] = [];
  for (;;) {
    const room = Buffer.alloc(CHUNK);
    const count = kernel.done(kernel.task.readInto(file, room), "read");
    if (count === 0) return Buffer.concat(parts);
    parts.push(room.subarray(0, count));
  }
}

interface ReadRequest {
  readonly target: string | number;
  readonly given: Options;
  readonly flags: number;
}

function readWhole(kernel: Kernel, request: ReadRequest, form: Form): string | Buffer {
  throwIfAborted(request.given, form);
  const { encoding } = request.given;
  // readFileSync of text reads until nothing comes, without asking for the size.
  const asked = form === "sync" && (encoding === "utf8" || encoding === "utf-8") ? "read" : "fstat";
  const raw = withFile(kernel, request.target, { flags: request.flags, mode: 0o666 }, (file) => readOpen(kernel, file, asked));
  return encoding === undefined || encoding === null || encoding === "" ? raw : raw.toString(encoding as BufferEncoding);
}

function readRequest([target, given]: readonly unknown[]): ReadRequest {
  const read = options(given);
  return { target: pathOrFile(target), given: read, flags: flagsNamed("flags", "r")(read["flag"]) };
}

interface WriteRequest {
  readonly target: string | number;
  readonly given: Options;
  readonly raw: Uint8Array;
  readonly flags: number;
  readonly mode: number;
  readonly flush: boolean;
}

/** The arguments of writeFile and appendFile. @param flag - how the file is opened by default. */
function writeRequest(args: readonly unknown[], flag: string): WriteRequest {
  const [target, data, given] = args;
  const read = options(given);
  return {
    target: pathOrFile(target),
    given: read,
    raw: dataOf(data, read),
    flags: flagsNamed("flags", flag)(read["flag"]),
    mode: modeNamed("mode", 0o666)(read["mode"]),
    flush: read["flush"] !== null && flagOf(read, "flush"),
  };
}

function dataOf(data: unknown, given: Options): Uint8Array {
  if (ArrayBuffer.isView(data)) return bytesOf(data);
  if (typeof data !== "string") throw typeError("data", "of type string or an instance of Buffer, TypedArray, or DataView", data);
  return Buffer.from(data, (given.encoding ?? "utf8") as BufferEncoding);
}

function writeWhole(kernel: Kernel, { target, given, raw, flags, mode, flush }: WriteRequest, form: Form): void {
  throwIfAborted(given, form);
  withFile(kernel, target, { flags, mode }, (file) => {
    // The callback form writes also nothing once.
    if (raw.length === 0 && form === "callback") writeBytes(kernel, file, raw);
    for (let at = 0; at < raw.length; ) at += writeBytes(kernel, file, at === 0 ? raw : raw.subarray(at));
    if (flush) kernel.done(kernel.task.fsync(file), "fsync");
  });
}

function truncate(kernel: Kernel, target: string | number, length: number): void {
  withFile(kernel, target, { flags: O_RDWR, mode: 0o666 }, (file) => {
    kernel.done(kernel.task.ftruncate(file, length), "ftruncate");
  });
}

/** uv_fs_copyfile: opens both, refuses a copy onto itself, copies the bytes and the mode; a target it has made goes when that fails. */
export function copyFile(kernel: Kernel, from: string, to: string, how: number): void {
  const { task } = kernel;
  const source = kernel.done(task.open(from, O_RDONLY), "copyfile", from, to);
  try {
    const of = { ...kernel.done(task.fstat(source, kernel.attributes), "copyfile", from, to) };
    const flags = O_WRONLY | O_CREAT | ((how & COPYFILE_EXCL) === 0 ? 0 : O_EXCL);
    const target = kernel.done(task.open(to, flags, of.mode & 0o7777), "copyfile", from, to);
    try {
      copyOpen(kernel, { source, target, of, how }, from, to);
    } finally {
      closeQuietly(kernel, target);
    }
  } finally {
    closeQuietly(kernel, source);
  }
}

interface Copy {
  readonly source: number;
  readonly target: number;
  readonly of: { readonly mode: number; readonly size: number; readonly device: number; readonly inodeNumber: number };
  readonly how: number;
}

function copyOpen(kernel: Kernel, { source, target, of, how }: Copy, from: string, to: string): void {
  const { task } = kernel;
  const there = kernel.done(task.fstat(target, kernel.attributes), "copyfile", from, to);
  if (there.device === of.device && there.inodeNumber === of.inodeNumber) return;
  kernel.done(task.ftruncate(target, 0), "copyfile", from, to);
  kernel.done(task.fchmod(target, of.mode & 0o7777), "copyfile", from, to);
  if ((how & COPYFILE_FICLONE_FORCE) !== 0) {
    const failed = task.clone(source, target);
    if (isErrno(failed)) task.unlink(to);
    kernel.done(failed, "copyfile", from, to);
    return;
  }
  for (let at = 0; at < of.size; ) {
    const count = task.copyFileRange(source, target, of.size - at);
    if (isErrno(count)) task.unlink(to);
    const copied = kernel.done(count === ENOTSUP ? EEXIST : count, "copyfile", from, to);
    if (copied === 0) break;
    at += copied;
  }
}

const lengthOf: Reader<number> = (value) => (value === undefined ? 0 : Math.max(0, integer(value, "len")));

/** Operations on whole files, by name. */
export const CONTENT_CALLS: OperationTable = {
  readFile: freeOperation(readRequest, readWhole, { arity: 2 }),
  writeFile: freeOperation((args) => writeRequest(args, "w"), writeWhole, { arity: 3 }),
  appendFile: freeOperation((args) => writeRequest(args, "a"), writeWhole, { arity: 3 }),
  truncate: operation([pathOrNumber, lengthOf], truncate),
  copyFile: operation([pathNamed("src"), pathNamed("dest"), bits], copyFile),
};
