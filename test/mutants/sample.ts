/**
 * Estimates how many mutants of the copying engines the tests find, by a random sample: every mutant that StrykerJS knows of a room has the same
 * chance to be drawn, and each room has the same number of places. Stryker then tries those drawn, first with the quick tests, then what is left
 * with the slow ones, and the report gives each room's score with its interval.
 *
 *   npm run stryker:sample -- --count 150 --seed 1 --minutes 60    as many of 150 mutants as an hour lets it try
 *   npm run stryker:sample -- --rooms sim/thin --list              the names of those drawn, without trying them
 *   npm run stryker:sample -- --count 150 --seed 1 --report        what the last run has found so far, of the same sample
 *
 * Interface: the same seed draws the same mutants of the same sources, in the same order. The results stand in reports/sample.jsonl, a line each.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { argv, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Random } from "../../sim/core/random.ts";
import { DRAWING, draw, mutantsOf, sourcesOf } from "./population.ts";
import { nameOf, type SampleResult } from "./sample-plugin.ts";
import { reportOf } from "./sample-report.ts";
import { runStryker } from "./sample-stryker.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RESULTS = join(ROOT, "reports/sample.jsonl");

/** The quick tests' part of the time; what they leave of it is the slow ones' as well. */
const QUICK_SHARE = 0.6;

const OPTIONS = {
  ...DRAWING,
  minutes: { type: "string", default: "120" },
  rooms: { type: "string", default: "sim/thin,sim/union,sim/cow" },
  report: { type: "boolean", default: false },
} as const;

/** The results so far of a sample, one of each mutant: what the quick tests do not run, or do not find, the slow ones may. */
function resultsOf(names: readonly string[]): SampleResult[] {
  const lines = readFileSync(RESULTS, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  const results = new Map<string, SampleResult>();
  for (const line of lines) {
    const result: SampleResult = JSON.parse(line);
    const before = results.get(result.name);
    if (before === undefined || result.status !== "NoCoverage") results.set(result.name, result);
  }
  // That no test runs a mutant is told at once, whatever its turn: of a run cut short only the turns that others had count.
  const isCut = results.size < names.length;
  const last = names.findLastIndex((name) => (results.get(name)?.status ?? "NoCoverage") !== "NoCoverage");
  return names.slice(0, isCut ? last + 1 : names.length).flatMap((name) => results.get(name) ?? []);
}

/** In turn a mutant of each room, so that a run cut short has tried as many of each. */
function inTurn(drawn: readonly string[][]): string[] {
  const longest = Math.max(...drawn.map((own) => own.length));
  return Array.from({ length: longest }, (_, turn) => drawn.flatMap((own) => own[turn] ?? [])).flat();
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  const rooms = values.rooms.split(",");
  const random = new Random(Number(values.seed));
  const counts = new Map<string, number>();
  const drawn: string[][] = [];
  for (const room of rooms) {
    const mutants = await mutantsOf(sourcesOf(room));
    counts.set(room, mutants.length);
    drawn.push(draw(mutants.map(nameOf), Math.ceil(Number(values.count) / rooms.length), random));
  }
  const names = inTurn(drawn);
  if (values.list) {
    stdout.write(`${names.map((name) => name.replaceAll(/\s+/g, " ")).join("\n")}\n`);
    return;
  }
  if (!values.report) await tryAll(names, values);
  stdout.write(reportOf(resultsOf(names), counts));
}

async function tryAll(
  names: readonly string[],
  { minutes, concurrency }: Record<"minutes" | "concurrency", string>,
): Promise<void> {
  const [begin, time] = [Date.now(), Number(minutes) * 60_000];
  const common = { results: RESULTS, concurrency: Number(concurrency) };
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, "");
  await runStryker({ ...common, names, tests: "quick", deadline: begin + time * QUICK_SHARE });
  const left = resultsOf(names).filter(({ status }) => status === "Survived" || status === "NoCoverage");
  const leftNames = left.map(({ name }) => name);
  if (left.length > 0) await runStryker({ ...common, names: leftNames, tests: "slow", deadline: begin + time });
}

if (argv[1] === fileURLToPath(import.meta.url)) await main();
