/** What a regular file has beyond its inode's columns: extents, cached pages, and what delayed allocation has promised. */
import type { Mapping } from "../../vfs/address-space.ts";
import { PromisedBlocks } from "../promised-blocks.ts";
import { ExtentTree } from "./tree.ts";

export class FileData {
  readonly tree: ExtentTree = new ExtentTree();
  mapping: Mapping | undefined;
  /** Blocks that are dirty in memory and have no place on the disk yet (extent status: delayed). Made when first needed. */
  delayed: PromisedBlocks | undefined;

  get delayedBlocks(): number {
    return this.delayed?.covered ?? 0;
  }

  /** i_disksize: the size that a commit writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;

  /** Promises [start, end). The caller has counted what is new of it. */
  delay(start: number, end: number): void {
    this.delayed ??= new PromisedBlocks();
    this.delayed.set(start, end);
  }

  /** Ends promises in [start, end). @returns how many blocks they were. */
  undelay(start: number, end: number): number {
    if (this.delayed === undefined || this.delayed.covered === 0) return 0;
    const before = this.delayed.covered;
    this.delayed.delete(start, end);
    const ended = before - this.delayed.covered;
    if (this.delayed.covered === 0) this.delayed = undefined;
    return ended;
  }
}
