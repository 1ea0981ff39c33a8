/**
 * Making a pool on devices, and finding one there again (module/zfs/spa.c: spa_create, spa_import).
 *
 * Interface: an import reads the newest whole uberblock, and from it everything else; free space is what no dataset and no table holds. A
 * transaction group that was not finished has left nothing.
 */

import type { BlockDevice } from "../../block/device.ts";
import type { Allocations } from "../../core/allocations.ts";
import { assert, InvariantError } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { EINVAL, EIO, ENOENT, EOVERFLOW, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import { Arc } from "./arc.ts";
import { allocatedSize, type BlockPointer, countedLogicalSize, countedPhysicalSize, placesOf } from "./block-pointer.ts";
import { Directory, promisedTo, sumBelow } from "./dsl.ts";
import { type LabelRecord, newestUberblock, readLabel, readUberblock, topsOf } from "./labels.ts";
import { claimChain, readChain } from "./log-chain.ts";
import { thawed } from "./meta-records.ts";
import { type MetaRootRecord, MetaSet } from "./meta-set.ts";
import type { MetaRecord } from "./object-records.ts";
import { createFilesystem, visitDatasets } from "./operations.ts";
import { Pool } from "./pool.ts";
import { OPENZFS_2_1, ZFS_PROFILES, type ZfsProfile } from "./profile.ts";
import { scanPool, visitLogs } from "./scan.ts";
import { PoolSpace } from "./space.ts";
import { BlockStore } from "./store.ts";
import { DEVICE_BYTES_MIN, GUIDS_A_GROUP, isBehind, openDevice, type TopLevel, topLevel } from "./vdev.ts";

/** What a pool takes from its host. */
export interface PoolHost {
  readonly clock: Clock;
  /** Which allocations of its datasets fail; absent: none by a test's will. */
  readonly allocations?: Allocations;
  /** Bytes of the host's memory: the ARC may have half of it, changes a tenth. */
  readonly memory: number;
  /** Where what becomes of blocks is told; absent: nowhere. */
  readonly events?: EventStream;
}

export interface CreatePoolOptions {
  readonly name: string;
  /** Top-level devices: each one disk, or the sides of a mirror. */
  readonly tops: readonly (readonly BlockDevice[])[];
  /** log2 of the allocation unit; default: the devices' sectors. */
  readonly ashift?: number;
  /** Default OpenZFS 2.1. */
  readonly profile?: ZfsProfile;
  /** Properties of the root dataset (-O). */
  readonly properties?: Iterable<readonly [string, string]>;
}

function hashName(name: string): number {
  let hash = 17;
  for (let at = 0; at < name.length; at++) hash = (hash * 31 + name.charCodeAt(at)) % 2 ** 40;
  return hash + 1;
}

function storeOn(name: string, tops: readonly TopLevel[], profile: ZfsProfile, host: PoolHost): BlockStore {
  const devices = tops.map(({ size, ashift }) => ({ size, ashift, metaslabShift: profile.metaslabShift(size) }));
  const arc = new Arc(host.clock, Math.floor(host.memory / 2));
  return new BlockStore({ name, profile, tops, space: new PoolSpace(devices, profile.allocators), arc, events: host.events });
}

/** Makes a pool. @returns EOVERFLOW for a device that is too small, EINVAL for none at all. */
export function createPool(host: PoolHost, options: CreatePoolOptions): Pool | Errno {
  const profile = options.profile ?? OPENZFS_2_1;
  const devices = options.tops.flat();
  if (devices.length === 0) return EINVAL;
  if (devices.some((device) => device.size < DEVICE_BYTES_MIN)) return EOVERFLOW;
  const ashift = options.ashift ?? Math.log2(Math.max(...devices.map((device) => device.sectorSize)));
  let sides = 0;
  const tops = options.tops.map((of) => {
    sides += of.length;
    return topLevel(of, ashift, GUIDS_A_GROUP + sides - of.length);
  });
  const store = storeOn(options.name, tops, profile, host);
  const guid = hashName(options.name) * 4096 + (host.clock.now % 4096);
  const rootId = 2;
  const meta = new MetaSet(store, undefined, { rootDirectory: rootId, nextId: rootId + 2 });
  const root = new Directory(rootId, { name: options.name, parent: undefined, properties: options.properties ?? [] });
  const dirtyMax = Math.floor(host.memory / 10);
  const pool = new Pool({
    name: options.name,
    guid,
    store,
    meta,
    root,
    clock: host.clock,
    allocations: host.allocations,
    dirtyMax,
  });
  const wrong = furnishPool(pool) ?? pool.failure;
  if (wrong === undefined) return pool;
  pool.stop();
  return wrong;
}

/** Writes what a new pool has, in as many groups as that takes. */
function furnishPool(pool: Pool): Errno | undefined {
  const { meta, profile, name } = pool;
  const failed = meta.addBase(profile.poolCosts.base);
  if (failed !== undefined) return failed;
  createFilesystem(pool, name, undefined, []);
  for (let group = 1; group < profile.creationGroups; group++) {
    meta.change(meta.rootDirectory);
    pool.syncGroup();
  }
  return undefined;
}

interface Found {
  readonly label: LabelRecord;
  readonly devices: ReadonlyMap<number, BlockDevice>;
}

/** The pool that the first labelled device is of: the configuration that goes with its newest uberblock, and its devices by their guid (spa_tryimport). */
function findPool(devices: readonly BlockDevice[]): Found | undefined {
  const first = devices.map((device) => readLabel(device)).find((one) => one !== undefined);
  if (first === undefined) return undefined;
  const { guid, tops } = first;
  const own = devices.filter((device) => readLabel(device)?.guid === guid);
  // A pool's top-level devices have one unit each; none is made with another today.
  const ashift = tops[0]?.ashift as number;
  const group = Math.max(...own.map((device) => newestUberblock(device, ashift, guid)?.group ?? 0));
  const labels = own.map((device) => [readLabel(device, group) as LabelRecord, device] as const);
  const [label] = labels.map(([one]) => one).sort((one, other) => other.group - one.group);
  return label && { label, devices: new Map(labels.map(([{ side }, device]) => [side, device])) };
}

/** Finds the pool on devices. @returns ENOENT when there is none or a part is missing, EIO when it cannot be read. */
export function importPool(host: PoolHost, devices: readonly BlockDevice[]): Pool | Errno {
  const pooled = findPool(devices);
  if (pooled === undefined) return ENOENT;
  const { label } = pooled;
  const profile = ZFS_PROFILES.get(label.profile);
  const tops = topsOf(label, pooled.devices);
  if (tops.some(({ sides }) => sides.every((side) => openDevice(side) === undefined))) return ENOENT;
  const uberblock = readUberblock(tops, label.guid);
  if (profile === undefined || uberblock === undefined) return EIO;
  const store = storeOn(label.pool, tops, profile, host);
  const pointer = uberblock.root as BlockPointer;
  const root = store.readRecord(pointer);
  if (isErrno(root)) return root;
  const meta = new MetaSet(store, pointer, root as MetaRootRecord);
  store.group = uberblock.group + 1;
  const records: MetaRecord[] = [];
  meta.maps.load();
  const failed = meta.load(
    (record) => records.push(record),
    (block) => meta.claim(block),
  );
  if (failed !== undefined) return failed;
  const { root: directory, objects } = thawed(records, meta.rootDirectory);
  const dirtyMax = Math.floor(host.memory / 10);
  const parts = {
    name: label.pool,
    guid: label.guid,
    store,
    meta,
    root: directory,
    clock: host.clock,
    allocations: host.allocations,
    dirtyMax,
    configGroup: label.group,
    scan: uberblock.scan,
  };
  const pool = new Pool(parts);
  for (const [id, object] of objects) pool.objects.set(id, object);
  const wrong = visitDatasets(pool, (block) => claimShared(store, block)) ?? visitLogs(pool, (log) => claimChain(store, log));
  if (wrong !== undefined) {
    pool.stop();
    return wrong;
  }
  pool.countMeta();
  store.continueStamps(uberblock.group);
  if (isBehind(tops)) scanPool(pool, "resilver");
  return pool;
}

/** Counts a block that is in the table of deduplicated ones. */
function claimShared(store: BlockStore, pointer: BlockPointer): void {
  if (pointer.dedup !== undefined) store.claimDedup(pointer.dedup, pointer);
}

/** Bytes of all logs. */
function logBytesOf(pool: Pool): number {
  let sum = 0;
  const lost = visitLogs(pool, (log) => {
    for (const place of readChain(pool.store, log).places) sum += allocatedSize(place);
  });
  if (lost !== undefined) throw new InvariantError(`pool ${pool.name}: a log cannot be read`, { cause: lost });
  return sum;
}

/** Throws an InvariantError when what a pool keeps does not add up. O(blocks). */
export function checkPool(pool: Pool): void {
  if (pool.failure !== undefined || pool.isDirty) return;
  // The places that were seen, by top-level device.
  const seen = pool.store.tops.map(() => new Set<number>());
  const shared = new Map<string, number>();
  let allocated = 0;
  const count = (pointer: BlockPointer): void => {
    if (pointer.dedup !== undefined) {
      const known = shared.get(pointer.dedup) ?? 0;
      shared.set(pointer.dedup, known + 1);
      if (known > 0) return;
    }
    for (const dva of pointer.dvas.flatMap((place) => [...placesOf(place)])) {
      const places = seen[dva.vdev];
      if (places === undefined || places.has(dva.offset))
        throw new InvariantError(`pool ${pool.name}: two blocks lie at ${dva.vdev}:${dva.offset}`);
      places.add(dva.offset);
      allocated += dva.size;
    }
  };
  const unread = pool.meta.load(() => undefined, count);
  if (unread !== undefined) throw new InvariantError(`pool ${pool.name}: its meta object set cannot be read`, { cause: unread });
  let logical = 0;
  let physical = 0;
  const lost = visitDatasets(pool, (pointer) => {
    logical += countedLogicalSize(pointer);
    physical += countedPhysicalSize(pointer);
    count(pointer);
  });
  if (lost !== undefined) throw new InvariantError(`pool ${pool.name}: a dataset cannot be read`, { cause: lost });
  const { space } = pool.store;
  const logs = logBytesOf(pool);
  assert(pool.store.logBytes === logs, `pool ${pool.name}: ${pool.store.logBytes} bytes of logs are counted, ${logs} are there`);
  const known = space.allocated - space.deferredBytes - logs;
  assert(allocated === known, `pool ${pool.name}: ${known} bytes are allocated, ${allocated} are reachable`);
  for (const [key, references] of shared) {
    assert(pool.store.dedupTable.get(key)?.references === references, `pool ${pool.name}: a wrong count of a deduplicated block`);
  }
  const sums = [sumBelow(pool.root, "logical"), sumBelow(pool.root, "physical")];
  assert(sums[0] === logical, `pool ${pool.name}: ${sums[0]} bytes before compression are counted, ${logical} are there`);
  assert(sums[1] === physical, `pool ${pool.name}: ${sums[1]} bytes after compression are counted, ${physical} are there`);
  space.check();
  pool.meta.maps.check();
  pool.arc.check();
  checkSums(pool);
}

/** Sums of space, from the leaves up. */
function checkSums(pool: Pool): void {
  for (const directory of pool.root.below()) {
    const { usage } = directory;
    let below = directory === pool.root ? pool.meta.allocated : 0;
    for (const child of directory.children.values()) below += Math.max(child.used, child.limit("reservation"));
    assert(usage.children === below, `${directory.path}: children take ${below} bytes, ${usage.children} are counted`);
    const promised = promisedTo(directory);
    assert(usage.promised === promised, `${directory.path}: ${promised} bytes are promised, ${usage.promised} are counted`);
    assert(usage.head >= 0 && usage.snapshots >= 0, `${directory.path}: negative sums of space`);
    for (const snapshot of directory.snapshots) {
      const next = snapshot.next;
      assert(next !== undefined, `${snapshot.path}: nothing follows it`);
      const unique = next.deadList.space(snapshot.previousGroup).used;
      assert(snapshot.unique === unique, `${snapshot.path}: ${snapshot.unique} bytes are its own, ${unique} counted`);
    }
  }
}
