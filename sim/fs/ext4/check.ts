/** The invariants of a mounted ext4: what e2fsck would look at, over what is in memory. */
import { assert, InvariantError } from "../../core/assert.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { readDirectory } from "./directories.ts";
import { DirectoryData, entryBytes } from "./directory-data.ts";
import { FileData } from "./file-data.ts";
import { BLOCKS, HOLD, HOLDS, MODE, NLINK } from "./inode-words.ts";
import { SymlinkData } from "./inodes.ts";
import { BLOCK_SIZE, BLOCKS_PER_GROUP, FIRST_INODE, firstBlockOf, ROOT_INODE, visitFixed } from "./layout.ts";
import { lonePageOf } from "./lone-file.ts";
import type { Ext4State } from "./state.ts";
import type { XattrBlock } from "./xattr-set.ts";

/** What can be reached from the root. */
interface Reached {
  /** How many names each inode has. */
  readonly names: ReadonlyMap<number, number>;
  /** Whether the device gave all of it: else there are more names and blocks than are known. */
  readonly isWhole: boolean;
}

/** Throws an InvariantError unless bitmaps, counts, links, directories and promises agree, as far as the device can be read. O(everything). */
export function check(state: Ext4State): void {
  state.dentries.check();
  const reached = reach(state);
  const inodes = state.inodesInMemory();
  checkInodes(state, reached, inodes);
  checkBlocks(state, reached, inodes);
  checkCounts(state);
}

/** Walks all directories from the root, and reads what all inodes there have. */
function reach(state: Ext4State): Reached {
  const names = new Map<number, number>();
  let isWhole = true;
  const open = [ROOT_INODE];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    if (readDirectory(state, directory) !== undefined) {
      isWhole = false;
      continue;
    }
    const data = state.directory(directory);
    checkDirectory(state, directory, data);
    let below = 0;
    for (const block of data.blocks) {
      for (const row of block?.rows ?? []) {
        const child = state.dentries.child(row);
        names.set(child, (names.get(child) ?? 0) + 1);
        if (state.reach(child) !== undefined) isWhole = false;
        if ((state.word(child, MODE) & S_IFMT) !== S_IFDIR) continue;
        below += 1;
        open.push(child);
      }
    }
    const links = state.word(directory, NLINK);
    const isKnown = links === 1 || links === below + 2 || (!isWhole && links > below + 2);
    assert(isKnown, `directory ${directory} has ${links} links and ${below} directories below`);
  }
  for (const ino of [...state.unreadTrees.keys()]) if (state.reachTree(ino) !== undefined) isWhole = false;
  return { names, isWhole };
}

/** Of each place in a block that is looked at, where the entry or gap that begins there ends; 0: none does. */
const ends: Uint16Array = new Uint16Array(BLOCK_SIZE);

/** Entries and gaps fill each block that holds names, and nothing overlaps. */
function checkDirectory(state: Ext4State, directory: number, data: DirectoryData): void {
  const { dentries } = state;
  let entries = 0;
  assert(state.size(directory) === data.blocks.length * BLOCK_SIZE, `directory ${directory} has another size than its blocks`);
  for (let at = 0; at < data.blocks.length; at++) {
    const block = data.blocks[at];
    if (block === undefined) continue;
    let first = BLOCK_SIZE;
    ends.fill(0);
    for (let place = 0; place < block.rows.length; place++) {
      const row = block.rows[place] as number;
      if (dentries.blockOf(row) !== at)
        throw new InvariantError(`entry ${row} is noted in another block than ${at} of directory ${directory}`);
      if (dentries.placeOf(row) !== place) throw new InvariantError(`entry ${row} is noted at another place`);
      if (dentries.find(directory, dentries.name(row)) !== row)
        throw new InvariantError(`entry ${row} is in a block of directory ${directory}`);
      const start = dentries.offsetOf(row);
      const length = entryBytes(state.environment.names.byteLength(dentries.name(row)));
      if (dentries.lengthOf(row) !== length) throw new InvariantError(`entry ${row} is noted with another length than ${length}`);
      ends[start] = start + length;
      first = Math.min(first, start);
    }
    entries += block.rows.length;
    for (let gap = 0; gap < block.gaps.length; gap += 2) {
      const start = block.gaps[gap] as number;
      ends[start] = block.gaps[gap + 1] as number;
      first = Math.min(first, start);
    }
    if (!follow(first, block.rows.length + block.gaps.length / 2))
      throw new InvariantError(`directory ${directory}, block ${at}: neither entry nor gap, or both`);
  }
  assert(entries === state.dentries.count(directory), `directory ${directory} places ${entries} of its entries`);
}

