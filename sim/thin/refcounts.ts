/**
 * How often each block is referenced, on disk: bitmaps of two bits a block, an index of the bitmaps, and a tree of the counts above two
 * (spec/block-cow.md §1.10; drivers/md/persistent-data/dm-space-map-common.c, where it is called ll_disk).
 *
 * Interface:
 * - Every change copies the bitmap that it touches into a new block, unless this transaction made that bitmap: counting references takes
 *   blocks itself. Who counts the metadata blocks themselves must therefore expect to be asked again from within (metadata-space.ts).
 * - `copyOfState` is the map as it stood: its bitmaps are never written again, so that it goes on being readable.
 */

import { assert } from "../core/assert.ts";
import { EINVAL, EIO, ENODATA, ENOSPC, type Errno, isErrno } from "../core/errno.ts";
import {
  BITMAP_ENTRIES,
  endOfMany,
  entryAt,
  firstFree,
  nextUsed,
  setBitmapEntry,
  stepWord,
  usedEntries,
} from "./bitmap-entries.ts";
import type { BitmapEntry, BitmapIndex } from "./bitmap-index.ts";
import { BTree, type ValueType } from "./btree.ts";
import { changeValues } from "./btree-change.ts";
import { insert } from "./btree-insert.ts";
import { countOf, keyAt, valueAt } from "./btree-node.ts";
import { remove } from "./btree-remove.ts";
import { FoundCounts } from "./found-counts.ts";
import { get64, METADATA_BLOCK_SIZE, type MetadataBlock, set64 } from "./metadata-block.ts";
import type { Transaction } from "./transaction.ts";

const COUNTS: ValueType = { size: 4 };

/** The lowest count that the tree has. */
const MANY = 3;
const incremented = (count: number): number => count + 1;
const decremented = (count: number): number | undefined => (count === MANY ? undefined : count - 1);

/** A bitmap in which everything is free. */
const NOTHING_USED = new Uint32Array(METADATA_BLOCK_SIZE / 4);

export class Refcounts {
  /** Blocks that are counted. */
  blocks = 0;
  /** Blocks with a count above 0. */
  allocated = 0;
  /** How many more blocks than before the last change of counts have one; what a change of counts adds. */
  allocations = 0;
  readonly index: BitmapIndex;
  readonly #tx: Transaction;
  readonly #big: BTree;
  readonly #entry: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
  /** The entry of the bitmap whose counts are being changed: one at a time, what comes from within is put off. */
  readonly #changing: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
  /** A copy that never changes remembers the bitmap that it was asked for last. */
  #frozen = false;
  #lastBitmap = -1;
  #lastWords: Uint32Array = NOTHING_USED;

  constructor(tx: Transaction, index: BitmapIndex) {
    this.#tx = tx;
    this.index = index;
    this.#big = new BTree(tx, COUNTS);
  }

  /** An empty map of no blocks. */
  create(): Errno | undefined {
    return this.index.create() ?? this.#big.create();
  }

  /** The map that a root of the superblock describes: blocks, allocated, the index's root, the root of the tree of counts. */
  open(words: Uint32Array, at: number): Errno | undefined {
    this.blocks = get64(words, at);
    this.allocated = get64(words, at + 2);
    this.#big.root = get64(words, at + 6);
    return this.index.open(get64(words, at + 4));
  }

