/**
 * Giving up a whole B-tree: every node that nobody else references, and with it what its entries stand for (dm-btree.c, dm_btree_del).
 */
import { type Errno, isErrno } from "../core/errno.ts";
import type { ValueType } from "./btree.ts";
import { childAt, countOf, isLeaf, valueAt } from "./btree-node.ts";
import type { Transaction } from "./transaction.ts";

/** Gives up a tree. O(its nodes that are not shared). */
export function deleteTree(tx: Transaction, root: number, type: ValueType): Errno | undefined {
  const count = tx.space.count(root);
  if (isErrno(count)) return count;
  if (count > 1) return tx.space.dec(root, root + 1);
  const node = tx.read(root, "node");
  if (isErrno(node)) return node;
  const { words } = node;
  if (isLeaf(words)) type.dec?.(words, valueAt(words, 0), countOf(words));
  else {
    for (let index = 0; index < countOf(words); index++) {
      const failed = deleteTree(tx, childAt(words, index), type);
      if (failed !== undefined) return failed;
    }
  }
  return tx.space.dec(root, root + 1);
}
