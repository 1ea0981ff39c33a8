/**
 * The entries of a bitmap of reference counts as they lie on disk: two bits a block, sixteen blocks a word, behind the header of the block
 * (drivers/md/persistent-data/dm-space-map-common.c, sm_lookup_bitmap).
 */
import { lowestBit, onesIn } from "../core/bits.ts";
import { METADATA_BLOCK_SIZE } from "./metadata-block.ts";

/** Bitmap words begin behind checksum, padding and the block's number. */
const HEADER_WORDS = 4;
/** Blocks that one bitmap tells about: four a byte. */
export const BITMAP_ENTRIES: number = (METADATA_BLOCK_SIZE - HEADER_WORDS * 4) * 4;
/** The low bit of each pair of a word. */
const LOW_BITS = 0x55555555;
/** A word whose sixteen entries all say 0, 1 or 2. */
const UNIFORM: readonly number[] = [0, 0xaaaaaaaa, 0x55555555];
/** A word whose sixteen entries all say "more than two". */
const MANY_WORD = 0xffffffff;

/** What a bitmap says of its entry: 0, 1, 2, or 3 for "more than two". The first bit of a pair is the higher one. */
export function entryAt(words: Uint32Array, entry: number): number {
  const pair = ((words[HEADER_WORDS + (entry >>> 4)] as number) >>> ((entry & 15) << 1)) & 3;
  return ((pair & 1) << 1) | (pair >>> 1);
}

/** Where a run of entries that all say "more than two" ends, from an entry on and before another one. */
export function endOfMany(words: Uint32Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    if ((at & 15) === 0 && at + 16 <= to && words[HEADER_WORDS + (at >>> 4)] === MANY_WORD) at += 16;
    else if (entryAt(words, at) === 3) at += 1;
    else break;
  }
  return at;
}

/** Sets what a bitmap says of an entry. */
export function setBitmapEntry(words: Uint32Array, entry: number, value: number): void {
  const at = HEADER_WORDS + (entry >>> 4);
  const shift = (entry & 15) << 1;
  const pair = ((value & 1) << 1) | (value >>> 1);
  words[at] = ((words[at] as number) & ~(3 << shift)) | (pair << shift);
}

/**
 * Adds 1 to the sixteen entries of the word that begins with `entry`, or takes 1 away, where all say the same and can say what comes of it.
 * @returns what they said; -1 where that is not so, and nothing has changed.
 */
export function stepWord(words: Uint32Array, entry: number, step: 1 | -1): number {
  const at = HEADER_WORDS + (entry >>> 4);
  const old = UNIFORM.indexOf(words[at] as number);
  const next = old < 0 ? undefined : UNIFORM[old + step];
  if (next === undefined) return -1;
  words[at] = next;
  return old;
}

/** The first entry of a bitmap from one on with a count above 0; -1 when there is none. Words without one cost one look. */
export function nextUsed(words: Uint32Array, from: number): number {
  let word = HEADER_WORDS + (from >>> 4);
  const here = word < words.length ? usedIn(words[word] as number) & (-1 << ((from & 15) << 1)) : 0;
  if (here !== 0) return (word - HEADER_WORDS) * 16 + (lowestBit(here) >>> 1);
  word = nextUsedWord(words, word + 1);
  return word < words.length ? (word - HEADER_WORDS) * 16 + (lowestBit(usedIn(words[word] as number)) >>> 1) : -1;
}

/** How many entries of a bitmap have a count above 0. */
export function usedEntries(words: Uint32Array): number {
  let count = 0;
  for (let word = nextUsedWord(words, HEADER_WORDS); word < words.length; word = nextUsedWord(words, word + 1))
    count += onesIn(usedIn(words[word] as number));
  return count;
}

/** The first word from `word` on that is not 0, or the end: most bitmaps of a large pool are empty, and are gone through by four words. */
function nextUsedWord(words: Uint32Array, word: number): number {
  let at = word;
  const end = words.length - 3;
  while (
    at < end &&
    ((words[at] as number) | (words[at + 1] as number) | (words[at + 2] as number) | (words[at + 3] as number)) === 0
  )
    at += 4;
  while (at < words.length && words[at] === 0) at += 1;
  return at;
}

/** The low bits of a word's pairs that say a count above 0. */
function usedIn(word: number): number {
  return (word | (word >>> 1)) & LOW_BITS;
}

/** The first entry within [from, to) that is free in both bitmaps; -1 when there is none. */
export function firstFree(words: Uint32Array, other: Uint32Array, from: number, to: number): number {
  if (from >= to) return -1;
  let at = HEADER_WORDS + (from >>> 4);
  const last = HEADER_WORDS + ((to - 1) >>> 4);
  let mask = LOW_BITS & (-1 << ((from & 15) << 1));
  for (; at <= last; at++, mask = LOW_BITS) {
    const word = (words[at] as number) | (other[at] as number);
    const free = ~usedIn(word) & mask;
    if (free === 0) continue;
    const entry = (at - HEADER_WORDS) * 16 + (lowestBit(free) >>> 1);
    return entry < to ? entry : -1;
  }
  return -1;
}
