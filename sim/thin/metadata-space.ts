/**
 * Which metadata blocks are in use. The map that tells is made of metadata blocks itself, so that counting a reference may take a block,
 * which asks for a reference to be counted: what comes from within is put off until the count at work is done
 * (drivers/md/persistent-data/dm-space-map-metadata.c).
 *
 * Interface:
 * - A new block is the first from the cursor on that is free now and was free at the last commit, then the first of all.
 * - `free` is what the last commit left, less what was taken since: what was given back comes with the next commit.
 */
import { ENOMEM, ENOSPC, type Errno, isErrno } from "../core/errno.ts";
import { IndexBlock } from "./bitmap-index.ts";
import { Refcounts } from "./refcounts.ts";
import type { Transaction } from "./transaction.ts";

/** A change of counts that was asked for from within another one. */
interface Pending {
  readonly step: 1 | -1;
  readonly begin: number;
  readonly end: number;
}

/** How many changes can be pending (MAX_RECURSIVE_ALLOCATIONS). */
const PENDING_MAX = 1024;

export class MetadataSpace {
  #now: Refcounts;
  #before: Refcounts;
  /** Where the search for a free block begins. */
  #cursor = 0;
  /** Whether a change of counts is at work. */
  #busy = false;
  #pending: Pending[] = [];
  #taken = 0;
  /** While the map is made or made longer, every block behind the cursor is free and nothing is counted. */
  #making = false;
  #threshold: { readonly blocks: number; readonly reached: () => void } | undefined;
  #lastFree: number | undefined;

  readonly #tx: Transaction;

  constructor(tx: Transaction) {
    this.#tx = tx;
    this.#now = new Refcounts(tx, new IndexBlock(tx));
    this.#before = this.#now;
  }

  get refcounts(): Refcounts {
    return this.#now;
  }

  get blocks(): number {
    return this.#now.blocks;
  }

  get free(): number {
    return this.#before.blocks - this.#before.allocated - this.#taken;
  }

  /** Calls `reached` when a new block leaves `blocks` free or fewer, once until there is more again. */
  onThreshold(blocks: number, reached: () => void): void {
    this.#threshold = { blocks, reached };
  }

  /** Makes the map for a new device; the blocks before `first` are in use already. */
  create(deviceBlocks: number, first: number): Errno | undefined {
    this.#cursor = first;
    this.#making = true;
    const failed = this.#now.create() ?? this.#now.extend(deviceBlocks);
    this.#making = false;
    return failed ?? this.#now.inc(0, this.#cursor) ?? this.commit();
  }

  open(words: Uint32Array, at: number): Errno | undefined {
    const failed = this.#now.open(words, at);
    this.#before = this.#now.copyOfState();
    return failed;
  }

  /** Counts more blocks; the map's own new blocks are taken from the new part. */
  extend(extra: number): Errno | undefined {
    let counted = this.#now.blocks;
    this.#cursor = counted;
    this.#making = true;
    let failed = this.#now.extend(extra);
    while (failed === undefined) {
      const end = this.#cursor;
      this.#pending.push({ step: 1, begin: counted, end });
      failed = this.#applyPending() ?? this.#now.commit();
      counted = end;
      if (end === this.#cursor) break;
    }
    this.#making = false;
    return failed;
  }

  /** @returns ENOSPC when all are in use. */
  newBlock(): number | Errno {
    if (this.#making) return this.#cursor === this.#now.blocks ? ENOSPC : this.#cursor++;
    let block = this.#now.findFreeInBoth(this.#before, this.#cursor);
    if (block === ENOSPC) block = this.#now.findFreeInBoth(this.#before, 0);
    if (isErrno(block)) return block;
    this.#cursor = block + 1;
    const failed = this.#change({ step: 1, begin: block, end: block + 1 });
    if (failed !== undefined) return failed;
    this.#taken += 1;
    this.#compareWithThreshold();
    return block;
  }

  #compareWithThreshold(): void {
    const free = this.free;
    const threshold = this.#threshold;
    if (threshold === undefined) return;
    const wasLow = this.#lastFree !== undefined && this.#lastFree <= threshold.blocks;
    if (free <= threshold.blocks && !wasLow) threshold.reached();
    this.#lastFree = free;
  }

  inc(begin: number, end: number): Errno | undefined {
    this.#tx.noteReferences(begin, end);
    return this.#change({ step: 1, begin, end });
  }

  dec(begin: number, end: number): Errno | undefined {
    return this.#change({ step: -1, begin, end });
  }

  #change(change: Pending): Errno | undefined {
    if (this.#busy || this.#making) {
      if (this.#pending.length >= PENDING_MAX) return ENOMEM;
      this.#pending.push(change);
      return undefined;
    }
    this.#busy = true;
    const failed = this.#apply(change);
    const later = this.#applyPending();
    this.#busy = false;
    return failed ?? later;
  }

  #apply({ step, begin, end }: Pending): Errno | undefined {
    return step === 1 ? this.#now.inc(begin, end) : this.#now.dec(begin, end);
  }

  #applyPending(): Errno | undefined {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      const failed = this.#apply(next);
      if (failed !== undefined) return failed;
      this.#pending.shift();
    }
    return undefined;
  }

  /** How many references a block has, pending changes included. */
  count(block: number): number | Errno {
    const count = this.#now.count(block);
    return isErrno(count) ? count : count + this.#pendingFor(block);
  }

  /** Whether a block has more than one reference; "more than two" counts as yes whatever is pending. */
  isShared(block: number): boolean | Errno {
    if (this.#making) return false;
    const pending = this.#pendingFor(block);
    if (pending > 1) return true;
    const small = this.#now.small(block);
    if (isErrno(small)) return small;
    return small === 3 || small + pending > 1;
  }

  #pendingFor(block: number): number {
    let sum = 0;
    for (const { step, begin, end } of this.#pending) if (block >= begin && block < end) sum += step;
    return sum;
  }

  commit(): Errno | undefined {
    const failed = this.#now.commit();
    if (failed !== undefined) return failed;
    this.#before = this.#now.copyOfState();
    this.#taken = 0;
    return undefined;
  }
}
