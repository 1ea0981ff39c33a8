/**
 * Opens Zstandard frames (RFC 8878), for machines whose own libraries cannot.
 *
 * Limits: windows of up to 128 MiB, as zstd itself has it; no dictionaries. A frame's checksum is not looked at: a layer is held to its digest anyhow.
 * What comes out is held to the limits of all compressed data, piece by piece.
 */
import type { Content } from "../../sim/core/content.ts";
import { Unpacked } from "./compression.ts";
import { ArchiveFault } from "./fault.ts";
import {
  BackwardBits,
  damaged,
  type FseTable,
  fseTable,
  type HuffmanTable,
  readFseTable,
  readHuffman,
  rleTable,
} from "./zstd-tables.ts";

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
const BLOCK_MAX = 2 ** 17;
const WINDOW_MAX = 2 ** 27;
/** Up to this many bytes a loop copies faster than the array itself. */
const LOOP_MAX = 32;

/** Where a code's values begin, and how many bits tell which one it is (RFC 8878, tables 16 and 17). */
interface Codes {
  readonly base: readonly number[];
  readonly bits: readonly number[];
}

function codesOf(first: number, plain: number, bits: readonly number[]): Codes {
  const all = [...new Array<number>(plain).fill(0), ...bits];
  let at = first;
  const base = all.map((width) => {
    const own = at;
    at += 2 ** width;
    return own;
  });
  return { base, bits: all };
}

