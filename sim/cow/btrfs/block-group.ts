/**
 * One chunk of a btrfs: a range of logical addresses with the free space in it, and where its copies lie on the device
 * (fs/btrfs/block-group.c, free-space-cache.c: find_free_space; Linux 6.18).
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { emptyRange, type Range } from "../../core/interval-leaf.ts";
import { IntervalMap } from "../../core/intervals.ts";
import type { ChunkType } from "./items.ts";

/** What a data chunk was first used for: extents below 128 KiB, below 8 MiB, or larger; a chunk keeps to its class while there is another way (from 6.3). */
export type SizeClass = "none" | "small" | "medium" | "large";

/** Searches look at so many free ranges for the largest, and no further. */
const RANGES_LOOKED_AT = 256;

/** What the tree says of a group beside its free ranges (struct btrfs_free_space_info). */
export interface FreeSpaceInfo {
  /** How many free ranges there are. */
  readonly ranges: number;
  readonly usesBitmaps: boolean;
}

/** A part of a group in the free space tree: of each sector whether it is free. */
export interface Bitmap {
  /** A bit a sector, set where it is free, 32 a number: a plain array, whose copy is one block of memory. */
  readonly words: number[];
  /** When it was made (BtrfsState.unwritten): until nodes are written no block of the device has it, and it is changed in place. */
  readonly made: object;
}

/** What is remembered of the free space tree: of the whole group, and its bitmaps by number. What is missing is to be looked for there. */
interface FreeSpace {
  info: FreeSpaceInfo | undefined;
  bitmaps: (Bitmap | undefined)[];
}

export class BlockGroup {
  readonly start: number;
  readonly length: number;
  readonly type: ChunkType;
  /** Device offsets of its copies. */
  readonly stripes: readonly number[];
  /** Bytes of extents. */
  used = 0;
  /** Bytes of nodes of log trees. */
  reserved = 0;
  /** Bytes that copies of the superblock keep (bytes_super). */
  excluded = 0;
  sizeClass: SizeClass = "none";
  /** What a commit last wrote of `used`. */
  written = 0;
  readonly freeSpace: FreeSpace = { info: undefined, bitmaps: [] };
  #free: IntervalMap<true> = new IntervalMap<true>(undefined, () => true);
  /**
   * Of what is free, what nodes are taken from: all that was free when nothing was left of the cluster before (btrfs_find_space_cluster). What becomes free
   * meanwhile waits for the next cluster, so that new nodes lie behind each other.
   */
  #cluster: IntervalMap<true> = new IntervalMap<true>(undefined, () => true);
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
    return this.#free.covered + this.#cluster.covered;
  }

  /** Takes a range that must be free, without counting it as used: what the superblock needs. */
  exclude(start: number, length: number): void {
    this.#free.delete(start, start + length);
    this.excluded += length;
  }

  /** Takes a range that must be free. */
  take(start: number, length: number): void {
    const range = this.#free.find(start);
    if (range === undefined || range.end < start + length)
      throw new InvariantError(`${length} bytes at ${start} are not free in their block group`);
    this.#free.delete(start, start + length);
    this.used += length;
  }

  /** An extent has gone: its bytes are not used any more, but not free before `give`. */
  discount(length: number): void {
    this.used -= length;
    if (this.used < 0) throw new InvariantError(`block group ${this.start} has more freed than used`);
    if (this.used === 0) this.sizeClass = "none";
  }

  /** What was taken is a log tree's: no extent. */
  reserve(length: number): void {
    this.used -= length;
    this.reserved += length;
  }

  give(start: number, length: number): void {
    if (start < this.start || start + length > this.end)
      throw new InvariantError(`${start} belongs to another block group than ${this.start}`);
    for (const free of [this.#free, this.#cluster])
      if (free.next(start, this.#range) && this.#range.start < start + length)
        throw new InvariantError(`${start} is free already`);
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

  /** Takes `length` bytes for a node: of a system chunk where most are free, else of the cluster. @returns where they are; undefined where nothing is free. */
  takeNode(length: number): number | undefined {
    if (this.type === "system") {
      const start = this.find(length);
      if (start !== undefined) this.take(start, length);
      return start;
    }
    const range = this.#range;
    if (!this.#cluster.next(this.start, range)) {
      [this.#free, this.#cluster] = [this.#cluster, this.#free];
      if (!this.#cluster.next(this.start, range)) return undefined;
    }
    const { start } = range;
    if (range.end - start < length) throw new InvariantError(`what nodes are taken from has no room for a node at ${start}`);
    this.#cluster.delete(start, start + length);
    this.used += length;
    return start;
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
    this.#cluster.check();
    assert(this.used + this.reserved + this.freeBytes <= this.length, `block group ${this.start} holds no more than it has`);
  }
}
