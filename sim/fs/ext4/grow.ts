/**
 * Growing a filesystem to the size of its device (resize2fs, fs/ext4/resize.c): the last group becomes whole, then groups are added. The
 * descriptors of the new ones come out of their reserve, so that nothing that is there moves.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Clock } from "../../core/clock.ts";
import { EBUSY, EFBIG, type Errno, isErrno } from "../../core/errno.ts";
import {
  BLOCK_SIZE,
  BLOCKS_PER_GROUP,
  blocksIn,
  DESCRIPTORS_PER_BLOCK,
  type Geometry,
  GROUPS_PER_FLEX,
  hasSuperblock,
  reservedClustersOf,
} from "./layout.ts";
import { toolEnvironment } from "./mkfs.ts";
import { loadCounts, superblockOf } from "./mount.ts";
import { writeRecord } from "./records.ts";
import { Ext4State } from "./state.ts";
import { writeSuperblockCopies } from "./superblock-copies.ts";

/** A last group that has room for little more than its own metadata is left out, as by mke2fs. */
const GROUP_SPARE_MIN = 50;

/** The geometry on a device of another size; the same one where it is not larger. @returns EFBIG where the reserve does not suffice. */
function grownGeometry(before: Geometry, deviceBytes: number): Geometry | Errno {
  let blocks = Math.floor(deviceBytes / BLOCK_SIZE);
  const rest = blocks % BLOCKS_PER_GROUP;
  const last = Math.floor(blocks / BLOCKS_PER_GROUP);
  const area = 1 + before.descriptorBlocks + before.reservedDescriptorBlocks;
  const overhead = 2 + before.tableBlocks + (hasSuperblock(last) ? area : 0);
  if (last >= before.groups && rest > 0 && rest < overhead + GROUP_SPARE_MIN) blocks -= rest;
  if (blocks <= before.blocks) return before;
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP);
  const descriptorBlocks = Math.ceil(groups / DESCRIPTORS_PER_BLOCK);
  const reservedDescriptorBlocks = before.reservedDescriptorBlocks - (descriptorBlocks - before.descriptorBlocks);
  if (reservedDescriptorBlocks < 0) return EFBIG;
  // ext4_update_super: of what is added, as many whole percent as are reserved of the rest.
  const percent = Math.floor((before.reservedBlocks * 100) / before.blocks);
  return {
    ...before,
    blocks,
    groups,
    inodes: before.inodesPerGroup * groups,
    descriptorBlocks,
    reservedDescriptorBlocks,
    reservedBlocks: before.reservedBlocks + Math.floor(((blocks - before.blocks) * percent) / 100),
    reservedClusters: reservedClustersOf(blocks),
    growths: groups === before.groups ? (before.growths ?? []) : [...(before.growths ?? []), before.groups],
  };
}

/**
 * Grows the filesystem on a device that is not mounted. Nothing to grow is a success.
 * @returns EBUSY where the journal must be replayed first, EFBIG beyond what the descriptors' reserve can tell of, the device's error.
 */
export function growExt4(device: BlockDevice, clock: Clock): Errno | undefined {
  const found = superblockOf(device);
  if (isErrno(found)) return found;
  if (found.needsRecovery) return EBUSY;
  const before = found.geometry;
  const geometry = grownGeometry(before, device.size);
  if (isErrno(geometry) || geometry === before) return isErrno(geometry) ? geometry : undefined;
  const old = new Ext4State(device, before, toolEnvironment(clock), found.journal);
  const failed = loadCounts(old);
  if (failed !== undefined) return failed;
  const state = new Ext4State(device, geometry, toolEnvironment(clock), found.journal);
  state.mountCount = found.mountCount;
  fillCounts(state, old);
  return writeGrown(state, before.groups);
}

/** The counts of the groups that were there, and of new ones as mkfs would find them. */
function fillCounts(state: Ext4State, old: Ext4State): void {
  const { groups, geometry } = state;
  for (let index = 0; index < geometry.descriptorBlocks; index++) groups.fresh(index);
  const last = old.geometry.groups - 1;
  for (let group = 0; group <= last; group++) {
    const added = blocksIn(geometry, group) - blocksIn(old.geometry, group);
    groups.freeBlocks[group] = (old.groups.freeBlocks[group] as number) + added;
    groups.freeInodes[group] = old.groups.freeInodes[group] as number;
    groups.directories[group] = old.groups.directories[group] as number;
  }
  for (const free of groups.freeBlocks) state.freeBlocks += free;
  for (const free of groups.freeInodes) state.freeInodes += free;
}

/** Writes descriptors, the bitmaps of groups with new metadata, and the superblock, in place and in all its copies. */
function writeGrown(state: Ext4State, groupsBefore: number): Errno | undefined {
  const { device, geometry, journal, groups } = state;
  for (let group = groupsBefore - 1; group < geometry.groups; group++) {
    groups.dirtyDescriptor(group);
    if (group === groupsBefore || (group > groupsBefore && group % GROUPS_PER_FLEX === 0))
      journal.dirty(groups.blockBitmap(group));
  }
  const failed = journal.writeRunning() ?? writeRecord(device, 0, state.superblock());
  return failed ?? writeSuperblockCopies(state, 1) ?? device.flush();
}
