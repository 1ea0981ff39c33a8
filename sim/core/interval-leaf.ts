/**
 * A leaf of an IntervalMap (intervals.ts): ranges side by side in typed columns, so that a search touches few cache lines and a range
 * costs 16 bytes beside its value.
 *
 * Interface: these functions keep a leaf's order, nothing more; the map keeps totals, the index of leaves, and who owns which.
 */
import { assert } from "./assert.ts";

/** A range and its value, as searches fill it. */
export interface Range<T> {
  start: number;
  end: number;
  value: T;
}

/** A range to be filled by a search. */
export function emptyRange<T>(): Range<T> {
  const range: Range<T | undefined> = { start: 0, end: 0, value: undefined };
  return range as Range<T>;
}

/** How many ranges a leaf holds. */
export const LEAF_RANGES = 128;
/** A leaf below this count is merged with its right neighbour when both fit into MERGED_RANGES. */
export const SPARSE_RANGES = 32;
/** The most ranges that a merged leaf begins with: a quarter of it stays free. */
export const MERGED_RANGES = 96;
/** Room in the first leaf of a map. */
export const FIRST_RANGES = 4;

/** Up to LEAF_RANGES disjoint ranges in ascending order. */
export interface Leaf<T> {
  /** Which map may change it: clones share leaves, and then neither owns them. */
  owner: object;
  count: number;
  /** Start of range n at 2n, its end at 2n + 1. */
  bounds: Float64Array;
  readonly values: T[];
}

/** An empty leaf with room for `ranges` ranges; it grows. */
export function newLeaf<T>(owner: object, ranges: number): Leaf<T> {
  return { owner, count: 0, bounds: new Float64Array(2 * ranges), values: [] };
}

/** The same ranges in a leaf of another owner. */
export function copyLeaf<T>(leaf: Leaf<T>, owner: object): Leaf<T> {
  return { owner, count: leaf.count, bounds: leaf.bounds.slice(), values: leaf.values.slice() };
}

/** Where range `index` of a leaf begins. */
export function startIn<T>(leaf: Leaf<T>, index: number): number {
  return leaf.bounds[2 * index] as number;
}

/** Where range `index` of a leaf ends. */
export function endIn<T>(leaf: Leaf<T>, index: number): number {
  return leaf.bounds[2 * index + 1] as number;
}

/** The value of range `index` of a leaf. */
export function valueIn<T>(leaf: Leaf<T>, index: number): T {
  return leaf.values[index] as T;
}

/** Gives range `index` of a leaf another value. */
export function setValue<T>(leaf: Leaf<T>, index: number, value: T): void {
  leaf.values[index] = value;
}

/** Gives range `index` of a leaf new bounds and a new value. */
export function setRange<T>(leaf: Leaf<T>, index: number, range: Range<T>): void {
  leaf.bounds[2 * index] = range.start;
  leaf.bounds[2 * index + 1] = range.end;
  leaf.values[index] = range.value;
}

/** How many units the ranges from `from` up to `to` of a leaf cover. */
export function unitsIn<T>(leaf: Leaf<T>, from: number, to: number): number {
  let units = 0;
  for (let index = from; index < to; index++) units += endIn(leaf, index) - startIn(leaf, index);
  return units;
}

/**
 * The index of the first range in a leaf that ends behind `at`; the leaf's count when there is none.
 * @param guess - where to look first, any number from 0 on.
 */
export function firstEndingBehind<T>(leaf: Leaf<T>, at: number, guess = 0): number {
  const { bounds, count } = leaf;
  const isBehind = guess === count || (guess < count && (bounds[2 * guess + 1] as number) > at);
  if (isBehind && (guess === 0 || (bounds[2 * guess - 1] as number) <= at)) return guess;
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[2 * middle + 1] as number) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Makes range `index` of a leaf that is not full a new one; those from there on move up by one. */
export function putInto<T>(leaf: Leaf<T>, index: number, range: Range<T>): void {
  const count = leaf.count;
  if (2 * count === leaf.bounds.length) grow(leaf, Math.min(LEAF_RANGES, 2 * count));
  if (index === count) {
    leaf.values.push(range.value);
  } else {
    leaf.bounds.copyWithin(2 * index + 2, 2 * index, 2 * count);
    leaf.values.splice(index, 0, range.value);
  }
  leaf.bounds[2 * index] = range.start;
  leaf.bounds[2 * index + 1] = range.end;
  leaf.count = count + 1;
}

/** Takes the ranges from `index` up to `end` out of a leaf. @returns how many units they covered. */
export function removeFrom<T>(leaf: Leaf<T>, index: number, end: number): number {
  const units = unitsIn(leaf, index, end);
  leaf.bounds.copyWithin(2 * index, 2 * end, 2 * leaf.count);
  leaf.values.splice(index, end - index);
  leaf.count -= end - index;
  return units;
}

/** Moves the ranges from `index` on to the end of `target`; both together are at most LEAF_RANGES. */
export function moveTail<T>(source: Leaf<T>, index: number, target: Leaf<T>): void {
  const count = target.count + source.count - index;
  if (2 * count > target.bounds.length) grow(target, LEAF_RANGES);
  target.bounds.set(source.bounds.subarray(2 * index, 2 * source.count), 2 * target.count);
  for (let n = index; n < source.count; n++) target.values.push(valueIn(source, n));
  target.count = count;
  source.values.length = index;
  source.count = index;
}

function grow<T>(leaf: Leaf<T>, ranges: number): void {
  const bounds = new Float64Array(2 * ranges);
  bounds.set(leaf.bounds);
  leaf.bounds = bounds;
}

/** Throws where leaves are empty or too full, or ranges out of order. @returns how many ranges there are and how many units they cover. */
export function checkLeaves<T>(leaves: readonly Leaf<T>[], firsts: readonly number[]): { size: number; covered: number } {
  let size = 0;
  let covered = 0;
  let last = 0;
  assert(firsts.length === leaves.length, "IntervalMap: leaves and their index differ in number");
  for (const [leafAt, leaf] of leaves.entries()) {
    assert(leaf.count > 0 && leaf.count <= LEAF_RANGES, `IntervalMap: leaf ${leafAt} has ${leaf.count} ranges`);
    assert(leaf.values.length === leaf.count, `IntervalMap: leaf ${leafAt} has ${leaf.values.length} values`);
    assert(firsts[leafAt] === startIn(leaf, 0), `IntervalMap: leaf ${leafAt} is indexed at ${firsts[leafAt]}`);
    for (let index = 0; index < leaf.count; index++) {
      const start = startIn(leaf, index);
      const end = endIn(leaf, index);
      assert(start >= last && end > start, `IntervalMap: range ${start} to ${end} follows one that ends at ${last}`);
      last = end;
      covered += end - start;
    }
    size += leaf.count;
  }
  return { size, covered };
}
