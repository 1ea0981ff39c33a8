/**
 * A node of the B-tree as words: header, keys, values (spec/block-cow.md §1.10). Pure functions that move entries about.
 *
 * Layout in 32-bit words: 0 checksum, 1 flags (1 internal, 2 leaf), 2–3 own number, 4 entries, 5 most entries, 6 bytes of a value, 7 zero,
 * then the keys (64 bits each, room for the most entries), then the values.
 */
import { assert } from "../core/assert.ts";
import { get64, METADATA_BLOCK_SIZE, set64 } from "./metadata-block.ts";

const FLAGS = 1;
const ENTRIES = 4;
const ENTRIES_MAX = 5;
const VALUE_SIZE = 6;
const KEYS = 8;
const INTERNAL = 1;
const LEAF = 2;
/** Bytes of a child's number. */
const CHILD_SIZE = 8;

/** The most entries of a node: a multiple of three (calc_max_entries). @param valueSize - bytes. */
export function entriesMaxFor(valueSize: number): number {
  return 3 * Math.floor(Math.floor((METADATA_BLOCK_SIZE - KEYS * 4) / (8 + valueSize)) / 3);
}

export function countOf(words: Uint32Array): number {
  return words[ENTRIES] as number;
}

export function setCount(words: Uint32Array, count: number): void {
  words[ENTRIES] = count;
}

export function maxOf(words: Uint32Array): number {
  return words[ENTRIES_MAX] as number;
}

export function isLeaf(words: Uint32Array): boolean {
  return ((words[FLAGS] as number) & LEAF) !== 0;
}

/** Bytes of a value, as the node itself says. */
export function valueSizeOf(words: Uint32Array): number {
  return words[VALUE_SIZE] as number;
}

export function keyAt(words: Uint32Array, index: number): number {
  return get64(words, KEYS + 2 * index);
}

export function setKey(words: Uint32Array, index: number, key: number): void {
  set64(words, KEYS + 2 * index, key);
}

/** The word at which a value begins. */
export function valueAt(words: Uint32Array, index: number): number {
  return KEYS + 2 * (words[ENTRIES_MAX] as number) + index * ((words[VALUE_SIZE] as number) >>> 2);
}

/** The number of an internal node's child, or any value of 8 bytes below 2^53. */
export function childAt(words: Uint32Array, index: number): number {
  return get64(words, valueAt(words, index));
}

export function setChild(words: Uint32Array, index: number, location: number): void {
  set64(words, valueAt(words, index), location);
}

/** Makes zeroed words a leaf without entries. */
export function emptyNode(words: Uint32Array, valueSize: number): void {
  words[FLAGS] = LEAF;
  words[ENTRIES_MAX] = entriesMaxFor(valueSize);
  words[VALUE_SIZE] = valueSize;
}

/** Zeroes what lies behind the last entry, where entries were moved away from. */
export function clearTail(words: Uint32Array): void {
  const count = countOf(words);
  words.fill(0, KEYS + 2 * count, KEYS + 2 * maxOf(words));
  words.fill(0, valueAt(words, count));
}

/** Makes zeroed words a node like another one, without entries. */
export function emptyLike(words: Uint32Array, other: Uint32Array): void {
  words[FLAGS] = other[FLAGS] as number;
  words[ENTRIES_MAX] = maxOf(other);
  words[VALUE_SIZE] = valueSizeOf(other);
}

/** Makes a node an internal one with the given children. */
export function makeParent(words: Uint32Array, children: readonly { readonly key: number; readonly location: number }[]): void {
  words[FLAGS] = INTERNAL;
  words[ENTRIES] = children.length;
  words[ENTRIES_MAX] = entriesMaxFor(CHILD_SIZE);
  words[VALUE_SIZE] = CHILD_SIZE;
  children.forEach(({ key, location }, index) => {
    setKey(words, index, key);
    setChild(words, index, location);
  });
}

/** The last entry whose key is not above `key`; -1 when all are. */
export function lowerBound(words: Uint32Array, key: number): number {
  const low = key >>> 0;
  let before = -1;
  let after = words[ENTRIES] as number;
  if (key === low && after > 0 && words[KEYS + 2 * after - 1] === 0) {
    // No key of this node needs its high word.
    while (after - before > 1) {
      const middle = (before + after) >>> 1;
      if ((words[KEYS + 2 * middle] as number) <= low) before = middle;
      else after = middle;
    }
    return before;
  }
  const high = Math.floor(key / 2 ** 32);
  while (after - before > 1) {
    const middle = (before + after) >>> 1;
    const at = KEYS + 2 * middle;
    const middleHigh = words[at + 1] as number;
    if (middleHigh < high || (middleHigh === high && (words[at] as number) <= low)) before = middle;
    else after = middle;
  }
  return before;
}

/**
 * As `lowerBound`, from a guess on outwards: of a leaf that is not in the processor's cache it touches a line or two instead of five.
 * @param guess - any number; the better, the fewer steps.
 */
