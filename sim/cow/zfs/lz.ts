/**
 * How long bytes become by LZ4 and LZJB, the compressors of ZFS: the same searches as theirs, but only the length is made.
 *
 * LZ4 as OpenZFS has it (module/zfs/lz4.c, format of 2012): greedy, matches of at least 4 bytes found through a hash of the last place of each
 * 4 bytes, a step that grows where nothing matches; 4 bytes of length stand before it. LZJB (module/zfs/lzjb.c): matches of 3 to 66 bytes
 * within 1 KiB.
 */

const LZ4_MIN_MATCH = 4;
/** A match ends at least this far before the end, and none begins behind 12 bytes before it. */
const LZ4_LAST_LITERALS = 5;
const LZ4_MATCH_LIMIT = 12;
const LZ4_DISTANCE_MAX = 65_535;
const LZ4_HASH_BITS = 13;
const LZ4_SKIP_STRENGTH = 6;
/** ZFS writes the compressed length before it. */
const LZ4_HEADER = 4;

/** Where the bytes of each hash were seen last: a place behind `base`, so that the table need not be cleared for each block, which cost more than a short block. */
const table = new Int32Array(1 << LZ4_HASH_BITS);
let base = 1;
const BASE_MAX = 2 ** 30;

/** Bytes that a length takes beside the token: none below the limit, which is less than 255. */
function lengthBytes(length: number, limit: number): number {
  return 1 + Math.floor((length - limit) / 255);
}

function hashOf(value: number): number {
  return Math.imul(value, 2654435761) >>> (32 - LZ4_HASH_BITS);
}

/** The next place from `from` on whose 4 bytes were seen within reach; 0 when there is none before `limit`: none begins at the first byte. */
function findMatch(words: DataView, from: number, limit: number): number {
  let attempts = (1 << LZ4_SKIP_STRENGTH) + 3;
  for (let at = from; at <= limit; ) {
    const value = words.getInt32(at, true);
    const slot = hashOf(value);
    const known = (table[slot] as number) - base;
    table[slot] = base + at;
    if (known >= 0 && at - known <= LZ4_DISTANCE_MAX && words.getInt32(known, true) === value) {
      candidate = known;
      return at;
    }
    at += attempts++ >> LZ4_SKIP_STRENGTH;
  }
  return 0;
}

/** Where the match that findMatch found begins. */
let candidate = 0;

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

/** Bytes of the LZ4 form of the first `length` bytes, which are zeros from `used` on, with ZFS's header. O(used), mostly. */
export function lz4Length(raw: Uint8Array, length: number, used: number = length): number {
  if (base > BASE_MAX) {
    table.fill(0);
    base = 1;
  }
  const words = new DataView(raw.buffer, raw.byteOffset, length);
  const limit = length - LZ4_MATCH_LIMIT;
  let out = LZ4_HEADER;
  let anchor = 0;
  let at = findMatch(words, 0, limit);
  while (at > 0) {
    let known = candidate;
    while (at > anchor && raw[at - 1] === raw[known - 1]) {
      at--;
      known--;
    }
    const end = endOfMatch(words, at + LZ4_MIN_MATCH, at - known, used);
    out += 3 + lengthBytes(at - anchor, 15) + lengthBytes(end - at - LZ4_MIN_MATCH, 15) + (at - anchor);
    anchor = end;
    if (end > limit) break;
    table[hashOf(words.getInt32(end - 2, true))] = base + end - 2;
    at = findMatch(words, end, limit);
  }
  base += length;
  const rest = length - anchor;
  return out + 1 + lengthBytes(rest, 15) + rest;
}

const LZJB_MIN_MATCH = 3;
const LZJB_MAX_MATCH = 66;
const LZJB_REACH = 1024;
const LZJB_TABLE = 1024;
const lempel = new Uint16Array(LZJB_TABLE);

/** Bytes of the LZJB form of the first `length` bytes. */
export function lzjbLength(raw: Uint8Array, length: number): number {
  lempel.fill(0);
  let out = 0;
  let items = 0;
  for (let at = 0; at < length; items++) {
    if (items % 8 === 0) out += 1;
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
