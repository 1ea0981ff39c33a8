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
 */
const COMPILER_FLAGS = ["--always-sparkplug", "--interrupt-budget=135168", "--max-inlined-bytecode-size-cumulative=200"];

/** The version in the package.json above this file, in the sources as in the built package. */
function version(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
}

const [word, ...others] = process.argv.slice(2);
const { stdout } = process;
if ((word === "--version" || word === "-V") && others.length === 0) {
  stdout.on("error", (error) => void import("./program.ts").then(({ endQuietly }) => endQuietly(error)));
  stdout.write(`${version()}\n`);
} else {
  for (const flag of COMPILER_FLAGS) setFlagsFromString(flag);
  const { run } = await import("./program.ts");
  await run(version());
}
