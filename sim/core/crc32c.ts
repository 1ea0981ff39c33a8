/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) over 32-bit little-endian words, four tables at a time, as lib/crc32.c does it.
 */
const POLYNOMIAL = 0x82f63b78;

/** Four tables of 256 words: table n holds the CRC of a byte followed by n zero bytes. */
function makeTables(): Uint32Array {
  const tables = new Uint32Array(1024);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let at = 256; at < 1024; at++) {
    const before = tables[at - 256] as number;
    tables[at] = (before >>> 8) ^ (tables[before & 0xff] as number);
  }
  return tables;
}

const TABLES = makeTables();
const ENCODER = new TextEncoder();

/** Goes on from a value with more bytes; neither inverted before nor after. */
export function crc32cBytes(seed: number, raw: Uint8Array): number {
  let crc = seed >>> 0;
  for (const byte of raw) crc = ((crc >>> 8) ^ (TABLES[(crc ^ byte) & 0xff] as number)) >>> 0;
  return crc;
}

/** As crc32cBytes with the UTF-8 bytes of a text. */
export function crc32cText(seed: number, text: string): number {
  let crc = seed >>> 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7f) return crc32cBytes(seed, ENCODER.encode(text));
    crc = ((crc >>> 8) ^ (TABLES[(crc ^ unit) & 0xff] as number)) >>> 0;
  }
  return crc;
}

/** The CRC of the words from `from` on, begun with all ones and not inverted at the end: what dm_bm_checksum takes (spec/block-cow.md §1.10). */
export function crc32cWords(words: Uint32Array, from: number): number {
  const tables = TABLES;
  let crc = 0xffffffff;
  for (let at = from; at < words.length; at++) {
    crc ^= words[at] as number;
    crc =
      (tables[768 + (crc & 0xff)] as number) ^
      (tables[512 + ((crc >>> 8) & 0xff)] as number) ^
      (tables[256 + ((crc >>> 16) & 0xff)] as number) ^
      (tables[crc >>> 24] as number);
  }
  return crc >>> 0;
}
