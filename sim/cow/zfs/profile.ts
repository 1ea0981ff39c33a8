/**
 * Versions of ZFS as data: where pool v23, OpenZFS 2.1 and current OpenZFS differ, a field here decides (spec/block-cow.md §3.1, §3.2).
 */
import { GIB, MIB } from "../../core/units.ts";
import type { Compression, Compressor } from "./compress.ts";

/** Bytes of the meta object set (all copies but one counted once) that a pool keeps beside its datasets; measured, see each profile. */
interface PoolCosts {
  /** Of each object of an empty pool, but for its space maps: dnodes, directory, properties, history, features, configuration. */
  readonly base: readonly number[];
  /** Of each filesystem: its directory and dataset objects with their tables. */
  readonly filesystem: number;
  /** Of each clone. */
  readonly clone: number;
  /** Of each object's dnode; the objects of a directory, a head and a snapshot; and those that an empty pool's costs hold already. */
  readonly dnode: number;
  /** Of a block of a list of pointers, without any; 0: such lists are part of the other costs. */
  readonly emptyList: number;
}

export interface ZfsProfile {
  readonly name: string;
  /** log2 of the size of an indirect block. */
  readonly indirectShift: number;
  /** Bytes of an object set's block. */
  readonly objsetBytes: number;
  /** How metadata is compressed. */
  readonly metadataCompression: Compressor;
  /** What compression=on means, and what a new pool's root has. */
  readonly onCompression: Compression;
  readonly defaultCompression: Compression;
  /** Whether a block that compresses to 112 bytes lies in its pointer (feature embedded_data). */
  readonly embedded: boolean;
  /** Whether a file's bonus holds system attributes (zpl 5) or a znode of 264 bytes. */
  readonly systemAttributes: boolean;
  /** Whether the intent log is told of extended attributes that are an object's own (feature zilsaxattr, 2.2). */
  readonly logsAttributes: boolean;
  /** Bytes of a file's bonus buffer. */
  readonly bonusBytes: number;
  /** The number of a filesystem's root directory. */
  readonly rootObject: number;
  /** How many objects go before the numbers of new ones are looked for from the beginning again. */
  readonly rescanAfter: number;
  /** The objects that every filesystem has beside its root: number, and bytes of the one block of each, compressed; up to 112 lie in the pointer. */
  readonly systemObjects: readonly (readonly [number, number])[];
  /** Which of them has a row while an object without names is there, and which tells how attributes lie; absent before system attributes. */
  readonly deleteQueue?: number;
  readonly layoutTable?: number;
  /** Bytes of each table of space by user and group, compressed; up to 112 lie in their pointers. */
  readonly accountingBytes: number;
  /** Whether those tables are written with every change, not only with one of the sums. */
  readonly accountsAlways: boolean;
  /** Whether a snapshot ends the intent log of its filesystem (before pool version 27, SPA_VERSION_FAST_SNAP: zil_suspend). */
  readonly suspendsLog: boolean;
  /** Whether errors are worded as OpenZFS words them, not as the tools of pool version 23 did. */
  readonly speaksOpenZfs: boolean;
  /** log2 of the smallest allocation that a compressed block's size is rounded up to is the pool's ashift; before it was 512 bytes. */
  readonly roundsToAshift: boolean;
  /** The columns of `zpool list` without -o. */
  readonly poolColumns: readonly string[];
  /** Whether a clone lists the blocks that are its own (feature livelist). */
  readonly hasLiveLists: boolean;
  /** How many allocators there are, each with metaslabs of its own (spa_alloc_count). */
  readonly allocators: number;
  /** log2 of the bytes of a space map's block. */
  readonly spaceMapShift: number;
  /** Whether groups log what the space went through, and metaslabs' maps follow (feature log_spacemap). */
  readonly logsSpace: boolean;
  /** Transaction groups that making a pool takes: its own, and those of its history and of the root's first mount. */
  readonly creationGroups: number;
  readonly poolCosts: PoolCosts;
  /** Bytes that a pool of `space` bytes keeps for itself (slop). */
  slop(space: number): number;
  /** log2 of a metaslab's size on a device of `size` usable bytes. */
  metaslabShift(size: number): number;
}

