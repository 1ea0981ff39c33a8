/**
 * What can be done to datasets, each within one transaction group (module/zfs/dsl_dataset.c, dsl_destroy.c, dsl_dir.c; spec/block-cow.md §3.3).
 *
 * Interface: names and permissions have been checked (commands.ts). Snapshot and clone are O(1); destroying is proportional to what becomes free.
 */
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { NameTable } from "../../core/names.ts";
import { DentryTable } from "../../vfs/dentry-table.ts";
import { S_IFDIR } from "../../vfs/filesystem.ts";
import type { BlockPointer } from "./block-pointer.ts";
import { SECTOR } from "./compress.ts";
import { DeadList } from "./dead-list.ts";
import { addUsage, blockBorn, Dataset, Directory, settlePromise } from "./dsl.ts";
import { destroyLog } from "./log-chain.ts";
import { visitObjectSet } from "./object-visit.ts";
import type { Pool } from "./pool.ts";
import { copiesOf } from "./properties.ts";
import { ATIME, BLOCK_SIZE, CRTIME, CTIME, LEVELS, MODE, MTIME, NLINK, type ObjsetRecord, PARENT } from "./records.ts";
import { metadataCopies } from "./store.ts";
import { DirectoryData } from "./zpl/directory-data.ts";

/** Makes a new head's object set: the tables of every filesystem, and an empty root folder. */
function furnish(pool: Pool, head: Dataset): Errno | undefined {
  const set = pool.openSet(head);
  const failed = set.writeSystem();
  if (failed !== undefined) return failed;
  const root = pool.profile.rootObject;
  const now = pool.clock.time();
  set.setWord(root, MODE, S_IFDIR | 0o755);
  set.setWord(root, NLINK, 2);
  set.setWord(root, PARENT, root);
  set.setWord(root, LEVELS, 1);
  set.setWord(root, BLOCK_SIZE, SECTOR);
  for (const which of [ATIME, MTIME, CTIME, CRTIME]) set.setTime(root, which, now);
  set.numbers.claim(root);
  set.objects += 1;
  set.addPending(root, new DirectoryData({ object: root, set, dentries: new DentryTable(), names: new NameTable() }));
  const pointer = set.sync();
  if (isErrno(pointer)) return pointer;
  head.pointer = pointer;
  pool.touch(head);
  return undefined;
}

/** A new filesystem. */
export function createFilesystem(
  pool: Pool,
  name: string,
  parent: Directory | undefined,
  properties: readonly (readonly [string, string])[],
): Directory {
  const directory = parent === undefined ? pool.root : new Directory(pool.meta.takeId(), { name, parent, properties: [] });
  parent?.addChild(directory);
  directory.head.created = pool.clock.time().seconds;
  pool.addDirectory(directory);
  pool.syncGroup(() => {
    directory.head.group = pool.store.group;
    const tables = parent === undefined ? 0 : pool.profile.poolCosts.filesystem;
    return pool.meta.addTables(directory.id, tables) ?? furnish(pool, directory.head);
  });
  setProperties(pool, directory, properties);
  return directory;
}

/** Ends the log of a filesystem before its snapshot is taken: with the snapshot's group, or, when nobody has it mounted, with one of its own (zil_suspend). */
function suspendLog(pool: Pool, head: Dataset): void {
  if (head.set?.openLog !== undefined) {
    head.set.openLog.end();
    return;
  }
  const set = pool.setOf(head);
  if (isErrno(set) || set.log === undefined) return;
  if (destroyLog(pool.store, head.pointer as BlockPointer) === undefined) set.touch();
  pool.syncIfDirty();
  pool.closeSet(head);
}

/** Takes a snapshot of each head, of all in one group. */
export function createSnapshots(pool: Pool, heads: readonly Dataset[], name: string): void {
  if (pool.profile.suspendsLog) for (const head of heads) suspendLog(pool, head);
  const made = heads.map((head) => {
    const snapshot = new Dataset(pool.meta.takeId(), head.directory, name);
    pool.objects.set(snapshot.id, snapshot);
    head.directory.addSnapshot(snapshot);
    return snapshot;
  });
  pool.syncGroup(() => {
    for (const [index, snapshot] of made.entries()) {
      const failed = takeSnapshot(pool, heads[index] as Dataset, snapshot);
      if (failed !== undefined) return failed;
    }
    return undefined;
  });
}

