/**
 * The result of a run as one plain document: what every report is made from, what `--json` prints, and what `--save` keeps.
 *
 * Interface: nothing but JSON values in a stable order of keys: no times, no names of machines. Two runs of one input are equal byte by byte,
 * however many workers or shards made them. `schema/result-1.json` describes it.
 */
import { formatJson, type Json } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import type { JudgedStep, Verdict } from "../scenario/expect.ts";
import { columnName, type Figures, metricOf, type Phase, type Unit } from "../scenario/metrics.ts";
import { type DriverRun, figureOf, type ScenarioRun } from "../scenario/run.ts";
import type { Scenario } from "../scenario/scenario.ts";

interface StepDocument {
  readonly id: string;
  readonly answer: CallResult;
  readonly figures: Figures;
  /** Of a script. */
  readonly status?: number;
  readonly stderr?: string;
}

/** One expectation, judged. */
export interface ExpectationDocument {
  readonly step?: string;
  readonly what: string;
  readonly ok: boolean;
  /** A warning: fails nothing. */
  readonly soft?: true;
  /** The run never came so far. */
  readonly unreached?: true;
  readonly expected: string;
  readonly found: string;
  readonly line: number;
  readonly column: number;
}

interface StopDocument {
  readonly phase: Phase;
  readonly where: string;
  readonly why: string;
  readonly line: number;
  readonly column: number;
}

export interface DriverDocument {
  readonly id: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  /** The filesystem at /var/lib/docker: the host's, or the driver's usual one where it cannot stand on that. */
  readonly backing: string;
  /** The release of Linux, where it is not the host's. */
  readonly kernel?: string;
  readonly phases: Readonly<Record<Phase, Figures>>;
  readonly total: Figures;
  readonly steps: readonly StepDocument[];
  readonly expectations: readonly ExpectationDocument[];
  readonly stopped?: StopDocument;
}

/** One figure that the tables show. */
export interface ColumnDocument {
  readonly name: string;
  readonly title: string;
  readonly unit: Unit;
}

