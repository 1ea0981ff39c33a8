/**
 * FreeRuns: which of n blocks are free, as the few runs that they form. A group of blocks that large files fill has one or two;
 * a BlockBitmap (allocator.ts) of it would take 4 KiB.
 *
 * Interface: that of FreeBlocks. Costs grow with the number of runs, so that the holder goes over to a BlockBitmap beyond a few (`fitted`).
 */
import { assert, InvariantError } from "../core/assert.ts";
import { cutPair, putPair } from "../core/pairs.ts";
import { BlockBitmap } from "./allocator.ts";

/** What a search for free blocks needs: a BlockBitmap, or FreeRuns. */
export interface FreeBlocks {
  readonly size: number;
  readonly freeCount: number;
  /** No run of free blocks is longer than this. */
  readonly longestRun: number;
  isFree(block: number): boolean;
  /** The first free block from `from` on; undefined when there is none. */
  nextFree(from: number): number | undefined;
  /** The first used block from `from` on; `size` when there is none. */
  nextUsed(from: number): number;
  /** Where the run of used blocks begins that holds a used block. */
  usedStart(block: number): number;
  /** Where `wanted` contiguous blocks are free: the first run long enough from `goal` on, then from the beginning; -1: nowhere. */
  findRun(wanted: number, goal: number): number;
  take(start: number, count: number): void;
  free(start: number, count: number): void;
  visitFree(visit: (start: number, count: number) => void): void;
  check(): void;
}

/** What is free where nothing is: shared, and never put into. */
const NOTHING: number[] = [];

/** Beyond this many runs bits are cheaper. */
const RUNS_MAX = 16;

/** The same blocks, as bits when there are too many runs of them. Called after each change. */
export function fitted(blocks: FreeBlocks): FreeBlocks {
  return blocks instanceof FreeRuns && blocks.runs > RUNS_MAX ? blocks.toBitmap() : blocks;
}

export class FreeRuns implements FreeBlocks {
  readonly size: number;
  /** Start and end of each free run, in ascending order; no two touch. */
  #bounds: number[];
  freeCount: number;

  /** All blocks free. */
  constructor(size: number) {
    this.size = size;
    this.#bounds = [0, size];
    this.freeCount = size;
  }

  /** How many runs there are. */
  get runs(): number {
    return this.#bounds.length / 2;
  }

  get longestRun(): number {
    let longest = 0;
    const bounds = this.#bounds;
    for (let at = 0; at < bounds.length; at += 2)
      longest = Math.max(longest, (bounds[at + 1] as number) - (bounds[at] as number));
    return longest;
  }

  /** The same blocks in a bitmap. */
  toBitmap(): BlockBitmap {
    const bitmap = new BlockBitmap(this.size);
    let used = 0;
    this.visitFree((start, count) => {
      if (start > used) bitmap.take(used, start - used);
      used = start + count;
    });
    if (used < this.size) bitmap.take(used, this.size - used);
    return bitmap;
  }

  /** The place in #bounds of the first run that ends behind a block. */
  #placeOf(block: number): number {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && (bounds[at + 1] as number) <= block) at += 2;
    return at;
  }

  isFree(block: number): boolean {
    const start = this.#bounds[this.#placeOf(block)];
    return start !== undefined && start <= block;
  }

  nextFree(from: number): number | undefined {
    const start = this.#bounds[this.#placeOf(from)];
    return start === undefined ? undefined : Math.max(start, from);
  }

  nextUsed(from: number): number {
    const at = this.#placeOf(from);
    const start = this.#bounds[at];
    return start !== undefined && start <= from ? (this.#bounds[at + 1] as number) : from;
  }

  usedStart(block: number): number {
    const at = this.#placeOf(block);
    return at === 0 ? 0 : (this.#bounds[at - 1] as number);
  }

  findRun(wanted: number, goal: number): number {
    const bounds = this.#bounds;
    for (let at = this.#placeOf(goal); at < bounds.length; at += 2) {
      const start = Math.max(goal, bounds[at] as number);
      if ((bounds[at + 1] as number) - start >= wanted) return start;
    }
    for (let at = 0; at < bounds.length; at += 2)
      if ((bounds[at + 1] as number) - (bounds[at] as number) >= wanted) return bounds[at] as number;
    return -1;
  }

  take(start: number, count: number): void {
    const bounds = this.#bounds;
    const at = this.#placeOf(start);
    const from = bounds[at];
    const to = bounds[at + 1];
    const end = start + count;
    if (from === undefined || to === undefined || from > start || to < end)
      throw new InvariantError(`not all of ${count} blocks from ${start} are free`);
    this.freeCount -= count;
    if (from < start && end < to) {
      // A list of its very length: groups that large files leave in two are many.
      if (bounds.length === 2) this.#bounds = [from, start, end, to];
      else putPair(bounds, at + 1, start, end);
    } else if (from < start) bounds[at + 1] = start;
    else if (end < to) bounds[at] = end;
    else if (bounds.length === 2) this.#bounds = NOTHING;
    else cutPair(bounds, at);
  }

  free(start: number, count: number): void {
    const bounds = this.#bounds;
    const end = start + count;
    const at = this.#placeOf(start);
    const next = bounds[at];
    if (end > this.size || (next !== undefined && next < end))
      throw new InvariantError(`not all of ${count} blocks from ${start} are used`);
    this.freeCount += count;
    const joinsLeft = at > 0 && bounds[at - 1] === start;
    const joinsRight = next === end;
    if (joinsLeft && joinsRight) cutPair(bounds, at - 1);
    else if (joinsLeft) bounds[at - 1] = end;
    else if (joinsRight) bounds[at] = start;
    else if (bounds.length === 0) this.#bounds = [start, end];
    else putPair(bounds, at, start, end);
  }

  visitFree(visit: (start: number, count: number) => void): void {
    const bounds = this.#bounds;
    for (let at = 0; at < bounds.length; at += 2)
      visit(bounds[at] as number, (bounds[at + 1] as number) - (bounds[at] as number));
  }

  /** Throws an InvariantError when runs are out of order, touch, or do not add up. */
  check(): void {
    let last = -1;
    let free = 0;
    this.visitFree((start, count) => {
      assert(start > last && count > 0, `FreeRuns: the run at ${start} touches the one before`);
      last = start + count;
      free += count;
    });
    assert(last <= this.size && free === this.freeCount, `FreeRuns: ${free} free blocks, counted ${this.freeCount}`);
  }
}
