/**
 * One mounted dataset: everything that its POSIX operations share (module/os/linux/zfs/zfs_vfsops.c, zfsvfs_t). Operations are functions over it, in
 * files by operation.
 *
 * Interface: `begin` opens each call that changes something: it asks for space, and has the transaction group written first when it has grown
 * large. `intend` keeps what the intent log needs to do the call again.
 */
import type { Clock, Time } from "../../../core/clock.ts";
import { EROFS, type Errno, isErrno } from "../../../core/errno.ts";
import type { Name, NameTable } from "../../../core/names.ts";
import type { DeviceNumber } from "../../../core/units.ts";
import type { AddressSpace } from "../../../vfs/address-space.ts";
import { DentryTable } from "../../../vfs/dentry-table.ts";
import { S_IFDIR, S_IFMT } from "../../../vfs/filesystem.ts";
import type { PageCache } from "../../../vfs/page-cache.ts";
import type { Compression } from "../compress.ts";
import type { Intent } from "../log-records.ts";
import type { ObjectSet } from "../object-set.ts";
import { CTIME, GENERATION, GID, MODE, MTIME, PARENT, UID } from "../records.ts";
import type { DirectoryData } from "./directory-data.ts";
import type { FileData } from "./file-data.ts";

/** What a change of an object's attributes may need of room: its dnode (dmu_tx_count_dnode). */
export const ATTRIBUTE_BYTES = 512;

/** What a mount takes from its host. */
export interface ZplEnvironment {
  readonly names: NameTable;
  readonly clock: Clock;
  readonly cache: PageCache;
  /** st_dev. */
  readonly device: DeviceNumber;
}

/** The dataset behind a mount, as far as its files ask for it. */
export interface ZplDataset {
  readonly set: ObjectSet;
  /** Its name, which may change. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly isSnapshot: boolean;
  /** Which reads set atime: all that the mount lets, by the relatime rule alone, or none (atime, relatime). */
  readonly atime: "on" | "relative" | "off";
  readonly recordSize: number;
  readonly compression: Compression;
  readonly dedup: boolean;
  /** How many places in their block the dnodes of new objects take (dnodesize). */
  readonly dnodeSlots: number;
  /** Whether all data goes to its place at once, and only pointers into the log (logbias=throughput). */
  readonly throughput: boolean;
  /** Where extended attributes go, and whether there are any of users: "on", "dir", "sa" or "off". */
  readonly xattr: string;
  /** Asks for room for `bytes` more, of a call that makes blocks of `dirty` bytes dirty. @returns EDQUOT, ENOSPC. */
  admit(bytes: number, dirty: number): Errno | undefined;
  /** Has the open transaction group written. */
  syncGroup(): Errno | undefined;
  /** Waits until it was, unless sync=disabled. */
  waitSynced(): Errno | undefined;
  /** The properties that statfs shows. */
  readonly referenced: number;
  readonly available: number;
  /** A part of what a call leaves for the intent log. */
  remember(intent: Intent): void;
  /** The call has come to its end: with sync=always it is durable then. */
  settle(): void;
  /** All that a call leaves for the intent log. */
  intend(intent: Intent): void;
  /** Makes an object's intents durable, or, without one, all. */
  commitIntents(object?: number): Errno | undefined;
  /** Makes everything durable in the log, and then with a group: the mount ends (zil_close). */
  closeLog(): Errno | undefined;
  /** The dataset is not mounted here any more. */
  release(): void;
}