/** Whether so many entries and gaps follow each other from the first on. */
function follow(first: number, pieces: number): boolean {
  for (let at = first, left = pieces; left > 0; left--) {
    const end = ends[at] ?? 0;
    if (end <= at) return false;
    at = end;
  }
  return true;
}

function checkInodes(state: Ext4State, reached: Reached, inodes: readonly number[]): void {
  assert(new FileData().tree.list.count === 0, "files without a block have extents");
  let delayed = 0;
  let lone = 0;
  for (const ino of inodes) {
    const data = state.data(ino);
    if (ino >= FIRST_INODE && (state.word(ino, MODE) & S_IFMT) !== S_IFDIR) checkLinks(state, reached, ino);
    if (data instanceof FileData) {
      data.check(ino);
      delayed += data.delayedBlocks;
      data.visitPromised((from, to) =>
        assert(data.tree.list.missing(from, to) === to - from, `inode ${ino}: a block is mapped and promised`),
      );
    }
    if (lonePageOf(state, ino) !== 0) {
      assert(data === undefined, `inode ${ino} has more than its only page`);
      delayed += 1;
      lone += 1;
    }
    if (countBlocks(state, ino) !== state.word(ino, BLOCKS) && !state.unreadTrees.has(ino))
      throw new InvariantError(`inode ${ino} has another number of blocks than it says`);
  }
  assert(lone === (state.lonePages?.dirtyPages ?? 0), `${lone} files are one page each, their filesystem counts others`);
  state.lonePages?.check();
  assert(delayed === state.delayedBlocks, `${state.delayedBlocks} blocks are promised, files count ${delayed}`);
}

function checkLinks(state: Ext4State, { names, isWhole }: Reached, ino: number): void {
  const links = state.word(ino, NLINK);
  const known = names.get(ino) ?? 0;
  if (links !== known && (isWhole || links < known))
    throw new InvariantError(`inode ${ino} has ${links} links and ${known} names`);
  // With an aborted journal nothing is freed any more: the next mount does it.
  const held = state.word(ino, HOLDS) >= HOLD || state.journal.error !== undefined;
  if (links === 0 && !(state.orphans.of(ino) > 0 && held)) throw new InvariantError(`inode ${ino} has neither names nor holders`);
}

/** The blocks that an inode reaches, but for that of its attributes. */
function visitBlocksOf(state: Ext4State, ino: number, visit: (start: number, count: number) => void): void {
  const data = state.data(ino);
  if (data instanceof FileData || data instanceof DirectoryData) {
    const { list } = data.tree;
    for (let index = 0; index < list.count; index++) visit(list.physical(index), list.length(index));
    data.tree.visitBlocks((block) => visit(block, 1));
  } else if (data instanceof SymlinkData && data.block !== 0) visit(data.block, 1);
}

function xattrBlockOf(state: Ext4State, ino: number): XattrBlock | undefined {
  return state.chunk(ino).xattrs?.[(ino - 1) & 63]?.outside;
}

