/**
 * std::sort as libstdc++ has it (bits/stl_algo.h: introsort), for lists whose equal items the thin tools print in the order that it leaves them in.
 *
 * Interface: sorts in place; `less` is a strict order. Lists of up to 16 keep the order of equal items, longer ones do not.
 */
type Less<T> = (one: T, other: T) => boolean;

/** _S_threshold. */
const SMALL = 16;

/** Sorts a list in place. */
export function stdSort<T>(list: T[], less: Less<T>): void {
  if (list.length === 0) return;
  introsort(list, 0, list.length, 2 * (31 - Math.clz32(list.length)), less);
  const sorted = Math.min(SMALL, list.length);
  for (let at = 1; at < sorted; at++) {
    const item = list[at] as T;
    if (less(item, list[0] as T)) list.splice(0, at + 1, item, ...list.slice(0, at));
    else insertBefore(list, at, less);
  }
  for (let at = sorted; at < list.length; at++) insertBefore(list, at, less);
}

/** __unguarded_linear_insert: moves an item down past those that are greater. */
function insertBefore<T>(list: T[], from: number, less: Less<T>): void {
  const item = list[from] as T;
  let at = from;
  for (; less(item, list[at - 1] as T); at--) list[at] = list[at - 1] as T;
  list[at] = item;
}

function introsort<T>(list: T[], first: number, end: number, depth: number, less: Less<T>): void {
  let last = end;
  for (let left = depth; last - first > SMALL; left--) {
    if (left === 0) {
      heapSort(list, first, last, less);
      return;
    }
    const cut = partition(list, first, last, less);
    introsort(list, cut, last, left - 1, less);
    last = cut;
  }
}

function swap<T>(list: T[], one: number, other: number): void {
  const item = list[one] as T;
  list[one] = list[other] as T;
  list[other] = item;
}

/** __unguarded_partition_pivot: the median of three goes to the front, and divides the rest. */
function partition<T>(list: T[], first: number, last: number, less: Less<T>): number {
  const isLess = (one: number, other: number): boolean => less(list[one] as T, list[other] as T);
  const [low, middle, high] = [first + 1, first + ((last - first) >>> 1), last - 1];
  const median = isLess(low, middle)
    ? isLess(middle, high)
      ? middle
      : isLess(low, high)
        ? high
        : low
    : isLess(low, high)
      ? low
      : isLess(middle, high)
        ? high
        : middle;
  swap(list, first, median);
  let [from, to] = [first + 1, last];
  for (;;) {
    while (isLess(from, first)) from++;
    to--;
    while (isLess(first, to)) to--;
    if (from >= to) return from;
    swap(list, from, to);
    from++;
  }
}

/** __partial_sort of the whole: where the pivots were bad too often. */
function heapSort<T>(list: T[], first: number, last: number, less: Less<T>): void {
  const length = last - first;
  for (let parent = (length - 2) >>> 1; parent >= 0; parent--)
    sift(list, first, { hole: parent, length, item: list[first + parent] as T }, less);
  for (let end = length - 1; end > 0; end--) {
    const item = list[first + end] as T;
    list[first + end] = list[first] as T;
    sift(list, first, { hole: 0, length: end, item }, less);
  }
}

/** __adjust_heap: the greater child moves up all the way, then the item from below. */
function sift<T>(
  list: T[],
  first: number,
  of: { readonly hole: number; readonly length: number; readonly item: T },
  less: Less<T>,
): void {
  const { length, item } = of;
  const at = (index: number): T => list[first + index] as T;
  let { hole } = of;
  let child = hole;
  while (child < (length - 1) >> 1) {
    child = 2 * (child + 1);
    if (less(at(child), at(child - 1))) child--;
    list[first + hole] = at(child);
    hole = child;
  }
  if (length % 2 === 0 && child === (length - 2) >> 1) {
    child = 2 * (child + 1);
    list[first + hole] = at(child - 1);
    hole = child - 1;
  }
  for (let parent = (hole - 1) >> 1; hole > of.hole && less(at(parent), item); parent = (hole - 1) >> 1) {
    list[first + hole] = at(parent);
    hole = parent;
  }
  list[first + hole] = item;
}
