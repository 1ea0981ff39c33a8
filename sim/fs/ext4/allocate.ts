/**
 * Where blocks and inodes are placed (fs/ext4/mballoc.c, ialloc.c, the goals of fs/ext4/extents.c and indirect.c).
 *
 * Blocks of files are in data-blocks.ts, the search for free ones in mballoc.ts; here is what they share, and the blocks of metadata, one by one.
 * Inodes: files go beside their directory; directories below the root are spread over flex groups, others stay near their parent (Orlov).
 *
 * Interface: nothing here waits: freed blocks that only a commit makes usable are asked for by the caller (`state.commit`), who then tries again.
 */

import { assert, InvariantError } from "../../core/assert.ts";
import { BLOCKS_PER_GROUP, firstBlockOf, GROUPS_PER_FLEX, ROOT_INODE } from "./layout.ts";
import { findRun } from "./mballoc.ts";
import type { Metadata } from "./packed-words.ts";
import type { Ext4State } from "./state.ts";

/** The largest run asked for at once: what one round of writeback maps (MAX_WRITEPAGES_EXTENT_LEN). */
export const REQUEST_BLOCKS = 2048;

/**
 * How many blocks whoever asks can have: the 5 % are the superuser's, the clusters of s_resv_clusters nobody's (ext4_has_free_clusters). Below zero
 * where some of those are taken.
 */
export function claimable(state: Ext4State): number {
  const { reservedBlocks, reservedClusters } = state.geometry;
  const left = state.freeBlocks - state.delayedBlocks - reservedClusters;
  return (state.environment.privileged?.() ?? true) ? left : left - reservedBlocks;
}

/** Whether `count` blocks can be promised. */
export function canReserve(state: Ext4State, count: number): boolean {
  return state.environment.allocations?.fails() !== true && claimable(state) >= count;
}

/** The first block of the group in which an inode's blocks begin (ext4_inode_to_goal_block). */
export function goalOf(state: Ext4State, ino: number, isFile: boolean): number {
  const group = Math.floor((ino - 1) / state.geometry.inodesPerGroup);
  const first = group - (group % GROUPS_PER_FLEX);
  const chosen = isFile && first + 1 < state.geometry.groups ? first + 1 : first;
  return firstBlockOf(chosen);
}

/** Takes blocks of one group that are free. */
export function take(state: Ext4State, start: number, count: number): void {
  const group = Math.floor(start / BLOCKS_PER_GROUP);
  state.groups.take(group, start - firstBlockOf(group), count);
  state.freeBlocks -= count;
}

/** How many blocks from one on are free and kept for nobody, `most` at most, within its group. */
export function freeAt(state: Ext4State, block: number, most: number): number {
  if (block >= state.geometry.blocks) return 0;
  const group = Math.floor(block / BLOCKS_PER_GROUP);
  const free = state.groups.freeFrom(group, block - firstBlockOf(group));
  return free === 0 ? 0 : state.preallocations.clip(block, Math.min(most, free));
}

/** Gives blocks back; they may span groups. */
export function freeBlocks(state: Ext4State, start: number, count: number): void {
  for (let at = start; at < start + count; ) {
    const group = Math.floor(at / BLOCKS_PER_GROUP);
    const part = Math.min(start + count, firstBlockOf(group + 1)) - at;
    state.groups.free(group, at - firstBlockOf(group), part);
    at += part;
  }
  state.freeBlocks += count;
}

/** Takes one block for metadata, which may use every reserve. The caller has checked that one is left. */
export function allocateMetadata(state: Ext4State, goal: number): number {
  const run = findRun(state, { goal, count: 1, least: 1, isData: false });
  if (run !== undefined) {
    take(state, run.start, 1);
    return run.start;
  }
  const block = state.groups.takeFreed();
  assert(block !== 0, "ext4: a block that was promised is not there");
  state.freeBlocks -= 1;
  return block;
}

/** Frees a metadata block: it leaves the journal, too. */
export function freeMetadata(state: Ext4State, metadata: Metadata): void {
  state.journal.forget(metadata);
  freeBlocks(state, metadata.block, 1);
}

// Inodes

