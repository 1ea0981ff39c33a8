/**
 * Block groups: their bitmaps and descriptors (fs/ext4/balloc.c, ialloc.c).
 *
 * Interface: a group's bitmaps come into memory when they are first needed: from the device, or from the geometry when nothing was ever
 * written there (BLOCK_UNINIT, INODE_UNINIT). Block bitmaps here are those of mballoc's buddy: a freed block stays used in them until
 * the transaction that freed it commits, so that what replaces it cannot reach the disk before.
 */

import type { BlockDevice } from "../../block/device.ts";
import { assert, InvariantError } from "../../core/assert.ts";
import { isErrno } from "../../core/errno.ts";
import { GroupBitmap, UsedBitmaps } from "./group-bitmap.ts";
import { DescriptorBlock } from "./group-descriptors.ts";
import type { Journal } from "./journal.ts";
import {
  BLOCKS_PER_GROUP,
  blockBitmapOf,
  blocksIn,
  DESCRIPTORS_PER_BLOCK,
  firstBlockOf,
  fixedBlocks,
  type Geometry,
  gapsOf,
  inodeBitmapOf,
  unfixedFrom,
  visitFixed,
} from "./layout.ts";
import { BLOCK_BITMAP, INODE_BITMAP } from "./packed-records.ts";
import { type DescriptorsRecord, readRecord } from "./records.ts";
import { historyOf } from "./revisions.ts";

/** Groups that are passed over at once when none of them has enough. */
const STRETCH = 64;

export class Groups {
  readonly geometry: Geometry;
  readonly freeBlocks: Int32Array;
  readonly freeInodes: Int32Array;
  readonly directories: Int32Array;
  /** Of each stretch of groups, what none of them has more free blocks than. */
  readonly #mostFree: Int32Array;
  readonly #device: BlockDevice;
  readonly #journal: Journal;
  readonly #blockBitmaps: (GroupBitmap | undefined)[];
  readonly #inodeBitmaps: (GroupBitmap | undefined)[];
  readonly #descriptors: (DescriptorBlock | undefined)[];
  /** Of each group: 1 when all its blocks are used and no bitmap in memory tells it. */
  readonly #wholly: Uint8Array;
  /** What was last taken whole; those of the running transaction have its stamp. */
  #taken: UsedBitmaps[] = [];
  /** Blocks freed in the running transaction, pairs of first block and count: used in the buddy, free by count. */
  #freed: number[] = [];
  /** How many blocks they are. */
  freedBlocks = 0;
  /** Hears of each group whose free blocks are others now. */
  onChange: ((group: number) => void) | undefined;

  constructor(geometry: Geometry, device: BlockDevice, journal: Journal) {
    this.geometry = geometry;
    this.#device = device;
    this.#journal = journal;
    this.freeBlocks = new Int32Array(geometry.groups);
    this.#mostFree = new Int32Array(Math.ceil(geometry.groups / STRETCH)).fill(BLOCKS_PER_GROUP);
    this.freeInodes = new Int32Array(geometry.groups).fill(geometry.inodesPerGroup);
    this.directories = new Int32Array(geometry.groups);
    this.#blockBitmaps = new Array(geometry.groups);
    this.#inodeBitmaps = new Array(geometry.groups);
    this.#descriptors = new Array(geometry.descriptorBlocks);
    this.#wholly = new Uint8Array(geometry.groups);
  }

