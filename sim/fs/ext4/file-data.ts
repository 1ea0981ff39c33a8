/**
 * What a regular file has beyond its inode's columns: extents, cached pages, and what delayed allocation has promised.
 *
 * Interface: most files have one extent, written and from their first block on, which is all that is kept of their extents once they are written
 * back (`fold`). Who reads the extents of such a file gets a tree that shows them as they are; who changes them asks `ownTree` for the file's own,
 * and holds it no longer than his change takes.
 */
import { assert } from "../../core/assert.ts";
import type { Mapping } from "../../vfs/address-space.ts";
import { PromisedBlocks } from "../promised-blocks.ts";
import { ExtentTree } from "./tree.ts";

/** Of files without a block: nothing is ever put into it. */
const NO_EXTENTS: ExtentTree = new ExtentTree();

export class FileData {
  #tree: ExtentTree | undefined;
  /** Of a folded file, which has no tree: its first block on the disk, and how many follow it; else 0. */
  #start = 0;
  #count = 0;
  mapping: Mapping | undefined;
  /** i_disksize: the size that a commit writes. It follows the size only when the blocks up to it have their place. */
  onDisk = 0;
  /** Blocks that are dirty in memory and have no place on the disk yet (extent status: delayed). Made when first needed. */
  #delayed: PromisedBlocks | undefined;

  /** The extents, to be read. */
  get tree(): ExtentTree {
    return this.#tree ?? (this.isFolded ? this.#unfolded() : NO_EXTENTS);
  }
  /** The extents, to be changed. */
  ownTree(): ExtentTree {
    if (this.#tree !== undefined) return this.#tree;
    this.#tree = this.#unfolded();
    this.#start = 0;
    this.#count = 0;
    return this.#tree;
  }

  #unfolded(): ExtentTree {
    const tree = new ExtentTree();
    if (this.isFolded) tree.list.load([0, this.#count, this.#start]);
    return tree;
  }

  /** Whether the extents are kept without a tree. */
  get isFolded(): boolean {
    return this.#count > 0;
  }

  /** Keeps an only extent without a tree, if it is written and has the file's first block. Nobody holds the tree. */
  fold(): void {
    const tree = this.#tree;
    if (tree === undefined || tree.leafCount > 0) return;
    const { list } = tree;
    if (list.count !== 1 || list.logical(0) > 0 || list.isUnwritten(0)) return;
    this.#start = list.physical(0);
    this.#count = list.length(0);
    this.#tree = undefined;
  }

  /** How many blocks of [start, end) have no extent. */
  missing(start: number, end: number): number {
    if (this.#tree !== undefined) return this.#tree.list.missing(start, end);
    return end - start - Math.max(0, Math.min(end, this.#count) - start);
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

  /** Throws an InvariantError unless the extents are kept in one way, and are in order. @param ino - whose they are */
  check(ino: number): void {
    assert(!this.isFolded || this.#tree === undefined, `inode ${ino} is folded and has a tree`);
    this.tree.check(ino);
  }

  /** Visits the promised ranges in order. */
  visitPromised(visit: (start: number, end: number) => void): void {
    this.#delayed?.visit(visit);
  }
}
