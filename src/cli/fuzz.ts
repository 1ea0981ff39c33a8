/**
 * `cowlab fuzz`: random operations on drivers, beside the plain tree, another driver or this machine's kernel.
 *
 * Interface: figures go to stdout, progress to stderr. A disagreement is shrunk, written as files, and told with the command that replays it;
 * exit code 3.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cpuUsage, env, stderr } from "node:process";
import type { Json } from "../calls/json.ts";
import { type KernelFigures, kernelGrounds, runBesideKernel } from "../fuzz/beside-kernel.ts";
import { type CampaignFigures, type CampaignResult, runCampaign } from "../fuzz/campaign.ts";
import { scenarioText, traceText } from "../fuzz/counterexample.ts";
import { groundOf } from "../fuzz/ground.ts";
import type { Counterexample, Script } from "../fuzz/script.ts";
import { onFile } from "../node/input-error.ts";
import { canMake, KernelOracle, kernelObstacle } from "../node/kernel-oracle.ts";
import { writeWhole } from "../node/whole-file.ts";
import { wrapped } from "../report/table.ts";
import { counted } from "../scenario/figures.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { suggestion } from "../scenario/suggest.ts";
import { columnsOf } from "./console.ts";
import { EXIT, UsageError } from "./exit.ts";
import { wholeNumber } from "./settings.ts";
import { shardOf } from "./shard.ts";

export interface FuzzOptions {
  readonly ops: string;
  readonly seed: string;
  readonly drivers?: string;
  readonly against: string;
  readonly shard: string;
  readonly output: string;
  readonly json?: boolean;
}

/** A counterexample's files; a scenario only where one can tell it. */
interface CounterexampleTexts {
  readonly trace: string;
  readonly scenario?: string | undefined;
}

/** How often progress is told, in operations. */
const TELL_EVERY = 250_000;

function partsOf(text: string): { shard: number; shards: number } {
  const { index, count } = shardOf(text, {});
  return { shard: index, shards: count };
}

function driversOf(text: string | undefined): readonly string[] {
  const names = text === undefined ? DRIVER_NAMES : text.split(",");
  for (const name of names) {
    if (!DRIVER_NAMES.some((known) => known === name))
      throw new UsageError(`unknown driver "${name}"${suggestion(name, DRIVER_NAMES)}`);
  }
  return names;
}

/** The name of a driver's counterexample, without an ending. */
function nameOf(driver: string, { seed }: FuzzOptions): string {
  return `${driver}-seed-${seed}`;
}

/** What a campaign saw, in a few lines. */
function figuresText(driver: string, figures: CampaignFigures, seconds: number): string {
  const rare = Object.entries(figures.answers).filter(([, count]) => count < 10);
  const otherwise = figures.otherwise === 0 ? "" : `  the other driver rightly answers ${figures.otherwise} of them otherwise\n`;
  const decided = Object.entries(figures.differences).map(([name, count]) => `  ${name}: ${count}\n`);
  const [head = "", ...more] = wrapped(
    [
      `${driver}: ${figures.operations} operations in ${seconds.toFixed(1)} s of CPU (${Math.round(figures.operations / seconds)}/s),`,
      `${counted(figures.worlds, "world")}, ${counted(figures.layers, "layer")}, ${counted(figures.checks, "check")},`,
      `${counted(figures.states, "distinct state")} seen, ${counted(Object.keys(figures.answers).length, "kind")} of answers of which fewer than`,
      `ten times: ${rare.map(([answer, count]) => `${answer} ${count}`).join(", ") || "none"}`,
    ].join(" "),
    columnsOf(env) - 2,
  );
  const lines = [head, ...more.map((line) => `  ${line}`)].map((line) => `${line}\n`);
  return [...lines, otherwise, ...decided].join("");
}

/** Writes a counterexample, as a trace and, where one can tell it, as a scenario. @returns what to tell of it. */
function report(driver: string, { script, finding }: Counterexample, texts: CounterexampleTexts, options: FuzzOptions): string {
  const name = nameOf(driver, options);
  onFile(options.output, () => mkdirSync(options.output, { recursive: true }));
  const trace = join(options.output, `${name}.ndjson`);
  writeWhole(trace, [texts.trace]);
  const scenario = join(options.output, `${name}.yaml`);
  if (texts.scenario !== undefined) writeWhole(scenario, [texts.scenario]);
  const also = texts.scenario === undefined ? "" : `as a scenario: ${scenario}\n`;
  return `${driver}: a disagreement in ${counted(script.steps.length, "step")}: ${finding.message}\n${also}cowlab replay --check ${trace}\n`;
}

