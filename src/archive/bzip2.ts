/**
 * Opens bzip2, of however many streams one behind the other.
 */
import { Unpacked } from "./compression.ts";
import { ArchiveFault } from "./fault.ts";

/** What a block begins with, and what stands behind the last one: the digits of pi and of its root. */
const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const LEVEL_BYTES = 100_000;
/** Symbols that share one choice of a table. */
const GROUP = 50;
const LENGTH_MAX = 20;

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

function damaged(what: string): ArchiveFault {
  return new ArchiveFault("E_COMPRESSION", `the bzip2 data are damaged: ${what}`);
}

/** Bits, the highest of each byte first. */
class Bits {
  readonly #raw: Uint8Array;
  #at = 0;
  #hold = 0;
  #count = 0;

  constructor(raw: Uint8Array) {
    this.#raw = raw;
  }

  take(count: number): number {
    let value = 0;
    for (let left = count; left > 0; ) {
      if (this.#count === 0) {
        if (this.#at >= this.#raw.length) throw damaged("they end too early");
        this.#hold = this.#raw[this.#at++] as number;
        this.#count = 8;
      }
      const taken = Math.min(left, this.#count);
      this.#count -= taken;
      value = value * 2 ** taken + ((this.#hold >>> this.#count) & (2 ** taken - 1));
      left -= taken;
    }
    return value;
  }

  align(): void {
    this.#count = 0;
  }

  /** Whether another stream begins here. */
  get begins(): boolean {
    return this.#raw[this.#at] === 0x42 && this.#raw[this.#at + 1] === 0x5a && this.#raw[this.#at + 2] === 0x68;
  }
}

/** A canonical Huffman code: symbols by their codes, and for each length the first code and where its symbols begin. */
interface Code {
  readonly symbols: readonly number[];
  readonly firsts: Int32Array;
  readonly counts: Int32Array;
}

function codeOf(lengths: readonly number[]): Code {
  const counts = new Int32Array(LENGTH_MAX + 1);
  for (const length of lengths) counts[length] = (counts[length] as number) + 1;
  const firsts = new Int32Array(LENGTH_MAX + 1);
  for (let length = 1; length <= LENGTH_MAX; length++)
    firsts[length] = ((firsts[length - 1] as number) + (length === 1 ? 0 : (counts[length - 1] as number))) << 1;
  const symbols = lengths.map((_, symbol) => symbol).sort((one, other) => (lengths[one] as number) - (lengths[other] as number));
  return { symbols, firsts, counts };
}

function symbolOf(bits: Bits, { symbols, firsts, counts }: Code): number {
  let code = 0;
  let before = 0;
  for (let length = 1; length <= LENGTH_MAX; length++) {
    code = (code << 1) | bits.take(1);
    const place = code - (firsts[length] as number);
    const count = counts[length] as number;
    if (place < count) return symbols[before + place] as number;
    before += count;
  }
  throw damaged("a code that is not there");
}

/** The bytes that a block has at all. */
function readAlphabet(bits: Bits): number[] {
  const ranges = bits.take(16);
  const used: number[] = [];
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue;
    const within = bits.take(16);
    for (let byte = 0; byte < 16; byte++) if ((within & (0x8000 >> byte)) !== 0) used.push(16 * range + byte);
  }
  return used;
}

function moveToFront<T>(list: T[], index: number): T {
  const [item] = list.splice(index, 1);
  if (item === undefined) throw damaged("a place that is not there");
  list.unshift(item);
  return item;
}

function unary(bits: Bits, limit: number): number {
  let count = 0;
  while (bits.take(1) === 1) if (++count >= limit) throw damaged("a choice that is not there");
  return count;
}

/** The tables of a block, and which of them each group of symbols uses. */
function readTables(bits: Bits, alphabet: number): { readonly codes: readonly Code[]; readonly choices: readonly number[] } {
  const tables = bits.take(3);
  if (tables < 2 || tables > 6) throw damaged("a number of tables that cannot be");
  const count = bits.take(15);
  const order = Array.from({ length: tables }, (_, at) => at);
  const choices = Array.from({ length: count }, () => moveToFront(order, unary(bits, tables)));
  const codes = Array.from({ length: tables }, () => {
    let length = bits.take(5);
    return codeOf(
      Array.from({ length: alphabet }, () => {
        while (bits.take(1) === 1) length += bits.take(1) === 0 ? 1 : -1;
        if (length < 1 || length > LENGTH_MAX) throw damaged("a length that cannot be");
        return length;
      }),
    );
  });
  return { codes, choices };
}

/** The last column of the sorted rotations. */
function readColumn(bits: Bits, size: number): Uint8Array {
  const bytes = readAlphabet(bits);
  const end = bytes.length + 1;
  const { codes, choices } = readTables(bits, bytes.length + 2);
  const column = new Uint8Array(size);
  let filled = 0;
  let run = 0;
  let weight = 1;
  for (let at = 0; ; at++) {
    const code = codes[choices[Math.floor(at / GROUP)] ?? -1];
    if (code === undefined) throw damaged("a block without an end");
    const symbol = symbolOf(bits, code);
    if (symbol < 2) {
      run += weight << symbol;
      weight *= 2;
      if (filled + run > size) throw damaged("a block that is too long");
      continue;
    }
    if (run > 0) column.fill(bytes[0] ?? 0, filled, filled + run);
    filled += run;
    run = 0;
    weight = 1;
    if (symbol === end) return column.subarray(0, filled);
    if (filled >= size) throw damaged("a block that is too long");
    column[filled++] = moveToFront(bytes, symbol - 1);
  }
}

/** What was sorted (Burrows and Wheeler), with its runs still as they were shortened. */
function unsorted(column: Uint8Array, origin: number): Uint8Array {
  if (origin >= column.length) throw damaged("an origin beyond the block");
  const starts = new Uint32Array(257);
  for (const byte of column) starts[byte + 1] = (starts[byte + 1] as number) + 1;
  for (let byte = 0; byte < 256; byte++) starts[byte + 1] = (starts[byte + 1] as number) + (starts[byte] as number);
  const next = new Uint32Array(column.length);
  for (const [at, byte] of column.entries()) {
    const place = starts[byte] as number;
    next[place] = at;
    starts[byte] = place + 1;
  }
  let at = next[origin] as number;
  return column.map(() => {
    const byte = column[at] as number;
    at = next[at] as number;
    return byte;
  });
}

/** Lengthens the runs: a byte behind four equal ones tells how many more there are. */
function lengthened(bytes: Uint8Array): Uint8Array {
  let total = 0;
  const each = (put: (byte: number, count: number) => void): void => {
    let equal = 0;
    let last = -1;
    for (const byte of bytes) {
      if (equal === 4) {
        put(last, byte);
        equal = 0;
        last = -1;
        continue;
      }
      equal = byte === last ? equal + 1 : 1;
      last = byte;
      put(byte, 1);
    }
  };
  each((_, count) => {
    total += count;
  });
  const out = new Uint8Array(total);
  let at = 0;
  each((byte, count) => {
    out.fill(byte, at, at + count);
    at += count;
  });
  return out;
}

function checksum(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 255] as number);
  return ~crc >>> 0;
}

function unpackStream(bits: Bits, unpacked: Unpacked): void {
  bits.take(24);
  const level = bits.take(8) - 0x30;
  if (level < 1 || level > 9) throw damaged("a size of blocks that cannot be");
  for (;;) {
    const magic = bits.take(48);
    const sum = bits.take(32);
    if (magic === END_MAGIC) break;
    if (magic !== BLOCK_MAGIC) throw damaged("no block where one should be");
    if (bits.take(1) === 1) throw damaged("blocks are shuffled, as nobody does any more");
    const origin = bits.take(24);
    const column = readColumn(bits, level * LEVEL_BYTES);
    const out = lengthened(column.length === 0 ? column : unsorted(column, origin));
    if (checksum(out) !== sum) throw damaged("a wrong checksum");
    unpacked.add(out);
  }
  bits.align();
}

/** Opens bzip2 data. @throws ArchiveFault */
export function unpackBzip2(raw: Uint8Array): Unpacked {
  const unpacked = new Unpacked(raw.length);
  const bits = new Bits(raw);
  do unpackStream(bits, unpacked);
  while (bits.begins);
  return unpacked;
}
