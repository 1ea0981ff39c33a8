/**
 * Operations on open files.
 */
import { Buffer } from "node:buffer";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { Attributes } from "../../sim/vfs/filesystem.ts";
import { rangeError, systemError, typeError, valueError } from "./errors.ts";
import { type Kernel, setTimes } from "./kernel.ts";
import { type Form, freeOperation, type OperationTable, operation } from "./operation.ts";
import {
  bytesOf,
  fd,
  flagsNamed,
  integer,
  looseOptions,
  modeNamed,
  nativeFd,
  ownerNamed,
  path,
  secondsNamed,
  view,
  views,
} from "./readers.ts";
import { BigIntStats, Stats } from "./stats.ts";

/** How many bytes read takes at a time without a buffer given. */
const BUFFER_SIZE = 16_384;

interface Transfer {
  readonly fd: number;
  readonly buffer: unknown;
  readonly offset: number;
  readonly length: number;
  /** Bytes from the beginning of the file; undefined: where the file stands. */
  readonly position: number | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Options of read: an object, or nothing. */
function checkedRecord(value: unknown): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw typeError("options", "of type object", value);
  return value as Fields;
}

/** A position as read takes it: null and -1 mean where the file stands. */
function readPosition(value: unknown): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "bigint") {
    if (value < -(2n ** 63n) || value >= 2n ** 63n)
      throw rangeError("position", `>= ${-(2n ** 63n)} && <= ${2n ** 63n - 1n}`, value);
    return value === -1n ? undefined : Number(value);
  }
  if (typeof value !== "number") throw typeError("position", "of type bigint or integer", value);
  return integer(value, "position", -1) === -1 ? undefined : value;
}

