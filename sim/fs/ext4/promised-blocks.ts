/**
 * The blocks of one file that delayed allocation has promised, when they are more than one range (fs/ext4/extents_status.c: delayed extents).
 *
 * Interface: half-open ranges of logical blocks. They are kept in a set for each 32,768 blocks that have any: as a few runs, or as bits,
 * so that scattered writing costs a bit a block.
 */
import { type FreeBlocks, FreeRuns, fitted } from "../../block/free-runs.ts";

/** Blocks of one set. */
const SET_BLOCKS = 32_768;

export class PromisedBlocks {
  /** By number; in a set a block that is not promised is free. */
  readonly #sets = new Map<number, FreeBlocks>();
  /** No set has a greater number. */
  #last = -1;
  #covered = 0;

  /** How many blocks are promised. */
  get covered(): number {
    return this.#covered;
  }

  set(start: number, end: number): void {
    for (let block = start; block < end; ) {
      const number = Math.floor(block / SET_BLOCKS);
      const base = number * SET_BLOCKS;
      const to = Math.min(end - base, SET_BLOCKS);
      this.#promise(number, block - base, to);
      block = base + to;
    }
  }

  /** Promises [start, end) of one set. */
  #promise(number: number, start: number, end: number): void {
    const set = this.#sets.get(number) ?? this.#newSet(number);
    for (let from = set.nextFree(start); from !== undefined && from < end; ) {
      const count = Math.min(end, set.nextUsed(from)) - from;
      set.take(from, count);
      this.#covered += count;
      from = from + count < end ? set.nextFree(from + count) : undefined;
    }
    const fit = fitted(set);
    if (fit !== set) this.#sets.set(number, fit);
  }

  #newSet(number: number): FreeBlocks {
    const set = new FreeRuns(SET_BLOCKS);
    this.#sets.set(number, set);
    if (number > this.#last) this.#last = number;
    return set;
  }

  delete(start: number, end: number): void {
    const first = Math.floor(start / SET_BLOCKS);
    const last = Math.min(this.#last, Math.floor((end - 1) / SET_BLOCKS));
    for (let number = first; number <= last; number++) {
      const set = this.#sets.get(number);
      if (set === undefined) continue;
      const base = number * SET_BLOCKS;
      const to = Math.min(end - base, SET_BLOCKS);
      for (let from = set.nextUsed(Math.max(0, start - base)); from < to; ) {
        const count = Math.min(to, set.nextFree(from) ?? SET_BLOCKS) - from;
        set.free(from, count);
        this.#covered -= count;
        from = set.nextUsed(from + count);
      }
      const fit = fitted(set);
      if (set.freeCount === SET_BLOCKS) this.#sets.delete(number);
      else if (fit !== set) this.#sets.set(number, fit);
    }
  }

  has(block: number): boolean {
    const number = Math.floor(block / SET_BLOCKS);
    const set = this.#sets.get(number);
    return set !== undefined && !set.isFree(block - number * SET_BLOCKS);
  }

  /** The first block from `at` on that is not promised. */
  nextGap(at: number): number {
    for (let block = at; ; ) {
      const number = Math.floor(block / SET_BLOCKS);
      const base = number * SET_BLOCKS;
      const set = this.#sets.get(number);
      const free = set === undefined ? block - base : set.nextFree(block - base);
      if (free !== undefined) return base + free;
      block = base + SET_BLOCKS;
    }
  }

  /** The first block from `at` on that is promised; infinity when there is none. */
  nextCovered(at: number): number {
    for (let number = Math.floor(at / SET_BLOCKS); number <= this.#last; number++) {
      const base = number * SET_BLOCKS;
      const used = this.#sets.get(number)?.nextUsed(Math.max(0, at - base)) ?? SET_BLOCKS;
      if (used < SET_BLOCKS) return base + used;
    }
    return Number.POSITIVE_INFINITY;
  }
}
