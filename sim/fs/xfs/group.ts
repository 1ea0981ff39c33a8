/**
 * One allocation group: its headers, its trees, the blocks kept for them (fs/xfs/libxfs/xfs_ag.c, xfs_alloc.c, xfs_ialloc.c).
 *
 * Interface: blocks within a group are counted from its start. The trees know what is free for the next allocation: blocks that the running
 * checkpoint frees are kept aside (`busy`) until it is forced, so that what replaces them cannot reach the disk before.
 */
import type { BlockDevice } from "../../block/device.ts";
import { assert } from "../../core/assert.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import { BTree } from "./btree.ts";
import {
  blocksIn,
  CHUNK_INODES,
  fixedBlocks,
  type Geometry,
  groupStart,
  holdsLog,
  perBlock,
  SECTOR_SIZE,
  SECTORS_PER_BLOCK,
  treeBlocksMax,
} from "./layout.ts";
import type { Log, Metadata } from "./log.ts";
import { type LoggedSize, measurePieces, piecesOf } from "./logged-pieces.ts";
import { type FreeListRecord, type FreeSpaceRecord, type InodesRecord, readBlock, readKind, type TreeRecord } from "./records.ts";
import type { TreeBlock, TreeFormat, TreeSpace } from "./tree-block.ts";

/** Chains of inodes without names (XFS_AGI_UNLINKED_BUCKETS). */
export const UNLINKED_CHAINS = 64;

/** What every change of a header changes, about: its counts (xfs_alloc_log_agf, xfs_ialloc_log_agi). */
const COUNTS_BYTES = 40;
/** Where an AGI has the beginnings of its chains, and how long each is. */
const UNLINKED_START = 40;
const UNLINKED_BYTES = 4;

/** A header of a group: one sector. */
class Header<Record extends FreeSpaceRecord | InodesRecord | FreeListRecord> implements Metadata {
  readonly sector: number;
  stamp = 0;
  readonly freeze: () => Record;
  /** Its pieces that are logged. */
  #logged = 0;

  constructor(sector: number, freeze: () => Record) {
    this.sector = sector;
    this.freeze = freeze;
  }
  /** The bytes [from, to) change. */
  changed(from: number, to: number): void {
    this.#logged |= piecesOf(from, to);
  }
  /** The counts change with each change. */
  measure(into: LoggedSize): void {
    this.changed(0, COUNTS_BYTES);
    measurePieces(into, this.#logged);
  }
  written(): void {
    this.#logged = 0;
  }
}

/** The trees' formats: bytes of a record and of a key with its pointer as on the disk. */
function formatOf(geometry: Geometry, kind: TreeRecord["kind"], order: readonly number[], sizes: readonly number[]): TreeFormat {
  const [stride = 0, record = 0, node = 0] = sizes;
  return { kind, stride, order, leafMax: perBlock(geometry, record), nodeMax: perBlock(geometry, node) };
}

export class Group {
  readonly index: number;
  /** Its first block on the device. */
  readonly start: number;
  readonly length: number;
  /** Free blocks: pairs of first block and count, by block and by size. */
  readonly byBlock: BTree;
  readonly bySize: BTree;
  /** Chunks of inodes: first inode (in the group), a bit for each free one (two numbers), how many are free. */
  readonly inodes: BTree;
  /** The same for chunks with a free one. Absent without checksums. */
  readonly freeInodes: BTree | undefined;
  /** Shared blocks: first block, count, how often they are used. Absent without reflink. */
  readonly shared: BTree | undefined;
  /** The AGFL. */
  freeList: number[] = [];
  /** Free blocks in the trees, those kept aside included. */
  freeBlocks = 0;
  inodeCount = 0;
  freeInodeCount = 0;
  /** The chunk that was allocated last, by its first inode in the group; 0: none. */
  newest = 0;
  readonly unlinked: number[] = new Array(UNLINKED_CHAINS).fill(0);
  /** Pairs of first block and count: free, but not before the running checkpoint is forced. */
  busy: number[] = [];
  readonly #log: Log;
  readonly #geometry: Geometry;
  readonly #space: Header<FreeSpaceRecord>;
  readonly #inodesHeader: Header<InodesRecord>;
  readonly #list: Header<FreeListRecord>;
  readonly #reservedMax: number;

