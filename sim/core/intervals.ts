/**
 * IntervalMap: disjoint half-open ranges [start, end) of whole numbers from 0 to 2^53 - 1, each with a value. Extent maps, dirty and cached
 * ranges of files, and what a sparse disk holds are all this one thing.
 *
 * A B+ tree of two levels: leaves of up to 128 ranges in ascending order (interval-leaf.ts), and an array of the leaves' first starts. 10^6 ranges are about 10^4 leaves, so that an insertion that splits a leaf moves less
 * than 100 KiB of pointers, and does so once in 64 insertions. A map of a few ranges has one small leaf: it may be kept for each inode.
 *
 * Interface:
 * - `slice(value, from, to)` tells the value of a part of a range; `from` and `to` count from the range's start. A value that is the same
 *   all over its range needs none.
 * - `joins(left, right)` tells the value of two neighbours taken as one, or undefined where they stay two. `set` asks it at both its ends.
 * - Visitors must not change the map while they run.
 * - Searches are O(log n); `set` and `delete` O(log n + leaf + ranges removed / leaf).
 * - `clone` shares leaves: O(leaves); the first change to a shared leaf copies that leaf.
 */
import { assert, InvariantError } from "./assert.ts";
import {
  checkLeaves,
  copyLeaf,
  emptyRange,
  endIn,
  FIRST_RANGES,
  firstEndingBehind,
  LEAF_RANGES,
  type Leaf,
  MERGED_RANGES,
  moveTail,
  newLeaf,
  putInto,
  type Range,
  removeFrom,
  SPARSE_RANGES,
  setRange,
  setValue,
  startIn,
  unitsIn,
  valueIn,
} from "./interval-leaf.ts";

/** The value of the part [from, to) of a range, both counted from the range's start. */
export type SliceValue<T> = (value: T, from: number, to: number) => T;
/** The value of two neighbouring ranges as one, or undefined when they must stay two. */
export type JoinValues<T> = (left: T, right: T) => T | undefined;

const sameValue = <T>(value: T): T => value;

export class IntervalMap<T> {
  readonly #slice: SliceValue<T>;
  readonly #joins: JoinValues<T> | undefined;
  /** None is empty, but for the time between `#carve` and the end of the call that made it. */
  #leaves: Leaf<T>[] = [];
  /** The start of each leaf's first range. */
  #firsts: number[] = [];
  #owner: object = {};
  #size = 0;
  #covered = 0;
  /** Where `#seek` stopped: a leaf, and the index in it of the first range that ends behind the place sought (perhaps its count). */
  #leafAt = 0;
  #at = 0;

  constructor(slice: SliceValue<T> = sameValue, joins?: JoinValues<T>) {
    this.#slice = slice;
    this.#joins = joins;
  }

  /** How many ranges there are. */
  get size(): number {
    return this.#size;
  }

  /** How many units all ranges cover together. */
  get covered(): number {
    return this.#covered;
  }

  /** Forgets all ranges. */
  clear(): void {
    this.#leaves = [];
    this.#firsts = [];
    this.#size = 0;
    this.#covered = 0;
    this.#leafAt = 0;
  }

