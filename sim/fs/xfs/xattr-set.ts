/** The extended attributes of one inode: in its attribute fork, or in blocks of their own (fs/xfs/libxfs/xfs_attr_leaf.c). */
import { BLOCK_SIZE, SECTORS_PER_BLOCK } from "./layout.ts";
import type { Metadata } from "./log.ts";
import { type LoggedSize, measureBuffer } from "./logged-pieces.ts";
import type { XattrRecord } from "./records.ts";

/** What a change of one attribute logs of a block, about: its entry, its place in the header, and its name with its value. */
const CHANGE_BYTES = 512;

type Entry = readonly [name: string, value: Uint8Array];

/** A block of an attribute fork. */
export class XattrBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly kind: XattrRecord["kind"];
  entries: readonly Entry[] = [];
  /** What a change logs: a block that came to be, or was packed anew, is logged whole, and is so until it has been written in place (xfs_attr3_leaf_compact). */
  #logged: number;

  /** @param isNew - whether it is not on the disk yet */
  constructor(kind: XattrRecord["kind"], block: number, isNew: boolean) {
    this.kind = kind;
    this.block = block;
    this.#logged = isNew ? BLOCK_SIZE : CHANGE_BYTES;
  }
  get sector(): number {
    return this.block * SECTORS_PER_BLOCK;
  }
  measure(into: LoggedSize): void {
    measureBuffer(into, this.kind === "xfs.attributeValue" ? 0 : this.#logged);
  }
  written(): void {
    this.#logged = CHANGE_BYTES;
  }
  freeze(): XattrRecord {
    return { kind: this.kind, length: BLOCK_SIZE, entries: this.entries };
  }
}

export interface XattrSet {
  /** All attributes. Never changed, but replaced: records of inodes share it. Undefined while they lie in blocks that nobody has asked for. */
  entries: ReadonlyMap<string, Uint8Array> | undefined;
  /** The same while the inode itself holds them; undefined once they lie in blocks. */
  inInode: ReadonlyMap<string, Uint8Array> | undefined;
  /** Empty while `entries` is undefined. */
  blocks: readonly XattrBlock[];
  /** The blocks' numbers; undefined while there are none. */
  blockNumbers: readonly number[] | undefined;
  /** Bytes that the inode holds of its attribute fork, of one that changed: the attributes, or where the blocks lie. */
  forkBytes: number;
}
