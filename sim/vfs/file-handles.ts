/**
 * File handles: how a filesystem names an inode so that it is found again after a remount, and another one that has its number by then is not taken
 * for it (include/linux/exportfs.h).
 */

/** What name_to_handle_at(2) tells of a filesystem's inodes, and open_by_handle_at(2) makes of it; inodes are numbers of their filesystem (`Inode`). */
export interface FileHandles {
  /** handle_type: an enum fid_type. */
  readonly type: number;
  /** Words of 32 bits in a handle. */
  readonly words: number;
  encode(inode: number): readonly number[];
  /** @returns undefined for an inode that is gone, also where its number is another's now (ESTALE). */
  decode(words: readonly number[]): number | undefined;
}

/** FILEID_INO32_GEN: number and generation. */
export const INO32_GEN = 1;

/** Handles of numbers alone, of inodes whose numbers are never used again while a handle may be asked. */
export const NUMBER_HANDLES: FileHandles = {
  type: INO32_GEN,
  words: 2,
  encode: (inode) => [inode % 2 ** 32, Math.floor(inode / 2 ** 32)],
  decode: ([low = 0, high = 0]) => low + high * 2 ** 32,
};
