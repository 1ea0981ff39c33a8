/**
 * One mounted ext4: everything that its operations share (kernel: struct ext4_sb_info). Operations are functions over it, in files by operation.
 *
 * Interface: `begin` opens each call that changes metadata (ext4_journal_start), so that a transaction that has grown large commits between calls,
 * never within one. `freeBlocks` counts blocks on the disk, `delayedBlocks` what delayed allocation has promised of them.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Allocations } from "../../core/allocations.ts";
import { InvariantError } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { Counts } from "../../core/counts.ts";
import { EROFS, type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import { type Ext4Profile, k6_18 } from "../../core/kernel-profile.ts";
import type { NameTable } from "../../core/names.ts";
import { bytes, type DeviceNumber } from "../../core/units.ts";
import type { AddressSpace, Mapping } from "../../vfs/address-space.ts";
import { type Inode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import type { LonePages } from "../../vfs/lone-pages.ts";
import { DirectoryData } from "./directory-data.ts";
import { EntryRows } from "./entry-rows.ts";
import { FileData } from "./file-data.ts";
import { GroupInfo } from "./group-info.ts";
import { Groups } from "./groups.ts";
import { InodeRows } from "./inode-rows.ts";
import { BLOCKS, EXTRA, MODE, putSize, sizeIn, WORDS } from "./inode-words.ts";
import { CHUNK_INODES, InodeChunk, type InodeData, SymlinkData } from "./inodes.ts";
import { Journal } from "./journal.ts";
import { BLOCK_SIZE, type Geometry, INODES_PER_BLOCK, inodeTableOf } from "./layout.ts";
import { NameHashes } from "./name-hash.ts";
import { packSuperblock } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import { Preallocations } from "./preallocations.ts";
import {
  type ExtentRecord,
  type InodeRow,
  inodesOf,
  readRecord,
  SUPERBLOCK_BYTES,
  type SuperblockRecord,
  type TreeRoot,
} from "./records.ts";
import { TimeReader } from "./times.ts";
import type { TreeBlocks } from "./tree.ts";
import { XattrBlockCache } from "./xattr-cache.ts";
import type { Xattr } from "./xattr-list.ts";
import type { XattrSet } from "./xattr-set.ts";

/** Of whose pages the cache takes care. */
interface PageCacheLike {
  mapping(space: AddressSpace, inode: Inode): Mapping;
  lonePages(space: AddressSpace, grow: (inode: Inode) => void): LonePages;
}

export interface Ext4Environment {
  /** Which allocations fail; absent: none by a test's will. */
  readonly allocations?: Allocations;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCacheLike;
  /** st_dev. */
  readonly device: DeviceNumber;
  /** What reports and events call this mount; default "ext4". */
  readonly label?: string;
  /** Whether the caller at work may use the reserved 5 % (the superuser). Default: always. */
  readonly privileged?: () => boolean;
  /** Give freed blocks up on the device (mount -o discard). Default: no. */
  readonly discard?: boolean;
  /** Default: that of Linux 6.18. */
  readonly profile?: Ext4Profile;
}

const NO_ORPHANS: readonly number[] = [];
/** Of a host: what the machine had on which the answers were recorded. */
const PROCESSORS = 2;
/** Groups that a stream has for itself at least (MB_GROUPS_PER_GOAL). */
const STREAM_GROUPS = 4;
/** What one call may need of metadata blocks, at most, beside its data. */
const SPARE_BLOCKS = 64;

