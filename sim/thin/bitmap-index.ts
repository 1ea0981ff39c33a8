/**
 * Where the bitmaps of a space map lie and how much is free in each (spec/block-cow.md §1.10): one index block for the metadata's own map,
 * a tree behind a small cache for the data's (drivers/md/persistent-data/dm-space-map-common.c, metadata_ll_* and disk_ll_*).
 */
import { type Errno, isErrno } from "../core/errno.ts";
import { BTree, type ValueType } from "./btree.ts";
import { insert } from "./btree-insert.ts";
import { get64, set64 } from "./metadata-block.ts";
import type { Transaction } from "./transaction.ts";

/** One bitmap's entry; 16 bytes on disk. */
export interface BitmapEntry {
  /** Where the bitmap lies. */
  block: number;
  /** Entries of it without a reference, those behind the end of the device included. */
  free: number;
  /** No entry before this one is free. */
  noneFreeBefore: number;
}

/** The index of one space map. */
export interface BitmapIndex {
  /** How many bitmaps it can hold. */
  readonly bitmapsMax: number;
  /** Where it lies. */
  readonly root: number;
  create(): Errno | undefined;
  open(root: number): Errno | undefined;
  load(bitmap: number, entry: BitmapEntry): Errno | undefined;
  save(bitmap: number, entry: Readonly<BitmapEntry>): Errno | undefined;
  /** Puts what was saved where `root` points to. */
  commit(): Errno | undefined;
  /** The index as it stands, for looking only. */
  copyOfState(): BitmapIndex;
}

const ENTRY_WORDS = 4;
/** Entries of the index block begin behind checksum, padding and the block's number. */
const INDEX_HEADER_WORDS = 4;

function getEntry(words: Uint32Array, at: number, entry: BitmapEntry): void {
  entry.block = get64(words, at);
  entry.free = words[at + 2] as number;
  entry.noneFreeBefore = words[at + 3] as number;
}

function setEntry(words: Uint32Array, at: number, entry: Readonly<BitmapEntry>): void {
  set64(words, at, entry.block);
  words[at + 2] = entry.free;
  words[at + 3] = entry.noneFreeBefore;
}

/** What the index block has behind the last bitmap. */
const NO_ENTRY = new Uint32Array(ENTRY_WORDS);

function isEmpty(words: Uint32Array, at: number): boolean {
  return ((words[at] as number) | (words[at + 1] as number) | (words[at + 2] as number) | (words[at + 3] as number)) === 0;
}

/** The metadata's own: at most 255 bitmaps, all in memory, written as one block. */
export class IndexBlock implements BitmapIndex {
  readonly bitmapsMax = 255;
  root = 0;
  readonly #tx: Transaction;
  /** Of the bitmaps that there are. */
  #entries: Uint32Array = new Uint32Array(0);
  /** A copy shares the entries until one of the two changes them. */
  #shared = false;
  #changed = false;

  constructor(tx: Transaction) {
    this.#tx = tx;
  }

  create(): Errno | undefined {
    const block = this.#tx.newBlock("index");
    if (isErrno(block)) return block;
    this.root = block.location;
    return undefined;
  }

  open(root: number): Errno | undefined {
    this.root = root;
    const block = this.#tx.read(root, "index");
    if (isErrno(block)) return block;
    let end = INDEX_HEADER_WORDS + this.bitmapsMax * ENTRY_WORDS;
    while (end > INDEX_HEADER_WORDS && isEmpty(block.words, end - ENTRY_WORDS)) end -= ENTRY_WORDS;
    this.#entries = block.words.slice(INDEX_HEADER_WORDS, end);
    return undefined;
  }