  /** The first group from one on, and before `end`, that has so many free blocks; -1: none has. Stretches of full groups cost one look. */
  nextWith(wanted: number, from: number, end: number): number {
    const { freeBlocks } = this;
    for (let group = from; group < end; ) {
      const stretch = Math.floor(group / STRETCH);
      const next = (stretch + 1) * STRETCH;
      if ((this.#mostFree[stretch] as number) < wanted) {
        group = next;
        continue;
      }
      const isWhole = group === stretch * STRETCH && next <= end;
      let most = 0;
      for (const to = Math.min(next, end); group < to; group++) {
        const free = freeBlocks[group] as number;
        if (free >= wanted) return group;
        if (free > most) most = free;
      }
      if (isWhole) this.#mostFree[stretch] = most;
    }
    return -1;
  }

  /** Fills the counts of a block's groups as mkfs finds them. */
  fresh(index: number): void {
    const first = index * DESCRIPTORS_PER_BLOCK;
    const end = Math.min(first + DESCRIPTORS_PER_BLOCK, this.geometry.groups);
    for (let group = first; group < end; group++)
      this.freeBlocks[group] = blocksIn(this.geometry, group) - fixedBlocks(this.geometry, group);
  }

  /** Fills the counts from a block of descriptors. */
  load(index: number, record: DescriptorsRecord): void {
    this.fresh(index);
    for (const { changes } of historyOf(record)) {
      for (let at = 0; at < changes.length; at += 4) {
        const group = changes[at] as number;
        this.freeBlocks[group] = changes[at + 1] as number;
        this.freeInodes[group] = changes[at + 2] as number;
        this.directories[group] = changes[at + 3] as number;
      }
    }
  }

  blockBitmap(group: number): GroupBitmap {
    return this.#blockBitmaps[group] ?? this.#loadBlockBitmap(group);
  }
  inodeBitmap(group: number): GroupBitmap {
    return this.#inodeBitmaps[group] ?? this.#loadInodeBitmap(group);
  }

  #loadBlockBitmap(group: number): GroupBitmap {
    const made = new GroupBitmap(BLOCK_BITMAP, group, blockBitmapOf(this.geometry, group), blocksIn(this.geometry, group));
    this.#blockBitmaps[group] = made;
    if (this.#wholly[group] === 1) this.#singleOut(group, made);
    else if (!this.#fill(made)) visitFixed(this.geometry, group, (start, count) => made.reserve(start, count));
    return made;
  }

  /** A bitmap is told by itself from now on, by the running transaction too. */
  #singleOut(group: number, bitmap: GroupBitmap): void {
    this.#wholly[group] = 0;
    bitmap.reserve(0, BLOCKS_PER_GROUP);
    const isOf = (run: UsedBitmaps): boolean => group >= run.group && group < run.group + run.count;
    const run = this.#taken.find((taken) => taken.stamp === this.#journal.sequence && isOf(taken));
    if (run === undefined) return;
    const parts = run.without(group);
    this.#journal.replaceRun(run, parts);
    this.#taken = [...this.#taken.filter((taken) => taken !== run), ...parts];
    this.#journal.dirty(bitmap);
  }

  #loadInodeBitmap(group: number): GroupBitmap {
    const made = new GroupBitmap(INODE_BITMAP, group, inodeBitmapOf(this.geometry, group), this.geometry.inodesPerGroup);
    this.#fill(made);
    this.#inodeBitmaps[group] = made;
    return made;
  }

  /** Takes what the device says is used. @returns false when it holds no bitmap there. */
  #fill(bitmap: GroupBitmap): boolean {
    const record = readRecord(this.#device, bitmap.block);
    if (record === undefined || isErrno(record)) return false;
    if (record.kind !== "ext4.blockBitmap" && record.kind !== "ext4.inodeBitmap") return false;
    bitmap.load(record);
    return true;
  }

  /** The group's descriptor changes with this transaction. */
  dirtyDescriptor(group: number): void {
    this.#dirtyDescriptors(group, group + 1);
  }

  /** The descriptors of groups that follow each other do. */
  #dirtyDescriptors(first: number, end: number): void {
    for (let group = first; group < end; ) {
      const index = Math.floor(group / DESCRIPTORS_PER_BLOCK);
      const block = (this.#descriptors[index] ??= new DescriptorBlock(this, index));
      group = block.note(group, end);
      this.#journal.dirty(block);
    }
  }

  /** Takes blocks of one group that are free. */
  take(group: number, start: number, count: number): void {
    this.blockBitmap(group).take(start, count);
    this.onChange?.(group);
    this.noteTaken(group, count);
  }

  /** Whether a group has all its blocks free and no bitmap in memory: whatever its bitmap on the device is, nothing in it is used. */
  isWhole(group: number): boolean {
    return this.freeBlocks[group] === BLOCKS_PER_GROUP && this.#blockBitmaps[group] === undefined;
  }

  /** Whether such a group begins at a block. */
  beginsWhole(block: number): boolean {
    return block % BLOCKS_PER_GROUP === 0 && this.isWhole(block / BLOCKS_PER_GROUP);
  }

  /** How many groups from one on, `most` at most, are whole. */
  wholeFrom(group: number, most: number): number {
    const end = Math.min(group + most, this.freeBlocks.length);
    let at = group;
    while (at < end && this.isWhole(at)) at += 1;
    return at - group;
  }

