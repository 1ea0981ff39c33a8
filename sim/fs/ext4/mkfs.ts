/** mke2fs: a new filesystem with the root directory, lost+found and a journal (e2fsprogs misc/mke2fs.c). */
import type { BlockDevice } from "../../block/device.ts";
import { Clock } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { EINVAL, type Errno } from "../../core/errno.ts";
import { EventStream } from "../../core/events.ts";
import { NameTable } from "../../core/names.ts";
import { bytes, deviceNumber } from "../../core/units.ts";
import { S_IFDIR, S_IFREG } from "../../vfs/filesystem.ts";
import { addEntry, beginDirectory, growDirectory } from "./directories.ts";
import { DirectoryData } from "./directory-data.ts";
import { FileData } from "./file-data.ts";
import { ATIME, BLOCKS, CTIME, EXTENT_FLAG, EXTRA, FLAGS, MODE, MTIME, NLINK, WORDS } from "./inode-words.ts";
import {
  BLOCK_SIZE,
  BLOCKS_PER_GROUP,
  blockBitmapOf,
  FIRST_INODE,
  firstBlockOf,
  firstBlocks,
  type Geometry,
  type GeometryOptions,
  geometryOf,
  inodeTableOf,
  JOURNAL_INODE,
  journalRunsOf,
  LOST_AND_FOUND_BLOCKS,
  RESIZE_INODE,
  ROOT_INODE,
} from "./layout.ts";
import { writeRecord } from "./records.ts";
import { type Ext4Environment, Ext4State } from "./state.ts";
import { writeSuperblockCopies } from "./superblock-copies.ts";
import { putTime } from "./times.ts";

/** mke2fs clears what other filesystems may have left at the device's end: 64 KiB. */
const ZEROED_END_BLOCKS = 16;
/** mke2fs refuses less: there would be no room for a journal. */
const DEVICE_BYTES_MIN: number = 8 * 2 ** 20;

export interface MkfsOptions extends GeometryOptions {
  /** Whose time the first inodes get. Default: a clock of its own. */
  readonly clock?: Clock;
  /** Do not discard the device first (-E nodiscard); it must read as zeros, or be written whole (`zeroTables`). */
  readonly noDiscard?: boolean;
  /** Write the inode tables and the journal as zeros at once (-E lazy_itable_init=0,lazy_journal_init=0). */
  readonly zeroTables?: boolean;
}

/**
 * Makes an ext4 filesystem on the whole device, as `mke2fs -t ext4 -b 4096` does.
 * @returns EINVAL for a device below 8 MiB or above 16 TiB, or the device's error.
 */
export function mkfsExt4(device: BlockDevice, options: MkfsOptions = {}): Errno | undefined {
  if (device.size < DEVICE_BYTES_MIN || device.size > 2 ** 44) return EINVAL;
  const clock = options.clock ?? new Clock();
  const geometry = geometryOf(device.size, options);
  const discarded = options.noDiscard === true ? undefined : device.discard(bytes(0), bytes(geometry.blocks * BLOCK_SIZE));
  const zeroed = options.zeroTables === true ? writeZeros(device, geometry) : undefined;
  if (zeroed !== undefined) return zeroed;
  if (discarded !== undefined) {
    // A device that cannot discard: what mkfs relies on being zero is overwritten as a whole.
    const failed = device.write(bytes(0), Content.zeros(geometry.blocks * BLOCK_SIZE));
    if (failed !== undefined) return failed;
  }
  const state = new Ext4State(device, geometry, toolEnvironment(clock), journalRunsOf(geometry));
  for (let index = 0; index < geometry.descriptorBlocks; index++) state.groups.fresh(index);
  for (const free of state.groups.freeBlocks) state.freeBlocks += free;
  state.freeInodes = geometry.inodes;
  populate(state);
  return writeAll(state);
}

/** What a state takes from its host, for tools that work on a device that is not mounted. */
export function toolEnvironment(clock: Clock): Ext4Environment {
  const refuse = (): never => {
    throw new RangeError("tools cache no pages");
  };
  const cache = { mapping: refuse, lonePages: refuse };
  return { names: new NameTable(), clock, events: new EventStream(() => clock.now), cache, device: deviceNumber(0, 0) };
}

