/**
 * The promised blocks of a file that have more than one range: a set for each 32,768 blocks that have any, which is a few runs, or a bitmap.
 *
 * Interface: as PromisedBlocks (promised-blocks.ts), whose business it is when a file has such sets.
 */
import { type FreeBlocks, FreeRuns, fitted } from "../block/free-runs.ts";

/** Blocks of one set. */
const SET_BLOCKS = 32_768;

export class PromisedSets {
  /** By number; in a set a block that is not promised is free. */
  readonly #sets = new Map<number, FreeBlocks>();
  /** The greatest number of a set. */
  #last = -1;
  /** How many blocks are promised. */
  covered = 0;

  /** Adds [start, end), of which a part may be promised. */
  add(start: number, end: number): void {
    const sets = this.#sets;
    for (let block = start; block < end; ) {
      const number = Math.floor(block / SET_BLOCKS);
      const base = number * SET_BLOCKS;
      const to = Math.min(end - base, SET_BLOCKS);
      let set = sets.get(number);
      if (set === undefined) {
        set = new FreeRuns(SET_BLOCKS);
        sets.set(number, set);
        this.#last = Math.max(this.#last, number);
      }
      const isOne = to === block - base + 1;
      let from = isOne ? (set.isFree(block - base) ? block - base : undefined) : set.nextFree(block - base);
      while (from !== undefined && from < to) {
        const count = isOne ? 1 : Math.min(to, set.nextUsed(from)) - from;
        set.take(from, count);
        this.covered += count;
        from = from + count < to ? set.nextFree(from + count) : undefined;
      }
      const fit = fitted(set);
      if (fit !== set) sets.set(number, fit);
      block = base + to;
    }
  }

  /** Takes what is promised of [start, end) out. */
  delete(start: number, end: number): void {
    const sets = this.#sets;
    const first = Math.floor(start / SET_BLOCKS);
    const last = Math.min(this.#last, Math.floor((end - 1) / SET_BLOCKS));
    for (let number = first; number <= last; number++) {
      const set = sets.get(number);
      if (set === undefined) continue;
      const base = number * SET_BLOCKS;
      const to = Math.min(end - base, SET_BLOCKS);
      for (let from = set.nextUsed(Math.max(0, start - base)); from < to; ) {
        const count = Math.min(to, set.nextFree(from) ?? SET_BLOCKS) - from;
        set.free(from, count);
        this.covered -= count;
        from = set.nextUsed(from + count);
      }
      const fit = fitted(set);
      if (set.freeCount === SET_BLOCKS) sets.delete(number);
      else if (fit !== set) sets.set(number, fit);
    }
  }

  has(block: number): boolean {
    const number = Math.floor(block / SET_BLOCKS);
    const set = this.#sets.get(number);
    return set !== undefined && !set.isFree(block - number * SET_BLOCKS);
  }

  startOf(block: number): number {
    let number = Math.floor(block / SET_BLOCKS);
    let start = this.#sets.get(number)?.usedStart(block - number * SET_BLOCKS) ?? 0;
    while (start === 0 && number > 0 && this.has(number * SET_BLOCKS - 1)) {
      number -= 1;
      start = this.#sets.get(number)?.usedStart(SET_BLOCKS - 1) ?? 0;
    }
    return number * SET_BLOCKS + start;
  }

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

  nextCovered(at: number): number | undefined {
    for (let number = Math.floor(at / SET_BLOCKS); number <= this.#last; number++) {
      const base = number * SET_BLOCKS;
      const used = this.#sets.get(number)?.nextUsed(Math.max(0, at - base)) ?? SET_BLOCKS;
      if (used < SET_BLOCKS) return base + used;
    }
    return undefined;
  }
}
