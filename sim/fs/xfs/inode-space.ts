/**
 * Where inodes are placed (fs/xfs/libxfs/xfs_ialloc.c: xfs_dialloc, xfs_ialloc_ag_alloc, xfs_difree).
 *
 * Files go to their directory's group, directories to one group after the other. Within a group the chunk nearest to the parent that has a
 * free inode is taken, else a new chunk of 64 is allocated. A chunk whose inodes are all free is given back.
 */

import { assert } from "../../core/assert.ts";
import { lowestBit } from "../../core/bits.ts";
import type { BTree } from "./btree.ts";
import type { Group } from "./group.ts";
import type { InodeChunk } from "./inodes.ts";
import {
  CHUNK_INODES,
  chunkAlignment,
  chunkBlocks,
  type Geometry,
  groupInodes,
  groupOfInode,
  inodeGroups,
  rootInode,
} from "./layout.ts";
import { allocateAligned, allocateExact, freeBlocks } from "./space.ts";
import type { XfsState } from "./state.ts";

/** sb_imax_pct as a number of inodes; 0 would mean no limit. */
export function inodesMax(geometry: Geometry): number {
  const blocks = Math.floor((geometry.blocks * geometry.inodePercent) / 100);
  const unit = chunkBlocks(geometry);
  return Math.floor(blocks / unit) * unit * geometry.inodesPerBlock;
}

/** Inodes on the disk, and those of them that are free. */
export function countInodes(state: XfsState): { count: number; free: number } {
  let count = 0;
  let free = 0;
  for (const group of state.groups) {
    count += group.inodeCount;
    free += group.freeInodeCount;
  }
  return { count, free };
}

/** Whether one more inode finds room. */
export function canAllocateInode(state: XfsState): boolean {
  const { count, free } = countInodes(state);
  if (free > 0) return true;
  return count + CHUNK_INODES <= inodesMax(state.geometry) && state.available >= chunkBlocks(state.geometry);
}

/** Takes an inode. @returns 0 when there is none. */
export function allocateInode(state: XfsState, parent: number, isDirectory: boolean): number {
  const groups = inodeGroups(state.geometry);
  const first = isDirectory ? state.rotor++ % groups : groupOfInode(state.geometry, parent);
  const isFull = countInodes(state).count + CHUNK_INODES > inodesMax(state.geometry);
  const mayGrow = !isFull && state.available >= chunkBlocks(state.geometry);
  for (let n = 0; n < groups; n++) {
    const group = state.group((first + n) % groups);
    if (group.freeInodeCount === 0 && !(mayGrow && allocateChunk(state, group))) continue;
    const base = group.index * groupInodes(state.geometry);
    const near = parent >= base && parent < base + groupInodes(state.geometry) ? parent - base : 0;
    return base + takeInode(group, near);
  }
  return 0;
}

/** The tree in which a chunk with a free inode is looked for. */
function searchTree(group: Group): BTree {
  return group.freeInodes ?? group.inodes;
}

/** Sets the tree's place to the chunk that the next inode is taken from. */
function chooseChunk(group: Group, near: number): BTree {
  const tree = searchTree(group);
  if (near === 0) {
    // xfs_dialloc_ag_finobt_newino.
    if (group.newest !== 0 && tree.find(group.newest) && tree.get(3) > 0) return tree;
    for (let more = tree.seekFrom(0); more; more = tree.next()) if (tree.get(3) > 0) return tree;
  }
  // xfs_dialloc_ag_finobt_near: the nearest to both sides.
  const distance = (): number => Math.abs(tree.get(0) - near);
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  const consider = (): boolean => {
    if (tree.get(3) === 0) return false;
    if (distance() < least) {
      best = tree.get(0);
      least = distance();
    }
    return true;
  };
  for (let more = tree.seek(near); more; more = tree.previous()) if (consider()) break;
  if (best < 0 || near >= best + CHUNK_INODES) {
    tree.seek(near);
    for (let more = tree.next(); more; more = tree.next()) if (consider()) break;
  }
  assert(best >= 0 && tree.find(best), `group ${group.index} counts free inodes that no chunk has`);
  return tree;
}

