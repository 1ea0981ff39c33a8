/** Runs StrykerJS on the mutants of a sample alone, until a deadline. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process, { env, exit, kill } from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { SampleOptions } from "./sample-plugin.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Stryker's copy of the sources, below the root so that it finds node_modules. */
const COPY = ".stryker-tmp/sample";

export interface SampleRun extends SampleOptions {
  /** Which of the tests (vitest.stryker.config.ts). */
  readonly tests: "quick" | "slow";
  /** Mutants tried at a time. */
  readonly concurrency: number;
  /** Milliseconds since 1970 after which Stryker is ended, with all that it started. */
  readonly deadline: number;
}

/** Stryker's options: those of stryker.config.json, but for the sample. */
function configOf({ names, results, concurrency }: SampleRun, plugin: string): object {
  return {
    ...JSON.parse(readFileSync(join(ROOT, "stryker.config.json"), "utf8")),
    mutate: names.map((name) => name.slice(0, name.indexOf(" "))),
    sample: { names, results },
    plugins: ["@stryker-mutator/vitest-runner", plugin],
    checkers: ["sample"],
    reporters: ["sample"],
    // The tests that run a mutant are known from the first run: nothing is gained by asking which import its file.
    vitest: { configFile: "vitest.stryker.config.ts", related: false },
    concurrency,
    incremental: false,
    disableTypeChecks: false,
    warnings: false,
    tempDirName: COPY,
    // Generous: a mutant that is only slow must not count as found.
    timeoutMS: 20_000,
    timeoutFactor: 2,
    dryRunTimeoutMinutes: 30,
  };
}

/** Appends to the file of results what becomes of each mutant, in about the order of `names`; of the last ones nothing if the deadline comes first. */
export async function runStryker(run: SampleRun): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-sample-"));
  try {
    const plugin = join(folder, "plugin.mjs");
    const entryPoints = [join(ROOT, "test/mutants/sample-plugin.ts")];
    await build({ entryPoints, outfile: plugin, bundle: true, platform: "node", format: "esm", logLevel: "warning" });
    const config = join(folder, "stryker.json");
    writeFileSync(config, JSON.stringify(configOf(run, plugin)));
    await until(run.deadline, config, { ...env, STRYKER_TESTS: run.tests });
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(join(ROOT, COPY), { recursive: true, force: true });
  }
}

async function until(deadline: number, config: string, variables: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn("npx", ["stryker", "run", config], { cwd: ROOT, env: variables, stdio: "inherit", detached: true });
  // A mutant may never end by itself: its process has to end with the group of which this child is the first.
  const end = (): boolean => child.pid !== undefined && kill(-child.pid, "SIGKILL");
  const interrupted = (): void => {
    end();
    exit(130);
  };
  process.once("SIGINT", interrupted);
  const timer = setTimeout(end, Math.max(0, deadline - Date.now()));
  const [code, signal] = await once(child, "exit");
  clearTimeout(timer);
  process.off("SIGINT", interrupted);
  if (code !== 0 && signal !== "SIGKILL") throw new Error(`Stryker ended with ${code ?? signal}`);
}
