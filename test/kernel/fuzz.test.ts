/** The verb that asks this machine's kernel: it says where it asked, and finds nothing. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fuzz } from "../../src/cli/fuzz.ts";
import { kernelObstacle } from "../../src/node/kernel-oracle.ts";

const why = kernelObstacle();
if (why !== undefined) process.stderr.write(`test/kernel, fuzz, is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("on this machine's kernel", () => {
  test("cowlab fuzz --against kernel makes the operations that were asked, and finds nothing", async () => {
    let told = "";
    const options = {
      ops: "600",
      seed: "4",
      drivers: "overlay2,zfs",
      against: "kernel",
      shard: "1/1",
      output: join(tmpdir(), "none"),
    };
    const exit = await fuzz(options, (text) => {
      told += text;
    });
    expect(told).toMatch(/^overlay2: 6\d\d operations in \d+ scripts on this machine's kernel \(ext4 index=off/);
    expect(told).not.toContain("zfs");
    expect(exit).toBe(0);
  });
});
