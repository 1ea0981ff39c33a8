/** Whether a pool adds up. */
import type { ThinPool } from "./pool.ts";

/** Throws an InvariantError where a pool's metadata does not add up (thin-metadata.ts, `check`); a failed pool says nothing. */
export function checkPool(pool: ThinPool): void {
  if (pool.mode !== "fail") pool.metadata.check(pool.name, pool.lostBlocks);
}
