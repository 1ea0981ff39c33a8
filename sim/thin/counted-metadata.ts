/**
 * The metadata of a pool that has no metadata device: what is mapped where, and which data blocks are in use, in memory alone.
 *
 * Interface (thin-metadata.ts), and what differs from PoolMetadata:
 * - Everything that has to do with data blocks is the same: which block a write gets, what is shared, when a block becomes free, sizes,
 *   times, transactions, errors. test/thin/counted.test.ts holds the two to each other.
 * - There are no metadata blocks: none is counted, written or runs out, and no metadata snapshot can be held (EINVAL).
 * - Nothing outlives the pool, and there is no last commit to go back to: when flushing the data device fails, so does the pool.
 */
import { assert } from "../core/assert.ts";
import { EBUSY, EEXIST, EINVAL, EIO, ENODATA, type Errno, isErrno } from "../core/errno.ts";
import { COUNTED_BLOCKS_MAX, type CountedLeaf, CountedMap } from "./counted-map.ts";
import { CountedSpace } from "./counted-space.ts";
import type { DeviceModel } from "./model.ts";
import { abortDevice, type Lookup, type MappedRange, type ThinDevice, type ThinMetadata } from "./thin-metadata.ts";

/** What the format of a mapping has for its time. */
const TIME_STEPS = 2 ** 24;

interface CountedDevice extends ThinDevice {
  readonly map: CountedMap;
}

export class CountedMetadata implements ThinMetadata {
  readonly needsCheck = false;
  readonly metadataBlocks = 0;
  readonly freeMetadataBlocks: number = Number.POSITIVE_INFINITY;
  readonly usableMetadataBlocks = 0;
  readonly metadataThreshold = 0;
  readonly held = 0;
  beforeCommit: (() => Errno | undefined) | undefined;
  readOnly = false;
  readonly #space: CountedSpace = new CountedSpace();
  readonly #devices = new Map<number, CountedDevice>();
  #changedDevices: CountedDevice[] = [];
  #made = 0;
  #time = 0;
  #transaction = 0;
  /** Nothing is committed before the first change. */
  #inService = false;
  #failed = false;
  readonly #lookup: Lookup = { block: 0, shared: false };
  /** The leaf that was looked into last, whose it is, and whether it is known to be that device's alone. */
  #leafDevice: CountedDevice | undefined;
  #leafNumber = -1;
  #leaf: CountedLeaf | undefined;
  #leafIsOwn = false;

  get time(): number {
    return this.#time;
  }

  get transaction(): number {
    return this.#transaction;
  }

  get dataBlocks(): number {
    return this.#space.blocks;
  }

  get freeDataBlocks(): number {
    return this.#space.free;
  }

  get changed(): boolean {
    return this.#changedDevices.some((device) => this.#devices.get(device.id) === device);
  }

