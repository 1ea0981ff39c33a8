/**
 * Which free blocks of a group mballoc takes for a request that is not met at its goal (fs/ext4/mballoc.c:
 * ext4_mb_simple_scan_group, ext4_mb_complex_scan_group, mb_find_extent, ext4_mb_measure_extent, ext4_mb_check_limits; Linux 6.18).
 *
 * Words: a *chunk* is a run of 2^k free blocks at a multiple of 2^k, as large as the free blocks around it allow; a free run is cut into them. A *piece*
 * is as many chunks that follow each other as a request needs: most often more blocks than it asks for.
 */
import type { FreeBlocks } from "../../block/free-runs.ts";

/** MB_NUM_ORDERS of blocks of 4 KiB, less one. */
export const ORDER_MAX = 13;
/** The longest chunk. */
export const CHUNK_BLOCKS_MAX: number = 1 << ORDER_MAX;
/** s_mb_min_to_scan: so many pieces are looked at before one that is long enough will do. */
const PIECES_MIN = 10;
/** s_mb_max_to_scan: after so many it is as good as it gets. */
const PIECES_MAX = 200;

/** What a search has found so far, over all groups. */
export interface Found {
  /** Pieces looked at. */
  pieces: number;
  group: number;
  start: number;
  /** 0: nothing yet. */
  count: number;
}

/** The order of the chunk that begins at a block of a free run. */
function orderOf(at: number, end: number): number {
  const aligned = at === 0 ? ORDER_MAX : 31 - Math.clz32(at & -at);
  return Math.min(aligned, 31 - Math.clz32(end - at), ORDER_MAX);
}

/** The order of the longest chunk in a free run. */
export function longestChunk(start: number, end: number): number {
  let longest = 0;
  for (let at = start; at < end; ) {
    const order = orderOf(at, end);
    if (order > longest) longest = order;
    at += 1 << order;
  }
  return longest;
}

/** The first of the smallest chunks that hold 2^order blocks, or -1. */
export function smallestChunk(bits: FreeBlocks, order: number): number {
  let best = -1;
  let least = ORDER_MAX + 1;
  for (let at = bits.nextFree(0); at !== undefined; ) {
    const end = bits.nextUsed(at);
    while (at < end) {
      const own = orderOf(at, end);
      if (own === order) return at;
      if (own > order && own < least) {
        best = at;
        least = own;
      }
      at += 1 << own;
    }
    at = end < bits.size ? bits.nextFree(end) : undefined;
  }
  return best;
}

/**
 * Looks through a group for a piece.
 * @param skips - whether runs that are shorter than what is wanted are stepped over, as where one long enough is sure to be
 * @returns whether the search is over: `found` is what is taken.
 */
export function scanGroup(group: number, bits: FreeBlocks, how: { wanted: number; skips: boolean }, found: Found): boolean {
  const { wanted, skips } = how;
  for (let at = bits.nextFree(0); at !== undefined; ) {
    const end = bits.nextUsed(at);
    while (at < end && !(skips && end - at < wanted)) {
      const count = pieceAt(at, end, wanted);
      if (measure({ group, start: at, count }, wanted, found)) return true;
      at += count;
    }
    at = end < bits.size ? bits.nextFree(end) : undefined;
  }
  return found.count >= wanted;
}

/** mb_find_extent. */
function pieceAt(at: number, end: number, wanted: number): number {
  let count = 0;
  while (count < wanted && at + count < end) count += 1 << orderOf(at + count, end);
  return count;
}

/** ext4_mb_measure_extent. @returns whether the search is over. */
function measure(piece: { group: number; start: number; count: number }, wanted: number, found: Found): boolean {
  const { count } = piece;
  const isFirst = found.count === 0;
  const fits = count > wanted && count < found.count;
  found.pieces += 1;
  if (count === wanted || isFirst || (found.count < wanted ? count > found.count : fits)) Object.assign(found, piece);
  if (count === wanted) return true;
  if (isFirst) return false;
  return found.pieces > PIECES_MAX || (found.count >= wanted && found.pieces > PIECES_MIN);
}
