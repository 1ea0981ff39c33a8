/**
 * Counters: each engine keeps a plain object of numbers that only grow, so that counting is one addition and a report is the
 * difference of two snapshots.
 */
export type Counters = Readonly<Record<string, number>>;

/** A copy of the counters as they stand. */
export function snapshot<T extends object>(counters: T): T {
  return { ...counters };
}

/** What was counted between two snapshots, name by name; a name that is missing before counts from 0. */
export function difference<T extends object>(before: T, after: T): T {
  const from = before as Record<string, number>;
  const to = after as Record<string, number>;
  const out: Record<string, number> = {};
  for (const key of Object.keys(to)) out[key] = (to[key] ?? 0) - (from[key] ?? 0);
  return out as T;
}