  commit(): Errno | undefined {
    if (this.#failed) return EINVAL;
    if (!this.#inService) return undefined;
    const failed = this.beforeCommit?.();
    if (failed !== undefined) return failed;
    for (const device of this.#changedDevices) device.changed = false;
    this.#changedDevices = [];
    this.#space.commit();
    return undefined;
  }

  abort(): Errno | undefined {
    for (const device of this.#devices.values()) abortDevice(device);
    this.#failed = true;
    return EIO;
  }

  markNeedsCheck(): Errno | undefined {
    return EINVAL;
  }

  growMetadata(): Errno | undefined {
    return EINVAL;
  }

  onThreshold(): void {}

  device(id: number): CountedDevice | Errno {
    return this.#devices.get(id) ?? ENODATA;
  }

  openDevice(id: number): ThinDevice | Errno {
    if (this.#failed) return EINVAL;
    const device = this.device(id);
    if (!isErrno(device)) device.open += 1;
    return device;
  }

  #noteChange(device: CountedDevice): void {
    if (!device.changed) this.#changedDevices.push(device);
    device.changed = true;
  }

  #add(id: number, mapped: number, map: CountedMap): void {
    const now = this.#time;
    const details = { mapped, transaction: this.#transaction, creationTime: now, snapshotTime: now };
    const device = { id, details, map, order: this.#made++, open: 0, changed: false, aborted: false, stale: false };
    this.#devices.set(id, device);
    this.#noteChange(device);
  }

  /** @returns EINVAL when it has failed. */
  #change(): Errno | undefined {
    this.#inService = true;
    this.#leafDevice = undefined;
    return this.#failed ? EINVAL : undefined;
  }

  createThin(id: number): Errno | undefined {
    const failed = this.#change();
    if (failed !== undefined) return failed;
    if (this.#devices.has(id)) return EEXIST;
    this.#add(id, 0, new CountedMap(this.#space));
    return undefined;
  }

  createSnap(id: number, originId: number): Errno | undefined {
    const failed = this.#change();
    if (failed !== undefined) return failed;
    if (this.#devices.has(id)) return EEXIST;
    const origin = this.device(originId);
    if (isErrno(origin)) return origin;
    this.#time += 1;
    origin.details.snapshotTime = this.#time;
    this.#noteChange(origin);
    this.#add(id, origin.details.mapped, new CountedMap(this.#space, origin.map));
    return undefined;
  }

  deleteDevice(id: number): Errno | undefined {
    const failed = this.#change();
    if (failed !== undefined) return failed;
    const device = this.device(id);
    if (isErrno(device)) return device;
    if (device.open > 0) return EBUSY;
    this.#devices.delete(id);
    device.map.release();
    return undefined;
  }

  setTransaction(current: number, next: number): Errno | undefined {
    if (this.#change() !== undefined || this.#transaction !== current) return EINVAL;
    this.#transaction = next;
    return undefined;
  }

  reserveSnap(): Errno | undefined {
    return EINVAL;
  }

  releaseSnap(): Errno | undefined {
    return EINVAL;
  }

  #leafOf(device: ThinDevice, virtual: number): CountedLeaf | undefined {
    const number = Math.floor(virtual / 256);
    if (device === this.#leafDevice && number === this.#leafNumber) return this.#leaf;
    this.#leafDevice = device as CountedDevice;
    this.#leafNumber = number;
    this.#leaf = this.#leafDevice.map.leafOf(virtual);
    this.#leafIsOwn = this.#leafDevice.map.isOwn;
    return this.#leaf;
  }

  lookup(device: ThinDevice, virtual: number): Lookup | Errno {
    if (this.#failed) return EINVAL;
    const leaf = this.#leafOf(device, virtual);
    const block = leaf === undefined ? undefined : CountedMap.blockIn(leaf, virtual);
    if (leaf === undefined || block === undefined) return ENODATA;
    this.#lookup.block = block;
    this.#lookup.shared = CountedMap.timeIn(leaf, virtual) < device.details.snapshotTime;
    return this.#lookup;
  }

  findRange(device: ThinDevice, begin: number, end: number): MappedRange | Errno {
    const first = (device as CountedDevice).map.next(begin);
    if (first < 0 || first >= end) return ENODATA;
    const at = this.lookup(device, first);
    if (isErrno(at)) return at;
    const { block: data, shared } = at;
    let next = first + 1;
    for (; next < end; next++) {
      const other = this.lookup(device, next);
      if (isErrno(other) || other.block !== data + (next - first) || other.shared !== shared) break;
    }
    return { begin: first, end: next, data, shared };
  }

  map(device: ThinDevice, virtual: number, data: number): Errno | undefined {
    this.#inService = true;
    if (this.#failed) return EINVAL;
    const { map } = device as CountedDevice;
    let leaf = this.#leafOf(device, virtual);
    if (leaf === undefined || !this.#leafIsOwn) {
      leaf = map.ownLeaf(virtual);
      this.#leaf = leaf;
      this.#leafIsOwn = true;
    }
    if (map.put(leaf, virtual, data, this.#time % TIME_STEPS)) device.details.mapped += 1;
    if (!device.changed) this.#noteChange(device as CountedDevice);
    return undefined;
  }

  unmap(device: ThinDevice, begin: number, end: number): Errno | undefined {
    const failed = this.#change();
    if (failed !== undefined) return failed;
    device.details.mapped -= (device as CountedDevice).map.remove(begin, end);
    this.#noteChange(device as CountedDevice);
    return undefined;
  }

  highestMapped(device: ThinDevice): number | undefined | Errno {
    return (device as CountedDevice).map.highest();
  }

  newDataBlock(): number | Errno {
    this.#inService = true;
    return this.#failed ? EINVAL : this.#space.newBlock();
  }

  incData(begin: number, end: number): Errno | undefined {
    this.#space.inc(begin, end);
    return this.#change();
  }

  decData(begin: number, end: number): Errno | undefined {
    return this.#change() ?? this.#space.dec(begin, end);
  }

  countData(block: number): number {
    return this.#space.count(block);
  }

  growData(extra: number): Errno | undefined {
    if (this.#space.blocks + extra > COUNTED_BLOCKS_MAX) return EINVAL;
    this.#space.extend(extra);
    return this.#change();
  }

  devices(): readonly DeviceModel[] {
    return [...this.#devices.values()]
      .sort((one, other) => one.id - other.id)
      .map(({ id, details, map }) => ({ id, details, runs: map.runs() }));
  }

  check(name: string, lostMax: number): void {
    const nodes = new Map<object, { found: number; readonly counted: number }>();
    const blocks = new Map<number, number>();
    for (const { map } of this.#devices.values()) map.collect(nodes, blocks);
    for (const { found, counted } of nodes.values()) {
      assert(found === counted, `${name}: a node of mappings has ${found} references, counted ${counted}`);
    }
    this.#space.check(name, blocks, lostMax);
    for (const { id, details, map } of this.#devices.values()) {
      const mapped = map.runs().reduce((sum, { length }) => sum + length, 0);
      assert(mapped === details.mapped, `${name}: device ${id} maps ${mapped} blocks, its details say ${details.mapped}`);
    }
  }
}
