import { expect, test } from "vitest";
import { judgeGoals } from "../../bench/goals.ts";
import type { Sample } from "../../bench/measure.ts";
import { renderReport } from "../../bench/report.ts";

function sample(workload: string, nanoseconds: number, kept = 0): Sample {
  const spread = { least: nanoseconds, most: nanoseconds, rounds: 3, operations: 100, asked: 100 };
  return { workload, unit: "call", nanoseconds, ...spread, bytes: { rss: 0, heap: kept, arrayBuffers: 0 } };
}

function run(peers: Readonly<Record<string, readonly Sample[]>>): Map<string, Map<string, Sample>> {
  return new Map(Object.entries(peers).map(([peer, list]) => [peer, new Map(list.map((each) => [each.workload, each]))]));
}

function verdict(goals: ReturnType<typeof judgeGoals>, beginning: string): boolean | undefined {
  const goal = goals.find(({ text }) => text.startsWith(beginning));
  if (goal === undefined) throw new Error(`no goal begins with ${beginning}`);
  return goal.hit;
}

test("a goal against a peer is hit at exactly its factor and missed just below it", () => {
  const at = (theirs: number): boolean | undefined =>
    verdict(
      judgeGoals(run({ cowlab: [sample("rename", 100)], memfs: [sample("rename", theirs)] }), undefined),
      "rename: at least 8",
    );
  expect(at(800)).toBe(true);
  expect(at(799)).toBe(false);
});

test("a goal whose peer did not run is neither hit nor missed", () => {
  const goals = judgeGoals(run({ cowlab: [sample("rename", 100)] }), undefined);
  expect(verdict(goals, "rename: at least 10 × as fast as overlayfs-tmpfs")).toBeUndefined();
});

test("depth, bytes a file, copy-up and start have bounds of their own", () => {
  const goals = judgeGoals(
    run({
      cowlab: [
        sample("stat-L1", 100),
        sample("stat-L127", 121),
        sample("memory-empty-files", 1000, 300),
        sample("copy-up-described-64-GiB", 20_000, 1025),
      ],
    }),
    1.9,
  );
  expect(verdict(goals, "stat through 127 layers")).toBe(false);
  expect(verdict(goals, "memory-empty-files")).toBe(true);
  expect(verdict(goals, "copy-up of a 64-GiB file: at most 20 µs")).toBe(true);
  expect(verdict(goals, "copy-up of a 64-GiB file: at most 1 KiB")).toBe(false);
  expect(verdict(goals, "npm start")).toBe(true);
});

test("the report gives each peer's factor against the first, and marks what was cut short", () => {
  const samples = run({ cowlab: [sample("unlink", 500)], memfs: [{ ...sample("unlink", 4500), operations: 50 }] });
  const text = renderReport({ samples, goals: [], notes: ["a note"] });
  expect(text).toContain("| unlink   | 500 ns | 4.50 µs* ×9.00 |");
  expect(text).toContain("- a note");
});
