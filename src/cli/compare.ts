/**
 * `cowlab compare`: scenario files on the drivers they name, a table each.
 */
import { nodeHasher } from "../node/digest.ts";
import type { Loaded } from "../node/files.ts";
import { readScenarios, scenarioFiles } from "../node/files.ts";
import { compareText } from "../report/compare.ts";
import { compareJson } from "../report/json.ts";
import { worldMaker } from "../scenario/machine.ts";
import { runScenario, type ScenarioRun } from "../scenario/run.ts";
import type { DriverChoice, Scenario } from "../scenario/scenario.ts";
import { DRIVER_NAMES, type DriverName } from "../scenario/schema.ts";
import { suggestion } from "../scenario/suggest.ts";
import { EXIT, UsageError } from "./exit.ts";

export interface CompareOptions {
  readonly json?: boolean;
  /** Names or ids, separated by commas. */
  readonly drivers?: string;
  readonly seed?: string;
}

/**
 * Reads every file first, so that a wrong one stops the command before anything is printed; then runs them one after the other.
 * @param write - takes what belongs on stdout, as soon as it is known
 * @returns the exit code
 */
export async function compare(paths: readonly string[], options: CompareOptions, write: (text: string) => void): Promise<number> {
  const seed = seedOf(options.seed);
  const loaded: Loaded[] = [];
  for (const path of paths.flatMap(scenarioFiles)) loaded.push(...(await readScenarios(path)));
  const chosen = loaded.map(({ scenario, archives }) => ({ archives, scenario: choose(scenario, options.drivers) }));
  const results: ScenarioRun[] = [];
  const makeWorld = worldMaker(nodeHasher);
  for (const { scenario, archives } of chosen) {
    const result = runScenario(scenario, { makeWorld, archives, ...(seed === undefined ? {} : { seed }) });
    if (result.drivers.length === 0)
      throw new UsageError(
        `${scenario.file}: none of its drivers can run: ${result.missing.map(({ id, why }) => `${id} (${why})`).join(", ")}`,
      );
    results.push(result);
    if (options.json !== true) await writeNow(write, `${results.length > 1 ? "\n" : ""}${compareText(result)}`);
  }
  if (options.json === true) write(compareJson(results));
  return results.some(hasFailed) ? EXIT.expectation : EXIT.ok;
}

/** Writes, and lets a reader that is gone say so before the next scenario runs. */
async function writeNow(write: (text: string) => void, text: string): Promise<void> {
  write(text);
  await new Promise((resolve) => setImmediate(resolve));
}

function hasFailed({ drivers }: ScenarioRun): boolean {
  return drivers.some((run) => run.stopped !== undefined || run.verdicts.some((verdict) => !verdict.ok && !verdict.soft));
}

function seedOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--seed takes a whole number from 0 on, not "${text}"`);
  return Number(text);
}

/** The scenario with the drivers that the command line names: those of the file by id or name, else a driver as it comes. */
function choose(scenario: Scenario, names: string | undefined): Scenario {
  if (names === undefined) return scenario;
  const drivers = names.split(",").flatMap((name) => {
    const known = scenario.drivers.filter((choice) => choice.id === name || choice.driver === name);
    if (known.length > 0) return known;
    const plain = DRIVER_NAMES.find((driver) => driver === name);
    const words = [...new Set([...scenario.drivers.map((choice) => choice.id), ...DRIVER_NAMES])];
    if (plain === undefined) throw new UsageError(`unknown driver "${name}"${suggestion(name, words)}`);
    return [plainChoice(plain)];
  });
  return { ...scenario, drivers: [...new Set(drivers)] };
}

function plainChoice(driver: DriverName): DriverChoice {
  return { id: driver, driver, options: {}, place: { line: 1, column: 1 } };
}
