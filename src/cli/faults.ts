/**
 * `cowlab faults`: scenarios under every fault of some plans, and what does not hold.
 *
 * Interface: a line for each driver on stdout, progress on stderr; exit code 3 where something does not hold, with the command that shows the worst
 * of it again.
 */
import { type PlanResult, SEVERITIES, type Violation } from "../fuzz/faults/judge.ts";
import { FaultRuns } from "../fuzz/faults/plans.ts";
import { nodeHasher } from "../node/digest.ts";
import { type Loaded, scenarioFiles } from "../node/files.ts";
import { titleOf } from "../report/document.ts";
import { shellQuoted } from "../report/escape.ts";
import { type TableColumn, tableLines, wrapped } from "../report/table.ts";
import { planText } from "../scenario/faults.ts";
import { counted, countText } from "../scenario/figures.ts";
import { worldMaker } from "../scenario/machine.ts";
import { printable } from "../scenario/problem.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { columnsOf, Progress } from "./console.ts";
import { EXIT } from "./exit.ts";
import { plansOf } from "./fault-plans.ts";
import { Library } from "./jobs.ts";
import { driversOf, overridesOf, wholeNumber } from "./settings.ts";

export interface FaultOptions {
  /** Names of plans of the file, or plans. */
  readonly fault?: readonly string[];
  readonly drivers?: string;
  readonly cases: string;
  readonly seed?: string;
  readonly parameter?: readonly string[];
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** What is tried where neither the file nor the command line says. */
const USUAL: readonly string[] = [
  "{ power_cut: command }",
  "{ fail: allocation }",
  "{ fail: read }",
  "{ fail: write }",
  "{ fail: flush }",
];

/** A plan on one driver: what came of it, or why it says nothing there. */
interface Tried {
  readonly plan: string;
  readonly result: PlanResult | string;
}

interface DriverFaults {
  readonly driver: string;
  readonly plans: readonly Tried[];
}

function resultsOf({ plans }: DriverFaults): readonly PlanResult[] {
  return plans.flatMap(({ result }) => (typeof result === "string" ? [] : [result]));
}

function violationsOf(one: DriverFaults): readonly Violation[] {
  return resultsOf(one).flatMap(({ violations }) => violations);
}

/** The first of the worst violations. */
function worstOf(violations: readonly Violation[]): Violation | undefined {
  return SEVERITIES.flatMap((severity) => violations.find((one) => one.severity === severity) ?? []).at(-1);
}

function sumOf(one: DriverFaults, key: "cases" | "stopped" | "looked"): number {
  return resultsOf(one).reduce((sum, result) => sum + result[key], 0);
}

const COLUMNS: readonly TableColumn[] = [
  { heading: "driver", align: "left" },
  { heading: "plans", align: "right" },
  { heading: "cases", align: "right" },
  { heading: "refused to start", align: "right" },
  { heading: "promises looked for", align: "right" },
  { heading: "violations", align: "right" },
];

/** The command that shows a violation again. */
function commandOf({ file }: Scenario, driver: string, { plan }: Violation, options: FaultOptions): string {
  const parameters = (options.parameter ?? []).map((text) => ` -P ${shellQuoted(text)}`).join("");
  const seed = options.seed === undefined ? "" : ` --seed ${options.seed}`;
  return `cowlab faults ${shellQuoted(file)} --drivers ${driver}${parameters}${seed} --fault ${shellQuoted(planText(plan))}`;
}

/** One scenario's results, as text. */
function scenarioText(scenario: Scenario, drivers: readonly DriverFaults[], options: FaultOptions, width: number): string {
  const rows = drivers.map((one) => [
    one.driver,
    ...[resultsOf(one).length, sumOf(one, "cases"), sumOf(one, "stopped"), sumOf(one, "looked"), violationsOf(one).length].map(
      countText,
    ),
  ]);
  const lines = [printable(titleOf(scenario)), ...tableLines(COLUMNS, rows, width)];
  for (const one of drivers) {
    const violations = violationsOf(one);
    const worst = worstOf(violations);
    if (worst === undefined) continue;
    lines.push(
      "",
      ...wrapped(`${one.driver}: ${counted(violations.length, "violation")}, the worst: ${printable(worst.message)}`, width),
    );
    lines.push(`  ${printable(commandOf(scenario, one.driver, worst, options))}`);
  }
  const silent = drivers.flatMap(({ driver, plans }) =>
    plans.flatMap(({ plan, result }) => (typeof result === "string" ? [`${plan} says nothing on ${driver}: ${result}`] : [])),
  );
  return `${[...lines, ...silent.flatMap((text) => wrapped(printable(text), width))].join("\n")}\n`;
}

/** One scenario's results, as JSON has them. */
function scenarioJson(scenario: Scenario, drivers: readonly DriverFaults[]): object {
  return {
    scenario: titleOf(scenario),
    drivers: drivers.map(({ driver, plans }) => ({
      driver,
      plans: plans.map(({ plan, result }) => {
        if (typeof result === "string") return { plan, saysNothing: result };
        const violations = result.violations.map((one) => ({ ...one, plan: planText(one.plan) }));
        return { plan, ...result, violations };
      }),
    })),
  };
}

interface Running {
  readonly options: FaultOptions;
  readonly progress: Progress;
}

/** Runs one scenario on each of its drivers. */
async function faultsOf({ scenario, archives }: Loaded, { options, progress }: Running): Promise<readonly DriverFaults[]> {
  const inFile = scenario.faults.map(({ plan }) => planText(plan));
  const plans = plansOf(scenario, options.fault ?? (inFile.length > 0 ? inFile : USUAL));
  const seed = wholeNumber("--seed", options.seed);
  const most = wholeNumber("--cases", options.cases) ?? 0;
  const drivers: DriverFaults[] = [];
  const chosen = driversOf(scenario, options.drivers);
  for (const { id } of chosen) {
    const makeWorld = worldMaker(nodeHasher);
    const runs = new FaultRuns({ ...scenario, drivers: chosen }, id, {
      makeWorld,
      archives,
      most,
      ...(seed === undefined ? {} : { seed }),
    });
    const tried: Tried[] = [];
    for (const plan of plans) {
      progress.show(`${printable(titleOf(scenario))} on ${id}: ${planText(plan)}`);
      tried.push({ plan: planText(plan), result: runs.under(plan) });
      // A reader that is gone ends the program, which looks up here.
      await new Promise((resolve) => setImmediate(resolve));
    }
    drivers.push({ driver: id, plans: tried });
  }
  return drivers;
}

/** @param write - takes what belongs on stdout. @returns the exit code */
export async function faults(
  paths: readonly string[],
  options: FaultOptions,
  write: (text: string) => void,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const library = new Library(overridesOf(options.parameter));
  const progress = new Progress(options.quiet === true, environment);
  const loaded: Loaded[] = [];
  for (const path of paths.flatMap(scenarioFiles)) loaded.push(...(await library.get(path)));
  const documents: object[] = [];
  let isFalsified = false;
  for (const [index, one] of loaded.entries()) {
    const drivers = await faultsOf(one, { options, progress });
    progress.clear();
    isFalsified ||= drivers.some((driver) => violationsOf(driver).length > 0);
    if (options.json === true) documents.push(scenarioJson(one.scenario, drivers));
    else write(`${index > 0 ? "\n" : ""}${scenarioText(one.scenario, drivers, options, columnsOf(environment))}`);
  }
  if (options.json === true) write(`${JSON.stringify({ format: "cowlab-faults", version: 1, scenarios: documents }, null, 2)}\n`);
  return isFalsified ? EXIT.falsified : EXIT.ok;
}