export class Ext4State implements Metadata {
  readonly device: BlockDevice;
  readonly geometry: Geometry;
  readonly environment: Ext4Environment;
  readonly journal: Journal;
  readonly groups: Groups;
  readonly dentries: EntryRows = new EntryRows();
  readonly hashes: NameHashes;
  readonly journalRuns: readonly number[];
  freeBlocks = 0;
  freeInodes = 0;
  delayedBlocks = 0;
  mountCount = 0;
  needsRecovery = false;
  /** Whether s_last_mounted was written since the mount (EXT4_MF_MNTDIR_SAMPLED). */
  sampled = false;
  /** Pages that the running transaction's commit waits for, by inode. */
  readonly orderedPages: Map<number, number[]> = new Map();
  /** Files that were cut to nothing and are written back when somebody closes them (EXT4_STATE_DA_ALLOC_CLOSE). */
  readonly allocatedOnClose: Set<number> = new Set();
  /** Inodes without names that are in use. */
  readonly orphans: Counts = new Counts();
  /** Blocks that are free and kept for somebody. */
  readonly preallocations: Preallocations = new Preallocations();
  #groupInfo: GroupInfo | undefined;
  /** How many times each file that is open to be written is (i_writecount). */
  readonly writers: Counts = new Counts();
  /** Of each stream of large files, the group where the last one got blocks (s_mb_last_groups). */
  readonly streamGroups: Int32Array;
  readonly profile: Ext4Profile;
  /** Where the superblock lies; it is a metadata block itself. */
  readonly block = 0;
  stamp = 0;
  /** The inodes in memory: their rows, and by the same places their chunks. */
  readonly inodes: InodeRows = new InodeRows((at) => this.#loadChunk(at));
  readonly times: TimeReader = new TimeReader();
  readonly #chunks: InodeChunk[] = [];
  /** Blocks of the inode table that could not be read when they were first asked for. */
  readonly unreadTables: Set<number> = new Set();
  /** Roots of the files and directories whose extents could not be read when their inodes were. */
  readonly unreadTrees: Map<number, TreeRoot> = new Map();
  readonly xattrBlocks: XattrBlockCache = new XattrBlockCache();
  space: AddressSpace | undefined;
  /** The files that are one page in memory (lone-file.ts). */
  lonePages: LonePages | undefined;
  /** Where the blocks of extent trees come from; made when a tree first needs one. */
  treeBlocks: TreeBlocks | undefined;

  constructor(device: BlockDevice, geometry: Geometry, environment: Ext4Environment, journalRuns: readonly number[]) {
    this.device = device;
    this.geometry = geometry;
    this.environment = environment;
    this.journalRuns = journalRuns;
    const { clock, profile = k6_18.ext4 } = environment;
    this.profile = profile;
    this.journal = new Journal(device, clock, journalRuns, profile.continuesLog);
    this.groups = new Groups(geometry, device, this.journal);
    this.streamGroups = new Int32Array(
      profile.streamsApart ? Math.min(PROCESSORS, Math.ceil(geometry.groups / STREAM_GROUPS)) : 1,
    );
    this.hashes = NameHashes.of(environment.names, geometry.hashSeed);
  }

  /** What is known of all groups' free blocks; made when it is first asked for. */
  get groupInfo(): GroupInfo {
    return (this.#groupInfo ??= new GroupInfo(this.groups, this.preallocations));
  }

  /** Throws an InvariantError where a group is in a list that it does not belong in. */
  checkGroupInfo(): void {
    this.#groupInfo?.check();
  }

  /**
   * Begins a call that changes metadata and may take `blocks` blocks: commits first when the transaction is large, or when those
   * blocks are only to be had among what it freed. @returns EROFS after an aborted journal.
   */
  begin(blocks = 0): Errno | undefined {
    if (this.journal.error !== undefined) return EROFS;
    if (this.journal.isFull) return this.commit();
    const { freedBlocks } = this.groups;
    if (freedBlocks > 0 && this.freeBlocks - freedBlocks < blocks + SPARE_BLOCKS) return this.commit();
    return undefined;
  }

  /** Lets the running transaction's commit wait for a page of a file whose blocks have their places (ext4_jbd2_inode_add_write). */
  orderPage(ino: number, page: number): void {
    const pages = this.orderedPages.get(ino);
    if (pages === undefined) this.orderedPages.set(ino, [page]);
    else if (!pages.includes(page)) pages.push(page);
  }

  /** Writes the pages that the commit waits for; an error is told to who flushes next, and the commit goes on (data_err=ignore). */
  #writeOrdered(): void {
    const ordered = [...this.orderedPages];
    this.orderedPages.clear();
    for (const [ino, pages] of ordered) {
      const data = this.data(ino);
      if (!(data instanceof FileData)) continue;
      for (const page of pages) data.mapping?.startWriteback(page * BLOCK_SIZE, BLOCK_SIZE);
    }
  }

  /** Ends the running transaction. What it freed is given up on the device once it is durable (ext4_process_freed_data). */
  commit(): Errno | undefined {
    if (this.orderedPages.size > 0) this.#writeOrdered();
    if (this.environment.discard !== true) {
      this.groups.settleFreed();
      return this.#commit();
    }
    const freed: number[] = [];
    this.groups.settleFreed((block, count) => freed.push(block, count));
    const failed = this.#commit();
    if (failed !== undefined) return failed;
    for (let at = 0; at < freed.length; at += 2)
      this.device.discard(bytes((freed[at] as number) * BLOCK_SIZE), bytes((freed[at + 1] as number) * BLOCK_SIZE));
    return undefined;
  }

  #commit(): Errno | undefined {
    const events = this.environment.events;
    if (!events.listening || this.journal.isIdle) return this.journal.commit();
    const before = this.journal.counters.logBlocks;
    const transaction = this.journal.sequence;
    const failed = this.journal.commit();
    const blocks = this.journal.counters.logBlocks - before;
    events.emit({ op: "journalCommit", filesystem: this.label, transaction, blocks });
    return failed;
  }