export interface ScenarioDocument {
  readonly name: string;
  readonly file: string;
  readonly about: string;
  readonly sources: readonly string[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly host: Readonly<Record<string, string | number>>;
  readonly columns: readonly ColumnDocument[];
  readonly reference?: string;
  /** The steps as the file writes them. */
  readonly steps: readonly { readonly id: string; readonly title: string; readonly container?: string; readonly line: number }[];
  /** Images with the titles of their layers, the base first. */
  readonly images: readonly { readonly name: string; readonly from?: string; readonly layers: readonly string[] }[];
  readonly containers: readonly { readonly name: string; readonly image: string }[];
  readonly drivers: readonly DriverDocument[];
  readonly missing: readonly { readonly id: string; readonly why: string }[];
}

export interface RunDocument {
  readonly format: "cowlab-run";
  readonly version: 1;
  /** Of a part of a sweep: which one, and the number of each scenario in the whole. */
  readonly shard?: { readonly index: number; readonly count: number; readonly numbers: readonly number[] };
  readonly scenarios: readonly ScenarioDocument[];
}

export const PHASE_WORDS: Readonly<Record<Phase, string>> = { build: "at build", create: "at create", steps: "in steps" };

function stepDocument({ id, answer, figures, shell }: JudgedStep): StepDocument {
  const script = shell === undefined ? {} : { status: shell.status, ...(shell.stderr === "" ? {} : { stderr: shell.stderr }) };
  return { id, answer, figures, ...script };
}

function expectationDocument({ step, what, ok, soft, reached, expected, found, place }: Verdict): ExpectationDocument {
  return {
    ...(step === undefined ? {} : { step }),
    what,
    ok,
    ...(soft ? { soft } : {}),
    ...(reached ? {} : { unreached: true }),
    expected,
    found,
    line: place.line,
    column: place.column,
  };
}

function driverDocument(run: DriverRun): DriverDocument {
  const { stopped, kernel } = run;
  return {
    id: run.id,
    driver: run.driver,
    options: run.options,
    backing: run.backing,
    ...(kernel === undefined ? {} : { kernel }),
    phases: run.phases,
    total: run.total,
    steps: run.steps.map(stepDocument),
    expectations: run.verdicts.map(expectationDocument),
    ...(stopped === undefined
      ? {}
      : { stopped: { phase: stopped.phase, where: stopped.where, why: stopped.why, ...stopped.place } }),
  };
}

/** What the tables show, out of a scenario's `compare`. */
export function comparisonDocument(
  { columns, reference, byDefault }: Scenario["compare"],
  drivers: readonly Pick<DriverRun, "phases" | "total">[],
): Pick<ScenarioDocument, "columns" | "reference"> {
  const counted = columns.filter((column) => drivers.some((driver) => figureOf(driver, columnName(column)) !== 0));
  const shown = byDefault ? (counted.length > 0 ? counted : columns.slice(0, 1)) : columns;
  return {
    columns: shown.map((column) => {
      const { title, unit } = metricOf(column.metric);
      const heading = column.phase === undefined ? title : `${title} ${PHASE_WORDS[column.phase]}`;
      return { name: columnName(column), title: heading, unit };
    }),
    ...(reference === undefined ? {} : { reference }),
  };
}

/** One scenario's result. */
export function scenarioDocument(result: ScenarioRun): ScenarioDocument {
  const { scenario } = result;
  const { cost, mount, ...host } = scenario.host;
  return {
    name: scenario.name,
    file: scenario.file,
    about: scenario.about,
    sources: scenario.sources,
    parameters: scenario.parameters,
    seed: result.seed,
    host: { ...host, ...(cost === undefined ? {} : { cost }), ...(mount === undefined ? {} : { mount }) },
    ...comparisonDocument(scenario.compare, result.drivers),
    steps: scenario.steps.map(({ id, title, container, place }) => ({
      id,
      title,
      ...(container === undefined ? {} : { container }),
      line: place.line,
    })),
    images: scenario.images.map(({ name, from, layers }) => ({
      name,
      ...(from === undefined ? {} : { from: from.name }),
      layers: layers.map(({ title }) => title),
    })),
    containers: scenario.containers.map(({ name, image }) => ({ name, image })),
    drivers: result.drivers.map(driverDocument),
    missing: result.missing.map(({ id, why }) => ({ id, why })),
  };
}

/** The figure of a column on one driver. */
export function columnFigure(driver: DriverDocument, name: string): number {
  return figureOf(driver, name);
}

/** The first column in which drivers differ, else the first. */
export function leadColumn(columns: readonly ColumnDocument[], drivers: readonly DriverDocument[]): ColumnDocument | undefined {
  const differs = ({ name }: ColumnDocument): boolean => new Set(drivers.map((driver) => columnFigure(driver, name))).size > 1;
  return columns.find(differs) ?? columns[0];
}

/** Whether something that counts failed: a driver stopped, or an expectation that is no warning. */
export function hasFailed(scenario: ScenarioDocument): boolean {
  return scenario.drivers.some(({ stopped, expectations }) => stopped !== undefined || expectations.some(failedHard));
}

/** Whether an expectation failed that is no warning. */
export function failedHard({ ok, soft }: ExpectationDocument): boolean {
  return !ok && soft !== true;
}

/** The document of scenarios that ran. */
export function runDocument(scenarios: readonly ScenarioDocument[]): RunDocument {
  return { format: "cowlab-run", version: 1, scenarios };
}

/** As text: ends with a newline. */
export function documentText(document: RunDocument): string {
  return `${formatJson(document as unknown as Json, 2)}\n`;
}

/** A scenario's name with its parameters: "write · size=4KiB". */
export function titleOf({ name, parameters }: Pick<ScenarioDocument, "name" | "parameters">): string {
  return [name, ...Object.entries(parameters).map(([key, value]) => `${key}=${value}`)].join(" · ");
}
