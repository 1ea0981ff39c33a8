/** Which inodes differ between two trees: their items side by side, leaves that both have left out (fs/btrfs/send.c: btrfs_compare_trees). */

import { Cursor } from "../cursor.ts";
import { compareKeys } from "../key.ts";
import type { Tree } from "../tree.ts";
import { DIR_INDEX, DIR_ITEM, FIRST_FREE, key, LAST_FREE } from "./layout.ts";

/** The numbers of the inodes of `right` whose items are not those of `left`, and of those that only one has, ascending. */
export function changedInodes(right: Tree, left: Tree | undefined): number[] {
  const found = new Set<number>();
  const one = new Cursor(right);
  const other = left === undefined ? undefined : new Cursor(left);
  const start = key(FIRST_FREE, 0);
  const end = key(LAST_FREE, 0);
  let hasOne = one.seek(start) && one.compare(end) < 0;
  let hasOther = other?.seek(start) === true && other.compare(end) < 0;
  const note = (cursor: Cursor): void => {
    const { object, kind } = cursor.key;
    // Entries are told by the inodes that they name.
    if (kind !== DIR_ITEM && kind !== DIR_INDEX) found.add(object);
  };
  while (hasOne || hasOther) {
    const order = !hasOther || other === undefined ? -1 : hasOne ? compareKeys(one.key, other.key) : 1;
    if (order === 0 && other !== undefined && one.nodeAt(0) === other.nodeAt(0)) {
      hasOne = one.nextLeaf();
      hasOther = other.nextLeaf();
    } else {
      if (order < 0) note(one);
      else if (order > 0 && other !== undefined) note(other);
      else if (other !== undefined && one.value !== other.value) note(one);
      if (order <= 0) hasOne = one.next();
      if (order >= 0 && other !== undefined) hasOther = other.next();
    }
    hasOne &&= one.compare(end) < 0;
    hasOther &&= other !== undefined && other.compare(end) < 0;
  }
  return [...found].sort((a, b) => a - b);
}
