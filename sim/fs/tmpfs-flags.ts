/**
 * The flags of chattr(1) of the few inodes of a tmpfs that have any (mm/shmem.c: shmem_fileattr_set, since Linux 6.0).
 */
import { ENOTSUP, type Errno } from "../core/errno.ts";
import { APPEND_ONLY, IMMUTABLE, NO_ATIME, NO_DUMP } from "../vfs/inode-flags.ts";

/** What a new file has from its directory. */
const INHERITED = NO_DUMP | NO_ATIME;
/** What tmpfs keeps. */
const MODIFIABLE: number = IMMUTABLE | APPEND_ONLY | INHERITED;

export class TmpfsFlags {
  readonly #flags = new Map<number, number>();

  get(inode: number): number {
    return this.#flags.get(inode) ?? 0;
  }

  /** @returns ENOTSUP for flags that tmpfs does not keep. */
  set(inode: number, flags: number): Errno | undefined {
    if ((flags & ~MODIFIABLE) !== 0) return ENOTSUP;
    if (flags === 0) this.#flags.delete(inode);
    else this.#flags.set(inode, flags);
    return undefined;
  }

  /** A new inode in a directory. */
  inherit(inode: number, directory: number): void {
    if (this.#flags.size > 0) this.set(inode, this.get(directory) & INHERITED);
  }

  /** An inode is freed. */
  remove(inode: number): void {
    this.#flags.delete(inode);
  }
}
