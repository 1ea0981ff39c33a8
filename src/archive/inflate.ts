/**
 * Opens gzip (RFC 1951, RFC 1952), of however many members, where no zlib is at hand or nobody can wait for one.
 */
import { Unpacked } from "./compression.ts";
import { crc32 } from "./crc32.ts";
import { ArchiveFault } from "./fault.ts";
import { Sink } from "./sink.ts";

const WINDOW = 2 ** 15;
const TRAILER = 8;
/** Flags of a member's header. */
const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;

const LENGTH_BASES: readonly number[] = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_BITS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASES: readonly number[] = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289,
  16385, 24577,
];
/** In which order the lengths of the code of lengths stand. */
const ORDER: readonly number[] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const END_OF_BLOCK = 256;

function damaged(what: string): ArchiveFault {
  return new ArchiveFault("E_COMPRESSION", `the gzip data are damaged: ${what}`);
}

/** Bits, the lowest of each byte first. */
class Bits {
  at: number;
  readonly #raw: Uint8Array;
  #hold = 0;
  #count = 0;

  constructor(raw: Uint8Array, at: number) {
    this.#raw = raw;
    this.at = at;
  }

  take(count: number): number {
    while (this.#count < count) {
      if (this.at >= this.#raw.length) throw damaged("they end too early");
      this.#hold |= (this.#raw[this.at++] as number) << this.#count;
      this.#count += 8;
    }
    const value = this.#hold & ((1 << count) - 1);
    this.#hold >>>= count;
    this.#count -= count;
    return value;
  }

  symbol({ table, longest }: Code): number {
    while (this.#count < longest && this.at < this.#raw.length) {
      this.#hold |= (this.#raw[this.at++] as number) << this.#count;
      this.#count += 8;
    }
    const entry = table[this.#hold & ((1 << longest) - 1)] as number;
    const length = entry & 15;
    if (length === 0 || length > this.#count) throw damaged("a code that is not there");
    this.#hold >>>= length;
    this.#count -= length;
    return entry >>> 4;
  }

  /** Goes to the next whole byte, and gives back what was read beyond it. */
  align(): void {
    this.at -= this.#count >>> 3;
    this.#hold = 0;
    this.#count = 0;
  }
}

/** A Huffman code: for each pattern of `longest` bits the symbol, and in the lowest four bits its length. */
interface Code {
  readonly table: Uint16Array;
  readonly longest: number;
}

function codeOf(lengths: Uint8Array): Code {
  const longest = Math.max(1, ...lengths);
  const table = new Uint16Array(2 ** longest);
  let next = 0;
  for (let length = 1; length <= longest; length++) {
    for (const [symbol, wanted] of lengths.entries()) {
      if (wanted !== length) continue;
      if (next >= 2 ** length) throw damaged("more symbols than codes");
      for (let at = reversed(next, length); at < table.length; at += 2 ** length) table[at] = (symbol << 4) | length;
      next += 1;
    }
    next <<= 1;
  }
  return { table, longest };
}

function reversed(code: number, length: number): number {
  let out = 0;
  for (let bit = 0; bit < length; bit++) out |= ((code >>> bit) & 1) << (length - 1 - bit);
  return out;
}

/** The codes that a block need not bring along. */
const FIXED_LENGTHS: Code = codeOf(Uint8Array.from({ length: 288 }, (_, at) => (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : 8)));
const FIXED_DISTANCES: Code = codeOf(new Uint8Array(30).fill(5));

function readCodes(bits: Bits): { readonly symbols: Code; readonly distances: Code } {
  const symbols = bits.take(5) + 257;
  const distances = bits.take(5) + 1;
  const count = bits.take(4) + 4;
  const ofLengths = new Uint8Array(19);
  for (const place of ORDER.slice(0, count)) ofLengths[place] = bits.take(3);
  const code = codeOf(ofLengths);
  const lengths = new Uint8Array(symbols + distances);
  for (let at = 0; at < lengths.length; ) {
    const symbol = bits.symbol(code);
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    const repeats = symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
    if (at + repeats > lengths.length || (symbol === 16 && at === 0)) throw damaged("lengths of codes that nobody has");
    lengths.fill(symbol === 16 ? (lengths[at - 1] as number) : 0, at, at + repeats);
    at += repeats;
  }
  return { symbols: codeOf(lengths.subarray(0, symbols)), distances: codeOf(lengths.subarray(symbols)) };
}

function inflateBlock(bits: Bits, codes: { readonly symbols: Code; readonly distances: Code }, sink: Sink): void {
  for (;;) {
    const symbol = bits.symbol(codes.symbols);
    if (symbol < END_OF_BLOCK) sink.put(symbol);
    else if (symbol === END_OF_BLOCK) return;
    else {
      const base = LENGTH_BASES[symbol - 257];
      if (base === undefined) throw damaged("a length that is not there");
      const length = base + bits.take(LENGTH_BITS[symbol - 257] ?? 0);
      const code = bits.symbol(codes.distances);
      const distance = DISTANCE_BASES[code];
      if (distance === undefined) throw damaged("a distance that is not there");
      sink.repeat(distance + bits.take(code < 2 ? 0 : (code >> 1) - 1), length);
    }
  }
}

/** Puts out the data that begin at `at`. @returns where they end */
function inflate(raw: Uint8Array, at: number, sink: Sink): number {
  const bits = new Bits(raw, at);
  for (let last = false; !last; ) {
    last = bits.take(1) === 1;
    const type = bits.take(2);
    if (type === 0) {
      bits.align();
      const length = bits.take(16);
      if ((bits.take(16) ^ 0xffff) !== length) throw damaged("a length that does not agree");
      bits.align();
      if (bits.at + length > raw.length) throw damaged("they end too early");
      sink.putAll(raw.subarray(bits.at, bits.at + length));
      bits.at += length;
    } else if (type === 1) inflateBlock(bits, { symbols: FIXED_LENGTHS, distances: FIXED_DISTANCES }, sink);
    else if (type === 2) inflateBlock(bits, readCodes(bits), sink);
    else throw damaged("a block of no known kind");
  }
  bits.align();
  return bits.at;
}

/** Where a member's data begin. */
function afterHeader(raw: Uint8Array, start: number): number {
  const flags = raw[start + 3] ?? 0;
  let at = start + 10;
  if ((flags & FEXTRA) !== 0) at += 2 + (raw[at] ?? 0) + 256 * (raw[at + 1] ?? 0);
  for (const flag of [FNAME, FCOMMENT]) {
    if ((flags & flag) === 0) continue;
    const end = raw.indexOf(0, at);
    if (end < 0) throw damaged("they end too early");
    at = end + 1;
  }
  return (flags & FHCRC) === 0 ? at : at + 2;
}

/** Opens gzip data. Zeros may stand behind them. @throws ArchiveFault */
export function gunzip(raw: Uint8Array, unpacked: Unpacked = new Unpacked(raw.length)): Unpacked {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  for (let at = 0; at === 0 || (raw[at] === 0x1f && raw[at + 1] === 0x8b); ) {
    if (raw[at + 2] !== 8) throw damaged("no known way to compress");
    let sum = 0;
    const sink = new Sink(unpacked, WINDOW, (piece) => {
      sum = crc32(piece, sum);
    });
    const end = inflate(raw, afterHeader(raw, at), sink);
    const { total } = sink;
    sink.end();
    if (end + TRAILER > raw.length) throw damaged("they end too early");
    if (view.getUint32(end, true) !== sum || view.getUint32(end + 4, true) !== total >>> 0) throw damaged("a wrong checksum");
    at = end + TRAILER;
  }
  return unpacked;
}