/** A position as write takes it: what is no number from 0 on means where the file stands. */
function writePosition(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/**
 * read(fd, buffer, offset, length, position), (fd, buffer, options), (fd, options), (fd); the synchronous form must have its buffer. A length that is
 * left out among others is none in the form of a FileHandle, and 0 in the other two.
 */
function readRequest(args: readonly unknown[], form: Form): Transfer {
  const [file, second, third, fourth, fifth] = args;
  const number = fd(file);
  const hasBuffer = ArrayBuffer.isView(second) || form === "sync";
  const given = hasBuffer ? second : checkedRecord(second)["buffer"];
  const buffer = view(given === undefined && !hasBuffer ? Buffer.alloc(BUFFER_SIZE) : given);
  let [offset, length, position] = [third, fourth, fifth];
  const named = hasBuffer ? third : second;
  // In the synchronous form options of null are none, and what stands behind them counts for nothing.
  const isNamed = typeof third === "object" && (form === "sync" || (form === "promise" && third !== null));
  if (args.length <= 3 || isNamed) {
    ({ offset, length, position } = checkedRecord(named));
    length = length === undefined ? buffer.byteLength - Number(offset ?? 0) : length;
  } else if (form === "promise") length ??= buffer.byteLength - Number(offset ?? 0);
  const from = offset === undefined || offset === null ? 0 : integer(offset, "offset", 0);
  const count = Number(length) | 0;
  if (count !== 0) {
    if (buffer.byteLength === 0) throw valueError("buffer", buffer, "is empty and cannot be written");
    if (count < 0) throw rangeError("length", ">= 0", count);
    if (from + count > buffer.byteLength) throw rangeError("length", `<= ${buffer.byteLength - from}`, count);
  }
  return { fd: number, buffer, offset: from, length: count, position: count === 0 ? undefined : readPosition(position) };
}

function readInto(kernel: Kernel, request: Transfer): number {
  if (request.length === 0) return 0;
  const target = bytesOf(request.buffer as ArrayBufferView).subarray(request.offset, request.offset + request.length);
  return kernel.done(kernel.task.readInto(request.fd, target, request.position), "read");
}

/** write(fd, buffer, offset, length, position), (fd, buffer, options), (fd, text, position, encoding). */
function writeRequest(args: readonly unknown[]): Transfer {
  const [file, buffer, third, fourth, fifth] = args;
  const number = fd(file);
  if (!ArrayBuffer.isView(buffer)) return textRequest(number, buffer, third, fourth);
  let [offset, length, position] = [third, fourth, fifth];
  // Options of null are none, and what stands behind them counts for nothing.
  if (typeof third === "object") ({ offset, length, position } = (third ?? {}) as Fields);
  const size = buffer.byteLength;
  const from = offset === undefined || offset === null ? 0 : integer(offset, "offset", 0);
  const count = typeof length === "number" ? length : size - from;
  if (from > size) throw rangeError("offset", `<= ${size}`, from);
  if (count > size - from) throw rangeError("length", `<= ${size - from}`, count);
  if (count < 0) throw rangeError("length", ">= 0", count);
  integer(count, "length");
  return { fd: number, buffer, offset: from, length: count, position: writePosition(position) };
}

function textRequest(number: number, text: unknown, position: unknown, encoding: unknown): Transfer {
  if (typeof text !== "string")
    throw typeError("buffer", "of type string or an instance of Buffer, TypedArray, or DataView", text);
  const code = typeof encoding === "string" && Buffer.isEncoding(encoding) ? encoding : "utf8";
  if (code === "hex" && text.length % 2 !== 0)
    throw valueError("encoding", encoding, `is invalid for data of length ${text.length}`);
  const raw = Buffer.from(text, code);
  return { fd: number, buffer: raw, offset: 0, length: raw.length, position: writePosition(position) };
}

/** Writes part of a view; the bytes are copied, as the caller keeps his. */
export function writeBytes(kernel: Kernel, file: number, raw: Uint8Array, position?: number): number {
  const content = Content.copyOf(raw);
  const { task } = kernel;
  return kernel.done(position === undefined ? task.write(file, content) : task.pwrite(file, content, position), "write");
}

function writeFrom(kernel: Kernel, { fd: file, buffer, offset, length, position }: Transfer): number {
  return writeBytes(kernel, file, bytesOf(buffer as ArrayBufferView).subarray(offset, offset + length), position);
}

interface Vector {
  readonly fd: number;
  readonly buffers: readonly ArrayBufferView[];
  readonly position: number | undefined;
}

function vectorRequest([file, buffers, position]: readonly unknown[]): Vector {
  return { fd: fd(file), buffers: views(buffers), position: writePosition(position) };
}

/** readv(2) and writev(2): one buffer after the other, until one is not filled or written. */
function transferAll(request: Vector, one: (raw: Uint8Array, position: number | undefined) => number): number {
  let sum = 0;
  for (const buffer of request.buffers) {
    const raw = bytesOf(buffer);
    const count = one(raw, request.position === undefined ? undefined : request.position + sum);
    sum += count;
    if (count < raw.length) break;
  }
  return sum;
}

function readAll(kernel: Kernel, request: Vector): number {
  // libuv refuses a vector of nothing before it asks the kernel.
  if (request.buffers.length === 0) throw systemError(EINVAL, "read");
  return transferAll(request, (raw, position) => kernel.done(kernel.task.readInto(request.fd, raw, position), "read"));
}

/** What fstat tells. */
function statOfFile(kernel: Kernel, file: number, bigint: boolean): object {
  const of = kernel.done(kernel.task.fstat(file, kernel.attributes), "fstat");
  return bigint ? new BigIntStats(of) : new Stats(of);
}

/** A length in bytes; a negative one is 0. */
function lengthOf(value: unknown): number {
  return value === undefined ? 0 : Math.max(0, integer(value, "len"));
}

/** Opens; @returns the descriptor. */
export function openPath(kernel: Kernel, name: string, flags: number, mode: number): number {
  return kernel.done(kernel.task.open(name, flags, mode), "open", name);
}

/** Closes whatever happened before. */
export function closeQuietly(kernel: Kernel, file: number): void {
  const failed = kernel.task.close(file);
  if (isErrno(failed)) return;
}

/** Operations on open files, by name. */
export const FILE_CALLS: OperationTable = {
  open: operation([path, flagsNamed(), modeNamed("mode", 0o666)], openPath),
  close: operation([nativeFd], (kernel, file) => kernel.done(kernel.task.close(file), "close")),
  read: freeOperation(readRequest, (kernel, request) => ({ bytesRead: readInto(kernel, request), buffer: request.buffer }), {
    parts: ["bytesRead", "buffer"],
  }),
  write: freeOperation(
    (args) => ({ ...writeRequest(args), given: args[1] }),
    (kernel, request) => ({ bytesWritten: writeFrom(kernel, request), buffer: request.given }),
    { parts: ["bytesWritten", "buffer"] },
  ),
  readv: freeOperation(vectorRequest, (kernel, request) => ({ bytesRead: readAll(kernel, request), buffers: request.buffers }), {
    parts: ["bytesRead", "buffers"],
    arity: 3,
  }),
  writev: freeOperation(
    vectorRequest,
    (kernel, request) => ({
      bytesWritten: transferAll(request, (raw, position) => writeBytes(kernel, request.fd, raw, position)),
      buffers: request.buffers,
    }),
    { parts: ["bytesWritten", "buffers"], arity: 3 },
  ),
  fstat: operation([nativeFd, looseOptions], (kernel, file, given) => statOfFile(kernel, file, given["bigint"] === true)),
  ftruncate: operation([nativeFd, lengthOf], (kernel, file, length) =>
    kernel.done(kernel.task.ftruncate(file, length), "ftruncate"),
  ),
  fsync: operation([nativeFd], (kernel, file) => kernel.done(kernel.task.fsync(file), "fsync")),
  fdatasync: operation([nativeFd], (kernel, file) => kernel.done(kernel.task.fdatasync(file), "fdatasync")),
  fchmod: operation([nativeFd, modeNamed("mode")], (kernel, file, mode) => kernel.done(kernel.task.fchmod(file, mode), "fchmod")),
  fchown: operation([nativeFd, ownerNamed("uid"), ownerNamed("gid")], (kernel, file, uid, gid) =>
    kernel.done(kernel.task.fchown(file, uid, gid), "fchown"),
  ),
  // By the path of what is open, which utimensat with AT_EMPTY_PATH is.
  futimes: operation([nativeFd, secondsNamed("atime"), secondsNamed("mtime")], (kernel, file, ...times) => {
    const { task, attributes } = kernel;
    const find = (): Attributes | Errno => task.fstat(file, attributes);
    kernel.done(
      setTimes(times, find, (atime, mtime) => task.futimens(file, atime, mtime)),
      "futime",
    );
  }),
};
