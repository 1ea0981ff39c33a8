/** The invariants of a mounted xfs: what xfs_repair -n would look at, over what is in memory. */
import { assert, InvariantError } from "../../core/assert.ts";
import { isErrno } from "../../core/errno.ts";
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { enter } from "./directories.ts";
import { DirectoryData, dataEntryBytes } from "./directory-data.ts";
import { FileData } from "./file-data.ts";
import type { Group } from "./group.ts";
import { BLOCKS, HOLD, HOLDS, INNER_FLAGS, MODE, NLINK, PROJECT, SHARES, SymlinkData } from "./inodes.ts";
import { BLOCK_SIZE, CHUNK_INODES, chunkBlocks, groupInodes, holdsLog, rootInode } from "./layout.ts";
import { visitShared } from "./shared.ts";
import type { XfsState } from "./state.ts";
import { unlinkedInodes } from "./unlinked.ts";

/** Throws an InvariantError unless trees, counts, links, directories, sharing and promises agree. O(everything). */
export function check(state: XfsState): void {
  state.dentries.check();
  for (const group of state.groups) checkGroup(state, group);
  const names = reach(state);
  checkInodes(state, names);
  checkBlocks(state);
  let free = 0;
  for (const group of state.groups) free += group.countedFree;
  assert(free === state.freeBlocks, `${state.freeBlocks} blocks are counted free, the groups have ${free}`);
}

/** The trees hold together and with the headers; every chunk is loaded. */
function checkGroup(state: XfsState, group: Group): void {
  for (const tree of group.trees()) tree.check();
  const { byBlock, bySize, inodes, freeInodes } = group;
  let free = 0;
  let end = -1;
  byBlock.visit(([start = 0, count = 0]) => {
    assert(start > end, `group ${group.index}: free blocks at ${start} touch those before`);
    end = start + count;
    free += count;
    assert(bySize.find(count, start), `group ${group.index}: ${count} free blocks at ${start} are not found by size`);
  });
  assert(bySize.size === byBlock.size, `group ${group.index}: the trees of free blocks differ`);
  assert(
    free + group.busyBlocks === group.freeBlocks,
    `group ${group.index} counts ${group.freeBlocks} free blocks, has ${free}`,
  );
  let count = 0;
  let spare = 0;
  let withSpare = 0;
  const base = group.index * groupInodes(state.geometry);
  inodes.visit(([first = 0, low = 0, high = 0, number = 0]) => {
    count += CHUNK_INODES;
    spare += number;
    if (number > 0) withSpare += 1;
    for (let at = 0; at < CHUNK_INODES; at++) {
      const ino = base + first + at;
      const unread = state.reach(ino) ?? state.reachBody(ino);
      if (unread !== undefined) throw new InvariantError(`inode ${ino} cannot be read`, { cause: unread });
      const isFree = (((at < 32 ? low : high) >>> (at & 31)) & 1) === 1;
      const isUsed = state.word(ino, MODE) !== 0;
      assert(isFree !== isUsed, `inode ${ino} is ${isUsed ? "used and free" : "neither used nor free"}`);
    }
  });
  assert(count === group.inodeCount && spare === group.freeInodeCount, `group ${group.index} counts its inodes wrongly`);
  assert(freeInodes === undefined || freeInodes.size === withSpare, `group ${group.index}: the trees of inodes differ`);
}

/** Walks all directories from the root. @returns how many names each inode has. */
function reach(state: XfsState): Map<number, number> {
  const names = new Map<number, number>();
  const open = [rootInode(state.geometry)];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    const unread = enter(state, directory);
    if (unread !== undefined) throw new InvariantError(`directory ${directory} cannot be read`, { cause: unread });
    const data = state.directory(directory);
    checkDirectory(state, directory, data);
    let below = 0;
    for (let row = state.dentries.first(directory); row !== 0; row = state.dentries.next(row)) {
      const child = state.dentries.child(row);
      names.set(child, (names.get(child) ?? 0) + 1);
      if ((state.word(child, MODE) & S_IFMT) !== S_IFDIR) continue;
      assert(state.parentOf(child) === directory, `directory ${child} has another parent than ${directory}`);
      below += 1;
      open.push(child);
    }
    const links = state.word(directory, NLINK);
    assert(links === below + 2, `directory ${directory} has ${links} links and ${below} directories below`);
  }
  return names;
}

