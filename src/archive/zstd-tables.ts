/**
 * The tables and bit streams of Zstandard: finite state entropy and Huffman codes (RFC 8878, sections 4.1 and 4.2).
 *
 * Interface: whatever the data get wrong throws an ArchiveFault.
 */
import { ArchiveFault } from "./fault.ts";

/** Data that are not as the format has it. */
export function damaged(what: string): ArchiveFault {
  return new ArchiveFault("E_COMPRESSION", `the zstd data are damaged: ${what}`);
}

/** The place of the highest bit that is set; of 0, -1. */
function highBit(value: number): number {
  return 31 - Math.clz32(value);
}

/** Bits of a word that one read takes at the most. */
const READ_MAX = 25;

/** Four bytes, the lowest first; what lies behind the end is zeros. */
function wordAt(raw: Uint8Array, at: number): number {
  if (at + 4 <= raw.length)
    return (
      (raw[at] as number) | ((raw[at + 1] as number) << 8) | ((raw[at + 2] as number) << 16) | ((raw[at + 3] as number) << 24)
    );
  let word = 0;
  for (let index = 0; at + index < raw.length; index++) word |= (raw[at + index] as number) << (8 * index);
  return word;
}

/** `count` bits from bit `at` on of bytes that begin at `start`; up to 25. */
function bitsAt(raw: Uint8Array, start: number, at: number, count: number): number {
  const byte = start + (at >> 3);
  return (wordAt(raw, byte) >>> (at & 7)) & ((1 << count) - 1);
}

/** A stream that is read from its end to its beginning: the highest bit set is where it ends. */
export class BackwardBits {
  readonly #raw: Uint8Array;
  readonly #start: number;
  /** Bits left; negative after more were read than there are, which are zeros. */
  left: number;

  constructor(raw: Uint8Array, start: number, end: number) {
    const last = end > start ? (raw[end - 1] as number) : 0;
    if (last === 0) throw damaged("a stream has no end");
    this.#raw = raw;
    this.#start = start;
    this.left = (end - start - 1) * 8 + highBit(last);
  }

