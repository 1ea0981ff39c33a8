/**
 * Short lists of pairs of numbers, such as the starts and ends of runs: what splice does, without the array that it returns.
 */

/** Puts a pair before the number at `at`. */
export function putPair(list: number[], at: number, one: number, other: number): void {
  list.push(one, other);
  for (let to = list.length - 1; to > at + 1; to--) list[to] = list[to - 2] as number;
  list[at] = one;
  list[at + 1] = other;
}

/** Takes away the two numbers from `at` on. */
export function cutPair(list: number[], at: number): void {
  for (let from = at + 2; from < list.length; from++) list[from - 2] = list[from] as number;
  list.pop();
  list.pop();
}
