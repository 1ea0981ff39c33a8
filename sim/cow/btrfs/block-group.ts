/**
 * One chunk of a btrfs: a range of logical addresses with the free space in it, and where its copies lie on the device
 * (fs/btrfs/block-group.c, free-space-cache.c: find_free_space; Linux 6.18).
 */
import { assert } from "../../core/assert.ts";
import { emptyRange, type Range } from "../../core/interval-leaf.ts";
import { IntervalMap } from "../../core/intervals.ts";
import type { ChunkType } from "./items.ts";

/** What a data chunk was first used for: extents below 128 KiB, below 8 MiB, or larger; a chunk keeps to its class while there is another way (from 6.2). */
export type SizeClass = "none" | "small" | "medium" | "large";

/** Searches look at so many free ranges for the largest, and no further. */
const RANGES_LOOKED_AT = 256;

export class BlockGroup {
  readonly start: number;
  readonly length: number;
  readonly type: ChunkType;
  /** Device offsets of its copies. */
  readonly stripes: readonly number[];
  /** Bytes of extents. */
  used = 0;
  sizeClass: SizeClass = "none";
  /** What a commit last wrote of `used`. */
  written = 0;
  readonly #free: IntervalMap<true> = new IntervalMap<true>(undefined, () => true);
  readonly #range: Range<true> = emptyRange<true>();

  constructor(place: { start: number; length: number; type: ChunkType; stripes: readonly number[] }) {
    this.start = place.start;
    this.length = place.length;
    this.type = place.type;
    this.stripes = place.stripes;
    this.#free.set(place.start, place.start + place.length, true);
  }

  get end(): number {
    return this.start + this.length;
  }

  /** Bytes that an allocation can have. */
  get freeBytes(): number {
    return this.#free.covered;
  }

  /** Takes a range that must be free, without counting it as used: what the superblock needs. */
  exclude(start: number, length: number): void {
    this.#free.delete(start, start + length);
  }

  /** Takes a range that must be free. */
  take(start: number, length: number): void {
    const range = this.#free.find(start);
    assert(range !== undefined && range.end >= start + length, `${length} bytes at ${start} are free in their block group`);
    this.#free.delete(start, start + length);
    this.used += length;
  }

  /** An extent has gone: its bytes are not used any more, but not free before `give`. */
  discount(length: number): void {
    this.used -= length;
    assert(this.used >= 0, `block group ${this.start} has more freed than used`);
    if (this.used === 0) this.sizeClass = "none";
  }

  give(start: number, length: number): void {
    assert(start >= this.start && start + length <= this.end, `${start} belongs to block group ${this.start}`);
    const more = this.#free.next(start, this.#range);
    assert(!more || this.#range.start >= start + length || this.#range.end <= start, `${start} is free already`);
    this.#free.set(start, start + length, true);
  }

  /** Where `length` bytes are free: from `hint` on the first place, without a hint the largest. Undefined where there is none. */
  find(length: number, hint?: number): number | undefined {
    if (this.#free.covered < length) return undefined;
    const range = this.#range;
    if (hint !== undefined) {
      for (let more = this.#free.next(hint, range); more; more = this.#free.next(range.end, range)) {
        const from = Math.max(range.start, hint);
        if (range.end - from >= length) return from;
      }
      return undefined;
    }
    let best: number | undefined;
    let most = length - 1;
    let looked = 0;
    for (let more = this.#free.next(this.start, range); more; more = this.#free.next(range.end, range)) {
      if (range.end - range.start > most) {
        most = range.end - range.start;
        best = range.start;
      }
      looked += 1;
      if (looked >= RANGES_LOOKED_AT && best !== undefined) break;
    }
    return best;
  }

  /** Takes the first `length` bytes that are free in one piece. @returns where they are; undefined where there are none. */
  takeFirst(length: number): number | undefined {
    const range = this.#range;
    for (let more = this.#free.next(this.start, range); more; more = this.#free.next(range.end, range)) {
      const { start } = range;
      if (range.end - start < length) continue;
      this.#free.delete(start, start + length);
      this.used += length;
      return start;
    }
    return undefined;
  }

  /** The most bytes that are free in one piece, as far as a search looks. */
  get longest(): number {
    const range = this.#range;
    let most = 0;
    for (let more = this.#free.next(this.start, range); more; more = this.#free.next(range.end, range))
      most = Math.max(most, range.end - range.start);
    return most;
  }

  check(): void {
    this.#free.check();
    assert(this.used + this.#free.covered <= this.length, `block group ${this.start} holds no more than it has`);
  }
}
