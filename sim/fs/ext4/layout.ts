/**
 * Where everything lies on an ext4 disk: the geometry that mke2fs 1.47 chooses with its defaults (lib/ext2fs/initialize.c, alloc_tables.c,
 * mkjournal.c), for 4 KiB blocks.
 *
 * Interface: a Geometry is a function of the device's size alone, until it grows (grow.ts). Every 16 groups make a flex group, whose first
 * group holds the bitmaps and inode tables of all 16, one kind after the other; what grows into a flex group that is there has its own in
 * its first group. Superblock backups lie in group 1 and the powers of 3, 5 and 7.
 */
import { assert } from "../../core/assert.ts";

export const BLOCK_SIZE = 4096;
export const BLOCKS_PER_GROUP = 32_768;
export const GROUPS_PER_FLEX = 16;
export const INODE_SIZE = 256;
export const INODES_PER_BLOCK: number = BLOCK_SIZE / INODE_SIZE;
export const DESCRIPTORS_PER_BLOCK = 64;
export const ROOT_INODE = 2;
export const RESIZE_INODE = 7;
export const JOURNAL_INODE = 8;
/** The first inode that is not reserved: mke2fs gives it to lost+found. */
export const FIRST_INODE = 11;
/** lost+found is made with room for this many bytes, so that e2fsck need not allocate. */
export const LOST_AND_FOUND_BLOCKS = 4;
const ADDRESSES_PER_BLOCK = 1024;
const RESERVED_PERCENT = 5;
const HASH_SEED: readonly number[] = [0x1e8c2b3f, 0x094d647a, 0xef10519e, 0x34ab12ee];
/** The kernel keeps this many clusters (or 2 %) for extent conversions that must not fail (EXT4_DEF_RESERVED..., super.c). */
const RESERVED_CLUSTERS_MAX = 4096;

export interface Geometry {
  readonly blocks: number;
  readonly groups: number;
  readonly inodesPerGroup: number;
  readonly inodes: number;
  /** Blocks of one group's inode table. */
  readonly tableBlocks: number;
  readonly descriptorBlocks: number;
  readonly reservedDescriptorBlocks: number;
  /** Blocks for the superuser. */
  readonly reservedBlocks: number;
  /** s_resv_clusters. */
  readonly reservedClusters: number;
  readonly journalBlocks: number;
  /** s_hash_seed, by which names are hashed: four words. */
  readonly hashSeed: readonly number[];
  /** How many groups there were before each time that it grew; absent: it never did. */
  readonly growths?: readonly number[];
}

/** Bytes an inode by the usage types of mke2fs.conf: small, default, big, huge. */
function inodeRatio(deviceBytes: number): number {
  const mebibytes = Math.floor(deviceBytes / 2 ** 20);
  if (mebibytes < 512) return 4096;
  if (mebibytes < 4 * 2 ** 20) return 16_384;
  return mebibytes < 16 * 2 ** 20 ? 32_768 : 65_536;
}

/** ext2fs_default_journal_size. */
function journalLength(blocks: number): number {
  const steps: readonly (readonly [below: number, length: number])[] = [
    [2048, 0],
    [32_768, 1024],
    [256 * 1024, 4096],
    [512 * 1024, 8192],
    [4096 * 1024, 16_384],
    [8192 * 1024, 32_768],
    [16_384 * 1024, 65_536],
    [32_768 * 1024, 131_072],
  ];
  for (const [below, length] of steps) if (blocks < below) return length;
  return 262_144;
}

/** calc_reserved_gdt_blocks: room to grow a thousandfold, at most what one indirect block addresses. */
function reservedDescriptors(blocks: number, descriptorBlocks: number): number {
  const most = blocks < (2 ** 32 - 1) / 1024 ? blocks * 1024 : 2 ** 32 - 1;
  const groups = Math.ceil(most / BLOCKS_PER_GROUP);
  return Math.max(0, Math.min(ADDRESSES_PER_BLOCK, Math.ceil(groups / DESCRIPTORS_PER_BLOCK) - descriptorBlocks));
}

