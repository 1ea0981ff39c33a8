/**
 * Trace files on the real machine.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TraceFiles } from "../replay/command.ts";

function find(path: string): readonly string[] | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  if (!there.isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".ndjson"))
    .sort()
    .map((name) => join(path, name));
}

/** Files and folders by their paths. */
export const traceFiles: TraceFiles = { find, read: (path) => readFileSync(path, "utf8") };
