/**
 * Fresh random scripts, recorded on this machine's kernel and replayed at once. Runs only as root on Linux, with the recorder beside the
 * repository (../shared/oracle, or the folder COWLAB_ORACLE).
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kernelObstacle } from "../../src/node/kernel-oracle.ts";
import { traceFiles } from "../../src/node/trace-files.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace } from "../../src/replay/trace.ts";

const REPOSITORY = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const ORACLE = process.env["COWLAB_ORACLE"] ?? join(REPOSITORY, "..", "shared", "oracle");
const SEEDS = "7001-7005";
const TIME_LIMIT = 20_000;

function python(...words: readonly string[]): { status: number | null; stderr: string } {
  return spawnSync("python3", words, { encoding: "utf8", timeout: TIME_LIMIT });
}

/** Why nothing can be recorded here. */
function obstacle(): string | undefined {
  return existsSync(join(ORACLE, "record.py")) ? kernelObstacle() : "the recorder is not beside the repository";
}

const why = obstacle();
if (why !== undefined) process.stderr.write(`test/oracle is skipped: ${why}\n`);

describe.skipIf(why !== undefined)("fresh random scripts", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "cowlab-oracle-"));
    expect(python(join(ORACLE, "gen.py"), "--seeds", SEEDS, "--out", join(folder, "scripts"))).toMatchObject({ status: 0 });
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test.each([
    ["vfs", ""],
    ["overlay2", "index=off"],
    ["overlay2", "redirect_dir=on,metacopy=on"],
  ])("are answered on %s (%s) as this kernel answers", (target, options) => {
    const scripts = traceFiles.find(join(folder, "scripts")) ?? [];
    const out = join(folder, `${target}-${options}`);
    // A mount namespace of its own: whatever happens to the recorder, its mounts end with it.
    const words = ["--target", target, "--mount-options", options, "--out", out, ...scripts];
    const recorded = spawnSync("unshare", ["--mount", "python3", join(ORACLE, "record.py"), ...words], {
      encoding: "utf8",
      timeout: TIME_LIMIT,
      env: { ...process.env, TMPDIR: folder },
    });
    expect(recorded).toMatchObject({ status: 0 });
    const traces = (traceFiles.find(out) ?? []).map((path) => parseTrace(path, traceFiles.read(path)));
    const { agree, steps, differing } = replay(traces);
    expect(differing).toEqual([]);
    expect(agree).toBe(steps);
    expect(steps).toBeGreaterThan(100);
  });
});
