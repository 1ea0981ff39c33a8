#!/usr/bin/env node
/**
 * The command `cowlab`. Its version is told at once; everything else is loaded first.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/** The version in the package.json above this file, in the sources as in the built package; "unknown" where this file was copied out of it. */
function version(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) {
    if (folder === dirname(folder)) return "unknown";
    folder = dirname(folder);
  }
  return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
}

const [word, ...others] = process.argv.slice(2);
const { stdout } = process;
if ((word === "--version" || word === "-V") && others.length === 0) {
  stdout.on("error", (error) => void import("./program.ts").then(({ endQuietly }) => endQuietly(error)));
  stdout.write(`${version()}\n`);
} else {
  const { compilerFlags } = await import("./compiler-flags.ts");
  for (const flag of compilerFlags()) setFlagsFromString(flag);
  const { run } = await import("./program.ts");
  await run(version());
}
