/**
 * Inodes in columns, in chunks of 64 by number (fs/xfs/xfs_inode.c, libxfs/xfs_inode_buf.c).
 *
 * Interface: a chunk is read from its two buffers when one of its inodes is first asked for; `reach` tells whether that went well. `dirty` puts the buffer of an inode into the
 * running checkpoint. `data` is what hangs on an inode beyond its columns: extents and cached pages of a file, entries of a directory, a link's target.
 */
import { type Time, time } from "../../core/clock.ts";
import { utf8Length } from "../../core/names.ts";
import { DirectoryData } from "./directory-data.ts";
import type { FileData } from "./file-data.ts";
import { CHUNK_INODES, CLUSTER_INODES, type Geometry, SECTORS_PER_BLOCK, SYMLINK_BYTES_MAX } from "./layout.ts";
import type { Log, Metadata } from "./log.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import type { ClusterRecord, InodeBody, SymlinkRecord } from "./records.ts";
import type { XattrSet } from "./xattr-set.ts";

/** The columns of 32 bits. */
export const MODE = 0;
export const UID = 1;
export const GID = 2;
export const NLINK = 3;
/** FS_*_FL bits of chattr(1). */
export const FLAGS = 4;
/** Blocks of 4 KiB that the inode has, those of its trees and attributes included (di_nblocks). */
export const BLOCKS = 5;
/** A device node's number; a directory's parent. */
export const EXTRA = 6;
/** Of memory alone, on the disk always 0: HOLD for each that holds the inode, and ASKED. */
export const HOLDS = 7;
export const HOLD = 2;
/** A bit of HOLDS: somebody was told the inode's times since its last change (I_CTIME_QUERIED). */
export const ASKED = 1;
/** di_projid. */
export const PROJECT = 8;
/** di_next_unlinked: the next inode of its chain; 0: none. */
export const NEXT_UNLINKED = 9;
/** di_forkoff: where the attribute fork begins, in units of 8 bytes; 0: there is none. */
export const FORK_OFFSET = 10;
/** Flags that chattr does not show (di_flags2, XFS_DIFLAG_PREALLOC): SHARES, PREALLOCATED; above them the generation (di_gen). */
export const INNER_FLAGS = 11;
export const WORDS = 12;

/** Some blocks of the file may be shared (XFS_DIFLAG2_REFLINK). */
export const SHARES = 1;
/** Blocks behind the file's end were asked for: they stay (XFS_DIFLAG_PREALLOC). */
export const PREALLOCATED = 2;
/** Bits of flags in INNER_FLAGS: the generation begins above them. */
const INNER_FLAG_BITS = 2;
const GENERATION: number = -1 << INNER_FLAG_BITS;

/** What is left of an inode's INNER_FLAGS when it is freed: the next generation (xfs_inode_uninit). */
export function nextGeneration(inner: number): number {
  return ((inner & GENERATION) + (1 << INNER_FLAG_BITS)) | 0;
}

/** What is left of INNER_FLAGS when an inode is made. */
export function generationOf(inner: number): number {
  return inner & GENERATION;
}

export const ATIME = 0;
export const MTIME = 1;
export const CTIME = 2;
export const TIMES = 3;

const CLUSTERS: number = CHUNK_INODES / CLUSTER_INODES;
const NEVER: Time = time(0, 0);
/** Logged of an inode: its item's format, and its core without forks (struct xfs_log_dinode). */
const ITEM_BYTES = 56;
const CORE_BYTES = 176;
export const EXTENT_BYTES = 16;

/** A symbolic link's target, in a block of its own when the inode does not hold it. */
export class SymlinkData implements Metadata {
  readonly target: string;
  readonly block: number;
  stamp = 0;

  /** @param block - 0: the target lies in the inode. */
  constructor(target: string, block: number) {
    this.target = target;
    this.block = block;
  }
  get sector(): number {
    return this.block * SECTORS_PER_BLOCK;
  }
  measure(into: LoggedSize): void {
    measureBuffer(into, SYMLINK_BYTES_MAX);
  }
  freeze(): SymlinkRecord {
    return { kind: "xfs.symlink", length: SECTORS_PER_BLOCK * 512, target: this.target };
  }
}

export type InodeData = FileData | DirectoryData | SymlinkData | undefined;

