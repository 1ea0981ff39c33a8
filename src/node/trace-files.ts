/**
 * Trace files on the real machine.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TraceFiles } from "../replay/command.ts";
import { readWhole } from "./input-error.ts";

const FILE_BYTES_MAX = 2 ** 29;

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
  const raw = readWhole(path, FILE_BYTES_MAX);
  return Buffer.from(path.endsWith(".gz") ? gunzipSync(raw, { maxOutputLength: FILE_BYTES_MAX }) : raw).toString("utf8");
}

/** Files and folders by their paths; those that end in ".gz" are unpacked. */
export const traceFiles: TraceFiles = { find, read };
