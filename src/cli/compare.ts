/**
 * `cowlab run`, `compare` and `sweep`: scenario files on the drivers they name.
 *
 * Interface: every file is read first, so that a wrong one stops the command before anything is printed.
 */
import { scenarioFiles } from "../node/files.ts";
import { hasFailed, type ScenarioDocument, titleOf } from "../report/document.ts";
import { type PlannedFault, planText } from "../scenario/faults.ts";
import type { RunEvent } from "../scenario/run.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { Progress } from "./console.ts";
import { sinkFor } from "./events.ts";
import { EXIT, UsageError } from "./exit.ts";
import { plansOf } from "./fault-plans.ts";
import { Library, type Order, runOrders } from "./jobs.ts";
import { Outputs } from "./outputs.ts";
import { comparisonOf, driversOf, overridesOf, type ScenarioOptions, wholeNumber } from "./settings.ts";
import { type Shard, seedFor, shardOf } from "./shard.ts";

/** What the three verbs do differently. */
export interface Manner {
  /** Rows in the order of the first figure. */
  readonly ranked: boolean;
  /** Seeds come from the number of each run in the whole, and a part of it can be done alone. */
  readonly sweeps: boolean;
}

export interface Surroundings {
  readonly write: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface Plan {
  readonly orders: readonly Order[];
  /** The number of each order in the whole. */
  readonly numbers: readonly number[];
  /** How many the whole has. */
  readonly runs: number;
  readonly library: Library;
}

const WHOLE: Shard = { index: 0, count: 1 };

/** Runs scenario files. @returns the exit code */
export async function compare(
  paths: readonly string[],
  options: ScenarioOptions,
  manner: Manner,
  around: Surroundings,
): Promise<number> {
  const overrides = overridesOf(options.parameter);
  const jobs = wholeNumber("--jobs", options.jobs, 1);
  const inputs = paths.flatMap(scenarioFiles);
  const outputs = new Outputs(options, { ...around, ranked: manner.ranked, inputs });
  const shard = manner.sweeps ? shardOf(options.shard, around.environment) : WHOLE;
  const plan = await planOf(inputs, options, { overrides, manner, shard });
  const progress = new Progress(options.quiet === true, around.environment);
  if (plan.orders.length === 0 && options.quiet !== true)
    process.stderr.write(`cowlab: part ${shard.index + 1} of ${shard.count} has no runs: there are ${plan.runs} in all\n`);
  let failed = false;
  const take = (document: ScenarioDocument): void => {
    const { drivers, missing } = document;
    if (drivers.length === 0)
      throw new UsageError(
        `${document.file}: none of its drivers can run: ${missing.map(({ id, why }) => `${id} (${why})`).join(", ")}`,
      );
    progress.clear();
    failed ||= hasFailed(document);
    outputs.take(document);
  };
  const sinks = outputs.events.map(({ format, path }) => sinkFor(format, path, around.write));
  const hear = ({ loaded }: Order, event: RunEvent): void => {
    for (const sink of sinks) sink.add(titleOf(loaded.scenario), event, loaded.scenario.host.device);
  };
  const tell = (done: number, all: number): void => progress.show(`${done} of ${all} runs`);
  const onEvent = sinks.length === 0 ? undefined : hear;
  await runOrders(plan.orders, { library: plan.library, overrides, jobs, progress: tell, onEvent }, async (document) =>
    take(document),
  );
  for (const sink of sinks) sink.end();
  progress.clear();
  outputs.finish(shard.count === 1 ? {} : { shard: { ...shard, numbers: plan.numbers } });
  return failed ? EXIT.expectation : EXIT.ok;
}

async function planOf(
  paths: readonly string[],
  options: ScenarioOptions,
  {
    overrides,
    manner,
    shard,
  }: { readonly overrides: ReturnType<typeof overridesOf>; readonly manner: Manner; readonly shard: Shard },
): Promise<Plan> {
  const seed = wholeNumber("--seed", options.seed);
  const library = new Library(overrides);
  const orders: Order[] = [];
  const numbers: number[] = [];
  let number = 0;
  for (const path of paths) {
    for (const [combination, loaded] of (await library.get(path)).entries()) {
      const drivers = driversOf(loaded.scenario, options.drivers);
      const scenario = { ...loaded.scenario, compare: comparisonOf(loaded.scenario, drivers, options) };
      const own = manner.sweeps ? seedFor(seed ?? loaded.scenario.seed, number) : seed;
      if (number % shard.count === shard.index) {
        orders.push({
          loaded: { ...loaded, scenario },
          drivers,
          path,
          combination,
          seed: own,
          fault: faultOf(scenario, options.fault),
        });
        numbers.push(number);
      }
      number += 1;
    }
  }
  return { orders, numbers, runs: number, library };
}

/** The one fault that the command line asks for. */
function faultOf(scenario: Scenario, asked: string | undefined): PlannedFault | undefined {
  if (asked === undefined) return undefined;
  const [plan] = plansOf(scenario, [asked]);
  if (plan === undefined || plan.kind === "limit" || plan.at !== undefined) return plan;
  throw new UsageError(`${planText(plan)} stands for many faults, which cowlab faults tries; a run meets one: say which by "at"`);
}
