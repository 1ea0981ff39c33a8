/**
 * CRC-32 as gzip and xz have it (RFC 1952, section 8).
 */

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0xedb88320);
  return crc;
});

/** The checksum of `raw`, behind bytes whose checksum is `before`. */
export function crc32(raw: Uint8Array, before = 0): number {
  let crc = ~before;
  for (const byte of raw) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 255] as number);
  return ~crc >>> 0;
}
