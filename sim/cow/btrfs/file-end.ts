/** The end of a file that is about to move (fs/btrfs/inode.c: btrfs_cont_expand, btrfs_truncate_block; Linux 6.18). */
import { Content } from "../../core/content.ts";
import type { Errno } from "../../core/errno.ts";
import { alignUp } from "../../core/units.ts";
import type { InodeState } from "./inode-state.ts";
import { SECTOR_SIZE } from "./layout.ts";
import { promiseRange, writePromised } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";

/**
 * Before a file grows beyond its end within a sector, the rest of that sector is zeroed in memory and written again: it can hold other bytes on the device
 * (btrfs_cont_expand, btrfs_truncate_block).
 */
export function zeroBehindEnd(state: BtrfsState, inode: InodeState, newEnd: number): Errno | undefined {
  const tail = inode.size % SECTOR_SIZE;
  if (newEnd <= inode.size || tail === 0) return undefined;
  const refused = promiseRange(state, inode, inode.size, inode.size + 1);
  if (refused !== undefined) return refused;
  const zeros = { offset: inode.size, content: Content.zeros(SECTOR_SIZE - tail) };
  return writePromised(state, inode, zeros, inode.size + SECTOR_SIZE);
}

/** A file grows up to `newEnd` without data behind its end: an fsync tells of the hole (btrfs_cont_expand). */
export function holeBehindEnd(state: BtrfsState, inode: InodeState, newEnd: number): void {
  const start = alignUp(inode.size, SECTOR_SIZE);
  const end = alignUp(newEnd, SECTOR_SIZE);
  if (end > start) inode.log.extentsChanged(state.generation, start, end);
}