/** Gives what a head has to its newest snapshot, as its group is written (dsl_dataset_snapshot_sync_impl). */
function takeSnapshot(pool: Pool, head: Dataset, snapshot: Dataset): Errno | undefined {
  snapshot.group = pool.store.group;
  snapshot.created = pool.clock.time().seconds;
  snapshot.pointer = head.pointer;
  snapshot.referenced = head.referenced;
  snapshot.logical = head.logical;
  snapshot.physical = head.physical;
  const fresh = snapshot.deadList;
  snapshot.deadList = head.deadList;
  head.deadList = fresh;
  snapshot.previous = head.previous;
  snapshot.next = head;
  const { previous } = head;
  if (previous !== undefined) {
    if (previous.next === head) previous.next = snapshot;
    else {
      previous.removeClone(head);
      previous.addClone(snapshot);
    }
    pool.meta.change(previous.id);
  }
  head.previous = snapshot;
  head.unique = 0;
  settlePromise(head.directory);
  pool.meta.change(snapshot.id);
  pool.touch(head);
  return pool.store.tellSnapshot(head, snapshot);
}

export function createClone(
  pool: Pool,
  origin: Dataset,
  place: { readonly name: string; readonly parent: Directory },
  properties: readonly (readonly [string, string])[],
): Directory {
  const { name, parent } = place;
  const directory = new Directory(pool.meta.takeId(), { name, parent, properties: [] });
  const { head } = directory;
  parent.addChild(directory);
  directory.origin = origin;
  head.created = pool.clock.time().seconds;
  head.previous = origin;
  if (pool.profile.hasLiveLists) head.liveBytes = 0;
  head.pointer = origin.pointer;
  head.referenced = origin.referenced;
  head.logical = origin.logical;
  head.physical = origin.physical;
  origin.addClone(head);
  pool.addDirectory(directory);
  pool.syncGroup(() => {
    head.group = pool.store.group;
    const failed = pool.meta.addTables(directory.id, pool.profile.poolCosts.clone);
    pool.touch(head);
    return failed ?? dropLog(pool, head);
  });
  pool.store.tellSnapshot(origin, directory);
  setProperties(pool, directory, properties);
  return directory;
}

/**
 * Takes out of a head's object set what it says of a log: that is of the filesystem whose snapshot the set was. Its block is written once more, unless that
 * filesystem had no log (dsl_dataset_zero_zil). Nothing shows the head yet.
 */
function dropLog(pool: Pool, head: Dataset): Errno | undefined {
  const { store } = pool;
  const old = head.pointer as BlockPointer;
  const record = store.readRecord(old);
  if (isErrno(record)) return record;
  const set = record as ObjsetRecord;
  if (set.log === undefined) return undefined;
  const bare: ObjsetRecord = { ...set, log: undefined };
  const content = Content.record(bare);
  const { kind, level, logicalSize, physicalSize } = old;
  const copies = metadataCopies(copiesOf(head.directory, pool.profile));
  const made = store.write({ kind, level, content, logicalSize, physicalSize, copies });
  if (isErrno(made)) return made;
  blockBorn(head, made);
  pool.kill(head, old);
  head.pointer = made;
  pool.touch(head);
  pool.meta.change((head.previous as Dataset).id);
  return undefined;
}

/**
 * Ends snapshots, which have no clones and are not held, all in one group.
 * @param isDeferred - those that have or are only marked: they end with the last clone and the last hold (zfs destroy -d)
 */
export function destroySnapshots(pool: Pool, snapshots: readonly Dataset[], isDeferred: boolean): void {
  pool.syncGroup(() => {
    for (const snapshot of snapshots) {
      if (isDeferred && (snapshot.hasClones || snapshot.holds.length > 0)) {
        snapshot.deferred = true;
        pool.meta.change(snapshot.id);
      } else endSnapshot(pool, snapshot);
    }
    return undefined;
  });
}

