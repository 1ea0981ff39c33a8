/** What a regular file has beyond its inode's columns: extents, cached pages, and what delayed allocation has promised. */
import type { Mapping } from "../../vfs/address-space.ts";
import { PromisedBlocks } from "../promised-blocks.ts";
import { ExtentTree } from "./tree.ts";

/** Of files without a block: nothing is ever put into it. */
const NO_EXTENTS: ExtentTree = new ExtentTree();

export class FileData {
  #tree: ExtentTree | undefined;
  mapping: Mapping | undefined;
  /** i_disksize: the size that a commit writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;
  /** Blocks that are dirty in memory and have no place on the disk yet (extent status: delayed). Made when first needed. */
  #delayed: PromisedBlocks | undefined;

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
    return this.#delayed?.covered ?? 0;
  }

  /** Promises [start, end). The caller has counted what is new of it. */
  delay(start: number, end: number): void {
    this.#delayed ??= new PromisedBlocks();
    this.#delayed.set(start, end);
  }

  /** Ends promises in [start, end). @returns how many blocks they were. */
  undelay(start: number, end: number): number {
    if (this.#delayed === undefined) return 0;
    const before = this.#delayed.covered;
    this.#delayed.delete(start, end);
    const left = this.#delayed.covered;
    if (left === 0) this.#delayed = undefined;
    return before - left;
  }

  isPromised(block: number): boolean {
    return this.#delayed?.has(block) === true;
  }

  /** The first block from `at` on that is not promised. */
  nextUnpromised(at: number): number {
    return this.#delayed?.nextGap(at) ?? at;
  }

  /** The first block from `at` on that is promised; infinity when there is none. */
  nextPromised(at: number): number {
    return this.#delayed?.nextCovered(at) ?? Number.POSITIVE_INFINITY;
  }

  /** Visits the promised ranges in order. */
  visitPromised(visit: (start: number, end: number) => void): void {
    this.#delayed?.visit(visit);
  }
}
