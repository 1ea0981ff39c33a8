/**
 * The metadata blocks of a pool as the immutable objects that were written (rule "the device is the truth", DESIGN.md).
 *
 * Interface: arrays in a record are never changed. What an object set has in memory are the very arrays of its blocks until it changes them,
 * so that a snapshot or clone that is mounted copies nothing.
 */

import type { BlockRecord } from "../../core/block-record.ts";
import type { Time } from "../../core/clock.ts";
import { Content } from "../../core/content.ts";
import type { NameTable } from "../../core/names.ts";
import type { BlockPointer } from "./block-pointer.ts";

/** Dnodes in a block of 16 KiB. */
export const DNODES_PER_BLOCK = 32;
/** Numbers of a dnode in DnodesRecord.words, by column. */
export const MODE = 0;
export const UID = 1;
export const GID = 2;
export const NLINK = 3;
export const SIZE = 4;
/** Of a directory: the one above. */
export const PARENT = 5;
export const RDEV = 6;
/** Bytes of a data block. */
export const BLOCK_SIZE = 7;
/** Levels of the block tree: 1 for a block without indirect ones. */
export const LEVELS = 8;
/** The last block's number plus 1 (dn_maxblkid); 0 while there was none. */
export const BLOCKS = 9;
/** Bytes allocated to the object (dn_used). */
export const USED = 10;
/** The transaction group in which the object was made (z_gen). */
export const GENERATION = 11;
/** Attributes of chattr. */
export const FLAGS = 12;
/** How many places behind its own a dnode takes in its block: larger ones have more room for attributes (dn_extra_slots). */
export const EXTRA_SLOTS = 13;
export const WORDS = 14;
/** Times of a dnode: ATIME, MTIME, CTIME, and when it was made. */
export const ATIME = 0;
export const MTIME = 1;
export const CTIME = 2;
export const CRTIME = 3;
export const TIMES = 4;

/** What a dnode has beyond its numbers. */
export interface DnodeBody {
  readonly target?: string;
  /** Extended attributes that are the object's own. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** The hidden folder whose files are extended attributes (SA_ZPL_XATTR). */
  readonly folder?: number;
  /** The block of what the bonus has no room for: a SpillRecord. Not before it is written. */
  readonly spill?: BlockPointer;
}

/** A spill block. */
export interface SpillRecord extends Pick<DnodeBody, "target" | "xattrs"> {
  readonly kind: "zfs.spill";
  readonly length: number;
  /** Its bytes before compression: what is not overwritten stays behind what there is. */
  readonly bytes: Uint8Array;
}

export interface DnodeColumns {
  readonly words: Float64Array;
  readonly times: (Time | undefined)[];
  readonly tops: (BlockPointer | undefined)[];
  readonly bodies: (DnodeBody | undefined)[];
}

export interface DnodesRecord extends DnodeColumns {
  readonly kind: "zfs.dnodes";
  readonly length: number;
}

export interface IndirectRecord {
  readonly kind: "zfs.indirect";
  readonly length: number;
  readonly pointers: readonly (BlockPointer | undefined)[];
}

/** A block of a directory: pairs of name (interned in `names`) and object. */
export interface DirectoryRecord {
  readonly kind: "zfs.directory";
  readonly length: number;
  readonly entries: Uint32Array;
  readonly names: NameTable;
  /** Of the first block of a large directory: how its leaves divide the names. */
  readonly leaves?: Uint32Array;
}

/** Where an intent log begins. */
export interface LogHead {
  readonly block: BlockPointer;
  /** Which chain, and the number of its next block. */
  readonly chain: number;
  readonly sequence: number;
  /** Intents of the chain that this very set holds already: a group was written while they were replayed. */
  readonly replayed: number;
}

export interface ObjsetRecord {
  readonly kind: "zfs.objset";
  readonly length: number;
  /** The top pointers of the tree of dnode blocks. */
  readonly tops: readonly (BlockPointer | undefined)[];
  readonly system: readonly BlockPointer[];
  readonly accounting: readonly BlockPointer[];
  /** Objects in use, those of the system not counted. */
  readonly objects: number;
  /** Files without names, to be freed at the next mount. */
  readonly unlinked: readonly number[];
  /** In which ways attributes lie in its objects, now or once. */
  readonly layouts: readonly string[];
  /** Objects in use by region of numbers. */
  readonly regions: readonly number[];
  readonly log: LogHead | undefined;
}

/** A block of fixed contents: the tables that every filesystem has. */
export interface SystemRecord {
  readonly kind: "zfs.system";
  readonly length: number;
}

/** A compressed data block. */
export interface CompressedRecord {
  readonly kind: "zfs.compressed";
  readonly length: number;
  readonly content: Content;
}

/** A data block as the device keeps it, `length` bytes. */
export function storedContent(content: Content, length: number): Content {
  if (length === content.length) return content;
  const record: CompressedRecord = { kind: "zfs.compressed", length, content };
  return Content.record(record);
}

/** The data block that a device gave back. */
export function originalContent(stored: Content): Content {
  const record: BlockRecord | undefined = stored.wholeRecord();
  return record?.kind === "zfs.compressed" ? (record as CompressedRecord).content : stored;
}
