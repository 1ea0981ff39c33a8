/**
 * FileHandle, as fs.promises.open gives it. Its methods are the operations on open files and on whole ones, with its descriptor in front.
 */
import { EventEmitter } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** What a handle asks of the object that opened it. */
export interface HandleParts {
  /** The promise form of an operation, by its name. */
  readonly perform: (name: string, args: readonly unknown[]) => Promise<unknown>;
  /** A stream over the descriptor that ends by closing the handle. */
  readonly readStream: (handle: FileHandle, options: object) => Readable;
  readonly writeStream: (handle: FileHandle, options: object) => Writable;
}

function closedError(syscall: string): Error {
  return Object.assign(new Error("file closed"), { code: "EBADF", syscall });
}

export class FileHandle {
  /** The descriptor; -1 once it is closed. */
  fd: number;
  readonly #parts: HandleParts;
  readonly #events = new EventEmitter();

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
  read(...args: readonly unknown[]): Promise<unknown> {
    return this.#perform("read", ...args);
  }
  readFile(options?: unknown): Promise<unknown> {
    return this.#perform("readFile", options);
  }
  readv(buffers: unknown, position?: unknown): Promise<unknown> {
    return this.#perform("readv", buffers, position);
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
    return this.#perform("write", ...args);
  }
  writeFile(data: unknown, options?: unknown): Promise<unknown> {
    return this.#perform("writeFile", data, options);
  }
  writev(buffers: unknown, position?: unknown): Promise<unknown> {
    return this.#perform("writev", buffers, position);
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
