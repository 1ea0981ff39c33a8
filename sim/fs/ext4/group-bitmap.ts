/**
 * A group's bitmap of blocks or inodes, and the bitmaps of groups that became wholly used.
 *
 * Interface: a bitmap is searched through `bits` and changed through itself, so that its next record tells what changed.
 */
import { type FreeBlocks, FreeRuns, fitted } from "../../block/free-runs.ts";
import { packUsed } from "./packed-records.ts";
import type { Metadata, MetadataRun, PackedWords } from "./packed-words.ts";
import type { BitmapRecord } from "./records.ts";
import { historyOf, Revisions } from "./revisions.ts";

/** Pairs of a bitmap's record that are few enough to be told again and again. */
const FEW_CHANGES = 32;

/** What most bitmaps have to tell: shared, and never put into. */
const NO_CHANGES: number[] = [];

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
  #changes: number[] = NO_CHANGES;
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
    if (last < 0) {
      this.#changes = [start, count];
      return;
    }
    const before = changes[last] as number;
    const end = (changes[last - 1] as number) + Math.abs(before);
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
    this.#changes = NO_CHANGES;
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

/**
 * The block bitmaps of groups that follow each other, all of whose blocks one transaction took: what a large file does to whole groups costs the
 * same for one and for sixteen.
 */
export class UsedBitmaps implements MetadataRun {
  readonly block: number;
  stamp = 0;
  readonly group: number;
  readonly count: number;

  constructor(block: number, group: number, count: number) {
    this.block = block;
    this.group = group;
    this.count = count;
  }
  pack(into: PackedWords): number {
    return packUsed(into, this.count, this.group);
  }

  /** The runs before and behind one of its groups. */
  without(group: number): UsedBitmaps[] {
    const before = group - this.group;
    const parts: UsedBitmaps[] = [];
    if (before > 0) parts.push(new UsedBitmaps(this.block, this.group, before));
    const behind = this.count - before - 1;
    if (behind > 0) parts.push(new UsedBitmaps(this.block + before + 1, group + 1, behind));
    for (const part of parts) part.stamp = this.stamp;
    return parts;
  }
}
