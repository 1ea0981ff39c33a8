/**
 * Which data blocks are in use, and which is the next (drivers/md/persistent-data/dm-space-map-disk.c).
 *
 * Interface:
 * - A new block is the first from the cursor on that is free now and was free at the last commit, then the first of all; the cursor goes
 *   on behind it and begins at 0 when the pool is opened (spec/block-cow.md §1.6).
 * - `free` counts what was given back since the last commit, although it cannot be taken before the next one: a pool that has nothing else
 *   says it has space, and fails to give it (spec/measured.md §3, rule 2).
 */
import { ENOSPC, type Errno, isErrno } from "../core/errno.ts";
import { BITMAP_ENTRIES, firstFree } from "./bitmap-entries.ts";
import { IndexTree } from "./bitmap-index.ts";
import type { MetadataBlock } from "./metadata-block.ts";
import { Refcounts } from "./refcounts.ts";
import type { Transaction } from "./transaction.ts";

export class DataSpace {
  readonly #index: IndexTree;
  readonly #now: Refcounts;
  #before: Refcounts;
  #cursor = 0;
  /** Taken less given back since the last commit. */
  #taken = 0;
  /** The bitmap of the last new block, and what it said at the last commit: the next one is most often near. */
  #near: MetadataBlock | undefined;
  #nearThen: Uint32Array = new Uint32Array(0);
  #nearBitmap = -1;

  constructor(tx: Transaction) {
    this.#index = new IndexTree(tx);
    this.#now = new Refcounts(tx, this.#index);
    this.#before = this.#now;
  }

  get refcounts(): Refcounts {
    return this.#now;
  }

  /** Blocks as of the last commit. */
  get blocks(): number {
    return this.#before.blocks;
  }

  get free(): number {
    return this.#before.blocks - this.#before.allocated - this.#taken;
  }

  create(): Errno | undefined {
    return this.#now.create() ?? this.commit();
  }

  open(words: Uint32Array, at: number): Errno | undefined {
    return this.#now.open(words, at) ?? this.commit();
  }

  extend(extra: number): Errno | undefined {
    return this.#now.extend(extra);
  }

  /** @returns ENOSPC; what the metadata gives when it is full, too. */
  newBlock(): number | Errno {
    const near = this.#takeNear();
    return near < 0 ? this.#takeAnywhere() : near;
  }

  #takeAnywhere(): number | Errno {
    let block = this.#now.findFreeInBoth(this.#before, this.#cursor);
    if (block === ENOSPC) block = this.#now.findFreeInBoth(this.#before, 0);
    if (isErrno(block)) return block;
    this.#cursor = block + 1;
    const failed = this.#now.takeFound(block);
    if (failed !== undefined) return failed;
    this.#taken += 1;
    this.#nearBitmap = Math.floor(block / BITMAP_ENTRIES);
    const then = this.#before.wordsOf(this.#nearBitmap);
    this.#near = isErrno(then) ? undefined : this.#now.found;
    if (!isErrno(then)) this.#nearThen = then;
    return block;
  }

  /**
   * As `#takeAnywhere` where the block is in the bitmap of the last one, which this transaction has made, with its entry of the index still in
   * the slot. @returns -1 where that is not so.
   */
  #takeNear(): number {
    const bitmap = this.#near;
    if (bitmap === undefined || !bitmap.sole) return -1;
    const entry = this.#index.waiting(this.#nearBitmap);
    if (entry === undefined || entry.block !== bitmap.location) return -1;
    const first = this.#nearBitmap * BITMAP_ENTRIES;
    const from = Math.max(this.#cursor - first, entry.noneFreeBefore);
    const at = firstFree(bitmap.words, this.#nearThen, from, Math.min(BITMAP_ENTRIES, this.#now.blocks - first));
    if (at < 0) return -1;
    this.#now.takeFirst(bitmap.words, at, entry);
    this.#taken += 1;
    this.#cursor = first + at + 1;
    return first + at;
  }

  inc(begin: number, end: number): Errno | undefined {
    const failed = this.#now.inc(begin, end);
    if (failed === undefined) this.#taken += this.#now.allocations;
    return failed;
  }

  dec(begin: number, end: number): Errno | undefined {
    const failed = this.#now.dec(begin, end);
    if (failed === undefined) this.#taken += this.#now.allocations;
    return failed;
  }

  count(block: number): number | Errno {
    return this.#now.count(block);
  }

  commit(): Errno | undefined {
    const failed = this.#now.commit();
    if (failed !== undefined) return failed;
    this.#before = this.#now.copyOfState();
    this.#taken = 0;
    return undefined;
  }
}
