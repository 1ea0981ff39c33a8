/**
 * `cowlab report`, `diff` and `merge`: runs that were saved.
 */
import { readFileSync } from "node:fs";
import { formatJson, type Json, parseJson } from "../calls/json.ts";
import { InputError, reasonOf } from "../node/input-error.ts";
import { changesBetween, changesText } from "../report/diff.ts";
import { type DriverDocument, documentText, hasFailed, type RunDocument, type ScenarioDocument } from "../report/document.ts";
import { columnsOf } from "./console.ts";
import { EXIT, UsageError } from "./exit.ts";
import { formatNamed, formatted, outputFiles, writeResult } from "./outputs.ts";
import type { ScenarioOptions } from "./settings.ts";

/** Reads a saved run. @throws InputError for a file that is none */
function readRun(path: string): RunDocument {
  let value: Json;
  try {
    value = parseJson(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(`${path}: ${error instanceof SyntaxError ? "not a JSON document" : reasonOf(error)}`);
  }
  const document = value as unknown as RunDocument;
  if (typeof document !== "object" || document === null || document.format !== "cowlab-run")
    throw new InputError(`${path}: not a saved run: cowlab run --save FILE writes one`);
  if (document.version !== 1 || !Array.isArray(document.scenarios))
    throw new InputError(`${path}: this program reads version 1 of saved runs`);
  const missing = missingIn(document);
  if (missing !== undefined) throw new InputError(`${path}: not a whole saved run: ${missing} is missing`);
  return document;
}

/** What every scenario and every driver of a saved run have, by the kind of value. */
const PARTS: readonly (readonly [keyof ScenarioDocument, string])[] = [
  ["name", "string"],
  ["file", "string"],
  ["about", "string"],
  ["parameters", "object"],
  ["host", "object"],
  ["columns", "array"],
  ["steps", "array"],
  ["images", "array"],
  ["containers", "array"],
  ["drivers", "array"],
  ["missing", "array"],
];
const DRIVER_PARTS: readonly (readonly [keyof DriverDocument, string])[] = [
  ["id", "string"],
  ["backing", "string"],
  ["phases", "object"],
  ["total", "object"],
  ["steps", "array"],
  ["expectations", "array"],
];

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "array" : value === null ? "null" : typeof value;
}

function lackingIn<T>(value: T | null, parts: readonly (readonly [keyof T & string, string])[]): string | undefined {
  return parts.find(([key, kind]) => kindOf(value?.[key]) !== kind)?.[0];
}

/** The first part that a saved run lacks, by its place; undefined for a whole one. */
function missingIn({ scenarios }: RunDocument): string | undefined {
  for (const [index, scenario] of scenarios.entries()) {
    const lacking = lackingIn(scenario, PARTS);
    if (lacking !== undefined) return `scenarios[${index}].${lacking}`;
    for (const [at, driver] of scenario.drivers.entries()) {
      const part = lackingIn(driver, DRIVER_PARTS);
      if (part !== undefined) return `scenarios[${index}].drivers[${at}].${part}`;
    }
  }
  return undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A saved run in another format. @returns what goes to stdout, and the exit code that the run had */
export function report(
  path: string,
  options: ScenarioOptions,
  environment: Environment,
): { readonly text: string; readonly code: number } {
  const document = readRun(path);
  const shown = { width: columnsOf(environment), ranked: false, quiet: options.quiet === true };
  for (const { format, path: file } of outputFiles(options.output)) writeResult(file, formatted(format, document, shown));
  const text = formatted(options.json === true ? "json" : formatNamed(options.format ?? "table"), document, shown);
  return { text, code: document.scenarios.some(hasFailed) ? EXIT.expectation : EXIT.ok };
}

/** What differs between two runs. @returns the text, and exit code 1 where anything does */
export function diff(
  paths: readonly [string, string],
  options: { readonly json?: boolean; readonly tolerance?: string },
): { readonly text: string; readonly code: number } {
  const [, percent] = /^(\d+(?:\.\d+)?)%?$/.exec(options.tolerance ?? "0") ?? [];
  if (percent === undefined) throw new UsageError(`--tolerance takes a percentage such as 5%, not "${options.tolerance}"`);
  const changes = changesBetween(readRun(paths[0]), readRun(paths[1]), Number(percent) / 100);
  const document = { format: "cowlab-diff", version: 1, changes: changes.map((change) => ({ ...change })) };
  const text = options.json === true ? `${formatJson(document, 2)}\n` : changesText(changes);
  return { text, code: changes.length > 0 ? EXIT.expectation : EXIT.ok };
}

/** The parts of a sweep as one run: the same bytes, whatever the number of parts. */
export function merge(paths: readonly string[]): string {
  const parts = paths.map((path) => ({ path, document: readRun(path) }));
  const counts = new Set(parts.map(({ document }) => document.shard?.count ?? 1));
  if (counts.size !== 1) throw new UsageError(`parts of different sweeps: of ${[...counts].join(" and ")}`);
  const [count = 1] = counts;
  const numbered: { readonly number: number; readonly scenario: ScenarioDocument }[] = [];
  const seen = new Map<number, string>();
  for (const { path, document } of parts) {
    const index = document.shard?.index ?? 0;
    const other = seen.get(index);
    if (other !== undefined) throw new UsageError(`${other} and ${path} are both part ${index + 1} of ${count}`);
    seen.set(index, path);
    document.scenarios.forEach((scenario, at) => void numbered.push({ number: document.shard?.numbers[at] ?? at, scenario }));
  }
  for (let index = 0; index < count; index++)
    if (!seen.has(index)) throw new UsageError(`part ${index + 1} of ${count} is missing`);
  numbered.sort((one, other) => one.number - other.number);
  return documentText({ format: "cowlab-run", version: 1, scenarios: numbered.map(({ scenario }) => scenario) });
}
