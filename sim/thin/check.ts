/** Whether a pool adds up. */
import { leaksIn } from "./check-metadata.ts";
import { PoolMetadata } from "./metadata.ts";
import type { ThinPool } from "./pool.ts";

/** Throws an InvariantError where a pool's metadata does not add up (thin-metadata.ts, `check`); a failed pool says nothing. */
export function checkPool(pool: ThinPool): void {
  if (pool.mode !== "fail") pool.metadata.check(pool.name, pool.lostBefore + pool.lostBlocks);
}

/**
 * Takes the leaks that a pool has as it is loaded for known. A power cut leaves some where a commit came between the taking of a block and its mapping,
 * or between the end of a mapping and the discard of its block, which is counted once more meanwhile (dm-thin.c: process_prepared_discard_passdown_pt1).
 */
export function noteLeaks(pool: ThinPool): void {
  if (pool.metadata instanceof PoolMetadata) pool.lostBefore = leaksIn(pool.metadata.blocks);
}
