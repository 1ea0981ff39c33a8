/**
 * Faults: power cuts at every command of the disk keep what fsync promised (the workloads of CrashMonkey's ACE, on every driver with a disk of its
 * own layout), and commands that fail give declared errors and break no engine. All workloads where the whole set lies beside the repository and
 * COWLAB_SOAK is set; else a choice.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Task } from "../../sim/vfs/task.ts";
import type { Step } from "../../src/calls/step.ts";
import { type CrashResult, crashEverywhere } from "../../src/fuzz/faults/crash.ts";
import { failEverywhere, runWithin } from "../../src/fuzz/faults/errors.ts";
import { type Ground, groundOf } from "../../src/fuzz/ground.ts";
import type { Script } from "../../src/fuzz/script.ts";
import { traceFiles } from "../../src/node/trace-files.ts";
import { parseTrace } from "../../src/replay/trace.ts";
import { script } from "../../src/testing/arbitraries.ts";

const DATA = fileURLToPath(new URL("../data/traces/ace-overlay2-ext4", import.meta.url));
const WHOLE = fileURLToPath(new URL("../../../shared/traces/ace-overlay2-ext4", import.meta.url));
const soaks = Number(process.env["COWLAB_SOAK"] ?? 0) > 0;
const FOLDER = soaks && existsSync(WHOLE) ? WHOLE : DATA;

const BARE_EXT4: Ground = { target: "ext4", backing: "ext4", mountOptions: "" };
const GROUNDS: readonly Ground[] = [BARE_EXT4, ...["overlay2", "devicemapper", "btrfs", "zfs"].map(groundOf)];

/** Without COWLAB_SOAK, one workload in so many. */
const SAMPLE_EVERY = 30;

/** The workloads, on a ground; a filesystem alone has no layers over others. */
function workloads(ground: Ground): Script[] {
  const names = readdirSync(FOLDER).filter((_, index) => soaks || index % SAMPLE_EVERY === 0);
  return names.map((name) => {
    const steps = parseTrace(name, traceFiles.read(join(FOLDER, name))).steps.map(({ step }) => step);
    if (ground !== BARE_EXT4) return { ground, steps };
    return { ground, steps: steps.map(({ parent: _, ...step }) => step) };
  });
}

/** Cuts every workload. @returns the sums. */
function crashAll(ground: Ground, scripts: readonly Script[]): Omit<CrashResult, "violations"> & { violations: string[] } {
  const sum = { cuts: 0, writes: 0, promises: 0, looked: 0, violations: [] as string[] };
  for (const one of scripts) {
    const result = crashEverywhere({ ...one, ground }, soaks ? {} : { every: 5, subsetsOf: 1 });
    if (typeof result === "string") throw new Error(result);
    sum.cuts += result.cuts;
    sum.writes += result.writes;
    sum.promises += result.promises;
    sum.looked += result.looked;
    sum.violations.push(...result.violations);
  }
  if (soaks) process.stderr.write(`${ground.target}: ${scripts.length} workloads, ${JSON.stringify(sum)}\n`);
  return sum;
}

describe.each(GROUNDS)("on $target", (ground) => {
  test("a power cut at any command of an ACE workload keeps what was promised", { timeout: 3_600_000 }, () => {
    const sum = crashAll(ground, workloads(ground));
    expect(sum.violations).toEqual([]);
    expect(sum.looked).toBeGreaterThan(0);
  });

  test("a command of the disk that fails, once or for ever, gives a declared error, and all books add up", {
    timeout: 3_600_000,
  }, () => {
    const scripts = fc.sample(script([ground], { layersMax: 1, callsMax: 4 }), { seed: 3, numRuns: soaks ? 20 : 1 });
    for (const one of scripts) {
      const result = failEverywhere(one, { every: soaks ? 1 : 61 });
      if (typeof result === "string") throw new Error(result);
      expect(result.violations).toEqual([]);
      expect(result.struck).toBe(result.runs);
    }
  });
});

/** Files in a container that are written and made durable one after the other, then written again, moved and removed. */
function durableFiles(ground: Ground): Script {
  const names = ["one", "two", "three", "four"];
  const on = "C";
  const written = names.flatMap((name, index) => [
    { on, call: "open", path: `/${name}`, flags: ["O_RDWR", "O_CREAT"], mode: "0644", fd: name },
    { on, call: "write", fd: name, data: { fill: name, len: 3000 * (index + 1) } },
    { on, call: index % 2 === 0 ? "fsync" : "fdatasync", fd: name },
  ]);
  const above = ground === BARE_EXT4 ? {} : { parent: "L" };
  const steps: Step[] = [
    { lab: "layer", name: "L" },
    { lab: "layer", name: on, ...above },
    ...written,
    { on, call: "pwrite", fd: "one", data: { fill: "again", len: 5000 }, offset: 100 },
    { on, call: "fsync", fd: "one" },
    { on, call: "rename", path: "/two", to: "/moved" },
    { on, call: "unlink", path: "/three" },
    { on, call: "sync" },
    { on, call: "mkdir", path: "/d", mode: "0755" },
    { on, call: "sync" },
  ];
  return { ground, steps };
}

test.each(GROUNDS)(
  "on $target what fsync promised before a command failed is there when the machine starts again",
  {
    timeout: 3_600_000,
  },
  (ground) => {
    // zfs writes one block of its log for each, and little else.
    const every = ground.target === "zfs" ? 5 : 23;
    const result = failEverywhere(durableFiles(ground), { kinds: ["write", "flush"], every: soaks ? 1 : every });
    if (typeof result === "string") throw new Error(result);
    expect(result.violations).toEqual([]);
    expect(result.looked).toBeGreaterThan(10);
  },
);

test("an fsync that does nothing is found out where the machine starts again after a fault", () => {
  const { fsync } = Task.prototype;
  Task.prototype.fsync = () => undefined;
  try {
    const result = failEverywhere(durableFiles(BARE_EXT4), { kinds: ["write"], times: [Number.POSITIVE_INFINITY] });
    if (typeof result === "string") throw new Error(result);
    expect(result.violations.join()).toContain("promised by step");
  } finally {
    Task.prototype.fsync = fsync;
  }
});

test("an fsync that does nothing is found out by the cuts", () => {
  const { fsync } = Task.prototype;
  Task.prototype.fsync = () => undefined;
  try {
    const sum = crashAll(BARE_EXT4, workloads(BARE_EXT4));
    expect(sum.violations.length).toBeGreaterThan(0);
  } finally {
    Task.prototype.fsync = fsync;
  }
});

test("within a small disk, few inodes or little memory calls are refused in order, and all books add up", () => {
  const plans = [{ size: 8 * 2 ** 20 }, { make: "-N 32" }, { make: "-N 64" }, { memory: 2 ** 20 }, { memory: 2 ** 22 }];
  for (const one of fc.sample(script([groundOf("overlay2")]), { seed: 5, numRuns: 10 })) {
    const result = runWithin(one, plans);
    if (typeof result === "string") throw new Error(result);
    expect(result.violations).toEqual([]);
  }
});
