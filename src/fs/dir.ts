/**
 * fs.Dir: an open directory. Its entries are those of the moment when it was opened, in the filesystem's own order, as of a directory that
 * fits one getdents(2). With `recursive`, what is in a directory comes behind everything that is waiting, and is read when that directory is given
 * (Node 20 lib/internal/fs/dir.js).
 */
import { codedError, typeError } from "./errors.ts";
import type { Dirent } from "./stats.ts";

type Callback<T> = (error: Error | null, value?: T) => void;

export class Dir {
  readonly path: string;
  readonly #entries: Dirent[];
  readonly #below: ((directory: Dirent) => Dirent[]) | undefined;
  #next = 0;
  #closed = false;

  /** @param below - reads a directory that was found; none: only this one is told */
  constructor(path: string, entries: Dirent[], below?: (directory: Dirent) => Dirent[]) {
    this.path = path;
    this.#entries = entries;
    this.#below = below;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw codedError("ERR_DIR_CLOSED", "Directory handle was closed");
  }

  readSync(): Dirent | null {
    this.#mustBeOpen();
    const entry = this.#entries[this.#next++];
    if (entry === undefined) return null;
    if (this.#below !== undefined && entry.isDirectory()) this.#entries.push(...this.#below(entry));
    return entry;
  }

  /** A directory that is closed is refused at once, whatever the form. */
  read(callback?: Callback<Dirent | null>): Promise<Dirent | null> | undefined {
    this.#mustBeOpen();
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
