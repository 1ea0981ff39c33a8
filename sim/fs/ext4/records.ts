/**
 * The metadata blocks of ext4 and its journal as records: immutable, with the fields of the disk format (fs/ext4/ext4.h, fs/ext4/ext4_extents.h,
 * include/linux/jbd2.h). They are made when a transaction commits, and are all that a mount reads.
 */

import type { BlockDevice } from "../../block/device.ts";
import type { BlockRecord } from "../../core/block-record.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, type Geometry } from "./layout.ts";
import { historyOf } from "./revisions.ts";
import type { Xattr } from "./xattr-list.ts";

export interface SuperblockRecord {
  readonly kind: "ext4.superblock";
  readonly length: number;
  readonly decisiveBytes: number;
  /** s_blocks_count, s_inodes_per_group …: what the place of everything follows from. */
  readonly geometry: Geometry;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  /** EXT4_FEATURE_INCOMPAT_RECOVER: the journal may hold what is not in place yet. */
  readonly needsRecovery: boolean;
  readonly mountCount: number;
  /** The inodes on the list that begins at s_last_orphan. */
  readonly orphans: readonly number[];
  /** Where the journal lies: pairs of first block and count. */
  readonly journal: readonly number[];
}

/** What changed of the counts of 64 groups. A block as mkfs left it is whole and tells nothing: its groups hold fixed metadata alone. */
export interface DescriptorsRecord {
  readonly kind: "ext4.groupDescriptors";
  readonly length: number;
  readonly first: number;
  readonly since: DescriptorsRecord | undefined;
  /** Quadruples: group, free blocks, free inodes, directories. */
  readonly changes: readonly number[];
}

export interface BitmapRecord {
  readonly kind: "ext4.blockBitmap" | "ext4.inodeBitmap";
  readonly length: number;
  readonly group: number;
  /** A whole record begins with nothing used. */
  readonly since: BitmapRecord | undefined;
  /** Pairs of a start and how many from there on became used, or, negative, free. */
  readonly changes: readonly number[];
}

/** The root of an extent tree: depth 0, triples of extents; else the blocks below, as pairs of first logical block and block. */
export interface TreeRoot {
  readonly depth: number;
  readonly entries: readonly number[];
}

/** One inode as its table has it. */
export interface InodeRow {
  readonly ino: number;
  /** The words of inodes.ts: the fields of struct ext4_inode that are kept. */
  readonly words: readonly number[];
  /** What i_block holds: an extent tree, or a short symbolic link's target. */
  readonly tree: TreeRoot | undefined;
  readonly target: string | undefined;
  /** The attributes behind the fields, and i_file_acl (0: none). */
  readonly xattrs: Xattr | undefined;
  readonly xattrBlock: number;
}

export interface InodeTableRecord {
  readonly kind: "ext4.inodeTable";
  readonly length: number;
  readonly since: InodeTableRecord | undefined;
  /** The inodes that changed; of a whole record all that are not blank. */
  readonly changes: readonly InodeRow[];
}

/** The inodes of a table block, each as it was last. */
export function inodesOf(record: InodeTableRecord): Iterable<InodeRow> {
  const rows = new Map<number, InodeRow>();
  for (const { changes } of historyOf(record)) for (const row of changes) rows.set(row.ino, row);
  return rows.values();
}

export interface DirectoryEntryRecord {
  readonly offset: number;
  readonly name: string;
  readonly inode: number;
}

/** The entries in the order of the block: unpacked by who reads the record, so that a commit only copies integers. */
export function entriesOf(record: DirectoryRecord): DirectoryEntryRecord[] {
  const entries = new Map<number, DirectoryEntryRecord>();
  for (const { changes, names } of historyOf(record)) {
    for (let at = 0; at < changes.length; at += 3) {
      const [offset, name, inode] = changes.slice(at, at + 3) as [number, Name | 0, number];
      if (name === 0) entries.delete(offset);
      else entries.set(offset, { offset, name: names.text(name), inode });
    }
  }
  return [...entries.values()].sort((one, other) => one.offset - other.offset);
}

export interface DirectoryRecord {
  readonly kind: "ext4.directoryBlock";
  readonly length: number;
  readonly inode: number;
  readonly since: DirectoryRecord | undefined;
  /** Triples of offset in the block, name (interned in `names`; 0: the entry is gone), and inode. */
  readonly changes: readonly number[];
  readonly names: NameTable;
  /** Of an indexed directory's root and inner nodes: the first hash and the logical block of each leaf, or node, below. */
  readonly index: readonly number[];
}

/** A leaf holds triples of extents (see ../extent-list.ts); an index block pairs of first logical block and block below. */
export interface ExtentRecord {
  readonly kind: "ext4.extentBlock";
  readonly length: number;
  readonly depth: number;
  readonly entries: readonly number[];
}

interface XattrRecord {
  readonly kind: "ext4.xattrBlock";
  readonly length: number;
  readonly entries: ReadonlyMap<string, Content>;
  /** How many inodes have the block (h_refcount). */
  readonly references: number;
}

interface SymlinkRecord {
  readonly kind: "ext4.symlinkBlock";
  readonly length: number;
  readonly target: string;
}

interface JournalSuperblock {
  readonly kind: "jbd2.superblock";
  readonly length: number;
  readonly decisiveBytes: number;
  /** The first transaction that may be needed, and its first block in the journal; 0: the journal is empty. */
  readonly sequence: number;
  readonly start: number;
  /** s_head: where a mount goes on when the journal is empty (JBD2_CYCLE_RECORD). */
  readonly head: number;
}

export interface JournalDescriptor {
  readonly kind: "jbd2.descriptor";
  readonly length: number;
  readonly sequence: number;
  /** The home of each block that follows. */
  readonly blocks: readonly number[];
  /** What follows: a tag's checksum, which only the very block of this transaction fits. */
  readonly checks: readonly BlockRecord[];
}

interface JournalRevoke {
  readonly kind: "jbd2.revoke";
  readonly length: number;
  readonly sequence: number;
  readonly blocks: readonly number[];
}

interface JournalCommit {
  readonly kind: "jbd2.commit";
  readonly length: number;
  readonly sequence: number;
}

export type MetadataRecord =
  | SuperblockRecord
  | DescriptorsRecord
  | BitmapRecord
  | InodeTableRecord
  | DirectoryRecord
  | ExtentRecord
  | XattrRecord
  | SymlinkRecord;
export type JournalRecord = JournalSuperblock | JournalDescriptor | JournalRevoke | JournalCommit;
export type Ext4Record = MetadataRecord | JournalRecord;

/**
 * Bytes at the beginning of a superblock, ext4's and the journal's, that hold all fields that ever change: they lie within one sector, so
 * that a power cut leaves the old ones or the new.
 */
export const SUPERBLOCK_BYTES = 512;

/** The record in a block of the device; undefined when the block holds none of ours, whole. */
export function readRecord(device: BlockDevice, block: number): Ext4Record | Errno | undefined {
  const content = device.read(bytes(block * BLOCK_SIZE), bytes(BLOCK_SIZE));
  if (isErrno(content)) return content;
  const record = content.wholeRecord() ?? content.slice(0, SUPERBLOCK_BYTES).wholeRecord();
  if (record === undefined || !(record.kind.startsWith("ext4.") || record.kind.startsWith("jbd2."))) return undefined;
  return record as Ext4Record;
}

/** Writes one block. */
export function writeRecord(device: BlockDevice, block: number, record: Ext4Record): Errno | undefined {
  return device.write(bytes(block * BLOCK_SIZE), Content.record(record));
}
