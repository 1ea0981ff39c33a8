/**
 * What a tmpfs may hold: pages (size=) and inodes (nr_inodes=), as mm/shmem.c accounts them (Linux 6.18).
 *
 * Interface: a directory entry costs BOGO_INODE_SIZE of the inode space, whether it makes an inode or is a further link; an extended attribute
 * what its name and value take. 0 means no limit, as in the mount options.
 */

import type { StatFs } from "../vfs/filesystem.ts";

/** What an inode is taken to cost (BOGO_INODE_SIZE). */
const INODE_BYTES = 1024;
/** What an extended attribute costs beside its name and value (struct simple_xattr on 64 bits). */
const XATTR_BYTES = 40;

export class TmpfsSpace {
  readonly blocks: number;
  readonly inodes: number;
  usedBlocks = 0;
  #inodeBytes: number;

  constructor(blocks: number, inodes: number) {
    this.blocks = blocks;
    this.inodes = inodes;
    this.#inodeBytes = inodes * INODE_BYTES;
  }

  get freeBlocks(): number {
    return this.blocks === 0 ? Number.POSITIVE_INFINITY : this.blocks - this.usedBlocks;
  }

  get freeInodes(): number {
    return Math.floor(this.#inodeBytes / INODE_BYTES);
  }

  /** Takes room for a directory entry. @returns whether there was any. */
  takeInode(): boolean {
    return this.#take(INODE_BYTES);
  }
  giveInode(): void {
    this.#inodeBytes += INODE_BYTES;
  }

  /** Takes room for an attribute of these lengths in bytes. @returns whether there was any. */
  takeXattr(name: number, value: number): boolean {
    return this.#take(XATTR_BYTES + name + value);
  }
  giveXattr(name: number, value: number): void {
    this.#inodeBytes += XATTR_BYTES + name + value;
  }

  #take(length: number): boolean {
    if (this.inodes !== 0 && this.#inodeBytes < length) return false;
    this.#inodeBytes -= length;
    return true;
  }

  /** Blocks and inodes as statfs(2) tells them: nothing is free where there is no limit. */
  counts(): Pick<StatFs, "blocks" | "blocksFree" | "blocksAvailable" | "files" | "filesFree"> {
    const free = this.blocks === 0 ? 0 : this.freeBlocks;
    const filesFree = this.inodes === 0 ? 0 : this.freeInodes;
    return { blocks: this.blocks, blocksFree: free, blocksAvailable: free, files: this.inodes, filesFree };
  }
}
