/**
 * Faults in the language: power cuts, failing commands and allocations as steps, and plans that a run meets.
 */
import { describe, expect, test } from "vitest";
import { type PlannedFault, planText } from "../../src/scenario/faults.ts";
import { loadScenario } from "../../src/scenario/load.ts";
import { makeWorld } from "../../src/scenario/machine.ts";
import { parsePlan } from "../../src/scenario/plan-text.ts";
import { ScenarioError } from "../../src/scenario/problem.ts";
import { type DriverRun, runScenario } from "../../src/scenario/run.ts";
import { Missing } from "../../src/scenario/world.ts";

function head(drivers: string, host = "backing: ext4"): string {
  return `version: 1
name: faults
about: What goes wrong
drivers: [${drivers}]
host: { ${host}, device: 512MiB, memory: 64MiB }
images: { app: { layers: [[{ mkdir: /d }, { write: /d/old, text: old }]] } }
containers: { c: { image: app } }
`;
}

function run(text: string, fault?: PlannedFault): DriverRun {
  const [driver] = runScenario(loadScenario(text, "f.yaml"), { makeWorld, fault }).drivers;
  if (driver === undefined) throw new Error("no driver ran");
  return driver;
}

/** What the last step answered. */
function lastAnswer({ steps }: DriverRun): unknown {
  return steps.at(-1)?.answer;
}

const SYNCED = `steps:
  - { in: c, do: { sh: "echo text > /d/synced" } }
  - { in: c, do: { open: /d/synced, flags: O_RDWR, as: fd } }
  - { in: c, do: { fsync: $fd } }
  - { in: c, do: { sh: "echo text > /d/later" } }
`;

describe.each(["aufs", "btrfs", "devicemapper", "overlay", "overlay2", "vfs", "zfs"])("a power cut on %s", (driver) => {
  test("leaves what fsync wrote and nothing that came later, and the steps go on", () => {
    const done = run(`${head(driver)}${SYNCED}
  - { id: cut, do: { power_cut: now } }
  - { in: c, do: { sh: "ls /d && cat /d/synced && echo more >> /d/old && cat /d/old" } }
`);
    expect(done.stopped).toBeUndefined();
    expect(lastAnswer(done)).toEqual({ value: "old\nsynced\ntext\noldmore" });
  });

  test("keeps everything where the disk's cache had reached the medium, which a sync had filled", () => {
    const done = run(`${head(driver)}${SYNCED}
  - { do: { drop_caches: 1 } }
  - { do: { power_cut: now, keep: all } }
  - { in: c, do: { sh: cat /d/later } }
`);
    expect(lastAnswer(done)).toEqual({ value: "text" });
  });
});

