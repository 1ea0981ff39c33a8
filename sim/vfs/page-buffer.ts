/**
 * The bytes of one page that is written in small pieces: an array as large as what was written, at most a page; behind `used` the
 * page is zeros.
 *
 * Interface: what is handed out as Content is never written again. Bytes behind what was handed out may still be filled in place, so that
 * appending byte by byte copies nothing but when the array doubles.
 */
import { Content } from "../core/content.ts";
import { PAGE_SIZE } from "./address-space.ts";

/** The smallest array. */
const FIRST_CAPACITY = 64;

export class PageBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  /** Bytes that are meant; those behind them are zeros, whatever the array holds. */
  #used: number;
  /** Bytes that somebody holds as Content. */
  #shared = 0;

  /** A page with the bytes of `known`, which is at most a page long, and others put at a place. */
  constructor(known: Content, at: number, bytes: Content) {
    const last = known.runs.at(-1);
    const zeros = last?.isZero === true ? last.length : 0;
    const used = known.length - zeros;
    this.#bytes = new Uint8Array(capacityFor(Math.max(used, at + bytes.length)));
    known.slice(0, used).copyTo(this.#bytes, 0);
    this.#used = used;
    this.write(at, bytes);
  }

  /** How many bytes it may hold before what is behind them is zeros. */
  get used(): number {
    return this.#used;
  }

  /** Puts bytes at a place within the page. */
  write(at: number, content: Content): void {
    const end = at + content.length;
    if (at < this.#shared || end > this.#bytes.length) this.#renew(Math.max(end, this.#used));
    if (at > this.#used) this.#bytes.fill(0, this.#used, at);
    content.copyTo(this.#bytes, at);
    if (end > this.#used) this.#used = end;
  }

  /** Zeroes the page from a place on. */
  cut(at: number): void {
    if (at >= this.#used) return;
    if (at < this.#shared) this.#renew(this.#used);
    this.#used = at;
  }

  /** The bytes of a part of the page. */
  read(from: number, to: number): Content {
    const end = Math.min(to, this.#used);
    if (end <= from) return Content.zeros(to - from);
    const known = this.#share(from, end);
    return end === to ? known : Content.concat([known, Content.zeros(to - end)]);
  }

  /** The whole page as a Content that holds no more than it needs. */
  frozen(): Content {
    return Content.copyOf(this.#bytes, 0, PAGE_SIZE);
  }

  #share(from: number, end: number): Content {
    if (end > this.#shared) this.#shared = end;
    return Content.literal(this.#bytes.subarray(from, end));
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
