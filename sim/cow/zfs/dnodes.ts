/**
 * Blocks of 32 dnodes in memory: the columns of the record on the device, taken over as they are and copied at the first change.
 */
import type { Time } from "../../core/clock.ts";
import type { BlockPointer } from "./block-pointer.ts";
import {
  DNODES_PER_BLOCK,
  type DnodeBody,
  type DnodeColumns,
  type DnodesRecord,
  EXTRA_SLOTS,
  MODE,
  TIMES,
  WORDS,
} from "./records.ts";

export class DnodeBlock {
  words: Float64Array;
  times: (Time | undefined)[];
  tops: (BlockPointer | undefined)[];
  bodies: (DnodeBody | undefined)[];
  /** Whether a record has these arrays: they must not be changed. */
  #frozen: boolean;

  constructor(record: DnodeColumns | undefined) {
    this.#frozen = record !== undefined;
    this.words = record?.words ?? new Float64Array(DNODES_PER_BLOCK * WORDS);
    this.times = record?.times ?? new Array(DNODES_PER_BLOCK * TIMES).fill(undefined);
    this.tops = record?.tops ?? new Array(DNODES_PER_BLOCK).fill(undefined);
    this.bodies = record?.bodies ?? new Array(DNODES_PER_BLOCK).fill(undefined);
  }

  /** Makes the arrays this block's own. */
  own(): void {
    if (!this.#frozen) return;
    this.words = this.words.slice();
    this.times = this.times.slice();
    this.tops = this.tops.slice();
    this.bodies = this.bodies.slice();
    this.#frozen = false;
  }

  /** The block as a record of so many bytes: it has the arrays from now on. */
  freeze(length: number): DnodesRecord {
    this.#frozen = true;
    const { words, times, tops, bodies } = this;
    return { kind: "zfs.dnodes", length, words, times, tops, bodies };
  }

  /** Whether nothing is at a place: no dnode, nor the rest of a large one before it. */
  isFree(index: number): boolean {
    if (this.words[index * WORDS + MODE] !== 0) return false;
    let at = index - 1;
    while (at >= 0 && this.words[at * WORDS + MODE] === 0) at--;
    return at < 0 || at + (this.words[at * WORDS + EXTRA_SLOTS] as number) < index;
  }

  /** Whether no dnode of it is in use. */
  get isEmpty(): boolean {
    for (let index = 0; index < DNODES_PER_BLOCK; index++) if (this.words[index * WORDS + MODE] !== 0) return false;
    return true;
  }
}
