/**
 * The metadata blocks of ext4 and its journal as records: immutable, with the fields of the disk format (fs/ext4/ext4.h, fs/ext4/ext4_extents.h,
 * include/linux/jbd2.h). They are made when a transaction commits, and are all that a mount reads.
 */

import type { BlockDevice } from "../../block/device.ts";
import { Content } from "../../core/content.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import type { Name, NameTable } from "../../core/names.ts";
import { bytes } from "../../core/units.ts";
import { BLOCK_SIZE, type Geometry } from "./layout.ts";

export interface SuperblockRecord {
  readonly kind: "ext4.superblock";
  readonly length: number;
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

export interface DescriptorsRecord {
  readonly kind: "ext4.groupDescriptors";
  readonly length: number;
  readonly first: number;
  /** undefined: as mkfs made them, nothing but fixed metadata in their groups. */
  readonly freeBlocks?: Int32Array;
  readonly freeInodes?: Int32Array;
  readonly directories?: Int32Array;
}

export interface BitmapRecord {
  readonly kind: "ext4.blockBitmap" | "ext4.inodeBitmap";
  readonly length: number;
  readonly group: number;
  /** The runs that are used: pairs of start and count. */
  readonly used: Int32Array;
}

/** The root of an extent tree: depth 0, triples of extents; else the blocks below, as pairs of first logical block and block. */
export interface TreeRoot {
  readonly depth: number;
  readonly entries: readonly number[];
}

/** What an inode holds in its 60 bytes of i_block and behind its fields. */
export interface InodeBody {
  readonly tree?: TreeRoot;
  readonly target?: string;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** i_file_acl. */
  readonly xattrBlock?: number;
}

export interface InodeTableRecord {
  readonly kind: "ext4.inodeTable";
  readonly length: number;
  /** Number of the first of its 16 inodes. */
  readonly first: number;
  /** The rows of inodes.ts, one after the other. */
  readonly words: Int32Array;
  readonly bodies: readonly (InodeBody | undefined)[];
}

/** The entries of a directory block: triples of offset in the block, name (interned in `names`), and inode; in no order. */
export interface PackedEntries {
  readonly words: Uint32Array;
  readonly names: NameTable;
}

export interface DirectoryEntryRecord {
  readonly offset: number;
  readonly name: string;
  readonly inode: number;
}

/** The entries in the order of the block: unpacked by who reads the record, so that a commit only copies integers. */
export function entriesOf(record: DirectoryRecord): DirectoryEntryRecord[] {
  const { words, names } = record.entries;
  const out: DirectoryEntryRecord[] = [];
  for (let at = 0; at < words.length; at += 3)
    out.push({ offset: words[at] as number, name: names.text(words[at + 1] as Name), inode: words[at + 2] as number });
  return out.sort((one, other) => one.offset - other.offset);
}

export interface DirectoryRecord {
  readonly kind: "ext4.directoryBlock";
  readonly length: number;
  readonly inode: number;
  readonly entries: PackedEntries;
  /** Of an indexed directory's root: the first hash and the logical block of each leaf. */
  readonly index: readonly number[];
}

/** A leaf holds triples of extents (see ../extent-list.ts); an index block pairs of first logical block and block below. */
export interface ExtentRecord {
  readonly kind: "ext4.extentBlock";
  readonly length: number;
  readonly depth: number;
  readonly entries: readonly number[];
}

export interface XattrRecord {
  readonly kind: "ext4.xattrBlock";
  readonly length: number;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

export interface SymlinkRecord {
  readonly kind: "ext4.symlinkBlock";
  readonly length: number;
  readonly target: string;
}

interface JournalSuperblock {
  readonly kind: "jbd2.superblock";
  readonly length: number;
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
  readonly checks: readonly MetadataRecord[];
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
 * Bytes of a superblock's record, ext4's and the journal's: all fields that ever change lie within one sector, so that a power cut leaves
 * the old ones or the new. The rest of its block is zeros.
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

/** What a block with a record holds. */
export function blockContent(record: Ext4Record): Content {
  const rest = BLOCK_SIZE - record.length;
  const content = Content.record(record);
  return rest === 0 ? content : Content.concat([content, Content.zeros(rest)]);
}

/** Writes one block. */
export function writeRecord(device: BlockDevice, block: number, record: Ext4Record): Errno | undefined {
  return device.write(bytes(block * BLOCK_SIZE), blockContent(record));
}