  get label(): string {
    return this.environment.label ?? "ext4";
  }

  pack(into: PackedWords): number {
    return packSuperblock(into, this.superblock());
  }

  /** The superblock as it is now. */
  superblock(): SuperblockRecord {
    return {
      kind: "ext4.superblock",
      length: BLOCK_SIZE,
      decisiveBytes: SUPERBLOCK_BYTES,
      geometry: this.geometry,
      freeBlocks: this.freeBlocks,
      freeInodes: this.freeInodes,
      needsRecovery: this.needsRecovery,
      mountCount: this.mountCount,
      orphans: this.orphans.size === 0 ? NO_ORPHANS : this.orphans.keys(),
      journal: this.journalRuns,
    };
  }

  dirtySuperblock(): void {
    this.journal.dirty(this);
  }

  // Inodes

  chunk(ino: number): InodeChunk {
    return this.#chunks[this.inodes.chunkOf(ino)] as InodeChunk;
  }

  #loadChunk(at: number): void {
    const first = at * CHUNK_INODES + 1;
    const row = this.inodes.addChunk(at) * CHUNK_INODES;
    const made = new InodeChunk(first, this.#tableBlockOf, { words: this.inodes.wordsOf(row), start: this.inodes.startOf(row) });
    this.#chunks.push(made);
    for (let from = first; from < first + CHUNK_INODES; from += INODES_PER_BLOCK) {
      const home = this.#tableBlockOf(from);
      const record = readRecord(this.device, home);
      if (isErrno(record)) this.unreadTables.add(home);
      if (record === undefined || isErrno(record) || record.kind !== "ext4.inodeTable") continue;
      for (const row of inodesOf(record)) this.#loadBody(made, row, made.load(row));
    }
  }

  /** Whether some inode may not be what its table has, this one now in memory: a look at its place, since each lookup asks. */
  isDoubtful(ino: number): boolean {
    this.inodes.chunkOf(ino);
    return this.unreadTables.size > 0;
  }

  /** Reads an inode's block of the table where that has failed before (__ext4_get_inode_loc). @returns EIO. */
  reach(ino: number): Errno | undefined {
    const chunk = this.chunk(ino);
    const home = this.unreadTables.size === 0 ? 0 : this.#tableBlockOf(ino);
    if (home === 0 || !this.unreadTables.has(home)) return undefined;
    const record = readRecord(this.device, home);
    if (isErrno(record)) return record;
    this.unreadTables.delete(home);
    if (record?.kind === "ext4.inodeTable") for (const row of inodesOf(record)) this.#loadBody(chunk, row, chunk.load(row));
    return undefined;
  }

