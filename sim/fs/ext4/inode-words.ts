/** The words of an inode's row (inode-rows.ts): the fields of struct ext4_inode that are kept. */
export const MODE = 0;
export const UID = 1;
export const GID = 2;
export const NLINK = 3;
/** FS_*_FL bits of chattr(1). */
export const FLAGS = 4;
/** Blocks of 4 KiB that the inode has, its extent and xattr blocks included. */
export const BLOCKS = 5;
/**
 * A device node's number; a directory's parent. Of a regular file, on the disk 0: 1 when it has `data`, or less than 0, the row of its only page
 * (lone-file.ts), negated.
 */
export const EXTRA = 6;
/** Of memory alone, on the disk always 0: HOLD for each that holds the inode, and ASKED. */
export const HOLDS = 7;
export const HOLD = 2;
/** A bit of HOLDS: somebody was told the inode's times since its last change (I_CTIME_QUERIED). */
export const ASKED = 1;
/** The size in bytes, its low half; its high half, and above that the inode's generation. */
const SIZE_LOW = 8;
const SIZE_HIGH = 9;
/** Two words each (times.ts). */
export const ATIME = 10;
export const MTIME = 12;
export const CTIME = 14;
export const WORDS = 16;

/** FS_IMMUTABLE_FL, a bit of FLAGS. */
export const IMMUTABLE_FLAG = 0x10;
/** FS_NOATIME_FL, of FLAGS. */
export const NOATIME_FLAG = 0x80;
// Bits of FLAGS that chattr(1) cannot change
/** FS_EXTENT_FL. */
export const EXTENT_FLAG = 0x80000;
/** FS_INDEX_FL: a directory has a tree of hashes. */
export const INDEX_FLAG = 0x1000;

/** No file is larger than 2^44 bytes: bits of the size's high half. */
const SIZE_HIGH_BITS = 13;
const SIZE_HIGH_MASK: number = (1 << SIZE_HIGH_BITS) - 1;

/** The size in the row that begins at `start`. */
export function sizeIn(words: Int32Array, start: number): number {
  const low = words[start + SIZE_LOW] as number;
  const high = (words[start + SIZE_HIGH] as number) & SIZE_HIGH_MASK;
  // Most sizes stay small integers, which take no object of their own wherever they are kept.
  return high === 0 && low >= 0 ? low : (low >>> 0) + high * 2 ** 32;
}

export function putSize(words: Int32Array, start: number, size: number): void {
  words[start + SIZE_LOW] = size % 2 ** 32;
  const at = start + SIZE_HIGH;
  words[at] = ((words[at] as number) & ~SIZE_HIGH_MASK) | (size / 2 ** 32);
}

/** i_generation: how many inodes had this number before, where ext4 draws a random number for each. */
export function generationIn(words: Int32Array, start: number): number {
  return (words[start + SIZE_HIGH] as number) >>> SIZE_HIGH_BITS;
}

/** The number is free: whoever has it next is another inode. */
export function endGeneration(words: Int32Array, start: number): void {
  const at = start + SIZE_HIGH;
  words[at] = (words[at] as number) + (1 << SIZE_HIGH_BITS);
}
