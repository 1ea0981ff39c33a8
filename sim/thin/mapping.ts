/**
 * The value of a mapping: data block << 24 | time (spec/block-cow.md §1.10), 40 and 24 bits, as two words.
 */
import { visitRuns } from "./metadata-block.ts";

const TIME_BITS = 24;
const TIME_MASK = 2 ** TIME_BITS - 1;

/** The data block of a mapping's value. */
export function mappedBlock(words: Uint32Array, at: number): number {
  return (words[at + 1] as number) * 256 + ((words[at] as number) >>> TIME_BITS);
}

/** The time at which it was made. */
export function mappedTime(words: Uint32Array, at: number): number {
  return (words[at] as number) & TIME_MASK;
}

/** Puts a mapping together. */
export function setMapping(words: Uint32Array, block: number, time: number): void {
  words[0] = (((block % 256) << TIME_BITS) | (time & TIME_MASK)) >>> 0;
  words[1] = Math.floor(block / 256);
}

/** Calls `each` for the runs of consecutive data blocks among `count` mappings. */
export function visitDataRuns(words: Uint32Array, at: number, count: number, each: (begin: number, end: number) => void): void {
  visitRuns({ words, at, count, numberAt: mappedBlock }, each);
}