/** Which operations a driver's campaign makes, and what it tells meanwhile. */
function partOf(driver: string, options: FuzzOptions) {
  let told = 0;
  return {
    seed: wholeNumber("--seed", options.seed) ?? 0,
    operations: wholeNumber("--ops", options.ops, 1) ?? 0,
    ...partsOf(options.shard),
    progress: (operations: number): void => {
      if (operations - told < TELL_EVERY) return;
      told = operations;
      stderr.write(`${driver}: ${operations} operations\n`);
    },
  };
}

/** One driver's campaign beside the plain tree or another driver. */
function runOne(driver: string, options: FuzzOptions): CampaignResult | string {
  const campaign = { ground: groundOf(driver), ...partOf(driver, options) };
  if (options.against === "model") return runCampaign(campaign);
  return runCampaign({ ...campaign, beside: groundOf(options.against.slice("driver:".length)) });
}

/** What a driver's campaign came to. */
interface Outcome {
  /** As JSON. */
  readonly figures: CampaignFigures | KernelFigures;
  /** As text. */
  readonly told: string;
  /** Of a counterexample, which is written. */
  readonly report?: string;
}

function besideModel(driver: string, options: FuzzOptions): Outcome {
  const before = cpuUsage();
  const result = runOne(driver, options);
  if (typeof result === "string") throw new UsageError(`${driver} cannot run: ${result}`);
  const { user, system } = cpuUsage(before);
  const { figures, counterexample } = result;
  const told = figuresText(driver, figures, (user + system) / 1e6);
  if (counterexample === undefined) return { figures, told };
  const { script } = counterexample;
  const name = nameOf(driver, options);
  const texts = { trace: traceText(script, name), scenario: scenarioText(script, name) };
  return { figures, told, report: report(driver, counterexample, texts, options) };
}

async function besideKernel(driver: string, oracle: KernelOracle, options: FuzzOptions): Promise<Outcome | undefined> {
  const grounds = kernelGrounds(driver, canMake);
  if (grounds.length === 0) return undefined;
  const ask = (script: Script): Promise<Json[]> => oracle.ask(script);
  const { figures, counterexample } = await runBesideKernel({ grounds, ask, ...partOf(driver, options) });
  const on = grounds.map(({ backing, mountOptions }) => `${backing}${mountOptions === "" ? "" : ` ${mountOptions}`}`).join("; ");
  const told = `${driver}: ${figures.operations} operations in ${figures.scripts} scripts on this machine's kernel (${on}), ${Object.keys(figures.answers).length} kinds of answers\n`;
  if (counterexample === undefined) return { figures, told };
  return { figures, told, report: report(driver, counterexample, { trace: counterexample.trace }, options) };
}

/** Each driver's outcome; one that cannot be had is told on stderr and left out. */
async function* outcomesOf(drivers: readonly string[], options: FuzzOptions): AsyncGenerator<[string, Outcome]> {
  if (options.against !== "kernel") {
    for (const driver of drivers) yield [driver, besideModel(driver, options)];
    return;
  }
  const obstacle = kernelObstacle();
  if (obstacle !== undefined) {
    stderr.write(`fuzz --against kernel is skipped: ${obstacle}\n`);
    return;
  }
  const oracle = new KernelOracle();
  try {
    for (const driver of drivers) {
      const outcome = await besideKernel(driver, oracle, options);
      if (outcome === undefined) stderr.write(`${driver} is skipped: this kernel cannot be asked what that driver does\n`);
      else yield [driver, outcome];
    }
  } finally {
    await oracle.end();
  }
}

/** @param write - takes what belongs on stdout. @returns the exit code. */
export async function fuzz(options: FuzzOptions, write: (text: string) => void): Promise<number> {
  const { against } = options;
  if (against.startsWith("driver:")) driversOf(against.slice("driver:".length));
  else if (against !== "model" && against !== "kernel")
    throw new UsageError(`--against takes model, driver:NAME or kernel, not "${against}"`);
  const figures: Record<string, Outcome["figures"]> = {};
  let exit: number = EXIT.ok;
  for await (const [driver, outcome] of outcomesOf(driversOf(options.drivers), options)) {
    figures[driver] = outcome.figures;
    if (options.json !== true) write(outcome.told);
    if (outcome.report === undefined) continue;
    exit = EXIT.falsified;
    if (options.json === true) stderr.write(outcome.report);
    else write(outcome.report);
  }
  if (options.json === true) write(`${JSON.stringify({ format: "cowlab-fuzz", version: 1, drivers: figures }, null, 2)}\n`);
  return exit;
}
