/**
 * What the operations of a tmpfs share, and how its inodes come and go (mm/shmem.c, shmem_get_inode, shmem_evict_inode).
 */
import type { Clock, Time } from "../core/clock.ts";
import { ENOSPC, type Errno } from "../core/errno.ts";
import { utf8Length } from "../core/names.ts";
import { DentryTable } from "../vfs/dentry-table.ts";
import { type Inode, type NewInode, S_IFDIR, S_IFLNK, S_IFMT } from "../vfs/filesystem.ts";
import { CachedMapping } from "../vfs/mapping.ts";
import { TmpfsAcls } from "./tmpfs-acl.ts";
import { stampOf } from "./tmpfs-attributes.ts";
import { TmpfsFlags } from "./tmpfs-flags.ts";
import { SHORT_TARGET, TmpfsInodes } from "./tmpfs-inodes.ts";
import type { TmpfsSpace } from "./tmpfs-space.ts";
import { TmpfsXattrs } from "./tmpfs-xattrs.ts";

export class TmpfsState {
  readonly clock: Clock;
  readonly space: TmpfsSpace;
  readonly inodes: TmpfsInodes;
  readonly entries: DentryTable = new DentryTable();
  readonly xattrs: TmpfsXattrs;
  readonly flags: TmpfsFlags = new TmpfsFlags();
  readonly acls: TmpfsAcls = new TmpfsAcls();

  constructor(clock: Clock, space: TmpfsSpace) {
    this.clock = clock;
    this.space = space;
    this.inodes = new TmpfsInodes(clock.time());
    this.xattrs = new TmpfsXattrs(space);
  }

  isDirectory(inode: number): boolean {
    return ((this.inodes.mode[inode] as number) & S_IFMT) === S_IFDIR;
  }

  /** Stamps ctime, which every change does. @returns it. */
  stamp(inode: number): Time {
    const now = stampOf(this.inodes, inode, this.clock);
    this.inodes.ctime[inode] = now;
    return now;
  }

  /** A directory's entries changed. */
  changed(directory: number): void {
    this.inodes.mtime[directory] = this.stamp(directory);
  }

  /** An inode has got or lost a name in a directory, which is stamped with what the inode is (shmem_link, shmem_unlink). */
  changedWith(directory: number, inode: number): void {
    const { mtime, ctime, asked } = this.inodes;
    const now = this.stamp(inode);
    mtime[directory] = now;
    ctime[directory] = now;
    asked[directory] = 0;
  }

  /** A new inode without a name. @param directory - whose flags it inherits. @returns ENOSPC */
  make(init: NewInode, directory: number): Inode | Errno {
    const { space, inodes } = this;
    const type = init.mode & S_IFMT;
    const pages = type === S_IFLNK && utf8Length(init.target) > SHORT_TARGET ? 1 : 0;
    if (pages > space.freeBlocks || !space.takeInode()) return ENOSPC;
    space.usedBlocks += pages;
    const { mode, uid, gid } = init;
    const data = type === S_IFLNK ? init.target : undefined;
    const made = inodes.add({ mode, uid, gid, now: this.clock.time(), data });
    if (type === S_IFDIR) inodes.extra[made] = directory;
    else if (type === S_IFLNK) inodes.size[made] = utf8Length(init.target);
    else inodes.extra[made] = init.rdev;
    this.flags.inherit(made, directory);
    if (init.acls !== undefined) this.acls.init(made, init.acls);
    return made as Inode;
  }

  /** Ends an inode that has neither a name nor a holder. */
  free(inode: number): void {
    const { space, inodes } = this;
    const data = inodes.data[inode];
    if (data instanceof CachedMapping) {
      space.usedBlocks -= data.cachedPages;
      data.discard();
    } else if (typeof data === "string" && (inodes.size[inode] as number) > SHORT_TARGET) space.usedBlocks -= 1;
    this.xattrs.removeAll(inode);
    this.acls.removeAll(inode);
    this.flags.remove(inode);
    space.giveInode();
    inodes.remove(inode);
  }
}
