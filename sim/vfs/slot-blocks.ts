/**
 * The memory of many small hash tables in one array: a block of slots for each, with open addressing, of 2, 4, 8 … slots; from 1,024 on also of half as
 * many more: 1,536, 2,048, 3,072 … A table that outgrows its block takes the next larger one, and the old one serves another table. What large blocks
 * left becomes one where they lay side by side: a single table that grows comes back to it.
 *
 * Interface: a block is told by where it begins and how many slots it has. One that is taken is all zeros. The first two slots are of no block: who
 * looks for something in them finds nothing.
 */
import { roomFor } from "../core/growth.ts";
import { cutPair, putPair } from "../core/pairs.ts";

/** The first block that a table gets. */
export const FIRST_SLOTS = 4;

/** Spreads keys over the slots. */
const PRIME = 0x9e3779b1;
const FIRST_WORDS = 64;
/** Slots that are never filled. */
export const NOTHING_SLOTS = 2;
/** From here on blocks grow in two steps to twice their size: most of the memory is theirs. */
const LARGE_SLOTS = 1024;
/** Up to so many slots half of a hash's bits spread the keys evenly enough. */
const HALF_HASH_SLOTS: number = 2 ** 14;

/** The slot at which the search for a key begins: that share of all slots which the key's hash is of all hashes. */
export function homeOf(key: number, slots: number): number {
  const hash = Math.imul(key, PRIME);
  return slots <= HALF_HASH_SLOTS ? Math.imul(hash >>> 16, slots) >>> 16 : Math.floor((hash >>> 0) * 2 ** -32 * slots);
}

/** How many slots behind another one a slot is, around the end. */
export function stepsFrom(slot: number, to: number, slots: number): number {
  return to >= slot ? to - slot : to - slot + slots;
}

function isPowerOfTwo(slots: number): boolean {
  return (slots & (slots - 1)) === 0;
}

/** How many slots the block has that follows a full one. */
export function widerThan(slots: number): number {
  if (!isPowerOfTwo(slots)) return (slots / 3) * 4;
  return slots < LARGE_SLOTS ? slots * 2 : slots * 1.5;
}

export class SlotBlocks {
  /** All blocks' words: another array whenever it has grown. */
  words: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_WORDS);
  readonly #slotWords: number;
  /** Where the part begins that was never used. */
  #fresh: number;
  /** By the binary logarithm of their slots: the first of the small blocks that no table has any more, each with the next one in its first word; 0: none. */
  readonly #free = new Uint32Array(Math.log2(LARGE_SLOTS));
  /** What large blocks left that no table has any more: pairs of where it begins and ends, in order, none of which touch. */
  readonly #ranges: number[] = [];

  /** @param slotWords - how many words a slot has. */
  constructor(slotWords: number) {
    this.#slotWords = slotWords;
    this.#fresh = NOTHING_SLOTS * slotWords;
  }

  /** In the block that begins at `start`: the place of the slot with a key in its first word, or of the empty one where it would be. No key is 0. */
  probe(start: number, slots: number, key: number): number {
    const { words } = this;
    const width = this.#slotWords;
    let slot = homeOf(key, slots);
    let place = start + slot * width;
    for (let there = words[place]; there !== key && there !== 0; there = words[place]) {
      slot = slot + 1 === slots ? 0 : slot + 1;
      place = start + slot * width;
    }
    return place;
  }

  /** A block of empty slots: one that was given back, a part of a larger one, or a new one. @returns where it begins. */
  take(slots: number): number {
    const size = slots * this.#slotWords;
    const start = (slots < LARGE_SLOTS ? this.#takeSmall(slots) : 0) || this.#cutRange(size);
    if (start === 0) return this.#takeFresh(size);
    this.words.fill(0, start, start + size);
    return start;
  }

  /** A small block that was given back, or the first part of a larger small one. @returns 0 where there is none. */
  #takeSmall(slots: number): number {
    const free = this.#free;
    let size = slots;
    while (size < LARGE_SLOTS && free[Math.log2(size)] === 0) size *= 2;
    if (size === LARGE_SLOTS) return 0;
    const start = free[Math.log2(size)] as number;
    free[Math.log2(size)] = this.words[start] as number;
    for (size /= 2; size >= slots; size /= 2) this.give(start + size * this.#slotWords, size);
    return start;
  }

  /** Takes so many words from what large blocks left. @returns 0 where it is too little. */
  #cutRange(size: number): number {
    const ranges = this.#ranges;
    for (let at = 0; at < ranges.length; at += 2) {
      const start = ranges[at] as number;
      const left = (ranges[at + 1] as number) - start - size;
      if (left < 0) continue;
      if (left === 0) cutPair(ranges, at);
      else ranges[at] = start + size;
      return start;
    }
    return 0;
  }

  /** Takes words behind all others, those included that are left there. */
  #takeFresh(size: number): number {
    const ranges = this.#ranges;
    const used = this.#fresh;
    const start = ranges.length > 0 && ranges[ranges.length - 1] === used ? (ranges[ranges.length - 2] as number) : used;
    if (start < used) cutPair(ranges, ranges.length - 2);
    this.#fresh = start + size;
    if (this.#fresh > this.words.length) this.#grow();
    this.words.fill(0, start, used);
    return start;
  }

  /** Gives back the block that begins at `start`. */
  give(start: number, slots: number): void {
    if (slots >= LARGE_SLOTS) {
      this.#giveRange(start, start + slots * this.#slotWords);
      return;
    }
    const size = Math.log2(slots);
    this.words[start] = this.#free[size] as number;
    this.#free[size] = start;
  }

  #giveRange(start: number, end: number): void {
    const ranges = this.#ranges;
    let at = 0;
    while (at < ranges.length && (ranges[at] as number) < start) at += 2;
    const joinsBefore = at > 0 && ranges[at - 1] === start;
    const joinsBehind = at < ranges.length && ranges[at] === end;
    if (joinsBefore && joinsBehind) cutPair(ranges, at - 1);
    else if (joinsBefore) ranges[at - 1] = end;
    else if (joinsBehind) ranges[at] = start;
    else putPair(ranges, at, start, end);
  }

  #grow(): void {
    const words = new Uint32Array(roomFor(this.#fresh));
    words.set(this.words);
    this.words = words;
  }

  /** Whether the slots that are of no block are as they were. */
  get isNothingEmpty(): boolean {
    return this.words.subarray(0, NOTHING_SLOTS * this.#slotWords).every((word) => word === 0);
  }
}
