/**
 * Trace files on the real machine.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TraceFiles } from "../replay/command.ts";

function find(path: string): readonly string[] | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined) return undefined;
  if (!there.isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => /\.(ndjson|jsonl)(\.gz)?$/.test(name))
    .sort()
    .map((name) => join(path, name));
}

function read(path: string): string {
  const raw = readFileSync(path);
  return (path.endsWith(".gz") ? gunzipSync(raw) : raw).toString("utf8");
}

/** Files and folders by their paths; those that end in ".gz" are unpacked. */
export const traceFiles: TraceFiles = { find, read };