/** Takes the first free inode of a chunk. @returns its number within the group. */
function takeInode(group: Group, near: number): number {
  const tree = chooseChunk(group, near);
  const [first, low, high, free] = [tree.get(0), tree.get(1), tree.get(2), tree.get(3)];
  const bit = low !== 0 ? lowestBit(low) : 32 + lowestBit(high);
  const record = [first, bit < 32 ? low & ~(1 << bit) : low, bit < 32 ? high : high & ~(1 << (bit - 32)), free - 1];
  putRecord(group, record, free);
  group.freeInodeCount -= 1;
  group.dirtyInodes();
  return first + bit;
}

/** Writes a chunk's record to both trees. @param before - how many were free. */
function putRecord(group: Group, record: readonly number[], before: number): void {
  const first = record[0] as number;
  const free = record[3] as number;
  assert(group.inodes.find(first), `group ${group.index} has no chunk at ${first}`);
  group.inodes.update(record);
  const { freeInodes } = group;
  if (freeInodes === undefined) return;
  if (before === 0) freeInodes.insert(record);
  else if (free === 0) freeInodes.remove(first);
  else {
    freeInodes.find(first);
    freeInodes.update(record);
  }
}

/** xfs_ialloc_ag_alloc: behind the newest chunk, else near the inode tree's root. @returns whether there was room. */
function allocateChunk(state: XfsState, group: Group): boolean {
  const count = chunkBlocks(state.geometry);
  const { inodesPerBlock } = state.geometry;
  const behind = group.newest / inodesPerBlock + count;
  let start = -1;
  const goal = group.inodes.root.block - group.start;
  const alignment = chunkAlignment(state.geometry);
  if (group.newest !== 0 && allocateExact(state, group, behind, count)) start = behind;
  else start = allocateAligned(state, group, { goal, count, alignment });
  // Where no stripe has room.
  if (start < 0 && alignment !== count) start = allocateAligned(state, group, { goal, count, alignment: count });
  if (start < 0) return false;
  addChunk(state, group, start);
  return true;
}

/** The generation with which a chunk's inodes begin, where xfs draws a random number: another for each chunk, also where there was one before. */
function drawGeneration(state: XfsState): number {
  state.chunksMade += 1;
  return Math.imul(state.log.position, 0x9e3779b1) ^ Math.imul(state.chunksMade, 0x85ebca77);
}

/** Makes 64 free inodes of blocks that have been taken. */
export function addChunk(state: XfsState, group: Group, start: number): InodeChunk {
  const first = start * state.geometry.inodesPerBlock;
  const record = [first, -1, -1, CHUNK_INODES];
  group.inodes.insert(record);
  group.freeInodes?.insert(record);
  group.inodeCount += CHUNK_INODES;
  group.freeInodeCount += CHUNK_INODES;
  group.newest = first;
  group.dirtyInodes();
  const chunk = state.addChunk(group.index * groupInodes(state.geometry) + first);
  chunk.beginGenerations(drawGeneration(state));
  chunk.dirtyAll(state.log);
  return chunk;
}

/** Gives an inode back; its chunk too when that was the last in use. */
export function freeInode(state: XfsState, ino: number): void {
  const { geometry } = state;
  const group = state.group(groupOfInode(geometry, ino));
  const inGroup = ino % groupInodes(geometry);
  const first = inGroup - (inGroup % CHUNK_INODES);
  const bit = inGroup - first;
  const { inodes } = group;
  assert(inodes.find(first), `inode ${ino} is in no chunk`);
  const [low, high, free] = [inodes.get(1), inodes.get(2), inodes.get(3)];
  const record = [first, bit < 32 ? low | (1 << bit) : low, bit < 32 ? high : high | (1 << (bit - 32)), free + 1];
  putRecord(group, record, free);
  group.freeInodeCount += 1;
  group.dirtyInodes();
  if (free + 1 === CHUNK_INODES && ino - bit !== rootInode(geometry)) removeChunk(state, group, first);
}

/** xfs_difree_inode_chunk. */
function removeChunk(state: XfsState, group: Group, first: number): void {
  const { geometry } = state;
  group.inodes.remove(first);
  group.freeInodes?.remove(first);
  group.inodeCount -= CHUNK_INODES;
  group.freeInodeCount -= CHUNK_INODES;
  if (group.newest === first) group.newest = 0;
  const number = group.index * groupInodes(geometry) + first;
  state.chunk(number).forget(state.log);
  state.removeChunk(number);
  freeBlocks(state, group.start + first / geometry.inodesPerBlock, chunkBlocks(geometry));
}