/** What mke2fs may be told; by default the size decides. */
export interface GeometryOptions {
  /** Bytes of disk for each inode (-i). */
  readonly inodeRatio?: number;
  /** How many inodes at least: the groups' tables are filled (-N). */
  readonly inodes?: number;
  /** Share of the blocks that only the superuser gets, in percent (-m). */
  readonly reservedPercent?: number;
  /** What names are hashed with: the UUID's bytes as four words (-E hash_seed). Default: always the same, where mke2fs draws one. */
  readonly hashSeed?: readonly number[];
}

/** s_resv_clusters of a filesystem of so many blocks (ext4_set_resv_clusters). */
export function reservedClustersOf(blocks: number): number {
  return Math.min(Math.floor(blocks / 50), RESERVED_CLUSTERS_MAX);
}

/** The geometry of a filesystem made on `deviceBytes`; at least 8 MiB. */
export function geometryOf(deviceBytes: number, options: GeometryOptions = {}): Geometry {
  let blocks = Math.floor(deviceBytes / BLOCK_SIZE);
  assert(blocks >= 2048 && blocks <= 2 ** 32, `ext4: no filesystem of ${blocks} blocks`);
  const ratio = options.inodeRatio ?? inodeRatio(deviceBytes);
  // Asked for before a last group that is too small for its own metadata is left out.
  const wanted = options.inodes ?? Math.min(Math.floor((blocks * BLOCK_SIZE) / ratio), 2 ** 32 - 1);
  for (;;) {
    const groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
    const descriptorBlocks = Math.ceil(groups / DESCRIPTORS_PER_BLOCK);
    const inodesPerGroup = Math.ceil(Math.ceil(wanted / groups) / INODES_PER_BLOCK) * INODES_PER_BLOCK;
    const tableBlocks = inodesPerGroup / INODES_PER_BLOCK;
    const reservedDescriptorBlocks = reservedDescriptors(blocks, descriptorBlocks);
    const rest = blocks % BLOCKS_PER_GROUP;
    const last = groups - 1;
    const overhead = 2 + tableBlocks + (hasSuperblock(last) ? 1 + descriptorBlocks + reservedDescriptorBlocks : 0);
    if (groups > 1 && rest > 0 && rest < overhead + 50) {
      blocks -= rest;
      continue;
    }
    return {
      blocks,
      groups,
      inodesPerGroup,
      inodes: inodesPerGroup * groups,
      tableBlocks,
      descriptorBlocks,
      reservedDescriptorBlocks,
      reservedBlocks: Math.floor((blocks * (options.reservedPercent ?? RESERVED_PERCENT)) / 100),
      reservedClusters: reservedClustersOf(blocks),
      journalBlocks: journalLength(blocks),
      hashSeed: options.hashSeed ?? HASH_SEED,
    };
  }
}