describe("a power cut", () => {
  test("takes back single writes: of the journal's one is enough", () => {
    const steps = (keep: string): string => `${head("vfs")}${SYNCED}
  - { do: { power_cut: now, keep: ${keep} } }
  - { in: c, do: { sh: ls /d } }
`;
    for (const keep of ["[]", "[1]", "[1, 2, 3], torn: [4]", "random"])
      expect(lastAnswer(run(steps(keep)))).toEqual({ value: "old\nsynced" });
  });

  test("in a step leaves it without an answer, ends open files, and starts the machine again", () => {
    const text = `${head("overlay2")}steps:
  - { in: c, do: { open: /d/f, flags: O_RDWR|O_CREAT, as: fd } }
  - { in: c, do: { pwrite: $fd, offset: 0, text: text } }
  - { in: c, do: { fsync: $fd } }
  - { in: c, do: { pwrite: $fd, offset: 0, text: more } }
  - { in: c, do: { sh: "ls /d" } }
`;
    const { steps, stopped } = run(text, { kind: "cut", after: "write", at: 1, every: 1, kept: undefined });
    expect(stopped).toBeUndefined();
    expect(steps.map(({ answer }) => answer)).toEqual([
      { ok: true },
      { value: 4 },
      { errno: "power cut" },
      { errno: "EBADF" },
      { value: "old" },
    ]);
  });

  test("after the last command of a step comes between it and the next", () => {
    const text = `${head("overlay2")}steps:
  - { in: c, do: { sh: "echo text > /d/f && sync" } }
  - { in: c, do: { sh: "cat /d/f" } }
`;
    const cutAfter = (at: number): DriverRun => run(text, { kind: "cut", after: "command", at, every: 1, kept: undefined });
    let at = 1;
    while (JSON.stringify(cutAfter(at).steps[0]?.answer).includes("power cut")) at += 1;
    expect(at).toBeGreaterThan(3);
    expect(cutAfter(at).steps.map(({ answer }) => answer)).toEqual([{ ok: true }, { value: "text" }]);
  });

  test("goes on counting: no amount of a step is negative", () => {
    const { steps, total } = run(`${head("overlay2", "backing: ext4, cost: nvme")}${SYNCED}
  - { id: cut, do: { power_cut: now } }
  - { in: c, do: { sh: "echo x > /d/y && sync" } }
`);
    for (const { figures } of steps)
      for (const name of ["data_copied", "copy_ups", "device_bytes_written", "device_bytes_read", "modelled_time"] as const)
        expect(figures[name]).toBeGreaterThanOrEqual(0);
    expect(steps.find(({ id }) => id === "cut")?.figures.device_bytes_read).toBeGreaterThan(0);
    expect(total.copy_ups).toBe(1);
  });

  test("leaves nothing of a filesystem in memory, and ends the run", () => {
    const { steps, stopped } = run(`${head("vfs", "backing: tmpfs")}steps:
  - { do: { power_cut: now } }
  - { in: c, do: { sh: ls / } }
`);
    expect(steps.map(({ answer }) => answer)).toEqual([{ errno: "nothing is left of /var/lib/docker: tmpfs is in memory" }]);
    expect(stopped?.where).toBe("start after a power cut");
  });

  test("ends open files for the steps behind it, which may not name them", () => {
    const text = `${head("vfs")}${SYNCED}
  - { do: { power_cut: now } }
  - { in: c, do: { fsync: $fd } }
`;
    expect(() => loadScenario(text, "f.yaml")).toThrow(/f\.yaml:15:18: no step before this one opened "\$fd"/);
  });
});

describe("what fails", () => {
  test("does so at its number, as often as it is said, until it is mended", () => {
    const write = '{ in: c, do: { sh: "echo x >> /d/new" } }';
    const { steps } = run(`${head("vfs")}steps:
  - { do: { fail: allocation, at: 2, times: for ever } }
  - ${write}
  - { in: c, do: { sh: "mkdir /d/a /d/b" } }
  - { do: { mend: all } }
  - { in: c, do: { sh: "mkdir /d/c" } }
`);
    const answers = steps.map(({ answer }) => ("errno" in answer ? answer.errno : "ok"));
    expect(answers[2]).toContain("No space left on device");
    expect([answers[0], answers[3], answers[4]]).toEqual(["ok", "ok", "ok"]);
  });

  test("of a disk gives EIO to who waits for it", () => {
    const { steps } = run(`${head("vfs")}steps:
  - { in: c, do: { open: /d/old, flags: O_RDWR, as: fd } }
  - { in: c, do: { pwrite: $fd, offset: 0, text: new } }
  - { do: { fail: write, times: for ever } }
  - { in: c, do: { fsync: $fd } }
`);
    expect(lastAnswer({ steps } as DriverRun)).toEqual({ errno: "EIO" });
  });

  test("of a disk says so where there is none", () => {
    const { steps } = run(`${head("vfs", "backing: tmpfs")}steps: [{ do: { fail: write } }]\n`);
    expect(steps[0]?.answer).toEqual({ errno: "the backing filesystem tmpfs has no disk" });
  });

  test("by a plan is counted from the phase that it names", () => {
    const text = `${head("overlay2")}steps: [{ in: c, do: { mkdir: /d/new } }]\n`;
    const plan = { kind: "fail", what: "allocation", at: 1, every: 1, times: Number.POSITIVE_INFINITY } as const;
    expect(run(text, { ...plan, from: "steps" }).steps[0]?.answer).toEqual({ errno: "ENOSPC" });
    expect(run(text, { ...plan, from: "create" }).stopped?.phase).toBe("create");
    expect(run(text, { ...plan, from: "build" }).stopped?.phase).toBe("build");
  });
});

