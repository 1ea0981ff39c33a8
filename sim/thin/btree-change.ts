/**
 * Changing the values of keys that are there, in place once their way is copied (dm-btree.c, btree_get_overwrite_leaf).
 */
import { EINVAL, type Errno } from "../core/errno.ts";
import type { BTree } from "./btree.ts";
import { childAt, countOf, isLeaf, keyAt, lowerBound, valueAt } from "./btree-node.ts";
import { Spine } from "./btree-spine.ts";

/**
 * Changes the values' first words for keys that follow each other from `key` on, as far as one leaf has them: what is counted is counted in
 * runs, whose way down is the same (sm_ll_inc_overflow).
 * @param end - before this key. @param next - gives the new word from the old; undefined: leave it, and what is behind it.
 * @returns how many were changed; EINVAL where the first key is missing; ENOSPC, EIO.
 */
export function changeValues(tree: BTree, key: number, end: number, next: (value: number) => number | undefined): number | Errno {
  const spine = new Spine(tree.tx);
  let location = tree.root;
  for (let index = -1; ; ) {
    const failed = spine.step(location, tree.type, index);
    if (failed !== undefined) return failed;
    const { node } = spine;
    index = lowerBound(node, key);
    if (index < 0) return EINVAL;
    if (!isLeaf(node)) {
      location = childAt(node, index);
      continue;
    }
    if (keyAt(node, index) !== key) return EINVAL;
    tree.root = spine.root;
    return changeInLeaf(node, { index, count: Math.min(end - key, countOf(node) - index) }, next);
  }
}

function changeInLeaf(
  leaf: Uint32Array,
  { index, count }: { readonly index: number; readonly count: number },
  next: (value: number) => number | undefined,
): number {
  const first = keyAt(leaf, index);
  for (let done = 0; done < count; done++) {
    if (keyAt(leaf, index + done) !== first + done) return done;
    const at = valueAt(leaf, index + done);
    const value = next(leaf[at] as number);
    if (value === undefined) return done;
    leaf[at] = value;
  }
  return count;
}