  /** A group as mkfs finds it, before its free blocks are known. @param metadata - takes and gives blocks for trees of inodes and shared extents. */
  constructor(geometry: Geometry, log: Log, index: number, metadata: Pick<TreeSpace, "take" | "give">) {
    this.#geometry = geometry;
    this.#log = log;
    this.index = index;
    this.start = groupStart(geometry, index);
    this.length = blocksIn(geometry, index);
    const sector = this.start * SECTORS_PER_BLOCK;
    this.#space = new Header(sector + 1, () => this.#freezeSpace());
    this.#inodesHeader = new Header(sector + 2, () => this.#freezeInodes());
    this.#list = new Header(sector + 3, () => ({ kind: "xfs.agfl", length: SECTOR_SIZE, blocks: this.freeList.slice() }));
    const dirty = (block: Metadata): void => log.dirty(block);
    const fromList: TreeSpace = {
      take: () => this.#takeListed(),
      give: (block) => this.#giveListed(block),
      dirty,
      rootMoved: () => this.dirtySpace(),
    };
    const forInodes: TreeSpace = { ...metadata, dirty, rootMoved: () => this.dirtyInodes() };
    const forShared: TreeSpace = { ...metadata, dirty, rootMoved: () => this.dirtySpace() };
    this.byBlock = new BTree(formatOf(geometry, "xfs.freeByBlock", [0], [2, 8, 12]), fromList, this.start + 1);
    this.bySize = new BTree(formatOf(geometry, "xfs.freeBySize", [1, 0], [2, 8, 16]), fromList, this.start + 2);
    this.inodes = new BTree(formatOf(geometry, "xfs.inodeTree", [0], [4, 16, 8]), forInodes, this.start + 3);
    if (geometry.crc)
      this.freeInodes = new BTree(formatOf(geometry, "xfs.freeInodeTree", [0], [4, 16, 8]), forInodes, this.start + 4);
    if (geometry.reflink)
      this.shared = new BTree(formatOf(geometry, "xfs.sharedTree", [0], [3, 12, 8]), forShared, this.start + 5);
    this.#reservedMax = this.#treeBlocksMax();
  }

  dirtySpace(): void {
    this.#log.dirty(this.#space);
  }
  dirtyInodes(): void {
    this.#log.dirty(this.#inodesHeader);
  }
  /** Where a chain of inodes without names begins is another inode. */
  beginChain(chain: number, ino: number): void {
    this.unlinked[chain] = ino;
    const at = UNLINKED_START + chain * UNLINKED_BYTES;
    this.#inodesHeader.changed(at, at + UNLINKED_BYTES);
    this.dirtyInodes();
  }
  dirtyList(): void {
    this.#log.dirty(this.#list);
    this.dirtySpace();
  }

  /** Every tree there is. */
  trees(): BTree[] {
    return [this.byBlock, this.bySize, this.inodes, this.freeInodes, this.shared].filter((tree) => tree !== undefined);
  }

  /** Every block and header joins the running checkpoint: mkfs. */
  dirtyAll(): void {
    this.dirtyList();
    this.dirtyInodes();
    for (const tree of this.trees()) tree.visitBlocks((block) => this.#log.dirty(block));
  }

  // The AGFL

  #takeListed(): number {
    const block = this.freeList.shift();
    assert(block !== undefined, `group ${this.index} has no block kept for its free space trees`);
    this.dirtyList();
    return this.start + block;
  }
  #giveListed(block: TreeBlock): void {
    this.#log.forget(block);
    this.freeList.push(block.block - this.start);
    this.dirtyList();
  }

  /** xfs_alloc_min_freelist: what the two free space trees may need for one allocation. */
  get freeListMin(): number {
    return 2 * (this.byBlock.levels + 1) - 2 + 2 * (this.bySize.levels + 1) - 2;
  }