/** Counts the inodes that have each attribute block. */
function countXattrBlocks(state: Ext4State, inodes: readonly number[]): Map<XattrBlock, number> {
  const found = new Map<XattrBlock, number>();
  for (const ino of inodes) {
    const block = xattrBlockOf(state, ino);
    if (block !== undefined) found.set(block, (found.get(block) ?? 0) + 1);
  }
  return found;
}

function countBlocks(state: Ext4State, ino: number): number {
  let count = xattrBlockOf(state, ino) === undefined ? 0 : 1;
  visitBlocksOf(state, ino, (_start, blocks) => {
    count += blocks;
  });
  return count;
}

/** A run of blocks as one number, by which runs are put in order: its start times this, and its length, which one extent's does not pass (ee_len). */
const RUN_STEP = 65_536;

/** Every block is used once or free: what inodes reach and fixed metadata take is used in the bitmaps, and nothing else is. */
function checkBlocks(state: Ext4State, { isWhole }: Reached, inodes: readonly number[]): void {
  const used = new Map<number, number>();
  const runs: number[] = [];
  const count = (start: number, blocks: number): void => {
    runs.push(start * RUN_STEP + blocks);
    for (let at = start; at < start + blocks; ) {
      const group = Math.floor(at / BLOCKS_PER_GROUP);
      const part = Math.min(start + blocks, firstBlockOf(group + 1)) - at;
      used.set(group, (used.get(group) ?? 0) + part);
      at += part;
    }
  };
  for (const ino of inodes) visitBlocksOf(state, ino, count);
  for (const [block, holders] of countXattrBlocks(state, inodes)) {
    count(block.block, 1);
    const isKnown = !block.unread && isWhole;
    assert(
      !isKnown || block.references === holders,
      `attribute block ${block.block} of ${holders} inodes counts ${block.references}`,
    );
  }
  let end = 0;
  for (const run of Float64Array.from(runs).sort()) {
    const start = Math.floor(run / RUN_STEP);
    if (start < end) throw new InvariantError(`block ${start} belongs to two`);
    end = start + (run % RUN_STEP);
  }
  state.groups.visitWhole((group) =>
    assert(
      !isWhole || used.get(group) === BLOCKS_PER_GROUP,
      `group ${group} is wholly used, ${used.get(group) ?? 0} blocks are reached`,
    ),
  );
  state.groups.visitLoaded((group) => {
    const { bits } = state.groups.blockBitmap(group);
    bits.check();
    visitFixed(state.geometry, group, (start, blocks) => {
      used.set(group, (used.get(group) ?? 0) + blocks);
      const free = bits.nextFree(start);
      if (free !== undefined && free < start + blocks)
        throw new InvariantError(`metadata block ${free} of group ${group} is free`);
    });
    const taken = bits.size - bits.freeCount;
    const expected = (used.get(group) ?? 0) + state.groups.freedIn(group);
    assert(
      taken === expected || (!isWhole && taken > expected),
      `group ${group}: ${taken} blocks are used in its bitmap, ${expected} are reached`,
    );
    const free = bits.freeCount + state.groups.freedIn(group);
    assert(
      state.groups.freeBlocks[group] === free,
      `group ${group} counts ${state.groups.freeBlocks[group]} of ${free} free blocks`,
    );
  });
}

function checkCounts(state: Ext4State): void {
  state.groups.check();
  state.checkGroupInfo();
  state.preallocations.check((group) => state.groups.blockBitmap(group).bits);
  let blocks = 0;
  let inodes = 0;
  for (const free of state.groups.freeBlocks) blocks += free;
  for (const free of state.groups.freeInodes) inodes += free;
  assert(blocks === state.freeBlocks, `${state.freeBlocks} free blocks are counted, groups have ${blocks}`);
  assert(inodes === state.freeInodes, `${state.freeInodes} free inodes are counted, groups have ${inodes}`);
  assert(state.freeBlocks >= state.delayedBlocks, `${state.delayedBlocks} blocks are promised of ${state.freeBlocks}`);
}
