/** What a regular file has beyond its inode's columns: extents, cached pages, and what delayed allocation has promised. */
import type { Mapping } from "../../vfs/address-space.ts";
import { PromisedBlocks } from "./promised-blocks.ts";
import { ExtentTree } from "./tree.ts";

/** Of files without a block: nothing is ever put into it. */
const NO_EXTENTS: ExtentTree = new ExtentTree();

/**
 * Interface: blocks that are dirty in memory and have no place on the disk yet are promised (extent status: delayed). A file that is written
 * once has one range of them, which is all that is kept of it; PromisedBlocks is made for the second that does not touch the first.
 */
export class FileData {
  #tree: ExtentTree | undefined;
  mapping: Mapping | undefined;
  /** i_disksize: the size that a commit writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;
  /** The promised range, while there is only one. */
  #start = 0;
  #end = 0;
  #promised: PromisedBlocks | undefined;

  /** The extents, to be read or cut. */
  get tree(): ExtentTree {
    return this.#tree ?? NO_EXTENTS;
  }
  /** The extents, to be added to. */
  ownTree(): ExtentTree {
    this.#tree ??= new ExtentTree();
    return this.#tree;
  }

  get delayedBlocks(): number {
    return this.#promised?.covered ?? this.#end - this.#start;
  }

  /** Promises [start, end). The caller has counted what is new of it. */
  delay(start: number, end: number): void {
    if (this.#promised !== undefined) this.#promised.set(start, end);
    else if (this.#start === this.#end) {
      this.#start = start;
      this.#end = end;
    } else if (start <= this.#end && end >= this.#start) {
      this.#start = Math.min(this.#start, start);
      this.#end = Math.max(this.#end, end);
    } else this.#toSets().set(start, end);
  }

  /** Ends promises in [start, end). @returns how many blocks they were. */
  undelay(start: number, end: number): number {
    const before = this.delayedBlocks;
    if (before === 0) return 0;
    if (this.#promised !== undefined) this.#promised.delete(start, end);
    else if (end <= this.#start || start >= this.#end) return 0;
    else if (start <= this.#start) this.#start = Math.min(end, this.#end);
    else if (end >= this.#end) this.#end = start;
    else this.#toSets().delete(start, end);
    const left = this.delayedBlocks;
    if (left === 0) {
      this.#promised = undefined;
      this.#start = 0;
      this.#end = 0;
    }
    return before - left;
  }

  #toSets(): PromisedBlocks {
    const promised = new PromisedBlocks();
    promised.set(this.#start, this.#end);
    this.#start = 0;
    this.#end = 0;
    this.#promised = promised;
    return promised;
  }

  isPromised(block: number): boolean {
    return this.#promised?.has(block) ?? (block >= this.#start && block < this.#end);
  }

  /** The first block from `at` on that is not promised. */
  nextUnpromised(at: number): number {
    if (this.#promised !== undefined) return this.#promised.nextGap(at);
    return at >= this.#start && at < this.#end ? this.#end : at;
  }

  /** The first block from `at` on that is promised; infinity when there is none. */
  nextPromised(at: number): number {
    if (this.#promised !== undefined) return this.#promised.nextCovered(at);
    return at < this.#end ? Math.max(at, this.#start) : Number.POSITIVE_INFINITY;
  }

  /** Visits the promised ranges in order. */
  visitPromised(visit: (start: number, end: number) => void): void {
    for (let start = this.nextPromised(0); start !== Number.POSITIVE_INFINITY; ) {
      const end = this.nextUnpromised(start);
      visit(start, end);
      start = this.nextPromised(end);
    }
  }
}
