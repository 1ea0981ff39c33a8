/**
 * Random scripts, made at once on the simulator and on this machine's kernel: every result, the merged tree and the upper folder agree.
 * COWLAB_KERNEL_RUNS says how many scripts in all; a script that fails is shrunk and written as a trace.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FILESYSTEMS } from "../../sim/host/filesystems.ts";
import { formatJson, type Json } from "../../src/calls/json.ts";
import type { Ground } from "../../src/fuzz/ground.ts";
import type { Script } from "../../src/fuzz/script.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace } from "../../src/replay/trace.ts";
import { kernelScript } from "../../src/testing/arbitraries.ts";
import { canMake, KernelOracle, kernelObstacle } from "./oracle.ts";

const RUNS = Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500);
const UNION_OPTIONS = [
  "index=off",
  "index=off,redirect_dir=on",
  "index=off,redirect_dir=nofollow",
  "index=off,metacopy=on,redirect_dir=on",
  "index=on",
  "index=off,xino=on",
];

const why = kernelObstacle();
if (why !== undefined) process.stderr.write(`test/kernel is skipped: ${why}\n`);

/** The text of a trace: a header, then the steps with what the kernel answered to those that have a result; only unions have upper folders. */
function traceText({ ground, steps }: Script, answers: readonly Json[]): string {
  const header = { trace: 1, name: "random", kernel: "this machine's", ...ground };
  const lines = steps.map((step, index) => {
    const hasResult = step["lab"] === undefined || (step["lab"] === "upper" && ground.target === "overlay2");
    return { ...step, ...(hasResult ? { result: answers[index] } : {}) };
  });
  return [header, ...lines].map((line) => formatJson(line as Json)).join("\n");
}

/** The first step that differs, told with a trace file that shows it; "" when all agree. */
function difference(script: Script, answers: readonly Json[], folder: string): string {
  const text = traceText(script, answers);
  const { differing, broken } = replay([parseTrace("random", text)], { check: true });
  const [first] = differing;
  if (first === undefined && broken.length === 0) return "";
  const path = join(folder, "counterexample.ndjson");
  writeFileSync(path, `${text}\n`);
  const told =
    first === undefined ? broken[0]?.message : formatJson({ step: first.step, kernel: first.expected, here: first.got });
  return `${told}\nreplay ${path}`;
}

/** overlay2 on each filesystem that can be made here, with each set of options; full copies on them; btrfs with its snapshots. */
function groundsOf(): Ground[] {
  const canHave = (type: string): boolean => FILESYSTEMS.has(type) && canMake(type);
  const backings = ["ext4", "xfs"].filter(canHave);
  return [
    ...backings.flatMap((backing) => UNION_OPTIONS.map((mountOptions) => ({ target: "overlay2", backing, mountOptions }))),
    ...backings.map((backing) => ({ target: "vfs", backing, mountOptions: "" })),
    ...(canHave("btrfs") ? [{ target: "btrfs", backing: "btrfs", mountOptions: "" }] : []),
  ];
}

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-kernel-test-"));
  let oracle: KernelOracle | undefined;
  beforeAll(() => {
    oracle = new KernelOracle();
  });
  afterAll(() => {
    // What a script that differs was written to stays; an empty folder goes.
    if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
    return oracle?.end();
  });

  const grounds = why === undefined ? groundsOf() : [];

  test.each(grounds)("random scripts agree on $target over $backing, $mountOptions", async (ground) => {
    const property = fc.asyncProperty(kernelScript([ground]), async (script) => {
      const answers = await (oracle as KernelOracle).ask(script);
      expect(difference(script, answers, folder)).toBe("");
    });
    await fc.assert(property, { numRuns: Math.ceil(RUNS / grounds.length) });
  });
});
