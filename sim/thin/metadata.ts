/**
 * A pool's metadata: devices, their mappings, which blocks are in use, committed as one (drivers/md/dm-thin-metadata.c).
 *
 * Interface: thin-metadata.ts. What changes is in memory until `commit`, which writes copies of what changed, flushes, then the superblock.
 */
import { EINVAL, type Errno, isErrno } from "../core/errno.ts";
import { BTree } from "./btree.ts";
import { insert, insertNested } from "./btree-insert.ts";
import { checkMetadata } from "./check-metadata.ts";
import { mappedBlock, mappedTime, setMapping } from "./mapping.ts";
import { findRange, unmapRange } from "./mapping-ranges.ts";
import { MappingWalk } from "./mapping-walk.ts";
import { get64 } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import { createSnap, createThin, deleteDevice, releaseMetadataSnap, reserveMetadataSnap } from "./metadata-devices.ts";
import {
  type DeviceDetails,
  detailsValue,
  type MetadataState,
  openMetadata,
  openOrFormat,
  readDetails,
  saveSpaceMaps,
} from "./metadata-state.ts";
import { type DeviceModel, readDevices } from "./model.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";
import { abortDevice, type Lookup, type MappedRange, type ThinDevice, type ThinMetadata } from "./thin-metadata.ts";

/** The part of the metadata that is kept for commits: 4096 blocks or a tenth (spec/block-cow.md §1.2); older kernels kept none. */
export type MetadataReserve = "modern" | "none";
const RESERVE_MAX = 4096;
/** The metadata's low-water mark: 4 MiB, or a quarter. */
const THRESHOLD_MAX = 1024;

export class PoolMetadata implements ThinMetadata {
  readonly blocks: MetadataBlocks;
  readonly #reserve: MetadataReserve;
  beforeCommit: (() => Errno | undefined) | undefined;
  #state: MetadataState;
  readonly #devices = new Map<number, ThinDevice>();
  /** Those whose details have changed: a commit costs nothing for the others. */
  #changedDevices: ThinDevice[] = [];
  /** How many devices were ever kept. */
  #kept = 0;
  #time = 0;
  #transaction = 0;
  #needsCheck = false;
  /** Going back failed: nothing can be done with it. */
  #failed = false;
  /** Nothing is committed before the first change. */
  #inService = false;
  readonly #value = new Uint32Array(2);
  readonly #walk: MappingWalk = new MappingWalk();
  readonly #lookup: Lookup = { block: 0, shared: false };

  private constructor(blocks: MetadataBlocks, state: MetadataState, reserve: MetadataReserve) {
    this.blocks = blocks;
    this.#state = state;
    this.#reserve = reserve;
  }

  /**
   * Opens the metadata on a device, or makes it where the first block is all zeros.
   * @param options.format - false: a device without metadata gives EPERM. @returns the errors of formatMetadata and openMetadata.
   */
  static open(
    blocks: MetadataBlocks,
    options: { readonly dataBlockSectors: number; readonly format: boolean; readonly reserve: MetadataReserve },
  ): PoolMetadata | Errno {
    const state = openOrFormat(blocks, options);
    if (isErrno(state)) return state;
    const metadata = new PoolMetadata(blocks, state, options.reserve);
    return metadata.#begin() ?? metadata;
  }

  get state(): MetadataState {
    return this.#state;
  }

  get time(): number {
    return this.#time;
  }

  get transaction(): number {
    return this.#transaction;
  }

  get needsCheck(): boolean {
    return this.#needsCheck;
  }

  get dataBlocks(): number {
    return this.#state.data.blocks;
  }

  get freeDataBlocks(): number {
    return this.#state.data.free;
  }

  get metadataBlocks(): number {
    return this.#state.tx.space.blocks;
  }

  get usableMetadataBlocks(): number {
    return this.blocks.usable;
  }

  get metadataThreshold(): number {
    return Math.min(THRESHOLD_MAX, Math.floor(this.blocks.count / 4));
  }

  onThreshold(blocks: number, reached: () => void): void {
    this.#state.tx.space.onThreshold(blocks, reached);
  }

  get readOnly(): boolean {
    return this.blocks.readOnly;
  }

  set readOnly(value: boolean) {
    this.blocks.readOnly = value;
  }

  get freeMetadataBlocks(): number {
    const reserve = this.#reserve === "none" ? 0 : Math.min(RESERVE_MAX, Math.floor(this.metadataBlocks / 10));
    return Math.max(0, this.#state.tx.space.free - reserve);
  }

  get held(): number {
    const superblock = this.#superblock();
    return isErrno(superblock) ? 0 : superblock.held;
  }

  #superblock(): Superblock | Errno {
    const block = this.blocks.read(SUPERBLOCK_LOCATION, "superblock");
    return isErrno(block) ? block : new Superblock(block.words);
  }

