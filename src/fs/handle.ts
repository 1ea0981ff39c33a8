/**
 * FileHandle, as fs.promises.open gives it. Its methods are the operations on open files and on whole ones, with its descriptor in front.
 */
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { ReadableStream, type ReadableStreamController, type ReadableStreamDefaultController } from "node:stream/web";
import { abortError, codedError } from "./errors.ts";
import { options as readOptions } from "./readers.ts";

/** What a handle asks of the object that opened it. */
export interface HandleParts {
  /** The promise form of an operation, by its name. */
  readonly perform: (name: string, args: readonly unknown[]) => Promise<unknown>;
  /** A stream over the descriptor that ends by closing the handle. */
  readonly readStream: (handle: FileHandle, options: object) => Readable;
  readonly writeStream: (handle: FileHandle, options: object) => Writable;
}

type Pieces = AsyncIterable<unknown> | Iterable<unknown>;

/** Whether data is to be written piece by piece: a stream or any other iteration, but no text and no view. */
export function isPieces(data: unknown): data is Pieces {
  if (typeof data !== "object" || data === null || ArrayBuffer.isView(data)) return false;
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** What a stream of the web's kind is read by, in bytes. */
const WEB_CHUNK = 65_536;

function closedError(syscall: string): Error {
  return Object.assign(new Error("file closed"), { code: "EBADF", syscall });
}

export class FileHandle {
  /** The descriptor; -1 once it is closed. */
  fd: number;
  readonly #parts: HandleParts;
  readonly #events = new EventEmitter();
  #isLocked = false;

  constructor(fd: number, parts: HandleParts) {
    this.fd = fd;
    this.#parts = parts;
  }

  async #perform(name: string, ...args: readonly unknown[]): Promise<unknown> {
    if (this.fd < 0) throw closedError(name);
    return this.#parts.perform(name, [this.fd, ...args]);
  }

  appendFile(data: unknown, options?: unknown): Promise<unknown> {
    return this.#perform("appendFile", data, options);
  }
  chmod(mode: unknown): Promise<unknown> {
    return this.#perform("fchmod", mode);
  }
  chown(uid: unknown, gid: unknown): Promise<unknown> {
    return this.#perform("fchown", uid, gid);
  }
  datasync(): Promise<unknown> {
    return this.#perform("fdatasync");
  }
  /** An operation whose result is an object of parts, which has no prototype here. */
  async #transfer(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return Object.assign(Object.create(null), await this.#perform(name, ...args));
  }
  /** read(buffer, offset, length, position), (buffer, options), (options). */
  read(...args: readonly unknown[]): Promise<unknown> {
    // fs.read takes no offset alone.
    const [buffer, offset] = args;
    return typeof offset === "number" && args.length === 2
      ? this.#transfer("read", buffer, offset, undefined, undefined)
      : this.#transfer("read", ...args);
  }
  readFile(options?: unknown): Promise<unknown> {
    return this.#perform("readFile", options);
  }
  readv(buffers: unknown, position?: unknown): Promise<unknown> {
    return this.#transfer("readv", buffers, position);
  }
  stat(options?: unknown): Promise<unknown> {
    return this.#perform("fstat", options);
  }
  sync(): Promise<unknown> {
    return this.#perform("fsync");
  }
  truncate(length = 0): Promise<unknown> {
    return this.#perform("ftruncate", length);
  }
  utimes(atime: unknown, mtime: unknown): Promise<unknown> {
    return this.#perform("futimes", atime, mtime);
  }
  write(...args: readonly unknown[]): Promise<unknown> {
    return this.#transfer("write", ...args);
  }
  /** @param data - also a stream or another iteration: each piece is written behind the last one. */
  async writeFile(data: unknown, options?: unknown): Promise<unknown> {
    if (!isPieces(data)) return this.#perform("writeFile", data, options);
    const { encoding, signal } = readOptions(options) as { encoding?: BufferEncoding; signal?: AbortSignal };
    const goOn = (): void => {
      if (signal?.aborted === true) throw abortError(signal);
    };
    goOn();
    for await (const piece of data) {
      goOn();
      await this.appendFile(ArrayBuffer.isView(piece) ? piece : Buffer.from(piece as string, encoding ?? "utf8"));
      goOn();
    }
    return undefined;
  }
  writev(buffers: unknown, position?: unknown): Promise<unknown> {
    return this.#transfer("writev", buffers, position);
  }

  async close(): Promise<void> {
    if (this.fd < 0) return;
    const { fd } = this;
    this.fd = -1;
    await this.#parts.perform("close", [fd]);
    this.#events.emit("close");
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  createReadStream(options: object = {}): Readable {
    return this.#parts.readStream(this, options);
  }
  createWriteStream(options: object = {}): Writable {
    return this.#parts.writeStream(this, options);
  }
  /** The file from its position on as a stream of the web's kind; its end leaves the handle open. It can be had once. */
  readableWebStream(options: { readonly type?: string | undefined } = {}): ReadableStream {
    if (this.fd < 0) throw codedError("ERR_INVALID_STATE", "Invalid state: The FileHandle is closed");
    if (this.#isLocked) throw codedError("ERR_INVALID_STATE", "Invalid state: The FileHandle is locked");
    this.#isLocked = true;
    const pull = async (controller: ReadableStreamController<unknown>): Promise<void> => {
      const raw = new Uint8Array(WEB_CHUNK);
      const { bytesRead } = (await this.read(raw, 0, raw.length, null)) as { bytesRead: number };
      if (bytesRead === 0) controller.close();
      else
        (controller as ReadableStreamDefaultController).enqueue(
          options.type === "bytes" ? raw.subarray(0, bytesRead) : raw.buffer.slice(0, bytesRead),
        );
    };
    return options.type === "bytes" ? new ReadableStream({ type: "bytes", pull }) : new ReadableStream({ pull });
  }
  readLines(options: object = {}): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Number.POSITIVE_INFINITY });
  }

  on(event: string, listener: (...args: unknown[]) => void): this {
    this.#events.on(event, listener);
    return this;
  }
  once(event: string, listener: (...args: unknown[]) => void): this {
    this.#events.once(event, listener);
    return this;
  }
  off(event: string, listener: (...args: unknown[]) => void): this {
    this.#events.off(event, listener);
    return this;
  }
}
