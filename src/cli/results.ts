/**
 * `cowlab report`, `diff` and `merge`: runs that were saved.
 */
import { formatJson, isRecord, type Json, parseJson } from "../calls/json.ts";
import { InputError, readText } from "../node/input-error.ts";
import { documentFault } from "../report/check-document.ts";
import { changesBetween, changesText } from "../report/diff.ts";
import { documentText, hasFailed, type RunDocument, type ScenarioDocument } from "../report/document.ts";
import { counted } from "../scenario/figures.ts";
import { columnsOf } from "./console.ts";
import { EXIT, UsageError } from "./exit.ts";
import { checkPlaces, chosenFormat, formatted, outputFiles, writeResult } from "./outputs.ts";
import type { ScenarioOptions } from "./settings.ts";

/** A saved run is a text that Node can hold. */
const FILE_BYTES_MAX = 2 ** 29 - 24;

/** Reads a saved run. @throws InputError for a file that is none */
function readRun(path: string): RunDocument {
  const text = readText(path, FILE_BYTES_MAX);
  let value: Json;
  try {
    value = parseJson(text);
  } catch {
    throw new InputError(`${path}: not a JSON document`);
  }
  if (!isRecord(value) || value["format"] !== "cowlab-run")
    throw new InputError(`${path}: not a saved run: cowlab run --save FILE writes one`);
  if (value["version"] !== 1) throw new InputError(`${path}: this program reads version 1 of saved runs`);
  const fault = documentFault(value);
  if (fault !== undefined) throw new InputError(`${path}: not a saved run as this version reads it: ${fault}`);
  return value as unknown as RunDocument;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A saved run in another format. @returns what goes to stdout, and the exit code that the run had */
export function report(
  path: string,
  options: ScenarioOptions,
  environment: Environment,
): { readonly text: string; readonly code: number } {
  const files = outputFiles(options.output);
  const chosen = chosenFormat(options);
  checkPlaces(
    files.map((file) => file.path),
    [path],
  );
  const document = readRun(path);
  const shown = { width: columnsOf(environment), ranked: false, quiet: options.quiet === true };
  const text = formatted(chosen, document, shown);
  for (const file of files) writeResult(file.path, formatted(file.format, document, shown));
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
    const { index = 0, numbers = document.scenarios.map((_, at) => at) } = document.shard ?? {};
    if (numbers.length !== document.scenarios.length)
      throw new InputError(`${path}: a part of ${counted(numbers.length, "run")} has ${document.scenarios.length} of them`);
    const other = seen.get(index);
    if (other !== undefined) throw new UsageError(`${other} and ${path} are both part ${index + 1} of ${count}`);
    seen.set(index, path);
    document.scenarios.forEach((scenario, at) => void numbered.push({ number: numbers[at] ?? at, scenario }));
  }
  for (let index = 0; index < count; index++)
    if (!seen.has(index)) throw new UsageError(`part ${index + 1} of ${count} is missing`);
  numbered.sort((one, other) => one.number - other.number);
  const gap = numbered.findIndex(({ number }, at) => number !== at);
  if (gap >= 0) throw new UsageError(`parts of different sweeps: together they have no run ${gap + 1}, or have it twice`);
  return documentText({ format: "cowlab-run", version: 1, scenarios: numbered.map(({ scenario }) => scenario) });
}
