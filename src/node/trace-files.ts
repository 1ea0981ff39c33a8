/**
 * Trace files on the real machine.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { TraceFiles } from "../replay/command.ts";
import { InputError, readWhole, reasonOf } from "./input-error.ts";

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
  return Buffer.from(path.endsWith(".gz") ? unpacked(path, raw) : raw).toString("utf8");
}

/** @throws InputError for what is not gzip data, or too much of them. */
function unpacked(path: string, raw: Uint8Array): Uint8Array {
  try {
    return gunzipSync(raw, { maxOutputLength: FILE_BYTES_MAX });
  } catch (error) {
    const isTooLong = error instanceof RangeError;
    throw new InputError(
      `${path}: ${isTooLong ? `unpacks to more than ${FILE_BYTES_MAX} bytes` : `the gzip data are damaged: ${reasonOf(error)}`}`,
    );
  }
}

/** Files and folders by their paths; those that end in ".gz" are unpacked. */
export const traceFiles: TraceFiles = { find, read };
