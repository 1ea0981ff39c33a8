/**
 * The traces of the real kernel: a choice of each set that can be run (test/data/traces), or the whole sets where they lie beside the
 * repository. What stays open is listed in test/data/open-steps.json, with the reason; nothing else may differ, and a step that agrees is
 * taken off the list.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { traceFiles } from "../../src/node/trace-files.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace, type Trace } from "../../src/replay/trace.ts";

const DATA = join(dirname(fileURLToPath(import.meta.url)), "..", "data");
const WHOLE = process.env["COWLAB_TRACES"] ?? join(DATA, "..", "..", "..", "shared", "traces");

interface OpenSteps {
  readonly reason: string;
  /** "set/file" → the lines that differ. */
  readonly steps: Readonly<Record<string, readonly number[]>>;
}

const OPEN = JSON.parse(readFileSync(join(DATA, "open-steps.json"), "utf8")) as readonly OpenSteps[];

/** Lines of a file that are known to differ. */
function openLines(file: string): readonly number[] {
  return OPEN.flatMap(({ steps }) => steps[file] ?? []).sort((one, other) => one - other);
}

function* tracesOf(set: string): Generator<Trace> {
  const chosen = join(DATA, "traces", set);
  const whole = join(WHOLE, set);
  const isMixed = set === "docker-diff";
  for (const path of traceFiles.find(existsSync(whole) && !isMixed ? whole : chosen) ?? []) {
    yield parseTrace(`${set}/${basename(path)}`, traceFiles.read(path));
  }
}

test.each(readdirSync(join(DATA, "traces")))("%s is answered as the kernel answered", (set) => {
  const files: string[] = [];
  function* noted(): Generator<Trace> {
    for (const trace of tracesOf(set)) {
      files.push(trace.file);
      yield trace;
    }
  }
  const { differing, notRun, steps } = replay(noted(), { backing: "tmpfs" });
  expect(steps).toBeGreaterThan(50);
  expect(notRun).toEqual([]);
  const found = new Map<string, number[]>();
  for (const { file, line } of differing) found.set(file, [...(found.get(file) ?? []), line]);
  const known = new Map(files.map((file) => [file, openLines(file)] as const).filter(([, lines]) => lines.length > 0));
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(known));
});
