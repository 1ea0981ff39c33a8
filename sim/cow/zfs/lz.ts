/**
 * How long bytes become by LZ4 and LZJB, the compressors of ZFS: the same searches as theirs, but only the length is made.
 *
 * LZ4 as OpenZFS has it (module/zfs/lz4.c, since 2.2 lz4_zfs.c; the compressor of December 2012): greedy, matches of at least 4 bytes found through a
 * hash of the last place of each 4 bytes, a step that grows where nothing matches; 4 bytes of length stand before it. LZJB (module/zfs/lzjb.c): matches
 * of 3 to 66 bytes within 1 KiB.
 *
 * Interface: a compressor is told how much room there is, and gives up, as theirs do, a few bytes before it is full: NOT_COMPRESSED.
 */

/** What came of a block that would not fit into its room. */
export const NOT_COMPRESSED = 0;

const LZ4_MIN_MATCH = 4;
/** A match ends at least this far before the end, and none is looked for behind 12 bytes before it. */
const LZ4_LAST_LITERALS = 5;
const LZ4_MATCH_LIMIT = 12;
const LZ4_DISTANCE_MAX = 65_535;
/** Shorter blocks have a table of twice as many places, of half as many bits each: every place of theirs can be told in it (LZ4_compress64kCtx). */
const LZ4_SHORT_LIMIT: number = 2 ** 16 + LZ4_MATCH_LIMIT - 1;
const LZ4_SHORT_HASH_BITS = 13;
const LZ4_HASH_BITS = 12;
const LZ4_SKIP_STRENGTH = 6;
const LZ4_ATTEMPTS: number = (1 << LZ4_SKIP_STRENGTH) + 3;
/** ZFS writes the compressed length before it. */
const LZ4_HEADER = 4;

/** Where the bytes of each hash were seen last: a place behind `base`, so that the table need not be cleared for each block, which cost more than a short block. */
const table = new Int32Array(1 << LZ4_SHORT_HASH_BITS);
let base = 1;
const BASE_MAX = 2 ** 30;

/** Bytes that a length takes beside the token: none below 15. */
function lengthBytes(length: number): number {
  return 1 + Math.floor((length - 15) / 255);
}

/** A block whose matches are looked for. */
interface Packed {
  readonly words: DataView;
  /** What a hash is shifted by. */
  readonly shift: number;
  /** The last place at which a match is looked for. */
  readonly limit: number;
}

/** Where the match begins that was found last. */
let candidate = 0;

/** Notes that a place has been seen. @returns whether its 4 bytes were seen before, within reach: at `candidate`. */
function isSeen({ words, shift }: Packed, at: number): boolean {
  const value = words.getInt32(at, true);
  const slot = Math.imul(value, 2654435761) >>> shift;
  candidate = (table[slot] as number) - base;
  table[slot] = base + at;
  return candidate >= 0 && at - candidate <= LZ4_DISTANCE_MAX && words.getInt32(candidate, true) === value;
}

/** The next place from `from` on whose 4 bytes were seen; -1 when the step behind it would lead beyond the limit. */
function findMatch(block: Packed, from: number): number {
  let attempts = LZ4_ATTEMPTS;
  for (let at = from; ; ) {
    const next = at + (attempts++ >> LZ4_SKIP_STRENGTH);
    if (next > block.limit) return -1;
    if (isSeen(block, at)) return at;
    at = next;
  }
}

/** The first place from `from` on whose byte differs from that `distance` before it, or where a match has to end; all is zeros from `used` on. */
function endOfMatch(words: DataView, from: number, distance: number, used: number): number {
  const matchEnd = words.byteLength - LZ4_LAST_LITERALS;
  // From here on zeros are compared with zeros.
  const walkEnd = Math.min(matchEnd, used + distance);
  let end = from;
  while (end + 4 <= walkEnd && words.getInt32(end, true) === words.getInt32(end - distance, true)) end += 4;
  while (end < walkEnd && words.getUint8(end) === words.getUint8(end - distance)) end++;
  return end < walkEnd ? end : matchEnd;
}

/**
 * Bytes of the LZ4 form of the first `length` bytes, which are zeros from `used` on, with ZFS's header. O(used), mostly.
 * @param room - bytes that it may take.
 */
export function lz4Length(raw: Uint8Array, length: number, room: number, used: number = length): number {
  if (base > BASE_MAX) {
    table.fill(0);
    base = 1;
  }
  const words = new DataView(raw.buffer, raw.byteOffset, length);
  const shift = 32 - (length < LZ4_SHORT_LIMIT ? LZ4_SHORT_HASH_BITS : LZ4_HASH_BITS);
  const made = sequencesLength({ words, shift, limit: length - LZ4_MATCH_LIMIT }, raw, room - LZ4_HEADER, used);
  base += length;
  return made < 0 ? NOT_COMPRESSED : LZ4_HEADER + made;
}