  load(bitmap: number, entry: BitmapEntry): Errno | undefined {
    const at = bitmap * ENTRY_WORDS;
    if (at < this.#entries.length) getEntry(this.#entries, at, entry);
    else getEntry(NO_ENTRY, 0, entry);
    return undefined;
  }

  save(bitmap: number, entry: Readonly<BitmapEntry>): Errno | undefined {
    const at = bitmap * ENTRY_WORDS;
    if (at >= this.#entries.length) {
      const longer = new Uint32Array(at + ENTRY_WORDS);
      longer.set(this.#entries);
      this.#entries = longer;
    } else if (this.#shared) this.#entries = this.#entries.slice();
    this.#shared = false;
    this.#changed = true;
    setEntry(this.#entries, at, entry);
    return undefined;
  }

  commit(): Errno | undefined {
    if (!this.#changed) return undefined;
    const block = this.#tx.shadow(this.root, "index");
    if (isErrno(block)) return block;
    // Taking the block may have changed an entry again: what is written is the state after that.
    block.words.set(this.#entries, INDEX_HEADER_WORDS);
    this.root = block.location;
    this.#changed = false;
    return undefined;
  }

  copyOfState(): IndexBlock {
    const copy = new IndexBlock(this.#tx);
    copy.root = this.root;
    copy.#entries = this.#entries;
    copy.#shared = true;
    this.#shared = true;
    return copy;
  }
}

const ENTRIES: ValueType = { size: 16 };
const CACHE_SLOTS = 64;

interface Slot extends BitmapEntry {
  /** Which bitmap's entry it is; -1: none. */
  bitmap: number;
  dirty: boolean;
}

/** The slot of a bitmap: its number times the prime 2^32 - 5, in 32 bits (dm_hash_block). */
function slotOf(bitmap: number, slots: number): number {
  return Math.imul(bitmap, -5) & (slots - 1);
}

/** The data's: a tree of entries, the last used of which wait in 64 slots until they are displaced or committed. */
export class IndexTree implements BitmapIndex {
  readonly bitmapsMax: number = Number.MAX_SAFE_INTEGER;
  readonly #tx: Transaction;
  readonly #tree: BTree;
  readonly #slots: readonly Slot[];
  #changed = false;

  constructor(tx: Transaction, slots: number = CACHE_SLOTS) {
    this.#tx = tx;
    const empty: Slot[] = [];
    while (empty.length < slots) empty.push(emptySlot());
    this.#slots = empty;
    this.#tree = new BTree(tx, ENTRIES);
  }

  get root(): number {
    return this.#tree.root;
  }

  create(): Errno | undefined {
    return this.#tree.create();
  }

  open(root: number): Errno | undefined {
    this.#tree.root = root;
    return undefined;
  }

  load(bitmap: number, entry: BitmapEntry): Errno | undefined {
    const slot = this.#slots[slotOf(bitmap, this.#slots.length)] as Slot;
    if (slot.bitmap !== bitmap) {
      const failed = this.#writeBack(slot);
      if (failed !== undefined) return failed;
      const hit = this.#tree.find(bitmap);
      if (isErrno(hit)) return hit;
      getEntry(hit.words, hit.valueAt, slot);
      slot.bitmap = bitmap;
    }
    entry.block = slot.block;
    entry.free = slot.free;
    entry.noneFreeBefore = slot.noneFreeBefore;
    return undefined;
  }

  /** The entry of a bitmap where it waits in its slot, changed since the last commit: it may be changed in place. */
  waiting(bitmap: number): BitmapEntry | undefined {
    const slot = this.#slots[slotOf(bitmap, this.#slots.length)] as Slot;
    return slot.bitmap === bitmap && slot.dirty ? slot : undefined;
  }

  save(bitmap: number, entry: Readonly<BitmapEntry>): Errno | undefined {
    const slot = this.#slots[slotOf(bitmap, this.#slots.length)] as Slot;
    this.#changed = true;
    if (slot.bitmap !== bitmap) {
      const failed = this.#writeBack(slot);
      if (failed !== undefined) return failed;
    }
    slot.bitmap = bitmap;
    slot.dirty = true;
    slot.block = entry.block;
    slot.free = entry.free;
    slot.noneFreeBefore = entry.noneFreeBefore;
    return undefined;
  }

  #writeBack(slot: Slot): Errno | undefined {
    if (!slot.dirty) return undefined;
    slot.dirty = false;
    const value = new Uint32Array(ENTRY_WORDS);
    setEntry(value, 0, slot);
    return insert(this.#tree, slot.bitmap, value);
  }

  commit(): Errno | undefined {
    if (!this.#changed) return undefined;
    for (const slot of this.#slots) {
      const failed = this.#writeBack(slot);
      if (failed !== undefined) return failed;
    }
    this.#changed = false;
    return undefined;
  }

  copyOfState(): IndexTree {
    // After a commit the tree holds every entry; one slot serves a search that goes from bitmap to bitmap.
    const copy = new IndexTree(this.#tx, 1);
    copy.#tree.root = this.#tree.root;
    return copy;
  }
}

function emptySlot(): Slot {
  return { bitmap: -1, dirty: false, block: 0, free: 0, noneFreeBefore: 0 };
}
