/** The extended attributes of one inode: those in the inode's own 256 bytes and those in a block of their own (fs/ext4/xattr.c). */
import type { Content } from "../../core/content.ts";
import type { Metadata } from "./journal.ts";
import { BLOCK_SIZE } from "./layout.ts";
import type { XattrRecord } from "./records.ts";
import type { Xattr } from "./xattr-list.ts";

/** An attribute block. */
export class XattrBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly entries: Map<string, Content> = new Map();

  constructor(block: number) {
    this.block = block;
  }
  freeze(): XattrRecord {
    return { kind: "ext4.xattrBlock", length: BLOCK_SIZE, entries: new Map(this.entries) };
  }
}

export interface XattrSet {
  inInode: Xattr | undefined;
  outside: XattrBlock | undefined;
}
