/**
 * How often each block was met on a walk through metadata. Blocks lie close to each other, so that the counts of 1024 in a row are one array.
 */

const CHUNK_BLOCKS = 1024;
const NOTHING_FOUND: Uint32Array = new Uint32Array(CHUNK_BLOCKS);

export class FoundCounts {
  /** How many different blocks were met. */
  size = 0;
  readonly #chunks = new Map<number, Uint32Array>();
  /** The chunk that was asked for last, and which one it is. */
  #last: Uint32Array = NOTHING_FOUND;
  #lastIndex = -1;

  /** Counts a block. @param block - any number that a damaged image may name, below 2^53. */
  add(block: number, times = 1): void {
    const at = block % CHUNK_BLOCKS;
    const counts = this.#chunkOf((block - at) / CHUNK_BLOCKS, true);
    if (counts[at] === 0) this.size += 1;
    counts[at] = (counts[at] as number) + times;
  }

  /** Counts each block of [begin, end). */
  addRun(begin: number, end: number): void {
    for (let block = begin; block < end; ) {
      const from = block % CHUNK_BLOCKS;
      const counts = this.#chunkOf((block - from) / CHUNK_BLOCKS, true);
      const to = Math.min(CHUNK_BLOCKS, from + end - block);
      for (let at = from; at < to; at++) {
        if (counts[at] === 0) this.size += 1;
        counts[at] = (counts[at] as number) + 1;
      }
      block += to - from;
    }
  }

  /**
   * Tells each block that was met, and by the other how often otherwise, by chunks in the order in which they were first met.
   * @returns how many blocks both met.
   */
  compare(other: FoundCounts, tell: (block: number, count: number, others: number) => void): number {
    let met = 0;
    for (const [index, counts] of this.#chunks) {
      const others = other.#chunks.get(index) ?? NOTHING_FOUND;
      for (let at = 0; at < CHUNK_BLOCKS; at++) {
        const count = counts[at] as number;
        const there = others[at] as number;
        if (count === 0) continue;
        if (there !== 0) met += 1;
        if (there !== count) tell(index * CHUNK_BLOCKS + at, count, there);
      }
    }
    return met;
  }

  /** How often a block was met. */
  of(block: number): number {
    const at = block % CHUNK_BLOCKS;
    return this.#chunkOf((block - at) / CHUNK_BLOCKS, false)[at] as number;
  }

  #chunkOf(index: number, isKept: boolean): Uint32Array {
    if (index === this.#lastIndex) return this.#last;
    const known = this.#chunks.get(index);
    if (known === undefined && !isKept) return NOTHING_FOUND;
    this.#last = known ?? new Uint32Array(CHUNK_BLOCKS);
    this.#lastIndex = index;
    if (known === undefined) this.#chunks.set(index, this.#last);
    return this.#last;
  }

  /** Every block that was met, by chunks in the order in which they were first met. */
  *[Symbol.iterator](): Generator<readonly [block: number, count: number]> {
    for (const [index, counts] of this.#chunks)
      for (const [at, count] of counts.entries()) if (count > 0) yield [index * CHUNK_BLOCKS + at, count];
  }
}
