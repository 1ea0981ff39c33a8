/**
 * A pool at work: its devices, datasets and transaction groups (module/zfs/spa.c, dsl_pool.c, txg.c).
 *
 * Changes gather in memory in the open group. `syncGroup` writes them: data first, then each object set up to its top, then the meta object
 * set, a flush, and at last the uberblock that makes the group the pool. A power cut leaves the last group whose uberblock is whole.
 *
 * Interface: a group is written every 5 seconds of virtual time if something has changed, for every change of datasets, and when memory for
 * changes runs out. A pool that cannot write is suspended: every later change gives EIO.
 */
import type { Allocations } from "../../core/allocations.ts";
import { assert, InvariantError } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { EDQUOT, EIO, ENOSPC, type Errno, isErrno } from "../../core/errno.ts";
import { KIB, seconds } from "../../core/units.ts";
import type { Arc } from "./arc.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { addUsage, availableTo, blockBorn, blockKilled, type Dataset, type Directory } from "./dsl.ts";
import { EVEN_LABELS, ODD_LABELS, type ScanResult, toldOf, type UberblockRecord, writeLabels, writeUberblock } from "./labels.ts";
import { frozenDataset, frozenDirectory } from "./meta-records.ts";
import type { MetaSet } from "./meta-set.ts";
import { ObjectSet } from "./object-set.ts";
import type { ZfsProfile } from "./profile.ts";
import { copiesOf, settingOf } from "./properties.ts";
import type { ObjsetRecord } from "./records.ts";
import type { BlockStore } from "./store.ts";
import { flushAll } from "./vdev.ts";

/** zfs_txg_timeout. */
const GROUP_SECONDS = 5;
/** What a write may need at worst for each byte (spa_asize_inflation). */
const WORST_CASE = 24;
/** What any change of a filesystem makes dirty beside: a block of dnodes, and the indirect ones above it (dnode_setdirty, dbuf_dirty). */
const TREE_BYTES: number = KIB(16) + 5 * KIB(128);
/** By how much of a limit what is on its way may be over it. */
const OVER_LIMIT = 1 / 32;

export interface PoolCounters {
  groups: number;
}

/** What is told of a group's progress. */
interface GroupListener {
  /** The object sets of the group are written: what they do not lead to any more goes with it. */
  setWritten(): void;
  /** The group is on the devices. */
  groupWritten(): void;
}

export interface PoolParts {
  readonly name: string;
  /** Default: the store's, so that its labels are written. */
  readonly configGroup?: number;
  readonly scan?: ScanResult | undefined;
  readonly guid: number;
  readonly store: BlockStore;
  readonly meta: MetaSet;
  readonly root: Directory;
  readonly clock: Clock;
  /** Which allocations fail; absent: none by a test's will. */
  readonly allocations?: Allocations | undefined;
  /** Bytes of changes that may gather before a group is written (zfs_dirty_data_max). */
  readonly dirtyMax: number;
}

export class Pool {
  readonly name: string;
  readonly guid: number;
  readonly store: BlockStore;
  readonly meta: MetaSet;
  readonly root: Directory;
  readonly clock: Clock;
  readonly counters: PoolCounters = { groups: 0 };
  /** The group in which devices came, went or changed last: its labels tell (vdev_config_dirty). */
  configGroup: number;
  /** The last scrub or resilver; absent: none yet. */
  scan: ScanResult | undefined;
  /** Why no more can be written. */
  failure: Errno | undefined;
  /** Directories and datasets by number. */
  readonly objects: Map<number, Directory | Dataset> = new Map();
  /** Bytes of changes in the open group. */
  #changes = 0;
  /** Bytes of the blocks that it makes dirty, by directory, those below counted in. */
  readonly #toWrite = new Map<Directory, number>();
  /** Heads that are open and may have changes. */
  readonly open: Set<Dataset> = new Set();
  /** The intent logs of what is mounted. */
  readonly logs: Set<GroupListener> = new Set();
  readonly #dirtyMax: number;
  readonly #allocations: Allocations | undefined;
  readonly #stopTimer: () => void;
  #countedMeta = 0;
  #syncing = false;

  constructor(parts: PoolParts) {
    this.name = parts.name;
    this.guid = parts.guid;
    this.store = parts.store;
    this.#allocations = parts.allocations;
    this.meta = parts.meta;
    this.root = parts.root;
    this.clock = parts.clock;
    this.#dirtyMax = parts.dirtyMax;
    this.configGroup = parts.configGroup ?? parts.store.group;
    this.scan = parts.scan;
    this.#stopTimer = parts.clock.every(seconds(GROUP_SECONDS), () => this.syncIfDirty());
  }

  get profile(): ZfsProfile {
    return this.store.profile;
  }
  get arc(): Arc {
    return this.store.arc;
  }

