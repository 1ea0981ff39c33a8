/** Counters of a thin pool. */

/** What volumes did; each only grows. */
export interface ThinCounters {
  /** Virtual blocks that got a data block for the first time. */
  provisioned: number;
  /** Of those, how many were zeroed first. */
  zeroed: number;
  /** Shared blocks that a write moved to a new data block. */
  broken: number;
  /** Of those and of blocks with an external origin, how many were copied first. */
  copied: number;
  /** Bytes that were copied so. */
  copiedBytes: number;
  /** Virtual blocks that a discard unmapped. */
  unmapped: number;
  commits: number;
}

/** Counters of a pool that has done nothing yet. */
export function newThinCounters(): ThinCounters {
  return { provisioned: 0, zeroed: 0, broken: 0, copied: 0, copiedBytes: 0, unmapped: 0, commits: 0 };
}
