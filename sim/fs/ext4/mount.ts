/**
 * Mounting: from the device alone to a filesystem in memory, and back (fs/ext4/super.c: __ext4_fill_super, ext4_put_super; orphan.c).
 *
 * Interface: superblock, group descriptors and the journal are read at once; bitmaps, inodes and directories when they are first used. A journal that
 * is not empty is replayed first; then inodes that lost their last name while they were open are freed.
 */
import type { BlockDevice } from "../../block/device.ts";
import { EINVAL, type Errno, isErrno } from "../../core/errno.ts";
import { NLINK } from "./inodes.ts";
import { freeWhole } from "./namei.ts";
import { readRecord, type SuperblockRecord, writeRecord } from "./records.ts";
import { type Ext4Environment, Ext4State } from "./state.ts";

function readSuperblock(device: BlockDevice): SuperblockRecord | Errno {
  const record = readRecord(device, 0);
  if (isErrno(record)) return record;
  return record === undefined || record.kind !== "ext4.superblock" ? EINVAL : record;
}

/** Writes the superblock in place, outside the journal, as mount and unmount do. */
function writeSuperblock(state: Ext4State): Errno | undefined {
  return writeRecord(state.device, 0, state.freeze());
}

function loadDescriptors(state: Ext4State): Errno | undefined {
  const { groups, geometry } = state;
  for (let index = 0; index < geometry.descriptorBlocks; index++) {
    const record = readRecord(state.device, 1 + index);
    if (isErrno(record)) return record;
    if (record === undefined || record.kind !== "ext4.groupDescriptors") groups.fresh(index);
    else groups.load(index, record);
  }
  for (const free of groups.freeBlocks) state.freeBlocks += free;
  for (const free of groups.freeInodes) state.freeInodes += free;
  return undefined;
}

/** Frees the inodes on the orphan list that have no name left (ext4_orphan_cleanup). */
function cleanOrphans(state: Ext4State, orphans: readonly number[]): Errno | undefined {
  for (const ino of orphans) {
    if (state.word(ino, NLINK) !== 0) continue;
    state.orphans.add(ino);
    freeWhole(state, ino);
  }
  return orphans.length > 0 ? (state.commit() ?? state.journal.checkpoint()) : undefined;
}

/** @returns the state of a mounted filesystem; EINVAL when the device holds no ext4, EIO when it cannot be read or written. */
export function load(device: BlockDevice, environment: Ext4Environment): Ext4State | Errno {
  const found = readSuperblock(device);
  if (isErrno(found)) return found;
  const state = new Ext4State(device, found.geometry, environment, found.journal);
  const replayed = state.journal.recover();
  if (isErrno(replayed)) return replayed;
  const superblock = readSuperblock(device);
  if (isErrno(superblock)) return superblock;
  state.mountCount = superblock.mountCount + 1;
  state.needsRecovery = true;
  const failed = loadDescriptors(state) ?? cleanOrphans(state, superblock.orphans) ?? writeSuperblock(state);
  return failed ?? state;
}

/** Writes what is left of a filesystem whose pages are clean, and marks it clean. */
export function close(state: Ext4State): Errno | undefined {
  const failed = state.commit() ?? state.journal.close();
  if (failed !== undefined) return failed;
  state.needsRecovery = false;
  return writeSuperblock(state) ?? state.device.flush();
}
