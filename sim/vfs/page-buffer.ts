/**
 * The bytes of one page that is written in small pieces: an array as large as what was written, at most a page; behind `used` the
 * page is zeros.
 *
 * Interface: what is handed out as Content is never written again. Bytes behind what was handed out may still be filled in place, so that
 * appending byte by byte copies nothing but when the array doubles. What is written first, and from the page's beginning on, stays the
 * Content that was given until something else is written: most small files are written once.
 */
import { Content } from "../core/content.ts";
import { PAGE_SIZE } from "./address-space.ts";

/** The smallest array. */
const FIRST_CAPACITY = 64;

const NO_BYTES = new Uint8Array(0);

export class PageBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  /** All there is, while it was written at once: #bytes is not used then. */
  #only: Content | undefined;
  /** Bytes that are meant; those behind them are zeros, whatever the array holds. */
  #used = 0;
  /** Bytes that somebody holds as Content. */
  #shared = 0;

  constructor() {
    this.#bytes = NO_BYTES;
    this.#only = undefined;
  }

  /** A page with the bytes of `content`, which is at most a page long. */
  static of(content: Content): PageBuffer {
    const last = content.runs.at(-1);
    const zeros = last?.isZero === true ? last.length : 0;
    const used = content.slice(0, content.length - zeros);
    const buffer = new PageBuffer();
    buffer.write(0, used);
    return buffer;
  }

  /** How many bytes it may hold before what is behind them is zeros. */
  get used(): number {
    return this.#used;
  }

  /** Puts bytes at a place within the page. */
  write(at: number, content: Content): void {
    const end = at + content.length;
    if (at === 0 && this.#used === 0) {
      this.#only = content;
      this.#used = end;
      return;
    }
    if (this.#only !== undefined) this.#unfold(this.#only, end);
    if (at < this.#shared || end > this.#bytes.length) this.#renew(Math.max(end, this.#used));
    if (at > this.#used) this.#bytes.fill(0, this.#used, at);
    content.copyTo(this.#bytes, at);
    if (end > this.#used) this.#used = end;
  }

  /** Zeroes the page from a place on. */
  cut(at: number): void {
    if (at >= this.#used) return;
    if (this.#only !== undefined) this.#unfold(this.#only, this.#used);
    if (at < this.#shared) this.#renew(this.#used);
    this.#used = at;
  }

  /** The bytes of a part of the page. */
  read(from: number, to: number): Content {
    const end = Math.min(to, this.#used);
    if (end <= from) return Content.zeros(to - from);
    const known = this.#only === undefined ? this.#share(from, end) : this.#only.slice(from, end);
    return end === to ? known : Content.concat([known, Content.zeros(to - end)]);
  }

  /** The whole page as a Content that holds no more than it needs. */
  frozen(): Content {
    if (this.#only !== undefined) return this.read(0, PAGE_SIZE);
    return Content.copyOf(this.#bytes, 0, PAGE_SIZE);
  }

  #share(from: number, end: number): Content {
    if (end > this.#shared) this.#shared = end;
    return Content.literal(this.#bytes.subarray(from, end));
  }

  /** Puts the bytes that were written at once into an array with room for `length`. */
  #unfold(only: Content, length: number): void {
    this.#bytes = new Uint8Array(capacityFor(Math.max(length, only.length)));
    only.copyTo(this.#bytes, 0);
    this.#only = undefined;
    this.#shared = 0;
  }

  /** Moves to an array of its own that holds at least `length` bytes. */
  #renew(length: number): void {
    const bytes = new Uint8Array(capacityFor(length));
    bytes.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = bytes;
    this.#shared = 0;
  }
}

function capacityFor(length: number): number {
  let capacity = FIRST_CAPACITY;
  while (capacity < length) capacity *= 2;
  return Math.min(capacity, PAGE_SIZE);
}
