/**
 * FICLONERANGE and FIDEDUPERANGE (fs/remap_range.c: generic_remap_checks; fs/xfs/xfs_reflink.c: xfs_reflink_remap_blocks): the target's blocks become
 * the source's, which both use from then on.
 */
import { EINVAL, EIO, ENOSPC, ENOTSUP, type Errno } from "../../core/errno.ts";
import { makeFile } from "./file-of.ts";
import { forkSpace } from "./fork-space.ts";
import { INNER_FLAGS, PROJECT, SHARES } from "./inodes.ts";
import { BLOCK_SIZE } from "./layout.ts";
import { canReserve } from "./reserve.ts";
import { addUse } from "./shared.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";
import { freeData, visitByGroup } from "./unmap.ts";

/** Where bytes come from and go to. */
export interface CloneRange {
  readonly source: number;
  readonly sourceOffset: number;
  readonly target: number;
  readonly targetOffset: number;
  /** 0: to the source's end. */
  readonly length: number;
}

/** Whether a range begins at whole blocks, lies in the source, and does not meet itself (generic_remap_checks). */
function rangeError(state: XfsState, range: CloneRange, length: number): Errno | undefined {
  const { source, sourceOffset, target, targetOffset } = range;
  if (length < 0 || sourceOffset % BLOCK_SIZE !== 0 || targetOffset % BLOCK_SIZE !== 0) return EINVAL;
  const sourceEnd = sourceOffset + length;
  if (sourceEnd > state.size(source)) return EINVAL;
  if (length % BLOCK_SIZE !== 0 && sourceEnd !== state.size(source)) return EINVAL;
  return source === target && Math.abs(sourceOffset - targetOffset) < length ? EINVAL : undefined;
}

/** @param same - both hold the same bytes: the target's times stay */
export function clone(state: XfsState, range: CloneRange, same = false): Errno | undefined {
  if (!state.geometry.reflink) return ENOTSUP;
  const { source, sourceOffset, target, targetOffset } = range;
  const unread = state.isShutDown ? EIO : (state.reachBody(source) ?? state.reachBody(target));
  if (unread !== undefined) return unread;
  const length = range.length === 0 ? state.size(source) - sourceOffset : range.length;
  const wrong = rangeError(state, range, length);
  if (wrong !== undefined) return wrong;
  if (length === 0) return undefined;
  const from = makeFile(state, source);
  const into = makeFile(state, target);
  const flushed = from.mapping?.flush(sourceOffset, length) ?? into.mapping?.flush(targetOffset, length);
  if (flushed !== undefined) return flushed;
  // Part of a block is only shared at the end of both: told after the pages are written (generic_remap_check_len).
  if (length % BLOCK_SIZE !== 0 && targetOffset + length < state.size(target)) return EINVAL;
  if (!canReserve(state, target, 1)) return ENOSPC;
  const refused = state.begin();
  if (refused !== undefined) return refused;
  for (const ino of [source, target]) state.setWord(ino, INNER_FLAGS, state.word(ino, INNER_FLAGS) | SHARES);
  const first = sourceOffset / BLOCK_SIZE;
  const end = Math.ceil((sourceOffset + length) / BLOCK_SIZE);
  const by = targetOffset / BLOCK_SIZE - first;
  into.mapping?.punch(targetOffset, (end - first) * BLOCK_SIZE);
  takeAway(state, range, { first, end, by });
  const failed = mapAll(state, range, { first, end, by });
  if (failed !== undefined) return failed;
  if (targetOffset + length > state.size(target)) {
    state.setSize(target, targetOffset + length);
    into.onDisk = targetOffset + length;
  }
  state.dirtyFork(source);
  state.dirtyFork(target);
  if (!same) stamp(state, target, true);
  return undefined;
}

/** Frees what the target has, but for what its copy-on-write fork took in advance; where both sides have unwritten blocks, the target keeps its own (xfs_reflink_remap_extent). */
function takeAway(
  state: XfsState,
  range: CloneRange,
  { first, end, by }: { readonly first: number; readonly end: number; readonly by: number },
): void {
  const { list } = makeFile(state, range.source).fork;
  const into = makeFile(state, range.target);
  const kept: (readonly [from: number, to: number])[] = [];
  for (let index = list.find(first); index < list.count && list.logical(index) < end; index++) {
    if (!list.isUnwritten(index)) continue;
    const [from, to] = [Math.max(first, list.logical(index)) + by, Math.min(end, list.end(index)) + by];
    const own = into.fork.list;
    for (let at = own.find(from); at < own.count && own.logical(at) < to; at++)
      if (own.isUnwritten(at)) kept.push([Math.max(from, own.logical(at)), Math.min(to, own.end(at))]);
  }
  let at = first + by;
  for (const [from, to] of kept) {
    if (at < from) freeData(state, range.target, into, at, from);
    at = to;
  }
  if (at < end + by) freeData(state, range.target, into, at, end + by);
}

/** Maps the source's written blocks into the target. Unwritten ones hold nothing: they are left out. */
function mapAll(
  state: XfsState,
  range: CloneRange,
  blocks: { readonly first: number; readonly end: number; readonly by: number },
): Errno | undefined {
  const { list } = makeFile(state, range.source).fork;
  const { fork } = makeFile(state, range.target);
  const found: (readonly [from: number, to: number, physical: number])[] = [];
  for (let index = list.find(blocks.first); index < list.count && list.logical(index) < blocks.end; index++) {
    if (list.isUnwritten(index)) continue;
    const from = Math.max(blocks.first, list.logical(index));
    const to = Math.min(blocks.end, list.end(index));
    found.push([from, to, list.physical(index) + from - list.logical(index)]);
  }
  for (const [from, to, physical] of found) {
    // The target is charged as if the blocks were its own.
    if (state.projects.left(state.word(range.target, PROJECT)) < to - from) return ENOSPC;
    visitByGroup(state, physical, to - from, (start, count) => addUse(state, start, count));
    fork.list.insert({ logical: from + blocks.by, physical, count: to - from, unwritten: false }, fork);
    fork.settle(forkSpace(state, range.target));
    state.addBlocks(range.target, to - from);
  }
  return undefined;
}