/** Ends a snapshot within a group (dsl_destroy_snapshot_sync_impl). */
function endSnapshot(pool: Pool, snapshot: Dataset): void {
  const { directory, previous } = snapshot;
  const next = snapshot.next as Dataset;
  const isInLine = previous?.next === snapshot;
  if (previous !== undefined) {
    if (isInLine) {
      previous.next = next;
      previous.unique += next.deadList.space(previous.previousGroup, snapshot.previousGroup).used;
    } else {
      previous.removeClone(snapshot);
      previous.addClone(next);
    }
    pool.meta.change(previous.id);
  }
  if (next.isSnapshot) next.unique += (next.next as Dataset).deadList.space(snapshot.previousGroup, snapshot.group).used;
  const { used, logical, physical } = next.deadList.space(snapshot.previousGroup);
  next.deadList.take(snapshot.previousGroup, (pointer) => pool.store.free(pointer));
  next.deadList.merge(snapshot.deadList);
  addUsage(directory, "snapshots", { used: -used, logical: -logical, physical: -physical });
  next.previous = previous;
  if (!next.isSnapshot) settlePromise(next.directory);
  directory.removeSnapshot(snapshot);
  pool.objects.delete(snapshot.id);
  pool.meta.remove(snapshot.id);
  pool.touch(next);
}

/** Ends a filesystem that has no snapshots and no children, and is not the pool's own. Its origin goes with it when it was only waiting for that. */
export function destroyFilesystem(pool: Pool, directory: Directory): void {
  const { head, origin } = directory;
  const parent = directory.parent as Directory;
  if (head.set !== undefined) pool.closeSet(head);
  pool.syncGroup(() => {
    const top = head.pointer as BlockPointer;
    const failed =
      destroyLog(pool.store, top) ?? visitObjectSet(pool.store, top, head.previousGroup, (pointer) => pool.store.free(pointer));
    if (failed !== undefined) return failed;
    const { head: used, snapshots, logical, physical } = directory.usage;
    addUsage(directory, "head", { used: -used, logical: -logical, physical: -physical });
    addUsage(directory, "snapshots", { used: -snapshots });
    addUsage(directory, "promised", { used: -directory.usage.promised });
    const reserved = directory.limit("reservation");
    if (reserved > 0) addUsage(parent, "children", { used: -reserved });
    parent.removeChild(directory);
    for (const object of [directory, head]) {
      pool.objects.delete(object.id);
      pool.meta.remove(object.id);
    }
    pool.touch(parent.head);
    if (origin === undefined) return undefined;
    origin.removeClone(head);
    pool.meta.change(origin.id);
    endIfDeferred(pool, origin);
    return undefined;
  });
}

/** Ends a snapshot that waits for its last clone and the last hold. */
function endIfDeferred(pool: Pool, snapshot: Dataset): void {
  if (snapshot.deferred && !snapshot.hasClones && snapshot.holds.length === 0) endSnapshot(pool, snapshot);
}

/** Gives snapshots other holds, all in one group; one that waits for the last to go ends with it. */
export function setHolds(pool: Pool, of: readonly (readonly [Dataset, readonly string[]])[]): void {
  pool.syncGroup(() => {
    for (const [snapshot, holds] of of) {
      snapshot.holds = holds;
      pool.meta.change(snapshot.id);
      endIfDeferred(pool, snapshot);
    }
    return undefined;
  });
}

/** Sets and takes away properties that somebody made up, on a snapshot: undefined takes one away. */
export function setUserProperties(
  pool: Pool,
  snapshot: Dataset,
  changes: readonly (readonly [string, string | undefined])[],
): void {
  pool.syncGroup(() => {
    const kept = snapshot.properties.filter(([name]) => changes.every(([changed]) => changed !== name));
    const added = changes.filter((change): change is readonly [string, string] => change[1] !== undefined);
    snapshot.properties = [...kept, ...added];
    pool.meta.change(snapshot.id);
    return undefined;
  });
}

