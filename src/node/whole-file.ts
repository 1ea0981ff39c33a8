/**
 * Files of results that are there whole or not at all: written beside their place, and put there when the last byte is.
 *
 * Interface: errors of the machine are thrown, and leave neither a new file nor a changed old one. What is no file, such as /dev/stdout or a pipe,
 * is written as it is. A process that is ended meanwhile leaves FILE.part.
 */
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { onFile } from "./input-error.ts";

/** A file being written. */
export class WholeFile {
  readonly #path: string;
  readonly #written: string;
  readonly #fd: number;
  #isOpen = true;

  constructor(path: string) {
    const there = statSync(path, { throwIfNoEntry: false });
    this.#path = path;
    this.#written = there === undefined || there.isFile() ? `${path}.part` : path;
    this.#fd = openSync(this.#written, "w");
  }

  write(piece: string | Uint8Array): void {
    const raw = typeof piece === "string" ? Buffer.from(piece) : piece;
    try {
      for (let at = 0; at < raw.length; ) at += writeSync(this.#fd, raw, at);
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  close(): void {
    this.#end();
    if (this.#written === this.#path) return;
    try {
      renameSync(this.#written, this.#path);
    } catch (error) {
      rmSync(this.#written, { force: true });
      throw error;
    }
  }

  /** Ends without the file: what there was stays. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#end();
    if (this.#written !== this.#path) rmSync(this.#written, { force: true });
  }

  #end(): void {
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}

/** Writes a file from its pieces. @throws InputError that names it where the machine refuses */
export function writeWhole(path: string, pieces: Iterable<string | Uint8Array>): void {
  onFile(path, () => {
    const file = new WholeFile(path);
    try {
      for (const piece of pieces) file.write(piece);
    } catch (error) {
      file.abandon();
      throw error;
    }
    file.close();
  });
}
