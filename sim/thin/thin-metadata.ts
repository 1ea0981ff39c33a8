/**
 * What a pool asks of its metadata. Two things answer: PoolMetadata (metadata.ts), which lies on a device in dm-thin's own format, and
 * CountedMetadata (counted-metadata.ts), which keeps the mappings in memory alone and knows no metadata blocks.
 *
 * Interface:
 * - A change that fails leaves a half-made transaction: the pool must `abort`, which goes back to the last commit.
 * - A mapping is shared when it is older than its device's last snapshot, whatever the reference counts say (spec/block-cow.md §1.4).
 */
import type { Errno } from "../core/errno.ts";
import type { DeviceDetails } from "./metadata-state.ts";
import type { DeviceModel } from "./model.ts";

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
  /** Whether it changed since the last commit. */
  changed: boolean;
  /** Whether changes to it were lost when a transaction was aborted. */
  aborted: boolean;
  /** Whether it was in memory when a transaction was aborted: its details are not taken back then (dm_pool_abort_metadata), whatever the last commit says. */
  stale: boolean;
}

/** A transaction was aborted while a device was in memory (__set_abort_with_changes_flags). */
export function abortDevice(device: ThinDevice): void {
  device.aborted = device.changed;
  device.stale = true;
}

/** What messages ask for. Each gives undefined or an error; a missing device is ENODATA, one that exists EEXIST, one in use EBUSY. */
interface DeviceChanges {
  createThin(id: number): Errno | undefined;
  createSnap(id: number, origin: number): Errno | undefined;
  deleteDevice(id: number): Errno | undefined;
  /** Compare and swap. @returns EINVAL where the current id is another one. */
  setTransaction(current: number, next: number): Errno | undefined;
  /** Holds the metadata as of now for readers. @returns EBUSY where that is done already. */
  reserveSnap(): Errno | undefined;
  /** @returns EINVAL where nothing is held. */
  releaseSnap(): Errno | undefined;
}

/** What is mapped where. */
interface Mappings {
  /** Where a virtual block is; the same object each time. @returns ENODATA where it is not mapped. */
  lookup(device: ThinDevice, virtual: number): Lookup | Errno;
  /** The first mapped range within [begin, end). @returns ENODATA. */
  findRange(device: ThinDevice, begin: number, end: number): MappedRange | Errno;
  /** Maps a virtual block to a data block as of now. @returns ENOSPC, EIO of the metadata. */
  map(device: ThinDevice, virtual: number, data: number): Errno | undefined;
  /** Unmaps [begin, end). */
  unmap(device: ThinDevice, begin: number, end: number): Errno | undefined;
  /** The highest mapped virtual block; undefined where there is none. */
  highestMapped(device: ThinDevice): number | undefined | Errno;
}

/** Which data blocks are in use. */
interface DataBlocks {
  readonly dataBlocks: number;
  readonly freeDataBlocks: number;
  /** Takes a data block. @returns ENOSPC. */
  newDataBlock(): number | Errno;
  /** One reference more for each block of [begin, end). */
  incData(begin: number, end: number): Errno | undefined;
  decData(begin: number, end: number): Errno | undefined;
  countData(block: number): number | Errno;
  /** `extra` blocks more; they count with the next commit. */
  growData(extra: number): Errno | undefined;
}

export interface ThinMetadata extends DeviceChanges, Mappings, DataBlocks {
  /** How many snapshots were taken. */
  readonly time: number;
  readonly transaction: number;
  readonly needsCheck: boolean;
  readonly metadataBlocks: number;
  /** What can be used: without the reserve. */
  readonly freeMetadataBlocks: number;
  /** Blocks of the metadata device that can be used: more than `metadataBlocks` where it grew. */
  readonly usableMetadataBlocks: number;
  /** The number of free metadata blocks at which an event is sent. */
  readonly metadataThreshold: number;
  /** Where a reserved metadata snapshot lies; 0: there is none. */
  readonly held: number;
  /** Whether a device changed since the last commit. */
  readonly changed: boolean;
  /** Before each commit's first write; an error ends the commit. */
  beforeCommit: (() => Errno | undefined) | undefined;
  /** While it is set, nothing is written. */
  readOnly: boolean;
  /** Makes everything so far durable: data device, changed metadata, superblock, in this order. @returns EIO, ENOSPC. */
  commit(): Errno | undefined;
  /** Goes back to the last commit. @returns an error where even that cannot be read; then the metadata has failed for good. */
  abort(): Errno | undefined;
  /** Marks the metadata as in need of a check, on the device as well. */
  markNeedsCheck(): Errno | undefined;
  growMetadata(extra: number): Errno | undefined;
  /** Calls `reached` when a new metadata block leaves `blocks` free or fewer, once until there is more again. */
  onThreshold(blocks: number, reached: () => void): void;
  /** The details of a device. @returns ENODATA. */
  device(id: number): ThinDevice | Errno;
  /** Opens a device. @returns ENODATA. */
  openDevice(id: number): ThinDevice | Errno;
  /** Every device with its mappings, in the order of their ids. O(mappings). */
  devices(): readonly DeviceModel[] | Errno;
  /**
   * Throws an InvariantError where counts, reachability or figures do not add up. O(metadata).
   * @param name - the pool's. @param lostMax - how many data blocks may be counted that nobody maps.
   */
  check(name: string, lostMax: number): void;
}
