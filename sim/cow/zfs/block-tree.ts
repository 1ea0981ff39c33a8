/**
 * The tree of blocks below a dnode, changed by path copying (module/zfs/dbuf.c, dnode_sync.c): new pointers are put in, ranges taken out, and
 * `settle` writes the indirect blocks on the way up, each once.
 *
 * Interface: a slot is a pointer as it is on the device, an indirect block that was changed since, or nothing (a hole). The tree never
 * writes in place, so whoever holds an older top pointer keeps the older tree.
 */
import { assert } from "../../core/assert.ts";
import { type Errno, isErrno } from "../../core/errno.ts";
import { allocatedSize, type BlockPointer } from "./block-pointer.ts";

/** What a tree needs of its object set. */
export interface TreeIo {
  /** log2 of the pointers in an indirect block. */
  readonly fanShift: number;
  readPointers(pointer: BlockPointer): readonly (BlockPointer | undefined)[] | Errno;
  /** @param ofData - whether the blocks at the bottom are a file's */
  writePointers(pointers: readonly (BlockPointer | undefined)[], level: number, ofData: boolean): BlockPointer | Errno;
  /** A block is no longer part of the tree. */
  kill(pointer: BlockPointer): void;
}

/** An indirect block that differs from the one on the device. */
interface Changed {
  readonly level: number;
  readonly slots: Slot[];
  /** The one that it replaces. */
  readonly old: BlockPointer | undefined;
}

type Slot = BlockPointer | Changed | undefined;

function isChanged(slot: Slot): slot is Changed {
  return slot !== undefined && "slots" in slot;
}

export class BlockTree {
  /** 1 for a tree of one data block. */
  levels: number;
  /** By how much the bytes allocated to the tree have changed. */
  usedDelta = 0;
  readonly #io: TreeIo;
  readonly #ofData: boolean;
  #top: Slot;

  constructor(io: TreeIo, top: BlockPointer | undefined, levels: number, ofData = false) {
    this.#io = io;
    this.#top = top;
    this.levels = levels;
    this.#ofData = ofData;
  }

  /** Makes the tree high enough for so many blocks. */
  raise(blocks: number): void {
    while (blocks > this.#reach) {
      if (this.#top !== undefined) this.#top = { level: this.levels, slots: [this.#top], old: undefined };
      this.levels += 1;
    }
  }

  /** Data blocks that a tree of this height can have. */
  get #reach(): number {
    const shift = this.#io.fanShift * (this.levels - 1);
    // A power costs ten times as much as a shift.
    return shift < 31 ? 1 << shift : 2 ** shift;
  }

  /** The pointer of a data block; one that the tree is not high enough for yet has none. */
  get(block: number): BlockPointer | undefined | Errno {
    if (block >= this.#reach) return undefined;
    let slot = this.#top;
    for (let level = this.levels - 1; level > 0 && slot !== undefined; level--) {
      const slots: readonly Slot[] | Errno = isChanged(slot) ? slot.slots : this.#io.readPointers(slot);
      if (isErrno(slots)) return slots;
      slot = slots[this.#indexOf(block, level)];
    }
    return slot as BlockPointer | undefined;
  }

  #indexOf(block: number, level: number): number {
    const fan = this.#io.fanShift;
    const shift = fan * (level - 1);
    // Shifts hold for 32 bits.
    if (block < 2 ** 32 && shift < 32) return (block >>> shift) & ((1 << fan) - 1);
    return Math.floor(block / 2 ** shift) % 2 ** fan;
  }

  /** Puts a data block's pointer in its place; the one that was there is no longer part of the tree. */
  set(block: number, pointer: BlockPointer | undefined): Errno | undefined {
    if (this.levels === 1) {
      assert(block === 0, "a tree of one level has one block");
      this.#drop(this.#top);
      this.#gain(pointer);
      this.#top = pointer;
      return undefined;
    }
    // A hole that is put in a hole's place is written all the same: the indirect blocks above are dirty.
    let changed = this.#open(this.#top, this.levels - 1);
    if (isErrno(changed)) return changed;
    this.#top = changed;
    for (let level = this.levels - 1; level > 1; level--) {
      const index = this.#indexOf(block, level);
      const below: Changed | Errno = this.#open(changed.slots[index], level - 1);
      if (isErrno(below)) return below;
      changed.slots[index] = below;
      changed = below;
    }
    const index = this.#indexOf(block, 1);
    this.#drop(changed.slots[index]);
    this.#gain(pointer);
    changed.slots[index] = pointer;
    return undefined;
  }

  /** Makes a slot one that can be changed. */
  #open(slot: Slot, level: number): Changed | Errno {
    if (isChanged(slot)) return slot;
    if (slot === undefined) return { level, slots: [], old: undefined };
    const pointers = this.#io.readPointers(slot);
    return isErrno(pointers) ? pointers : { level, slots: pointers.slice(), old: slot };
  }

