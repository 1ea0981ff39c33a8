/**
 * What archives made to hurt cost, measured in processes of their own: two seconds of CPU and 256 MB of memory at the most, the program's own
 * included, in both modes (spec/reliability.md).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReadMode } from "../../src/archive/fault.ts";
import { allHostileCases, largeCases } from "./hostile-forms.ts";
import type { Cost } from "./hostile-outcome.ts";

const SECONDS_MAX = 2;
const PEAK_MAX = 256e6;

/** One file of the program and all that it imports: each of its processes begins at once. */
const folder = mkdtempSync(join(tmpdir(), "cowlab-hostile-"));
const PROGRAM = join(folder, "hostile-outcome.mjs");
beforeAll(() => {
  const source = fileURLToPath(new URL("hostile-outcome.ts", import.meta.url));
  buildSync({ entryPoints: [source], outfile: PROGRAM, bundle: true, platform: "node", format: "esm", logLevel: "error" });
});
afterAll(() => rmSync(folder, { recursive: true }));

function costsOf(mode: ReadMode, name: string): readonly Cost[] {
  const command = ["--expose-gc", PROGRAM, mode, name];
  const { stdout, stderr, status } = spawnSync(process.execPath, command, { encoding: "utf8", maxBuffer: 2 ** 26 });
  expect(status, stderr).toBe(0);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Cost);
}

/** Cases that cost more than they may, or, in mode "strict", that end otherwise than they should. */
function wrong(costs: readonly Cost[]): unknown[] {
  const cases = new Map(allHostileCases().map((one) => [one.name, one]));
  return costs.filter(({ name, mode, code, seconds, peak }) => {
    const expected = cases.get(name);
    const answer = mode === "docker" || code === (expected?.codeNative ?? expected?.code);
    return !(answer && seconds < SECONDS_MAX && peak < PEAK_MAX);
  });
}

const MODES = ["strict", "docker"] as const;

describe.skipIf(process.platform !== "linux")(
  "in processes of their own (skipped where the kernel does not count a peak)",
  () => {
    test.each(MODES)("every case keeps within two seconds and 256 MB, mode %s", { timeout: 600_000 }, (mode) => {
      const costs = costsOf(mode, "*");
      expect(costs.length).toBe(allHostileCases().length - largeCases().length);
      expect(costs.length).toBeGreaterThanOrEqual(150);
      expect(wrong(costs)).toEqual([]);
    });

    // What one large case leaves in the process would count for the next.
    test.each(largeCases())("$name keeps within them too", { timeout: 120_000 }, ({ name }) => {
      for (const mode of MODES) expect(wrong(costsOf(mode, name))).toEqual([]);
    });
  },
);

/** One kind of case in a quick run, every kind in a long one. */
const STRACED = process.env["COWLAB_SOAK"] === undefined ? ["a link *"] : ["name *", "folder *", "hard link *", "a link *"];
const hasStrace = spawnSync("strace", ["-V"]).status === 0;

// What an archive wants to write outside would be a call of this machine's kernel.
test.skipIf(!hasStrace)(
  "nothing of this machine is opened for writing, or made (skipped where there is no strace)",
  { timeout: 300_000 },
  () => {
    const calls =
      "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mknod,mknodat";
    for (const names of STRACED) {
      const command = ["-f", "-qq", "-e", `trace=${calls}`, process.execPath, "--expose-gc", PROGRAM, "docker", names];
      const { stderr, stdout, status } = spawnSync("strace", command, { encoding: "utf8", maxBuffer: 2 ** 28 });
      expect([status, stdout.trimEnd().split("\n").length > 2]).toEqual([0, true]);
      const made = stderr
        .split("\n")
        .filter((line) => /O_WRONLY|O_RDWR|O_CREAT|\b(?:creat|mkdir|rename|link|symlink|unlink|mknod)\w*\(/.test(line));
      const outside = made.filter((line) => !line.includes("ENOENT") && !/"\/(?:proc|dev|sys)\//.test(line));
      expect(outside).toEqual([]);
    }
  },
);
