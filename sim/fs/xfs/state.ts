/**
 * One mounted xfs: everything that its operations share (kernel: struct xfs_mount). Operations are functions over it, in files by operation.
 *
 * Interface: `begin` opens each call that changes metadata (xfs_trans_alloc), so that a checkpoint that has grown large is forced between calls,
 * never within one. `freeBlocks` counts blocks on the disk (sb_fdblocks), `delayedBlocks` what delayed allocation has promised of them.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Allocations } from "../../core/allocations.ts";
import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/clock.ts";
import { EIO, type Errno, isErrno } from "../../core/errno.ts";
import type { EventStream } from "../../core/events.ts";
import type { XfsProfile } from "../../core/kernel-profile.ts";
import type { NameTable } from "../../core/names.ts";
import { bytes, type DeviceNumber } from "../../core/units.ts";
import type { AddressSpace, Mapping } from "../../vfs/address-space.ts";
import { DentryTable } from "../../vfs/dentry-table.ts";
import type { Inode } from "../../vfs/filesystem.ts";
import { DirectoryData, type DirectoryFormat, directoryFormat } from "./directory-data.ts";
import { Group } from "./group.ts";
import { BLOCKS, EXTRA, FORK_OFFSET, InodeChunk, type InodeData, MODE, PROJECT, WORDS } from "./inodes.ts";
import { BLOCK_SIZE, blockOfInode, CHUNK_INODES, CLUSTER_INODES, forkBytes, type Geometry, SECTOR_SIZE } from "./layout.ts";
import { Log, type Metadata } from "./log.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import { Projects } from "./projects.ts";
import { type ClusterRecord, type InodeBody, readKind, type SuperblockRecord } from "./records.ts";

/** Of whose pages the cache takes care. */
interface PageCacheLike {
  mapping(space: AddressSpace, inode: Inode): Mapping;
}

export interface XfsEnvironment {
  /** Which allocations fail; absent: none by a test's will. */
  readonly allocations?: Allocations;
  readonly names: NameTable;
  readonly clock: Clock;
  readonly events: EventStream;
  readonly cache: PageCacheLike;
  /** st_dev. */
  readonly device: DeviceNumber;
  /** What reports and events call this mount; default "xfs". */
  readonly label?: string;
  /** Give freed blocks up on the device (mount -o discard). Default: no. */
  readonly discard?: boolean;
  /** The kernel's xfs; default: 6.18's. */
  readonly profile?: XfsProfile;
  /** Keep to the limits of projects (mount -o pquota). Default: no. */
  readonly projectQuota?: boolean;
}

/** What the state asks of the operations over it. */
export interface StateParts {
  /** A block for a group's trees. */
  takeBlock(state: XfsState, goal: number): number;
  giveBlock(state: XfsState, metadata: Metadata, block: number): void;
  /** Fills a chunk's data and attributes from a buffer's record. */
  loadBodies(state: XfsState, chunk: InodeChunk, record: ClusterRecord): void;
  loadBody(state: XfsState, chunk: InodeChunk, at: number, body: InodeBody): Errno | undefined;
}

const CHUNKS_PER_PAGE = 4096;
/** What one call may need of metadata blocks, at most, beside its data. */
const SPARE_BLOCKS = 64;
/** xfs_default_resblks: kept for transactions that must not fail. */
const RESERVE_MAX = 8192;
/** xfs_alloc_set_aside: blocks of each group that its free space trees may need. */
const SET_ASIDE_PER_GROUP = 8;

export class XfsState implements Metadata {
  readonly device: BlockDevice;
  readonly geometry: Geometry;
  readonly environment: XfsEnvironment;
  readonly log: Log;
  readonly format: DirectoryFormat;
  readonly dentries: DentryTable = new DentryTable();
  readonly projects: Projects;
  /** Of each dentry row: the entry's block in its directory << 9 | its offset / 8. */
  positions: Uint32Array = new Uint32Array(16);
  /** Of each dentry row: its index in DirectoryBlock.rows. */
  places: Uint16Array = new Uint16Array(16);
  freeBlocks = 0;
  /** Blocks promised to files, and to the trees that would map them. */
  delayedBlocks = 0;
  /** Files whose pages were written since a sync came to them, in the order in which they became dirty (b_dirty); some may be clean again (I_DIRTY_PAGES). */
  readonly dirtyFiles: Set<number> = new Set();
  /** Inodes without names that could not be freed, because what they have could not be read. */
  readonly left: Set<number> = new Set();
  /** Chunks of inodes made since the mount. */
  chunksMade = 0;
  /** The group in which the next new directory's inode is looked for (m_agirotor). */
  rotor = 0;
  /** What the superblock says of attribute forks. */
  hasAttributes = false;
  /** Where the superblock lies; it is a metadata buffer itself. */
  readonly sector = 0;
  stamp = 0;
  readonly #groups: Group[] = [];
  readonly #parts: StateParts;
  readonly #chunks: (InodeChunk | undefined)[][] = [];
  space: AddressSpace | undefined;

