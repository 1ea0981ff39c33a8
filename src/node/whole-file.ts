/**
 * Files of results that are there whole or not at all: written beside their place, and put there when the last byte is.
 *
 * Interface: errors of the machine are thrown, and leave neither a new file nor a changed old one. What is no file, such as /dev/stdout or a pipe,
 * is written as it is.
 */
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";

/** A file being written. */
export class WholeFile {
  readonly #path: string;
  readonly #written: string;
  readonly #fd: number;

  constructor(path: string) {
    const there = statSync(path, { throwIfNoEntry: false });
    this.#path = path;
    this.#written = there === undefined || there.isFile() ? `${path}.part` : path;
    this.#fd = openSync(this.#written, "w");
  }

  write(text: string): void {
    const raw = Buffer.from(text);
    try {
      for (let at = 0; at < raw.length; ) at += writeSync(this.#fd, raw, at);
    } catch (error) {
      closeSync(this.#fd);
      if (this.#written !== this.#path) rmSync(this.#written, { force: true });
      throw error;
    }
  }

  close(): void {
    closeSync(this.#fd);
    if (this.#written !== this.#path) renameSync(this.#written, this.#path);
  }
}