  /** A map with the same ranges, to be changed on its own. O(leaves). */
  clone(): IntervalMap<T> {
    const copy = new IntervalMap<T>(this.#slice, this.#joins);
    copy.#leaves = this.#leaves.slice();
    copy.#firsts = this.#firsts.slice();
    copy.#size = this.#size;
    copy.#covered = this.#covered;
    this.#owner = {};
    return copy;
  }

  // Searches

  /** The value at a unit's place: that of its whole range, not sliced; undefined where nothing is set. */
  get(at: number): T | undefined {
    this.#seek(at);
    const leaf = this.#leaves[this.#leafAt];
    if (leaf === undefined || this.#at === leaf.count || startIn(leaf, this.#at) > at) return undefined;
    return valueIn(leaf, this.#at);
  }

  /** The range that holds the unit `at`, in a fresh object. */
  find(at: number): Range<T> | undefined {
    const range = emptyRange<T>();
    return this.next(at, range) && range.start <= at ? range : undefined;
  }

  /**
   * Fills `into` with the first range that ends behind `at`: the one that holds `at`, or the next one. Allocates nothing.
   * The way to walk while the map changes: `for (let more = map.next(0, range); more; more = map.next(range.end, range))`.
   * @returns whether there is one; when not, `into` stays.
   */
  next(at: number, into: Range<T>): boolean {
    this.#seek(at);
    let leaf = this.#leaves[this.#leafAt];
    let index = this.#at;
    if (leaf !== undefined && index === leaf.count) {
      leaf = this.#leaves[this.#leafAt + 1];
      index = 0;
    }
    if (leaf === undefined) return false;
    into.start = startIn(leaf, index);
    into.end = endIn(leaf, index);
    into.value = valueIn(leaf, index);
    return true;
  }

  /** The first unit from `at` on that lies in a range; undefined when there is none. */
  nextCovered(at: number): number | undefined {
    const range = emptyRange<T>();
    return this.next(at, range) ? Math.max(at, range.start) : undefined;
  }

  /** The first unit from `at` on that lies in no range. O(log n + neighbours that touch). */
  nextGap(at: number): number {
    const range = emptyRange<T>();
    let gap = at;
    while (this.next(gap, range) && range.start <= gap) gap = range.end;
    return gap;
  }

  /** Visits the ranges that [start, end) touches in ascending order, each cut to it, values sliced accordingly. */
  visit(start: number, end: number, visitor: (from: number, to: number, value: T) => void): void {
    this.#seek(start);
    let index = this.#at;
    for (let leafAt = this.#leafAt; leafAt < this.#leaves.length; leafAt++, index = 0) {
      const leaf = this.#leaves[leafAt] as Leaf<T>;
      for (; index < leaf.count; index++) {
        const first = startIn(leaf, index);
        const last = endIn(leaf, index);
        if (first >= end) return;
        const from = Math.max(first, start);
        const to = Math.min(last, end);
        const value = valueIn(leaf, index);
        visitor(from, to, from === first && to === last ? value : this.#slice(value, from - first, to - first));
      }
    }
  }

  // Changes

  /** Gives [start, end) the value, in place of what was there. An empty range changes nothing. */
  set(start: number, end: number, value: T): void {
    if (!(start >= 0 && end <= Number.MAX_SAFE_INTEGER)) throw new InvariantError(`IntervalMap: no range ${start} to ${end}`);
    if (end <= start) return;
    this.#seek(start);
    if (!this.#isGap(end)) {
      if (this.#replace(start, end, value)) return;
      this.#carve(start, end);
    }
    this.#covered += end - start;
    if (this.#joins === undefined || !this.#join(start, end, value)) this.#insert({ start, end, value });
    this.#settle(this.#leafAt);
  }

  /** Takes [start, end) out; ranges that cross its edges are cut. */
  delete(start: number, end: number): void {
    if (end <= start) return;
    this.#seek(start);
    if (this.#isGap(end)) return;
    this.#carve(start, end);
    this.#settle(this.#leafAt);
  }

  /** Throws an InvariantError when order, disjointness, the index of leaves or the totals do not hold. O(n). */
  check(): void {
    const { size, covered } = checkLeaves(this.#leaves, this.#firsts);
    assert(size === this.#size, `IntervalMap: ${size} ranges, counted ${this.#size}`);
    assert(covered === this.#covered, `IntervalMap: ${covered} units covered, counted ${this.#covered}`);
  }

  // Places

  /** The last leaf that begins at or before `at` (else the first), and in it the first range that ends behind `at`. */
  #seek(at: number): void {
    const firsts = this.#firsts;
    let low = this.#leafAt;
    // Most searches fall into the leaf of the one before.
    if (low >= firsts.length || (firsts[low] as number) > at || (low + 1 < firsts.length && (firsts[low + 1] as number) <= at)) {
      low = 0;
      for (let length = firsts.length; length > 1; ) {
        const half = length >>> 1;
        low += Number((firsts[low + half] as number) <= at) * half;
        length -= half;
      }
    }
    this.#leafAt = low;
    const leaf = this.#leaves[low];
    // Whoever writes has often looked at the same place before.
    this.#at = leaf === undefined ? 0 : firstEndingBehind(leaf, at, this.#at);
  }

  /** Whether no range between the place and `end` is in the way. */
  #isGap(end: number): boolean {
    const leaf = this.#leaves[this.#leafAt];
    if (leaf === undefined) return true;
    if (this.#at < leaf.count) return startIn(leaf, this.#at) >= end;
    const next = this.#firsts[this.#leafAt + 1];
    return next === undefined || next >= end;
  }

  /** Gives the range at the place a new value if it is exactly [start, end) and neighbours are not to be joined. */
  #replace(start: number, end: number, value: T): boolean {
    const index = this.#at;
    const shared = this.#leaves[this.#leafAt] as Leaf<T>;
    if (index === shared.count || startIn(shared, index) !== start || endIn(shared, index) !== end) return false;
    if (this.#joins !== undefined) {
      // Neighbours in other leaves are the slow way's business.
      if (index === 0 || index + 1 === shared.count) return false;
      if (endIn(shared, index - 1) === start && this.#joins(valueIn(shared, index - 1), value) !== undefined) return false;
      if (startIn(shared, index + 1) === end && this.#joins(value, valueIn(shared, index + 1)) !== undefined) return false;
    }
    setValue(this.#own(this.#leafAt), index, value);
    return true;
  }

  /** The leaf, to be changed: copied first if a clone shares it. */
  #own(leafAt: number): Leaf<T> {
    const leaf = this.#leaves[leafAt] as Leaf<T>;
    if (leaf.owner === this.#owner) return leaf;
    const copy = copyLeaf(leaf, this.#owner);
    this.#leaves[leafAt] = copy;
    return copy;
  }

  /**
   * Takes [start, end) out, where `#seek(start)` stopped at something in the way; afterwards the place is where a range from `start` to
   * `end` belongs. Its leaf may be empty then: the caller fills or settles it.
   */
  #carve(start: number, end: number): void {
    let leaf = this.#leaves[this.#leafAt] as Leaf<T>;
    if (this.#at < leaf.count && startIn(leaf, this.#at) < start) {
      leaf = this.#own(this.#leafAt);
      if (this.#cutEnd(leaf, start, end)) return;
    }
    const until = firstEndingBehind(leaf, end);
    if (until > this.#at) this.#remove(this.#leafAt, this.#at, until);
    leaf = this.#leaves[this.#leafAt] as Leaf<T>;
    if (this.#at < leaf.count) this.#cutStart(this.#leafAt, this.#at, end);
    else this.#carveBehind(end);
  }

  /** Cuts the range at the place, which begins before `start`, there. @returns true when it went on behind `end`: nothing else to do. */
  #cutEnd(leaf: Leaf<T>, start: number, end: number): boolean {
    const index = this.#at;
    const first = startIn(leaf, index);
    const last = endIn(leaf, index);
    const value = valueIn(leaf, index);
    setValue(leaf, index, this.#slice(value, 0, start - first));
    leaf.bounds[2 * index + 1] = start;
    this.#at += 1;
    this.#covered -= Math.min(last, end) - start;
    if (last <= end) return false;
    this.#insert({ start: end, end: last, value: this.#slice(value, end - first, last - first) });
    return true;
  }

  /** Cuts what lies before `end` off a range. */
  #cutStart(leafAt: number, index: number, end: number): void {
    const first = startIn(this.#leaves[leafAt] as Leaf<T>, index);
    if (first >= end) return;
    const leaf = this.#own(leafAt);
    setValue(leaf, index, this.#slice(valueIn(leaf, index), end - first, endIn(leaf, index) - first));
    leaf.bounds[2 * index] = end;
    this.#covered -= end - first;
    if (index === 0) this.#firsts[leafAt] = end;
  }

  /** Takes what lies before `end` out of the leaves behind the place's leaf. */
  #carveBehind(end: number): void {
    const from = this.#leafAt + 1;
    let to = from;
    for (; to < this.#leaves.length; to++) {
      const leaf = this.#leaves[to] as Leaf<T>;
      if (endIn(leaf, leaf.count - 1) > end) break;
      this.#covered -= unitsIn(leaf, 0, leaf.count);
      this.#size -= leaf.count;
    }
    if (to > from) {
      this.#leaves.splice(from, to - from);
      this.#firsts.splice(from, to - from);
    }
    const leaf = this.#leaves[from];
    if (leaf === undefined || startIn(leaf, 0) >= end) return;
    const until = firstEndingBehind(leaf, end);
    if (until > 0) this.#remove(from, 0, until);
    this.#cutStart(from, 0, end);
  }

  #remove(leafAt: number, from: number, to: number): void {
    const leaf = this.#own(leafAt);
    this.#covered -= removeFrom(leaf, from, to);
    this.#size -= to - from;
    if (from === 0 && leaf.count > 0) this.#firsts[leafAt] = startIn(leaf, 0);
  }

  /** Puts a range at the place, where nothing lies in its way; afterwards the place is still before that range. */
  #insert(range: Range<T>): void {
    this.#size += 1;
    if (this.#leaves.length === 0) {
      this.#leaves.push(newLeaf(this.#owner, FIRST_RANGES));
      this.#firsts.push(range.start);
      this.#leafAt = 0;
      this.#at = 0;
    }
    if ((this.#leaves[this.#leafAt] as Leaf<T>).count === LEAF_RANGES) this.#split(range.start);
    putInto(this.#own(this.#leafAt), this.#at, range);
    if (this.#at === 0) this.#firsts[this.#leafAt] = range.start;
  }

  /** Makes room in the place's full leaf: at the place where ascending insertions go on, so that they fill leaves, else in the middle. */
  #split(start: number): void {
    const leaf = this.#own(this.#leafAt);
    const next = newLeaf<T>(this.#owner, LEAF_RANGES);
    const isLast = this.#at === leaf.count && this.#leafAt === this.#leaves.length - 1;
    const ascends = isLast || (2 * this.#at > LEAF_RANGES && endIn(leaf, this.#at - 1) === start);
    const middle = ascends ? this.#at : LEAF_RANGES / 2;
    moveTail(leaf, middle, next);
    this.#leaves.splice(this.#leafAt + 1, 0, next);
    this.#firsts.splice(this.#leafAt + 1, 0, next.count === 0 ? 0 : startIn(next, 0));
    if (next.count > 0 && this.#at <= middle) return;
    this.#leafAt += 1;
    this.#at -= middle;
  }

  /** Makes [start, end) part of the neighbours that it joins. @returns false when it joins none. */
  #join(start: number, end: number, value: T): boolean {
    const joins = this.#joins as JoinValues<T>;
    const leaf = this.#leaves[this.#leafAt];
    if (leaf === undefined) return false;
    const leftAt = this.#at > 0 ? this.#leafAt : this.#leafAt - 1;
    const rightAt = this.#at < leaf.count ? this.#leafAt : this.#leafAt + 1;
    const left = this.#leaves[leftAt];
    const right = this.#leaves[rightAt];
    const leftIndex = left === undefined ? 0 : (this.#at > 0 ? this.#at : left.count) - 1;
    const rightIndex = rightAt === this.#leafAt ? this.#at : 0;
    let joined: T | undefined;
    if (left !== undefined && endIn(left, leftIndex) === start) joined = joins(valueIn(left, leftIndex), value);
    const touches = right !== undefined && startIn(right, rightIndex) === end;
    const whole = touches ? joins(joined ?? value, valueIn(right, rightIndex)) : undefined;
    if (joined === undefined && whole === undefined) return false;
    if (joined === undefined) {
      this.#reach(rightAt, rightIndex, { start, end: endIn(right as Leaf<T>, rightIndex), value: whole as T });
      return true;
    }
    const last = whole === undefined ? end : endIn(right as Leaf<T>, rightIndex);
    this.#reach(leftAt, leftIndex, { start: startIn(left as Leaf<T>, leftIndex), end: last, value: whole ?? joined });
    if (whole === undefined) return true;
    this.#remove(rightAt, rightIndex, rightIndex + 1);
    this.#covered += last - end;
    if (rightAt !== this.#leafAt) this.#settle(rightAt);
    return true;
  }

  /** Gives a range new bounds and a new value. */
  #reach(leafAt: number, index: number, range: Range<T>): void {
    setRange(this.#own(leafAt), index, range);
    if (index === 0) this.#firsts[leafAt] = range.start;
  }

  /** Takes an empty leaf out of the index, and merges a sparse one with the next. */
  #settle(leafAt: number): void {
    const leaf = this.#leaves[leafAt];
    if (leaf === undefined || leaf.count >= SPARSE_RANGES) return;
    const next = this.#leaves[leafAt + 1];
    if (leaf.count === 0) {
      this.#leaves.splice(leafAt, 1);
      this.#firsts.splice(leafAt, 1);
    } else if (next !== undefined && leaf.count + next.count <= MERGED_RANGES) {
      moveTail(this.#own(leafAt + 1), 0, this.#own(leafAt));
      this.#leaves.splice(leafAt + 1, 1);
      this.#firsts.splice(leafAt + 1, 1);
    }
  }
}
