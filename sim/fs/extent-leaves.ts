/** Which part of a list of extents each leaf of a filesystem's tree has: told by counts, and counted when somebody asks. */

/** A leaf block, as far as it divides a list. */
export interface ExtentLeaf {
  readonly count: number;
  /** The index of its first extent, as `countLeaves` found it; below 0 in the first leaf: they are to be counted again. */
  first: number;
}

/** Tells each leaf where in the list it begins, if that is not known: those that are written together ask once. */
export function countLeaves(leaves: readonly ExtentLeaf[]): void {
  if (leaves[0] === undefined || leaves[0].first === 0) return;
  let before = 0;
  for (const leaf of leaves) {
    leaf.first = before;
    before += leaf.count;
  }
}

/** Leaves have come, gone, or got other counts. */
export function leavesMoved(leaves: readonly ExtentLeaf[]): void {
  if (leaves[0] !== undefined) leaves[0].first = -1;
}