  /** Writes the root as the superblock holds it. */
  saveRoot(words: Uint32Array, at: number): void {
    set64(words, at, this.blocks);
    set64(words, at + 2, this.allocated);
    set64(words, at + 4, this.index.root);
    set64(words, at + 6, this.#big.root);
  }

  /** The root of the tree of the counts above two. */
  get bigRoot(): number {
    return this.#big.root;
  }

  /** The map as it stands now, for looking only. */
  copyOfState(): Refcounts {
    const copy = new Refcounts(this.#tx, this.index.copyOfState());
    copy.blocks = this.blocks;
    copy.allocated = this.allocated;
    copy.#big.root = this.#big.root;
    copy.#frozen = true;
    return copy;
  }

  /** Counts more blocks, all of them free. @returns EINVAL beyond what the index can hold, ENOSPC. */
  extend(extra: number): Errno | undefined {
    const before = Math.ceil(this.blocks / BITMAP_ENTRIES);
    const after = Math.ceil((this.blocks + extra) / BITMAP_ENTRIES);
    if (after > this.index.bitmapsMax) return EINVAL;
    this.blocks += extra;
    for (let bitmap = before; bitmap < after; bitmap++) {
      const block = this.#tx.newBlock("bitmap");
      if (isErrno(block)) return block;
      const failed = this.index.save(bitmap, { block: block.location, free: BITMAP_ENTRIES, noneFreeBefore: 0 });
      if (failed !== undefined) return failed;
    }
    return undefined;
  }

  /** What the bitmaps alone say: 3 for any count above two. */
  small(block: number): number | Errno {
    if (block >= this.blocks) return EINVAL;
    const words = this.#bitmapOf(block);
    return isErrno(words) ? words : entryAt(words, block % BITMAP_ENTRIES);
  }

  count(block: number): number | Errno {
    const small = this.small(block);
    if (isErrno(small) || small < 3) return small;
    const hit = this.#big.find(block);
    return isErrno(hit) ? hit : (hit.words[hit.valueAt] as number);
  }

  #bitmapOf(block: number): Uint32Array | Errno {
    const entry = this.#entry;
    const failed = this.index.load(Math.floor(block / BITMAP_ENTRIES), entry);
    if (failed !== undefined) return failed;
    const bitmap = this.#tx.read(entry.block, "bitmap");
    return isErrno(bitmap) ? bitmap : bitmap.words;
  }

  /** What a bitmap says; nothing is used where there is none yet. */
  wordsOf(bitmap: number): Uint32Array | Errno {
    if (bitmap === this.#lastBitmap) return this.#lastWords;
    if (bitmap * BITMAP_ENTRIES >= this.blocks) return NOTHING_USED;
    const words = this.#bitmapOf(bitmap * BITMAP_ENTRIES);
    if (isErrno(words) || !this.#frozen) return words;
    this.#lastBitmap = bitmap;
    this.#lastWords = words;
    return words;
  }

  /** The first block from `begin` on that is free here and was free in `before`. @returns ENOSPC. */
  findFreeInBoth(before: Refcounts, begin: number): number | Errno {
    const end = Math.ceil(this.blocks / BITMAP_ENTRIES);
    const lastEntries = this.blocks % BITMAP_ENTRIES || BITMAP_ENTRIES;
    const entry = this.#entry;
    let from = begin % BITMAP_ENTRIES;
    for (let bitmap = Math.floor(begin / BITMAP_ENTRIES); bitmap < end; bitmap++, from = 0) {
      const failed = this.index.load(bitmap, entry);
      if (failed !== undefined) return failed;
      if (entry.free === 0) continue;
      const first = Math.max(from, entry.noneFreeBefore);
      const block = this.#tx.read(entry.block, "bitmap");
      if (isErrno(block)) return block;
      const old = before.wordsOf(bitmap);
      if (isErrno(old)) return old;
      const found = firstFree(block.words, old, first, bitmap === end - 1 ? lastEntries : BITMAP_ENTRIES);
      if (found >= 0) return bitmap * BITMAP_ENTRIES + found;
    }
    return ENOSPC;
  }

  /** Counts the first reference of the block that `findFreeInBoth` has just found. @returns ENOSPC. */
  takeFound(block: number): Errno | undefined {
    // The search has left the entry of the block's bitmap there.
    const entry = this.#entry;
    const bitmap = this.#tx.shadow(entry.block, "bitmap");
    if (isErrno(bitmap)) return bitmap;
    entry.block = bitmap.location;
    this.allocations = 0;
    this.takeFirst(bitmap.words, block % BITMAP_ENTRIES, entry);
    return this.index.save(Math.floor(block / BITMAP_ENTRIES), entry);
  }

  /** The bitmap that `findFreeInBoth` has just found a block in, which `takeFound` has made this transaction's. */
  get found(): MetadataBlock | undefined {
    return this.#tx.blocks.known(this.#entry.block);
  }

  /** Counts the first reference of an entry of a bitmap that is this transaction's alone. */
  takeFirst(words: Uint32Array, at: number, entry: BitmapEntry): void {
    setBitmapEntry(words, at, 1);
    this.allocations += 1;
    this.allocated += 1;
    entry.free -= 1;
    if (entry.noneFreeBefore === at) entry.noneFreeBefore = at + 1;
  }

  /** One reference more for each block of [begin, end). */
  inc(begin: number, end: number): Errno | undefined {
    return this.#change(begin, end, 1);
  }

  /** One reference less for each block of [begin, end). @returns EINVAL where there is none. */
  dec(begin: number, end: number): Errno | undefined {
    return this.#change(begin, end, -1);
  }

  #change(begin: number, end: number, step: 1 | -1): Errno | undefined {
    this.allocations = 0;
    for (let block = begin; block < end; ) {
      const index = Math.floor(block / BITMAP_ENTRIES);
      const stop = Math.min(end, (index + 1) * BITMAP_ENTRIES);
      const failed = this.#changeInBitmap(index, { begin: block, end: stop }, step);
      if (failed !== undefined) return failed;
      block = stop;
    }
    return undefined;
  }

  /**
   * Changes the counts of blocks that one bitmap tells about. The entry of the index is taken before and put back after, as the kernel
   * does: counting the blocks that the change itself takes goes through other bitmaps or is put off.
   */
  #changeInBitmap(index: number, range: { readonly begin: number; readonly end: number }, step: 1 | -1): Errno | undefined {
    const entry = this.#changing;
    const failed = this.index.load(index, entry);
    if (failed !== undefined) return failed;
    const bitmap = this.#tx.shadow(entry.block, "bitmap");
    if (isErrno(bitmap)) return bitmap;
    entry.block = bitmap.location;
    const first = index * BITMAP_ENTRIES;
    for (let block = range.begin; block < range.end; ) {
      const at = block - first;
      if ((at & 15) === 0 && block + 16 <= range.end && this.#changeWord(bitmap.words, at, { entry, step })) {
        block += 16;
        continue;
      }
      const many = first + endOfMany(bitmap.words, at, range.end - first);
      const changed = many > block ? this.#changeMany(block, many, step) : 0;
      if (isErrno(changed)) return changed;
      block += changed;
      if (changed > 0) continue;
      const wrong = step === 1 ? this.#incOne(bitmap, block, entry) : this.#decOne(bitmap, block, entry);
      if (wrong !== undefined) return wrong;
      block += 1;
    }
    return this.index.save(index, entry);
  }

  /** As sixteen single changes, where the word of these entries can be changed at once. @returns whether it could. */
  #changeWord(words: Uint32Array, at: number, { entry, step }: { readonly entry: BitmapEntry; readonly step: 1 | -1 }): boolean {
    const old = stepWord(words, at, step);
    if (old < 0) return false;
    if (old !== 0 && old + step !== 0) return true;
    this.allocations += 16 * step;
    this.allocated += 16 * step;
    entry.free -= 16 * step;
    if (step < 0) entry.noneFreeBefore = Math.min(entry.noneFreeBefore, at);
    else if (entry.noneFreeBefore >= at && entry.noneFreeBefore < at + 16) entry.noneFreeBefore = at + 16;
    return true;
  }