describe("a limit", () => {
  test("of inodes is the backing filesystem's, where it has one", () => {
    const text = `${head("vfs")}steps: [{ in: c, do: { populate: /d/many, files: 200, size: 0 } }]\n`;
    const limit: PlannedFault = { kind: "limit", memory: undefined, device: undefined, inodes: 64 };
    expect(run(text).steps[0]?.answer).toEqual({ value: 201 });
    expect(run(text, limit).steps[0]?.answer).toEqual({ errno: "ENOSPC" });
    expect(run(text.replace("ext4", "tmpfs"), limit).steps[0]?.answer).toEqual({ errno: "ENOSPC" });
    const scenario = loadScenario(text.replace("[vfs]", "[btrfs]"), "f.yaml");
    expect(runScenario(scenario, { makeWorld, fault: limit }).missing).toEqual([
      { id: "btrfs", why: new Missing("btrfs has no limit of inodes").why },
    ]);
  });

  test("of the disk and of memory takes the place of the host's", () => {
    const text = `${head("vfs")}steps: [{ in: c, do: { write: /d/big, size: 64MiB, content: random } }]\n`;
    const limit: PlannedFault = { kind: "limit", memory: 2 ** 20, device: 32 * 2 ** 20, inodes: undefined };
    expect(run(text, limit).steps[0]?.answer).toEqual({ errno: "ENOSPC" });
  });
});

describe("a plan", () => {
  test.each([
    "{ power_cut: command }",
    "{ power_cut: write, at: 3, keep: none }",
    "{ power_cut: flush, every: 5, keep: [1, 2], torn: [3] }",
    "{ fail: allocation }",
    "{ fail: write, at: 2, times: for ever }",
    "{ fail: read, every: 7, times: 3, from: build }",
    "{ memory: 1048576, inodes: 64 }",
  ])("%s is written as it is read", (text) => {
    expect(planText(parsePlan(text, "--fault"))).toBe(text);
  });

  test.each([
    ["{ fial: write }", '1:3: unknown key "fial"; did you mean "fail"?'],
    ["{ fail: writes }", '1:9: unknown thing that fails "writes"; did you mean "write"?'],
    ["{ fail: write, keep: all }", '1:22: "keep" does not go with "fail"'],
    ["{ device: 9999 }", "1:11: a disk has whole sectors of 512 bytes, not 9999 bytes"],
    ["{ fail: write, at: 0 }", "1:20: expected a number from 1 on, found 0"],
    ["{ fail: write, at: 1, every: 2 }", '1:30: "at" is one, "every" stands for many'],
    ["{ fail: write, times: often }", '1:23: expected how often, or "for ever", found "often"'],
    ["{ power_cut: write, keep: some }", '1:27: unknown choice "some"; known: all, none, random'],
    ["{}", "1:1: a plan has power_cut, fail, or a limit: memory, device, inodes"],
  ])("%s is refused at its place", (text, message) => {
    expect(() => parsePlan(text, "--fault")).toThrow(ScenarioError);
    expect(() => parsePlan(text, "--fault")).toThrow(`--fault:${message}`);
  });

  test("of a file has a name and sizes with units and variables", () => {
    const text = `${head("vfs")}vars: { n: 3 }
faults: { late: { fail: write, at: 2*$n }, small: { device: 16MiB } }
steps: []
`;
    expect(loadScenario(text, "f.yaml").faults.map(({ name, plan }) => `${name} ${planText(plan)}`)).toEqual([
      "late { fail: write, at: 6 }",
      "small { device: 16777216 }",
    ]);
    expect(() => loadScenario(text.replace("fail: write", "fail: wrote"), "f.yaml")).toThrow(
      'f.yaml:9:25: unknown thing that fails "wrote"; did you mean "write"?',
    );
  });
});
