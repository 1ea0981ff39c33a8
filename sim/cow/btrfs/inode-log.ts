/**
 * What an inode knows of its subvolume's log tree: when it changed, when it was logged, what the next fsync must take into the log
 * (fs/btrfs/btrfs_inode.h: last_trans … last_reflink_trans, BTRFS_INODE_NEEDS_FULL_SYNC, BTRFS_INODE_COPY_EVERYTHING; Linux 6.18).
 *
 * Interface: numbers of transactions are the filesystem's generations; those of a log count how often it was synced. All of it is in memory only.
 */
import { IntervalMap } from "../../core/intervals.ts";

export class InodeLog {
  /** The last transaction in which the inode changed. */
  changedIn = 0;
  /** How often its subvolume's log had been synced then, and up to when the log has it. */
  changedAtSync = 0;
  loggedAtSync = -1;
  /** The last transaction in which it was logged. */
  loggedIn = 0;
  /** The last transaction in which it lost a name or got another one; of a directory, in which something left it that the log could not follow. */
  unlinkedIn = 0;
  /** The last transaction in which it got extents of another file. */
  reflinkedIn = 0;
  /** The next fsync looks at all items, as what changed is not known otherwise; or at all but extents. */
  needsFullSync = false;
  copyEverything = false;
  /** Of a directory: the last index that is in the log, and the first one whose inode may have to be logged. */
  lastIndex = 0;
  firstIndex = 0;
  /** Of what has no name any more: the handle of the directory that had the last one. */
  lastParent = 0;
  /** Bytes of the file whose extents have changed since it was logged, in transaction #extentsIn. */
  #extents: IntervalMap<true> | undefined;
  #extentsIn = 0;

  /** The inode changes (btrfs_set_inode_last_trans). @param syncs - how often its subvolume's log has been synced. */
  changed(generation: number, syncs: number): void {
    this.changedIn = generation;
    this.changedAtSync = syncs;
    this.loggedAtSync = syncs - 1;
  }

  /** Extents, or holes, are new in a range (extent maps on modified_extents). */
  extentsChanged(generation: number, start: number, end: number): void {
    if (this.#extentsIn !== generation) this.#extents = undefined;
    this.#extentsIn = generation;
    this.#extents ??= new IntervalMap<true>(undefined, () => true);
    this.#extents.set(start, end, true);
  }

  /** Takes the ranges that have changed in a transaction and were not logged yet. */
  takeExtents(generation: number): IntervalMap<true> | undefined {
    const taken = this.#extentsIn === generation ? this.#extents : undefined;
    this.#extents = undefined;
    return taken;
  }
}
