/** CRC-32C (Castagnoli), reflected: names of directory entries, and the commands of send streams. */
const POLYNOMIAL = 0x82f63b78;

const TABLE: Uint32Array = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) * POLYNOMIAL);
  TABLE[byte] = value >>> 0;
}

/** Goes on from a value with more bytes; neither inverted before nor after. */
export function crc32c(seed: number, raw: Uint8Array): number {
  let value = seed >>> 0;
  for (const byte of raw) value = ((value >>> 8) ^ (TABLE[(value ^ byte) & 0xff] as number)) >>> 0;
  return value;
}

/** The hash of an entry's name (fs/btrfs/ctree.h: btrfs_name_hash). */
export function nameHash(name: string): number {
  return crc32c(0xfffffffe, new TextEncoder().encode(name));
}