  constructor(device: BlockDevice, geometry: Geometry, environment: XfsEnvironment, parts: StateParts) {
    this.device = device;
    this.#parts = parts;
    this.geometry = geometry;
    this.environment = environment;
    this.log = new Log(device, geometry);
    this.format = directoryFormat(geometry);
    this.projects = new Projects(environment.projectQuota ?? false);
    for (let index = 0; index < geometry.groups; index++) {
      const group: Group = new Group(geometry, this.log, index, {
        take: () => parts.takeBlock(this, group.start),
        give: (block) => parts.giveBlock(this, block, block.block),
      });
      this.#groups.push(group);
    }
  }

  group(index: number): Group {
    const group = this.#groups[index];
    assert(group !== undefined, `there is no group ${index}`);
    return group;
  }
  get groups(): readonly Group[] {
    return this.#groups;
  }

  /** Blocks that may still be promised: without what is set aside (xfs_fdblocks_unavailable), reserved for trees, and promised already. */
  get available(): number {
    const { blocks, groups } = this.geometry;
    let kept = Math.min(RESERVE_MAX, Math.floor(blocks / 20)) + groups * SET_ASIDE_PER_GROUP;
    for (const group of this.#groups) kept += group.reserved + group.spaceTreeBlocks;
    return this.freeBlocks - this.delayedBlocks - kept;
  }

  /**
   * Begins a call that changes metadata and may take `blocks` blocks: forces the log first when the checkpoint is large, or when those
   * blocks are only to be had among what it freed. @returns EIO after a shutdown.
   */
  begin(blocks = 0): Errno | undefined {
    if (this.isShutDown) return EIO;
    if (this.log.isFull) return this.force();
    let busy = 0;
    let free = 0;
    for (const group of this.#groups) {
      busy += group.busyBlocks;
      free += group.freeBlocks;
    }
    return busy > 0 && free - busy < blocks + SPARE_BLOCKS ? this.force() : undefined;
  }

  /** Whether the log could not be written, or memory can no longer be told from what it should be: all but what is cached is EIO (xfs_is_shutdown). */
  get isShutDown(): boolean {
    return this.log.error !== undefined;
  }

  /** Nothing is written from now on (xfs_force_shutdown). */
  shutDown(): Errno {
    this.log.error ??= EIO;
    return EIO;
  }

  /** Ends the running checkpoint. What it freed is given up on the device once it is durable (xfs_discard_extents). */
  force(): Errno | undefined {
    const freed: number[] = [];
    for (const group of this.#groups) group.settleBusy((block, count) => freed.push(block, count));
    const failed = this.#force();
    if (failed !== undefined || this.environment.discard !== true) return failed;
    for (let at = 0; at < freed.length; at += 2)
      this.device.discard(bytes((freed[at] as number) * BLOCK_SIZE), bytes((freed[at + 1] as number) * BLOCK_SIZE));
    return undefined;
  }

  #force(): Errno | undefined {
    const { events } = this.environment;
    if (!events.listening || this.log.isIdle) return this.log.force();
    const before = this.log.counters.logBlocks;
    const transaction = this.log.checkpoint;
    const failed = this.log.force();
    events.emit({ op: "journalCommit", filesystem: this.label, transaction, blocks: this.log.counters.logBlocks - before });
    return failed;
  }

  get label(): string {
    return this.environment.label ?? "xfs";
  }

  measure(into: LoggedSize): void {
    measureBuffer(into, 384);
  }
  freeze(): SuperblockRecord {
    let inodes = 0;
    let freeInodes = 0;
    for (const group of this.#groups) {
      inodes += group.inodeCount;
      freeInodes += group.freeInodeCount;
    }
    return {
      kind: "xfs.superblock",
      length: SECTOR_SIZE,
      geometry: this.geometry,
      inodes,
      freeInodes,
      freeBlocks: this.freeBlocks,
      hasAttributes: this.hasAttributes,
      projects: this.projects.limits(),
    };
  }

  /** The first inode that gets an attribute fork has the superblock say so (xfs_add_attr). */
  noteAttributes(): void {
    if (this.hasAttributes) return;
    this.hasAttributes = true;
    this.log.dirty(this);
  }

  // Inodes

  chunk(ino: number): InodeChunk {
    const at = Math.floor(ino / CHUNK_INODES);
    const page = this.#chunks[Math.floor(at / CHUNKS_PER_PAGE)];
    return page?.[at % CHUNKS_PER_PAGE] ?? this.#loadChunk(at);
  }

  /** Reads the buffer of an inode unless it is in memory (xfs_iget). @returns EIO when that fails, EUCLEAN when no inodes lie there. */
  reach(ino: number): Errno | undefined {
    const chunk = this.chunk(ino);
    if (chunk.missing.size === 0) return undefined;
    return this.#loadCluster(chunk, Math.floor((ino % CHUNK_INODES) / CLUSTER_INODES));
  }
  /** Reads what an inode has beside its columns, where that has failed before (xfs_iread_extents, xfs_attr_leaf_get …). @returns EIO or EUCLEAN. */
  reachBody(ino: number): Errno | undefined {
    const chunk = this.chunk(ino);
    const at = ino % CHUNK_INODES;
    const body = chunk.unread.get(at);
    if (body === undefined) return undefined;
    const failed = this.#parts.loadBody(this, chunk, at, body);
    if (failed === undefined) chunk.unread.delete(at);
    return failed;
  }

  /** A chunk that has just been allocated: its inodes are all free. */
  addChunk(first: number): InodeChunk {
    const made = new InodeChunk(first, blockOfInode(this.geometry, first), this.geometry);
    this.#putChunk(first / CHUNK_INODES, made);
    return made;
  }
  /** A chunk's blocks are freed. */
  removeChunk(first: number): void {
    this.#putChunk(first / CHUNK_INODES, undefined);
  }
  #putChunk(at: number, chunk: InodeChunk | undefined): void {
    const page = (this.#chunks[Math.floor(at / CHUNKS_PER_PAGE)] ??= new Array(CHUNKS_PER_PAGE));
    page[at % CHUNKS_PER_PAGE] = chunk;
  }

  #loadChunk(at: number): InodeChunk {
    const made = this.addChunk(at * CHUNK_INODES);
    for (const cluster of made.sectors.keys()) made.missing.add(cluster);
    for (const cluster of made.sectors.keys()) this.#loadCluster(made, cluster);
    return made;
  }
  #loadCluster(chunk: InodeChunk, cluster: number): Errno | undefined {
    if (!chunk.missing.has(cluster)) return undefined;
    const sector = chunk.sectors[cluster] as number;
    const record = readKind(this.device, sector, CLUSTER_INODES * this.geometry.inodeSize, "xfs.inodes");
    if (isErrno(record)) return record;
    chunk.missing.delete(cluster);
    chunk.load(record);
    this.#parts.loadBodies(this, chunk, record);
    return undefined;
  }

  word(ino: number, column: number): number {
    return this.chunk(ino).words[(ino % CHUNK_INODES) * WORDS + column] as number;
  }
  setWord(ino: number, column: number, value: number): void {
    this.chunk(ino).words[(ino % CHUNK_INODES) * WORDS + column] = value;
  }
  data(ino: number): InodeData {
    return this.chunk(ino).data[ino % CHUNK_INODES];
  }
  setData(ino: number, data: InodeData): void {
    this.chunk(ino).data[ino % CHUNK_INODES] = data;
  }
  size(ino: number): number {
    return this.chunk(ino).sizes[ino % CHUNK_INODES] as number;
  }
  setSize(ino: number, size: number): void {
    this.chunk(ino).sizes[ino % CHUNK_INODES] = size;
  }
  parentOf(directory: number): number {
    return this.word(directory, EXTRA) >>> 0;
  }
  /** Adds to the inode's blocks, and to its project's. */
  addBlocks(ino: number, blocks: number): void {
    const { words } = this.chunk(ino);
    const at = (ino % CHUNK_INODES) * WORDS;
    words[at + BLOCKS] = (words[at + BLOCKS] as number) + blocks;
    this.projects.charge(words[at + PROJECT] as number, blocks);
  }
  dirtyInode(ino: number): void {
    this.chunk(ino).dirty(ino % CHUNK_INODES, this.log, "core");
  }
  /** Nothing but the inode's times changed (XFS_ILOG_TIMESTAMP). */
  dirtyTimes(ino: number): void {
    this.chunk(ino).dirty(ino % CHUNK_INODES, this.log, "times");
  }
  /** The inode's data fork changed, or what lies in its place. */
  dirtyFork(ino: number): void {
    this.chunk(ino).dirty(ino % CHUNK_INODES, this.log, "fork");
  }
  /** The inode's attribute fork changed. */
  dirtyAttributes(ino: number): void {
    this.chunk(ino).dirty(ino % CHUNK_INODES, this.log, "attributes");
  }
  directory(ino: number): DirectoryData {
    const data = this.data(ino);
    assert(data instanceof DirectoryData, `inode ${ino} is no directory`);
    return data;
  }
  /** Bytes that the inode has for its data fork. */
  dataForkBytes(ino: number): number {
    const offset = this.word(ino, FORK_OFFSET);
    return offset === 0 ? forkBytes(this.geometry) : offset * 8;
  }
  /** Visits the inodes in memory that are in use. */
  visitInodes(visit: (ino: number) => void): void {
    for (const page of this.#chunks) {
      for (const chunk of page ?? []) {
        if (chunk === undefined) continue;
        for (let at = 0; at < CHUNK_INODES; at++) if (chunk.words[at * WORDS + MODE] !== 0) visit(chunk.first + at);
      }
    }
  }

  /** Makes the columns beside the dentry table as long as it is. */
  growColumns(): void {
    if (this.positions.length >= this.dentries.rows) return;
    const positions = new Uint32Array(this.dentries.rows);
    positions.set(this.positions);
    this.positions = positions;
    const places = new Uint16Array(this.dentries.rows);
    places.set(this.places);
    this.places = places;
  }
}
