/**
 * The blocks of one file that delayed allocation has promised (ext4's extent status, xfs's delalloc extents).
 *
 * Interface: half-open ranges of logical blocks. A file that is written once has one range, which is all that is kept of it. The second
 * that does not touch the first makes sets of them (promised-sets.ts).
 */
import { PromisedSets } from "./promised-sets.ts";

export class PromisedBlocks {
  #start = 0;
  #end = 0;
  /** Made when one range no longer tells all; then #start and #end tell nothing. */
  #sets: PromisedSets | undefined;

  /** How many blocks are promised. */
  get covered(): number {
    return this.#sets === undefined ? this.#end - this.#start : this.#sets.covered;
  }

  set(start: number, end: number): void {
    if (this.#sets !== undefined) this.#sets.add(start, end);
    else if (this.#start === this.#end) {
      this.#start = start;
      this.#end = end;
    } else if (start <= this.#end && end >= this.#start) {
      this.#start = Math.min(this.#start, start);
      this.#end = Math.max(this.#end, end);
    } else {
      this.#sets = setsOf(this.#start, this.#end);
      this.#sets.add(start, end);
    }
  }

  delete(start: number, end: number): void {
    if (this.#sets !== undefined) this.#sets.delete(start, end);
    else if (end <= this.#start || start >= this.#end) return;
    else if (start <= this.#start) this.#start = Math.min(end, this.#end);
    else if (end >= this.#end) this.#end = start;
    else {
      this.#sets = setsOf(this.#start, this.#end);
      this.#sets.delete(start, end);
    }
  }

  has(block: number): boolean {
    return this.#sets === undefined ? block >= this.#start && block < this.#end : this.#sets.has(block);
  }

  /** Where the range begins that holds a promised block. */
  startOf(block: number): number {
    return this.#sets === undefined ? this.#start : this.#sets.startOf(block);
  }

  /** The first block from `at` on that is not promised. */
  nextGap(at: number): number {
    if (this.#sets !== undefined) return this.#sets.nextGap(at);
    return this.has(at) ? this.#end : at;
  }

  /** The first block from `at` on that is promised. */
  nextCovered(at: number): number | undefined {
    if (this.#sets !== undefined) return this.#sets.nextCovered(at);
    return this.#start === this.#end || at >= this.#end ? undefined : Math.max(at, this.#start);
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

function setsOf(start: number, end: number): PromisedSets {
  const sets = new PromisedSets();
  sets.add(start, end);
  return sets;
}
