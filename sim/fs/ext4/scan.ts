/**
 * Requests that mballoc takes as they stand (EXT4_MB_HINT_NOPREALLOC): those of fallocate. No goal is tried; groups are asked from the goal's on, each
 * time less choosy (fs/ext4/mballoc.c, ext4_mb_regular_allocator and ext4_mb_good_group, without mb_optimize_scan).
 */
import { dropLocal, hideLocal, type Run, showLocal } from "./allocate.ts";
import { type Found, scanGroup, smallestChunk } from "./buddy.ts";
import { BLOCKS_PER_GROUP, firstBlockOf, GROUPS_PER_FLEX } from "./layout.ts";
import type { Ext4State } from "./state.ts";

/** What a criterion asks of a group before it is looked through. */
type Criterion = "average run" | "free blocks" | "any";

/** Finds up to `wanted` blocks without taking them. @returns undefined where no block is free. */
export function scanForRun(state: Ext4State, goal: number, wanted: number): Run | undefined {
  const first = goal < state.geometry.blocks ? Math.floor(goal / BLOCKS_PER_GROUP) : 0;
  const chunk = wanted > 1 && (wanted & (wanted - 1)) === 0 ? findChunk(state, first, wanted) : -1;
  if (chunk >= 0) return { start: chunk, count: wanted };
  const found: Found = { pieces: 0, group: 0, start: 0, count: 0 };
  for (const criterion of ["average run", "free blocks", "any"] as const)
    if (search(state, first, { wanted, criterion }, found)) break;
  if (found.count > 0) return { start: firstBlockOf(found.group) + found.start, count: Math.min(wanted, found.count) };
  if (state.localCount === 0) return undefined;
  dropLocal(state);
  return scanForRun(state, goal, wanted);
}

/** The groups from one on and around that have so many free blocks. */
function* groupsWith({ groups, geometry }: Ext4State, first: number, free: number): Generator<number> {
  for (
    let group = groups.nextWith(free, first, geometry.groups);
    group >= 0;
    group = groups.nextWith(free, group + 1, geometry.groups)
  )
    yield group;
  for (let group = groups.nextWith(free, 0, first); group >= 0; group = groups.nextWith(free, group + 1, first)) yield group;
}

/** Powers of two (CR_POWER2_ALIGNED): not in the first group of a flex group, which is for directories. @returns the first block, or -1 */
function findChunk(state: Ext4State, first: number, wanted: number): number {
  const order = 31 - Math.clz32(wanted);
  for (const group of groupsWith(state, first, wanted)) {
    if (group % GROUPS_PER_FLEX === 0) continue;
    const start = withoutLocal(state, group, (bits) => smallestChunk(bits, order));
    if (start >= 0) return firstBlockOf(group) + start;
  }
  return -1;
}

function search(state: Ext4State, first: number, how: { wanted: number; criterion: Criterion }, found: Found): boolean {
  const { wanted, criterion } = how;
  for (const group of groupsWith(state, first, criterion === "any" ? 1 : wanted)) {
    const isOver = withoutLocal(state, group, (bits) => {
      if (criterion === "average run" && bits.freeCount < wanted * runsIn(bits)) return false;
      return scanGroup(group, bits, { wanted, skips: criterion === "average run" }, found);
    });
    if (isOver) return true;
  }
  return false;
}

/** bb_fragments. */
function runsIn(bits: Bits): number {
  let runs = 0;
  bits.visitFree(() => {
    runs += 1;
  });
  return runs;
}

type Bits = ReturnType<Ext4State["groups"]["blockBitmap"]>["bits"];

/** Looks at a group's free blocks; the run that is kept for small files looks used meanwhile. */
function withoutLocal<T>(state: Ext4State, group: number, look: (bits: Bits) => T): T {
  const hidden = hideLocal(state, group);
  const seen = look(state.groups.blockBitmap(group).bits);
  if (hidden) showLocal(state, group);
  return seen;
}
