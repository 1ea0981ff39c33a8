/**
 * `npm run bench:limits`: what must stay within fixed bounds on any machine (spec/reliability.md and the outputs' own).
 *
 * - Archives made to hurt: each within two seconds of CPU and 256 MB at the peak, the program's own memory included, in both modes.
 * - A trace of a million events: within three seconds of CPU and 300 MB.
 *
 * Every measure is taken in a process of its own. Linux only: the peak is the kernel's count. Exit code 1 when a bound is broken.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReadMode } from "../src/archive/fault.ts";
import { allHostileCases, largeCases } from "../test/images/hostile-forms.ts";
import type { Cost } from "../test/images/hostile-outcome.ts";
import type { TraceCost } from "../test/report/million-events.ts";
import { singleFile } from "../test/single-file.ts";

const ARCHIVE_SECONDS = 2;
const ARCHIVE_PEAK = 256e6;
const TRACE_SECONDS = 3;
const TRACE_PEAK = 300e6;
const MODES: readonly ReadMode[] = ["strict", "docker"];
/** How many of the costliest are told. */
const TOLD = 5;

/** @returns what the program prints, one value a line. */
function run(program: string, ...given: readonly string[]): readonly unknown[] {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--expose-gc", program, ...given], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(stderr);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

/** What one archive, or one trace, cost: two figures within their bounds, or not. */
interface Measure {
  readonly what: string;
  readonly seconds: number;
  readonly peak: number;
}

function tell(title: string, measures: readonly Measure[], bounds: { readonly seconds: number; readonly peak: number }): boolean {
  const within = measures.filter(({ seconds, peak }) => seconds < bounds.seconds && peak < bounds.peak);
  const lines = [
    `${title}: ${within.length} of ${measures.length} within ${bounds.seconds} s of CPU and ${bounds.peak / 1e6} MB`,
  ];
  const share = ({ seconds, peak }: Measure): number => Math.max(seconds / bounds.seconds, peak / bounds.peak);
  for (const { what, seconds, peak } of [...measures].sort((one, other) => share(other) - share(one)).slice(0, TOLD))
    lines.push(`  ${seconds.toFixed(2)} s, ${(peak / 1e6).toFixed(0).padStart(3)} MB  ${what}`);
  process.stdout.write(`${lines.join("\n")}\n`);
  return within.length === measures.length;
}

/** What an archive's large neighbour leaves in the process would count for the next one: each large one has a process of its own. */
function archives(folder: string): boolean {
  const program = singleFile(new URL("../test/images/hostile-outcome.ts", import.meta.url), folder);
  const wanted = ["*", ...largeCases().map(({ name }) => name)];
  const costs = MODES.flatMap((mode) => wanted.flatMap((name) => run(program, mode, name) as readonly Cost[]));
  if (costs.length !== MODES.length * allHostileCases().length) throw new Error(`${costs.length} archives were measured`);
  const measures = costs.map(({ name, mode, seconds, peak }) => ({ what: `${name} (${mode})`, seconds, peak }));
  return tell("archives made to hurt", measures, { seconds: ARCHIVE_SECONDS, peak: ARCHIVE_PEAK });
}

function events(folder: string): boolean {
  const [cost] = run(singleFile(new URL("../test/report/million-events.ts", import.meta.url), folder)) as readonly TraceCost[];
  if (cost === undefined) throw new Error("no trace was written");
  const measures = [{ what: `${cost.events} events, ${(cost.characters / 1e6).toFixed(0)} MB of JSON`, ...cost }];
  return tell("events as a Chrome trace", measures, { seconds: TRACE_SECONDS, peak: TRACE_PEAK });
}

const folder = mkdtempSync(join(tmpdir(), "cowlab-limits-"));
try {
  const held = [archives(folder), events(folder)];
  if (held.includes(false)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
