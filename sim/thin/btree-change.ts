/**
 * Changing the value of a key that is there, in place once its way is copied (dm-btree.c, btree_get_overwrite_leaf).
 */
import { EINVAL, type Errno } from "../core/errno.ts";
import type { BTree } from "./btree.ts";
import { childAt, isLeaf, keyAt, lowerBound, valueAt } from "./btree-node.ts";
import { Spine } from "./btree-spine.ts";

/**
 * Changes a value's first word. @param next - gives the new one from the words and the place of the old; undefined: leave it.
 * @returns EINVAL where the key is missing; ENOSPC, EIO.
 */
export function changeValue(
  tree: BTree,
  key: number,
  next: (words: Uint32Array, at: number) => number | undefined,
): Errno | undefined {
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
    const at = valueAt(node, index);
    const value = next(node, at);
    if (value !== undefined) node[at] = value;
    return undefined;
  }
}
