/**
 * Dead lists: the blocks that a dataset has let go but an older snapshot still has (module/zfs/dsl_deadlist.c).
 *
 * A dead list keeps its blocks by the newest snapshot that was older than the block when it died, so that the blocks which only one snapshot
 * holds are whole sublists: destroying a snapshot frees what becomes free without looking at what stays.
 *
 * Interface: lists are immutable ropes, so that a snapshot takes the list of its dataset over, and two lists become one, at no cost.
 */
import { allocatedSize, type BlockPointer, countedLogicalSize, countedPhysicalSize } from "./block-pointer.ts";

/** Blocks, and what they take together. */
interface Rope {
  readonly count: number;
  readonly used: number;
  readonly logical: number;
  readonly physical: number;
  /** What its pointers become in the list's own blocks, about. */
  readonly packed: number;
  readonly items: readonly BlockPointer[];
  readonly left: Rope | undefined;
  readonly right: Rope | undefined;
}

/** Sums over blocks: bytes allocated, and bytes before and after compression (ds_used_bytes, ds_uncompressed_bytes, ds_compressed_bytes). */
export interface Space {
  readonly used: number;
  readonly logical: number;
  readonly physical: number;
}

/** A sublist and its key. */
type Sublist = readonly [key: number, rope: Rope];

export interface DeadListRecord {
  /** By key, ascending. */
  readonly lists: readonly Sublist[];
}

function joined(left: Rope | undefined, right: Rope): Rope {
  if (left === undefined) return right;
  const count = left.count + right.count;
  const used = left.used + right.used;
  const packed = left.packed + right.packed;
  return {
    count,
    used,
    logical: left.logical + right.logical,
    physical: left.physical + right.physical,
    packed,
    items: [],
    left,
    right,
  };
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

/**
 * What a pointer adds to a block of pointers without checksums by LZ4 (bpobj_enqueue): those of data lie side by side, and little differs in them.
 */
const DATA_POINTER_BYTES = 5;
const META_POINTER_BYTES = 25;

export function packedPointer({ kind, level }: Pick<BlockPointer, "kind" | "level">): number {
  return kind === "data" && level === 0 ? DATA_POINTER_BYTES : META_POINTER_BYTES;
}

/** Bytes that the pointers of each sublist take, compressed: each sublist is an object of its own (dsl_deadlist_entry). */
export function packedSublists({ lists }: DeadListRecord): number[] {
  return lists.map(([, { packed }]) => packed);
}

function ropeOf(items: readonly BlockPointer[]): Rope {
  let used = 0;
  let logical = 0;
  let physical = 0;
  let packed = 0;
  for (const pointer of items) {
    packed += packedPointer(pointer);
    used += allocatedSize(pointer);
    logical += countedLogicalSize(pointer);
    physical += countedPhysicalSize(pointer);
  }
  return { count: items.length, used, logical, physical, packed, items, left: undefined, right: undefined };
}

export class DeadList {
  /** The sublists as they were frozen last: most lists have none, or one that stays as it is. */
  #frozen: DeadListRecord;
  /** What died since then, and the key of each. */
  #recent: BlockPointer[] | undefined;
  #recentKeys: number[] | undefined;

  constructor(record: DeadListRecord = EMPTY) {
    this.#frozen = record;
  }

  /** Adds a block; `key` is the transaction group of the newest snapshot older than the block, 0 for none. */
  add(key: number, pointer: BlockPointer): void {
    if (this.#recent === undefined || this.#recentKeys === undefined) {
      this.#recent = [pointer];
      this.#recentKeys = [key];
      return;
    }
    this.#recent.push(pointer);
    this.#recentKeys.push(key);
  }

  /** Joins sublists to those that are there, key by key. O(sublists). */
  #join(added: readonly Sublist[]): void {
    const { lists } = this.#frozen;
    if (lists.length === 0) {
      this.#frozen = added.length === 0 ? EMPTY : { lists: added };
      return;
    }
    const all: Sublist[] = [];
    let at = 0;
    for (const [key, rope] of added) {
      for (; at < lists.length && (lists[at] as Sublist)[0] < key; at++) all.push(lists[at] as Sublist);
      const known = lists[at]?.[0] === key ? (lists[at++] as Sublist)[1] : undefined;
      all.push([key, joined(known, rope)]);
    }
    for (; at < lists.length; at++) all.push(lists[at] as Sublist);
    this.#frozen = { lists: all };
  }

  #settle(): void {
    const items = this.#recent;
    const keys = this.#recentKeys;
    if (items === undefined || keys === undefined) return;
    this.#recent = undefined;
    this.#recentKeys = undefined;
    const first = keys[0] as number;
    if (keys.every((key) => key === first)) {
      this.#join([[first, ropeOf(items)]]);
      return;
    }
    const byKey = new Map<number, BlockPointer[]>();
    for (const [index, key] of keys.entries()) {
      const pointer = items[index] as BlockPointer;
      const same = byKey.get(key);
      if (same === undefined) byKey.set(key, [pointer]);
      else same.push(pointer);
    }
    const added = [...byKey].sort(([one], [other]) => one - other);
    this.#join(added.map(([key, same]) => [key, ropeOf(same)]));
  }

  /** Blocks in the list. */
  get count(): number {
    let count = 0;
    for (const [, rope] of this.freeze().lists) count += rope.count;
    return count;
  }

  /** What the blocks of the sublists with keys in [from, end) take. */
  space(from = 0, end: number = Number.POSITIVE_INFINITY): Space {
    let used = 0;
    let logical = 0;
    let physical = 0;
    for (const [key, rope] of this.freeze().lists) {
      if (key < from || key >= end) continue;
      used += rope.used;
      logical += rope.logical;
      physical += rope.physical;
    }
    return { used, logical, physical };
  }

  /** Takes the sublists with keys from `from` on out, block by block. O(sublists and blocks taken). */
  take(from: number, visit: (pointer: BlockPointer) => void): void {
    const { lists } = this.freeze();
    const kept = lists.filter(([key]) => key < from);
    this.#frozen = kept.length === 0 ? EMPTY : { lists: kept };
    for (const [key, rope] of lists) if (key >= from) visitRope(rope, visit);
  }

  /** Takes another list's blocks over. O(sublists). */
  merge(other: DeadList): void {
    this.#settle();
    this.#join(other.freeze().lists);
  }

  visit(visit: (pointer: BlockPointer) => void): void {
    for (const [, rope] of this.freeze().lists) visitRope(rope, visit);
  }

  /** The list as it stands, sublists by key. O(what has died since the last time, and sublists where something has). */
  freeze(): DeadListRecord {
    this.#settle();
    return this.#frozen;
  }
}
