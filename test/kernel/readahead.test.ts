/**
 * Random reads of one file, here and on this machine's kernel: the same pages are in memory after each. COWLAB_KERNEL_RUNS says how many tests in all; here a
 * fiftieth. COWLAB_KERNEL_SEED draws others.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { ourReads, type ReadCase } from "../vfs/readahead.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 50);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);
const PROGRAM = fileURLToPath(new URL("readahead.py", import.meta.url));
/** Behind those of the recorded scripts. */
const SEEDS_FROM = 1000;
const OUTPUT_MAX = 2 ** 28;

const FILESYSTEMS = ["ext4", "xfs", "btrfs"];
const missing = FILESYSTEMS.find((type) => kernelObstacle() === undefined && !canMake(type));
const why = kernelObstacle() ?? (missing === undefined ? undefined : `it has no ${missing}`);
if (why !== undefined) process.stderr.write(`test/kernel, readahead, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test("each read has the same pages read ahead", () => {
    const asked = ["python3", PROGRAM, String(SEEDS_FROM + SEED * RUNS), String(RUNS)];
    const told = execFileSync("unshare", ["--mount", ...asked], { encoding: "utf8", maxBuffer: OUTPUT_MAX });
    for (const one of JSON.parse(told) as ReadCase[]) {
      const { resident, ...script } = one;
      expect({ ...script, resident: ourReads(script) }).toEqual(one);
    }
  });
});
