/** What a regular file has beyond its inode's columns: extents, cached pages, and what delayed allocation has promised. */
import { IntervalMap } from "../../core/intervals.ts";
import type { CachedPages } from "./cached-pages.ts";
import { ExtentTree } from "./tree.ts";

export class FileData {
  readonly tree: ExtentTree = new ExtentTree();
  mapping: CachedPages | undefined;
  /** Blocks that are dirty in memory and have no place on the disk yet (extent status: delayed). Made when first needed. */
  delayed: IntervalMap<true> | undefined;

  get delayedBlocks(): number {
    return this.delayed?.covered ?? 0;
  }

  /** i_disksize: the size that a commit writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;

  /** Promises [start, end). The caller has counted what is new of it. */
  delay(start: number, end: number): void {
    this.delayed ??= new IntervalMap<true>(undefined, () => true);
    this.delayed.set(start, end, true);
  }

  /** Ends promises in [start, end). @returns how many blocks they were. */
  undelay(start: number, end: number): number {
    if (this.delayed === undefined || this.delayed.covered === 0) return 0;
    const before = this.delayed.covered;
    this.delayed.delete(start, end);
    return before - this.delayed.covered;
  }
}