function isPowerOf(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** Whether a group holds a copy of the superblock and the group descriptors (sparse_super). */
export function hasSuperblock(group: number): boolean {
  return group <= 1 || isPowerOf(group, 3) || isPowerOf(group, 5) || isPowerOf(group, 7);
}

export function firstBlockOf(group: number): number {
  return group * BLOCKS_PER_GROUP;
}

/** How many blocks a group has: all but the last have 32,768. */
export function blocksIn(geometry: Geometry, group: number): number {
  return Math.min(BLOCKS_PER_GROUP, geometry.blocks - firstBlockOf(group));
}

/** Blocks at a group's beginning for the superblock, its descriptors and their reserve. */
function superblockArea(geometry: Geometry, group: number): number {
  return hasSuperblock(group) ? 1 + geometry.descriptorBlocks + geometry.reservedDescriptorBlocks : 0;
}

/** What a flex group has behind each other: block bitmaps, inode bitmaps, tables. */
const FLEX_PARTS = 3;
const TABLE_PART = 2;
const NO_GROWTHS: readonly number[] = [];

/** The first of the groups that have their bitmaps and tables together with a group's. */
function flexFirst(geometry: Geometry, group: number): number {
  let first = group - (group % GROUPS_PER_FLEX);
  for (const groups of geometry.growths ?? NO_GROWTHS) if (groups > first && groups <= group) first = groups;
  return first;
}

/** How many they are. @param first - the first of them. */
function flexMembers(geometry: Geometry, first: number): number {
  let end = Math.min(geometry.groups, first - (first % GROUPS_PER_FLEX) + GROUPS_PER_FLEX);
  for (const groups of geometry.growths ?? NO_GROWTHS) if (groups > first) end = Math.min(end, groups);
  return end - first;
}

/** Where the bitmaps and tables of a group's flex group begin. */
function flexBase(geometry: Geometry, group: number): number {
  const first = flexFirst(geometry, group);
  return firstBlockOf(first) + superblockArea(geometry, first);
}

/** How far a flex group's inode bitmaps lie behind its block bitmaps: one block a member; 16 where mke2fs made a single one. */
function bitmapSpacing(geometry: Geometry, group: number): number {
  const first = flexFirst(geometry, group);
  const members = flexMembers(geometry, first);
  return members === 1 && first < (geometry.growths?.[0] ?? geometry.groups) ? GROUPS_PER_FLEX : members;
}

export function blockBitmapOf(geometry: Geometry, group: number): number {
  return flexBase(geometry, group) + group - flexFirst(geometry, group);
}
export function inodeBitmapOf(geometry: Geometry, group: number): number {
  return flexBase(geometry, group) + bitmapSpacing(geometry, group) + group - flexFirst(geometry, group);
}
export function inodeTableOf(geometry: Geometry, group: number): number {
  const tables = flexBase(geometry, group) + 2 * bitmapSpacing(geometry, group);
  return tables + (group - flexFirst(geometry, group)) * geometry.tableBlocks;
}

/** Visits the runs of a group's blocks that hold fixed metadata, as [start, count] within the group, disjoint. */
export function visitFixed(geometry: Geometry, group: number, visit: (start: number, count: number) => void): void {
  const area = superblockArea(geometry, group);
  if (area > 0) visit(0, area);
  const first = flexFirst(geometry, group);
  const members = flexMembers(geometry, first);
  const base = flexBase(geometry, first);
  const spacing = bitmapSpacing(geometry, first);
  const from = firstBlockOf(group);
  const to = from + blocksIn(geometry, group);
  for (let part = 0; part < FLEX_PARTS; part++) {
    const start = base + part * spacing;
    const low = Math.max(start, from);
    const high = Math.min(start + members * (part === TABLE_PART ? geometry.tableBlocks : 1), to);
    if (low < high) visit(low - from, high - low);
  }
}

/** How many blocks of a group hold fixed metadata. */
export function fixedBlocks(geometry: Geometry, group: number): number {
  let count = 0;
  visitFixed(geometry, group, (_start, blocks) => {
    count += blocks;
  });
  return count;
}

/** How many blocks from one on, within a group, hold no fixed metadata. */
export function unfixedFrom(geometry: Geometry, group: number, from: number): number {
  let end = blocksIn(geometry, group);
  visitFixed(geometry, group, (start, count) => {
    if (start + count > from) end = Math.min(end, Math.max(start, from));
  });
  return end - from;
}

/** The group in whose beginning mke2fs looks for the journal's place first (get_midpoint_journal_block). */
function journalGroup(geometry: Geometry): number {
  const middle = Math.floor(Math.floor(geometry.blocks / 2) / BLOCKS_PER_GROUP);
  const flexed = middle > GROUPS_PER_FLEX ? middle - (middle % GROUPS_PER_FLEX) : middle;
  const start = middle > GROUPS_PER_FLEX ? flexed : Math.max(0, middle - 1);
  const end = Math.min(flexed + 1, geometry.groups - 1);
  let best = start;
  const free = (group: number): number => blocksIn(geometry, group) - fixedBlocks(geometry, group);
  for (let group = start + 1; group <= end; group++) if (free(group) > free(best)) best = group;
  return best;
}

/** What statfs does not count as blocks: fixed metadata and the journal (ext4_calculate_overhead). */
export function overheadOf(geometry: Geometry): number {
  const copies = superblockCopies(geometry) * (1 + geometry.descriptorBlocks + geometry.reservedDescriptorBlocks);
  return copies + geometry.groups * (2 + geometry.tableBlocks) + geometry.journalBlocks;
}

function superblockCopies(geometry: Geometry): number {
  const holders = new Set<number>([0, 1].filter((group) => group < geometry.groups));
  for (const base of [3, 5, 7]) for (let power = base; power < geometry.groups; power *= base) holders.add(power);
  return holders.size;
}

/** The blocks that mke2fs gives to the first directories and the inode that grows the descriptors. */
export interface FirstBlocks {
  readonly root: number;
  readonly lostAndFound: readonly number[];
  /** The block of addresses of the descriptors' reserve; there is one even where nothing is reserved, but none (0) from 2^32 blocks on. */
  readonly resize: number;
}

/** Runs of a group's blocks without fixed metadata, pairs of start and end within the group. */
export function gapsOf(geometry: Geometry, group: number): number[] {
  const fixed: (readonly [start: number, end: number])[] = [];
  visitFixed(geometry, group, (start, count) => fixed.push([start, start + count]));
  fixed.sort((one, other) => one[0] - other[0]);
  const gaps: number[] = [];
  let last = 0;
  for (const [start, end] of fixed) {
    if (start > last) gaps.push(last, start);
    last = end;
  }
  const size = blocksIn(geometry, group);
  if (size > last) gaps.push(last, size);
  return gaps;
}

/** The lowest blocks of group 0 without fixed metadata, from `from` on. */
function lowestBlocks(geometry: Geometry, from: number, count: number): number[] {
  const found: number[] = [];
  const gaps = gapsOf(geometry, 0);
  for (let at = 0; at < gaps.length; at += 2)
    for (let block = Math.max(from, gaps[at] as number); block < (gaps[at + 1] as number) && found.length < count; block++)
      found.push(block);
  return found;
}

export function firstBlocks(geometry: Geometry): FirstBlocks {
  const [root = 0, ...lostAndFound] = lowestBlocks(geometry, 0, 1 + LOST_AND_FOUND_BLOCKS);
  const end = inodeTableOf(geometry, 0) + Math.min(GROUPS_PER_FLEX, geometry.groups) * geometry.tableBlocks;
  const taken = new Set([root, ...lostAndFound]);
  const resize = lowestBlocks(geometry, end, 2 + LOST_AND_FOUND_BLOCKS).find((block) => !taken.has(block)) ?? 0;
  return { root, lostAndFound, resize: geometry.blocks < 2 ** 32 ? resize : 0 };
}

/** Where the journal lies: pairs of first block and count, first fit from its group on. */
export function journalRunsOf(geometry: Geometry): number[] {
  const { root, lostAndFound, resize } = firstBlocks(geometry);
  const taken = [root, ...lostAndFound, resize].sort((one, other) => one - other);
  const runs: number[] = [];
  let missing = geometry.journalBlocks;
  const add = (start: number, end: number): void => {
    const count = Math.min(missing, end - start);
    if (count <= 0) return;
    const last = runs.length - 2;
    if (last >= 0 && (runs[last] as number) + (runs[last + 1] as number) === start)
      runs[last + 1] = (runs[last + 1] as number) + count;
    else runs.push(start, count);
    missing -= count;
  };
  const first = journalGroup(geometry);
  for (let n = 0; n < geometry.groups && missing > 0; n++) {
    const group = (first + n) % geometry.groups;
    const gaps = gapsOf(geometry, group);
    for (let at = 0; at < gaps.length; at += 2) {
      let start = firstBlockOf(group) + (gaps[at] as number);
      const end = firstBlockOf(group) + (gaps[at + 1] as number);
      for (const block of taken) {
        if (block < start || block >= end) continue;
        add(start, block);
        start = block + 1;
      }
      add(start, end);
    }
  }
  return runs;
}
