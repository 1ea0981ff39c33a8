/**
 * Which data blocks are in use, in memory alone: the rules of data-space.ts (spec/block-cow.md §1.6) over a bit and a byte a block.
 *
 * Interface: a block that was given back since the last commit cannot be taken before the next one, but `free` counts it.
 */

import { assert } from "../core/assert.ts";
import { lowestBit } from "../core/bits.ts";
import { EINVAL, ENOSPC, type Errno } from "../core/errno.ts";

/** What the byte of a block says whose count is above 254. */
const MANY = 255;

export class CountedSpace {
  #blocks = 0;
  /** Blocks as of the last commit. */
  #committedBlocks = 0;
  /** Blocks with a count above 0. */
  #allocated = 0;
  /** A bit a block: it cannot be taken, as it is in use or was at the last commit. */
  #taken: Uint32Array = new Uint32Array(0);
  #counts: Uint8Array = new Uint8Array(0);
  readonly #many = new Map<number, number>();
  #cursor = 0;
  /** Blocks that were given back since the last commit, and perhaps counted again since. */
  #given: number[] = [];

  get blocks(): number {
    return this.#committedBlocks;
  }

  get free(): number {
    return this.#committedBlocks - this.#allocated;
  }

  extend(extra: number): void {
    this.#blocks += extra;
    const taken = new Uint32Array(Math.ceil(this.#blocks / 32));
    taken.set(this.#taken);
    const counts = new Uint8Array(this.#blocks);
    counts.set(this.#counts);
    this.#taken = taken;
    this.#counts = counts;
  }

  /** @returns ENOSPC. */
  newBlock(): number | Errno {
    let block = this.#findFree(this.#cursor);
    if (block < 0) block = this.#findFree(0);
    if (block < 0) return ENOSPC;
    this.#cursor = block + 1;
    this.#counts[block] = 1;
    this.#take(block);
    return block;
  }

  #take(block: number): void {
    this.#allocated += 1;
    this.#taken[block >>> 5] = (this.#taken[block >>> 5] as number) | (1 << (block & 31));
  }

  #findFree(begin: number): number {
    const taken = this.#taken;
    let at = begin >>> 5;
    if (begin >= this.#blocks) return -1;
    let open = ~(taken[at] as number) & (-1 << (begin & 31));
    while (open === 0) {
      at += 1;
      if (at === taken.length) return -1;
      open = ~(taken[at] as number);
    }
    const block = at * 32 + lowestBit(open);
    return block < this.#blocks ? block : -1;
  }

  count(block: number): number {
    const count = this.#counts[block] as number;
    return count === MANY ? (this.#many.get(block) as number) : count;
  }

  inc(begin: number, end: number): void {
    for (let block = begin; block < end; block++) {
      const count = this.count(block);
      if (count === 0) this.#take(block);
      this.#setCount(block, count + 1);
    }
  }

  /** @returns EINVAL where there is no reference. */
  dec(begin: number, end: number): Errno | undefined {
    for (let block = begin; block < end; block++) {
      const count = this.count(block);
      if (count === 0) return EINVAL;
      this.#setCount(block, count - 1);
      if (count > 1) continue;
      this.#allocated -= 1;
      this.#given.push(block);
    }
    return undefined;
  }

  #setCount(block: number, count: number): void {
    this.#counts[block] = Math.min(count, MANY);
    if (count >= MANY) this.#many.set(block, count);
    else this.#many.delete(block);
  }

  /** O(blocks given back). */
  commit(): void {
    for (const block of this.#given) {
      if (this.#counts[block] === 0) this.#taken[block >>> 5] = (this.#taken[block >>> 5] as number) & ~(1 << (block & 31));
    }
    this.#given = [];
    this.#committedBlocks = this.#blocks;
  }

  /**
   * Throws an InvariantError where the counts are not those of `references`, but for at most `lostMax` blocks that nobody refers to, or free
   * blocks cannot be taken. O(blocks).
   */
  check(name: string, references: ReadonlyMap<number, number>, lostMax: number): void {
    const given = new Set(this.#given);
    let allocated = 0;
    let lost = 0;
    for (let block = 0; block < this.#blocks; block++) {
      const count = this.count(block);
      if (count > 0) allocated += 1;
      const found = references.get(block) ?? 0;
      if (found === 0 && count === 1) lost += 1;
      else assert(count === found, `${name}: block ${block} has ${found} references, counted ${count}`);
      const taken = (((this.#taken[block >>> 5] as number) >>> (block & 31)) & 1) === 1;
      assert(
        taken === (count > 0 || given.has(block)),
        `${name}: block ${block} with count ${count} is ${taken ? "" : "not "}taken`,
      );
    }
    assert(lost <= lostMax, `${name}: ${lost} data blocks have leaked, ${lostMax} are known to be lost`);
    assert(allocated === this.#allocated, `${name}: ${allocated} blocks have references, counted ${this.#allocated}`);
  }
}
