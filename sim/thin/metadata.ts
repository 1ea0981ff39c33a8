/**
 * A pool's metadata: devices, their mappings, which blocks are in use, committed as one (drivers/md/dm-thin-metadata.c).
 *
 * Interface:
 * - What changes is in memory until `commit`, which writes copies of what changed, flushes, and then the superblock.
 * - A change that fails leaves a half-made transaction: its owner must `abort`, which goes back to the last commit.
 * - A mapping is shared when it is older than its device's last snapshot, whatever the reference counts say (spec/block-cow.md §1.4).
 */
import { EINVAL, ENODATA, EPERM, type Errno, isErrno } from "../core/errno.ts";
import { BTree } from "./btree.ts";
import { insert, insertNested } from "./btree-insert.ts";
import { remove, removeRun } from "./btree-remove.ts";
import { mappedBlock, mappedTime, setMapping } from "./mapping.ts";
import { MappingWalk } from "./mapping-walk.ts";
import { get64, set64 } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";
import {
  type DeviceDetails,
  detailsValue,
  formatMetadata,
  type MetadataState,
  openMetadata,
  readDetails,
  saveSpaceMaps,
} from "./metadata-state.ts";
import { SUPERBLOCK_LOCATION, Superblock } from "./superblock.ts";

/** The part of the metadata that is kept for commits: 4096 blocks or a tenth (spec/block-cow.md §1.2); older kernels kept none. */
export type MetadataReserve = "modern" | "none";
const RESERVE_MAX = 4096;

/** Where a virtual block is. */
export interface Lookup {
  block: number;
  /** Whether a write must go to a new block. */
  shared: boolean;
}

/** Neighbouring mappings of one device whose data blocks are neighbours, too, and as shared. */
export interface MappedRange {
  readonly begin: number;
  readonly end: number;
  readonly data: number;
  readonly shared: boolean;
}

/** A device that was opened or changed. */
export interface ThinDevice {
  readonly id: number;
  readonly details: DeviceDetails;
  /** Later devices have a greater one. */
  readonly order: number;
  /** How many use it. */
  open: number;
  /** Whether its details differ from the tree's. */
  changed: boolean;
  /** Whether changes to it were lost when a transaction was aborted. */
  aborted: boolean;
}

export class PoolMetadata {
  readonly blocks: MetadataBlocks;
  readonly #reserve: MetadataReserve;
  /** Before each commit's first write; an error ends the commit. */
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

