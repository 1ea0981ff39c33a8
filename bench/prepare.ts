/** What a run needs before its first child: the peers' packages and compiled JavaScript. */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";

const FOLDER = import.meta.dirname;
const PACKAGES = ["memfs", "unionfs", "@zenfs/core"];

/**
 * Installs the peers into bench/node_modules when they are not there, exactly as bench/package-lock.json says.
 * @returns one line to print when they could not be had: the peers that need them are then skipped.
 */
export function installPeers(): string | undefined {
  if (PACKAGES.every((name) => existsSync(join(FOLDER, "node_modules", name)))) return undefined;
  process.stderr.write("installing the peers into bench/node_modules …\n");
  const { status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: FOLDER,
    encoding: "utf8",
  });
  return status === 0
    ? undefined
    : `npm ci in bench/ failed, so npm's peers are missing: ${(stderr ?? "").trim().split("\n")[0]}`;
}

/**
 * Compiles the benchmark and what it measures into bench/dist, so that children run what a user of the package runs and start at
 * once. Faults of types are `npm run check`'s business: what was written out is run.
 * @param program - which one: run or import
 * @returns the compiled program.
 */
export function compile(program = "run"): string {
  const output = join(FOLDER, "dist");
  rmSync(output, { recursive: true, force: true });
  const compiler = join(FOLDER, "../node_modules/typescript/bin/tsc");
  const { stdout } = spawnSync(process.execPath, [compiler, "-p", join(FOLDER, "tsconfig.json")], { encoding: "utf8" });
  const entry = join(output, `bench/${program}.js`);
  if (!existsSync(entry)) throw new Error(`the compiler wrote no ${entry}: ${stdout}`);
  return entry;
}
