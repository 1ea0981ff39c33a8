/**
 * fs.Dir: an open directory. Its entries are those of the moment when it was opened, in the filesystem's own order, as of a directory that
 * fits one getdents(2).
 */
import { codedError, typeError } from "./errors.ts";
import type { Dirent } from "./stats.ts";

type Callback<T> = (error: Error | null, value?: T) => void;

export class Dir {
  readonly path: string;
  readonly #entries: readonly Dirent[];
  #next = 0;
  #closed = false;

  constructor(path: string, entries: readonly Dirent[]) {
    this.path = path;
    this.#entries = entries;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw codedError("ERR_DIR_CLOSED", "Directory handle was closed");
  }

  readSync(): Dirent | null {
    this.#mustBeOpen();
    return this.#entries[this.#next++] ?? null;
  }

  read(callback?: Callback<Dirent | null>): Promise<Dirent | null> | undefined {
    return settle(() => this.readSync(), callback);
  }

  closeSync(): void {
    this.#mustBeOpen();
    this.#closed = true;
  }

  close(callback?: Callback<void>): Promise<void> | undefined {
    return settle(() => this.closeSync(), callback);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Dirent, void> {
    try {
      for (let entry = await this.read(); entry !== null && entry !== undefined; entry = await this.read()) yield entry;
    } finally {
      if (!this.#closed) await this.close();
    }
  }

  entries(): AsyncGenerator<Dirent, void> {
    return this[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.close();
  }
}

/** Calls back, or gives a promise where there is no callback. */
function settle<T>(act: () => T, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (callback === undefined) return new Promise<T>((resolve) => setImmediate(() => resolve(undefined as T))).then(act);
  if (typeof callback !== "function") throw typeError("callback", "of type function", callback);
  setImmediate(() => {
    let value: T;
    try {
      value = act();
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback(null, value);
  });
  return undefined;
}
