/**
 * The blocks of one file that delayed allocation has promised (delayed allocation: ext4's extent status, xfs's delalloc extents).
 *
 * Interface: half-open ranges of logical blocks. A file that is written once has one range, which is all that is kept of it;
 * a map of ranges is made for the second that does not touch the first.
 */
import { IntervalMap } from "../core/intervals.ts";

export class PromisedBlocks {
  #start = 0;
  #end = 0;
  #ranges: IntervalMap<true> | undefined;

  /** How many blocks are promised. */
  get covered(): number {
    return this.#ranges?.covered ?? this.#end - this.#start;
  }

  set(start: number, end: number): void {
    if (this.#ranges !== undefined) this.#ranges.set(start, end, true);
    else if (this.#start === this.#end) {
      this.#start = start;
      this.#end = end;
    } else if (start <= this.#end && end >= this.#start) {
      this.#start = Math.min(this.#start, start);
      this.#end = Math.max(this.#end, end);
    } else this.#toRanges().set(start, end, true);
  }

  delete(start: number, end: number): void {
    if (this.#ranges !== undefined) this.#ranges.delete(start, end);
    else if (end <= this.#start || start >= this.#end) return;
    else if (start <= this.#start) this.#start = Math.min(end, this.#end);
    else if (end >= this.#end) this.#end = start;
    else this.#toRanges().delete(start, end);
  }

  #toRanges(): IntervalMap<true> {
    const ranges = new IntervalMap<true>(undefined, () => true);
    ranges.set(this.#start, this.#end, true);
    this.#ranges = ranges;
    return ranges;
  }

  has(block: number): boolean {
    return this.#ranges === undefined ? block >= this.#start && block < this.#end : this.#ranges.get(block) === true;
  }

  /** The first block from `at` on that is not promised. */
  nextGap(at: number): number {
    if (this.#ranges !== undefined) return this.#ranges.nextGap(at);
    return this.has(at) ? this.#end : at;
  }

  /** The first block from `at` on that is promised. */
  nextCovered(at: number): number | undefined {
    if (this.#ranges !== undefined) return this.#ranges.nextCovered(at);
    if (this.#start === this.#end || at >= this.#end) return undefined;
    return Math.max(at, this.#start);
  }

  /** Visits the promised ranges in order. */
  visit(visit: (start: number, end: number) => void): void {
    if (this.#ranges !== undefined) this.#ranges.visit(0, Number.MAX_SAFE_INTEGER, visit);
    else if (this.#start < this.#end) visit(this.#start, this.#end);
  }
}
