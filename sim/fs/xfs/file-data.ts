/** What a regular file has beyond its inode's columns: its forks, cached pages, and what delayed allocation has promised. */
import type { Mapping } from "../../vfs/address-space.ts";
import { ExtentList } from "../extent-list.ts";
import { Fork } from "./fork.ts";
import { EXTENT_BLOCKS_MAX } from "./layout.ts";
import { PromisedExtents } from "./promised-extents.ts";

const LIMITS = { written: EXTENT_BLOCKS_MAX, unwritten: EXTENT_BLOCKS_MAX } as const;

/** New blocks for shared ones that are being written: in memory alone (XFS_COW_FORK). */
export class CowFork {
  /** Blocks that are allocated and not yet part of the file. */
  readonly list: ExtentList = new ExtentList(LIMITS);
  readonly delayed: PromisedExtents = new PromisedExtents();

  get blocks(): number {
    let count = this.delayed.blocks.covered;
    for (let index = 0; index < this.list.count; index++) count += this.list.length(index);
    return count;
  }
  /** Nobody divides the list among blocks. */
  changed(): void {
    // It lies in memory alone.
  }
}

export class FileData {
  readonly fork: Fork = new Fork();
  mapping: Mapping | undefined;
  /** Blocks that are promised and have no place on the disk yet, those behind the end of the file included. Made when first needed. */
  delayed: PromisedExtents | undefined;
  cow: CowFork | undefined;
  /** Whether a close has trimmed blocks behind the end already (XFS_EOFBLOCKS_RELEASED). */
  trimmed = false;
  /** Whether it was made shorter since the last close, and its pages have not been written back since (XFS_ITRUNCATED). */
  truncated = false;
  /** The size that a checkpoint writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;

  get delayedBlocks(): number {
    return this.delayed?.blocks.covered ?? 0;
  }
  /** What stat counts beside the blocks on the disk (i_delayed_blks). */
  get unsettledBlocks(): number {
    return this.delayedBlocks + (this.cow?.blocks ?? 0);
  }
}
