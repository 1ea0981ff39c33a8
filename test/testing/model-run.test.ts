/** Scripts on every driver beside the plain tree; a driver that is wrong is told in few steps, as files that replay it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Task } from "../../sim/vfs/task.ts";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { groundOf } from "../../src/fuzz/ground.ts";
import { traceFiles } from "../../src/node/trace-files.ts";
import { runReplayCommand } from "../../src/replay/command.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { runScenario } from "../../src/scenario/run.ts";
import { script } from "../../src/testing/arbitraries.ts";
import { Disagreement, modelRun } from "../../src/testing/model-run.ts";
import { runs } from "../runs.ts";

const folder = mkdtempSync(join(tmpdir(), "cowlab-testing-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([...DRIVERS.keys()])("scripts on %s answer as the plain tree does", (driver) => {
  fc.assert(
    fc.property(script([groundOf(driver)]), (made) => modelRun(made, { folder })),
    runs(8),
  );
});

/** Runs a property on an engine that was spoilt. @returns the disagreement. */
function found(driver: string, spoil: () => () => void): Disagreement {
  const mend = spoil();
  try {
    for (let seed = 1; seed < 20; seed++) {
      for (const made of fc.sample(script([groundOf(driver)], { callsMax: 20 }), { seed, numRuns: 50 })) {
        try {
          modelRun(made, { folder, name: driver });
        } catch (error) {
          if (error instanceof Disagreement) return error;
          throw error;
        }
      }
    }
  } finally {
    mend();
  }
  throw new Error("the spoilt engine was not found out");
}

/** A link(2) that says it was made, and was not. */
function forgetLinks(): () => void {
  const { link } = Task.prototype;
  Task.prototype.link = () => undefined;
  return () => {
    Task.prototype.link = link;
  };
}

describe("a driver that is wrong", () => {
  test("is told in a handful of steps, with the command that replays them", () => {
    const { script: small, message } = found("vfs", forgetLinks);
    expect(small.steps.length).toBeLessThanOrEqual(5);
    expect(message).toContain(`npx cowlab replay --check ${join(folder, "vfs.ndjson")}`);
  });

  test("is written as a trace: it differs on the wrong driver and agrees on the right one", () => {
    found("overlay2", forgetLinks);
    const replay = (): number => runReplayCommand([join(folder, "overlay2.ndjson")], { files: traceFiles, check: true }).exitCode;
    expect(replay()).toBe(0);
    const mend = forgetLinks();
    expect(replay()).toBe(4);
    mend();
  });

  test("is written as a scenario: its expectations fail on the wrong driver and hold on the right one", () => {
    found("overlay2", forgetLinks);
    const path = join(folder, "overlay2.yaml");
    const scenario = loadScenario(readFileSync(path, "utf8"), path);
    const verdicts = (): boolean[] =>
      runScenario(scenario, { makeWorld }).drivers.flatMap((run) => [
        run.stopped === undefined,
        ...run.verdicts.map(({ ok }) => ok),
      ]);
    expect(verdicts()).not.toContain(false);
    const mend = forgetLinks();
    expect(verdicts()).toContain(false);
    mend();
  });
});