/** Entries and gaps fill each block, nothing overlaps, and the index has as many entries. */
function checkDirectory(state: XfsState, directory: number, data: DirectoryData): void {
  const count = state.dentries.count(directory);
  if (data.isShort) {
    assert(data.rows.length === count, `directory ${directory} places ${data.rows.length} of ${count} entries`);
    assert(data.shortBytes === state.size(directory), `directory ${directory} has another size than its entries`);
    assert(data.shortBytes <= state.dataForkBytes(directory), `directory ${directory} does not fit its inode`);
    return;
  }
  assert(state.size(directory) === data.blocks.length * BLOCK_SIZE, `directory ${directory} has another size than its blocks`);
  let entries = 0;
  for (const [at, block] of data.blocks.entries()) {
    if (block === undefined) continue;
    const pieces: (readonly [start: number, end: number])[] = [];
    for (const [place, row] of block.rows.entries()) {
      const position = state.positions[row] as number;
      assert(position >>> 9 === at && state.places[row] === place, `dentry ${row} is noted at another place`);
      assert(state.dentries.directory(row) === directory, `dentry ${row} is in a block of directory ${directory}`);
      const length = dataEntryBytes(state.environment.names.byteLength(state.dentries.name(row)), state.format.typeBytes);
      pieces.push([(position & 511) * 8, (position & 511) * 8 + length]);
    }
    entries += block.rows.length;
    for (let gap = 0; gap < block.gaps.length; gap += 2) pieces.push([block.gaps[gap] as number, block.gaps[gap + 1] as number]);
    pieces.sort((one, other) => one[0] - other[0]);
    for (let n = 1; n < pieces.length; n++)
      assert(pieces[n - 1]?.[1] === pieces[n]?.[0], `directory ${directory}, block ${at}: neither entry nor gap, or both`);
  }
  assert(entries === count, `directory ${directory} places ${entries} of ${count} entries`);
  let hashes = 0;
  let last = 0;
  for (const leaf of data.leaves) {
    hashes += leaf.hashes.length;
    for (const hash of leaf.hashes) {
      assert(hash >= last, `directory ${directory} indexes ${hash} behind ${last}`);
      last = hash;
    }
    assert(data.leaves.length === 1 || leaf.hashes.length > 0, `directory ${directory} has an index block without entries`);
  }
  assert(data.leaves.length === 0 || hashes === count, `directory ${directory} indexes ${hashes} of ${count} entries`);
}

function checkInodes(state: XfsState, names: ReadonlyMap<number, number>): void {
  let promised = 0;
  const chained = unlinkedInodes(state);
  if (isErrno(chained)) throw new InvariantError("an inode without names cannot be read", { cause: chained });
  const unlinked = new Set(chained);
  const used = new Map<number, number>();
  state.visitInodes((ino) => {
    const links = state.word(ino, NLINK);
    const data = state.data(ino);
    const isSystem = ino <= rootInode(state.geometry) + 2;
    if (!isSystem && (state.word(ino, MODE) & S_IFMT) !== S_IFDIR)
      assert(links === (names.get(ino) ?? 0), `inode ${ino} has ${links} links and ${names.get(ino) ?? 0} names`);
    if (links === 0)
      assert(
        unlinked.has(ino) && (state.word(ino, HOLDS) >= HOLD || state.left.has(ino)),
        `inode ${ino} has neither names nor holders`,
      );
    if (data instanceof FileData) {
      data.fork.check(`inode ${ino}`);
      promised += checkPromises(state, ino, data);
    }
    const blocks = countBlocks(state, ino);
    assert(blocks === state.word(ino, BLOCKS), `inode ${ino} has ${blocks} blocks and says ${state.word(ino, BLOCKS)}`);
    const project = state.word(ino, PROJECT);
    const more = data instanceof FileData ? data.unsettledBlocks : 0;
    if (project !== 0) used.set(project, (used.get(project) ?? 0) + blocks + more);
  });
  assert(promised === state.delayedBlocks, `${state.delayedBlocks} blocks are promised, files count ${promised}`);
  if (state.projects.enforced)
    for (const [project, blocks] of used)
      assert(
        state.projects.used(project) === blocks,
        `project ${project} uses ${blocks}, is charged ${state.projects.used(project)}`,
      );
}

