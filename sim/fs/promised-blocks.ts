/**
 * The blocks of one file that delayed allocation has promised (ext4's extent status, xfs's delalloc extents).
 *
 * Interface: half-open ranges of logical blocks. A file that is written once has one range, which is all that is kept of it. The second
 * that does not touch the first makes sets of them, one for each 32,768 blocks that have any: a few runs, or a bitmap.
 */
import { type FreeBlocks, FreeRuns, fitted } from "../block/free-runs.ts";

/** Blocks of one set. */
const SET_BLOCKS = 32_768;

export class PromisedBlocks {
  #start = 0;
  #end = 0;
  /** By number; in a set a block that is not promised is free. */
  #sets: Map<number, FreeBlocks> | undefined;
  /** The greatest number of a set. */
  #last = -1;
  #covered = 0;

  /** How many blocks are promised. */
  get covered(): number {
    return this.#sets === undefined ? this.#end - this.#start : this.#covered;
  }

  set(start: number, end: number): void {
    if (this.#sets !== undefined) this.#promise(start, end);
    else if (this.#start === this.#end) {
      this.#start = start;
      this.#end = end;
    } else if (start <= this.#end && end >= this.#start) {
      this.#start = Math.min(this.#start, start);
      this.#end = Math.max(this.#end, end);
    } else {
      this.#toSets();
      this.#promise(start, end);
    }
  }

  delete(start: number, end: number): void {
    if (this.#sets !== undefined) this.#release(start, end);
    else if (end <= this.#start || start >= this.#end) return;
    else if (start <= this.#start) this.#start = Math.min(end, this.#end);
    else if (end >= this.#end) this.#end = start;
    else {
      this.#toSets();
      this.#release(start, end);
    }
  }

  #toSets(): void {
    this.#sets = new Map();
    this.#promise(this.#start, this.#end);
  }

  #promise(start: number, end: number): void {
    const sets = this.#sets as Map<number, FreeBlocks>;
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
        this.#covered += count;
        from = from + count < to ? set.nextFree(from + count) : undefined;
      }
      const fit = fitted(set);
      if (fit !== set) sets.set(number, fit);
      block = base + to;
    }
  }

  #release(start: number, end: number): void {
    const sets = this.#sets as Map<number, FreeBlocks>;
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
        this.#covered -= count;
        from = set.nextUsed(from + count);
      }
      const fit = fitted(set);
      if (set.freeCount === SET_BLOCKS) sets.delete(number);
      else if (fit !== set) sets.set(number, fit);
    }
  }

  has(block: number): boolean {
    if (this.#sets === undefined) return block >= this.#start && block < this.#end;
    const number = Math.floor(block / SET_BLOCKS);
    const set = this.#sets.get(number);
    return set !== undefined && !set.isFree(block - number * SET_BLOCKS);
  }

  /** Where the range begins that holds a promised block. */
  startOf(block: number): number {
    if (this.#sets === undefined) return this.#start;
    let number = Math.floor(block / SET_BLOCKS);
    let start = this.#sets.get(number)?.usedStart(block - number * SET_BLOCKS) ?? 0;
    while (start === 0 && number > 0 && this.has(number * SET_BLOCKS - 1)) {
      number -= 1;
      start = this.#sets.get(number)?.usedStart(SET_BLOCKS - 1) ?? 0;
    }
    return number * SET_BLOCKS + start;
  }

  /** The first block from `at` on that is not promised. */
  nextGap(at: number): number {
    if (this.#sets === undefined) return this.has(at) ? this.#end : at;
    for (let block = at; ; ) {
      const number = Math.floor(block / SET_BLOCKS);
      const base = number * SET_BLOCKS;
      const set = this.#sets.get(number);
      const free = set === undefined ? block - base : set.nextFree(block - base);
      if (free !== undefined) return base + free;
      block = base + SET_BLOCKS;
    }
  }

  /** The first block from `at` on that is promised. */
  nextCovered(at: number): number | undefined {
    if (this.#sets === undefined) {
      if (this.#start === this.#end || at >= this.#end) return undefined;
      return Math.max(at, this.#start);
    }
    for (let number = Math.floor(at / SET_BLOCKS); number <= this.#last; number++) {
      const base = number * SET_BLOCKS;
      const used = this.#sets.get(number)?.nextUsed(Math.max(0, at - base)) ?? SET_BLOCKS;
      if (used < SET_BLOCKS) return base + used;
    }
    return undefined;
  }

  /** Visits the promised ranges in order. */
  visit(visit: (start: number, end: number) => void): void {
    for (let start = this.nextCovered(0); start !== undefined; ) {
      const end = this.nextGap(start);
      visit(start, end);
      start = this.nextCovered(end);
    }
  }
}
