/**
 * One scenario's result as text for a terminal: what was asked, the table, why each driver's figures are what they are, what failed, and where the
 * answers differ.
 * Interface: `scenarioText` is a function of the document and the options alone, and ends with a newline.
 */
import { bytesText, figureText } from "../scenario/figures.ts";
import { HOST_DEFAULTS } from "../scenario/host-options.ts";
import { printable } from "../scenario/problem.ts";
import { differingAnswers } from "./differing.ts";
import { columnFigure, type DriverDocument, failedHard, type ScenarioDocument, titleOf } from "./document.ts";
import { ranked, ratioText } from "./rank.ts";
import { type TableColumn, tableLines, wrapped } from "./table.ts";
import { whyLine } from "./why.ts";

export interface TextOptions {
  /** Columns of the terminal. Default 80. */
  readonly width?: number;
  /** In the order of the first figure, least first. */
  readonly ranked?: boolean;
  /** What failed alone; nothing for a scenario in which nothing did. */
  readonly quiet?: boolean;
}

const WIDTH_DEFAULT = 80;

/** The machine in one line: figures mean nothing without it. */
function hostText({ host, seed }: ScenarioDocument): string {
  const size = bytesText(Number(host["device"]));
  const backing = host["backing"] === "tmpfs" ? "tmpfs in memory" : `${host["backing"]} on a disk of ${size}`;
  const parts = [backing, `memory ${bytesText(Number(host["memory"]))}`, `Linux ${host["kernel"]}`, `seed ${seed}`];
  if (host["docker"] !== HOST_DEFAULTS.docker) parts.splice(3, 0, `Docker ${host["docker"]}`);
  if (host["mount"] !== undefined) parts.push(`mounted ${host["mount"]}`);
  if (host["cost"] !== undefined) parts.push(`disk ${host["cost"]}`);
  return parts.join(" · ");
}

/** How many expectations hold, and how many there are. */
export function verdictText({ stopped, expectations }: DriverDocument): string {
  if (stopped !== undefined) return `stopped: ${stopped.phase}`;
  const hard = expectations.filter(({ soft }) => soft !== true);
  const failed = hard.filter(failedHard).length;
  const warned = expectations.filter(({ ok, soft }) => soft === true && !ok).length;
  const warning = warned === 0 ? "" : `${warned} warned`;
  if (hard.length === 0) return warned === 0 ? "–" : warning;
  const verdict = failed === 0 ? `${hard.length} ok` : `${failed} of ${hard.length} FAIL`;
  return warning === "" ? verdict : `${verdict}, ${warning}`;
}

function figuresTable(
  scenario: ScenarioDocument,
  { ranked: byRank = false, width = WIDTH_DEFAULT }: TextOptions,
): readonly string[] {
  const { columns, drivers } = scenario;
  const [first] = columns;
  const base = drivers.find(({ id }) => id === scenario.reference);
  const relative = base !== undefined && first !== undefined && drivers.length > 1;
  const shape: TableColumn[] = [
    { heading: "driver", align: "left" },
    ...columns.map((column): TableColumn => ({ heading: column.title, align: "right" })),
    ...(relative ? [{ heading: `vs ${base.id}`, align: "right" } as const] : []),
    { heading: "expected", align: "left" },
  ];
  const rows = (byRank ? ranked(scenario) : drivers).map((driver) => [
    driver.id,
    ...columns.map(({ name, unit }) => figureText(columnFigure(driver, name), unit)),
    ...(relative ? [ratioText(columnFigure(driver, first.name), columnFigure(base, first.name))] : []),
    verdictText(driver),
  ]);
  return tableLines(shape, rows, width);
}

/** Drivers with the same reason share its line. */
function whyLines(scenario: ScenarioDocument, width: number): readonly string[] {
  const byReason = new Map<string, string[]>();
  for (const driver of scenario.drivers) {
    const why = whyLine(driver, scenario);
    if (why !== undefined) byReason.set(why, [...(byReason.get(why) ?? []), driver.id]);
  }
  if (byReason.size === 0) return [];
  const lines = [...byReason].flatMap(([why, ids]) => {
    const [head = "", ...rest] = wrapped(`${ids.join(", ")}: ${why}`, width - 4);
    return [`  ${head}`, ...rest.map((line) => `    ${line}`)];
  });
  const title = scenario.columns[0]?.title ?? "";
  return ["", `Why (${title}):`, ...lines];
}

/** What failed on one driver. Where it stopped, the steps behind are counted and not listed. */
function failuresOf({ id, stopped, expectations }: DriverDocument, file: string, soft: boolean): readonly string[] {
  const lines: string[] = [];
  const unmet = expectations.filter((one) => !one.ok && (one.soft === true) === soft);
  const reached = unmet.filter(({ unreached }) => unreached !== true);
  if (stopped !== undefined && !soft) {
    const lost = unmet.length - reached.length;
    const rest = lost === 0 ? "" : ` (${lost} ${lost === 1 ? "expectation" : "expectations"} not reached)`;
    lines.push(`  ${id}: stopped at ${stopped.where}: ${stopped.why}${rest}`, `    ${file}:${stopped.line}:${stopped.column}`);
  }
  for (const { step, what, expected, found, line, column } of reached) {
    const where = step === undefined ? what : `step ${step}, ${what}`;
    const more = step === undefined ? "" : `  → cowlab explain ${file} --step ${step} --driver ${id}`;
    lines.push(`  ${id}, ${where}: expected ${expected}, found ${found}`, `    ${file}:${line}:${column}${more}`);
  }
  return lines;
}

function failures({ file, drivers }: ScenarioDocument): readonly string[] {
  const failed = drivers.flatMap((driver) => failuresOf(driver, file, false));
  const warned = drivers.flatMap((driver) => failuresOf(driver, file, true));
  return [
    ...(failed.length === 0 ? [] : ["", "Failed expectations:", ...failed]),
    ...(warned.length === 0 ? [] : ["", "Warnings:", ...warned]),
  ];
}

function missingLines({ missing }: ScenarioDocument, width: number): readonly string[] {
  const byReason = new Map<string, string[]>();
  for (const { id, why } of missing) byReason.set(why, [...(byReason.get(why) ?? []), id]);
  return [...byReason].flatMap(([why, ids]) => wrapped(`${ids.join(", ")}: ${why}`, width));
}

/** The whole text of one scenario's result. */
export function scenarioText(scenario: ScenarioDocument, options: TextOptions = {}): string {
  const width = options.width ?? WIDTH_DEFAULT;
  const failed = failures(scenario);
  if (options.quiet === true) {
    if (failed.length === 0) return "";
    return `${[titleOf(scenario), ...failed.slice(1)].map(printable).join("\n")}\n`;
  }
  const table = scenario.drivers.length === 0 ? [] : ["", ...figuresTable(scenario, options)];
  const missing = missingLines(scenario, width);
  const lines = [
    titleOf(scenario),
    ...wrapped(scenario.about.split("\n\n")[0] ?? "", width),
    ...wrapped(hostText(scenario), width),
    ...table,
    ...(missing.length > 0 && table.length > 0 ? [""] : []),
    ...missing,
    ...whyLines(scenario, width),
    ...failed,
    ...differingAnswers(scenario, width),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}
