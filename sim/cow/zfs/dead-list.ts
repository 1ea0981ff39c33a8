/**
 * Dead lists: the blocks that a dataset has let go but an older snapshot still has (module/zfs/dsl_deadlist.c).
 *
 * A dead list keeps its blocks by the newest snapshot that was older than the block when it died, so that the blocks which only one snapshot
 * holds are whole sublists: destroying a snapshot frees what becomes free without looking at what stays.
 *
 * Interface: lists are immutable ropes, so that a snapshot takes the list of its dataset over, and two lists become one, at no cost.
 */
import { allocatedSize, type BlockPointer, countedLogicalSize } from "./block-pointer.ts";

/** Blocks, and what they take together. */
interface Rope {
  readonly count: number;
  readonly used: number;
  readonly logical: number;
  readonly items: readonly BlockPointer[];
  readonly left: Rope | undefined;
  readonly right: Rope | undefined;
}

/** Sums over blocks: bytes allocated, and bytes that count as logicalused. */
export interface Space {
  readonly used: number;
  readonly logical: number;
}

export interface DeadListRecord {
  /** By key, ascending. */
  readonly lists: readonly (readonly [number, Rope])[];
}

function joined(left: Rope | undefined, right: Rope): Rope {
  if (left === undefined) return right;
  const count = left.count + right.count;
  return { count, used: left.used + right.used, logical: left.logical + right.logical, items: [], left, right };
}

function visitRope(rope: Rope, visit: (pointer: BlockPointer) => void): void {
  const open: Rope[] = [rope];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const pointer of at.items) visit(pointer);
    if (at.left !== undefined) open.push(at.left);
    if (at.right !== undefined) open.push(at.right);
  }
}

export class DeadList {
  /** Sublists by key. */
  readonly #lists: Map<number, Rope>;
  /** What died since the last `freeze`, by key: not yet in the ropes. */
  readonly #recent = new Map<number, BlockPointer[]>();

  constructor(record: DeadListRecord = { lists: [] }) {
    this.#lists = new Map(record.lists);
  }

  /** Adds a block; `key` is the transaction group of the newest snapshot older than the block, 0 for none. */
  add(key: number, pointer: BlockPointer): void {
    const recent = this.#recent.get(key);
    if (recent === undefined) this.#recent.set(key, [pointer]);
    else recent.push(pointer);
  }

  #settle(): void {
    for (const [key, items] of this.#recent) {
      let used = 0;
      let logical = 0;
      for (const pointer of items) {
        used += allocatedSize(pointer);
        logical += countedLogicalSize(pointer);
      }
      const rope: Rope = { count: items.length, used, logical, items, left: undefined, right: undefined };
      this.#lists.set(key, joined(this.#lists.get(key), rope));
    }
    this.#recent.clear();
  }

  /** Blocks in the list. */
  get count(): number {
    this.#settle();
    let count = 0;
    for (const rope of this.#lists.values()) count += rope.count;
    return count;
  }

  /** What the blocks of the sublists with keys in [from, end) take. */
  space(from = 0, end: number = Number.POSITIVE_INFINITY): Space {
    this.#settle();
    let used = 0;
    let logical = 0;
    for (const [key, rope] of this.#lists) {
      if (key < from || key >= end) continue;
      used += rope.used;
      logical += rope.logical;
    }
    return { used, logical };
  }

  /** Takes the sublists with keys from `from` on out, block by block. O(blocks taken). */
  take(from: number, visit: (pointer: BlockPointer) => void): void {
    this.#settle();
    for (const [key, rope] of this.#lists) {
      if (key < from) continue;
      this.#lists.delete(key);
      visitRope(rope, visit);
    }
  }

  /** Takes another list's blocks over. O(sublists). */
  merge(other: DeadList): void {
    this.#settle();
    for (const [key, rope] of other.freeze().lists) this.#lists.set(key, joined(this.#lists.get(key), rope));
  }

  visit(visit: (pointer: BlockPointer) => void): void {
    this.#settle();
    for (const rope of this.#lists.values()) visitRope(rope, visit);
  }

  /** The list as it stands. O(sublists). */
  freeze(): DeadListRecord {
    this.#settle();
    return { lists: [...this.#lists].sort(([one], [other]) => one - other) };
  }
}
