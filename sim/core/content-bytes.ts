/**
 * The bytes behind a Content's runs (content.ts): loops that fill and compare arrays, apart because they are hot and know no runs.
 */

/** Bytes that lie elsewhere and do not change. */
export interface ByteSource {
  /** Bytes in all. */
  readonly length: number;
  /** Fills the whole of `target` with the bytes from `offset` on, which are there. */
  readInto(target: Uint8Array, offset: number): void;
}

/** The 32-bit word number `word` of the pattern of `seed` (two rounds of the murmur3 finalizer over both halves of the index). */
function patternWord(seed: number, word: number): number {
  let hash = Math.imul((seed ^ word) | 0, 0x85ebca6b) ^ Math.imul((Math.floor(word / 2 ** 32) + 0x27d4eb2f) | 0, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15) ^ seed, 0x846ca68b);
  return hash ^ (hash >>> 16);
}

/** Fills `target` with a unit over and over, from `phase` bytes into it on. */
export function repeatInto(target: Uint8Array, unit: Uint8Array, phase: number): void {
  if (unit.length === 1) {
    target.fill(unit[0] as number);
    return;
  }
  const first = Math.min(unit.length, target.length);
  for (let at = 0; at < first; at++) target[at] = unit[(phase + at) % unit.length] as number;
  // What is there is a whole number of units: each copy of it doubles it.
  for (let done = first; done < target.length; done *= 2) target.copyWithin(done, 0, done);
}

/** Words from this one on have a high half, which their value depends on. */
const HIGH_WORD = 2 ** 32;
/** The contribution of a high half of zero. */
const LOW_WORDS = Math.imul(0x27d4eb2f, 0xc2b2ae35);
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Fills `target` with the pattern of `seed` from position `offset` on; the same bytes on every machine, whatever its byte order. */
export function patternInto(target: Uint8Array, seed: number, offset: number): void {
  let word = Math.floor(offset / 4);
  let at = 0;
  if (offset % 4 !== 0) {
    const value = patternWord(seed, word++);
    for (let byte = offset % 4; byte < 4 && at < target.length; byte++) target[at++] = value >>> (byte * 8);
  }
  const count = (target.length - at) >>> 2;
  if (isLittleEndian && (target.byteOffset + at) % 4 === 0 && word + count < HIGH_WORD) {
    wordsInto(new Int32Array(target.buffer, target.byteOffset + at, count), seed, word);
    at += count * 4;
    word += count;
  }
  for (; at + 4 <= target.length; at += 4) {
    const value = patternWord(seed, word++);
    target[at] = value;
    target[at + 1] = value >>> 8;
    target[at + 2] = value >>> 16;
    target[at + 3] = value >>> 24;
  }
  const value = patternWord(seed, word);
  for (let byte = 0; at < target.length; byte++) target[at++] = value >>> (byte * 8);
}

/** Whole words of the pattern, none of which has a high half: what patternWord says of them, without its half for that. */
function wordsInto(target: Int32Array, seed: number, word: number): void {
  for (let at = 0; at < target.length; at++) {
    let hash = Math.imul(seed ^ (word + at), 0x85ebca6b) ^ LOW_WORDS;
    hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
    hash = Math.imul(hash ^ (hash >>> 15) ^ seed, 0x846ca68b);
    target[at] = hash ^ (hash >>> 16);
  }
}

/** Up to this many bytes a loop copies faster than `set`, which needs a view. */
const LOOP_MAX = 48;

/** Copies `length` bytes of an array, from a place on, into another array. */
export function copyBytes(source: Uint8Array, from: number, to: { target: Uint8Array; at: number; length: number }): void {
  const { target, at, length } = to;
  if (length > LOOP_MAX) target.set(length === source.length ? source : source.subarray(from, from + length), at);
  else for (let index = 0; index < length; index++) target[at + index] = source[from + index] as number;
}

/** Whether two arrays of one length hold the same bytes. */
export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false;
  return true;
}
