/**
 * Allocations that fail in the bundled scenarios, once and for ever. With COWLAB_SOAK every one of each scenario on each of its drivers, which takes
 * hours; without, a few of some.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ENOENT, ENOSPC } from "../../sim/core/errno.ts";
import { Task } from "../../sim/vfs/task.ts";
import { type AllocationResult, failAllocations } from "../../src/fuzz/faults/allocations.ts";
import { FaultRuns } from "../../src/fuzz/faults/plans.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import type { Scenario } from "../../src/scenario/scenario.ts";
import { PROPERTY_MILLISECONDS } from "../runs.ts";

const FOLDER = fileURLToPath(new URL("../../scenarios", import.meta.url));
const soaks = Number(process.env["COWLAB_SOAK"] ?? 0) > 0;
/** How many allocations of one run are made to fail at most. */
const ALLOCATIONS_MAX = soaks ? Number.POSITIVE_INFINITY : 3;
const QUICK: readonly string[] = ["rename-dir-lower.yaml", "btrfs-snapshots-leak.yaml"];

function scenarioOf(name: string): Scenario {
  return loadScenario(readFileSync(`${FOLDER}/${name}`, "utf8"), name);
}

/** Fails an even choice of a driver's allocations. */
function fail(scenario: Scenario, id: string): AllocationResult {
  const counted = failAllocations(scenario, id, { times: [] });
  if (typeof counted === "string") throw new Error(counted);
  const result = failAllocations(scenario, id, { every: Math.max(1, Math.ceil(counted.allocations / ALLOCATIONS_MAX)) });
  if (typeof result === "string") throw new Error(result);
  const { allocations, runs, stopped, violations } = result;
  if (soaks)
    process.stderr.write(
      `${scenario.name} on ${id}: ${JSON.stringify({ allocations, runs, stopped })}, ${violations.length} violations\n`,
    );
  return result;
}

/** Where steps cut the power no fault is counted: it would end with the machine. */
function cutsPower({ steps }: Scenario): boolean {
  return steps.some(({ operation }) => operation.kind === "powerCut");
}

const names = readdirSync(FOLDER).filter(
  (name) => name.endsWith(".yaml") && (soaks ? !cutsPower(scenarioOf(name)) : QUICK.includes(name)),
);

describe.each(names)("an allocation that fails in %s", (name) => {
  const scenario = scenarioOf(name);
  test.each(scenario.drivers.map(({ id }) => id))(
    "gives a declared error and leaves every book in order, on %s",
    { timeout: PROPERTY_MILLISECONDS },
    (id) => {
      const { allocations, violations } = fail(scenario, id);
      expect(allocations).toBeGreaterThan(0);
      expect(violations).toEqual([]);
    },
  );
});

test("an engine that gives another error for a lack of space is found out", () => {
  const { mkdir } = Task.prototype;
  Task.prototype.mkdir = function (this: Task, path: string, mode: number) {
    const answer = mkdir.call(this, path, mode);
    return answer === ENOSPC ? ENOENT : answer;
  };
  try {
    const found = failAllocations(scenarioOf("rename-dir-lower.yaml"), "vfs", { times: [1] });
    expect(typeof found === "string" ? [] : found.violations.join()).toContain("step make-own answers ENOENT");
  } finally {
    Task.prototype.mkdir = mkdir;
  }
});

test("what a pool without room loses as a layer is unmounted is told to nobody, and may be gone for the steps", () => {
  const answers = new Set<string>();
  const runs = new FaultRuns(scenarioOf("thin-64k-amplification.yaml"), "dm-1M", {
    makeWorld: (choice, host, seed) => {
      const world = makeWorld(choice, host, seed);
      if ("session" in world) world.events.subscribe(({ event }) => event.op === "call" && answers.add(event.result));
      return world;
    },
  });
  const result = runs.under({ kind: "fail", what: "allocation", at: undefined, every: 1, times: 1, from: "build" });
  expect(result).toMatchObject({ violations: [] });
  expect(answers.has("ENOENT")).toBe(true);
});

test("a driver that the scenario does not have is refused by name", () => {
  expect(failAllocations(scenarioOf("rename-dir-lower.yaml"), "nobody")).toBe("nobody cannot run");
});
