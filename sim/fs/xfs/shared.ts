/**
 * Blocks that several files share (fs/xfs/libxfs/xfs_refcount.c): each group's tree tells how often a run is used, where that is more than once,
 * and which runs wait in a file's copy-on-write fork (XFS_REFC_DOMAIN_COW).
 *
 * Interface: blocks are those of the device; a run lies within one group.
 */
import { assert } from "../../core/assert.ts";
import type { BTree } from "./btree.ts";
import type { Group } from "./group.ts";
import { freeBlocks } from "./space.ts";
import type { XfsState } from "./state.ts";

/** Runs of copy-on-write forks are kept behind all others (XFS_REFC_COWFLAG). */
const COW_FLAG: number = 2 ** 31;

function treeOf(state: XfsState, block: number): { group: Group; tree: BTree; first: number } {
  const group = state.group(Math.floor(block / state.geometry.groupBlocks));
  assert(group.shared !== undefined, "this xfs shares no blocks");
  return { group, tree: group.shared, first: block - group.start };
}

/** Cuts a record in two at a block, if one straddles it. */
function cut(tree: BTree, at: number): void {
  if (!tree.seek(at)) return;
  const [start, count, uses] = [tree.get(0), tree.get(1), tree.get(2)];
  if (start >= at || start + count <= at) return;
  tree.update([start, at - start, uses]);
  tree.insert([at, start + count - at, uses]);
}

/** Joins a record that begins at a block with the one before it, where both say the same. */
function join(tree: BTree, at: number): void {
  if (!tree.find(at)) return;
  const [count, uses] = [tree.get(1), tree.get(2)];
  if (!tree.previous()) return;
  const [start, before, usesBefore] = [tree.get(0), tree.get(1), tree.get(2)];
  if (start + before !== at || usesBefore !== uses || (start < COW_FLAG && at >= COW_FLAG)) return;
  tree.remove(at);
  tree.find(start);
  tree.update([start, before + count, uses]);
}

/** One file more uses the blocks. */
export function addUse(state: XfsState, block: number, count: number): void {
  const { tree, first } = treeOf(state, block);
  const end = first + count;
  cut(tree, first);
  cut(tree, end);
  for (let at = first; at < end; ) {
    const there = tree.seekFrom(at);
    const start = there ? Math.min(tree.get(0), end) : end;
    if (start > at) {
      tree.insert([at, start - at, 2]);
      at = start;
      continue;
    }
    const length = tree.get(1);
    tree.update([at, length, tree.get(2) + 1]);
    at += length;
  }
  settle(tree, first, end);
}

/** One file fewer uses the blocks: those that nobody uses any more are freed. */
export function dropUse(state: XfsState, block: number, count: number): void {
  const { group, tree, first } = treeOf(state, block);
  const end = first + count;
  cut(tree, first);
  cut(tree, end);
  for (let at = first; at < end; ) {
    const there = tree.seekFrom(at);
    const start = there ? Math.min(tree.get(0), end) : end;
    if (start > at) {
      freeBlocks(state, group.start + at, start - at);
      at = start;
      continue;
    }
    const [length, uses] = [tree.get(1), tree.get(2)];
    if (uses > 2) tree.update([at, length, uses - 1]);
    else tree.remove(at);
    at += length;
  }
  settle(tree, first, end);
}

/** Joins what became equal in [first, end] and at its edges. */
function settle(tree: BTree, first: number, end: number): void {
  join(tree, first);
  for (let at = first; at < end && tree.seekFrom(at + 1) && tree.get(0) <= end; ) {
    at = tree.get(0);
    join(tree, at);
  }
}

/** Where in a run the first shared block lies, and how many follow it that are shared too; `count` where none is. */
export function firstShared(state: XfsState, block: number, count: number): { offset: number; length: number } {
  const { tree, first } = treeOf(state, block);
  const end = first + count;
  if (tree.seek(first) && tree.get(0) + tree.get(1) > first && tree.get(0) < COW_FLAG) {
    // It begins within a record.
  } else if (!tree.seekFrom(first) || tree.get(0) >= end) return { offset: count, length: 0 };
  const start = Math.max(first, tree.get(0));
  let last = tree.get(0) + tree.get(1);
  while (last < end && tree.next() && tree.get(0) === last) last += tree.get(1);
  return { offset: start - first, length: Math.min(end, last) - start };
}

/** Notes blocks that a copy-on-write fork took: a mount after a crash frees them. */
export function addStaging(state: XfsState, block: number, count: number): void {
  const { tree, first } = treeOf(state, block);
  tree.insert([COW_FLAG + first, count, 1]);
}
/** They belong to a file now, or are free. */
export function endStaging(state: XfsState, block: number, count: number): void {
  const { tree, first } = treeOf(state, block);
  const at = COW_FLAG + first;
  cut(tree, at);
  cut(tree, at + count);
  for (let done = 0; done < count; ) {
    assert(tree.find(at + done), `block ${block + done} is in no copy-on-write fork`);
    const length = tree.get(1);
    tree.remove(at + done);
    done += length;
  }
}

/** Frees what copy-on-write forks held when the power went (xfs_reflink_recover_cow). */
export function freeStaging(state: XfsState): void {
  for (const group of state.groups) {
    const { shared } = group;
    if (shared === undefined) continue;
    while (shared.last() && shared.get(0) >= COW_FLAG) {
      const [first, count] = [shared.get(0), shared.get(1)];
      shared.remove(first);
      freeBlocks(state, group.start + first - COW_FLAG, count);
    }
  }
}

/** Visits shared runs and those of copy-on-write forks, which are used once. */
export function visitShared(group: Group, visit: (start: number, count: number, uses: number) => void): void {
  group.shared?.visit(([start = 0, count = 0, uses = 0]) => visit(group.start + (start % COW_FLAG), count, uses));
}
