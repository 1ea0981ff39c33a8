/**
 * BlockBitmap: which of n blocks are free, and the free ones found fast, whatever the fill.
 *
 * One bit a block, and above the bits two summaries of several levels: a bit of `free` tells whether the word of 32 below it has a free
 * block (or a word with one), a bit of `used` whether it has a used one. The next free or used block from any place on is thus a climb
 * and a descent of at most ⌈log32 n⌉ words each: true first fit costs the same at 99 % full as on an empty device.
 *
 * Interface:
 * - A block is taken or given back once: taking a used block or freeing a free one is a bug and throws.
 * - Ranges are changed 32 blocks at a time.
 * - `longestRun` bounds what a search for contiguous blocks can find, so that a request that cannot succeed does not search twice.
 */

import { assert, InvariantError } from "../core/assert.ts";
import { lowestBit, onesIn } from "../core/bits.ts";

/** `count` blocks from `start` on. */
export interface BlockRun {
  readonly start: number;
  readonly count: number;
}

/** A mask of the bits from `from` up to but not including `to`, both within one word. */
function maskOf(from: number, to: number): number {
  return to - from === 32 ? -1 : ((1 << (to - from)) - 1) << from;
}

/** Levels of bits: bit n of a level tells whether word n of the level below differs from `blank`. */
function summaryLevels(words: number): Int32Array[] {
  const levels: Int32Array[] = [];
  let length = words;
  do {
    length = Math.ceil(length / 32);
    levels.push(new Int32Array(length));
  } while (length > 1);
  return levels;
}

export class BlockBitmap {
  /** How many blocks there are, free or not. */
  readonly size: number;
  /** Bit = 1: free. Bits behind the last block stay 0. */
  readonly #bits: Int32Array;
  readonly #free: Int32Array[];
  readonly #used: Int32Array[];
  #freeCount = 0;
  #longestRun = 0;

