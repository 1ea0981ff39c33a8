/**
 * The memory of many small hash tables in one array: a block of slots for each, with open addressing, of 2, 4, 8 … slots. A table that outgrows its
 * block takes one of twice the size, and the old one serves another table.
 *
 * Interface: how large a block is, is told by what a hash is shifted by to be an index into it: 32 less the binary logarithm of how many slots there
 * are. A block that is taken is all zeros. The first two slots are of no block: who looks for something in them finds nothing.
 */

/** What hashes are shifted by for a block of four slots, the first that a table gets. */
export const FIRST_SHIFT = 30;

/** Spreads keys over the slots. */
const PRIME = 0x9e3779b1;
const FIRST_WORDS = 64;
/** Slots that are never filled. */
const NOTHING_SLOTS = 2;

/** The slot at which the search for a key begins. */
export function homeOf(key: number, shift: number): number {
  return Math.imul(key, PRIME) >>> shift;
}

/** How many slots there are where hashes are shifted so far. */
export function slotsFor(shift: number): number {
  return (-1 >>> shift) + 1;
}

export class SlotBlocks {
  /** All blocks' words: another array whenever it has grown. */
  words: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST_WORDS);
  readonly #slotWords: number;
  /** Where the part begins that was never used. */
  #fresh: number;
  /** By shift: the first of the blocks that no table has any more, each with the next one in its first word; 0: none. */
  readonly #free = new Uint32Array(FIRST_SHIFT + 1);

  /** @param slotWords - how many words a slot has. */
  constructor(slotWords: number) {
    this.#slotWords = slotWords;
    this.#fresh = NOTHING_SLOTS * slotWords;
  }

  /** In the block that begins at `start`: the place of the slot with a key in its first word, or of the empty one where it would be. No key is 0. */
  probe(start: number, shift: number, key: number): number {
    const { words } = this;
    const width = this.#slotWords;
    const mask = -1 >>> shift;
    let slot = homeOf(key, shift);
    let place = start + slot * width;
    for (let there = words[place]; there !== key && there !== 0; there = words[place]) {
      slot = (slot + 1) & mask;
      place = start + slot * width;
    }
    return place;
  }

  /** A block of empty slots: one that was given back, half of a larger one, or a new one. @returns where it begins. */
  take(shift: number): number {
    const free = this.#free;
    let from = shift;
    while (from > 0 && free[from] === 0) from--;
    const size = slotsFor(shift) * this.#slotWords;
    if (from === 0) {
      const start = this.#fresh;
      this.#fresh = start + size;
      if (this.#fresh > this.words.length) this.#grow();
      return start;
    }
    const start = free[from] as number;
    free[from] = this.words[start] as number;
    for (; from < shift; from++) this.give(start + slotsFor(from + 1) * this.#slotWords, from + 1);
    this.words.fill(0, start, start + size);
    return start;
  }

  /** Gives back the block that begins at `start`. */
  give(start: number, shift: number): void {
    this.words[start] = this.#free[shift] as number;
    this.#free[shift] = start;
  }

  #grow(): void {
    const words = new Uint32Array(Math.ceil(this.#fresh * 1.5));
    words.set(this.words);
    this.words = words;
  }

  /** Whether the slots that are of no block are as they were. */
  get isNothingEmpty(): boolean {
    return this.words.subarray(0, NOTHING_SLOTS * this.#slotWords).every((word) => word === 0);
  }
}