/** One buffer of inodes. */
class Cluster implements Metadata {
  readonly sector: number;
  stamp = 0;
  /** Which inodes changed since the last checkpoint, a bit each. */
  changed = 0;
  /** Those whose data fork changed since the buffer was written in place (ili_fields). */
  forks = 0;
  /** Those whose attribute fork did. */
  attributes = 0;
  /** Those of which more than times changed since the last checkpoint, or fsync (ili_fsync_fields). */
  beyondTimes = 0;
  readonly #chunk: InodeChunk;
  readonly #index: number;
  readonly #inodeSize: number;
  /** The bodies of the last record: those that are as they were are shared with the next. */
  #last: readonly (InodeBody | undefined)[] = [];

  constructor(chunk: InodeChunk, index: number, place: { readonly sector: number; readonly inodeSize: number }) {
    this.#chunk = chunk;
    this.#index = index;
    this.sector = place.sector;
    this.#inodeSize = place.inodeSize;
  }

  measure(into: LoggedSize): void {
    for (let at = 0; at < CLUSTER_INODES; at++) {
      if (((this.changed >>> at) & 1) === 0) continue;
      const isForkLogged = ((this.forks >>> at) & 1) === 1;
      const inChunk = this.#index * CLUSTER_INODES + at;
      const fork = isForkLogged ? forkBytesOf(this.#chunk.data[inChunk]) : 0;
      const attributes = ((this.attributes >>> at) & 1) === 1 ? (this.#chunk.xattrs?.[inChunk]?.forkBytes ?? 0) : 0;
      into.regions += 2 + Number(fork > 0) + Number(attributes > 0);
      into.bytes += ITEM_BYTES + CORE_BYTES + fork + attributes;
    }
    this.changed = 0;
    this.beyondTimes = 0;
  }
  /** The items of inodes that changed are logged, though their chunk is gone (XFS_ISTALE). */
  measureFreed(into: LoggedSize): void {
    this.measure(into);
  }
  written(): void {
    this.forks = 0;
    this.attributes = 0;
  }

  freeze(): ClusterRecord {
    const chunk = this.#chunk;
    const from = this.#index * CLUSTER_INODES;
    const to = from + CLUSTER_INODES;
    const words = chunk.words.slice(from * WORDS, to * WORDS);
    const sizes = chunk.sizes.slice(from, to);
    const bodies: (InodeBody | undefined)[] = [];
    for (let at = from; at < to; at++) {
      words[(at - from) * WORDS + HOLDS] = 0;
      const data = chunk.data[at];
      bodies.push(bodyOf(data, chunk.xattrs?.[at], this.#last[at - from], chunk.unread.get(at)));
      if (data !== undefined && "onDisk" in data) sizes[at - from] = data.onDisk;
    }
    this.#last = bodies;
    return {
      kind: "xfs.inodes",
      length: CLUSTER_INODES * this.#inodeSize,
      first: chunk.first + from,
      words,
      sizes,
      times: chunk.times.slice(from * TIMES, to * TIMES),
      bodies,
    };
  }
}

/** Bytes of a fork that a change logs: what it holds itself, else 16 an extent, and no more than an inode holds. */
function forkBytesOf(data: InodeData): number {
  if (data === undefined) return 0;
  if (data instanceof SymlinkData) return data.block === 0 ? inWords(utf8Length(data.target)) : EXTENT_BYTES;
  if (data instanceof DirectoryData && data.isShort) return inWords(data.shortBytes);
  return Math.min(data.fork.list.count, 21) * EXTENT_BYTES;
}

/** A region's length is a multiple of 4. */
export function inWords(length: number): number {
  return Math.ceil(length / 4) * 4;
}

/** What an inode has beyond its columns; `last` is what it had in the record before. */
function bodyOf(
  data: InodeData,
  xattrs: XattrSet | undefined,
  last: InodeBody | undefined,
  unread: InodeBody | undefined,
): InodeBody | undefined {
  if (data === undefined && xattrs === undefined) return unread;
  const isLink = data instanceof SymlinkData;
  const fork = data === undefined || isLink ? undefined : data.fork.root();
  const target = isLink && data.block === 0 ? data.target : undefined;
  const short = data instanceof DirectoryData && data.isShort ? data.short() : undefined;
  const inInode = xattrs?.inInode;
  const outside = xattrs?.blockNumbers;
  const isSame =
    last !== undefined &&
    short === undefined &&
    last.fork === fork &&
    last.target === target &&
    last.xattrs === inInode &&
    last.xattrBlocks === outside;
  if (isSame && last.directory === undefined && !(isLink && data.block !== 0)) return last;
  const body: { -readonly [K in keyof InodeBody]: InodeBody[K] } = { ...unread };
  if (target !== undefined) body.target = target;
  if (fork !== undefined) body.fork = fork;
  else if (isLink && data.block !== 0) body.fork = { depth: 0, entries: [0, 1, data.block] };
  if (short !== undefined) body.directory = short;
  if (inInode !== undefined) body.xattrs = inInode;
  if (outside !== undefined) body.xattrBlocks = outside;
  return body;
}

export class InodeChunk {
  /** Number of its first inode. */
  readonly first: number;
  readonly words: Int32Array = new Int32Array(CHUNK_INODES * WORDS);
  readonly sizes: Float64Array = new Float64Array(CHUNK_INODES);
  readonly times: Time[] = new Array(CHUNK_INODES * TIMES).fill(NEVER);
  readonly data: InodeData[] = new Array(CHUNK_INODES).fill(undefined);
  xattrs: (XattrSet | undefined)[] | undefined;
  /** Its buffers that could not be read: their inodes must not be used (`XfsState.reach`). */
  readonly missing: Set<number> = new Set();
  /** Bodies of inodes of whose data fork a block could not be read, by index: `data` has nothing of them. */
  readonly unread: Map<number, InodeBody> = new Map();
  readonly #clusters: readonly Cluster[];

  /** @param block - the first of its blocks on the device. */
  constructor(first: number, block: number, geometry: Geometry) {
    this.first = first;
    const { inodeSize, inodesPerBlock } = geometry;
    const each = (CLUSTER_INODES / inodesPerBlock) * SECTORS_PER_BLOCK;
    const clusters: Cluster[] = [];
    for (let at = 0; at < CLUSTERS; at++)
      clusters.push(new Cluster(this, at, { sector: block * SECTORS_PER_BLOCK + at * each, inodeSize }));
    this.#clusters = clusters;
  }

  /** @param what - the data fork changed, the attribute fork, or more than times alone did. */
  dirty(index: number, log: Log, what: "fork" | "attributes" | "core" | "times"): void {
    const cluster = this.#clusters[index >>> 5] as Cluster;
    const bit = 1 << (index & 31);
    if ((cluster.changed & bit) === 0) log.logsInode(2, ITEM_BYTES + CORE_BYTES);
    cluster.changed |= bit;
    if (what === "fork") cluster.forks |= bit;
    if (what === "attributes") cluster.attributes |= bit;
    if (what !== "times") cluster.beyondTimes |= bit;
    log.dirty(cluster);
  }

  /** Whether the running checkpoint has a change of an inode (xfs_ipincount). @param forData - of more than times. */
  isChanged(index: number, forData: boolean): boolean {
    const { changed, beyondTimes } = this.#clusters[index >>> 5] as Cluster;
    return (((forData ? beyondTimes : changed) >>> (index & 31)) & 1) === 1;
  }

  /** Gives each inode of a new chunk its first generation. */
  beginGenerations(drawn: number): void {
    for (let at = 0; at < CHUNK_INODES; at++) this.words[at * WORDS + INNER_FLAGS] = generationOf(drawn);
  }

  /** The chunk's buffers join the checkpoint, whatever changed: it is new. */
  dirtyAll(log: Log): void {
    for (const cluster of this.#clusters) log.dirty(cluster);
  }
  /** The chunk's blocks are freed. */
  forget(log: Log): void {
    for (const cluster of this.#clusters) log.forget(cluster);
  }
  /** Where its buffers lie. */
  get sectors(): number[] {
    return this.#clusters.map((cluster) => cluster.sector);
  }

  /** Takes the columns of one buffer's record. */
  load(record: ClusterRecord): void {
    const from = record.first - this.first;
    this.words.set(record.words, from * WORDS);
    this.sizes.set(record.sizes, from);
    for (const [at, stamp] of record.times.entries()) this.times[from * TIMES + at] = stamp;
  }
}
