/**
 * What comes out of compressed data that refer back to themselves: the last bytes are at hand, the others are handed on in pieces.
 */
import type { Unpacked } from "./compression.ts";
import { ArchiveFault } from "./fault.ts";

/** Bytes that are handed on at once. */
const PIECE = 2 ** 18;

export class Sink {
  /** Bytes that came out since the last `begin`. */
  total = 0;
  readonly #unpacked: Unpacked;
  readonly #window: number;
  readonly #onPiece: ((piece: Uint8Array) => void) | undefined;
  #room: Uint8Array;
  #filled = 0;
  #handed = 0;

  /** @param window - how far data may refer back @param onPiece - hears of each piece before it is handed on */
  constructor(unpacked: Unpacked, window: number, onPiece?: (piece: Uint8Array) => void) {
    this.#unpacked = unpacked;
    this.#window = window;
    this.#onPiece = onPiece;
    this.#room = new Uint8Array(Math.min(window, PIECE) + PIECE);
  }

  put(byte: number): void {
    if (this.#filled === this.#room.length) this.#makeRoom();
    this.#room[this.#filled++] = byte;
    this.total += 1;
  }

  putAll(raw: Uint8Array): void {
    for (const byte of raw) this.put(byte);
  }

  /** The byte so far back: 1 is the last one. */
  back(distance: number): number {
    return this.#room[this.#filled - distance] ?? 0;
  }

  /** Puts again what came out `distance` bytes ago. @throws ArchiveFault for what never came out */
  repeat(distance: number, length: number): void {
    if (distance > this.#filled || distance > this.total || distance > this.#window)
      throw new ArchiveFault("E_COMPRESSION", "the compressed data refer to what is not there");
    for (let left = length; left > 0; left--) this.put(this.back(distance));
  }

  /** Hands on what is left: nothing behind it refers to what stands before. */
  end(): void {
    this.#handOn();
    this.#filled = 0;
    this.#handed = 0;
    this.total = 0;
  }

  #handOn(): void {
    if (this.#filled === this.#handed) return;
    const piece = this.#room.slice(this.#handed, this.#filled);
    this.#onPiece?.(piece);
    this.#unpacked.add(piece);
    this.#handed = this.#filled;
  }

  #makeRoom(): void {
    this.#handOn();
    const kept = Math.min(this.#filled, this.#window);
    if (kept + PIECE > this.#room.length) {
      const larger = new Uint8Array(Math.min(this.#window, 2 * kept) + PIECE);
      larger.set(this.#room.subarray(this.#filled - kept, this.#filled));
      this.#room = larger;
    } else this.#room.copyWithin(0, this.#filled - kept, this.#filled);
    this.#filled = kept;
    this.#handed = kept;
  }
}
