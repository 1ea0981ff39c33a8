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

const EMPTY: DeadListRecord = { lists: [] };
const NO_ROPES: ReadonlyMap<number, Rope> = new Map();

export class DeadList {
  /** Sublists by key; undefined while there is none, as with most lists. */
  #lists: Map<number, Rope> | undefined;
  /** What died since the last `freeze`, by key: not yet in the ropes. */
  #recent: Map<number, BlockPointer[]> | undefined;

  constructor(record: DeadListRecord = EMPTY) {
    if (record.lists.length > 0) this.#lists = new Map(record.lists);
  }

  /** The sublists with everything in them. */
  get #ropes(): ReadonlyMap<number, Rope> {
    this.#settle();
    return this.#lists ?? NO_ROPES;
  }

  #join(key: number, rope: Rope): void {
    this.#lists ??= new Map();
    this.#lists.set(key, joined(this.#lists.get(key), rope));
  }

  /** Adds a block; `key` is the transaction group of the newest snapshot older than the block, 0 for none. */
  add(key: number, pointer: BlockPointer): void {
    this.#recent ??= new Map();
    const recent = this.#recent.get(key);
    if (recent === undefined) this.#recent.set(key, [pointer]);
    else recent.push(pointer);
  }

  #settle(): void {
    if (this.#recent === undefined) return;
    for (const [key, items] of this.#recent) {
      let used = 0;
      let logical = 0;
      for (const pointer of items) {
        used += allocatedSize(pointer);
        logical += countedLogicalSize(pointer);
      }
      const rope: Rope = { count: items.length, used, logical, items, left: undefined, right: undefined };
      this.#join(key, rope);
    }
    this.#recent = undefined;
  }

  /** Blocks in the list. */
  get count(): number {
    let count = 0;
    for (const rope of this.#ropes.values()) count += rope.count;
    return count;
  }

  /** What the blocks of the sublists with keys in [from, end) take. */
  space(from = 0, end: number = Number.POSITIVE_INFINITY): Space {
    let used = 0;
    let logical = 0;
    for (const [key, rope] of this.#ropes) {
      if (key < from || key >= end) continue;
      used += rope.used;
      logical += rope.logical;
    }
    return { used, logical };
  }

  /** Takes the sublists with keys from `from` on out, block by block. O(blocks taken). */
  take(from: number, visit: (pointer: BlockPointer) => void): void {
    for (const [key, rope] of this.#ropes) {
      if (key < from) continue;
      this.#lists?.delete(key);
      visitRope(rope, visit);
    }
  }

  /** Takes another list's blocks over. O(sublists). */
  merge(other: DeadList): void {
    this.#settle();
    for (const [key, rope] of other.freeze().lists) this.#join(key, rope);
  }

  visit(visit: (pointer: BlockPointer) => void): void {
    for (const rope of this.#ropes.values()) visitRope(rope, visit);
  }

  /** The list as it stands. O(sublists). */
  freeze(): DeadListRecord {
    const ropes = this.#ropes;
    return ropes.size === 0 ? EMPTY : { lists: [...ropes].sort(([one], [other]) => one - other) };
  }
}
