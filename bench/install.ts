/** The peers' packages: installed into bench/node_modules when they are not there, exactly as bench/package-lock.json says. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const PACKAGES = ["memfs", "unionfs", "@zenfs/core"];

/** @returns one line to print when the packages could not be had: the peers that need them are then skipped. */
export function installPeers(): string | undefined {
  const folder = import.meta.dirname;
  if (PACKAGES.every((name) => existsSync(join(folder, "node_modules", name)))) return undefined;
  process.stderr.write("installing the peers into bench/node_modules …\n");
  const { status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    encoding: "utf8",
  });
  return status === 0
    ? undefined
    : `npm ci in bench/ failed, so npm's peers are missing: ${(stderr ?? "").trim().split("\n")[0]}`;
}
