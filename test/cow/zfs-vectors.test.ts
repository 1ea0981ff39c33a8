/**
 * What OpenZFS 2.1 on Linux 6.1 counted after each of 50 operations, beside what is counted here: every result and error text, every figure of
 * a dataset exactly; what the pool keeps for itself (its meta object set is measured, not made) within a tenth.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { type RecordedStep, Recording } from "./zfs-recorded.ts";

const FILE = new URL("../data/vectors/zfs-cow.ndjson", import.meta.url);
const STEPS: readonly RecordedStep[] = readFileSync(FILE, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as RecordedStep);
const TOLERANCE = 0.1;

/** Figures that hold the meta object set: the pool's own, and the root dataset's sums. */
function isPoolFigure(dataset: string, column: string): boolean {
  return dataset === "zp" && ["used", "uchild", "lused"].includes(column);
}

test("every operation gives the recorded result and the recorded figures", () => {
  const recording = new Recording();
  for (const step of STEPS) {
    const got = recording.run(step);
    const { r, err, out } = step.res ?? {};
    const what = `${step.i} ${step.op}`;
    if (r !== null && r !== undefined) expect(got.r, what).toBe(r);
    if (err !== null && err !== undefined) expect(got.err ?? "", what).toBe(err);
    if (out !== undefined && out !== "") expect(got.out, what).toBe(out);
    const figures = recording.figures();
    expect(Object.keys(figures.ds).sort(), what).toEqual(Object.keys(step.use.ds).sort());
    for (const [name, columns] of Object.entries(step.use.ds)) {
      for (const [column, recorded] of Object.entries(columns)) {
        const figure = figures.ds[name]?.[column];
        if (!isPoolFigure(name, column)) expect(figure, `${what}: ${name} ${column}`).toBe(recorded);
        else expect(Math.abs(Number(figure) / Number(recorded) - 1), `${what}: ${name} ${column}`).toBeLessThan(TOLERANCE);
      }
    }
    const [size, allocated] = step.use.pool;
    expect(figures.pool[0], what).toBe(size);
    expect(Math.abs(Number(figures.pool[1]) / Number(allocated) - 1), `${what}: pool`).toBeLessThan(TOLERANCE);
    // What no dataset counts are the blocks of intent logs, once all that was freed is free.
    const logs = Number(allocated) - Number(step.use.ds["zp"]?.["used"]);
    expect(recording.pool?.store.logBytes, `${what}: logs`).toBe(logs);
    if (recording.pool !== undefined) checkPool(recording.pool);
  }
});
