/** The extended attributes of one inode: those in the inode's own 256 bytes and those in a block of their own (fs/ext4/xattr.c). */
import type { BlockDevice } from "../../block/device.ts";
import type { Content } from "../../core/content.ts";
import { type Errno, EUCLEAN, isErrno } from "../../core/errno.ts";
import { XATTR_BLOCK } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import { readRecord } from "./records.ts";
import type { Xattr } from "./xattr-list.ts";

/** An attribute block, of one inode or of several that have the same attributes. */
export class XattrBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  entries: ReadonlyMap<string, Content> = new Map();
  /** How many inodes have it (h_refcount). */
  references = 1;
  /** By what it is found among others (xattr-cache.ts); undefined where it is not. */
  hash: number | undefined;
  /** Whether the device has failed to give it, or gave something else: what it holds is not known. */
  unread = false;

  constructor(block: number) {
    this.block = block;
  }
  pack(into: PackedWords): number {
    into.putObject(this.entries);
    into.put(this.references);
    return XATTR_BLOCK;
  }
}

/** Reads a block, also one that could not be read before (ext4_xattr_get_block, ext4_xattr_check_block). @returns EIO; EUCLEAN where no such block lies. */
export function readBlock(device: BlockDevice, into: XattrBlock): Errno | undefined {
  const record = readRecord(device, into.block);
  into.unread = record === undefined || isErrno(record) || record.kind !== "ext4.xattrBlock";
  if (record === undefined || isErrno(record) || record.kind !== "ext4.xattrBlock") return isErrno(record) ? record : EUCLEAN;
  into.entries = record.entries;
  into.references = record.references;
  return undefined;
}

export interface XattrSet {
  inInode: Xattr | undefined;
  outside: XattrBlock | undefined;
}
