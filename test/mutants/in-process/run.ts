/**
 * Estimates how many mutants of a room are found by the tests of the folder of its name and by the recorded traces that `npm test` replays, much quicker
 * than Stryker's own runner (sample.ts): a process has all these tests loaded, makes one mutant after another active, and runs those that reach it, the
 * quickest first.
 *
 *   npm run mutants:sample -- --room cow --count 150 --seed 7 --minutes 10    as many of 150 mutants of sim/cow as ten minutes let it try
 *   npm run mutants:sample -- --room thin --slow                              with the tests that take longest (slow-tests.ts) as well
 *   npm run mutants:sample -- --room union --list                             the names of those drawn, without trying them
 *
 * Interface: the same seed draws the same mutants of the same sources, in the same order. Prints a line for each survivor, at last the share found.
 * A test that fails without any mutant is told on stderr and left out.
 */

import { join } from "node:path";
import { argv, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { globSync } from "glob";
import { Random } from "../../../sim/core/random.ts";
import { DRAWING, draw, mutantsOf, sourcesOf } from "../population.ts";
import { nameOf, type SampleResult } from "../sample-plugin.ts";
import { FOUND, percent, wilson } from "../sample-report.ts";
import { SLOW } from "../slow-tests.ts";
import { ROOT } from "./bundle.ts";
import { tryMutants } from "./trials.ts";

const OPTIONS = {
  ...DRAWING,
  minutes: { type: "string", default: "10" },
  room: { type: "string", default: "cow" },
  slow: { type: "boolean", default: false },
} as const;
const ROOMS = ["thin", "union", "cow"];

/** What the kernel answered, recorded: a test of each set, so that a mutant meets those that reach it, the smallest first. */
const REPLAY = "test/replay/sets.test.ts";

/** A result on one line: what became of the mutant, then its name. */
function lineOf({ status, name }: SampleResult): string {
  return `${status}: ${name.replaceAll(/\s+/g, " ")}\n`;
}

/** The last line: "found 9 of 10 in sim/thin: 90 % (60 % to 98 %)", with Wilson's interval. */
export function scoreOf(room: string, results: readonly SampleResult[]): string {
  if (results.length === 0) return `none tried in ${room}\n`;
  const found = results.filter(({ status }) => FOUND.includes(status)).length;
  const { share, low, high } = wilson(found, results.length);
  return `found ${found} of ${results.length} in ${room}: ${percent(share)} (${percent(low)} to ${percent(high)})\n`;
}

async function main(): Promise<void> {
  const begin = Date.now();
  const { values } = parseArgs({ options: OPTIONS });
  if (!ROOMS.includes(values.room)) throw new Error(`--room ${values.room}: one of ${ROOMS.join(", ")}`);
  const room = `sim/${values.room}`;
  const sources = sourcesOf(room);
  const names = draw((await mutantsOf(sources)).map(nameOf), Number(values.count), new Random(Number(values.seed)));
  if (values.list) {
    stdout.write(`${names.map((name) => name.replaceAll(/\s+/g, " ")).join("\n")}\n`);
    return;
  }
  const files = globSync([`test/${values.room}/**/*.test.ts`, REPLAY], { cwd: ROOT, posix: true }).sort();
  const results = await tryMutants({
    sources,
    names,
    tests: files.filter((file) => values.slow || !SLOW.includes(file)).map((file) => join(ROOT, file)),
    concurrency: Number(values.concurrency),
    deadline: begin + Number(values.minutes) * 60_000,
    onFailing: (name, failure) => stderr.write(`fails by itself: ${name}: ${failure}\n`),
    onResult: (result) => FOUND.includes(result.status) || stdout.write(lineOf(result)),
  });
  stdout.write(scoreOf(room, results));
}

if (argv[1] === fileURLToPath(import.meta.url)) await main();
