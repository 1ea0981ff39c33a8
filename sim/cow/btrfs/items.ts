/** The values of btrfs's items, one type a kind of key (include/uapi/linux/btrfs_tree.h). All are immutable. */

import type { BlockRecord } from "../../core/block-record.ts";
import type { Time } from "../../core/clock.ts";
import type { Content } from "../../core/content.ts";
import type { Compression } from "./compression.ts";

export interface InodeItem {
  readonly generation: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  /** Bytes of all file extents. */
  readonly bytes: number;
  readonly rdev: number;
  readonly flags: number;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly otime: Time;
}

/** The names of an inode in one directory. */
export interface InodeRef {
  readonly index: number;
  readonly name: string;
}

/** A name beyond what INODE_REF has room for; its key's offset is a hash. */
export interface InodeExtref extends InodeRef {
  readonly parent: number;
}

/** A directory's entry. */
export interface DirEntry {
  readonly name: string;
  /** An inode's number, or a subvolume's id. */
  readonly target: number;
  readonly isSubvolume: boolean;
  /** Type bits of a mode. */
  readonly type: number;
  /** The transaction in which it was made. */
  readonly transid: number;
}

export interface XattrEntry {
  readonly name: string;
  readonly value: Uint8Array;
}

/** Data of a file from its key's offset on. */
export type FileExtent = InlineExtent | DiskExtent;

export interface InlineExtent {
  readonly kind: "inline";
  /** The transaction in which the item last changed. */
  readonly generation: number;
  /** Bytes of the file that it stands for. */
  readonly length: number;
  readonly content: Content;
  /** Bytes that it takes in the item: fewer than it has when compressed. */
  readonly stored: number;
  readonly compression: Compression;
}

export interface DiskExtent {
  readonly kind: "regular" | "prealloc";
  /** The transaction in which the item last changed; of what was shared from elsewhere, that of the item there. */
  readonly generation: number;
  /** The whole extent on the device, of which this is a part. */
  readonly start: number;
  readonly diskBytes: number;
  /** Bytes of the whole extent uncompressed. */
  readonly ramBytes: number;
  /** Which part: from where, and how many bytes, counted uncompressed. */
  readonly offset: number;
  readonly length: number;
  readonly compression: Compression;
}

export interface RootItem {
  readonly root: number;
  readonly generation: number;
  readonly lastSnapshot: number;
  readonly readOnly: boolean;
  /** 0: it has no name any more, and waits for the cleaner. */
  readonly refs: number;
  readonly uuid: string;
  readonly parentUuid: string;
  readonly receivedUuid: string;
  /** Transactions: of the last change, of its making, and, received, of the sender's and of the end of receiving. */
  readonly ctransid: number;
  readonly otransid: number;
  readonly stransid: number;
  readonly rtransid: number;
  readonly ctime: Time;
  readonly otime: Time;
}

/** Where a subvolume's name is. */
export interface RootRef {
  readonly directory: number;
  readonly index: number;
  readonly name: string;
}

export interface BlockGroupItem {
  readonly used: number;
  readonly type: ChunkType;
}

export type ChunkType = "data" | "metadata" | "system";

export interface ChunkItem {
  readonly type: ChunkType;
  readonly length: number;
  /** Where its copies begin on the device. */
  readonly stripes: readonly number[];
}

export interface QgroupStatus {
  /** Whether counts need a rescan. */
  readonly inconsistent: boolean;
}

export interface QgroupItem {
  readonly referenced: number;
  readonly exclusive: number;
}

export interface QgroupLimit {
  readonly referencedMax: number | undefined;
  readonly exclusiveMax: number | undefined;
}

/** Compressed data on the device: what it was, as one block of the size that is left of it. */
export interface CompressedRecord extends BlockRecord {
  readonly kind: "btrfs.compressed";
  readonly content: Content;
}