/** Takes an inode. @returns 0 when all are in use. */
export function allocateInode(state: Ext4State, parent: number, isDirectory: boolean): number {
  const { inodesPerGroup } = state.geometry;
  if (state.freeInodes === 0 || state.environment.allocations?.fails() === true) return 0;
  const parentGroup = Math.floor((parent - 1) / inodesPerGroup);
  const group = isDirectory ? directoryGroup(state, parent, parentGroup) : fileGroup(state, parentGroup);
  if (group < 0) return 0;
  const bitmap = state.groups.inodeBitmap(group);
  const bit = bitmap.takeFirst();
  if (bit === undefined) throw new InvariantError(`group ${group} has no free inode`);
  state.groups.freeInodes[group] = (state.groups.freeInodes[group] as number) - 1;
  if (isDirectory) state.groups.directories[group] = (state.groups.directories[group] as number) + 1;
  state.freeInodes -= 1;
  state.journal.dirty(bitmap);
  state.groups.dirtyDescriptor(group);
  return group * inodesPerGroup + bit + 1;
}

export function freeInode(state: Ext4State, ino: number, isDirectory: boolean): void {
  const { inodesPerGroup } = state.geometry;
  const group = Math.floor((ino - 1) / inodesPerGroup);
  const bitmap = state.groups.inodeBitmap(group);
  bitmap.free((ino - 1) % inodesPerGroup, 1);
  state.groups.freeInodes[group] = (state.groups.freeInodes[group] as number) + 1;
  if (isDirectory) state.groups.directories[group] = (state.groups.directories[group] as number) - 1;
  state.freeInodes += 1;
  state.journal.dirty(bitmap);
  state.groups.dirtyDescriptor(group);
}

/** The parent's flex group from the parent's group on, then any group with a free inode (find_group_other). */
function fileGroup(state: Ext4State, parentGroup: number): number {
  const free = state.groups.freeInodes;
  const flexEnd = Math.min(parentGroup - (parentGroup % GROUPS_PER_FLEX) + GROUPS_PER_FLEX, state.geometry.groups);
  for (let group = parentGroup; group < flexEnd; group++) if ((free[group] as number) > 0) return group;
  for (let n = 0; n < state.geometry.groups; n++) {
    const group = (parentGroup + n) % state.geometry.groups;
    if ((free[group] as number) > 0) return group;
  }
  return -1;
}

/** find_group_orlov, with flex groups as units. */
function directoryGroup(state: Ext4State, parent: number, parentGroup: number): number {
  const { groups: count, inodesPerGroup } = state.geometry;
  const flexes = Math.ceil(count / GROUPS_PER_FLEX);
  const flex = Math.floor(parentGroup / GROUPS_PER_FLEX);
  const averageInodes = Math.floor(state.freeInodes / flexes);
  const averageBlocks = Math.floor(state.freeBlocks / flexes);
  if (parent === ROOT_INODE && flexes > 1) {
    let best = -1;
    let fewest = inodesPerGroup * GROUPS_PER_FLEX;
    for (let n = 0; n < flexes; n++) {
      const stats = flexStats(state, n);
      if (stats.inodes === 0 || stats.directories >= fewest) continue;
      if (stats.inodes < averageInodes || stats.blocks < averageBlocks) continue;
      best = n;
      fewest = stats.directories;
      if (fewest === 0) break;
    }
    if (best >= 0) return firstWithInode(state, best);
  }
  const least = Math.max(1, averageInodes - Math.floor((inodesPerGroup * GROUPS_PER_FLEX) / 4));
  for (let n = 0; n < flexes; n++) {
    const at = (flex + n) % flexes;
    const stats = flexStats(state, at);
    if (stats.inodes >= least && stats.blocks > 0) return firstWithInode(state, at);
  }
  return fileGroup(state, parentGroup);
}

function flexStats(state: Ext4State, flex: number): { inodes: number; blocks: number; directories: number } {
  const stats = { inodes: 0, blocks: 0, directories: 0 };
  const end = Math.min((flex + 1) * GROUPS_PER_FLEX, state.geometry.groups);
  for (let group = flex * GROUPS_PER_FLEX; group < end; group++) {
    stats.inodes += state.groups.freeInodes[group] as number;
    stats.blocks += state.groups.freeBlocks[group] as number;
    stats.directories += state.groups.directories[group] as number;
  }
  return stats;
}

function firstWithInode(state: Ext4State, flex: number): number {
  for (let group = flex * GROUPS_PER_FLEX; group < state.geometry.groups; group++)
    if ((state.groups.freeInodes[group] as number) > 0) return group;
  return -1;
}
