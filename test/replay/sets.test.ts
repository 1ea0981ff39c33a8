/**
 * The traces of the real kernel, replayed on what they were recorded on: a choice of each set that can be run (test/data/traces), and the
 * whole sets instead where they are in the folder that COWLAB_TRACES names (.ci/run does so where it has them).
 *
 * What stays open is listed in test/data/open-steps.json with its reason: steps that differ by line, steps that cannot be run by what they
 * need and set. The list may only shrink: an unlisted difference fails, and so does an entry that is no longer one. The same file names
 * the circumstances of a recording that its steps cannot say.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { traceFiles } from "../../src/node/trace-files.ts";
import { type ReplayResult, replay } from "../../src/replay/replay.ts";
import { labFor } from "../../src/replay/target.ts";
import { parseTrace, type Trace } from "../../src/replay/trace.ts";

const DATA = join(dirname(fileURLToPath(import.meta.url)), "..", "data");
const CHOSEN = join(DATA, "traces");
const WHOLE = process.env["COWLAB_TRACES"];

/** All steps that may be open, of every whole set. Put it down with the list; never up. */
const OPEN_STEPS_MAX = 0;

interface OpenSteps {
  readonly circumstances: readonly {
    readonly set: string;
    readonly reason: string;
    /** Folders that were bind-mounted in the containers. */
    readonly binds: readonly string[];
  }[];
  readonly differing: readonly {
    readonly reason: string;
    /** "set/file" → the lines that differ. */
    readonly steps: Readonly<Record<string, readonly number[]>>;
  }[];
  readonly notRun: readonly {
    /** Target and backing filesystem, as the report tells them. */
    readonly what: string;
    readonly reason: string;
    /** Set → the steps of the whole set that need it. */
    readonly sets: Readonly<Record<string, number>>;
  }[];
  /** Set → all open steps of the whole set, of both kinds. */
  readonly openSteps: Readonly<Record<string, number>>;
}

const OPEN = JSON.parse(readFileSync(join(DATA, "open-steps.json"), "utf8")) as OpenSteps;

function subfolders(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

const SETS = [...new Set([...subfolders(CHOSEN), ...(WHOLE === undefined ? [] : subfolders(WHOLE))])].sort();

/** The folder of a whole set. */
function wholeOf(set: string): string | undefined {
  const folder = WHOLE === undefined ? undefined : join(WHOLE, set);
  return folder !== undefined && existsSync(folder) ? folder : undefined;
}

function isWhole(set: string): boolean {
  return wholeOf(set) !== undefined;
}

function tracesOf(set: string): Trace[] {
  const paths = traceFiles.find(wholeOf(set) ?? join(CHOSEN, set)) ?? [];
  return paths.map((path) => parseTrace(`${set}/${basename(path)}`, traceFiles.read(path)));
}

/** Listed lines by file, of the files given. */
function knownDifferences(files: ReadonlySet<string>): Record<string, number[]> {
  const known: Record<string, number[]> = {};
  for (const { steps } of OPEN.differing) {
    for (const [file, lines] of Object.entries(steps)) if (files.has(file)) known[file] = [...(known[file] ?? []), ...lines];
  }
  for (const lines of Object.values(known)) lines.sort((one, other) => one - other);
  return known;
}

/** Listed steps of a set that cannot be run, by what they need. */
function knownNotRun(set: string): Record<string, number> {
  return Object.fromEntries(OPEN.notRun.flatMap(({ what, sets }) => (sets[set] === undefined ? [] : [[what, sets[set]]])));
}

/** What the sets gave that were replayed so far, none of them told anything: the page's figures need not replay them again. */
const untold = new Map<string, ReplayResult>();

/** Replays a set as `cowlab replay` does, which is told of no circumstances. */
function replayUntold(set: string): ReplayResult {
  const report = replay(tracesOf(set));
  untold.set(set, report);
  return report;
}

test.each(SETS)("%s is answered as the kernel answered", (set) => {
  const traces = tracesOf(set);
  const binds = OPEN.circumstances.find((one) => one.set === set)?.binds ?? [];
  const { differing, notRun, steps } = binds.length === 0 ? replayUntold(set) : replay(traces, { binds });
  expect(steps).toBeGreaterThan(0);
  const found: Record<string, number[]> = {};
  for (const { file, line } of differing) found[file] = [...(found[file] ?? []), line];
  expect(found).toEqual(knownDifferences(new Set(traces.map(({ file }) => file))));
  const missing = Object.fromEntries(notRun.map(({ what, steps: count }) => [what, count]));
  expect(missing).toEqual(isWhole(set) ? knownNotRun(set) : {});
  if (isWhole(set)) {
    const open = differing.length + notRun.reduce((sum, one) => sum + one.steps, 0);
    expect(open).toBe(OPEN.openSteps[set] ?? 0);
  }
});

describe("the list of open steps", () => {
  test("counts of each set what it lists", () => {
    const counts: Record<string, number> = {};
    const add = (set: string, steps: number): void => {
      counts[set] = (counts[set] ?? 0) + steps;
    };
    for (const { steps } of OPEN.differing) for (const [file, lines] of Object.entries(steps)) add(dirname(file), lines.length);
    for (const { sets } of OPEN.notRun) for (const [set, steps] of Object.entries(sets)) add(set, steps);
    expect(counts).toEqual(OPEN.openSteps);
  });

  test("does not grow", () => {
    const total = Object.values(OPEN.openSteps).reduce((sum, steps) => sum + steps, 0);
    expect(total).toBeLessThanOrEqual(OPEN_STEPS_MAX);
  });

  test.each(OPEN.circumstances)("rightly says that $set needs to be told what was mounted", ({ set }) => {
    const report = replayUntold(set);
    expect(report.agree).toBeLessThan(report.steps);
  });

  test.each(OPEN.notRun)("rightly says that $what cannot be run", ({ what, reason, sets }) => {
    const [target = "", backing = ""] = what.split(" on ");
    expect(labFor({ name: "", target, backing, mountOptions: "" })).toHaveProperty("cannotRun");
    expect(reason).not.toBe("");
    expect(Object.keys(sets)).not.toEqual([]);
  });

  test("names files and lines that have a recorded result", () => {
    for (const { steps } of OPEN.differing) {
      for (const [file, lines] of Object.entries(steps)) {
        const trace = tracesOf(dirname(file)).find((one) => one.file === file);
        const recorded = trace?.steps.filter(({ expected }) => expected !== undefined).map(({ line }) => line);
        expect(recorded).toEqual(expect.arrayContaining([...lines]));
      }
    }
  });
});

test.runIf(WHOLE === undefined)("the page of fidelity ends its replay with these figures", () => {
  const page = readFileSync(join(DATA, "..", "..", "docs", "fidelity.md"), "utf8");
  const told = /^\$ cowlab replay test\/data\/traces\n[^`]*^(agree .*)$/m.exec(page)?.[1];
  const total = { agree: 0, steps: 0, traces: 0 };
  for (const { agree, steps, traces } of SETS.map((set) => untold.get(set) ?? replayUntold(set))) {
    total.agree += agree;
    total.steps += steps;
    total.traces += traces;
  }
  expect(told).toBe(`agree ${total.agree} of ${total.steps} steps in ${total.traces} traces`);
});
