/** Blocks that are written into for the first time, or that are to read as zeros again. */
import type { ExtentList, Growth } from "./extent-list.ts";

/** Makes [start, end), all of which has extents, written or unwritten. */
export function convertExtents(list: ExtentList, start: number, end: number, to: { unwritten: boolean; growth: Growth }): void {
  const { unwritten, growth } = to;
  const runs: number[] = [];
  for (let index = list.find(start); index < list.count && list.logical(index) < end; index++) {
    if (list.isUnwritten(index) === unwritten) continue;
    const first = Math.max(list.logical(index), start);
    runs.push(first, Math.min(list.end(index), end), list.physical(index) + first - list.logical(index));
  }
  for (let at = 0; at < runs.length; at += 3) {
    const [first, behind, physical] = [runs[at] as number, runs[at + 1] as number, runs[at + 2] as number];
    list.remove(first, behind, () => undefined, growth);
    list.insert({ logical: first, physical, count: behind - first, unwritten }, growth);
  }
}
