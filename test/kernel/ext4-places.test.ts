/**
 * Random files on fresh disks of ext4, here and on this machine's kernel: each block of each file lies at the same place. COWLAB_KERNEL_RUNS says how many
 * tests in all; here a hundredth. COWLAB_KERNEL_SEED draws others.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { ourMaps, type PlaceCase } from "../fs/ext4-places.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 100);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);
const PROGRAM = fileURLToPath(new URL("ext4-places.py", import.meta.url));
/** Behind those of the recorded scripts. */
const SEEDS_FROM = 1000;
const OUTPUT_MAX = 2 ** 28;

const why = kernelObstacle() ?? (canMake("ext4") ? undefined : "it has no ext4");
if (why !== undefined) process.stderr.write(`test/kernel, places of blocks, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test("each block of each file of an ext4 lies where it lies here", () => {
    const asked = ["python3", PROGRAM, String(SEEDS_FROM + SEED * RUNS), String(RUNS)];
    const told = execFileSync("unshare", ["--mount", ...asked], { encoding: "utf8", maxBuffer: OUTPUT_MAX });
    for (const one of JSON.parse(told) as PlaceCase[]) {
      const { size, steps } = one;
      expect({ size, steps, maps: ourMaps(one) }).toEqual({ size, steps, maps: one.maps });
    }
  });
});
