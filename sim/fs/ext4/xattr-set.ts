/** The extended attributes of one inode: those in the inode's own 256 bytes and those in a block of their own (fs/ext4/xattr.c). */
import type { Content } from "../../core/content.ts";
import { XATTR_BLOCK } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import type { Xattr } from "./xattr-list.ts";

/** An attribute block. */
export class XattrBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly entries: Map<string, Content> = new Map();

  constructor(block: number) {
    this.block = block;
  }
  pack(into: PackedWords): number {
    into.putObject(new Map(this.entries));
    return XATTR_BLOCK;
  }
}

export interface XattrSet {
  inInode: Xattr | undefined;
  outside: XattrBlock | undefined;
}