/** What mke2fs zeroes where nothing is left for later: tables, bitmaps, the reserve of the descriptors, the journal, the device's end. */
function writeZeros(device: BlockDevice, geometry: Geometry): Errno | undefined {
  const runs: (readonly [start: number, count: number])[] = [
    [0, 1 + geometry.descriptorBlocks + geometry.reservedDescriptorBlocks],
  ];
  for (let group = 0; group < geometry.groups; group++) {
    // The inode bitmaps of groups without inodes are not written: their groups are flagged.
    runs.push([blockBitmapOf(geometry, group), 1], [inodeTableOf(geometry, group), geometry.tableBlocks]);
  }
  const journal = journalRunsOf(geometry);
  for (let at = 0; at < journal.length; at += 2) runs.push([journal[at] as number, journal[at + 1] as number]);
  runs.push([geometry.blocks - ZEROED_END_BLOCKS, ZEROED_END_BLOCKS]);
  for (const [start, count] of runs) {
    const failed = device.write(bytes(start * BLOCK_SIZE), Content.zeros(count * BLOCK_SIZE));
    if (failed !== undefined) return failed;
  }
  return undefined;
}

function reserveInodes(state: Ext4State): void {
  const bitmap = state.groups.inodeBitmap(0);
  bitmap.take(0, FIRST_INODE);
  state.groups.freeInodes[0] = (state.groups.freeInodes[0] as number) - FIRST_INODE;
  state.groups.directories[0] = 2;
  state.freeInodes -= FIRST_INODE;
  state.journal.dirty(bitmap);
  state.groups.dirtyDescriptor(0);
}

function makeInode(state: Ext4State, ino: number, mode: number, links: number): void {
  state.setWord(ino, MODE, mode);
  state.setWord(ino, NLINK, links);
  state.setWord(ino, FLAGS, EXTENT_FLAG);
  const { words, start } = state.chunk(ino);
  const now = state.environment.clock.time();
  for (const column of [ATIME, MTIME, CTIME]) putTime(words, start + ((ino - 1) & 63) * WORDS + column, now);
  state.dirtyInode(ino);
}

function populate(state: Ext4State): void {
  reserveInodes(state);
  makeInode(state, ROOT_INODE, S_IFDIR | 0o755, 3);
  state.setWord(ROOT_INODE, EXTRA, ROOT_INODE);
  state.setData(ROOT_INODE, new DirectoryData());
  const { root, lostAndFound, resize } = firstBlocks(state.geometry);
  beginDirectory(state, ROOT_INODE, root);
  makeInode(state, FIRST_INODE, S_IFDIR | 0o700, 2);
  state.setWord(FIRST_INODE, EXTRA, ROOT_INODE);
  state.setData(FIRST_INODE, new DirectoryData());
  beginDirectory(state, FIRST_INODE, lostAndFound[0] as number);
  for (let n = 1; n < LOST_AND_FOUND_BLOCKS; n++) growDirectory(state, FIRST_INODE, lostAndFound[n] as number);
  addEntry(state, ROOT_INODE, state.environment.names.intern("lost+found"), FIRST_INODE);
  const journal = state.journalRuns;
  if (resize !== 0) fixedFile(state, RESIZE_INODE, [resize, 1]);
  fixedFile(state, JOURNAL_INODE, journal);
}

/** An inode whose blocks mkfs chooses: the journal, and the reserve of the descriptors. */
function fixedFile(state: Ext4State, ino: number, runs: readonly number[]): void {
  makeInode(state, ino, S_IFREG | 0o600, 1);
  const data = new FileData();
  state.setData(ino, data);
  const tree = data.ownTree();
  let logical = 0;
  for (let at = 0; at < runs.length; at += 2) {
    const start = runs[at] as number;
    const count = runs[at + 1] as number;
    takeRun(state, start, count);
    tree.list.insert({ logical, physical: start, count, unwritten: false }, tree);
    logical += count;
  }
  state.setWord(ino, BLOCKS, logical);
  const blocks = {
    journal: state.journal,
    allocate: () => {
      // mke2fs finds the block of a journal's extents just before the journal.
      const block = (runs[0] as number) - 1;
      takeRun(state, block, 1);
      state.addBlocks(ino, 1);
      return block;
    },
    free: () => undefined,
  };
  tree.settle(blocks, ino);
  state.setSize(ino, logical * BLOCK_SIZE);
  data.onDisk = logical * BLOCK_SIZE;
}

function takeRun(state: Ext4State, start: number, count: number): void {
  for (let at = start; at < start + count; ) {
    const group = Math.floor(at / BLOCKS_PER_GROUP);
    const part = Math.min(start + count, firstBlockOf(group + 1)) - at;
    state.groups.take(group, at - firstBlockOf(group), part);
    at += part;
  }
  state.freeBlocks -= count;
}

/** Writes what a mount will read, in place; and the copies of superblock and descriptors. */
function writeAll(state: Ext4State): Errno | undefined {
  const { device, journal } = state;
  const failed = writeSuperblockCopies(state, 0);
  if (failed !== undefined) return failed;
  state.dirtySuperblock();
  return journal.writeRunning() ?? journal.format() ?? writeRecord(device, 0, state.superblock()) ?? device.flush();
}
