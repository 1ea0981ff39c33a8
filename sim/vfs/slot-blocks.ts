/**
 * The memory of many small hash tables in one array: a block of slots for each, with open addressing, of 2, 4, 8 … slots; from 1,024 on also of half as
 * many more: 1,536, 2,048, 3,072 … A table that outgrows its block takes the next larger one, and the old one serves another table.
 *
 * Interface: a block is told by where it begins and how many slots it has. One that is taken is all zeros. The first two slots are of no block: who
 * looks for something in them finds nothing.
 */
import { roomFor } from "../core/growth.ts";

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

/** The sizes of blocks by number, in their order: 1, 1.5, 2, 3, 4 … */
function sizeNumber(slots: number): number {
  return 2 * (31 - Math.clz32(slots)) + (isPowerOfTwo(slots) ? 0 : 1);
}
function slotsOf(size: number): number {
  return (2 + (size & 1)) * 2 ** ((size >>> 1) - 1);
}
const SIZES = 64;

export class SlotBlocks {
  /** All blocks' words: another array whenever it has grown. */
  words: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_WORDS);
  readonly #slotWords: number;
  /** Where the part begins that was never used. */
  #fresh: number;
  /** By size: the first of the blocks that no table has any more, each with the next one in its first word; 0: none. */
  readonly #free = new Uint32Array(SIZES);

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
    const free = this.#free;
    let size = sizeNumber(slots);
    while (size < SIZES && free[size] === 0) size++;
    const end = slots * this.#slotWords;
    if (size === SIZES) {
      const start = this.#fresh;
      this.#fresh = start + end;
      if (this.#fresh > this.words.length) this.#grow();
      return start;
    }
    const start = free[size] as number;
    free[size] = this.words[start] as number;
    this.#giveRest(start, slotsOf(size), slots);
    this.words.fill(0, start, start + end);
    return start;
  }

  /** Gives back what is behind the first `kept` slots of a block: piece by piece, each of which is a block. */
  #giveRest(start: number, slots: number, kept: number): void {
    for (let left = slots; left > kept; ) {
      // Of three quarters, two; of a whole one three quarters where they are asked for, else a half.
      const first = !isPowerOfTwo(left) ? (left / 3) * 2 : Math.max(kept, left / 2);
      this.give(start + first * this.#slotWords, left - first);
      left = first;
    }
  }

  /** Gives back the block that begins at `start`. */
  give(start: number, slots: number): void {
    const size = sizeNumber(slots);
    this.words[start] = this.#free[size] as number;
    this.#free[size] = start;
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
