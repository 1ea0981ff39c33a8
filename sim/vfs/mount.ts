/**
 * A mount: a filesystem seen at one place with its own flags (kernel: struct vfsmount, struct mount).
 *
 * Interface: what is mounted on an inode of this mount is in `covers`; the map exists only while there is something, so that a
 * walk asks one field of a mount without any. `users` counts open files and the roots and working directories of tasks: what makes
 * umount(2) answer EBUSY.
 */
import type { FileSystem, Inode } from "./filesystem.ts";

/** What mount(8) says with -o. */
export interface MountOptions {
  /** MS_RDONLY of this mount: every change gives EROFS. */
  readonly readOnly?: boolean;
  /** MS_NOATIME: reading leaves atime alone. */
  readonly noatime?: boolean;
  /** MS_STRICTATIME: every read sets atime; otherwise the relatime rule holds. */
  readonly strictatime?: boolean;
  /** MS_NOSUID: set-id bits of a program give nothing; no program runs here, so that it only shows. */
  readonly nosuid?: boolean;
  /** MS_NODEV: opening a device node gives EACCES. */
  readonly nodev?: boolean;
  /** MS_NOEXEC: executing gives EACCES. */
  readonly noexec?: boolean;
  /** What is mounted, as /proc/mounts tells it: a device's node, or the name that mount(8) was given. */
  readonly source?: string;
  /** The whole text behind -o, which the mount event tells. */
  readonly text?: string;
}

/** A place: an inode as it is reached through one mount (kernel: struct path). */
export interface Position {
  readonly mount: Mount;
  readonly inode: Inode;
}

export class Mount {
  readonly fs: FileSystem;
  /** The inode that is this mount's top; not the filesystem's root for a bind mount of a folder. */
  readonly root: Inode;
  options: MountOptions;
  /** The mount it stands on and the inode it covers there; undefined for the top of a tree of mounts. */
  parent: Mount | undefined;
  coveredInode: Inode;
  /** What is mounted on inodes of this mount; undefined while there is nothing. */
  covers: Map<Inode, Mount> | undefined;
  /** Whether there has been another mount of its filesystem beside it. */
  isOneOfSeveral = false;
  /** Open files and tasks that stand in it. */
  users = 0;
  /** Whether it was taken out of its tree while users were left (MNT_DETACH). */
  detached = false;

  constructor(fs: FileSystem, root: Inode, options: MountOptions) {
    this.fs = fs;
    this.root = root;
    this.options = options;
    this.parent = undefined;
    this.coveredInode = root;
  }

  /** Whether every change through it gives EROFS: by its own flag, or its filesystem's, which may change while it is mounted (__mnt_is_readonly). */
  get readOnly(): boolean {
    return this.options.readOnly === true || this.fs.readOnly === true;
  }

  /** Sets atime as reading does, unless a flag forbids it. */
  touchAtime(inode: Inode): void {
    const { noatime, strictatime } = this.options;
    if (!this.readOnly && noatime !== true) this.fs.touchAtime(inode, false, strictatime === true);
  }
}