  read(count: number): number {
    if (count > READ_MAX) {
      const high = this.read(count - 16);
      return high * 2 ** 16 + this.read(16);
    }
    this.left -= count;
    if (this.left >= 0) return bitsAt(this.#raw, this.#start, this.left, count);
    const there = count + this.left;
    return there <= 0 ? 0 : bitsAt(this.#raw, this.#start, 0, there) << -this.left;
  }
}

/** A table of finite state entropy: what each state stands for, and which come next. */
export interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

/** The table of a distribution; -1 counts as "less than one". */
export function fseTable(counts: readonly number[], log: number): FseTable {
  const size = 1 << log;
  const table = { log, symbols: new Uint8Array(size), bits: new Uint8Array(size), base: new Uint16Array(size) };
  const next = new Uint16Array(counts.length);
  let high = size;
  for (const [symbol, count] of counts.entries()) {
    if (count === -1) table.symbols[--high] = symbol;
    next[symbol] = count === -1 ? 1 : count;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (const [symbol, count] of counts.entries())
    for (let made = 0; made < count; made++) {
      table.symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  if (at !== 0) throw damaged("a distribution does not fill its table");
  for (let state = 0; state < size; state++) {
    const symbol = table.symbols[state] as number;
    const count = next[symbol] as number;
    next[symbol] = count + 1;
    const bits = log - highBit(count);
    table.bits[state] = bits;
    table.base[state] = (count << bits) - size;
  }
  return table;
}

/** A table that gives one symbol always. */
export function rleTable(symbol: number): FseTable {
  return { log: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), base: new Uint16Array(1) };
}

/** Reads a distribution. @returns its table, and where the bytes behind it begin */
export function readFseTable(
  raw: Uint8Array,
  start: number,
  limit: { readonly symbols: number; readonly log: number },
): {
  readonly table: FseTable;
  readonly end: number;
} {
  let at = 0;
  const read = (count: number): number => {
    at += count;
    return bitsAt(raw, start, at - count, count);
  };
  const log = read(4) + 5;
  if (log > limit.log) throw damaged("a table is too large");
  const counts: number[] = [];
  for (let remaining = 1 << log; remaining > 0; ) {
    const width = highBit(remaining + 1) + 1;
    let value = read(width);
    const low = value & ((1 << (width - 1)) - 1);
    const threshold = (1 << width) - 1 - (remaining + 1);
    if (low < threshold) {
      at -= 1;
      value = low;
    } else if (value >= 1 << (width - 1)) value -= threshold;
    const count = value - 1;
    counts.push(count);
    remaining -= Math.abs(count);
    if (count === 0)
      for (let more = 3; more === 3; ) {
        more = read(2);
        for (let zero = 0; zero < more; zero++) counts.push(0);
      }
    if (counts.length > limit.symbols || remaining < 0 || start + (at >> 3) > raw.length)
      throw damaged("a distribution is no distribution");
  }
  return { table: fseTable(counts, log), end: start + Math.ceil(at / 8) };
}

/** A Huffman table: by so many bits ahead, the symbol and how many bits it takes. */
export interface HuffmanTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
}

const HUFFMAN_LOG_MAX = 11;
const WEIGHTS_MAX = 255;

/** Reads a Huffman tree. */
export function readHuffman(raw: Uint8Array, start: number): { readonly table: HuffmanTable; readonly end: number } {
  const header = raw[start] ?? 0;
  const weights: number[] = [];
  let end = start + 1;
  if (header >= 128) {
    for (let index = 0; index < header - 127; index++) {
      const byte = raw[end + (index >> 1)] ?? 0;
      weights.push(index % 2 === 0 ? byte >> 4 : byte & 15);
    }
    end += (header - 127 + 1) >> 1;
  } else {
    end += header;
    readWeights(raw, start + 1, end, weights);
  }
  return { table: huffmanTable(weights), end };
}

/** Weights come from one stream by two states in turn, until it has no bits left. */
function readWeights(raw: Uint8Array, start: number, end: number, weights: number[]): void {
  const { table, end: from } = readFseTable(raw, start, { symbols: 256, log: 6 });
  const stream = new BackwardBits(raw, from, end);
  const states = [stream.read(table.log), stream.read(table.log)];
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn] as number;
    weights.push(table.symbols[state] as number);
    if (weights.length > WEIGHTS_MAX) throw damaged("a Huffman tree has too many symbols");
    const bits = table.bits[state] as number;
    if (stream.left < bits) {
      // The other state has one symbol left.
      weights.push(table.symbols[states[turn ^ 1] as number] as number);
      return;
    }
    states[turn] = (table.base[state] as number) + stream.read(bits);
  }
}

function huffmanTable(given: readonly number[]): HuffmanTable {
  const sum = given.reduce((total, weight) => total + (weight === 0 ? 0 : 2 ** (weight - 1)), 0);
  if (sum === 0 || sum >= 2 ** HUFFMAN_LOG_MAX) throw damaged("a Huffman tree is out of range");
  const log = highBit(sum) + 1;
  const rest = 2 ** log - sum;
  if ((rest & (rest - 1)) !== 0 || given.length > WEIGHTS_MAX) throw damaged("a Huffman tree has a gap");
  const weights = [...given, highBit(rest) + 1];
  const table = { log, symbols: new Uint8Array(2 ** log), bits: new Uint8Array(2 ** log) };
  let at = 0;
  // Symbols of the longest codes come first.
  for (let weight = 1; weight <= log; weight++)
    for (const [symbol, own] of weights.entries()) {
      if (own !== weight) continue;
      const length = 2 ** (weight - 1);
      table.symbols.fill(symbol, at, at + length);
      table.bits.fill(log + 1 - weight, at, at + length);
      at += length;
    }
  return table;
}
