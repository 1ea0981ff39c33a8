/**
 * createReadStream and createWriteStream: Node's own streams over files, which take the calls that they make as an option.
 */
import { ReadStream, WriteStream } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { FileHandle } from "./handle.ts";
import { options as readOptions } from "./readers.ts";

type Call = (...args: never[]) => unknown;

/** The callback forms that Node's streams call. */
export interface StreamCalls {
  readonly open: Call;
  readonly close: Call;
  readonly read: Call;
  readonly write: Call;
  readonly writev: Call;
  readonly fsync: Call;
}

type Options = Readonly<Record<string, unknown>>;

function withCalls(given: unknown, calls: StreamCalls): object {
  const options: Options = readOptions(given);
  return options["fs"] === undefined ? { ...options, fs: calls } : options;
}

// Their constructors' types know neither the `fs` of an option nor that they may be called so.
type Maker = new (path: unknown, options: object) => Readable & Writable;
const Reading = ReadStream as unknown as Maker;
const Writing = WriteStream as unknown as Maker;

export interface StreamMakers {
  readonly read: (path: unknown, options?: unknown) => Readable;
  readonly write: (path: unknown, options?: unknown) => Writable;
  /** Over the descriptor of a handle, which the stream's end closes. */
  readonly readHandle: (handle: FileHandle, options: object) => Readable;
  readonly writeHandle: (handle: FileHandle, options: object) => Writable;
}

export function streamMakers(calls: StreamCalls): StreamMakers {
  const ofHandle = (handle: FileHandle, options: object): object => {
    const close = (_fd: number, callback: (error: Error | null) => void): void => {
      handle.close().then(() => callback(null), callback);
    };
    return { ...options, fd: handle.fd, fs: { ...calls, close } };
  };
  return {
    read: (path, options) => new Reading(path, fileOf(options, calls)),
    write: (path, options) => new Writing(path, fileOf(options, calls)),
    readHandle: (handle, options) => new Reading("", ofHandle(handle, options)),
    writeHandle: (handle, options) => new Writing("", ofHandle(handle, options)),
  };

  function fileOf(given: unknown, own: StreamCalls): object {
    const options = withCalls(given, own) as Options;
    const { fd } = options;
    if (typeof fd !== "object" || fd === null) return options;
    return { ...options, ...ofHandle(fd as FileHandle, options) };
  }
}

/**
 * fs.ReadStream or fs.WriteStream: what it makes is Node's. It may be called with or without `new`, and on an object of a class derived from it in
 * the old way, as graceful-fs does.
 */
export function streamClass(calls: StreamCalls, kind: "read" | "write"): unknown {
  const native = kind === "read" ? Reading : Writing;
  function FileStream(this: unknown, path: unknown, given?: unknown): object {
    const options = withCalls(given, calls);
    if (!(this instanceof native)) return new native(path, options);
    Reflect.apply(native, this, [path, options]);
    return this;
  }
  FileStream.prototype = native.prototype;
  return FileStream;
}