/** The position of the highest bit that is set, from 1 on, of a number above 0. */
function highestBit(value: number): number {
  return Math.floor(Math.log2(value)) + 1;
}

function slopOpenZfs(space: number): number {
  const least = Math.min(Math.floor(space / 2), MIB(128));
  return Math.max(Math.min(Math.floor(space / 32), GIB(128)), least);
}

/** vdev_metaslab_set_size: 512 MiB each, unless that makes fewer than 16 or more than 200; 16 GiB at most. */
function metaslabShiftOpenZfs(size: number): number {
  const count = Math.floor(size / MIB(512));
  if (count < 16) return Math.max(24, highestBit(Math.floor(size / 16)));
  return count > 200 ? Math.min(34, highestBit(Math.floor(size / 200))) : 29;
}

/** Pool version 23 as zfs-fuse 0.7.0 has it. */
export const ZFS_V23: ZfsProfile = {
  name: "v23",
  indirectShift: 14,
  objsetBytes: 2048,
  metadataCompression: "lzjb",
  onCompression: "lzjb",
  defaultCompression: "off",
  embedded: false,
  systemAttributes: false,
  logsAttributes: false,
  bonusBytes: 264,
  rootObject: 3,
  rescanAfter: 1,
  systemObjects: [
    [1, 512],
    [2, 512],
    [4, 512],
  ],
  accountingBytes: 512,
  accountsAlways: true,
  suspendsLog: true,
  speaksOpenZfs: false,
  roundsToAshift: false,
  poolColumns: ["name", "size", "allocated", "free", "capacity", "dedupratio", "health", "altroot"],
  hasLiveLists: false,
  allocators: 1,
  spaceMapShift: 12,
  logsSpace: false,
  creationGroups: 1,
  poolCosts: { base: [20_992], filesystem: 5632, clone: 5120, dnode: 0, emptyList: 0 },
  slop: (space) => Math.max(Math.floor(space / 64), MIB(32)),
  metaslabShift: (size) => Math.max(24 - 4, highestBit(Math.floor(size / 200))),
};

/** OpenZFS 2.1 as Debian 12 has it, on Linux 6.1. */
export const OPENZFS_2_1: ZfsProfile = {
  name: "2.1",
  indirectShift: 17,
  objsetBytes: 4096,
  metadataCompression: "lz4",
  onCompression: "lz4",
  defaultCompression: "off",
  embedded: true,
  systemAttributes: true,
  logsAttributes: false,
  bonusBytes: 176,
  rootObject: 34,
  rescanAfter: 131_072,
  systemObjects: [
    [1, 512],
    [32, 104],
    [33, 60],
    [35, 512],
    [36, 4096],
  ],
  deleteQueue: 33,
  layoutTable: 36,
  accountingBytes: 64,
  accountsAlways: false,
  suspendsLog: false,
  speaksOpenZfs: true,
  roundsToAshift: true,
  poolColumns: [
    ...["name", "size", "allocated", "free", "checkpoint", "expandsize", "fragmentation"],
    ...["capacity", "dedupratio", "health", "altroot"],
  ],
  hasLiveLists: true,
  allocators: 4,
  spaceMapShift: 17,
  logsSpace: true,
  creationGroups: 4,
  poolCosts: { base: [5632, 4608, 4096, 2048, 6144, 2048, 1024, 1024], filesystem: 0, clone: 0, dnode: 104, emptyList: 528 },
  slop: slopOpenZfs,
  metaslabShift: metaslabShiftOpenZfs,
};

/** Current OpenZFS (2.2 and later): compression is on from the beginning. */
const OPENZFS_CURRENT: ZfsProfile = { ...OPENZFS_2_1, name: "current", defaultCompression: "lz4", logsAttributes: true };

/** Every profile, by its name. */
export const ZFS_PROFILES: ReadonlyMap<string, ZfsProfile> = new Map(
  [ZFS_V23, OPENZFS_2_1, OPENZFS_CURRENT].map((profile) => [profile.name, profile]),
);