  /** Blocks that the trees of free inodes and of shared extents may have at worst. */
  #treeBlocksMax(): number {
    const own = this.length - (holdsLog(this.#geometry, this.index) ? this.#geometry.logBlocks : 0);
    const chunks = Math.floor((own * this.#geometry.inodesPerBlock) / CHUNK_INODES);
    const most = (tree: BTree | undefined, records: number): number =>
      tree === undefined ? 0 : treeBlocksMax(tree.format.leafMax >>> 1, tree.format.nodeMax >>> 1, records);
    return most(this.shared, own) + most(this.freeInodes, chunks);
  }

  /** What the trees of free inodes and of shared extents may still grow by: kept from everything else (xfs_ag_resv). */
  get reserved(): number {
    return Math.max(0, this.#reservedMax - (this.shared?.blocks ?? 0) - (this.freeInodes?.blocks ?? 0));
  }

  /** Blocks that an allocation of user data may take from this group now. */
  get available(): number {
    return this.freeBlocks - this.busyBlocks + this.freeList.length - this.reserved - this.freeListMin;
  }
  get busyBlocks(): number {
    let count = 0;
    for (let at = 1; at < this.busy.length; at += 2) count += this.busy[at] as number;
    return count;
  }
  /** Free blocks of the group, those of the AGFL and of the free space trees included, as sb_fdblocks counts. */
  get countedFree(): number {
    return this.freeBlocks + this.freeList.length + this.spaceTreeBlocks;
  }
  /** agf_btreeblks: blocks of the two free space trees but their roots. */
  get spaceTreeBlocks(): number {
    return this.byBlock.blocks - 1 + this.bySize.blocks - 1;
  }

  // Free extents

  /** Takes blocks out of one free extent. */
  takeRun(start: number, count: number): void {
    assert(this.byBlock.seek(start), `group ${this.index}: blocks from ${start} on are not free`);
    const first = this.byBlock.get(0);
    const length = this.byBlock.get(1);
    assert(start + count <= first + length, `group ${this.index}: ${count} blocks from ${start} on are not free`);
    this.bySize.remove(length, first);
    const behind = first + length - start - count;
    if (start > first) {
      this.byBlock.update([first, start - first]);
      this.bySize.insert([first, start - first]);
      if (behind > 0) this.#addRun(start + count, behind);
    } else if (behind > 0) {
      this.byBlock.update([start + count, behind]);
      this.bySize.insert([start + count, behind]);
    } else this.byBlock.remove(first);
    this.freeBlocks -= count;
    this.dirtySpace();
  }

  #addRun(start: number, count: number): void {
    this.byBlock.insert([start, count]);
    this.bySize.insert([start, count]);
  }

  /** Makes blocks free for the next allocation; they join the free extents beside them. They are counted as free already. */
  addFree(start: number, count: number): void {
    let first = start;
    let length = count;
    if (this.byBlock.seek(start)) {
      const before = this.byBlock.get(0);
      const size = this.byBlock.get(1);
      assert(before + size <= start, `group ${this.index}: block ${start} is free already`);
      if (before + size === start) {
        this.byBlock.remove(before);
        this.bySize.remove(size, before);
        first = before;
        length += size;
      }
    }
    if (this.byBlock.find(start + count)) {
      const size = this.byBlock.get(1);
      this.byBlock.remove(start + count);
      this.bySize.remove(size, start + count);
      length += size;
    }
    this.#addRun(first, length);
    this.dirtySpace();
  }

  /** Gives blocks back: they can be taken again after the checkpoint. */
  giveRun(start: number, count: number): void {
    this.busy.push(start, count);
    this.freeBlocks += count;
    this.dirtySpace();
  }

  /** Keeps the AGFL as long as the trees may need it, and no longer (xfs_alloc_fix_freelist). */
  fixFreeList(): void {
    while (this.freeList.length > this.freeListMin) {
      const block = this.freeList.shift() as number;
      this.addFree(block, 1);
      this.freeBlocks += 1;
      this.dirtyList();
    }
    while (this.freeList.length < this.freeListMin) {
      const wanted = this.freeListMin - this.freeList.length;
      // The smallest extent that is large enough, else the largest.
      if (!this.bySize.seekFrom(wanted, 0) && !this.bySize.last()) return;
      const start = this.bySize.get(0);
      const count = Math.min(wanted, this.bySize.get(1));
      // In place of what the taking may use up: one block that is there for sure.
      for (let n = 0; n < count; n++) this.freeList.push(start + n);
      this.takeRun(start, count);
      this.dirtyList();
    }
  }

  /** What the running checkpoint freed is free from now on: called as it is forced. */
  settleBusy(visit: (block: number, count: number) => void): void {
    const freed = this.busy;
    this.busy = [];
    for (let at = 0; at < freed.length; at += 2) {
      const [start, count] = [freed[at] as number, freed[at + 1] as number];
      this.fixFreeList();
      this.addFree(start, count);
      visit(this.start + start, count);
    }
    if (freed.length > 0) this.fixFreeList();
  }

  // On the disk

  #freezeSpace(): FreeSpaceRecord {
    return {
      kind: "xfs.agf",
      length: SECTOR_SIZE,
      group: this.index,
      blocks: this.length,
      blockRoot: this.byBlock.root.block,
      sizeRoot: this.bySize.root.block,
      sharedRoot: this.shared?.root.block ?? 0,
      freeListCount: this.freeList.length,
      freeBlocks: this.freeBlocks,
      longest: this.bySize.last() ? this.bySize.get(1) : 0,
      treeBlocks: this.spaceTreeBlocks,
    };
  }
  #freezeInodes(): InodesRecord {
    return {
      kind: "xfs.agi",
      length: SECTOR_SIZE,
      group: this.index,
      count: this.inodeCount,
      free: this.freeInodeCount,
      root: this.inodes.root.block,
      freeRoot: this.freeInodes?.root.block ?? 0,
      newest: this.newest,
      unlinked: this.unlinked.slice(),
    };
  }

  /** Reads headers and trees: all at once, where the kernel reads some when they are first needed. @returns EUCLEAN when one of them is not there. */
  load(device: BlockDevice): Errno | undefined {
    const sector = this.start * SECTORS_PER_BLOCK;
    const space = readKind(device, sector + 1, SECTOR_SIZE, "xfs.agf");
    // Linux 6.18 tells nothing more exact of this one.
    if (isErrno(space)) return EIO;
    const inodes = readKind(device, sector + 2, SECTOR_SIZE, "xfs.agi");
    if (isErrno(inodes)) return inodes;
    const list = readKind(device, sector + 3, SECTOR_SIZE, "xfs.agfl");
    if (isErrno(list)) return list;
    this.freeList = list.blocks.slice();
    this.freeBlocks = space.freeBlocks;
    this.inodeCount = inodes.count;
    this.freeInodeCount = inodes.free;
    this.newest = inodes.newest;
    for (const [chain, head] of inodes.unlinked.entries()) this.unlinked[chain] = head;
    const roots: [BTree | undefined, number][] = [
      [this.byBlock, space.blockRoot],
      [this.bySize, space.sizeRoot],
      [this.inodes, inodes.root],
      [this.freeInodes, inodes.freeRoot],
      [this.shared, space.sharedRoot],
    ];
    let failed: Errno | undefined;
    for (const [tree, root] of roots) failed ??= tree?.load(root, (block) => readBlock(device, block, tree.format.kind));
    return failed;
  }

  /** Gives mkfs's group its free blocks. */
  format(): void {
    for (const [start, end] of this.#unusedRuns()) {
      const listed = Math.min(end - start, this.freeListMin - this.freeList.length);
      for (let n = 0; n < listed; n++) this.freeList.push(start + n);
      if (start + listed === end) continue;
      this.freeBlocks += end - start - listed;
      this.addFree(start + listed, end - start - listed);
    }
  }

  /** What a new group has beside what lies at its beginning and the log, which may begin a little behind that. */
  #unusedRuns(): (readonly [start: number, end: number])[] {
    const { logStart, logBlocks } = this.#geometry;
    const fixed = fixedBlocks(this.#geometry);
    if (!holdsLog(this.#geometry, this.index)) return [[fixed, this.length]];
    const log = logStart - this.start;
    const behind = [log + logBlocks, this.length] as const;
    return log === fixed ? [behind] : [[fixed, log], behind];
  }
}
