/**
 * Random files on fresh disks of ext4 and xfs, here and on this machine's kernel: each block of each file lies at the same place. COWLAB_KERNEL_RUNS says how many
 * tests in all; here a hundredth. COWLAB_KERNEL_SEED draws others.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { canMake, kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { ourMaps, PLACES, type PlaceCase } from "../fs/places.ts";

const RUNS = Math.ceil(Number(process.env["COWLAB_KERNEL_RUNS"] ?? 1500) / 100);
const SEED = Number(process.env["COWLAB_KERNEL_SEED"] ?? 1);
const PROGRAM = fileURLToPath(new URL("places.py", import.meta.url));
/** Behind those of the recorded scripts. */
const SEEDS_FROM = 1000;
const OUTPUT_MAX = 2 ** 28;

const why = kernelObstacle();
if (why !== undefined) process.stderr.write(`test/kernel, places of blocks, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  const filesystems = PLACES.filter((places) => why !== undefined || canMake(places === "xfs" ? "xfs" : "ext4"));

  test.each(filesystems)("each block of each file of %s lies where it lies here", (filesystem) => {
    const asked = ["python3", PROGRAM, filesystem, String(SEEDS_FROM + SEED * RUNS), String(RUNS)];
    const told = execFileSync("unshare", ["--mount", ...asked], { encoding: "utf8", maxBuffer: OUTPUT_MAX });
    for (const one of JSON.parse(told) as PlaceCase[]) {
      const { size, steps } = one;
      expect({ size, steps, maps: ourMaps(filesystem, one) }).toEqual({ size, steps, maps: one.maps });
    }
  });
});
