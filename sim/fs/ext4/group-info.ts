/**
 * What the allocator knows of the free blocks of all groups, and the groups by it (fs/ext4/mballoc.c, Linux 6.18: struct ext4_group_info,
 * mb_update_avg_fragment_size, mb_set_largest_free_order).
 *
 * Interface: made when a search first wants groups by what they have; the bitmaps of groups that are partly used are read then. From then on it hears of each
 * group that changes, and looks at it again before the next search. What is kept for somebody counts as used.
 */
import { BlockBitmap } from "../../block/allocator.ts";
import { assert } from "../../core/assert.ts";
import { longestChunk, ORDER_MAX } from "./buddy.ts";
import type { Groups } from "./groups.ts";
import { BLOCKS_PER_GROUP } from "./layout.ts";
import type { Preallocations } from "./preallocations.ts";

/** MB_NUM_ORDERS of blocks of 4 KiB. */
const ORDERS: number = ORDER_MAX + 1;
/** A group without free blocks has no order. */
const NONE = -1;

/** In which list of averages a run of so many blocks belongs (mb_avg_fragment_size_order). */
export function averageOrder(blocks: number): number {
  return Math.min(Math.max(0, 30 - Math.clz32(blocks)), ORDER_MAX);
}

/** The groups by an order that each has, or has not. */
class GroupLists {
  readonly #orders: Int8Array;
  /** Of each order the groups that have it, as a bitmap's free blocks; made when there is one. */
  readonly #lists: (BlockBitmap | undefined)[] = new Array(ORDERS).fill(undefined);

  /** All groups have the highest order. */
  constructor(groups: number) {
    this.#orders = new Int8Array(groups).fill(ORDER_MAX);
    this.#lists[ORDER_MAX] = new BlockBitmap(groups);
  }

  /** @param order - NONE: the group is in no list. */
  put(group: number, order: number): void {
    const before = this.#orders[group] as number;
    if (before === order) return;
    this.#orders[group] = order;
    if (before !== NONE) this.#lists[before]?.take(group, 1);
    if (order !== NONE) this.#listOf(order).free(group, 1);
  }

  #listOf(order: number): BlockBitmap {
    const known = this.#lists[order];
    if (known !== undefined) return known;
    const made = new BlockBitmap(this.#orders.length);
    made.take(0, this.#orders.length);
    this.#lists[order] = made;
    return made;
  }

  /** The first group of an order from one on, and before `end`; -1: none is. */
  next(order: number, from: number, end: number): number {
    const group = this.#lists[order]?.nextFree(from);
    return group === undefined || group >= end ? -1 : group;
  }

  orderOf(group: number): number {
    return this.#orders[group] as number;
  }
}

export class GroupInfo {
  /** By the average length of a group's free runs (s_mb_avg_fragment_size). */
  readonly #averages: GroupLists;
  /** By the longest chunk that it has (s_mb_largest_free_orders). */
  readonly #longest: GroupLists;
  readonly #groups: Groups;
  readonly #preallocations: Preallocations;
  /** How long the free runs of each group are on average, in whole blocks. */
  readonly #average: Int32Array;
  /** Changed since they were looked at. */
  readonly #changed: Set<number> = new Set();

  constructor(groups: Groups, preallocations: Preallocations) {
    const count = groups.geometry.groups;
    this.#groups = groups;
    this.#preallocations = preallocations;
    this.#averages = new GroupLists(count);
    this.#longest = new GroupLists(count);
    this.#average = new Int32Array(count).fill(BLOCKS_PER_GROUP);
    // Most groups of a large disk are free as a whole.
    for (let group = 0; group < count; group++) if (!groups.isWhole(group)) this.#look(group);
    const note = (group: number): void => void this.#changed.add(group);
    groups.onChange = note;
    preallocations.onChange = note;
  }

  #look(group: number): void {
    let runs = 0;
    let free = 0;
    let longest = NONE;
    const add = (start: number, count: number): void => {
      runs += 1;
      free += count;
      longest = Math.max(longest, longestChunk(start, start + count));
    };
    if (!this.#groups.visitFresh(group, add)) {
      const { bits } = this.#groups.blockBitmap(group);
      this.#preallocations.without(group, bits, (seen) => seen.visitFree(add));
    }
    const average = runs === 0 ? 0 : Math.floor(free / runs);
    this.#average[group] = average;
    this.#averages.put(group, runs === 0 ? NONE : averageOrder(average));
    this.#longest.put(group, longest);
  }

  #refresh(): void {
    for (const group of this.#changed) this.#look(group);
    this.#changed.clear();
  }

  /**
   * Looks at the groups from one on and before `end` whose free runs are `wanted` blocks long on average, by the order of the average, up to one. Nothing
   * changes meanwhile.
   * @param look - tells whether it is the last.
   */
  someAverage(wanted: number, most: number, from: number, end: number, look: (group: number) => boolean): boolean {
    this.#refresh();
    const average = this.#average;
    for (let order = averageOrder(wanted); order <= most; order++) {
      for (let group = this.#averages.next(order, from, end); group >= 0; group = this.#averages.next(order, group + 1, end))
        if ((average[group] as number) >= wanted && look(group)) return true;
    }
    return false;
  }

  /** The same by the order of the longest chunk, from one on. */
  someLongest(least: number, from: number, end: number, look: (group: number) => boolean): boolean {
    this.#refresh();
    for (let order = least; order <= ORDER_MAX; order++) {
      for (let group = this.#longest.next(order, from, end); group >= 0; group = this.#longest.next(order, group + 1, end))
        if (look(group)) return true;
    }
    return false;
  }

  /** Throws an InvariantError where a group is in another list than it belongs in. */
  check(): void {
    this.#refresh();
    for (let group = 0; group < this.#groups.geometry.groups; group++) {
      const [average, longest] = [this.#averages.orderOf(group), this.#longest.orderOf(group)];
      this.#look(group);
      const isRight = average === this.#averages.orderOf(group) && longest === this.#longest.orderOf(group);
      assert(isRight, `group ${group} is in the wrong list: nobody was told of a change`);
    }
  }
}
