/**
 * Mounting a dataset: the FileSystem of a head, or of a snapshot, which can only be read.
 *
 * Interface: a head is mounted once however often it is asked for: all places show one FileSystem.
 */
import { type Errno, isErrno } from "../../core/errno.ts";
import type { BlockPointer } from "./block-pointer.ts";
import type { Dataset } from "./dsl.ts";
import { IntentLog } from "./intent-log.ts";
import type { Intent } from "./log-records.ts";
import { ObjectSet } from "./object-set.ts";
import type { Pool } from "./pool.ts";
import { compressionOf, settingOf } from "./properties.ts";
import type { ObjsetRecord } from "./records.ts";
import { ZfsFileSystem } from "./zpl/filesystem.ts";
import { freeWhole } from "./zpl/names.ts";
import { type ZplDataset, type ZplEnvironment, ZplState } from "./zpl/state.ts";

/** What is mounted, by head or snapshot. */
const MOUNTED = new WeakMap<Dataset, ZfsFileSystem>();

function setOfSnapshot(pool: Pool, snapshot: Dataset): ObjectSet | Errno {
  const pointer = snapshot.pointer as BlockPointer;
  const record = pool.store.readRecord(pointer);
  if (isErrno(record)) return record;
  const owner = { copies: 1, isRedundant: true, born: () => undefined, kill: () => undefined };
  return new ObjectSet(pool.store, owner, pointer, record as ObjsetRecord);
}

/** Mounts a dataset. @returns EIO when it cannot be read. */
export function mountDataset(pool: Pool, dataset: Dataset, environment: ZplEnvironment): ZfsFileSystem | Errno {
  const known = MOUNTED.get(dataset);
  if (known !== undefined) return known;
  const open = openSet(pool, dataset);
  if (isErrno(open)) return open;
  const { set, log } = open;
  const zpl = new ZplState(zplDataset(pool, dataset, open), environment);
  const made = new ZfsFileSystem(zpl);
  MOUNTED.set(dataset, made);
  dataset.mounts += 1;
  if (log === undefined) return made;
  const failed = log.open(zpl);
  if (failed !== undefined) {
    zpl.dataset.release();
    return failed;
  }
  // What can only be read keeps them (zfsvfs_setup).
  if (zpl.dataset.readOnly) return made;
  for (const object of [...set.unlinked]) if (set.load(object) === undefined) freeWhole(zpl, object);
  return made;
}

interface OpenSet {
  readonly set: ObjectSet;
  /** Of a head. */
  readonly log: IntentLog | undefined;
}

function openSet(pool: Pool, dataset: Dataset): OpenSet | Errno {
  const set = dataset.isSnapshot ? setOfSnapshot(pool, dataset) : pool.setOf(dataset);
  if (isErrno(set)) return set;
  const unread = set.load(pool.profile.rootObject);
  return unread ?? { set, log: dataset.isSnapshot ? undefined : new IntentLog(pool, set) };
}

/**
 * Does what gives a head another state, and has its mount go on with that (zfs_ioc_rollback: zfs_suspend_fs, zfs_resume_fs). What is dirty is written before.
 */
export function underMount(pool: Pool, head: Dataset, work: () => void): Errno | undefined {
  const mounted = MOUNTED.get(head);
  if (mounted === undefined) {
    work();
    return undefined;
  }
  const { state } = mounted;
  const unwritten = state.dataset.closeLog();
  if (unwritten !== undefined) return unwritten;
  let log: IntentLog | undefined;
  const failed = state.reopen(() => {
    state.dataset.release();
    work();
    const open = openSet(pool, head);
    if (isErrno(open)) return open;
    MOUNTED.set(head, mounted);
    head.mounts += 1;
    log = open.log;
    return zplDataset(pool, head, open);
  });
  return failed ?? log?.open(state);
}

/** Places in a block of dnodes by the words of dnodesize: "auto" is 1 KiB (dnodesize_changed_cb). */
function dnodeSlotsOf(word: string): number {
  return word === "legacy" ? 1 : word === "auto" ? 2 : Number.parseInt(word, 10) * 2;
}

/** What calls tell the intent log, of a snapshot nothing. */
function logCalls(
  pool: Pool,
  log: IntentLog | undefined,
  property: (name: string) => string,
): Pick<ZplDataset, "remember" | "settle" | "intend" | "commitIntents" | "closeLog"> {
  const remember = (intent: Intent): void => log?.add(intent);
  const settle = (): void => {
    if (property("sync") === "always") log?.commit();
  };
  const commitIntents = (object?: number): Errno | undefined =>
    property("sync") === "disabled" ? undefined : log?.commit(object);
  return {
    remember,
    settle,
    intend: (intent) => {
      remember(intent);
      settle();
    },
    commitIntents,
    closeLog: () => (log === undefined ? undefined : (commitIntents() ?? pool.syncIfDirty())),
  };
}

function zplDataset(pool: Pool, dataset: Dataset, open: OpenSet): ZplDataset {
  const { directory } = dataset;
  const { set, log } = open;
  const property = (name: string): string => settingOf(dataset.directory, name, pool.profile);
  if (log !== undefined) pool.logs.add(log);
  return {
    set,
    get path() {
      return dataset.path;
    },
    isSnapshot: log === undefined,
    get readOnly(): boolean {
      // The log is replayed all the same.
      return log === undefined || (property("readonly") === "on" && !log.isReplaying);
    },
    get atime() {
      return property("atime") === "off" ? "off" : property("relatime") === "on" ? "relative" : "on";
    },
    get recordSize(): number {
      return Number(property("recordsize"));
    },
    get compression() {
      return compressionOf(dataset.directory, pool.profile);
    },
    get dnodeSlots(): number {
      return pool.profile.systemAttributes ? dnodeSlotsOf(property("dnodesize")) : 1;
    },
    get dedup(): boolean {
      return property("dedup") !== "off";
    },
    get throughput(): boolean {
      return property("logbias") === "throughput";
    },
    get xattr(): string {
      return property("xattr");
    },
    admit: (bytes, dirty) => pool.admit(dataset.directory, bytes, dirty),
    syncGroup: () => pool.syncIfDirty(),
    waitSynced: () => (property("sync") === "disabled" ? undefined : pool.syncIfDirty()),
    get referenced(): number {
      return dataset.referenced;
    },
    get available(): number {
      return dataset.isSnapshot ? 0 : pool.available(dataset.directory);
    },
    ...logCalls(pool, log, property),
    release: () => {
      MOUNTED.delete(dataset);
      if (log !== undefined) pool.logs.delete(log);
      dataset.mounts -= 1;
      if (!dataset.isSnapshot && directory.head === dataset) pool.closeSet(dataset);
    },
  };
}