  /** What all datasets together may take. */
  get usableBytes(): number {
    const { capacity } = this.store.space;
    return capacity - this.profile.slop(capacity);
  }

  /** Bytes that a directory can still take beside what is promised to it. */
  free(directory: Directory): number {
    return availableTo(directory, this.usableBytes);
  }

  /** Bytes that a directory's head can still take. */
  available(directory: Directory): number {
    const free = this.free(directory) + directory.usage.promised;
    const quota = directory.limit("refquota");
    return quota === 0 ? free : Math.max(0, Math.min(free, quota - directory.head.referenced));
  }

  /** Remembers a directory with its head. */
  addDirectory(directory: Directory): void {
    this.objects.set(directory.id, directory);
    this.objects.set(directory.head.id, directory.head);
  }

  /** Everything that a change of a dataset's space has changed on the way up. */
  touch(dataset: Dataset): void {
    this.meta.change(dataset.id);
    for (let at: Directory | undefined = dataset.directory; at !== undefined; at = at.parent) this.meta.change(at.id);
  }

  /** The object set of a head, opened. */
  setOf(head: Dataset): ObjectSet | Errno {
    if (head.set !== undefined) return head.set;
    const record = this.store.readRecord(head.pointer as BlockPointer);
    return isErrno(record) ? record : this.openSet(head, record as ObjsetRecord);
  }

  /** Opens the object set of a head. @param record - absent for a head that has none yet. */
  openSet(head: Dataset, record?: ObjsetRecord): ObjectSet {
    const { profile } = this;
    const owner = {
      get copies(): number {
        return copiesOf(head.directory, profile);
      },
      get isRedundant(): boolean {
        return settingOf(head.directory, "redundant_metadata", profile) !== "most";
      },
      born: (pointer: BlockPointer): void => blockBorn(head, pointer),
      kill: (pointer: BlockPointer): void => this.kill(head, pointer),
    };
    head.set = new ObjectSet(this.store, owner, head.pointer, record);
    this.open.add(head);
    return head.set;
  }

  /** Forgets what is open of a head: nothing shows it any more, or it is to be read anew. */
  closeSet(head: Dataset): void {
    head.set = undefined;
    this.open.delete(head);
  }

  /** A head lets a block go. */
  kill(head: Dataset, pointer: BlockPointer): void {
    if (blockKilled(head, pointer)) this.store.free(pointer);
    else this.store.tellKept(pointer, head.path, head.previousGroup);
  }

  // Room for changes

  /**
   * Asks for room for `bytes` of changes in a dataset (dsl_dir_tempreserve_space); none are asked for by what rather lets go (dmu_tx_mark_netfree).
   * @param dirty - bytes of the blocks that become dirty
   * @returns EDQUOT, ENOSPC, EIO.
   */
  admit(directory: Directory, bytes: number, dirty: number = bytes): Errno | undefined {
    if (this.failure !== undefined) return this.failure;
    if (bytes > 0) {
      if (this.#allocations?.fails() === true) return ENOSPC;
      let refused = this.#refusal(directory, bytes * WORST_CASE);
      if (refused === "later") refused = this.syncGroup() ?? this.#refusal(directory, bytes * WORST_CASE);
      assert(refused !== "later", "nothing is on its way behind a group");
      if (refused !== undefined) return refused;
    }
    for (let at: Directory | undefined = directory; at !== undefined; at = at.parent) {
      this.#toWrite.set(at, (this.#toWrite.get(at) ?? TREE_BYTES) + dirty);
    }
    this.#changes += bytes;
    return this.#changes > this.#dirtyMax ? this.syncGroup() : undefined;
  }

  /**
   * One that is over its limit by what is on the devices is refused; one that might get there waits for a group. What a reservation has room for is not
   * asked of those above (dsl_dir_tempreserve_impl, dsl_dataset_check_quota).
   */
  #refusal(directory: Directory, wanted: number): Errno | "later" | undefined {
    const { head, usage } = directory;
    const reference = directory.limit("refquota");
    const inFlight = this.#inFlight(directory);
    if (reference > 0 && head.referenced + inFlight >= reference) return inFlight > 0 ? "later" : EDQUOT;
    // What is promised to the head is there.
    let more = Math.max(0, wanted - Math.max(0, usage.promised - inFlight));
    let used = directory.used - usage.promised;
    for (let at: Directory | undefined = directory; at !== undefined; at = at.parent) {
      if (at !== directory) used = at.used;
      const limit = this.#limitOf(at);
      const soon = this.#inFlight(at);
      if (used >= limit) return at.parent === undefined ? ENOSPC : EDQUOT;
      if (used + soon >= limit * (1 + OVER_LIMIT)) return "later";
      const reserved = at.limit("reservation");
      more = Math.max(used + soon + more, reserved) - Math.max(used + soon, reserved);
      if (more === 0) return undefined;
    }
    return undefined;
  }