  /** A chunk may reach into the next group's table, where a group's inodes are no multiple of 64. */
  readonly #tableBlockOf = (ino: number): number => {
    const group = Math.floor((ino - 1) / this.geometry.inodesPerGroup);
    if (group >= this.geometry.groups) return 0;
    return inodeTableOf(this.geometry, group) + Math.floor(((ino - 1) % this.geometry.inodesPerGroup) / INODES_PER_BLOCK);
  };

  /** What an inode has beyond its words, which begin at `start`. */
  #loadBody(chunk: InodeChunk, row: InodeRow, start: number): void {
    const at = row.ino - chunk.first;
    const type = (chunk.words[start + MODE] as number) & S_IFMT;
    if (type === S_IFLNK) chunk.setData(at, this.#loadLink(row.target, row.tree?.entries[2] ?? 0));
    else if (row.tree !== undefined && (type === S_IFREG || type === S_IFDIR)) {
      const data = type === S_IFREG ? new FileData() : new DirectoryData();
      const tree = data instanceof FileData ? data.ownTree() : data.tree;
      if (tree.load(row.tree, this.#readExtents) !== undefined) this.unreadTrees.set(row.ino, row.tree);
      if (data instanceof FileData) {
        data.fold();
        data.onDisk = sizeIn(chunk.words, start);
        chunk.words[start + EXTRA] = 1;
      } else data.loaded = false;
      chunk.setData(at, data);
    }
    if (row.xattrs !== undefined || row.xattrBlock !== 0)
      (chunk.xattrs ??= new Array(CHUNK_INODES).fill(undefined))[at] = this.#loadXattrs(row.xattrs, row.xattrBlock);
  }

  /** A block of extents (__read_extent_tree_block). @returns EIO; EUCLEAN where no such block lies. */
  readonly #readExtents = (block: number): ExtentRecord | Errno => {
    const record = readRecord(this.device, block);
    if (isErrno(record)) return record;
    return record?.kind === "ext4.extentBlock" ? record : EUCLEAN;
  };

  /** Reads an inode's extents where that has failed before. @returns EIO, EUCLEAN. */
  reachTree(ino: number): Errno | undefined {
    const root = this.unreadTrees.size === 0 ? undefined : this.unreadTrees.get(ino);
    const data = root === undefined ? undefined : this.data(ino);
    if (root === undefined || !(data instanceof FileData || data instanceof DirectoryData)) return undefined;
    const tree = data instanceof FileData ? data.ownTree() : data.tree;
    const failed = tree.load(root, this.#readExtents);
    if (failed === undefined) this.unreadTrees.delete(ino);
    return failed;
  }

  #loadLink(target: string | undefined, block: number): SymlinkData {
    if (target !== undefined) return new SymlinkData(target, 0);
    const known = this.#readTarget(block);
    return new SymlinkData(isErrno(known) ? undefined : known, block);
  }

  /** A target in a block of its own; nothing where no such block lies: the zeros there end it. @returns EIO. */
  #readTarget(block: number): string | Errno {
    const record = readRecord(this.device, block);
    if (isErrno(record)) return record;
    return record?.kind === "ext4.symlinkBlock" ? record.target : "";
  }

  /** Where a symbolic link leads, also one that could not be read before. @returns EIO. */
  targetOf(link: SymlinkData): string | Errno {
    return link.target ?? this.#readTarget(link.block);
  }

  #loadXattrs(inInode: Xattr | undefined, block: number): XattrSet {
    const set: XattrSet = { inInode, outside: undefined };
    if (block === 0) return set;
    set.outside = this.xattrBlocks.load(this.device, block);
    return set;
  }

  word(ino: number, column: number): number {
    return this.inodes.word(ino, column);
  }
  setWord(ino: number, column: number, value: number): void {
    this.inodes.setWord(ino, column, value);
  }
  data(ino: number): InodeData {
    return this.chunk(ino).dataAt((ino - 1) & 63);
  }
  setData(ino: number, data: InodeData): void {
    this.chunk(ino).setData((ino - 1) & 63, data);
    if (data instanceof FileData) this.setWord(ino, EXTRA, 1);
  }
  size(ino: number): number {
    const row = this.inodes.rowOf(ino);
    return sizeIn(this.inodes.wordsOf(row), this.inodes.startOf(row));
  }
  setSize(ino: number, size: number): void {
    const row = this.inodes.rowOf(ino);
    putSize(this.inodes.wordsOf(row), this.inodes.startOf(row), size);
  }
  /** Adds to the inode's blocks. */
  addBlocks(ino: number, blocks: number): void {
    this.setWord(ino, BLOCKS, this.word(ino, BLOCKS) + blocks);
  }
  dirtyInode(ino: number): void {
    this.chunk(ino).dirty((ino - 1) & 63, this.journal);
  }
  /** The inode's size on the disk changed, or where its data lies (ext4_update_inode_fsync_trans with datasync). */
  dirtyData(ino: number): void {
    this.chunk(ino).dirty((ino - 1) & 63, this.journal, true);
  }
  directory(ino: number): DirectoryData {
    const data = this.data(ino);
    if (!(data instanceof DirectoryData)) throw new InvariantError(`inode ${ino} is no directory`);
    return data;
  }
  /** The inodes in memory whose mode is not 0. */
  inodesInMemory(): number[] {
    const inodes: number[] = [];
    for (const { words, start, first } of this.#chunks)
      for (let at = 0; at < CHUNK_INODES; at++) if (words[start + at * WORDS + MODE] !== 0) inodes.push(first + at);
    return inodes;
  }
}