  /** Takes what the superblock says as where the next transaction begins. */
  #begin(): Errno | undefined {
    const superblock = this.#superblock();
    if (isErrno(superblock)) return superblock;
    this.#time = superblock.time;
    this.#transaction = superblock.transaction;
    this.#needsCheck = superblock.needsCheck;
    this.#state.devices.root = superblock.mappings;
    this.#state.details.root = superblock.details;
    return undefined;
  }

  get changed(): boolean {
    return this.#changedDevices.some((device) => this.#devices.get(device.id) === device);
  }

  commit(): Errno | undefined {
    if (this.#failed) return EINVAL;
    return this.#commit() ?? this.#begin();
  }

  #commit(): Errno | undefined {
    if (!this.#inService) return undefined;
    this.#walk.forget();
    const { tx, data, devices, details } = this.#state;
    const failed = this.beforeCommit?.() ?? this.#saveDetails() ?? data.commit() ?? tx.space.commit() ?? this.blocks.flush();
    if (failed !== undefined) return failed;
    const superblock = this.changeSuperblock();
    if (isErrno(superblock)) return superblock;
    superblock.time = this.#time;
    superblock.mappings = devices.root;
    superblock.details = details.root;
    superblock.transaction = this.#transaction;
    superblock.needsCheck = this.#needsCheck;
    saveSpaceMaps(this.#state, superblock);
    tx.begin();
    // The point of no return: with the superblock on the device the new state is the pool's.
    return this.blocks.flush();
  }

  /** The newest device first, as the kernel's list has them. */
  #saveDetails(): Errno | undefined {
    this.#changedDevices.sort((one, other) => one.order - other.order);
    for (let device = this.#changedDevices.at(-1); device; device = this.#changedDevices.at(-1)) {
      const isKept = this.#devices.get(device.id) === device;
      const failed = isKept ? insert(this.#state.details, device.id, detailsValue(device.details)) : undefined;
      if (failed !== undefined) return failed;
      this.#changedDevices.pop();
      device.changed = false;
      if (isKept && device.open === 0) this.#devices.delete(device.id);
    }
    return undefined;
  }

  abort(): Errno | undefined {
    if (this.#failed) return EINVAL;
    this.#inService = true;
    this.#walk.forget();
    for (const device of this.#devices.values()) abortDevice(device);
    this.blocks.reset();
    const state = openMetadata(this.blocks);
    if (isErrno(state)) {
      this.#failed = true;
      return state;
    }
    this.#state = state;
    return undefined;
  }

  markNeedsCheck(): Errno | undefined {
    if (this.#failed) return EINVAL;
    this.#needsCheck = true;
    const superblock = this.changeSuperblock();
    if (isErrno(superblock)) return superblock;
    superblock.needsCheck = true;
    return this.blocks.flush();
  }

  /** The details of a device; a device that was opened or changed in this transaction has newer ones. @returns ENODATA. */
  device(id: number): ThinDevice | Errno {
    const known = this.#devices.get(id);
    if (known !== undefined) return known;
    const hit = this.#state.details.find(id);
    if (isErrno(hit)) return hit;
    return this.addDevice(id, readDetails(hit.words, hit.valueAt), false);
  }

  /** Keeps a device in memory. */
  addDevice(id: number, details: DeviceDetails, changed: boolean): ThinDevice {
    const device = { id, details, order: this.#kept++, open: 0, changed: false, aborted: false, stale: false };
    this.#devices.set(id, device);
    if (changed) this.noteChange(device);
    return device;
  }

  /** Notes that a device's details have changed. */
  noteChange(device: ThinDevice): void {
    if (!device.changed) this.#changedDevices.push(device);
    device.changed = true;
  }

  openDevice(id: number): ThinDevice | Errno {
    if (this.#failed) return EINVAL;
    const device = this.device(id);
    if (!isErrno(device)) device.open += 1;
    return device;
  }

  /** Forgets a device that is deleted. */
  forgetDevice(id: number): void {
    this.#devices.delete(id);
  }

  /** Notes that the pool is in use: from now on commits write. @returns the state to be changed; EINVAL when it has failed. */
  change(): MetadataState | Errno {
    this.#inService = true;
    this.#walk.forget();
    return this.#failed ? EINVAL : this.#state;
  }

  /** One snapshot more was taken. @returns the new time. */
  advanceTime(): number {
    this.#time += 1;
    return this.#time;
  }

  setTransaction(current: number, next: number): Errno | undefined {
    if (isErrno(this.change()) || this.#transaction !== current) return EINVAL;
    this.#transaction = next;
    return undefined;
  }

  /** Commits as a part of a change: what a metadata snapshot begins with. */
  commitWithin(): Errno | undefined {
    return this.#commit();
  }

  /** The superblock to be changed; written with the next commit. */
  changeSuperblock(): Superblock | Errno {
    const block = this.blocks.change(SUPERBLOCK_LOCATION, "superblock");
    return isErrno(block) ? block : new Superblock(block.words);
  }

  /** @returns ENODATA. */
  #mappings(id: number): BTree | Errno {
    const { devices, tx, mappingType } = this.#state;
    const hit = devices.find(id);
    return isErrno(hit) ? hit : new BTree(tx, mappingType, get64(hit.words, hit.valueAt));
  }

  lookup(device: ThinDevice, virtual: number): Lookup | Errno {
    if (this.#failed) return EINVAL;
    const { tx, devices } = this.#state;
    const hit = this.#walk.find(tx, devices.root, device.id, virtual);
    if (isErrno(hit)) return hit;
    this.#lookup.block = mappedBlock(hit.words, hit.valueAt);
    this.#lookup.shared = mappedTime(hit.words, hit.valueAt) < device.details.snapshotTime;
    return this.#lookup;
  }

  findRange(device: ThinDevice, begin: number, end: number): MappedRange | Errno {
    const mappings = this.#mappings(device.id);
    return isErrno(mappings) ? mappings : findRange(mappings, device.details.snapshotTime, begin, end);
  }

  newDataBlock(): number | Errno {
    this.#inService = true;
    return this.#failed ? EINVAL : this.#state.data.newBlock();
  }

  map(device: ThinDevice, virtual: number, data: number): Errno | undefined {
    this.#inService = true;
    if (this.#failed) return EINVAL;
    setMapping(this.#value, data, this.#time);
    const isNew =
      this.#walk.put(device.id, virtual, this.#state.mappingType, this.#value) ?? this.#insert(device.id, virtual, this.#value);
    if (isErrno(isNew)) return isNew;
    this.noteChange(device);
    if (isNew) device.details.mapped += 1;
    return undefined;
  }

  #insert(id: number, virtual: number, value: Uint32Array): boolean | Errno {
    const { tx, rootType, devices, mappingType } = this.#state;
    this.#walk.forget();
    const outer = new BTree(tx, rootType, devices.root);
    const isNew = insertNested(outer, id, mappingType, virtual, value);
    if (!isErrno(isNew)) devices.root = outer.root;
    return isNew;
  }

  unmap(device: ThinDevice, begin: number, end: number): Errno | undefined {
    const state = this.change();
    if (isErrno(state)) return state;
    const mappings = this.#mappings(device.id);
    if (isErrno(mappings)) return mappings;
    const removed = unmapRange(state, mappings, device.id, { begin, end });
    if (isErrno(removed)) return removed;
    device.details.mapped -= removed;
    this.noteChange(device);
    return undefined;
  }

  highestMapped(device: ThinDevice): number | undefined | Errno {
    const mappings = this.#mappings(device.id);
    return isErrno(mappings) ? mappings : mappings.highestKey();
  }

  incData(begin: number, end: number): Errno | undefined {
    const state = this.change();
    return isErrno(state) ? state : state.data.inc(begin, end);
  }

  decData(begin: number, end: number): Errno | undefined {
    const state = this.change();
    return isErrno(state) ? state : state.data.dec(begin, end);
  }

  countData(block: number): number | Errno {
    return this.#state.data.count(block);
  }

  growData(extra: number): Errno | undefined {
    const state = this.change();
    return isErrno(state) ? state : state.data.extend(extra);
  }

  growMetadata(extra: number): Errno | undefined {
    const state = this.change();
    return isErrno(state) ? state : state.tx.space.extend(extra);
  }

  createThin(id: number): Errno | undefined {
    return createThin(this, id);
  }

  createSnap(id: number, origin: number): Errno | undefined {
    return createSnap(this, id, origin);
  }

  deleteDevice(id: number): Errno | undefined {
    return deleteDevice(this, id);
  }

  reserveSnap(): Errno | undefined {
    return reserveMetadataSnap(this);
  }

  releaseSnap(): Errno | undefined {
    return releaseMetadataSnap(this);
  }

  devices(): readonly DeviceModel[] | Errno {
    return readDevices(this.#state);
  }

  check(name: string, lostMax: number): void {
    checkMetadata(this, name, lostMax);
  }
}
