/** Power cuts of a thin pool after every write (crash-workload.ts says how each subset of unflushed writes is judged). */
import { describe, expect, test } from "vitest";
import { SOAK, Workload } from "./crash-workload.ts";
import { table } from "./thin-lab.ts";

/** How many device writes a workload comes to at least. */
const WRITES = SOAK ? 10_000 : 1500;

describe("a cut after any write, with any two of the unflushed ones lost or torn,", () => {
  test.each([
    ["in a pool", []],
    ["in a pool with discards that it keeps to itself", ["no_discard_passdown"]],
  ] as const)(
    "leaves the last commit or a later one, whole, with every flushed byte, %s",
    (_, features) => {
      const workload = new Workload(features.length + 7, { table: table(...features) });
      while (workload.writes < WRITES) workload.step();
      expect(workload.ways).toBeGreaterThan(10 * WRITES);
      expect(workload.restarts).toBeGreaterThan(WRITES / 10);
      const { writes, ways, restarts, whole } = workload;
      if (SOAK) process.stdout.write(`${writes} writes, ${ways} subsets by ${restarts} restarts, ${whole} cuts made whole\n`);
    },
    24 * 3_600_000,
  );
});
