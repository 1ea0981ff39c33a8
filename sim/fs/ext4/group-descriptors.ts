/** A block of 64 group descriptors: which of its groups changed, and what its record tells of them. */
import { DESCRIPTORS_PER_BLOCK } from "./layout.ts";
import { DESCRIPTORS } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import { Revisions } from "./revisions.ts";

/** The counts of all groups, by group. */
interface GroupCounts {
  readonly freeBlocks: Int32Array;
  readonly freeInodes: Int32Array;
  readonly directories: Int32Array;
}

/** Groups that a word of bits tells of. */
const WORD = 32;

export class DescriptorBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly #counts: GroupCounts;
  readonly #first: number;
  /** The groups that changed since the last record, a bit each: the first 32 and the others. */
  #low = 0;
  #high = 0;
  readonly #revisions = new Revisions();

  constructor(counts: GroupCounts, index: number) {
    this.#counts = counts;
    this.block = 1 + index;
    this.#first = index * DESCRIPTORS_PER_BLOCK;
  }

  /** Notes that groups of this block changed: from one on, before `end`. @returns the first that is not noted: `end`, or one of the next block. */
  note(group: number, end: number): number {
    const until = Math.min(end - this.#first, DESCRIPTORS_PER_BLOCK);
    for (let at = group - this.#first; at < until; at++) {
      if (at < WORD) this.#low |= 1 << at;
      else this.#high |= 1 << (at - WORD);
    }
    return this.#first + until;
  }

  pack(into: PackedWords): number {
    if (!this.#revisions.begin(into, bitsIn(this.#low) + bitsIn(this.#high), DESCRIPTORS_PER_BLOCK)) {
      this.#low = -1;
      this.#high = -1;
    }
    into.put(this.#first);
    const place = into.end;
    into.put(0);
    let runs = 0;
    const end = Math.min(DESCRIPTORS_PER_BLOCK, this.#counts.freeBlocks.length - this.#first);
    for (let at = this.#next(0); at < end; at = this.#next(at)) {
      const until = Math.min(end, this.#endOfRun(at));
      this.#packRun(into, at, until);
      runs += 1;
      at = until;
    }
    into.change(place, runs);
    this.#low = 0;
    this.#high = 0;
    return DESCRIPTORS;
  }

  #packRun(into: PackedWords, at: number, end: number): void {
    const { freeBlocks, freeInodes, directories } = this.#counts;
    const group = this.#first + at;
    into.put(group);
    into.put(end - at);
    into.put(freeBlocks[group] as number);
    into.put(freeInodes[group] as number);
    into.put(directories[group] as number);
  }

  /** The first group from one on that changed; 64 when there is none. */
  #next(from: number): number {
    for (let at = from; at < DESCRIPTORS_PER_BLOCK; ) {
      const bits = (at < WORD ? this.#low : this.#high) >>> (at % WORD);
      if (bits !== 0) return at + 31 - Math.clz32(bits & -bits);
      at += WORD - (at % WORD);
    }
    return DESCRIPTORS_PER_BLOCK;
  }

  /** Behind the groups from one on that changed and have the same counts. */
  #endOfRun(from: number): number {
    const { freeBlocks, freeInodes, directories } = this.#counts;
    const first = this.#first + from;
    let at = from + 1;
    while (
      this.#next(at) === at &&
      at < DESCRIPTORS_PER_BLOCK &&
      freeBlocks[this.#first + at] === freeBlocks[first] &&
      freeInodes[this.#first + at] === freeInodes[first] &&
      directories[this.#first + at] === directories[first]
    )
      at += 1;
    return at;
  }
}

/** How many bits of a word are set. */
function bitsIn(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