const LITERAL_LENGTHS = codesOf(0, 16, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const MATCH_LENGTHS = codesOf(3, 32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const OFFSET_CODE_MAX = 31;

/** What each of the three codes of sequences is read by: its default distribution, and the limits of another. */
const KINDS = [
  {
    counts: [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    log: 6,
    limit: { symbols: 36, log: 9 },
  },
  {
    counts: [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    log: 5,
    limit: { symbols: 32, log: 8 },
  },
  {
    counts: [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    log: 6,
    limit: { symbols: 53, log: 9 },
  },
] as const;

/** A frame under way. */
interface Frame {
  readonly raw: Uint8Array;
  /** The last `window` bytes that came out, and room for a block. */
  readonly room: Uint8Array;
  readonly window: number;
  /** Bytes in `room`. */
  filled: number;
  huffman: HuffmanTable | undefined;
  /** Of literal lengths, offsets and match lengths. */
  readonly tables: [FseTable | undefined, FseTable | undefined, FseTable | undefined];
  readonly repeats: [number, number, number];
}

/** Opens all frames. @throws ArchiveFault */
export function unpackZstd(content: Content): Content {
  const raw = content.toBytes();
  const unpacked = new Unpacked(raw.length);
  for (let at = 0; at < raw.length; ) {
    const magic = little(raw, at, 4);
    if (magic === MAGIC) at = unpackFrame(raw, at + 4, unpacked);
    else if (magic - (magic % 16) === SKIPPABLE) at += 8 + little(raw, at + 4, 4);
    else throw damaged("a frame does not begin as frames do");
    if (at > raw.length) throw damaged("the data end within a frame");
  }
  return unpacked.content;
}

/** A number of so many bytes, the lowest first; beyond 2^53 not to the last digit. */
function little(raw: Uint8Array, at: number, length: number): number {
  if (at + length > raw.length) throw damaged("the data end within a frame");
  let value = 0;
  for (let index = length - 1; index >= 0; index--) value = value * 256 + (raw[at + index] as number);
  return value;
}

/** What a frame's header says, and where its blocks begin. */
function readHeader(
  raw: Uint8Array,
  start: number,
): { readonly window: number; readonly at: number; readonly checksum: boolean } {
  const descriptor = little(raw, start, 1);
  if ((descriptor & 8) !== 0) throw damaged("a frame has a feature that does not exist");
  const single = (descriptor & 0x20) !== 0;
  let at = start + 1;
  let window = Number.POSITIVE_INFINITY;
  if (!single) {
    const byte = little(raw, at++, 1);
    const base = 2 ** (10 + (byte >> 3));
    window = base + (base / 8) * (byte & 7);
    if (window > WINDOW_MAX)
      throw new ArchiveFault("E_COMPRESSION", `the zstd data need a window of more than ${WINDOW_MAX} bytes`);
  }
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  if (dictionary > 0 && little(raw, at, dictionary) !== 0)
    throw new ArchiveFault("E_COMPRESSION", "the zstd data need a dictionary");
  at += dictionary;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  // No more can be looked back on than there is.
  if (sizeBytes > 0) window = Math.min(window, little(raw, at, sizeBytes) + (sizeBytes === 2 ? 256 : 0));
  if (window > WINDOW_MAX)
    throw new ArchiveFault("E_COMPRESSION", `the zstd data need a window of more than ${WINDOW_MAX} bytes`);
  return { window, at: at + sizeBytes, checksum: (descriptor & 4) !== 0 };
}

function unpackFrame(raw: Uint8Array, start: number, unpacked: Unpacked): number {
  const { window, at: blocks, checksum } = readHeader(raw, start);
  let at = blocks;
  const frame: Frame = {
    raw,
    room: new Uint8Array(window + 2 * BLOCK_MAX),
    window,
    filled: 0,
    huffman: undefined,
    tables: [undefined, undefined, undefined],
    repeats: [1, 4, 8],
  };
  for (let last = false; !last; ) {
    const header = little(raw, at, 3);
    last = (header & 1) !== 0;
    at = unpackBlock(frame, { type: (header >> 1) & 3, size: header >> 3, at: at + 3 }, unpacked);
  }
  return at + (checksum ? 4 : 0);
}

interface Block {
  readonly type: number;
  readonly size: number;
  readonly at: number;
}

function unpackBlock(frame: Frame, { type, size, at }: Block, unpacked: Unpacked): number {
  const { raw, room, window } = frame;
  if (size > BLOCK_MAX || type === 3) throw damaged("a block is none");
  const end = at + (type === 1 ? 1 : size);
  if (end > raw.length) throw damaged("the data end within a block");
  if (frame.filled + BLOCK_MAX > room.length) {
    room.copyWithin(0, frame.filled - window, frame.filled);
    frame.filled = window;
  }
  const start = frame.filled;
  if (type === 0) putLiterals(frame, raw, at, end);
  else if (type === 1) putLiterals(frame, new Uint8Array(size).fill(raw[at] as number), 0, size);
  else unpackSequences(frame, { at, end, start });
  if (frame.filled > start) unpacked.add(room.slice(start, frame.filled));
  return end;
}

function putLiterals(frame: Frame, bytes: Uint8Array, start: number, end: number): void {
  const { room, filled } = frame;
  const length = end - start;
  if (filled + length > room.length) throw damaged("a block is too long");
  if (length > LOOP_MAX) room.set(bytes.subarray(start, end), filled);
  else for (let at = 0; at < length; at++) room[filled + at] = bytes[start + at] as number;
  frame.filled += length;
}

// Literals

function readLiterals(frame: Frame, at: number, blockEnd: number): { readonly bytes: Uint8Array; readonly end: number } {
  const { raw } = frame;
  const first = little(raw, at, 1);
  const type = first & 3;
  const format = (first >> 2) & 3;
  if (type < 2) {
    const width = format === 1 ? 2 : format === 3 ? 3 : 1;
    const size = Math.floor(little(raw, at, width) / (width === 1 ? 8 : 16));
    const from = at + width;
    if (size > BLOCK_MAX) throw damaged("a block has too many literals");
    if (type === 1) return { bytes: new Uint8Array(size).fill(little(raw, from, 1)), end: from + 1 };
    if (from + size > blockEnd) throw damaged("literals are longer than their block");
    return { bytes: raw.subarray(from, from + size), end: from + size };
  }
  const width = Math.max(3, format + 2);
  const digits = format < 2 ? 10 : format === 2 ? 14 : 18;
  const packed = Math.floor(little(raw, at, width) / 16);
  const size = packed % 2 ** digits;
  const end = at + width + Math.floor(packed / 2 ** digits);
  if (size > BLOCK_MAX || end > blockEnd) throw damaged("literals are longer than their block");
  let from = at + width;
  if (type === 2) {
    const tree = readHuffman(raw, from);
    frame.huffman = tree.table;
    from = tree.end;
  }
  if (frame.huffman === undefined || from > end) throw damaged("literals have no Huffman tree");
  const bytes = new Uint8Array(size);
  if (format === 0) readStream(frame.huffman, new BackwardBits(raw, from, end), bytes);
  else readFourStreams(frame.huffman, { raw, from, end }, bytes);
  return { bytes, end };
}

function readFourStreams(
  table: HuffmanTable,
  { raw, from, end }: { raw: Uint8Array; from: number; end: number },
  bytes: Uint8Array,
): void {
  const quarter = (bytes.length + 3) >> 2;
  let at = from + 6;
  for (let stream = 0; stream < 4; stream++) {
    const until = stream === 3 ? end : at + little(raw, from + 2 * stream, 2);
    if (until > end || quarter * stream > bytes.length) throw damaged("a stream of literals is too long");
    readStream(
      table,
      new BackwardBits(raw, at, until),
      bytes.subarray(quarter * stream, stream === 3 ? bytes.length : quarter * (stream + 1)),
    );
    at = until;
  }
}

function readStream({ log, symbols, bits }: HuffmanTable, stream: BackwardBits, bytes: Uint8Array): void {
  const mask = 2 ** log - 1;
  let state = stream.read(log);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = symbols[state] as number;
    const width = bits[state] as number;
    state = ((state << width) & mask) | stream.read(width);
  }
  if (stream.left !== -log) throw damaged("a stream of literals has another length");
}

// Sequences

function readTables(frame: Frame, start: number): number {
  const modes = little(frame.raw, start, 1);
  if ((modes & 3) !== 0) throw damaged("a block's sequences have a feature that does not exist");
  let at = start + 1;
  for (const [index, { counts, log, limit }] of KINDS.entries()) {
    const mode = (modes >> (6 - 2 * index)) & 3;
    if (mode === 0) frame.tables[index] = fseTable(counts, log);
    else if (mode === 1) {
      const symbol = little(frame.raw, at++, 1);
      if (symbol >= limit.symbols) throw damaged("a code is none");
      frame.tables[index] = rleTable(symbol);
    } else if (mode === 2) {
      const { table, end } = readFseTable(frame.raw, at, limit);
      frame.tables[index] = table;
      at = end;
    } else if (frame.tables[index] === undefined) throw damaged("a block repeats a table that was not there");
  }
  return at;
}

function unpackSequences(frame: Frame, block: { readonly at: number; readonly end: number; readonly start: number }): void {
  const { raw } = frame;
  const { bytes: literals, end } = readLiterals(frame, block.at, block.end);
  const first = little(raw, end, 1);
  let at = end + (first < 128 ? 1 : first < 255 ? 2 : 3);
  const count =
    first < 128 ? first : first < 255 ? (first - 128) * 256 + little(raw, end + 1, 1) : little(raw, end + 1, 2) + 0x7f00;
  let used = 0;
  if (count > 0) {
    at = readTables(frame, at);
    const [lengths, offsets, matches] = frame.tables as [FseTable, FseTable, FseTable];
    const stream = new BackwardBits(raw, at, block.end);
    let length = stream.read(lengths.log);
    let offset = stream.read(offsets.log);
    let match = stream.read(matches.log);
    for (let left = count; left > 0; left--) {
      const code = offsets.symbols[offset] as number;
      if (code > OFFSET_CODE_MAX) throw damaged("an offset is out of range");
      const value = 2 ** code + stream.read(code);
      const matched = lengthOf(MATCH_LENGTHS, matches.symbols[match] as number, stream);
      const copied = lengthOf(LITERAL_LENGTHS, lengths.symbols[length] as number, stream);
      if (used + copied > literals.length) throw damaged("sequences take more literals than there are");
      putLiterals(frame, literals, used, used + copied);
      used += copied;
      putMatch(frame, offsetOf(frame.repeats, value, copied), matched);
      if (frame.filled - block.start > BLOCK_MAX) throw damaged("a block is too long");
      if (left === 1) break;
      length = (lengths.base[length] as number) + stream.read(lengths.bits[length] as number);
      match = (matches.base[match] as number) + stream.read(matches.bits[match] as number);
      offset = (offsets.base[offset] as number) + stream.read(offsets.bits[offset] as number);
    }
    if (stream.left !== 0) throw damaged("a stream of sequences has another length");
  }
  putLiterals(frame, literals, used, literals.length);
}

function lengthOf({ base, bits }: Codes, code: number, stream: BackwardBits): number {
  const from = base[code];
  if (from === undefined) throw damaged("a length is out of range");
  return from + stream.read(bits[code] as number);
}

/** An offset, or one of the last three by its place. */
function offsetOf(repeats: [number, number, number], value: number, literals: number): number {
  if (value > 3) {
    repeats.splice(0, 3, value - 3, repeats[0], repeats[1]);
    return value - 3;
  }
  const place = value - 1 + (literals === 0 ? 1 : 0);
  const offset = place === 3 ? repeats[0] - 1 : (repeats[place] as number);
  if (place > 1) repeats[2] = repeats[1];
  if (place > 0) repeats[1] = repeats[0];
  repeats[0] = offset;
  return offset;
}

function putMatch(frame: Frame, offset: number, length: number): void {
  const { room } = frame;
  const from = frame.filled - offset;
  if (offset <= 0 || from < 0 || offset > Math.max(frame.window, BLOCK_MAX))
    throw damaged("an offset leads before the beginning");
  if (frame.filled + length > room.length) throw damaged("a block is too long");
  if (offset >= length && length > LOOP_MAX) room.copyWithin(frame.filled, from, from + length);
  else for (let at = 0; at < length; at++) room[frame.filled + at] = room[from + at] as number;
  frame.filled += length;
}
