/**
 * How often a property runs: a fixed seed and a quick count in `npm test`, so that a red run is the change's fault; many runs with fresh
 * seeds in `npm run soak` (COWLAB_SOAK: how many times as many). fast-check prints the seed and the path of a counterexample.
 */
const factor = Number(process.env["COWLAB_SOAK"] ?? 0);

export function runs(count: number): { readonly numRuns: number; readonly seed?: number } {
  return factor > 0 ? { numRuns: count * factor } : { numRuns: count, seed: 1 };
}

/** Milliseconds that such a property may take: as long as it likes in a soak run. */
export const PROPERTY_MILLISECONDS: number = factor > 0 ? 24 * 3_600_000 : 300_000;