/** Makes a head what its newest snapshot is. */
export function rollback(pool: Pool, head: Dataset): void {
  const snapshot = head.previous as Dataset;
  pool.closeSet(head);
  pool.syncGroup(() => {
    const failed =
      destroyLog(pool.store, head.pointer as BlockPointer) ??
      visitObjectSet(pool.store, head.pointer, snapshot.group, (pointer) => pool.store.free(pointer));
    if (failed !== undefined) return failed;
    returnDead(head, snapshot);
    head.pointer = snapshot.pointer;
    head.referenced = snapshot.referenced;
    head.logical = snapshot.logical;
    head.physical = snapshot.physical;
    head.deadList = new DeadList();
    head.unique = 0;
    settlePromise(head.directory);
    pool.touch(head);
    pool.meta.change(snapshot.id);
    return dropLog(pool, head);
  });
}

/** What a head had let go since its snapshot is the head's again: the sums of its directory and its snapshot say so. */
function returnDead(head: Dataset, snapshot: Dataset): void {
  const { directory } = head;
  const dead = head.deadList.space(directory.originGroup).used;
  const all = head.deadList.space();
  const written = head.referenced - snapshot.referenced + all.used;
  snapshot.unique -= head.deadList.space(snapshot.previousGroup).used;
  const logical = snapshot.logical - head.logical - all.logical;
  const physical = snapshot.physical - head.physical - all.physical;
  addUsage(directory, "head", { used: dead - written, logical, physical });
  addUsage(directory, "snapshots", { used: -dead });
}

/** Gives a filesystem another name, and perhaps another parent. */
export function renameFilesystem(
  pool: Pool,
  directory: Directory,
  to: { readonly name: string; readonly parent: Directory },
): void {
  const from = directory.parent as Directory;
  pool.syncGroup(() => {
    from.removeChild(directory);
    const taken = Math.max(directory.used, directory.limit("reservation"));
    addUsage(from, "children", { used: -taken });
    directory.name = to.name;
    directory.parent = to.parent;
    to.parent.addChild(directory);
    addUsage(to.parent, "children", { used: taken });
    pool.touch(from.head);
    pool.touch(directory.head);
    return undefined;
  });
}

/** Gives snapshots another name, all in one group. */
export function renameSnapshots(pool: Pool, snapshots: readonly Dataset[], name: string): void {
  pool.syncGroup(() => {
    for (const snapshot of snapshots) {
      snapshot.directory.removeSnapshot(snapshot);
      snapshot.name = name;
      snapshot.directory.addSnapshot(snapshot);
      pool.meta.change(snapshot.id);
    }
    return undefined;
  });
}

/**
 * Sets properties, in a group of their own, behind that of a creation too: what that wrote knows nothing of them (zfs_ioc_create, zfs_set_prop_nvlist). A
 * reservation counts in the parent's space at once. One without a value is taken away: the directory inherits it, or has the default (dsl_prop_inherit).
 */
export function setProperties(
  pool: Pool,
  directory: Directory,
  properties: readonly (readonly [string, string | undefined])[],
): void {
  if (properties.length === 0) return;
  pool.syncGroup(() => {
    const before = Math.max(directory.used, directory.limit("reservation"));
    for (const [name, value] of properties) {
      if (value === undefined) directory.deleteProperty(name);
      else directory.setProperty(name, value);
    }
    const after = Math.max(directory.used, directory.limit("reservation"));
    if (directory.parent !== undefined) addUsage(directory.parent, "children", { used: after - before });
    settlePromise(directory);
    pool.touch(directory.head);
    return undefined;
  });
}

/** Visits every block that a pool's datasets hold, each once: what an import takes, and a check counts. */
export function visitDatasets(pool: Pool, visit: (pointer: BlockPointer) => void): Errno | undefined {
  for (const object of pool.objects.values()) {
    if (!(object instanceof Dataset)) continue;
    const failed = visitObjectSet(pool.store, object.pointer, object.previousGroup, visit);
    if (failed !== undefined) return failed;
  }
  return undefined;
}
