/**
 * A place in an archive that moves forward, over a window, so that nothing of the archive is held.
 */
import { Content } from "../../sim/core/content.ts";
import { ArchiveFault } from "./fault.ts";
import { BLOCK } from "./tar-header.ts";

/** Who wants the bytes that pass. */
export interface CursorReading {
  /** Takes every byte of the archive in its order. */
  readonly onBytes?: (piece: Uint8Array) => void;
  /** Whether to compute each file's checksum. */
  readonly checksums?: boolean;
}

/** The window: large where every byte is wanted anyway. */
const WINDOW_ALL = 2 ** 20;
const WINDOW_HEADERS = 4096;

/** The place, and the window over it. */
export class Cursor {
  readonly #content: Content;
  readonly #onBytes: ((piece: Uint8Array) => void) | undefined;
  readonly #wantsAll: boolean;
  readonly #window: Uint8Array;
  #start = 0;
  #filled = 0;
  /** What came since the last content, where every byte passes anyway: it is not fetched a second time. */
  #kept: Uint8Array = new Uint8Array(2 * BLOCK);
  #keptLength = 0;
  at = 0;

  constructor(content: Content, reading: CursorReading) {
    this.#content = content;
    this.#onBytes = reading.onBytes;
    this.#wantsAll = reading.onBytes !== undefined || reading.checksums === true;
    this.#window = new Uint8Array(Math.min(this.#wantsAll ? WINDOW_ALL : WINDOW_HEADERS, Math.max(BLOCK, content.length)));
  }

  get left(): number {
    return this.#content.length - this.at;
  }

  /** The bytes at the cursor, at most `most` and at most to the window's end; moves behind them. Valid until the next call. */
  take(most: number): Uint8Array {
    if (this.at >= this.#start + this.#filled) this.#fill();
    const from = this.at - this.#start;
    const piece = this.#window.subarray(from, Math.min(this.#filled, from + most));
    this.at += piece.length;
    return piece;
  }

  #fill(): void {
    const end = Math.min(this.#content.length, this.at + this.#window.length);
    this.#start = this.at;
    this.#filled = end - this.at;
    this.#content.slice(this.at, end).copyTo(this.#window, 0);
    if (this.#filled > 0) this.#onBytes?.(this.#window.subarray(0, this.#filled));
  }

  /** A whole block; undefined at the archive's end. */
  block(): Uint8Array | undefined {
    if (this.left === 0) return undefined;
    const first = this.take(BLOCK);
    if (first.length === BLOCK) return this.#keep(first);
    const block = new Uint8Array(BLOCK);
    block.set(first);
    for (let have = first.length; have < BLOCK; ) {
      if (this.left === 0) throw truncated("a header");
      const piece = this.take(BLOCK - have);
      block.set(piece, have);
      have += piece.length;
    }
    return this.#keep(block);
  }

  #keep(piece: Uint8Array): Uint8Array {
    if (!this.#wantsAll) return piece;
    const end = this.#keptLength + piece.length;
    if (end > this.#kept.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.#kept.subarray(0, this.#keptLength));
      this.#kept = larger;
    }
    this.#kept.set(piece, this.#keptLength);
    this.#keptLength = end;
    return piece;
  }

  /** The bytes from `start`, the end of the last content, to the cursor. */
  since(start: number): Content {
    if (!this.#wantsAll) return this.#content.slice(start, this.at);
    const length = this.#keptLength;
    this.#keptLength = 0;
    return Content.copyOf(this.#kept, 0, length);
  }

  /** Moves over the zeros behind a content or PAX records. */
  pad(length: number): void {
    this.skip(length, (piece) => void this.#keep(piece));
  }

  /** Moves over `length` bytes. */
  skip(length: number, see?: (piece: Uint8Array) => void): void {
    if (length > this.left) throw truncated("a file");
    if (!this.#wantsAll) {
      this.at += length;
      return;
    }
    for (let left = length; left > 0; ) {
      const piece = this.take(left);
      see?.(piece);
      left -= piece.length;
    }
  }

  /** A copy of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw truncated("a long name or PAX record");
    const out = new Uint8Array(length);
    for (let have = 0; have < length; ) {
      const piece = this.take(length - have);
      out.set(piece, have);
      have += piece.length;
    }
    return this.#keep(out);
  }

  slice(start: number, end: number): Content {
    return this.#content.slice(start, end);
  }
}

export function truncated(what: string): ArchiveFault {
  return new ArchiveFault("E_TAR_TRUNCATED", `the archive ends within ${what}`);
}