  #gain(pointer: BlockPointer | undefined): void {
    if (pointer !== undefined) this.usedDelta += allocatedSize(pointer);
  }

  #drop(slot: Slot): void {
    if (slot === undefined || isChanged(slot)) return;
    this.usedDelta -= allocatedSize(slot);
    this.#io.kill(slot);
  }

  /** Takes the data blocks of [first, end) out. O(what is there). */
  punch(first: number, end: number): Errno | undefined {
    const left = this.#punch(this.#top, this.levels - 1, 0, { first, end });
    if (isErrno(left)) return left;
    this.#top = left;
    return undefined;
  }

  #punch(slot: Slot, level: number, base: number, range: { first: number; end: number }): Slot | Errno {
    const span = 2 ** (this.#io.fanShift * level);
    if (slot === undefined || base >= range.end || base + span <= range.first) return slot;
    if (level === 0) {
      this.#drop(slot);
      return undefined;
    }
    const changed = this.#open(slot, level);
    if (isErrno(changed)) return changed;
    let rest = 0;
    let different = isChanged(slot);
    const step = span / 2 ** this.#io.fanShift;
    for (let index = 0; index < changed.slots.length; index++) {
      const before = changed.slots[index];
      if (before === undefined) continue;
      const after = this.#punch(before, level - 1, base + index * step, range);
      if (isErrno(after)) return after;
      if (after !== before) different = true;
      changed.slots[index] = after;
      if (after !== undefined) rest += 1;
    }
    if (rest > 0) return different ? changed : slot;
    this.#drop(changed.old);
    return undefined;
  }

  /** Writes what changed. @returns the new top. */
  settle(): BlockPointer | undefined | Errno {
    const settled = this.#settle(this.#top);
    if (!isErrno(settled)) this.#top = settled;
    return settled;
  }

  #settle(slot: Slot): BlockPointer | undefined | Errno {
    if (!isChanged(slot)) return slot;
    const { slots } = slot;
    let used = 0;
    for (let index = 0; index < slots.length; index++) {
      const before = slots[index];
      // Most pointers stay as they are.
      const below = isChanged(before) ? this.#settle(before) : before;
      if (isErrno(below)) return below;
      if (below !== before || below === undefined) slots[index] = below;
      if (below !== undefined) used = index + 1;
    }
    if (slots.length !== used) slots.length = used;
    this.#drop(slot.old);
    if (used === 0) return undefined;
    // The list becomes the record's own: nothing holds the changed block from here on.
    const written = this.#io.writePointers(slots as (BlockPointer | undefined)[], slot.level, this.#ofData);
    if (!isErrno(written)) this.#gain(written);
    return written;
  }
}

/** Visits the pointers of a tree that were born after `since`, those on top first. O(what is visited). */
export function visitTree(
  io: Pick<TreeIo, "readPointers">,
  top: BlockPointer | undefined,
  since: number,
  visit: (pointer: BlockPointer) => void,
): Errno | undefined {
  if (top === undefined || top.birth <= since) return undefined;
  visit(top);
  if (top.level === 0) return undefined;
  const pointers = io.readPointers(top);
  if (isErrno(pointers)) return pointers;
  for (const pointer of pointers) {
    const failed = visitTree(io, pointer, since, visit);
    if (failed !== undefined) return failed;
  }
  return undefined;
}