  get failed(): boolean {
    return this.#failed;
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

  /** What can be used: without the reserve. */
  get freeMetadataBlocks(): number {
    const reserve = this.#reserve === "none" ? 0 : Math.min(RESERVE_MAX, Math.floor(this.metadataBlocks / 10));
    return Math.max(0, this.#state.tx.space.free - reserve);
  }

  /** Where a reserved metadata snapshot lies; 0: there is none. */
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

  /** Whether a device changed since the last commit. */
  get changed(): boolean {
    return this.#changedDevices.some((device) => this.#devices.get(device.id) === device);
  }

  /** Makes everything so far durable: data device, changed metadata, superblock, in this order. @returns EIO, ENOSPC. */
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

  /** Goes back to the last commit. @returns an error where even that cannot be read; then the metadata has failed for good. */
  abort(): Errno | undefined {
    if (this.#failed) return EINVAL;
    this.#inService = true;
    this.#walk.forget();
    for (const device of this.#devices.values()) device.aborted = device.changed;
    this.blocks.reset();
    const state = openMetadata(this.blocks);
    if (isErrno(state)) {
      this.#failed = true;
      return state;
    }
    this.#state = state;
    return undefined;
  }

  /** Marks the metadata as in need of a check; it reaches the device with the next commit. */
  setNeedsCheck(): Errno | undefined {
    if (this.#failed) return EINVAL;
    this.#needsCheck = true;
    const superblock = this.changeSuperblock();
    if (isErrno(superblock)) return superblock;
    superblock.needsCheck = true;
    return undefined;
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
    const device = { id, details, order: this.#kept++, open: 0, changed: false, aborted: false };
    this.#devices.set(id, device);
    if (changed) this.noteChange(device);
    return device;
  }

  /** Notes that a device's details have changed. */
  noteChange(device: ThinDevice): void {
    if (!device.changed) this.#changedDevices.push(device);
    device.changed = true;
  }

  /** Opens a device. @returns ENODATA. */
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

  /** Compare and swap. @returns EINVAL where the current id is another one. */
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

  /** Where a virtual block is; the same object each time. @returns ENODATA where it is not mapped. */
  lookup(device: ThinDevice, virtual: number): Lookup | Errno {
    if (this.#failed) return EINVAL;
    const { tx, devices } = this.#state;
    const hit = this.#walk.find(tx, devices.root, device.id, virtual);
    if (isErrno(hit)) return hit;
    this.#lookup.block = mappedBlock(hit.words, hit.valueAt);
    this.#lookup.shared = mappedTime(hit.words, hit.valueAt) < device.details.snapshotTime;
    return this.#lookup;
  }

  /** The first mapped range within [begin, end). @returns ENODATA. */
  findRange(device: ThinDevice, begin: number, end: number): MappedRange | Errno {
    const mappings = this.#mappings(device.id);
    if (isErrno(mappings)) return mappings;
    const hit = mappings.findFrom(begin);
    if (isErrno(hit)) return hit;
    if (hit.key >= end) return ENODATA;
    const isShared = (): boolean => mappedTime(hit.words, hit.valueAt) < device.details.snapshotTime;
    const first = { begin: hit.key, data: mappedBlock(hit.words, hit.valueAt), shared: isShared() };
    let next = first.begin + 1;
    for (; next < end; next++) {
      const other = mappings.find(next);
      if (other === ENODATA) break;
      if (isErrno(other)) return other;
      if (mappedBlock(other.words, other.valueAt) !== first.data + (next - first.begin) || isShared() !== first.shared) break;
    }
    return { ...first, end: next };
  }

  /** Takes a data block. @returns ENOSPC. */
  newDataBlock(): number | Errno {
    this.#inService = true;
    return this.#failed ? EINVAL : this.#state.data.newBlock();
  }

  /** Maps a virtual block to a data block as of now. @returns ENOSPC, EIO of the metadata. */
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

  /**
   * Unmaps [begin, end). The device's tree is taken out of the tree of devices meanwhile, as the kernel does, so that it is worked on alone.
   */
  unmap(device: ThinDevice, begin: number, end: number): Errno | undefined {
    const state = this.change();
    if (isErrno(state)) return state;
    const mappings = this.#mappings(device.id);
    if (isErrno(mappings)) return mappings;
    const { tx, devices } = state;
    const failed = tx.space.inc(mappings.root, mappings.root + 1) ?? remove(devices, device.id);
    if (failed !== undefined) return failed;
    for (let at = begin; at < end; ) {
      const hit = mappings.findFrom(at);
      if (hit === ENODATA) break;
      if (isErrno(hit)) return hit;
      if (hit.key >= end) break;
      const run = removeRun(mappings, hit.key, end);
      if (isErrno(run)) return run;
      device.details.mapped -= run.removed;
      at = run.next;
    }
    this.noteChange(device);
    const value = new Uint32Array(2);
    set64(value, 0, mappings.root);
    return insert(devices, device.id, value);
  }

  /** The highest mapped virtual block; undefined where there is none. */
  highestMapped(device: ThinDevice): number | undefined | Errno {
    const mappings = this.#mappings(device.id);
    return isErrno(mappings) ? mappings : mappings.highestKey();
  }
}

function openOrFormat(
  blocks: MetadataBlocks,
  options: { readonly dataBlockSectors: number; readonly format: boolean },
): MetadataState | Errno {
  const blank = blocks.isBlank();
  if (isErrno(blank)) return blank;
  if (!blank) return openMetadata(blocks, options.dataBlockSectors);
  return options.format ? formatMetadata(blocks, options.dataBlockSectors) : EPERM;
}
