/**
 * Files of results that are there whole or not at all: written beside their place, and put there when the last byte is.
 *
 * Interface: errors of the machine are thrown, and leave neither a new file nor a changed old one. What is no file, such as /dev/stdout or a pipe,
 * is written as it is. A process that ends meanwhile, by itself or by SIGINT or SIGTERM, takes its FILE.part away; only one that is killed leaves it.
 * Node hears a signal when its thread looks up, which is between two drivers' runs: until then a Ctrl-C waits.
 */
import { closeSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { onFile } from "./input-error.ts";

/** The files that are being written. */
const unfinished = new Set<WholeFile>();
/** What ends a process and can be heard of. */
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
let hears = false;

function abandonAll(): void {
  for (const file of unfinished) file.abandon();
}

/** Ends as the signal would have ended the process, so that whoever waits for it sees why. */
function endBy(signal: NodeJS.Signals): void {
  abandonAll();
  for (const one of SIGNALS) process.off(one, endBy);
  process.kill(process.pid, signal);
}

function hearEnds(): void {
  if (hears) return;
  hears = true;
  process.on("exit", abandonAll);
  for (const signal of SIGNALS) process.on(signal, endBy);
}

/** A signal that came while nobody looked is told in the next turn of the loop: until then it is heard, or it would end nothing. */
function hearNoMore(): void {
  setImmediate(() => {
    if (!hears || unfinished.size > 0) return;
    hears = false;
    process.off("exit", abandonAll);
    for (const signal of SIGNALS) process.off(signal, endBy);
  });
}

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
    hearEnds();
    try {
      this.#fd = openSync(this.#written, "w");
    } catch (error) {
      hearNoMore();
      throw error;
    }
    unfinished.add(this);
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
    unfinished.delete(this);
    hearNoMore();
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
