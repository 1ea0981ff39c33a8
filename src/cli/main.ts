#!/usr/bin/env node
/**
 * The command `cowlab`. Its version is told at once; everything else is loaded first.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/**
 * How V8 compiles what the command runs. That passes through much code in few seconds, of which V8 usually spends two fifths on optimizing: each
 * function together with copies of what it calls. So a function is compiled plainly when it is first called, optimized when it has run twice as
 * long as usual, and then with fewer copies. In somebody's own program, which may run for longer, engines are compiled as that program has it.
 *
 * @returns V8's options, by what its version calls them; none for a version that nobody has measured, for one that it does not know is told on stderr.
 */
function compilerFlags(): readonly string[] {
  const plainly = ["--always-sparkplug", "--max-inlined-bytecode-size-cumulative=200"];
  const major = Number.parseInt(process.versions.v8, 10);
  if (major === 11) return [...plainly, "--interrupt-budget=135168"];
  return major === 12 || major === 13 ? [...plainly, "--invocation-count-for-turbofan=6000"] : [];
}

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
  for (const flag of compilerFlags()) setFlagsFromString(flag);
  const { run } = await import("./program.ts");
  await run(version());
}
