/**
 * Promises of delayed allocation: space for what is dirty and has no place yet (fs/btrfs/delalloc-space.c; Linux 6.18).
 *
 * Interface: a write promises whole sectors before it dirties pages, also where an extent is already, since data is never written in place; writing back ends the promise.
 */
import type { Content } from "../../core/content.ts";
import { EDQUOT, ENOSPC, type Errno } from "../../core/errno.ts";
import type { IntervalMap } from "../../core/intervals.ts";
import { alignDown, alignUp } from "../../core/units.ts";
import { hasPlace } from "./file-extents.ts";
import { delayedNewOf, delayedOf, type InodeState } from "./inode-state.ts";
import { dirtyMappingOf } from "./inodes.ts";
import { NOCOW_FLAG, SECTOR_SIZE } from "./layout.ts";
import { delallocReserve, moreReserve, SECTOR_RESERVE } from "./metadata-space.ts";
import type { BtrfsState } from "./state.ts";

/** How many bytes of [start, end) a map does not cover. */
function gapIn(map: IntervalMap<true> | undefined, start: number, end: number): number {
  let covered = 0;
  map?.visit(start, end, (from, to) => {
    covered += to - from;
  });
  return end - start - covered;
}

/** Whether `length` more bytes of data can be promised; makes a chunk if that helps. */
function hasData(state: BtrfsState, length: number): boolean {
  for (;;) {
    const { total } = state.space.totals("data");
    if (state.space.taken("data") + state.delayedBytes + length <= total) return true;
    if (state.space.makeChunk("data") === undefined) return false;
  }
}

/** Promises data space. @returns ENOSPC, EDQUOT. */
export function promise(state: BtrfsState, inode: InodeState, length: number): Errno | undefined {
  if (state.environment.allocations?.fails() === true) return ENOSPC;
  if (!hasData(state, length)) {
    // What is pinned comes back, and what was promised twice shrinks, when everything is written.
    const failed = state.flushAndCommit();
    if (failed !== undefined) return failed;
    if (!hasData(state, length)) return ENOSPC;
  }
  const { quotas } = state;
  const { id } = inode.subvolume;
  if (quotas === undefined || quotas.reserveData(id, length)) return undefined;
  const failed = state.flushAndCommit();
  if (failed !== undefined) return failed;
  return quotas.reserveData(id, length) ? undefined : EDQUOT;
}

/** Promises the sectors that [offset, end) touches and that have none yet. */
export function promiseRange(state: BtrfsState, inode: InodeState, offset: number, end: number): Errno | undefined {
  const first = alignDown(offset, SECTOR_SIZE);
  const last = alignUp(end, SECTOR_SIZE);
  // A sector that is written in place needs no other; it is only promised when there is no room for another.
  const need = gapIn(inode.delayed, first, last);
  if (need > 0) {
    const refused = promise(state, inode, need);
    if (refused !== undefined && !(refused === ENOSPC && isInPlace(inode, first, last))) return refused;
    if (refused !== undefined) return undefined;
  }
  return delay(state, inode, first, last);
}

/** Promises the nodes that whole sectors may need when they have their place, and counts all that is promised to them. */
function delay(state: BtrfsState, inode: InodeState, first: number, last: number): Errno | undefined {
  // Sectors come one by one: all but the last are counted when that one promises what it may need alone.
  const refused = state.metadata.reserve(moreReserve(inode, first, last - SECTOR_SIZE) + SECTOR_RESERVE, "all");
  if (refused !== undefined) return refused;
  const before = delallocReserve(inode);
  state.delayedBytes += gapIn(inode.delayed, first, last);
  delayedOf(inode).set(first, last, true);
  // What is promised counts from now on, though its pages become dirty only when all of the call's is.
  state.dirtied.add(inode);
  state.metadata.delalloc += delallocReserve(inode) - before;
  markNew(inode, first, last);
  return undefined;
}

/**
 * Puts bytes for which space is promised into the cache. What cannot be put there, since the rest of its page cannot be read, is promised no more
 * (btrfs_buffered_write).
 */
export function writePromised(
  state: BtrfsState,
  inode: InodeState,
  bytes: { readonly offset: number; readonly content: Content },
  oldSize: number,
): Errno | undefined {
  const { offset, content } = bytes;
  const mapping = dirtyMappingOf(state, inode);
  const failed = mapping.write(offset, content, oldSize);
  if (failed === undefined) return undefined;
  for (let at: number = alignDown(offset, SECTOR_SIZE); at < offset + content.length; at += SECTOR_SIZE)
    if (!mapping.isDirty(at / SECTOR_SIZE)) undelay(state, inode, at, at + SECTOR_SIZE);
  return failed;
}

/** Whether all of a range is written where it is: prealloc, or a file that is never copied (btrfs_check_nocow_lock). */
function isInPlace(inode: InodeState, start: number, end: number): boolean {
  return hasPlace(inode, start, end, (inode.flags & NOCOW_FLAG) === 0 ? "prealloc" : "placed");
}

/** What of a range has no extent shows as blocks of its own while it is delayed. */
function markNew(inode: InodeState, start: number, end: number): void {
  for (let at = start; at < end; at += SECTOR_SIZE) {
    const next = hasPlace(inode, at, at + SECTOR_SIZE, "all");
    if (!next) {
      // Runs of new sectors are common: the rest is asked for at once.
      if (!hasPlace(inode, at, end, "all", true)) {
        delayedNewOf(inode).set(at, end, true);
        return;
      }
      delayedNewOf(inode).set(at, at + SECTOR_SIZE, true);
    }
  }
}

/** Ends the promises for [start, end). */
export function undelay(state: BtrfsState, inode: InodeState, start: number, end: number): void {
  const { delayed } = inode;
  if (delayed !== undefined && delayed.covered > 0) {
    const before = delayed.covered;
    const reserved = delallocReserve(inode);
    delayed.delete(start, end);
    state.delayedBytes -= before - delayed.covered;
    state.metadata.delalloc -= reserved - delallocReserve(inode);
    if (delayed.covered === 0) inode.delayed = undefined;
  }
  inode.delayedNew?.delete(start, end);
  if (inode.delayedNew?.covered === 0) inode.delayedNew = undefined;
}