  /**
   * Changes counts above two that stay so, of blocks that follow each other.
   * @returns how many, 0 where the first would not; EINVAL where the tree lacks it.
   */
  #changeMany(begin: number, end: number, step: 1 | -1): number | Errno {
    return changeValues(this.#big, begin, end, step === 1 ? incremented : decremented);
  }

  #incOne(bitmap: MetadataBlock, block: number, entry: BitmapEntry): Errno | undefined {
    const at = block % BITMAP_ENTRIES;
    const old = entryAt(bitmap.words, at);
    if (old === 0) {
      this.takeFirst(bitmap.words, at, entry);
      return undefined;
    }
    setBitmapEntry(bitmap.words, at, old + 1);
    return old === 2 ? insert(this.#big, block, Uint32Array.of(3)) : undefined;
  }

  #decOne(bitmap: MetadataBlock, block: number, entry: BitmapEntry): Errno | undefined {
    const at = block % BITMAP_ENTRIES;
    const old = entryAt(bitmap.words, at);
    if (old === 0) return EINVAL;
    // A count of three leaves the tree (#changeMany).
    const failed = old === 3 ? remove(this.#big, block) : undefined;
    if (failed !== undefined) return failed;
    setBitmapEntry(bitmap.words, at, old - 1);
    if (old === 1) {
      this.allocations -= 1;
      this.allocated -= 1;
      entry.free += 1;
      entry.noneFreeBefore = Math.min(entry.noneFreeBefore, at);
    }
    return undefined;
  }

