/** Campaigns on every driver: nothing disagrees, the known differences occur, and the same seed gives the same. */
import { describe, expect, test } from "vitest";
import { DRIVERS } from "../../src/drivers/registry.ts";
import { runCampaign } from "../../src/fuzz/campaign.ts";
import { KNOWN_DIFFERENCES } from "../../src/fuzz/differences.ts";
import { groundOf } from "../../src/fuzz/ground.ts";

describe.each([...DRIVERS.keys()])("a campaign on %s", (driver) => {
  test("finds nothing, and says what it saw", { timeout: 300_000 }, () => {
    const result = runCampaign({ ground: groundOf(driver), seed: 1, operations: 8000, segmentCalls: 800 });
    expect(result).toMatchObject({ figures: { worlds: 1, layers: 21 } });
    if (typeof result === "string") return;
    expect(result.counterexample).toBeUndefined();
    expect(result.figures.operations).toBeGreaterThanOrEqual(8000);
    expect(result.figures.states).toBeGreaterThan(20);
    expect(result.figures.answers).toMatchObject({ "mkdir EEXIST": expect.any(Number), "rename ENOTEMPTY": expect.any(Number) });
  });
});

test("the same seed gives the same figures", () => {
  const run = () => runCampaign({ ground: groundOf("overlay2"), seed: 5, operations: 100, segmentCalls: 50 });
  expect(run()).toEqual(run());
});

test("two shards make other worlds", () => {
  const run = (shard: number) =>
    runCampaign({ ground: groundOf("vfs"), seed: 5, operations: 100, segmentCalls: 50, shard, shards: 2 });
  expect(run(0)).not.toEqual(run(1));
});

test("overlay2 and vfs agree but for known differences, which occur", { timeout: 300_000 }, () => {
  const result = runCampaign({
    ground: groundOf("overlay2"),
    beside: groundOf("vfs"),
    seed: 2,
    operations: 8000,
    segmentCalls: 800,
  });
  if (typeof result === "string") throw new Error(result);
  expect(result.counterexample).toBeUndefined();
  expect(result.figures.otherwise).toBeGreaterThan(0);
  expect(Object.keys(result.figures.differences)).toEqual(["copy-up breaks hard links", "rename of a lower directory"]);
});

test("every known difference names drivers that exist, and where it is written", () => {
  for (const { drivers, source } of KNOWN_DIFFERENCES) {
    for (const driver of drivers) expect([...DRIVERS.keys()]).toContain(driver);
    expect(source.length).toBeGreaterThan(10);
  }
});
