/** An inode in memory: its item's fields, and what is delayed of its data (kernel: struct btrfs_inode). */
import type { Time } from "../../core/clock.ts";
import type { Errno } from "../../core/errno.ts";
import { IntervalMap } from "../../core/intervals.ts";
import type { Mapping } from "../../vfs/address-space.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { NewAcls } from "../../vfs/posix-acl.ts";
import { InodeLog } from "./inode-log.ts";
import type { DirEntry, InodeItem } from "./items.ts";
import type { Subvolume } from "./subvolume.ts";

/** What no directory has to list. Nobody puts anything here: a million files share it. */
const NOTHING_LISTED: Map<number, DirEntry> = new Map();
/** The same of what is to be listed no more. */
export const NOTHING_UNLISTED: Map<number, boolean> = new Map();

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
  /** Somebody was told its times since its last change (I_CTIME_QUERIED). */
  asked = false;
  readonly otime: Time;
  readonly generation: number;
  /** What it knows of the log tree. */
  readonly log: InodeLog = new InodeLog();
  holds = 0;
  mapping: Mapping | undefined;
  /** What is dirty and has space promised: bytes of the file, whole sectors. */
  delayed: IntervalMap<true> | undefined;
  /** Of `delayed`, bytes where no extent is (EXTENT_DELALLOC_NEW): they show in st_blocks. */
  delayedNew: IntervalMap<true> | undefined;
  /** i_disk_size: the size that an item tells; it follows when data has its place. */
  diskSize: number;
  /** It was cut to nothing: what is written into it goes to the device when it is closed (BTRFS_INODE_FLUSH_ON_CLOSE). */
  flushesOnClose = false;
  /** Where the last writing back of the whole file ended: the flusher goes on from there (mapping->writeback_index). */
  writtenTo = 0;
  /** Of a directory: the index that the next entry gets; 0 while unknown. */
  nextIndex = 0;
  /** Whether its item is to be written (BTRFS_DELAYED_NODE_INODE_DIRTY), and which turn it was when that was last said. */
  isDirty = false;
  updatedAt = 0;
  /** Whether the reference to its only name goes when its item is written (BTRFS_DELAYED_NODE_DEL_IREF). */
  losesReference = false;
  /**
   * Where its only name is listed (dir_index): then the reference to it need not be looked for at once when it goes. 0: it has had other names since it came into
   * memory; -1: as its items told then.
   */
  nameIndex = 0;
  /** Of a directory: entries that are not in its list yet, by index, ascending; and indices of those that are in it no more, and whether the log knows that. */
  readonly listedLater: Map<number, DirEntry>;
  unlistedLater: Map<number, boolean> = NOTHING_UNLISTED;
  /** Of a directory: the handle of the one above; 0 while unknown, and of the root of a subvolume while that has a name. */
  parent = 0;
  /** Its access control lists; undefined while nobody has read them. */
  acls: NewAcls | undefined;
  /** Of a symbolic link: where it leads, which never changes; undefined while nobody has read it. */
  target: string | undefined;
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
    this.listedLater = this.isDirectory ? new Map() : NOTHING_LISTED;
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

/**
 * Writes what is dirty in a range, and with it what follows without a gap: a run that waits for its place gets it as a whole
 * (fs/btrfs/extent_io.c: find_lock_delalloc_range).
 */
export function flushRange(inode: InodeState, start: number, length: number): Errno | undefined {
  const { mapping, delayed, writtenTo } = inode;
  const end = start + length;
  const goesOn = length > 0 && delayed?.nextCovered(end - 1) === end - 1;
  const failed = mapping?.flush(start, (goesOn ? delayed.nextGap(end - 1) : end) - start);
  inode.writtenTo = writtenTo;
  return failed;
}

/** Writes all dirty pages, from the beginning of the file on. */
export function flushAll(inode: InodeState): Errno | undefined {
  return inode.mapping?.flush();
}

/**
 * Writes all dirty pages as the flusher does: from where the last writing ended to the end, and then from the beginning on (range_cyclic). Data is cut into extents
 * there, and what lies behind gets its place first.
 */
export function flushCyclic(inode: InodeState): Errno | undefined {
  const { mapping, writtenTo } = inode;
  return writtenTo === 0
    ? mapping?.flush()
    : (mapping?.flush(writtenTo, Number.MAX_SAFE_INTEGER - writtenTo) ?? mapping?.flush());
}