export function lowerBoundNear(words: Uint32Array, key: number, guess: number): number {
  const count = words[ENTRIES] as number;
  if (count === 0 || key > 0xffffffff || words[KEYS + 2 * count - 1] !== 0) return lowerBound(words, key);
  let before = Math.min(Math.max(guess, 0), count - 1) | 0;
  let after = before;
  // Doubling steps from the guess on, until the key lies between `before` and `after`.
  if ((words[KEYS + 2 * before] as number) <= key) {
    for (let step = 1; ; step *= 2) {
      after = Math.min(before + step, count);
      if (after === count || (words[KEYS + 2 * after] as number) > key) break;
      before = after;
    }
  } else {
    for (let step = 1; ; step *= 2) {
      before = Math.max(after - step, -1);
      if (before < 0 || (words[KEYS + 2 * before] as number) <= key) break;
      after = before;
    }
  }
  while (after - before > 1) {
    const middle = (before + after) >>> 1;
    if ((words[KEYS + 2 * middle] as number) <= key) before = middle;
    else after = middle;
  }
  return before;
}

/** Puts an entry in at `index`; there is room. */
export function insertAt(words: Uint32Array, index: number, key: number, value: Uint32Array): void {
  const count = countOf(words);
  assert(index <= count && count < maxOf(words), "a B-tree node has no room for an entry");
  moveEntries(words, index, index + 1);
  setKey(words, index, key);
  const at = valueAt(words, index);
  for (let word = 0; word < value.length; word++) words[at + word] = value[word] as number;
  words[ENTRIES] = count + 1;
}

/** Takes the entry at `index` out. */
export function deleteAt(words: Uint32Array, index: number): void {
  const count = countOf(words);
  assert(index < count, "a B-tree node has no such entry");
  moveEntries(words, index + 1, index);
  words[ENTRIES] = count - 1;
}

/** Moves the entries from `from` on to `to`; the count stays. */
export function moveEntries(words: Uint32Array, from: number, to: number): void {
  const end = countOf(words);
  if (from >= end) return;
  words.copyWithin(KEYS + 2 * to, KEYS + 2 * from, KEYS + 2 * end);
  words.copyWithin(valueAt(words, to), valueAt(words, from), valueAt(words, end));
}

/** Copies entries from one node into another; the counts stay. */
export function copyEntries(
  target: Uint32Array,
  source: Uint32Array,
  copy: { readonly from: number; readonly to: number; readonly count: number },
): void {
  const { from, to, count } = copy;
  assert(to + count <= maxOf(target) && from + count <= maxOf(source), "entries leave a B-tree node");
  if (count <= 0) return;
  target.set(source.subarray(KEYS + 2 * from, KEYS + 2 * (from + count)), KEYS + 2 * to);
  target.set(source.subarray(valueAt(source, from), valueAt(source, from + count)), valueAt(target, to));
}

/**
 * Moves `count` entries from the end of `left` to the beginning of `right`; a negative count the other way. Both counts are set.
 */
export function shiftEntries(left: Uint32Array, right: Uint32Array, count: number): void {
  const nrLeft = countOf(left);
  const nrRight = countOf(right);
  if (count > 0) {
    moveEntries(right, 0, count);
    copyEntries(right, left, { from: nrLeft - count, to: 0, count });
  } else if (count < 0) {
    copyEntries(left, right, { from: 0, to: nrLeft, count: -count });
    moveEntries(right, -count, 0);
  }
  words2(left, nrLeft - count, right, nrRight + count);
}

function words2(left: Uint32Array, leftCount: number, right: Uint32Array, rightCount: number): void {
  left[ENTRIES] = leftCount;
  right[ENTRIES] = rightCount;
}

/** Shares the entries of two nodes out evenly; of an odd number the right one gets one more. */
export function redistribute2(left: Uint32Array, right: Uint32Array): void {
  const target = (countOf(left) + countOf(right)) >>> 1;
  shiftEntries(left, right, countOf(left) - target);
}

/** Shares the entries of two nodes out over them and an empty one between (split_two_into_three). */
export function redistribute3(left: Uint32Array, center: Uint32Array, right: Uint32Array): void {
  assert(countOf(center) === 0, "the node in the middle is not empty");
  const total = countOf(left) + countOf(right);
  const targetLeft = Math.floor(total / 3);
  const targetCenter = (total - targetLeft) >>> 1;
  if (countOf(left) < targetLeft) {
    shiftEntries(left, right, countOf(left) - targetLeft);
    shiftEntries(center, right, -targetCenter);
    return;
  }
  const fromLeft = countOf(left) - targetLeft;
  if (fromLeft <= targetCenter) {
    shiftEntries(left, center, fromLeft);
    shiftEntries(center, right, fromLeft - targetCenter);
    return;
  }
  shiftEntries(left, right, fromLeft - targetCenter);
  shiftEntries(left, center, targetCenter);
}
