/**
 * mke2fs: an empty ext4 on a device (e2fsprogs 1.47, misc/mke2fs.c with its defaults).
 *
 * Interface: everything is written at its real place: superblock and group descriptors with their backups, bitmaps of the groups in which anything is
 * used, the first inode table block, root and lost+found, and the journal. Inode tables and journal are zeroed, as without lazy initialisation.
 */
import type { BlockDevice } from "../../block/device.ts";
import { type Time, time } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { ENOSPC, type Errno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { S_IFDIR, S_IFREG } from "../../vfs/filesystem.ts";
import { DOTS_BYTES } from "./directory-data.ts";
import { EXTENT_BLOCKS_MAX, EXTENTS_IN_INODE } from "./extents.ts";
import { BLOCKS, EXTRA, FLAGS, MODE, NLINK, TIMES, WORDS } from "./inodes.ts";
import {
  BLOCK_SIZE,
  blockBitmapOf,
  blocksIn,
  DESCRIPTORS_PER_BLOCK,
  FIRST_INODE,
  firstBlockOf,
  fixedBlocks,
  type Geometry,
  type GeometryOptions,
  geometryOf,
  hasResizeInode,
  hasSuperblock,
  INODES_PER_BLOCK,
  inodeBitmapOf,
  inodeTableOf,
  JOURNAL_INODE,
  journalGroup,
  LOST_AND_FOUND_BLOCKS,
  RESIZE_INODE,
  ROOT_INODE,
  visitFixed,
} from "./layout.ts";
import { EXTENT_FLAG } from "./namei.ts";
import { type DescriptorsRecord, type Ext4Record, type InodeBody, writeRecord } from "./records.ts";

export interface MkfsOptions extends GeometryOptions {
  /** When it is made. Default: the beginning of 1970. */
  readonly now?: Time;
}

/** Where mke2fs puts what is no fixed metadata: in the first free blocks, the journal near the middle. */
interface Placement {
  readonly root: number;
  readonly lostAndFound: number;
  /** The resize inode's block of addresses; 0 without a resize inode. */
  readonly resize: number;
  /** The block of the journal inode's extents; 0 when they fit the inode. */
  readonly journalTree: number;
  /** Pairs of first block and count. */
  readonly journal: readonly number[];
}

/** Visits the free runs of a group before anything but fixed metadata lies in it. */
function visitFree(geometry: Geometry, group: number, visit: (start: number, count: number) => void): void {
  const fixed: { start: number; count: number }[] = [];
  visitFixed(geometry, group, (start, count) => fixed.push({ start, count }));
  fixed.sort((one, other) => one.start - other.start);
  const size = blocksIn(geometry, group);
  let at = 0;
  for (const run of [...fixed, { start: size, count: 0 }]) {
    if (run.start > at) visit(firstBlockOf(group) + at, run.start - at);
    at = Math.max(at, run.start + run.count);
  }
}

/** The first `count` free blocks from `from` on. */
function firstFree(geometry: Geometry, from: number, count: number): number[] {
  const found: number[] = [];
  for (let group = 0; group < geometry.groups && found.length < count; group++)
    visitFree(geometry, group, (start, length) => {
      for (let block = Math.max(start, from); block < start + length && found.length < count; block++) found.push(block);
    });
  return found;
}

function place(geometry: Geometry): Placement {
  const firsts = firstFree(geometry, 0, 1 + LOST_AND_FOUND_BLOCKS);
  // The search for inode 7's block begins behind the inode table (ext2fs_find_inode_goal).
  const behind = inodeTableOf(geometry, 0) + geometry.tableBlocks;
  const resize = hasResizeInode(geometry)
    ? (firstFree(geometry, behind, 2 + LOST_AND_FOUND_BLOCKS).find((block) => !firsts.includes(block)) ?? 0)
    : 0;
  const taken = new Set([...firsts, resize]);
  const journal: number[] = [];
  let missing = geometry.journalBlocks;
  const from = journalGroup(geometry);
  for (let n = 0; n < geometry.groups && missing > 0; n++)
    visitFree(geometry, (from + n) % geometry.groups, (start, count) => {
      let first = start;
      while (first < start + count && taken.has(first)) first += 1;
      const part = Math.min(start + count - first, missing);
      if (part <= 0) return;
      const last = journal.length - 2;
      if (last >= 0 && (journal[last] as number) + (journal[last + 1] as number) === first)
        journal[last + 1] = (journal[last + 1] as number) + part;
      else journal.push(first, part);
      missing -= part;
    });
  return {
    root: firsts[0] as number,
    lostAndFound: firsts[1] as number,
    resize,
    journalTree: extentsOf(journal).length > EXTENTS_IN_INODE * 3 ? (journal[0] as number) - 1 : 0,
    journal,
  };
}

/** The journal's runs as extents: triples of first logical block, length and first block. */
function extentsOf(runs: readonly number[]): number[] {
  const extents: number[] = [];
  let logical = 0;
  for (let at = 0; at < runs.length; at += 2) {
    const count = runs[at + 1] as number;
    for (let done = 0; done < count; done += EXTENT_BLOCKS_MAX) {
      const part = Math.min(EXTENT_BLOCKS_MAX, count - done);
      extents.push(logical, part, (runs[at] as number) + done);
      logical += part;
    }
  }
  return extents;
}

/** The runs that are used beside fixed metadata. */
function usedRuns(places: Placement): { start: number; count: number }[] {
  const runs = [
    { start: places.root, count: 1 },
    { start: places.lostAndFound, count: LOST_AND_FOUND_BLOCKS },
  ];
  for (const block of [places.resize, places.journalTree]) if (block !== 0) runs.push({ start: block, count: 1 });
  for (let at = 0; at < places.journal.length; at += 2)
    runs.push({ start: places.journal[at] as number, count: places.journal[at + 1] as number });
  return runs;
}

/** How many of a group's blocks `runs` take, each clipped to the group. */
function clipped(geometry: Geometry, group: number, runs: readonly { start: number; count: number }[]): number[] {
  const from = firstBlockOf(group);
  const to = from + blocksIn(geometry, group);
  const out: number[] = [];
  for (const run of runs) {
    const low = Math.max(from, run.start);
    const high = Math.min(to, run.start + run.count);
    if (low < high) out.push(low - from, high - low);
  }
  return out;
}

function descriptors(geometry: Geometry, index: number, used: readonly { start: number; count: number }[]): DescriptorsRecord {
  const first = index * DESCRIPTORS_PER_BLOCK;
  const count = Math.min(DESCRIPTORS_PER_BLOCK, geometry.groups - first);
  const freeBlocks = new Int32Array(count);
  const freeInodes = new Int32Array(count).fill(geometry.inodesPerGroup);
  const directories = new Int32Array(count);
  for (let n = 0; n < count; n++) {
    const taken = clipped(geometry, first + n, used).reduce((sum, value, at) => (at % 2 === 1 ? sum + value : sum), 0);
    freeBlocks[n] = blocksIn(geometry, first + n) - fixedBlocks(geometry, first + n) - taken;
  }
  if (first === 0) {
    freeInodes[0] = geometry.inodesPerGroup - FIRST_INODE;
    directories[0] = 2;
  }
  return { kind: "ext4.groupDescriptors", length: BLOCK_SIZE, first, freeBlocks, freeInodes, directories };
}

/** The first block of the inode table: the reserved inodes, the root and lost+found. */
function firstInodes(geometry: Geometry, places: Placement, now: Time): Ext4Record {
  const words = new Int32Array(INODES_PER_BLOCK * WORDS);
  const sizes = new Float64Array(INODES_PER_BLOCK);
  const bodies: (InodeBody | undefined)[] = new Array(INODES_PER_BLOCK).fill(undefined);
  const put = (ino: number, fields: { mode: number; nlink: number; blocks: number; extra: number; entries: number[] }): void => {
    const base = (ino - 1) * WORDS;
    words[base + MODE] = fields.mode;
    words[base + NLINK] = fields.nlink;
    words[base + BLOCKS] = fields.blocks;
    words[base + EXTRA] = fields.extra;
    words[base + FLAGS] = EXTENT_FLAG;
    sizes[ino - 1] = fields.blocks * BLOCK_SIZE;
    bodies[ino - 1] = { tree: { depth: 0, entries: fields.entries } };
  };
  put(ROOT_INODE, { mode: S_IFDIR | 0o755, nlink: 3, blocks: 1, extra: ROOT_INODE, entries: [0, 1, places.root] });
  put(FIRST_INODE, {
    mode: S_IFDIR | 0o700,
    nlink: 2,
    blocks: LOST_AND_FOUND_BLOCKS,
    extra: ROOT_INODE,
    entries: [0, LOST_AND_FOUND_BLOCKS, places.lostAndFound],
  });
  if (places.resize !== 0)
    put(RESIZE_INODE, { mode: S_IFREG | 0o600, nlink: 1, blocks: 1, extra: 0, entries: [0, 1, places.resize] });
  const tree = places.journalTree;
  const root = tree === 0 ? { depth: 0, entries: extentsOf(places.journal) } : { depth: 1, entries: [0, tree] };
  const blocks = geometry.journalBlocks + (tree === 0 ? 0 : 1);
  put(JOURNAL_INODE, { mode: S_IFREG | 0o600, nlink: 1, blocks, extra: 0, entries: [] });
  sizes[JOURNAL_INODE - 1] = geometry.journalBlocks * BLOCK_SIZE;
  bodies[JOURNAL_INODE - 1] = { tree: root };
  const times = new Array<Time>(INODES_PER_BLOCK * TIMES).fill(now);
  return { kind: "ext4.inodeTable", length: BLOCK_SIZE, first: 1, words, sizes, times, bodies };
}

/** Writes zeros over a run of blocks. */
function zero(device: BlockDevice, start: number, count: number): Errno | undefined {
  return count === 0 ? undefined : device.write(bytes(start * BLOCK_SIZE), Content.zeros(count * BLOCK_SIZE));
}

/**
 * Makes an ext4 on the whole device.
 * @returns ENOSPC for a device that is too small, or what the device answers.
 */
export function mkfs(device: BlockDevice, options: MkfsOptions = {}): Errno | undefined {
  if (device.size < 2048 * BLOCK_SIZE) return ENOSPC;
  const geometry = geometryOf(device.size, options);
  const places = place(geometry);
  const used = usedRuns(places);
  let failed: Errno | undefined;
  const put = (block: number, record: Ext4Record): void => {
    failed ??= writeRecord(device, block, record);
  };
  for (let flex = 0; flex < geometry.groups; flex += 16) {
    const members = Math.min(16, geometry.groups - flex);
    failed ??= zero(device, inodeTableOf(geometry, flex), members * geometry.tableBlocks);
  }
  for (let at = 0; at < places.journal.length; at += 2)
    failed ??= zero(device, places.journal[at] as number, places.journal[at + 1] as number);
  const all: DescriptorsRecord[] = [];
  for (let index = 0; index < geometry.descriptorBlocks; index++) all.push(descriptors(geometry, index, used));
  const sum = (counts: (record: DescriptorsRecord) => Int32Array | undefined): number =>
    all.reduce((total, record) => total + (counts(record)?.reduce((one, other) => one + other, 0) ?? 0), 0);
  const superblock: Ext4Record = {
    kind: "ext4.superblock",
    length: BLOCK_SIZE,
    geometry,
    freeBlocks: sum((record) => record.freeBlocks),
    freeInodes: sum((record) => record.freeInodes),
    needsRecovery: false,
    mountCount: 0,
    orphans: [],
    journal: places.journal,
  };
  for (let group = 0; group < geometry.groups; group++) {
    const runs = clipped(geometry, group, used);
    if (runs.length > 0) {
      visitFixed(geometry, group, (start, count) => runs.push(start, count));
      put(blockBitmapOf(geometry, group), { kind: "ext4.blockBitmap", length: BLOCK_SIZE, group, used: Int32Array.from(runs) });
    }
    if (!hasSuperblock(group)) continue;
    put(firstBlockOf(group), superblock);
    for (const [index, record] of all.entries()) put(firstBlockOf(group) + 1 + index, record);
  }
  const inodeRuns = Int32Array.of(0, FIRST_INODE);
  put(inodeBitmapOf(geometry, 0), { kind: "ext4.inodeBitmap", length: BLOCK_SIZE, group: 0, used: inodeRuns });
  put(inodeTableOf(geometry, 0), firstInodes(geometry, places, options.now ?? time(0, 0)));
  const entry = { offset: DOTS_BYTES, name: "lost+found", inode: FIRST_INODE };
  put(places.root, { kind: "ext4.directoryBlock", length: BLOCK_SIZE, inode: ROOT_INODE, entries: [entry], index: [] });
  for (let n = 0; n < LOST_AND_FOUND_BLOCKS; n++)
    put(places.lostAndFound + n, { kind: "ext4.directoryBlock", length: BLOCK_SIZE, inode: FIRST_INODE, entries: [], index: [] });
  if (places.journalTree !== 0)
    put(places.journalTree, { kind: "ext4.extentBlock", length: BLOCK_SIZE, depth: 0, entries: extentsOf(places.journal) });
  put(places.journal[0] as number, { kind: "jbd2.superblock", length: BLOCK_SIZE, sequence: 1, start: 0, head: 1 });
  return failed ?? device.flush();
}
