/**
 * `cowlab fuzz`: random operations on drivers, beside the plain tree, another driver or this machine's kernel.
 *
 * Interface: figures go to stdout, progress to stderr. A disagreement is shrunk, written as files, and told with the command that replays it;
 * exit code 3.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuUsage, stderr } from "node:process";
import { type CampaignFigures, type CampaignResult, runCampaign } from "../fuzz/campaign.ts";
import { scenarioText, traceText } from "../fuzz/counterexample.ts";
import { groundOf } from "../fuzz/ground.ts";
import type { Counterexample } from "../fuzz/script.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { suggestion } from "../scenario/suggest.ts";
import { EXIT, UsageError } from "./exit.ts";

export interface FuzzOptions {
  readonly ops: string;
  readonly seed: string;
  readonly drivers?: string;
  readonly against: string;
  readonly shard: string;
  readonly out: string;
  readonly json?: boolean;
}

/** How often progress is told, in operations. */
const TELL_EVERY = 250_000;

function wholeOf(text: string, option: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${option} takes a whole number from 0 on, not "${text}"`);
  return Number(text);
}

function shardOf(text: string): { shard: number; shards: number } {
  const [, k, n] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const shard = Number(k);
  const shards = Number(n);
  if (!(shard >= 1 && shard <= shards)) throw new UsageError(`--shard takes K/N, K from 1 to N, not "${text}"`);
  return { shard: shard - 1, shards };
}

function driversOf(text: string | undefined): readonly string[] {
  const names = text === undefined ? DRIVER_NAMES : text.split(",");
  for (const name of names) {
    if (!DRIVER_NAMES.some((known) => known === name))
      throw new UsageError(`unknown driver "${name}"${suggestion(name, DRIVER_NAMES)}`);
  }
  return names;
}

/** What a campaign saw, in a few lines. */
function figuresText(driver: string, figures: CampaignFigures, seconds: number): string {
  const rare = Object.entries(figures.answers).filter(([, count]) => count < 10);
  const otherwise = figures.otherwise === 0 ? "" : `  the other driver rightly answers ${figures.otherwise} of them otherwise\n`;
  const decided = Object.entries(figures.differences).map(([name, count]) => `  ${name}: ${count}\n`);
  return [
    `${driver}: ${figures.operations} operations in ${seconds.toFixed(1)} s of CPU (${Math.round(figures.operations / seconds)}/s), `,
    `${figures.worlds} worlds, ${figures.layers} layers, ${figures.checks} checks, ${figures.states} distinct states seen, `,
    `${Object.keys(figures.answers).length} kinds of answers of which fewer than ten times: ${rare.map(([answer, count]) => `${answer} ${count}`).join(", ") || "none"}\n`,
    otherwise,
    ...decided,
  ].join("");
}

/** Writes a counterexample. @returns what to tell of it. */
function report(driver: string, found: Counterexample & { readonly world?: number }, options: FuzzOptions): string {
  const name = `${driver}-seed-${options.seed}`;
  mkdirSync(options.out, { recursive: true });
  const trace = join(options.out, `${name}.ndjson`);
  writeFileSync(trace, traceText(found.script, name));
  const scenario = scenarioText(found.script, name);
  if (scenario !== undefined) writeFileSync(join(options.out, `${name}.yaml`), scenario);
  const also = scenario === undefined ? "" : `as a scenario: ${join(options.out, `${name}.yaml`)}\n`;
  return `${driver}: a disagreement in ${found.script.steps.length} steps: ${found.finding.message}\n${also}cowlab replay --check ${trace}\n`;
}

/** One driver's campaign. */
function runOne(driver: string, options: FuzzOptions): CampaignResult | string {
  let told = 0;
  const campaign = {
    ground: groundOf(driver),
    seed: wholeOf(options.seed, "--seed"),
    operations: wholeOf(options.ops, "--ops"),
    ...shardOf(options.shard),
    progress: (operations: number) => {
      if (operations - told < TELL_EVERY) return;
      told = operations;
      stderr.write(`${driver}: ${operations} operations\n`);
    },
  };
  if (options.against === "model") return runCampaign(campaign);
  return runCampaign({ ...campaign, beside: groundOf(options.against.slice("driver:".length)) });
}

/** @param write - takes what belongs on stdout. @returns the exit code. */
export function fuzz(options: FuzzOptions, write: (text: string) => void): number {
  const { against } = options;
  if (against.startsWith("driver:")) driversOf(against.slice("driver:".length));
  else if (against !== "model") throw new UsageError(`--against takes model, driver:NAME or kernel, not "${against}"`);
  const results: Record<string, CampaignFigures> = {};
  let exit: number = EXIT.ok;
  for (const driver of driversOf(options.drivers)) {
    const before = cpuUsage();
    const result = runOne(driver, options);
    if (typeof result === "string") throw new UsageError(`${driver} cannot run: ${result}`);
    const { user, system } = cpuUsage(before);
    results[driver] = result.figures;
    if (options.json !== true) write(figuresText(driver, result.figures, (user + system) / 1e6));
    if (result.counterexample === undefined) continue;
    exit = EXIT.falsified;
    const text = report(driver, result.counterexample, options);
    if (options.json === true) stderr.write(text);
    else write(text);
  }
  if (options.json === true) write(`${JSON.stringify(results, null, 2)}\n`);
  return exit;
}
