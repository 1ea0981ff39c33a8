/** An inode in memory: its item's fields, and what is delayed of its data (kernel: struct btrfs_inode). */
import type { Time } from "../../core/clock.ts";
import { IntervalMap } from "../../core/intervals.ts";
import type { Mapping } from "../../vfs/address-space.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { InodeItem } from "./items.ts";
import type { Subvolume } from "./subvolume.ts";

export class InodeState {
  readonly handle: number;
  readonly ino: number;
  readonly subvolume: Subvolume;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  size: number;
  bytes: number;
  rdev: number;
  flags: number;
  atime: Time;
  mtime: Time;
  ctime: Time;
  readonly otime: Time;
  readonly generation: number;
  holds = 0;
  mapping: Mapping | undefined;
  /** What is dirty and has space promised: bytes of the file, whole sectors. */
  delayed: IntervalMap<true> | undefined;
  /** Of `delayed`, bytes where no extent is (EXTENT_DELALLOC_NEW): they show in st_blocks. */
  delayedNew: IntervalMap<true> | undefined;
  /** i_disk_size: the size that an item tells; it follows when data has its place. */
  diskSize: number;
  /** Of a directory: the index that the next entry gets; 0 while unknown. */
  nextIndex = 0;
  /** Of a directory: the handle of the one above; 0 while unknown. */
  parent = 0;
  /** Of what stands for a subvolume: the directory that it is in. */
  standsIn = 0;

  constructor(handle: number, ino: number, subvolume: Subvolume, item: InodeItem) {
    this.handle = handle;
    this.ino = ino;
    this.subvolume = subvolume;
    this.mode = item.mode;
    this.uid = item.uid;
    this.gid = item.gid;
    this.nlink = item.nlink;
    this.size = item.size;
    this.bytes = item.bytes;
    this.rdev = item.rdev;
    this.flags = item.flags;
    this.atime = item.atime;
    this.mtime = item.mtime;
    this.ctime = item.ctime;
    this.otime = item.otime;
    this.generation = item.generation;
    this.diskSize = item.size;
  }

  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  get isPlaceholder(): boolean {
    return this.standsIn !== 0;
  }

  item(): InodeItem {
    return {
      generation: this.generation,
      mode: this.mode,
      uid: this.uid,
      gid: this.gid,
      nlink: this.nlink,
      size: this.isDirectory ? this.size : this.diskSize,
      bytes: this.bytes,
      rdev: this.rdev,
      flags: this.flags,
      atime: this.atime,
      mtime: this.mtime,
      ctime: this.ctime,
      otime: this.otime,
    };
  }
}

/** Bytes whose space is promised, to be changed. */
export function delayedOf(inode: InodeState): IntervalMap<true> {
  inode.delayed ??= new IntervalMap<true>(undefined, () => true);
  return inode.delayed;
}

/** Those of them where no extent is, to be changed. */
export function delayedNewOf(inode: InodeState): IntervalMap<true> {
  inode.delayedNew ??= new IntervalMap<true>(undefined, () => true);
  return inode.delayedNew;
}