  /** Sets the index's root right for what was saved in it. */
  commit(): Errno | undefined {
    return this.index.commit();
  }

  /** Adds the count of each block to what is known. @returns an error of reading: what comes behind it lacks. O(bitmaps + blocks in use). */
  addTo(counts: FoundCounts): Errno | undefined {
    const many = this.#many();
    if (isErrno(many)) return many;
    const entry: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
    for (let index = 0; index * BITMAP_ENTRIES < this.blocks; index++) {
      const failed = this.index.load(index, entry);
      if (failed !== undefined) return failed;
      const bitmap = this.#tx.read(entry.block, "bitmap");
      if (isErrno(bitmap)) return bitmap;
      const { words } = bitmap;
      const first = index * BITMAP_ENTRIES;
      let wrong: Errno | undefined;
      for (let at = nextUsed(words, 0); at >= 0; at = nextUsed(words, at + 1)) {
        const small = entryAt(words, at);
        const count = small < MANY ? small : many.of(first + at);
        if (count > 0) counts.add(first + at, count);
        else wrong ??= ENODATA;
      }
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** The counts above two, as the tree has them. */
  #many(): FoundCounts | Errno {
    const counts = new FoundCounts();
    const failed = this.#big.visitLeaves((words) => {
      for (let index = 0; index < countOf(words); index++)
        counts.add(keyAt(words, index), words[valueAt(words, index)] as number);
    });
    return failed ?? counts;
  }

  /** The first block of [begin, end) without a reference; -1 when all have one. A bitmap is looked for once. @returns EINVAL behind the last block, an error of reading. */
  firstUnused(begin: number, end: number): number | Errno {
    if (end > this.blocks) return EINVAL;
    for (let block = begin; block < end; ) {
      const words = this.#bitmapOf(block);
      if (isErrno(words)) return words;
      const first = block - (block % BITMAP_ENTRIES);
      const stop = Math.min(end, first + BITMAP_ENTRIES);
      const free = firstFree(words, NOTHING_USED, block - first, stop - first);
      if (free >= 0) return first + free;
      block = stop;
    }
    return -1;
  }

  /** Throws an InvariantError when the index's figures are not what the bitmaps say; nothing where they cannot be read. O(blocks). */
  check(name: string): void {
    const entry: BitmapEntry = { block: 0, free: 0, noneFreeBefore: 0 };
    let used = 0;
    for (let index = 0; index * BITMAP_ENTRIES < this.blocks; index++) {
      const failed = this.index.load(index, entry);
      if (failed === EIO) return;
      assert(failed === undefined, `${name}: no entry for bitmap ${index}`);
      const bitmap = this.#tx.read(entry.block, "bitmap");
      if (bitmap === EIO) return;
      assert(!isErrno(bitmap), `${name}: bitmap ${index} is none`);
      const free = BITMAP_ENTRIES - usedEntries(bitmap.words);
      // The kernel counts entries behind the end of the device as free, an image of thin_restore does not.
      const behind = Math.max(0, (index + 1) * BITMAP_ENTRIES - this.blocks);
      const first = firstFree(bitmap.words, NOTHING_USED, 0, BITMAP_ENTRIES);
      assert(
        free === entry.free || free - behind === entry.free,
        `${name}: bitmap ${index} has ${free} free entries, its index says ${entry.free}`,
      );
      assert(first < 0 || first >= entry.noneFreeBefore, `${name}: a free entry ${first} before ${entry.noneFreeBefore}`);
      used += BITMAP_ENTRIES - free;
    }
    assert(used === this.allocated, `${name}: ${used} blocks have references, counted ${this.allocated}`);
  }
}
