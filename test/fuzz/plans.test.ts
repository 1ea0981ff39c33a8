/**
 * Scenarios under every fault of a plan: what does not hold is found out, and the plan that is told of it shows it again.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC } from "../../sim/core/errno.ts";
import { Task } from "../../sim/vfs/task.ts";
import { faults } from "../../src/cli/faults.ts";
import { FaultRuns } from "../../src/fuzz/faults/plans.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { parsePlan } from "../../src/scenario/plan-text.ts";
import type { Scenario } from "../../src/scenario/scenario.ts";

const TEXT = `version: 1
name: durable
about: What is promised is kept
drivers: [aufs, btrfs, devicemapper, overlay, overlay2, vfs, zfs]
host: { backing: ext4, device: 512MiB, memory: 64MiB }
images: { app: { layers: [[{ mkdir: /d }, { write: /d/old, text: old }]] } }
containers: { c: { image: app } }
steps:
  - { id: open, in: c, do: { open: /d/f, flags: O_RDWR|O_CREAT, as: fd } }
  - { id: write, in: c, do: { pwrite: $fd, offset: 0, text: text } }
  - { id: fsync, in: c, do: { fsync: $fd } }
  - { id: sync, in: c, do: { sh: "mv /d/old /d/new && sync" } }
  - { id: last, in: c, do: { sh: "echo more >> /d/f" } }
`;
const SCENARIO: Scenario = loadScenario(TEXT, "durable.yaml");

/** Some of the work of processes, which does nothing. */
function withoutFsync<T>(work: () => T): T {
  const { fsync } = Task.prototype;
  Task.prototype.fsync = () => undefined;
  try {
    return work();
  } finally {
    Task.prototype.fsync = fsync;
  }
}

describe.each(SCENARIO.drivers.map(({ id }) => id))("on %s", (id) => {
  test("no fault of a plan breaks an engine, a promise or a rule of errors", () => {
    const runs = new FaultRuns(SCENARIO, id, { most: 6 });
    for (const text of [
      "{ power_cut: command }",
      "{ fail: allocation }",
      "{ fail: write }",
      "{ fail: flush }",
      "{ device: 96MiB }",
    ]) {
      const result = runs.under(parsePlan(text, "--fault"));
      if (typeof result === "string") throw new Error(result);
      expect(result.violations).toEqual([]);
      expect(result.cases).toBeGreaterThan(0);
      if (text.includes("power_cut")) expect(result.looked).toBeGreaterThan(result.cases);
    }
  });
});

describe("a file of 96 MiB that a step syncs", () => {
  const big = TEXT.replace("text: text } }", "size: 96MiB, content: random } }");
  const scenario = loadScenario(big.replace("echo more >> /d/f", "echo more >> /d/g"), "durable.yaml");

  test.each(["overlay2", "btrfs", "zfs"])("is looked for by what describes it: nobody hashes its bytes, on %s", (id) => {
    const { sha256 } = Content.prototype;
    Content.prototype.sha256 = () => {
      throw new Error("a digest was asked for");
    };
    try {
      const result = new FaultRuns(scenario, id, { most: 2 }).under(parsePlan("{ fail: write, times: 1 }", "--fault"));
      expect(result).toMatchObject({ violations: [] });
      expect(typeof result === "string" ? 0 : result.looked).toBeGreaterThan(0);
    } finally {
      Content.prototype.sha256 = sha256;
    }
  });

  test("is told by its digest where it is not there", () => {
    const result = withoutFsync(() =>
      new FaultRuns(scenario, "overlay2", { most: 4 }).under(parsePlan("{ power_cut: write, keep: none }", "--fault")),
    );
    expect(typeof result === "string" ? [] : result.violations.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^container c: promised by step 3: \/d\/f is null, not \["file",.*"sha256":"[0-9a-f]{64}"/),
    );
  });
});

test("faults that are counted from the build on promise nothing, so that no machine runs to be looked at", () => {
  let machines = 0;
  const runs = new FaultRuns(SCENARIO, "vfs", {
    most: 1,
    makeWorld: (...of) => {
      machines += 1;
      return makeWorld(...of);
    },
  });
  expect(runs.under(parsePlan("{ fail: allocation, times: 1, from: build }", "--fault"))).toMatchObject({ cases: 1 });
  expect(machines).toBe(2);
  expect(runs.under(parsePlan("{ fail: allocation, times: 1 }", "--fault"))).toMatchObject({ cases: 1 });
  expect(machines).toBe(4);
});

