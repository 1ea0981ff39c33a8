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
import { allocatedSize, type BlockPointer, countedLogicalSize, countedPhysicalSize } from "./block-pointer.ts";
import { Directory, promisedTo, sumBelow } from "./dsl.ts";
import { claimChain, logOf, readChain } from "./log-chain.ts";
import { thawed } from "./meta-records.ts";
import { type MetaRecord, type MetaRootRecord, MetaSet, ROOT_BYTES } from "./meta-set.ts";
import { createFilesystem, visitDatasets } from "./operations.ts";
import { Pool } from "./pool.ts";
import { OPENZFS_2_1, ZFS_PROFILES, type ZfsProfile } from "./profile.ts";
import type { LogHead } from "./records.ts";
import { PoolSpace } from "./space.ts";
import { BlockStore } from "./store.ts";
import {
  DEVICE_BYTES_MIN,
  type LabelRecord,
  readLabel,
  readUberblock,
  type TopLevel,
  topLevel,
  usableBytes,
  writeLabels,
} from "./vdev.ts";

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
  const devices = tops.map(({ children, ashift }) => {
    const size = Math.min(...children.map(usableBytes));
    return { size, ashift, metaslabShift: profile.metaslabShift(size) };
  });
  const arc = new Arc(host.clock, Math.floor(host.memory / 2));
  return new BlockStore({ name, profile, tops, space: new PoolSpace(devices), arc, events: host.events });
}

/** Makes a pool. @returns EOVERFLOW for a device that is too small, EINVAL for none at all. */
export function createPool(host: PoolHost, options: CreatePoolOptions): Pool | Errno {
  const profile = options.profile ?? OPENZFS_2_1;
  const devices = options.tops.flat();
  if (devices.length === 0) return EINVAL;
  if (devices.some((device) => device.size < DEVICE_BYTES_MIN)) return EOVERFLOW;
  const ashift = options.ashift ?? Math.log2(Math.max(...devices.map((device) => device.sectorSize)));
  const tops = options.tops.map((children) => topLevel(children, ashift));
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
  const failed = writeLabels(tops, { pool: options.name, guid, profile: profile.name }) ?? meta.addBase(baseBytes(profile));
  if (failed === undefined) createFilesystem(pool, options.name, undefined, []);
  const wrong = failed ?? pool.failure;
  if (wrong === undefined) return pool;
  pool.stop();
  return wrong;
}

/** Bytes of the pool's own tables: what is left of its costs beside the set's root. */
function baseBytes(profile: ZfsProfile): number {
  return profile.poolCosts.base - ROOT_BYTES;
}

/** Orders devices by what their labels say. @returns ENOENT when one of a pool's top-level devices is missing altogether. */
function topsOf(devices: readonly BlockDevice[], of: LabelRecord): TopLevel[] | Errno {
  const found: BlockDevice[][] = of.shape.map(() => []);
  for (const device of devices) {
    const label = readLabel(device);
    if (label?.guid === of.guid) (found[label.top] as BlockDevice[]).push(device);
  }
  if (found.some((children) => children.length === 0)) return ENOENT;
  return found.map((children) => topLevel(children, of.ashift));
}

/** Finds the pool on devices. @returns ENOENT when there is none or a part is missing, EIO when it cannot be read. */
export function importPool(host: PoolHost, devices: readonly BlockDevice[]): Pool | Errno {
  const label = devices.map(readLabel).find((one) => one !== undefined);
  if (label === undefined) return ENOENT;
  const profile = ZFS_PROFILES.get(label.profile);
  const tops = topsOf(devices, label);
  if (isErrno(tops)) return tops;
  const uberblock = readUberblock(tops, label.guid);
  if (profile === undefined || uberblock === undefined) return EIO;
  const store = storeOn(label.pool, tops, profile, host);
  const pointer = uberblock.root as BlockPointer;
  const root = store.readRecord(pointer);
  if (isErrno(root)) return root;
  const meta = new MetaSet(store, pointer, root as MetaRootRecord);
  store.group = uberblock.group + 1;
  const records: MetaRecord[] = [];
  const missed: BlockPointer[] = [];
  const isBehind = tops.some(({ behind }) => behind.size > 0);
  const take = claims(store);
  const claim = (block: BlockPointer): void => {
    take(block);
    if (isBehind) missed.push(block);
  };
  const failed = meta.load(
    (record) => records.push(record),
    (block) => {
      claim(block);
      meta.claim(block);
    },
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
  };
  const pool = new Pool(parts);
  for (const [id, object] of objects) pool.objects.set(id, object);
  const wrong = visitDatasets(pool, claim) ?? visitLogs(pool, (log) => claimChain(store, log));
  if (wrong !== undefined) {
    pool.stop();
    return wrong;
  }
  pool.countMeta();
  store.continueStamps(uberblock.group);
  // The group makes the sides that were behind a part of the pool again.
  if (isBehind && store.resilver(missed)) pool.syncGroup();
  return pool;
}

/** Takes the places of blocks that are found, each once. */
function claims(store: BlockStore): (pointer: BlockPointer) => void {
  return (pointer) => {
    if (pointer.dedup !== undefined && !store.claimDedup(pointer.dedup, pointer)) return;
    for (const dva of pointer.dvas) store.space.claim(dva);
  };
}

/** Visits the log of every filesystem, as its object set on the devices tells of it. */
function visitLogs(pool: Pool, visit: (log: LogHead) => void): Errno | undefined {
  for (const object of pool.objects.values()) {
    if (object instanceof Directory || object.isSnapshot || object.pointer === undefined) continue;
    const log = logOf(pool.store, object.pointer);
    if (isErrno(log)) return log;
    if (log !== undefined) visit(log);
  }
  return undefined;
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
    for (const dva of pointer.dvas) {
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
