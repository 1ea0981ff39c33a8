/**
 * A file of the real machine as a block device: metadata images for the thin tools.
 *
 * Interface: errors of the machine are thrown, as elsewhere in this room; beyond the end of the file it reads as zeros, and a discard does
 * nothing.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";
import type { BlockDevice } from "../../sim/block/device.ts";
import { Content } from "../../sim/core/content.ts";
import { ENOTSUP, type Errno } from "../../sim/core/errno.ts";
import { type Bytes, bytes } from "../../sim/core/units.ts";

export class FileDevice implements BlockDevice {
  readonly name: string;
  readonly size: Bytes;
  readonly sectorSize: Bytes = bytes(512);
  readonly #file: number;

  /** Opens a file. @throws the machine's error where that is not possible. */
  constructor(path: string, mode: "r" | "r+") {
    this.name = path;
    this.#file = openSync(path, mode);
    this.size = bytes(fstatSync(this.#file).size);
  }

  read(offset: Bytes, length: Bytes): Content {
    const raw = new Uint8Array(length);
    readSync(this.#file, raw, 0, length, offset);
    return Content.literal(raw);
  }

  write(offset: Bytes, content: Content): undefined {
    writeSync(this.#file, content.toBytes(), 0, content.length, offset);
  }

  discard(): Errno {
    return ENOTSUP;
  }

  flush(): undefined {
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}
