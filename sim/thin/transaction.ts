/**
 * The transaction at work on a pool's metadata: which blocks it made, and copying a block before it is changed
 * (drivers/md/persistent-data/dm-transaction-manager.c).
 *
 * Interface:
 * - A block that an earlier transaction wrote is never changed: `shadow` copies it to a new place, takes a reference from the old one and
 *   gives the copy, which its parent must then point to. A block that this transaction made is given as it is, unless it is shared.
 * - `shared` tells whether the block just shadowed had more than one reference: then what it points to needs one more each.
 */
import { type Errno, isErrno } from "../core/errno.ts";
import type { BlockKind, MetadataBlock } from "./metadata-block.ts";
import type { MetadataBlocks } from "./metadata-blocks.ts";

/** Which blocks are in use, and how often: what a transaction asks of the space that it takes blocks from. */
export interface BlockSpace {
  /** Takes a block. @returns ENOSPC. */
  newBlock(): number | Errno;
  inc(begin: number, end: number): Errno | undefined;
  dec(begin: number, end: number): Errno | undefined;
  count(block: number): number | Errno;
  /** Whether a block has more than one reference. */
  isShared(block: number): boolean | Errno;
}

export class Transaction<Space extends BlockSpace = BlockSpace> {
  readonly blocks: MetadataBlocks;
  readonly space: Space;
  /** Whether the block that was shadowed last had more than one reference. */
  shared = false;
  #made: MetadataBlock[] = [];

  /** @param makeSpace - makes the space, whose own map is changed in this transaction, too. */
  constructor(blocks: MetadataBlocks, makeSpace: (tx: Transaction) => Space) {
    this.blocks = blocks;
    this.space = makeSpace(this);
  }

  read(location: number, kind: BlockKind): MetadataBlock | Errno {
    return this.blocks.read(location, kind);
  }

  /** A new, zeroed block with one reference. @returns ENOSPC. */
  newBlock(kind: BlockKind): MetadataBlock | Errno {
    const location = this.space.newBlock();
    if (isErrno(location)) return location;
    return this.#makes(this.blocks.fresh(location, kind));
  }

  #makes(block: MetadataBlock | Errno): MetadataBlock | Errno {
    if (isErrno(block)) return block;
    block.made = true;
    block.sole = true;
    this.#made.push(block);
    return block;
  }

  /** The block, or its copy, to be changed. @returns ENOSPC, EIO. */
  shadow(location: number, kind: BlockKind): MetadataBlock | Errno {
    const known = this.blocks.known(location);
    if (known?.sole === true && known.changed) {
      this.shared = false;
      return known;
    }
    const shared = this.space.isShared(location);
    if (isErrno(shared)) return shared;
    if (!shared && known?.made === true) {
      this.shared = false;
      return this.blocks.change(location, kind);
    }
    const target = this.space.newBlock();
    if (isErrno(target)) return target;
    const failed = this.space.dec(location, location + 1);
    if (failed !== undefined) return failed;
    const original = this.blocks.read(location, kind);
    if (isErrno(original)) return original;
    const copy = this.#makes(this.blocks.copyTo(target, original));
    this.shared = shared;
    return copy;
  }

  /** One reference more was counted for each block of [begin, end): a transaction's own may now be shared. */
  noteReferences(begin: number, end: number): void {
    for (let location = begin; location < end; location++) {
      const block = this.blocks.known(location);
      if (block !== undefined) block.sole = false;
    }
  }

  /** What was written belongs to the past from now on. */
  begin(): void {
    for (const block of this.#made) {
      block.made = false;
      block.sole = false;
    }
    this.#made = [];
  }
}
