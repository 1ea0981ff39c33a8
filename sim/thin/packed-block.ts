/**
 * A metadata block's words made small, for blocks that only lie on the device: entries as runs, everything else as repeated words.
 *
 * Interface: `unpack(pack(words))` is the same words but for checksum and own number, which their owner knows; `pack` gives undefined
 * where it would not help. What lies behind a node's last entry must be zero.
 */
import { countOf, emptyNode, entriesMaxFor, keyAt, maxOf, setCount, setKey, valueAt, valueSizeOf } from "./btree-node.ts";
import { mappedBlock, mappedTime, setMapping } from "./mapping.ts";

/** Runs of a node's entries as numbers of 7 bits a byte, or pairs of a length and a word. */
export type PackedBlock =
  | { readonly flags: number; readonly count: number; readonly runs: Uint8Array }
  | { readonly repeats: Uint32Array };

/** A block's checksum, its flags (of a node; else zero) and its own number stand before its body. */
const FLAGS = 1;
const OWN_NUMBER = 2;
const BODY = 4;
const VALUE_BYTES = 8;
/** A run's head: the gap to the key before, and two flags. */
const HAS_LENGTH = 1;
const HAS_TIME = 2;
const HEAD_STEP = 4;
const KEY_MAX = 2 ** 48;
/** The most bytes of a run: four numbers of at most 10. */
const RUN_BYTES_MAX = 40;
const scratch = new Uint8Array(entriesMaxFor(VALUE_BYTES) * RUN_BYTES_MAX);
const pairs = new Uint32Array(1024);

/** Packs words of a block. @param isNode - whether they are a node of a tree. */
export function pack(words: Uint32Array, isNode: boolean): PackedBlock | undefined {
  if (!isNode || valueSizeOf(words) !== VALUE_BYTES || maxOf(words) !== entriesMaxFor(VALUE_BYTES)) return packRepeats(words);
  const runs = packRuns(words);
  return runs === undefined ? packRepeats(words) : { flags: words[FLAGS] as number, count: countOf(words), runs };
}

/** Writes a whole number. @returns the place behind it. */
function putNumber(at: number, value: number): number {
  let to = at;
  let rest = value;
  for (; rest >= 0x80; rest = rest > 0x7fffffff ? Math.floor(rest / 0x80) : rest >>> 7) scratch[to++] = (rest & 0x7f) | 0x80;
  scratch[to++] = rest;
  return to;
}

/** A difference as a whole number: 0, -1, 1, -2 … */
function zigzag(difference: number): number {
  return difference < 0 ? -2 * difference - 1 : 2 * difference;
}

/** The entries of a node as runs; undefined for what no pool of ours writes: keys that do not ascend, or are too large. */
function packRuns(words: Uint32Array): Uint8Array | undefined {
  const count = countOf(words);
  const values = valueAt(words, 0);
  let to = 0;
  let key = 0;
  let block = 0;
  let time = 0;
  for (let index = 0; index < count; ) {
    const firstKey = keyAt(words, index);
    const firstBlock = mappedBlock(words, values + 2 * index);
    const firstTime = mappedTime(words, values + 2 * index);
    if (firstKey < key || firstKey > KEY_MAX) return undefined;
    let length = 1;
    while (index + length < count) {
      const next = values + 2 * (index + length);
      if (keyAt(words, index + length) !== firstKey + length || mappedBlock(words, next) !== firstBlock + length) break;
      if (mappedTime(words, next) !== firstTime) break;
      length += 1;
    }
    const head = (firstKey - key) * HEAD_STEP + (firstTime === time ? 0 : HAS_TIME) + (length === 1 ? 0 : HAS_LENGTH);
    to = putNumber(to, head);
    to = putNumber(to, zigzag(firstBlock - block));
    if (firstTime !== time) to = putNumber(to, zigzag(firstTime - time));
    if (length > 1) to = putNumber(to, length);
    index += length;
    key = firstKey + length;
    block = firstBlock + length;
    time = firstTime;
  }
  return scratch.slice(0, to);
}

function packRepeats(words: Uint32Array): PackedBlock | undefined {
  let to = 0;
  for (let index = FLAGS; index < words.length; ) {
    // The own number is the owner's business.
    if (index === OWN_NUMBER) index = BODY;
    const word = words[index] as number;
    let end = index + 1;
    while (end < words.length && end !== OWN_NUMBER && words[end] === word) end += 1;
    if (to + 2 > pairs.length / 2) return undefined;
    pairs[to++] = end - index;
    pairs[to++] = word;
    index = end;
  }
  return { repeats: pairs.slice(0, to) };
}

/** The words again, without checksum and own number. */
export function unpack(packed: PackedBlock): Uint32Array {
  const words = new Uint32Array(1024);
  if ("repeats" in packed) {
    unpackRepeats(packed.repeats, words);
    return words;
  }
  emptyNode(words, VALUE_BYTES);
  words[FLAGS] = packed.flags;
  unpackRuns(packed.runs, words);
  setCount(words, packed.count);
  return words;
}

function unpackRepeats(repeats: Uint32Array, words: Uint32Array): void {
  let index = FLAGS;
  for (let pair = 0; pair < repeats.length; pair += 2) {
    if (index === OWN_NUMBER) index = BODY;
    const end = index + (repeats[pair] as number);
    words.fill(repeats[pair + 1] as number, index, end);
    index = end;
  }
}

/** Reads numbers one after the other. */
class Numbers {
  readonly #raw: Uint8Array;
  #at = 0;

  constructor(raw: Uint8Array) {
    this.#raw = raw;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#raw.length;
  }

  next(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#raw[this.#at++] as number;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
    }
  }

  difference(): number {
    const value = this.next();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function unpackRuns(runs: Uint8Array, words: Uint32Array): void {
  const numbers = new Numbers(runs);
  const value = new Uint32Array(2);
  const values = valueAt(words, 0);
  let key = 0;
  let block = 0;
  let time = 0;
  for (let index = 0; !numbers.isAtEnd; ) {
    const head = numbers.next();
    key += Math.floor(head / HEAD_STEP);
    block += numbers.difference();
    if ((head & HAS_TIME) !== 0) time += numbers.difference();
    const length = (head & HAS_LENGTH) !== 0 ? numbers.next() : 1;
    for (const end = index + length; index < end; index++) {
      setKey(words, index, key);
      setMapping(value, block, time);
      words[values + 2 * index] = value[0] as number;
      words[values + 2 * index + 1] = value[1] as number;
      key += 1;
      block += 1;
    }
  }
}
