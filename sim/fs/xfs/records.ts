/**
 * What xfs keeps in its metadata blocks (fs/xfs/libxfs/xfs_format.h, xfs_da_format.h, xfs_log_format.h), as records.
 *
 * Interface: a record is immutable. A buffer that was torn by a power cut holds none: its checksum would not fit.
 */
import type { BlockDevice } from "../../block/device.ts";
import type { Time } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import { type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, type Geometry, SECTOR_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";

/** xfs_dsb: only what changes or tells the geometry. */
export interface SuperblockRecord {
  readonly kind: "xfs.superblock";
  readonly length: number;
  readonly geometry: Geometry;
  /** sb_icount, sb_ifree, sb_fdblocks: exact after an unmount alone (lazy-count). */
  readonly inodes: number;
  readonly freeInodes: number;
  readonly freeBlocks: number;
  /** XFS_SB_VERSION_ATTRBIT: whether an inode ever had an attribute fork. */
  readonly hasAttributes: boolean;
  /** Limits of projects, in blocks (what the dquots of the project quota inode hold). */
  readonly projects: readonly (readonly [project: number, blocks: number])[];
}

/** xfs_agf: free space of a group. */
export interface FreeSpaceRecord {
  readonly kind: "xfs.agf";
  readonly length: number;
  readonly group: number;
  readonly blocks: number;
  readonly blockRoot: number;
  readonly sizeRoot: number;
  readonly sharedRoot: number;
  readonly freeListCount: number;
  readonly freeBlocks: number;
  readonly longest: number;
  /** agf_btreeblks: blocks of the two free space trees but their roots. */
  readonly treeBlocks: number;
}

/** xfs_agi: inodes of a group. */
export interface InodesRecord {
  readonly kind: "xfs.agi";
  readonly length: number;
  readonly group: number;
  readonly count: number;
  readonly free: number;
  readonly root: number;
  readonly freeRoot: number;
  /** agi_newino: the chunk that was allocated last; 0: none. */
  readonly newest: number;
  /** agi_unlinked: heads of 64 chains of inodes without names. */
  readonly unlinked: readonly number[];
}

/** xfs_agfl. */
export interface FreeListRecord {
  readonly kind: "xfs.agfl";
  readonly length: number;
  readonly blocks: readonly number[];
}

/** xfs_btree_block: records in a leaf, keys and children above. */
export interface TreeRecord {
  readonly kind: "xfs.freeByBlock" | "xfs.freeBySize" | "xfs.inodeTree" | "xfs.freeInodeTree" | "xfs.sharedTree";
  readonly length: number;
  readonly level: number;
  /** Records one after the other; of an inner block the first key of each child. */
  readonly items: readonly number[];
  readonly children: readonly number[];
  readonly left: number;
  readonly right: number;
}

/** The root of a fork's extent tree: extents (depth 0, triples), or pairs of first block and block below. */
export interface ForkRoot {
  readonly depth: number;
  readonly entries: readonly number[];
}

/** Names that lie in the inode itself: pairs with what they name, in the directory's order. */
export interface ShortDirectory {
  readonly parent: number;
  /** Each with the offset that it would have in a block. */
  readonly entries: readonly (readonly [name: string, inode: number, offset: number])[];
}

/** What an inode holds in its forks. */
export interface InodeBody {
  readonly fork?: ForkRoot;
  readonly directory?: ShortDirectory;
  readonly target?: string;
  /** Attributes in the inode itself. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** Blocks of the attribute fork, in order: leaves, then a node, then long values. */
  readonly xattrBlocks?: readonly number[];
}

/** A buffer of 32 inodes. */
export interface ClusterRecord {
  readonly kind: "xfs.inodes";
  readonly length: number;
  /** Number of the first. */
  readonly first: number;
  readonly words: Int32Array;
  readonly sizes: Float64Array;
  readonly times: readonly Time[];
  readonly bodies: readonly (InodeBody | undefined)[];
}

/** xfs_bmbt_block: a leaf holds triples of extents; above, pairs of first logical block and block below. */
export interface ExtentsRecord {
  readonly kind: "xfs.extents";
  readonly length: number;
  readonly depth: number;
  readonly entries: readonly number[];
}

export interface DirectoryEntryRecord {
  readonly offset: number;
  readonly name: string;
  readonly inode: number;
}

/** xfs_dir3_data: the entries of a block of a directory. */
export interface DirectoryRecord {
  readonly kind: "xfs.directoryBlock";
  readonly length: number;
  readonly inode: number;
  readonly entries: readonly DirectoryEntryRecord[];
}

/** A block of a directory's index by hash: a leaf, a node, or a block that lists free space. */
export interface DirectoryIndexRecord {
  readonly kind: "xfs.directoryLeaf" | "xfs.directoryNode" | "xfs.directoryFree";
  readonly length: number;
  readonly inode: number;
  /** Hashes, ascending; of a node the last of each leaf. */
  readonly hashes: readonly number[];
}

/** xfs_attr3_leaf, and blocks of long values (which hold parts of those of the leaves). */
export interface XattrRecord {
  readonly kind: "xfs.attributeLeaf" | "xfs.attributeNode" | "xfs.attributeValue";
  readonly length: number;
  readonly entries: readonly (readonly [name: string, value: Uint8Array])[];
}

/** xfs_dsymlink_hdr and the target. */
export interface SymlinkRecord {
  readonly kind: "xfs.symlink";
  readonly length: number;
  readonly target: string;
}

export type MetadataRecord =
  | SuperblockRecord
  | FreeSpaceRecord
  | InodesRecord
  | FreeListRecord
  | TreeRecord
  | ClusterRecord
  | ExtentsRecord
  | DirectoryRecord
  | DirectoryIndexRecord
  | XattrRecord
  | SymlinkRecord;

/** A place in the log: which time round, and which sector of the log. */
export interface LogPlace {
  readonly cycle: number;
  readonly sector: number;
}

/** A buffer as a checkpoint logs it. */
export interface LoggedBuffer {
  readonly sector: number;
  readonly record: MetadataRecord;
}

/** One record of the log (xlog_rec_header and what follows): a checkpoint, or a part of one that is longer than an in-core log buffer. */
export interface LogRecord {
  readonly kind: "xfs.log";
  readonly length: number;
  readonly place: LogPlace;
  /** h_tail_lsn: where recovery begins. */
  readonly tail: LogPlace;
  /** The checkpoint's number; parts of one share it. */
  readonly checkpoint: number;
  readonly part: number;
  readonly parts: number;
  readonly buffers: readonly LoggedBuffer[];
  /** Sectors of buffers that were freed (XFS_BLF_CANCEL): older copies are not replayed. */
  readonly cancelled: readonly number[];
  /** Whether nothing is needed of what lies before: the filesystem was unmounted. */
  readonly unmount: boolean;
}

export type XfsRecord = MetadataRecord | LogRecord;

/** The record that begins at a sector and is `length` bytes long; undefined when the device holds none of ours, whole. */
export function readRecord(device: BlockDevice, sector: number, length: number): MetadataRecord | Errno | undefined {
  const content = device.read(bytes(sector * SECTOR_SIZE), bytes(length));
  if (isErrno(content)) return content;
  const record = content.wholeRecord();
  return record?.kind.startsWith("xfs.") === true ? (record as MetadataRecord) : undefined;
}

/** A record that must be of one of these kinds. @returns EIO where it cannot be read, EUCLEAN where it is none of them. */
export function readKind<K extends MetadataRecord["kind"]>(
  device: BlockDevice,
  sector: number,
  length: number,
  ...kinds: readonly K[]
): Extract<MetadataRecord, { readonly kind: K }> | Errno {
  const record = readRecord(device, sector, length);
  if (isErrno(record)) return record;
  if (record === undefined || !kinds.includes(record.kind as K)) return EUCLEAN;
  return record as Extract<MetadataRecord, { readonly kind: K }>;
}

/** The same for a whole block. */
export function readBlock<K extends MetadataRecord["kind"]>(
  device: BlockDevice,
  block: number,
  ...kinds: readonly K[]
): Extract<MetadataRecord, { readonly kind: K }> | Errno {
  return readKind(device, block * SECTORS_PER_BLOCK, BLOCK_SIZE, ...kinds);
}

/** Writes a record from a sector on. */
export function writeRecord(device: BlockDevice, sector: number, record: XfsRecord): Errno | undefined {
  return device.write(bytes(sector * SECTOR_SIZE), Content.record(record));
}
