/**
 * Block groups: their bitmaps and descriptors (fs/ext4/balloc.c, ialloc.c).
 *
 * Interface: a group's bitmaps come into memory when they are first needed: from the device, or from the geometry when nothing was ever
 * written there (BLOCK_UNINIT, INODE_UNINIT). Block bitmaps here are those of mballoc's buddy: a freed block stays used in them until
 * the transaction that freed it commits, so that what replaces it cannot reach the disk before.
 */

import type { BlockDevice } from "../../block/device.ts";
import { type FreeBlocks, FreeRuns, fitted } from "../../block/free-runs.ts";
import { assert } from "../../core/assert.ts";
import { isErrno } from "../../core/errno.ts";
import type { Journal } from "./journal.ts";
import {
  BLOCKS_PER_GROUP,
  blockBitmapOf,
  blocksIn,
  DESCRIPTORS_PER_BLOCK,
  firstBlockOf,
  fixedBlocks,
  type Geometry,
  inodeBitmapOf,
  visitFixed,
} from "./layout.ts";
import { BLOCK_BITMAP, DESCRIPTORS, INODE_BITMAP } from "./packed-records.ts";
import type { Metadata, PackedWords } from "./packed-words.ts";
import { type BitmapRecord, type DescriptorsRecord, readRecord } from "./records.ts";
import { historyOf, Revisions } from "./revisions.ts";

/** Pairs of a bitmap's record that are few enough to be told again and again. */
const FEW_CHANGES = 32;

/** One bitmap of one group. */
export class GroupBitmap implements Metadata {
  readonly block: number;
  stamp = 0;
  /** What is free: a few runs, or the bits. Only to be searched: changes go through this object. */
  bits: FreeBlocks;
  /** BLOCK_BITMAP or INODE_BITMAP. */
  readonly #kind: number;
  readonly #group: number;
  /** What changed since the last record, in pairs as BitmapRecord.changes has them. */
  #changes: number[] = [];
  readonly #revisions = new Revisions();
  /** Numbers in the last whole record. */
  #whole = FEW_CHANGES;

  constructor(kind: number, group: number, block: number, size: number) {
    this.#kind = kind;
    this.#group = group;
    this.block = block;
    this.bits = new FreeRuns(size);
  }

  /** Takes free bits. */
  take(start: number, count: number): void {
    this.#change(start, count);
    this.#note(start, count);
  }

  /** Takes the first free bit. @returns undefined when there is none. */
  takeFirst(): number | undefined {
    const bit = this.bits.nextFree(0);
    if (bit !== undefined) this.take(bit, 1);
    return bit;
  }

  free(start: number, count: number): void {
    this.#change(start, -count);
    this.#note(start, -count);
  }

  /** Takes bits, or frees them when `count` is negative. */
  #change(start: number, count: number): void {
    const { bits } = this;
    if (count > 0) bits.take(start, count);
    else bits.free(start, -count);
    this.bits = fitted(bits);
  }

  /** Notes a change: as a part of the last one where it goes on with it, or takes its end back. */
  #note(start: number, count: number): void {
    const changes = this.#changes;
    const last = changes.length - 1;
    const before = last < 0 ? 0 : (changes[last] as number);
    const end = last < 0 ? -1 : (changes[last - 1] as number) + Math.abs(before);
    if (before > 0 === count > 0 ? end === start : end === start + Math.abs(count) && Math.abs(count) <= Math.abs(before)) {
      if (before + count !== 0) changes[last] = before + count;
      else changes.length -= 2;
    } else changes.push(start, count);
  }

  pack(into: PackedWords): number {
    const builds = this.#revisions.begin(into, this.#changes.length, this.#whole);
    const changes = builds ? this.#changes : this.#used();
    if (!builds) this.#whole = Math.max(FEW_CHANGES, changes.length);
    into.put(this.#group);
    into.putAll(changes);
    this.#changes.length = 0;
    return this.#kind;
  }

  /** The runs that are used: pairs of start and count. */
  #used(): number[] {
    const used: number[] = [];
    let last = 0;
    this.bits.visitFree((start, count) => {
      if (start > last) used.push(last, start - last);
      last = start + count;
    });
    if (last < this.bits.size) used.push(last, this.bits.size - last);
    return used;
  }

  /** Takes what the geometry says is used; no record needs to tell it. */
  reserve(start: number, count: number): void {
    this.#change(start, count);
  }

  /** Takes what a record says is used; nothing is yet. */
  load(record: BitmapRecord): void {
    for (const { changes } of historyOf(record))
      for (let at = 0; at < changes.length; at += 2) this.#change(changes[at] as number, changes[at + 1] as number);
  }
}

/** A block of 64 group descriptors. */
class DescriptorBlock implements Metadata {
  readonly block: number;
  stamp = 0;
  readonly #groups: Groups;
  readonly #first: number;
  /** The groups that changed since the last record. */
  readonly #changed: number[] = [];
  readonly #revisions = new Revisions();

  constructor(groups: Groups, index: number) {
    this.#groups = groups;
    this.block = 1 + index;
    this.#first = index * DESCRIPTORS_PER_BLOCK;
  }

  note(group: number): void {
    const changed = this.#changed;
    // Calls stay in one group for long.
    if (changed[changed.length - 1] === group || changed.includes(group)) return;
    changed.push(group);
  }

  pack(into: PackedWords): number {
    const builds = this.#revisions.begin(into, this.#changed.length, DESCRIPTORS_PER_BLOCK);
    const { freeBlocks, freeInodes, directories } = this.#groups;
    const told = builds ? this.#changed : this.#all();
    into.put(this.#first);
    into.put(told.length * 4);
    for (const group of told) {
      into.put(group);
      into.put(freeBlocks[group] as number);
      into.put(freeInodes[group] as number);
      into.put(directories[group] as number);
    }
    this.#changed.length = 0;
    return DESCRIPTORS;
  }

  #all(): number[] {
    const end = Math.min(this.#first + DESCRIPTORS_PER_BLOCK, this.#groups.freeBlocks.length);
    return Array.from({ length: end - this.#first }, (_, index) => this.#first + index);
  }
}

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
  /** Blocks freed in the running transaction, pairs of first block and count: used in the buddy, free by count. */
  #freed: number[] = [];
  /** How many blocks they are. */
  freedBlocks = 0;

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
    if (!this.#fill(made)) visitFixed(this.geometry, group, (start, count) => made.reserve(start, count));
    this.#blockBitmaps[group] = made;
    return made;
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
    const index = Math.floor(group / DESCRIPTORS_PER_BLOCK);
    const block = (this.#descriptors[index] ??= new DescriptorBlock(this, index));
    block.note(group);
    this.#journal.dirty(block);
  }

  /** Takes blocks of one group that are free. */
  take(group: number, start: number, count: number): void {
    this.blockBitmap(group).take(start, count);
    this.noteTaken(group, count);
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
    for (const [group, free] of this.freeBlocks.entries())
      assert(
        free <= (this.#mostFree[Math.floor(group / STRETCH)] as number),
        `group ${group} has more free blocks than its stretch`,
      );
  }

  /** The groups whose bitmaps are in memory. */
  visitLoaded(visit: (group: number) => void): void {
    for (const group of this.#blockBitmaps.keys()) if (this.#blockBitmaps[group] !== undefined) visit(group);
  }
}
