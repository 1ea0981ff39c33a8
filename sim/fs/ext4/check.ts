/**
 * What must hold of an ext4 in memory, in the spirit of e2fsck's passes: every block has one owner and is marked used, every count is a sum.
 *
 * Interface: throws an InvariantError that names the inode or the group. Reads every inode and directory in use: O(inodes).
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { loadDirectory } from "./directories.ts";
import { DirectoryData } from "./directory-data.ts";
import { FileData } from "./file-data.ts";
import { BLOCKS, HOLDS, MODE, NLINK, SymlinkData } from "./inodes.ts";
import { BLOCKS_PER_GROUP, FIRST_INODE, firstBlockOf, fixedBlocks } from "./layout.ts";
import type { Ext4State } from "./state.ts";

/** Blocks by owner: runs of start, count and inode. */
type Claims = { start: number; count: number; ino: number }[];

/** Visits the inodes that the bitmaps say are in use. */
function visitUsed(state: Ext4State, visit: (ino: number) => void): void {
  const { inodesPerGroup, groups } = state.geometry;
  for (let group = 0; group < groups; group++) {
    if (state.groups.freeInodes[group] === inodesPerGroup) continue;
    const { bits } = state.groups.inodeBitmap(group);
    assert(bits.freeCount === state.groups.freeInodes[group], `group ${group}: free inodes do not add up`);
    for (let at = bits.nextUsed(0); at < inodesPerGroup; at = bits.nextUsed(at + 1)) visit(group * inodesPerGroup + at + 1);
  }
}

function claimTree(data: FileData | DirectoryData, ino: number, claims: Claims): number {
  const { tree } = data;
  tree.check(`inode ${ino}`);
  let blocks = 0;
  for (let index = 0; index < tree.list.count; index++) {
    claims.push({ start: tree.list.physical(index), count: tree.list.length(index), ino });
    blocks += tree.list.length(index);
  }
  tree.visitBlocks((block) => {
    claims.push({ start: block, count: 1, ino });
    blocks += 1;
  });
  return blocks;
}

/** Notes an inode's blocks. @returns what delayed allocation has promised it. */
function claimInode(state: Ext4State, ino: number, claims: Claims): number {
  const data = state.data(ino);
  let blocks = 0;
  let promised = 0;
  if (data instanceof FileData || data instanceof DirectoryData) blocks += claimTree(data, ino, claims);
  else if (data instanceof SymlinkData && data.block !== 0) {
    claims.push({ start: data.block, count: 1, ino });
    blocks += 1;
  }
  if (data instanceof FileData) {
    promised = data.delayedBlocks;
    for (let index = 0; index < data.tree.list.count && data.delayed !== undefined; index++) {
      data.delayed.visit(data.tree.list.logical(index), data.tree.list.end(index), () => {
        throw new InvariantError(`inode ${ino}: a block is mapped and promised`);
      });
    }
  }
  const outside = state.chunk(ino).xattrs?.[(ino - 1) & 63]?.outside;
  if (outside !== undefined) {
    claims.push({ start: outside.block, count: 1, ino });
    blocks += 1;
  }
  assert(state.word(ino, BLOCKS) === blocks, `inode ${ino}: ${state.word(ino, BLOCKS)} blocks are counted, ${blocks} are there`);
  return promised;
}

/** Counts the names that each inode has. */
function countNames(state: Ext4State, directories: readonly number[]): Map<number, number> {
  const names = new Map<number, number>();
  const add = (ino: number): void => {
    names.set(ino, (names.get(ino) ?? 0) + 1);
  };
  for (const directory of directories) {
    const data = state.directory(directory);
    if (!data.loaded) loadDirectory(state, directory, data);
    add(directory);
    for (let row = state.dentries.first(directory); row !== 0; row = state.dentries.next(row)) {
      const child = state.dentries.child(row);
      assert(state.word(child, MODE) !== 0, `directory ${directory}: a name leads to inode ${child}, which is free`);
      add(child);
      if ((state.word(child, MODE) & S_IFMT) === S_IFDIR) add(directory);
    }
  }
  return names;
}

function checkLinks(state: Ext4State, used: readonly number[]): void {
  const directories = used.filter((ino) => (state.word(ino, MODE) & S_IFMT) === S_IFDIR && !state.orphans.has(ino));
  const names = countNames(state, directories);
  // The root's ".." is its own.
  names.set(2, (names.get(2) ?? 0) + 1);
  for (const ino of used) {
    if (ino !== 2 && ino < FIRST_INODE) continue;
    const links = state.word(ino, NLINK);
    const isDirectory = (state.word(ino, MODE) & S_IFMT) === S_IFDIR;
    if (state.orphans.has(ino)) assert(links === 0 && state.word(ino, HOLDS) > 0, `inode ${ino} is an orphan that nobody holds`);
    else if (!(isDirectory && links === 1)) {
      assert(links > 0, `inode ${ino} has no name and is no orphan`);
      assert(links === (names.get(ino) ?? 0), `inode ${ino}: ${links} links are counted, ${names.get(ino) ?? 0} names are there`);
    }
  }
}

/** Every claimed run has one owner and is marked used; each group's used blocks are the fixed and the claimed ones. */
function checkBlocks(state: Ext4State, claims: Claims): void {
  claims.sort((one, other) => one.start - other.start);
  const perGroup = new Map<number, number>();
  let end = 0;
  for (const claim of claims) {
    assert(claim.start >= end, `block ${claim.start} of inode ${claim.ino} has another owner`);
    end = claim.start + claim.count;
    for (let at = claim.start; at < end; ) {
      const group = Math.floor(at / BLOCKS_PER_GROUP);
      const part = Math.min(end, firstBlockOf(group + 1)) - at;
      const { bits } = state.groups.blockBitmap(group);
      const next = bits.nextFree(at - firstBlockOf(group));
      assert(next === undefined || next >= at - firstBlockOf(group) + part, `block ${at} of inode ${claim.ino} is marked free`);
      perGroup.set(group, (perGroup.get(group) ?? 0) + part);
      at += part;
    }
  }
  state.groups.visitLoaded((group) => {
    const { bits } = state.groups.blockBitmap(group);
    const counted = state.groups.freeBlocks[group] as number;
    assert(bits.freeCount + state.groups.freedIn(group) === counted, `group ${group}: free blocks do not add up`);
    const inUse = fixedBlocks(state.geometry, group) + (perGroup.get(group) ?? 0);
    assert(
      bits.size - counted === inUse,
      `group ${group}: ${bits.size - counted} blocks are marked used, ${inUse} have an owner`,
    );
  });
}

export function check(state: Ext4State): void {
  const used: number[] = [];
  const claims: Claims = [];
  let promised = 0;
  visitUsed(state, (ino) => {
    used.push(ino);
    promised += claimInode(state, ino, claims);
  });
  assert(promised === state.delayedBlocks, `${state.delayedBlocks} blocks are promised, files say ${promised}`);
  assert(state.delayedBlocks <= state.freeBlocks, "more blocks are promised than are free");
  const sum = (counts: Int32Array): number => counts.reduce((one, other) => one + other, 0);
  assert(sum(state.groups.freeBlocks) === state.freeBlocks, "the groups' free blocks do not add up");
  assert(sum(state.groups.freeInodes) === state.freeInodes, "the groups' free inodes do not add up");
  checkBlocks(state, claims);
  checkLinks(state, used);
}
