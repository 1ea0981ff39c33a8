/**
 * Random scripts, made at once on the simulator and on this machine's kernel: every result, the merged tree and the upper folder agree.
 * COWLAB_KERNEL_RUNS says how many scripts in all; a script that fails is shrunk and written as a trace.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Json } from "../../src/calls/json.ts";
import { kernelFinding, kernelGrounds, kernelTrace } from "../../src/fuzz/beside-kernel.ts";
import type { Script } from "../../src/fuzz/script.ts";
import { canMake, KernelOracle, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { kernelScript } from "../../src/testing/arbitraries.ts";

const RUNS = Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500);

const why = kernelObstacle();
if (why !== undefined) process.stderr.write(`test/kernel is skipped: ${why}\n`);

/** Where the two differ first, told with a trace file that shows it; "" when all agree. */
function difference(script: Script, answers: readonly Json[], folder: string): string {
  const finding = kernelFinding(script, answers);
  if (finding === undefined) return "";
  const path = join(folder, "counterexample.ndjson");
  writeFileSync(path, kernelTrace(script, answers, "random"));
  return `${finding.message}\nreplay ${path}`;
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

  const grounds =
    why === undefined ? ["overlay2", "vfs", "btrfs", "nested", "bare"].flatMap((driver) => kernelGrounds(driver, canMake)) : [];

  test.each(grounds)("random scripts agree on $target over $backing, $mountOptions", async (ground) => {
    const property = fc.asyncProperty(kernelScript([ground]), async (script) => {
      const answers = await (oracle as KernelOracle).ask(script);
      expect(difference(script, answers, folder)).toBe("");
    });
    await fc.assert(property, { numRuns: Math.ceil(RUNS / grounds.length) });
  });
});