  /** How many blocks of a group are free from one on: without its bitmap where the geometry tells. */
  freeFrom(group: number, from: number): number {
    const unfixed = unfixedFrom(this.geometry, group, from);
    if (unfixed === 0 || (this.#blockBitmaps[group] === undefined && this.#isFresh(group))) return unfixed;
    const { bits } = this.blockBitmap(group);
    return bits.isFree(from) ? bits.nextUsed(from) - from : 0;
  }

  /** Whether so many blocks of a group are free as mkfs leaves it: then they are the same ones. */
  #isFresh(group: number): boolean {
    return this.freeBlocks[group] === blocksIn(this.geometry, group) - fixedBlocks(this.geometry, group);
  }

  /** Visits the free runs of a group that is as mkfs leaves it, and has no bitmap in memory. @returns false: it is another */
  visitFresh(group: number, visit: (start: number, count: number) => void): boolean {
    if (this.#wholly[group] === 1) return true;
    if (this.#blockBitmaps[group] !== undefined || !this.#isFresh(group)) return false;
    const gaps = gapsOf(this.geometry, group);
    for (let at = 0; at < gaps.length; at += 2) visit(gaps[at] as number, (gaps[at + 1] as number) - (gaps[at] as number));
    return true;
  }

  /** Takes all blocks of groups that `wholeFrom` told of. */
  takeWhole(group: number, count: number): void {
    const { geometry } = this;
    const end = group + count;
    this.freeBlocks.fill(0, group, end);
    this.#wholly.fill(1, group, end);
    if (this.#taken[0]?.stamp !== this.#journal.sequence) this.#taken.length = 0;
    // Between groups whose bitmaps lie apart is one that holds bitmaps and is not free as a whole.
    const home = blockBitmapOf(geometry, group);
    assert(blockBitmapOf(geometry, end - 1) === home + count - 1, `bitmaps of ${count} groups from ${group} on lie apart`);
    const run = new UsedBitmaps(home, group, count);
    this.#journal.dirtyRun(run);
    this.#taken.push(run);
    if (this.onChange !== undefined) for (let one = group; one < end; one++) this.onChange(one);
    this.#dirtyDescriptors(group, end);
  }

  /** Books blocks that were taken from a group's bitmap. */
  noteTaken(group: number, count: number): void {
    this.freeBlocks[group] = (this.freeBlocks[group] as number) - count;
    this.#journal.dirty(this.blockBitmap(group));
    this.dirtyDescriptor(group);
  }

  /** Gives blocks of one group back: they can be taken again after the commit. */
  free(group: number, start: number, count: number): void {
    this.#freed.push(group, start, count);
    this.freedBlocks += count;
    const free = (this.freeBlocks[group] as number) + count;
    this.freeBlocks[group] = free;
    const stretch = Math.floor(group / STRETCH);
    if (free > (this.#mostFree[stretch] as number)) this.#mostFree[stretch] = free;
    this.#journal.dirty(this.blockBitmap(group));
    this.dirtyDescriptor(group);
  }

  /**
   * Takes one block that the running transaction freed, for metadata alone: that reaches its place after the commit, when what the block
   * held is gone for good. @returns 0 when there is none.
   */
  takeFreed(): number {
    const freed = this.#freed;
    if (freed.length === 0) return 0;
    const [group, start, count] = freed.slice(-3) as [number, number, number];
    if (count === 1) freed.length -= 3;
    else freed[freed.length - 1] = count - 1;
    this.freedBlocks -= 1;
    this.noteTaken(group, 1);
    return firstBlockOf(group) + start + count - 1;
  }

  /** What the running transaction freed is free from now on: called as it commits. @param visit - is told each run. */
  settleFreed(visit?: (block: number, count: number) => void): void {
    const freed = this.#freed;
    if (freed.length === 0) return;
    for (let at = 0; at < freed.length; at += 3) {
      const [group, start, count] = [freed[at] as number, freed[at + 1] as number, freed[at + 2] as number];
      this.blockBitmap(group).free(start, count);
      this.onChange?.(group);
      visit?.(firstBlockOf(group) + start, count);
    }
    this.#freed = [];
    this.freedBlocks = 0;
  }

  /** Blocks of a group that wait for the commit. */
  freedIn(group: number): number {
    let count = 0;
    for (let at = 0; at < this.#freed.length; at += 3) if (this.#freed[at] === group) count += this.#freed[at + 2] as number;
    return count;
  }

  /** Throws an InvariantError when a stretch has a group with more free blocks than it says. */
  check(): void {
    for (let group = 0; group < this.freeBlocks.length; group++) {
      const free = this.freeBlocks[group] as number;
      if (free > (this.#mostFree[Math.floor(group / STRETCH)] as number))
        throw new InvariantError(`group ${group} has more free blocks than its stretch`);
      if (this.#wholly[group] === 0) continue;
      assert(free === 0, `group ${group} is wholly used and counts ${free} free blocks`);
      assert(this.#blockBitmaps[group] === undefined, `group ${group} is wholly used and has a bitmap in memory`);
    }
  }

  /** The groups all of whose blocks are used without a bitmap in memory that tells it. */
  visitWhole(visit: (group: number) => void): void {
    for (let group = 0; group < this.#wholly.length; group++) if (this.#wholly[group] === 1) visit(group);
  }

  /** The groups whose bitmaps are in memory. */
  visitLoaded(visit: (group: number) => void): void {
    for (const group of this.#blockBitmaps.keys()) if (this.#blockBitmaps[group] !== undefined) visit(group);
  }
}