/** Bytes of all sequences of a block: a token, literals, a distance and a length each. @returns -1 when they do not fit into `room`. */
function sequencesLength(block: Packed, raw: Uint8Array, room: number, used: number): number {
  const { words, limit } = block;
  let out = 0;
  let anchor = 0;
  if (limit > 0) isSeen(block, 0);
  for (let at = findMatch(block, 1); at >= 0; at = findMatch(block, anchor + 1)) {
    while (at > anchor && candidate > 0 && raw[at - 1] === raw[candidate - 1]) {
      at--;
      candidate--;
    }
    const literals = at - anchor;
    if (out + 1 + literals + 3 + LZ4_LAST_LITERALS + (literals >> 8) > room) return -1;
    out += literals + lengthBytes(literals);
    // A match that the next one follows at once needs no search, and has no literals.
    for (let isNext = true; isNext; at = anchor) {
      const from = at + LZ4_MIN_MATCH;
      anchor = endOfMatch(words, from, at - candidate, used);
      const length = anchor - from;
      if (out + 3 + 1 + LZ4_LAST_LITERALS + (length >> 8) > room) return -1;
      out += 3 + lengthBytes(length);
      if (anchor > limit) return lastLiterals(out, words.byteLength - anchor, room);
      isSeen(block, anchor - 2);
      isNext = isSeen(block, anchor);
    }
  }
  return lastLiterals(out, words.byteLength - anchor, room);
}

/** With the literals that end a block. */
function lastLiterals(out: number, literals: number, room: number): number {
  if (out + literals + 1 + Math.floor((literals + 240) / 255) > room) return -1;
  return out + 1 + lengthBytes(literals) + literals;
}

const LZJB_MIN_MATCH = 3;
const LZJB_MAX_MATCH = 66;
const LZJB_REACH = 1024;
const LZJB_TABLE = 1024;
/** A map and its eight items at their longest. */
const LZJB_MAP_BYTES = 17;
const lempel = new Uint16Array(LZJB_TABLE);

/** Bytes of the LZJB form of the first `length` bytes. @param room - bytes that it may take: a map is begun only where all of its items fit. */
export function lzjbLength(raw: Uint8Array, length: number, room: number): number {
  lempel.fill(0);
  let out = 0;
  let items = 0;
  for (let at = 0; at < length; items++) {
    if (items % 8 === 0) {
      if (out >= room - LZJB_MAP_BYTES) return NOT_COMPRESSED;
      out += 1;
    }
    if (at > length - LZJB_MAX_MATCH) {
      out += 1;
      at += 1;
      continue;
    }
    const [one, two, three] = [raw[at] as number, raw[at + 1] as number, raw[at + 2] as number];
    let hash = (one << 16) + (two << 8) + three;
    hash += hash >> 9;
    hash += hash >> 5;
    const slot = hash & (LZJB_TABLE - 1);
    const offset = (at - (lempel[slot] as number)) & (LZJB_REACH - 1);
    lempel[slot] = at & 0xffff;
    const known = at - offset;
    const matches = known >= 0 && known !== at && one === raw[known] && two === raw[known + 1] && three === raw[known + 2];
    if (!matches) {
      out += 1;
      at += 1;
      continue;
    }
    let match = LZJB_MIN_MATCH;
    while (match < LZJB_MAX_MATCH && raw[at + match] === raw[known + match]) match++;
    out += 2;
    at += match;
  }
  return out;
}

/** Zero bytes that one byte of ZLE stands for at most, and others that follow one at most (zle.c, with the level 64 of zio_compress_table). */
const ZLE_ZEROS_MAX = 192;
const ZLE_OTHERS_MAX = 64;

/** Bytes of the ZLE form of the first `length` bytes: a byte for a run of zeros; a byte and the bytes themselves for what two zeros end. */
export function zleLength(raw: Uint8Array, length: number, room: number): number {
  let out = 0;
  let at = 0;
  while (at < length && out < room - 1) {
    const first = at;
    out += 1;
    if (raw[at] === 0) {
      const end = Math.min(length, first + ZLE_ZEROS_MAX);
      while (at < end && raw[at] === 0) at++;
      continue;
    }
    if (room - out < ZLE_OTHERS_MAX) break;
    const last = Math.min(length, first + ZLE_OTHERS_MAX) - 1;
    while (at < last && (raw[at] !== 0 || raw[at + 1] !== 0)) at++;
    if (raw[at] !== 0) at++;
    out += at - first;
  }
  return at === length ? out : NOT_COMPRESSED;
}