  /** What the open group may come to take in a directory, at worst. */
  #inFlight(directory: Directory): number {
    return (this.#toWrite.get(directory) ?? 0) * WORST_CASE;
  }

  #limitOf(directory: Directory): number {
    const quota = directory.limit("quota");
    const most = directory.parent === undefined ? this.usableBytes : Number.POSITIVE_INFINITY;
    return quota === 0 ? most : Math.min(quota, most);
  }

  // Transaction groups

  get isDirty(): boolean {
    if (this.meta.isDirty) return true;
    for (const head of this.open) if (head.set?.isDirty === true) return true;
    return false;
  }

  syncIfDirty(): Errno | undefined {
    return this.isDirty ? this.syncGroup() : undefined;
  }

  /** Writes the open group. @param task - what the group does to datasets, after their data (dsl_sync_task). */
  syncGroup(task?: () => Errno | undefined): Errno | undefined {
    if (this.failure !== undefined) return this.failure;
    assert(!this.#syncing, `pool ${this.name}: a group begins within another`);
    this.#syncing = true;
    const work =
      task === undefined
        ? undefined
        : (): Errno | undefined => (this.counters.groups === 0 ? undefined : this.meta.addHistory()) ?? task();
    const failed = this.#syncSets() ?? work?.() ?? this.#syncMeta();
    this.#syncing = false;
    if (failed !== undefined) this.failure = EIO;
    return failed === undefined ? undefined : EIO;
  }

  #syncSets(): Errno | undefined {
    for (const head of this.open) {
      if (head.set?.isDirty !== true) continue;
      const pointer = head.set.sync();
      if (isErrno(pointer)) return pointer;
      head.pointer = pointer;
      this.touch(head);
      if (head.previous !== undefined) this.meta.change(head.previous.id);
    }
    return undefined;
  }

  #syncMeta(): Errno | undefined {
    const { store, meta } = this;
    for (const log of this.logs) log.setWritten();
    const pointer = meta.sync((id, tables) => {
      const object = this.objects.get(id);
      if (object === undefined) throw new InvariantError(`pool ${this.name}: object ${id} is not there`);
      if ("head" in object) return frozenDirectory(object, tables);
      const dead = meta.lists.fit(id, object.deadList.freeze(), object.liveBytes);
      return isErrno(dead) ? dead : frozenDataset(object, tables, dead);
    });
    if (isErrno(pointer)) return pointer;
    this.countMeta();
    const failed = this.#syncDevices(pointer);
    if (failed !== undefined) return failed;
    store.space.groupDone(store.group);
    store.group += 1;
    this.counters.groups += 1;
    this.#changes = 0;
    // Clearing even an empty map makes a new table.
    if (this.#toWrite.size > 0) this.#toWrite.clear();
    for (const log of this.logs) log.groupWritten();
    return undefined;
  }

  /** Makes the group the pool: what was written is durable before its uberblock, and that before anything else (vdev_config_sync). */
  #syncDevices(root: BlockPointer): Errno | undefined {
    const { tops, group } = this.store;
    const isNew = this.configGroup === group;
    const early = isNew ? this.#writeLabels(EVEN_LABELS) : undefined;
    const failed = early ?? flushAll(tops, group);
    if (failed !== undefined) return failed;
    const timestamp = this.clock.time().seconds;
    const kind = "zfs.uberblock";
    const uberblock: UberblockRecord = { kind, length: 1024, guid: this.guid, group, timestamp, root };
    const told = toldOf(tops, this.scan);
    const late = writeUberblock(tops, told === undefined ? uberblock : { ...uberblock, ...told }) ?? flushAll(tops, group);
    return late ?? (isNew ? (this.#writeLabels(ODD_LABELS) ?? flushAll(tops, group)) : undefined);
  }

  #writeLabels(labels: readonly number[]): Errno | undefined {
    const { store, guid, name, configGroup } = this;
    return writeLabels(store.tops, { pool: name, guid, profile: this.profile.name, group: configGroup }, labels);
  }

  /** What the meta object set takes counts as a child of the root. */
  countMeta(): void {
    addUsage(this.root, "children", { used: this.meta.allocated - this.#countedMeta });
    this.#countedMeta = this.meta.allocated;
  }

  /** Ends the pool's work: everything is written, nothing is remembered. */
  export(): Errno | undefined {
    // What was noted last waits for a group.
    const failed = this.meta.hasUnwrittenNotes ? this.syncGroup() : this.syncIfDirty();
    this.stop();
    this.arc.clear();
    return failed;
  }

  /** Ends timers: the host is switched off. */
  stop(): void {
    this.#stopTimer();
  }
}