  /** All blocks free. @param size - from 1 to 2^32. */
  constructor(size: number) {
    assert(Number.isSafeInteger(size) && size > 0 && size <= 2 ** 32, `no bitmap of ${size} blocks`);
    this.size = size;
    this.#bits = new Int32Array(Math.ceil(size / 32));
    this.#free = summaryLevels(this.#bits.length);
    this.#used = summaryLevels(this.#bits.length);
    this.#fill(0, size, true);
    this.#freeCount = size;
    this.#longestRun = size;
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  /** No run of free blocks is longer than this; there may be none that long. */
  get longestRun(): number {
    return Math.min(this.#longestRun, this.#freeCount);
  }

  isFree(block: number): boolean {
    return (((this.#bits[block >>> 5] as number) >>> (block & 31)) & 1) === 1;
  }

  /** Whether every block of a range is free. */
  isRunFree(start: number, count: number): boolean {
    const from = start & 31;
    if (from + count > 32) return this.nextUsed(start) >= start + count;
    // Most runs lie within one word, which needs no search.
    const mask = maskOf(from, from + count);
    return ((this.#bits[start >>> 5] as number) & mask) === mask;
  }

  /** The first free block of a range of used ones; undefined: all are used, as they should be. */
  #freeWithin(start: number, count: number): number | undefined {
    const from = start & 31;
    const isOneWord = from + count <= 32;
    if (isOneWord && ((this.#bits[start >>> 5] as number) & maskOf(from, from + count)) === 0) return undefined;
    const free = this.nextFree(start);
    return free !== undefined && free < start + count ? free : undefined;
  }

  /** The first free block from `from` on; undefined when there is none. */
  nextFree(from: number): number | undefined {
    const found = this.#next(from, 0, this.#free);
    return found < 0 ? undefined : found;
  }

  /** The first used block from `from` on; `size` when there is none. */
  nextUsed(from: number): number {
    const found = this.#next(from, -1, this.#used);
    return found < 0 ? this.size : found;
  }

  /** Where the run of used blocks begins that holds a used block. O(run / 32). */
  usedStart(block: number): number {
    return this.#runStart(block, -1);
  }

  /** Takes the free block with the lowest number. @returns undefined when all are used. */
  allocateFirst(): number | undefined {
    const block = this.#next(0, 0, this.#free);
    if (block < 0) return undefined;
    this.#takeOne(block);
    return block;
  }

  /**
   * Takes contiguous blocks: from `goal` on if it is free, else from the next free block behind it, else from the first of all.
   * @param wanted - from 1 on.
   * @returns as many as are free in a row there, at most `wanted`; undefined when all are used.
   */
  allocateNear(goal: number, wanted: number): BlockRun | undefined {
    let start = goal < this.size ? this.#next(goal, 0, this.#free) : -1;
    if (start < 0) start = this.#next(0, 0, this.#free);
    if (start < 0) return undefined;
    if (wanted === 1) {
      this.#takeOne(start);
      return { start, count: 1 };
    }
    const count = Math.min(this.nextUsed(start) - start, wanted);
    this.take(start, count);
    return { start, count };
  }

  /**
   * Takes exactly `wanted` contiguous blocks: the first run long enough from `goal` on, then from the beginning. O(free runs before it).
   * @returns its first block; undefined when no run is long enough.
   */
  allocateRun(wanted: number, goal = 0): number | undefined {
    const start = this.findRun(wanted, goal);
    if (start < 0) return undefined;
    this.take(start, wanted);
    return start;
  }

  /** Where `allocateRun` would take them; -1: nowhere. */
  findRun(wanted: number, goal: number): number {
    if (wanted > this.longestRun) return -1;
    let start = this.#findRun(goal, this.size, wanted);
    if (start < 0 && goal > 0) start = this.#findRun(0, Math.min(this.size, goal + wanted - 1), wanted);
    if (start < 0) this.#longestRun = wanted - 1;
    return start;
  }

  /** Takes the blocks of a range, all of which are free. */
  take(start: number, count: number): void {
    this.#inside(start, count);
    if (!this.isRunFree(start, count)) throw new InvariantError(`block ${this.nextUsed(start)} is used already`);
    this.#fill(start, start + count, false);
    this.#freeCount -= count;
  }

  /** Gives the blocks of a range back, all of which are used. */
  free(start: number, count: number): void {
    this.#inside(start, count);
    const freed = this.#freeWithin(start, count);
    if (freed !== undefined) throw new InvariantError(`block ${freed} is free already`);
    this.#fill(start, start + count, true);
    this.#freeCount += count;
    // A bound that no run of so many free blocks can pass needs no look at the run.
    if (this.#longestRun >= this.#freeCount) return;
    const run = this.nextUsed(start) - this.#runStart(start, 0);
    if (run > this.#longestRun) this.#longestRun = run;
  }

  /** Visits the runs of free blocks in ascending order. */
  visitFree(visit: (start: number, count: number) => void): void {
    for (let start = this.nextFree(0); start !== undefined; ) {
      const end = this.nextUsed(start);
      visit(start, end - start);
      start = end < this.size ? this.nextFree(end) : undefined;
    }
  }

  /** Throws an InvariantError when count, summaries or the bound of runs do not fit the bits. O(size / 32 + free runs). */
  check(): void {
    const free = this.#checkBits();
    assert(free === this.#freeCount, `BlockBitmap: ${free} free blocks, counted ${this.#freeCount}`);
    assert(
      this.size % 32 === 0 || (this.#bits.at(-1) as number) >>> (this.size % 32) === 0,
      "BlockBitmap: a free block behind the end",
    );
    checkLevels("free", this.#free);
    checkLevels("used", this.#used);
    this.visitFree((start, count) => {
      if (count > this.longestRun)
        throw new InvariantError(`BlockBitmap: ${count} free blocks from ${start}, longest run ${this.longestRun}`);
    });
  }

  /** Throws when the lowest summaries do not fit the bits. @returns how many are free. */
  #checkBits(): number {
    const bits = this.#bits;
    let count = 0;
    for (let first = 0; first < bits.length; first += 32) {
      let free = 0;
      let used = 0;
      const words = Math.min(32, bits.length - first);
      for (let at = 0; at < words; at++) {
        const word = bits[first + at] as number;
        if (word !== 0) free |= 1 << at;
        if (word !== -1) used |= 1 << at;
        // Most words of a large device are all free or all used.
        count += word === -1 ? 32 : word === 0 ? 0 : onesIn(word);
      }
      if (this.#free[0]?.[first >>> 5] !== free) failLevel("free", words, first);
      if (this.#used[0]?.[first >>> 5] !== used) failLevel("used", words, first);
    }
    return count;
  }

  #inside(start: number, count: number): void {
    if (!(start >= 0 && count > 0 && start + count <= this.size)) {
      throw new InvariantError(`blocks ${start} + ${count} leave a bitmap of ${this.size}`);
    }
  }

  /** The first bit from `from` on that is 1 in the bits xor `blank`, found through their summary; -1 when there is none. */
  #next(from: number, blank: number, levels: readonly Int32Array[]): number {
    if (from >= this.size) return -1;
    let word = from >>> 5;
    const rest = ((this.#bits[word] as number) ^ blank) & (-1 << (from & 31));
    if (rest !== 0) return word * 32 + lowestBit(rest);
    for (let level = 0; level < levels.length; level++) {
      const at = word + 1;
      word = at >>> 5;
      const words = levels[level] as Int32Array;
      if (word >= words.length) return -1;
      const later = (words[word] as number) & (-1 << (at & 31));
      if (later === 0) continue;
      let bit = word * 32 + lowestBit(later);
      while (--level >= 0) bit = bit * 32 + lowestBit((levels[level] as Int32Array)[bit] as number);
      return bit * 32 + lowestBit((this.#bits[bit] as number) ^ blank);
    }
    return -1;
  }

  #takeOne(block: number): void {
    this.#put(block >>> 5, 1 << (block & 31), false);
    this.#freeCount -= 1;
  }

  /** The first run of `wanted` free blocks within [from, to); -1 when there is none. */
  #findRun(from: number, to: number, wanted: number): number {
    for (let start = this.#next(from, 0, this.#free); start >= 0 && start + wanted <= to; ) {
      if (this.isRunFree(start, wanted)) return start;
      start = this.#next(this.nextUsed(start), 0, this.#free);
    }
    return -1;
  }

  /** Where the run that holds `block` begins, of bits that are 1 in the bits xor `blank`. O(run / 32). */
  #runStart(block: number, blank: number): number {
    let word = block >>> 5;
    let others = ~((this.#bits[word] as number) ^ blank) & maskOf(0, (block & 31) + 1);
    while (others === 0 && word > 0) {
      word -= 1;
      others = ~((this.#bits[word] as number) ^ blank);
    }
    return others === 0 ? 0 : word * 32 + 32 - Math.clz32(others);
  }

  #fill(start: number, end: number, free: boolean): void {
    const first = start >>> 5;
    const last = Math.floor((end - 1) / 32);
    if (first === last) {
      this.#put(first, maskOf(start & 31, ((end - 1) & 31) + 1), free);
      return;
    }
    this.#put(first, maskOf(start & 31, 32), free);
    this.#put(last, maskOf(0, ((end - 1) & 31) + 1), free);
    if (first + 1 === last) return;
    this.#bits.fill(free ? -1 : 0, first + 1, last);
    this.#summarize(first + 1, last - 1);
  }

  /** Changes bits of one word; the summaries hear of it only when it became, or is no more, all free or all used. */
  #put(word: number, mask: number, free: boolean): void {
    const old = this.#bits[word] as number;
    const now = free ? old | mask : old & ~mask;
    this.#bits[word] = now;
    if ((old === 0) !== (now === 0) || (old === -1) !== (now === -1)) this.#summarize(word, word);
  }

  #summarize(first: number, last: number): void {
    summarize({ below: this.#bits, blank: 0, levels: this.#free }, first, last);
    summarize({ below: this.#bits, blank: -1, levels: this.#used }, first, last);
  }
}

/** Brings the bits of the words from `first` to `last` of the lowest level up to date in all levels above; ends where nothing changes. */
function summarize(
  summary: { below: Int32Array; blank: number; levels: readonly Int32Array[] },
  first: number,
  last: number,
): void {
  let { below, blank } = summary;
  let from = first;
  let to = last;
  for (const level of summary.levels) {
    let changed = false;
    for (let word = from; word <= to; word++) {
      const mask = 1 << (word & 31);
      const old = level[word >>> 5] as number;
      const now = below[word] === blank ? old & ~mask : old | mask;
      if (now === old) continue;
      level[word >>> 5] = now;
      changed = true;
    }
    if (!changed) return;
    below = level;
    blank = 0;
    from >>>= 5;
    to >>>= 5;
  }
}

/** Throws when a summary above the lowest does not fit the one below it. */
function checkLevels(name: string, levels: readonly Int32Array[]): void {
  for (let above = 1; above < levels.length; above++) {
    const below = levels[above - 1] as Int32Array;
    const level = levels[above] as Int32Array;
    for (let at = 0; at < level.length; at++) {
      const first = at * 32;
      const words = Math.min(32, below.length - first);
      let expected = 0;
      for (let bit = 0; bit < words; bit++) if (below[first + bit] !== 0) expected |= 1 << bit;
      if (level[at] !== expected) failLevel(name, words, first);
    }
  }
}

function failLevel(name: string, words: number, first: number): never {
  throw new InvariantError(`BlockBitmap: the summary of ${name} blocks is wrong about one of ${words} words from ${first}`);
}
