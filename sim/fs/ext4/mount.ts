/** Mounting: recovery from the journal, counts from the descriptors, orphans freed (fs/ext4/super.c: ext4_fill_super, orphan.c). */
import type { BlockDevice } from "../../block/device.ts";
import { EINVAL, EIO, type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { Ext4 } from "./ext4.ts";
import { HOLDS, MODE, NLINK } from "./inode-words.ts";
import { BLOCK_SIZE, ROOT_INODE } from "./layout.ts";
import { freeWhole } from "./namei.ts";
import { readRecord, type SuperblockRecord, writeRecord } from "./records.ts";
import { type Ext4Environment, Ext4State } from "./state.ts";

/** The superblock of the filesystem on a device. @returns EINVAL when there is none. */
export function superblockOf(device: BlockDevice): SuperblockRecord | Errno {
  const record = readRecord(device, 0);
  if (isErrno(record)) return record;
  return record?.kind === "ext4.superblock" ? record : EINVAL;
}

/**
 * Mounts the filesystem on a device.
 * @returns EINVAL when there is none ("bad superblock"), EIO or EUCLEAN when its metadata cannot be read.
 */
export function mountExt4(device: BlockDevice, environment: Ext4Environment): Ext4 | Errno {
  const found = superblockOf(device);
  if (isErrno(found)) return found;
  if (found.geometry.blocks * BLOCK_SIZE > device.size) return EINVAL;
  const state = new Ext4State(device, found.geometry, environment, found.journal);
  const recovered = state.journal.recover();
  if (isErrno(recovered)) return recovered;
  const superblock = found.needsRecovery ? superblockOf(device) : found;
  if (isErrno(superblock)) return superblock;
  const failed = loadCounts(state) ?? readRoot(state) ?? markMounted(state, superblock);
  if (failed !== undefined) return failed;
  const fs = new Ext4(state);
  freeOrphans(state, superblock.orphans);
  return fs;
}

/** @returns EIO when the root directory's inode cannot be read. */
function readRoot(state: Ext4State): Errno | undefined {
  return (state.word(ROOT_INODE, MODE) & S_IFMT) === S_IFDIR ? undefined : EIO;
}

/** Fills the counts from the descriptors. */
export function loadCounts(state: Ext4State): Errno | undefined {
  const { descriptorBlocks } = state.geometry;
  const table = state.device.read(bytes(BLOCK_SIZE), bytes(descriptorBlocks * BLOCK_SIZE));
  if (isErrno(table)) return table;
  let index = 0;
  for (const run of table.runs) {
    const record = run.wholeRecord();
    if (record?.kind !== "ext4.groupDescriptors") return EUCLEAN;
    state.groups.load(index, record as Parameters<typeof state.groups.load>[1]);
    index += 1;
  }
  // The superblock's own counts are only written at the end of a mount; the descriptors' are journaled.
  state.freeBlocks = 0;
  state.freeInodes = 0;
  for (const free of state.groups.freeBlocks) state.freeBlocks += free;
  for (const free of state.groups.freeInodes) state.freeInodes += free;
  return undefined;
}

/** The superblock says from now on that the journal may be needed. */
function markMounted(state: Ext4State, superblock: SuperblockRecord): Errno | undefined {
  state.needsRecovery = true;
  state.mountCount = superblock.mountCount + 1;
  for (const ino of superblock.orphans) state.orphans.add(ino);
  return writeRecord(state.device, 0, state.superblock()) ?? state.device.flush();
}

function freeOrphans(state: Ext4State, orphans: readonly number[]): void {
  for (const ino of orphans) {
    state.orphans.drop(ino);
    if (state.word(ino, NLINK) === 0) {
      state.setWord(ino, HOLDS, 0);
      freeWhole(state, ino);
    }
  }
  if (orphans.length > 0) state.dirtySuperblock();
}
