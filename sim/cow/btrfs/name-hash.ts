/** The hash of a directory entry's name, by which its item is found. */
import { crc32cText } from "../../core/crc32c.ts";

/** fs/btrfs/ctree.h: btrfs_name_hash. */
export function nameHash(name: string): number {
  return crc32cText(0xfffffffe, name);
}