describe("an fsync that does nothing", () => {
  test("is found out by a power cut, whose plan alone shows it again", () => {
    withoutFsync(() => {
      const runs = new FaultRuns(SCENARIO, "overlay2");
      const result = runs.under(parsePlan("{ power_cut: write }", "--fault"));
      if (typeof result === "string") throw new Error(result);
      const [first] = result.violations;
      expect(first?.severity).toBe("lost");
      expect(first?.message).toContain("container c: promised by step 3: /d/f");
      if (first === undefined) return;
      const again = runs.under(first.plan);
      expect(typeof again === "string" ? again : again.violations).toEqual([first]);
    });
  });

  test("makes cowlab faults end with 3, and tell the command that shows it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cowlab-faults-"));
    const path = join(folder, "durable.yaml");
    writeFileSync(path, `${TEXT}faults: { plug: { power_cut: write }, small: { inodes: 1000 } }\n`);
    let out = "";
    const write = (text: string): void => {
      out += text;
    };
    const options = { cases: "5", drivers: "overlay2,btrfs", quiet: true };
    const { fsync } = Task.prototype;
    try {
      expect(await faults([path], options, write, {})).toBe(0);
      expect(out).toMatch(/^overlay2 +2 +\d+ +0 +\d+ +0$/m);
      expect(out).toContain("{ inodes: 1000 } says nothing on btrfs: btrfs has no limit of inodes");
      out = "";
      Task.prototype.fsync = () => undefined;
      expect(await faults([path], { ...options, cases: "0", fault: ["plug"], drivers: "overlay2" }, write, {})).toBe(3);
      expect(out).toMatch(/^overlay2 +1 +\d+ +0 +\d+ +[1-9]\d*$/m);
      expect(out).toMatch(
        /^ {2}cowlab faults '.*durable\.yaml' --drivers overlay2 --fault '\{ power_cut: write, at: \d+, keep: \w+ \}'$/m,
      );
    } finally {
      Task.prototype.fsync = fsync;
      rmSync(folder, { recursive: true });
    }
  });
});

test("an engine that breaks under a fault is the worst that is told", () => {
  const { mkdir } = Task.prototype;
  const scenario = loadScenario(TEXT.replace("echo more >> /d/f", "mkdir /d/x"), "durable.yaml");
  Task.prototype.mkdir = function (this: Task, path: string, mode: number) {
    const answer = mkdir.call(this, path, mode);
    if (answer === ENOSPC) throw new TypeError("broken");
    return answer;
  };
  try {
    const result = new FaultRuns(scenario, "vfs").under(parsePlan("{ fail: allocation, times: for ever }", "--fault"));
    if (typeof result === "string") throw new Error(result);
    expect(result.violations.map(({ severity, message }) => `${severity}: ${message}`)).toContain("broken: TypeError: broken");
  } finally {
    Task.prototype.mkdir = mkdir;
  }
});

test.each(["devicemapper", "zfs"])(
  "layers and containers of %s that are removed under a fault leave nothing undeclared behind",
  (driver) => {
    const text = TEXT.replace(/^drivers: .*$/m, `drivers: [${driver}]`)
      .replace("text: old }]]", "size: 2MiB }], [{ write: /d/new, size: 1MiB }]]")
      .replace(/^steps:[\s\S]*/m, 'steps:\n  - { do: { remove: c } }\n  - { do: { remove: "app:2" } }\n');
    const runs = new FaultRuns(loadScenario(text, "durable.yaml"), driver, { most: 25 });
    for (const plan of ["{ power_cut: command }", "{ fail: write }", "{ fail: read }"])
      expect(runs.under(parsePlan(plan, "--fault"))).toMatchObject({ violations: [] });
  },
);

test("a directory whose redirect finds no room is refused with EXDEV, which is declared", () => {
  const drivers = "[{ id: redirect, driver: overlay2, options: { redirect_dir: on } }]";
  const text = TEXT.replace(/^drivers: .*$/m, `drivers: ${drivers}`).replace("echo more >> /d/f", "mv /d /e");
  const answers = new Set<string>();
  const runs = new FaultRuns(loadScenario(text, "durable.yaml"), "redirect", {
    makeWorld: (choice, host, seed) => {
      const world = makeWorld(choice, host, seed);
      if ("session" in world) world.events.subscribe(({ event }) => event.op === "call" && answers.add(event.result));
      return world;
    },
  });
  expect(runs.under(parsePlan("{ fail: allocation, times: for ever }", "--fault"))).toMatchObject({ violations: [] });
  expect(answers.has("EXDEV")).toBe(true);
});

test.each([
  ["{ power_cut: write, at: 100000 }", "there are only"],
  ["{ fail: flush, at: 100000 }", "there are only"],
])("%s says that there are not so many", (text, words) => {
  expect(new FaultRuns(SCENARIO, "vfs").under(parsePlan(text, "--fault"))).toContain(words);
});

test("a scenario whose steps cut the power is run under limits alone: what is counted ends with a machine", () => {
  const scenario = loadScenario(`${TEXT}  - { do: { power_cut: now } }\n`, "durable.yaml");
  const runs = new FaultRuns(scenario, "vfs");
  for (const text of ["{ power_cut: write }", "{ fail: write }"])
    expect(runs.under(parsePlan(text, "--fault"))).toBe("its steps cut the power themselves");
  expect(runs.under(parsePlan("{ memory: 1MiB }", "--fault"))).toMatchObject({ cases: 1, violations: [] });
});

test("a filesystem in memory has no power cuts to be looked at", () => {
  const scenario = loadScenario(TEXT.replace("ext4", "tmpfs"), "durable.yaml");
  expect(new FaultRuns(scenario, "vfs").under(parsePlan("{ power_cut: write }", "--fault"))).toBe(
    "tmpfs is in memory: nothing is left after a power cut",
  );
});