/** What is promised is not mapped. @returns the blocks promised, those for trees included. */
function checkPromises({ geometry }: XfsState, ino: number, { fork, delayed, cow }: FileData): number {
  delayed?.check(geometry);
  delayed?.blocks.visit((from, to) => {
    assert(fork.list.missing(from, to) === to - from, `inode ${ino}: a block is mapped and promised`);
  });
  cow?.delayed.check(geometry);
  cow?.delayed.blocks.visit((from, to) => {
    assert(cow.list.missing(from, to) === to - from, `inode ${ino}: a copy-on-write block is allocated and promised`);
  });
  return [delayed, cow?.delayed].reduce((sum, one) => sum + (one === undefined ? 0 : one.blocks.covered + one.indirect), 0);
}

/** The blocks that an inode reaches. `shares`: whether others may reach them too. */
function visitBlocksOf(state: XfsState, ino: number, visit: (start: number, count: number, shares: boolean) => void): void {
  const data = state.data(ino);
  if (data instanceof FileData || data instanceof DirectoryData) {
    const { list } = data.fork;
    const shares = (state.word(ino, INNER_FLAGS) & SHARES) !== 0;
    for (let index = 0; index < list.count; index++) visit(list.physical(index), list.length(index), shares);
    data.fork.visitBlocks((block) => visit(block, 1, false));
  } else if (data instanceof SymlinkData && data.block !== 0) visit(data.block, 1, false);
  for (const block of state.chunk(ino).xattrs?.[ino % CHUNK_INODES]?.blockNumbers ?? []) visit(block, 1, false);
}

function countBlocks(state: XfsState, ino: number): number {
  let count = 0;
  visitBlocksOf(state, ino, (_start, blocks) => {
    count += blocks;
  });
  return count;
}

/** Every block has exactly the uses that are known of it: free, a header, a tree, the log, inodes, or as many files as the tree of shared blocks says. */
function checkBlocks(state: XfsState): void {
  /** Changes of the number of uses, by block. */
  const changes = new Map<number, number>();
  const add = (start: number, count: number, uses: number): void => {
    changes.set(start, (changes.get(start) ?? 0) + uses);
    changes.set(start + count, (changes.get(start + count) ?? 0) - uses);
  };
  for (const group of state.groups) {
    add(group.start, 1, 1);
    for (const tree of group.trees()) tree.visitBlocks((block) => add(block.block, 1, 1));
    for (const block of group.freeList) add(group.start + block, 1, 1);
    group.byBlock.visit(([start = 0, count = 0]) => add(group.start + start, count, 1));
    for (let at = 0; at < group.busy.length; at += 2)
      add(group.start + (group.busy[at] as number), group.busy[at + 1] as number, 1);
    if (holdsLog(state.geometry, group.index)) add(state.geometry.logStart, state.geometry.logBlocks, 1);
    group.inodes.visit(([first = 0]) => add(group.start + first / state.geometry.inodesPerBlock, chunkBlocks(state.geometry), 1));
    // Of a shared block one use is left over; of one in a copy-on-write fork none of a file is there.
    visitShared(group, (start, count, uses) => add(start, count, uses === 1 ? 1 : 1 - uses));
  }
  state.visitInodes((ino) => visitBlocksOf(state, ino, (start, count) => add(start, count, 1)));
  let uses = 0;
  let last = 0;
  for (const [block, change] of [...changes].sort((one, other) => one[0] - other[0])) {
    assert(uses === 1 || block === last, `block ${last} to ${block} are used ${uses} times`);
    uses += change;
    last = block;
  }
  assert(uses === 0 && last === state.geometry.blocks, `the last use ends at ${last}`);
}