/** What is kept of an inode that somebody holds and a rollback has taken away. */
interface LostInode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export class ZplState {
  dataset: ZplDataset;
  readonly environment: ZplEnvironment;
  dentries: DentryTable = new DentryTable();
  readonly directories: Map<number, DirectoryData> = new Map();
  readonly files: Map<number, FileData> = new Map();
  readonly holds: Map<number, number> = new Map();
  /** Calls on these come to EIO. Their numbers are given to nobody while they are held: a handle is an object's number. */
  readonly lost: Map<number, LostInode> = new Map();
  /** Directories on which something is mounted. */
  readonly covered: Set<number> = new Set();
  /**
   * Names that a rollback has taken away while something was mounted there: they are found as long as the mount of this dataset lives, what they lead to is lost
   * (zpl_d_drop_aliases leaves them hashed).
   */
  readonly stayed: { readonly directory: number; readonly name: Name; readonly object: number }[] = [];
  /** What mount(8) said of reading only, and what the property was then: it holds until that changes (vfs_do_readonly). */
  #asMounted: { readonly isReadOnly: boolean; readonly property: boolean } | undefined;
  /** Whether pages are made as the file is, which is no reason to write them back. */
  isUpdating = false;
  /** The processor on which calls run: each has object numbers of its own. */
  processor = 0;
  space: AddressSpace | undefined;

  constructor(dataset: ZplDataset, environment: ZplEnvironment) {
    this.dataset = dataset;
    this.environment = environment;
  }

  /** SB_RDONLY: of a snapshot, and by the property, unless the mount says otherwise. */
  get isReadOnly(): boolean {
    const { readOnly } = this.dataset;
    const said = this.#asMounted;
    return said === undefined || said.property !== readOnly || this.dataset.isSnapshot ? readOnly : said.isReadOnly;
  }
  set isReadOnly(isReadOnly: boolean) {
    this.#asMounted = { isReadOnly, property: this.dataset.readOnly };
  }

  get set(): ObjectSet {
    return this.dataset.set;
  }

  get now(): Time {
    return this.environment.clock.time();
  }

  isDirectory(object: number): boolean {
    return (this.set.word(object, MODE) & S_IFMT) === S_IFDIR;
  }

  text(name: Name): string {
    return this.environment.names.text(name);
  }

  /**
   * Goes on with another state of the dataset, which `open` gives: what is held and is not in it, as it was made, is lost (zfs_rezget).
   * Interface: nothing is dirty.
   */
  reopen(open: () => ZplDataset | Errno): Errno | undefined {
    const held = [...this.holds.keys()].filter((object) => !this.lost.has(object));
    const before = held.map((object) => {
      const word = (column: number): number => this.set.word(object, column);
      const kept = { mode: word(MODE), uid: word(UID), gid: word(GID) };
      return { object, generation: word(GENERATION), kept, place: this.covered.has(object) ? this.#placeOf(object) : undefined };
    });
    const dataset = open();
    if (isErrno(dataset)) return dataset;
    this.dataset = dataset;
    this.dentries = new DentryTable();
    this.directories.clear();
    for (const data of this.files.values()) data.discard();
    this.files.clear();
    for (const { object, generation, kept, place } of before) {
      const isThere = this.set.load(object) === undefined && this.set.word(object, MODE) !== 0;
      if (isThere && this.set.word(object, GENERATION) === generation) continue;
      this.lost.set(object, kept);
      if (place === undefined) continue;
      this.stayed.push({ ...place, object });
      this.holds.set(object, (this.holds.get(object) ?? 0) + 1);
    }
    return undefined;
  }

  /** Where a directory's name is. */
  #placeOf(object: number): { directory: number; name: Name } | undefined {
    const directory = this.set.word(object, PARENT);
    const { dentries } = this;
    for (let row = dentries.first(directory); row !== 0; row = dentries.next(row))
      if (dentries.child(row) === object) return { directory, name: dentries.name(row) };
    return undefined;
  }

  /**
   * Begins a call that changes the dataset.
   * @param bytes - what it may need of room; 0 for one that rather lets go (dmu_tx_mark_netfree)
   * @param dirty - what of blocks it makes dirty
   */
  begin(bytes: number, dirty: number = bytes): Errno | undefined {
    return this.isReadOnly ? EROFS : this.dataset.admit(bytes, dirty);
  }

  /** Stamps ctime, and mtime too when content changed. */
  stamp(object: number, content: boolean): void {
    const { now, set } = this;
    set.setTime(object, CTIME, now);
    if (content) set.setTime(object, MTIME, now);
  }
}
