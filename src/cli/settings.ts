/**
 * The options that every verb on scenarios has, read into what the runner takes.
 */

import { COLUMN_NAMES, columnNamed } from "../scenario/metrics.ts";
import type { Overrides } from "../scenario/parameters.ts";
import { Fault, readSize } from "../scenario/quantity.ts";
import type { DriverChoice, Scenario } from "../scenario/scenario.ts";
import { DRIVER_NAMES } from "../scenario/schema.ts";
import { suggestion } from "../scenario/suggest.ts";
import { UsageError } from "./exit.ts";

/** As commander reads them. */
export interface ScenarioOptions {
  readonly json?: boolean;
  readonly format?: string;
  /** FORMAT=FILE. */
  readonly output?: readonly string[];
  /** Names or ids, separated by commas. */
  readonly drivers?: string;
  readonly seed?: string;
  readonly quiet?: boolean;
  readonly jobs?: string;
  readonly parameter?: readonly string[];
  readonly metric?: readonly string[];
  readonly reference?: string;
  readonly save?: string;
  readonly shard?: string;
  /** The name of a plan of the file, or a plan. */
  readonly fault?: string;
}

/** A whole number of an option. @param least - the smallest that is allowed */
export function wholeNumber(name: string, text: string | undefined, least = 0): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text) || Number(text) < least)
    throw new UsageError(`${name} takes a whole number from ${least} on, not "${text}"`);
  return Number(text);
}

const STEPS_MAX = 10_000;

/** A size as a scenario would write it: in the largest binary unit of which it is a whole number. */
function sizeWord(size: number): string {
  const units = ["TiB", "GiB", "MiB", "KiB"];
  const at = units.findIndex((_, index) => size > 0 && size % 1024 ** (units.length - index) === 0);
  return at < 0 ? String(size) : `${size / 1024 ** (units.length - at)}${units[at]}`;
}

/** The values of `-P`: `a,b,c`, or from..to*factor, from..to+step. */
function valuesOf(name: string, text: string): readonly string[] {
  const [, from, to, operator, by] = /^([^.,]+)\.\.([^*+,]+)([*+])(.+)$/.exec(text) ?? [];
  if ((from === undefined || to === undefined) && text.includes(".."))
    throw new UsageError(`-P ${name}: a range has a step, such as ${text}*2 or ${text}+1`);
  if (from === undefined || to === undefined) return text.split(",").map((value) => value.trim());
  const read = (word: string | undefined): number => {
    const found = readSize(word ?? "", new Map());
    if (found instanceof Fault) throw new UsageError(`-P ${name}: ${found.message}`);
    return found;
  };
  const [first, last, step] = [read(from), read(to), read(by)];
  if (step <= (operator === "*" ? 1 : 0) || (operator === "*" && first === 0))
    throw new UsageError(`-P ${name}: ${text} never ends`);
  const values: string[] = [];
  for (let value = first; value <= last; value = operator === "*" ? value * step : value + step) {
    values.push(/[A-Za-z]/.test(from) ? sizeWord(value) : String(value));
    if (values.length > STEPS_MAX) throw new UsageError(`-P ${name}: more than ${STEPS_MAX} values`);
  }
  if (values.length === 0) throw new UsageError(`-P ${name}: ${text} has no value: it ends before it begins`);
  return values;
}

/** The parameters that the command line gives. */
export function overridesOf(parameters: readonly string[] | undefined): Overrides {
  const out = new Map<string, readonly string[]>();
  for (const text of parameters ?? []) {
    const [name = "", ...rest] = text.split("=");
    if (rest.length === 0 || name === "") throw new UsageError(`-P takes NAME=VALUES, such as size=4KiB..1MiB*2, not "${text}"`);
    out.set(name, valuesOf(name, rest.join("=")));
  }
  return out;
}

/** The drivers that the command line names: those of the file by id or name, else a driver as it comes. */
export function driversOf(scenario: Scenario, names: string | undefined): readonly DriverChoice[] {
  if (names === undefined) return scenario.drivers;
  const drivers = names.split(",").flatMap((name): readonly DriverChoice[] => {
    const known = scenario.drivers.filter((choice) => choice.id === name || choice.driver === name);
    if (known.length > 0) return known;
    const plain = DRIVER_NAMES.find((driver) => driver === name);
    const words = [...new Set([...scenario.drivers.map((choice) => choice.id), ...DRIVER_NAMES])];
    if (plain === undefined) throw new UsageError(`unknown driver "${name}"${suggestion(name, words)}`);
    return [{ id: plain, driver: plain, options: {}, place: { line: 1, column: 1 } }];
  });
  return [...new Set(drivers)];
}

/** What is compared: the metrics and the reference that the command line gives, else the file's. */
export function comparisonOf(
  scenario: Scenario,
  drivers: readonly DriverChoice[],
  options: ScenarioOptions,
): Scenario["compare"] {
  const names = (options.metric ?? []).flatMap((text) => text.split(","));
  const columns = names.map((name) => {
    const column = columnNamed(name);
    if (column === undefined)
      throw new UsageError(`unknown metric "${name}"${suggestion(name, COLUMN_NAMES) || "; cowlab help metrics lists them"}`);
    return column;
  });
  const { reference } = options;
  if (reference !== undefined && !drivers.some(({ id }) => id === reference))
    throw new UsageError(
      `no driver of this run has the id "${reference}"${suggestion(
        reference,
        drivers.map(({ id }) => id),
      )}`,
    );
  const { compare } = scenario;
  const chosen = columns.length > 0 ? { columns, byDefault: false } : compare;
  return { ...chosen, reference: reference ?? compare.reference };
}
