/**
 * What a pool is made of and how it behaves: its table (spec/block-cow.md §1.1, §1.2; drivers/md/dm-thin.c, pool_ctr).
 */

import type { BlockDevice } from "../block/device.ts";
import type { Allocations } from "../core/allocations.ts";
import type { Clock } from "../core/clock.ts";
import { EINVAL, type Errno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import { deviceNumber, majorOf, minorOf } from "../core/units.ts";
import type { MetadataReserve } from "./metadata.ts";

export const SECTOR = 512;
/** A data block is a multiple of this. */
const BLOCK_SECTORS_MIN = 128;
const BLOCK_SECTORS_MAX = 2_097_152;

/** A table that cannot be loaded: the error of the ioctl, and what the kernel logs as its reason. */
export class TargetError {
  readonly errno: Errno;
  readonly reason: string;

  constructor(errno: Errno, reason: string) {
    this.errno = errno;
    this.reason = reason;
  }
}

/** The features of a pool's table, as it asks for them. */
export interface PoolFeatures {
  /** A new block is zeroed unless the write covers it; false: skip_block_zeroing. */
  readonly zeroNewBlocks: boolean;
  /** False: ignore_discard. */
  readonly discard: boolean;
  /** False: no_discard_passdown. */
  readonly discardPassdown: boolean;
  readonly readOnly: boolean;
  /** Writes that find no space fail at once instead of waiting for it. */
  readonly errorIfNoSpace: boolean;
}

const DEFAULT_FEATURES: PoolFeatures = {
  zeroNewBlocks: true,
  discard: true,
  discardPassdown: true,
  readOnly: false,
  errorIfNoSpace: false,
};

/** The words of a table that change a feature. */
const FEATURE_WORDS: Readonly<Record<string, Partial<PoolFeatures>>> = {
  skip_block_zeroing: { zeroNewBlocks: false },
  ignore_discard: { discard: false },
  no_discard_passdown: { discardPassdown: false },
  read_only: { readOnly: true },
  error_if_no_space: { errorIfNoSpace: true },
};
const FEATURE_WORDS_MAX = 4;

/** What a pool's table says, but for its devices. */
export interface PoolTable {
  /** Sectors of a data block: 128 to 2,097,152 in steps of 128. */
  readonly blockSectors: number;
  /** When no more blocks than this are free, an event is sent. */
  readonly lowWaterBlocks: number;
  readonly features: PoolFeatures;
}

function parseFeatures(words: readonly string[]): PoolFeatures | TargetError {
  const [countWord, ...names] = words;
  if (countWord === undefined) return DEFAULT_FEATURES;
  const count = Number(countWord);
  if (!/^\d+$/.test(countWord) || count > FEATURE_WORDS_MAX) {
    return new TargetError(EINVAL, "Invalid number of pool feature arguments");
  }
  if (names.length < count) return new TargetError(EINVAL, "not enough arguments");
  let features = DEFAULT_FEATURES;
  for (const name of names.slice(0, count)) {
    const change = FEATURE_WORDS[name.toLowerCase()];
    if (change === undefined) return new TargetError(EINVAL, "Unrecognised pool feature requested");
    features = { ...features, ...change };
  }
  return features;
}

/**
 * Reads the arguments of a thin-pool table line, those after the target's name: metadata device, data device, block size, low-water mark,
 * and perhaps a number of features and their names.
 */
export function parsePoolTable(words: readonly string[]): PoolTable | TargetError {
  const [metadata, data, blockSize, lowWater, ...rest] = words;
  if (metadata === undefined || data === undefined || blockSize === undefined || lowWater === undefined) {
    return new TargetError(EINVAL, "Invalid argument count");
  }
  if (metadata === data) return new TargetError(EINVAL, "Error setting metadata or data device");
  const features = parseFeatures(rest);
  if (features instanceof TargetError) return features;
  const blockSectors = Number(blockSize);
  if (!/^\d+$/.test(blockSize) || !isBlockSize(blockSectors)) return new TargetError(EINVAL, "Invalid block size");
  if (!/^\d+$/.test(lowWater)) return new TargetError(EINVAL, "Invalid low water mark");
  return { blockSectors, lowWaterBlocks: Number(lowWater), features };
}

function isBlockSize(sectors: number): boolean {
  return sectors >= BLOCK_SECTORS_MIN && sectors <= BLOCK_SECTORS_MAX && sectors % BLOCK_SECTORS_MIN === 0;
}

/** What `dmsetup table` prints behind "thin-pool": the arguments, then a space (emit_flags). */
export function poolTableLine(table: PoolTable, devices: { readonly metadata: number; readonly data: number }): string {
  const words: string[] = [];
  const { features } = table;
  if (!features.zeroNewBlocks) words.push("skip_block_zeroing");
  if (!features.discard) words.push("ignore_discard");
  if (!features.discardPassdown) words.push("no_discard_passdown");
  if (features.readOnly) words.push("read_only");
  if (features.errorIfNoSpace) words.push("error_if_no_space");
  const name = (device: number): string => `${majorOf(device)}:${minorOf(device)}`;
  const head = [name(devices.metadata), name(devices.data), table.blockSectors, table.lowWaterBlocks, words.length];
  return `${[...head, ...words].join(" ")} `;
}

/** A pool's devices and surroundings. */
export interface PoolOptions {
  /** Which data blocks a test has refused; absent: none. */
  readonly allocations?: Allocations;
  readonly name: string;
  /**
   * Absent: the pool keeps no metadata. It does with data blocks what any pool does, much faster, but has no metadata blocks to count, and
   * is gone when it is closed or the power fails (counted-metadata.ts).
   */
  readonly metadata?: BlockDevice;
  readonly data: BlockDevice;
  readonly table: PoolTable;
  /** Length of the table in sectors; default: the whole data device. */
  readonly sectors?: number;
  /** major:minor of the two devices, for the table line. */
  readonly deviceNumbers?: { readonly metadata: number; readonly data: number };
  /** Whose time commits and waiting go by; without one, nothing commits by time, and who waits for space gets none. */
  readonly clock?: Clock;
  /** Seconds that writes wait for space; 0: for ever. Default 60. */
  readonly noSpaceTimeout?: number;
  readonly metadataReserve?: MetadataReserve;
  /** Metadata blocks kept in memory beside those that changed; default 8192. Says nothing about what is done to the device's writes. */
  readonly metadataCache?: number;
  /** Where what happens to shared blocks is told. */
  readonly events?: EventStream;
  /** Hears each line that the kernel would log. */
  readonly log?: (line: string) => void;
  /** Hears each device-mapper event: low water, a change of mode. It may grow the pool. */
  readonly onEvent?: () => void;
}

/** Device numbers where none are told. */
export const NO_NUMBERS: { readonly metadata: number; readonly data: number } = {
  metadata: deviceNumber(0, 0),
  data: deviceNumber(0, 0),
};
