/**
 * One scenario's result as text for a terminal: what was asked, the table, why each driver's figures are what they are, what failed, and where the
 * answers differ.
 * Interface: `scenarioText` is a function of the document and the options alone, and ends with a newline.
 */
import { bytesText, counted, stepText } from "../scenario/figures.ts";
import { HOST_DEFAULTS } from "../scenario/host-options.ts";
import { printable } from "../scenario/problem.ts";
import { differingAnswers } from "./differing.ts";
import { type DriverDocument, failedHard, type ScenarioDocument, titleOf } from "./document.ts";
import { shellQuoted } from "./escape.ts";
import { cellText, ranked, ratioCell } from "./rank.ts";
import { type TableColumn, tableLines, textWidth, wrapped } from "./table.ts";
import { subjectOf, whyLine } from "./why.ts";

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
function hostText({ host, seed, drivers }: ScenarioDocument): string {
  const size = bytesText(Number(host["device"]));
  const backings = [...new Set(drivers.length === 0 ? [String(host["backing"])] : drivers.map(({ backing }) => backing))];
  const onDisk = backings.filter((name) => name !== "tmpfs");
  const disk = onDisk.length === 0 ? [] : [`${onDisk.join(", ")} on a disk of ${size}${onDisk.length > 1 ? " each" : ""}`];
  const memory = onDisk.length < backings.length ? ["tmpfs in memory"] : [];
  const kernels = new Set(drivers.length === 0 ? [host["kernel"]] : drivers.map(({ kernel }) => kernel ?? host["kernel"]));
  const linux = `Linux ${[...kernels].join(", ")}`;
  const parts = [...disk, ...memory, `memory ${bytesText(Number(host["memory"]))}`, linux, `seed ${seed}`];
  if (host["docker"] !== HOST_DEFAULTS.docker) parts.splice(-1, 0, `Docker ${host["docker"]}`);
  if (host["readahead"] !== undefined) parts.push(`readahead ${bytesText(Number(host["readahead"]))}`);
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
    ...columns.map((column) => cellText(driver, column)),
    ...(relative ? [ratioCell(driver, base, first.name)] : []),
    verdictText(driver),
  ]);
  return tableLines(shape, rows, width);
}

/** Drivers with the same reason share its line. */
function whyLines(scenario: ScenarioDocument, width: number): readonly string[] {
  const subject = subjectOf(scenario);
  if (subject === undefined) return [];
  const byReason = new Map<string, string[]>();
  for (const driver of scenario.drivers) {
    const why = whyLine(driver, scenario, subject);
    if (why !== undefined) byReason.set(why, [...(byReason.get(why) ?? []), driver.id]);
  }
  if (byReason.size === 0) return [];
  const lines = [...byReason].flatMap(([why, ids]) => {
    const [head = "", ...rest] = wrapped(`${ids.join(", ")}: ${why}`, width - 4);
    return [`  ${head}`, ...rest.map((line) => `    ${line}`)];
  });
  return ["", `Why (${subject.title}):`, ...lines];
}

interface Failure {
  /** What went wrong, without the driver. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
  /** The step that `explain` tells more of. */
  readonly step: string | undefined;
}

/** What failed on one driver. Where it stopped, the steps behind are counted and not listed. */
function failuresOf({ stopped, expectations }: DriverDocument, soft: boolean): readonly Failure[] {
  const found: Failure[] = [];
  const unmet = expectations.filter((one) => !one.ok && (one.soft === true) === soft);
  const reached = unmet.filter(({ unreached }) => unreached !== true);
  if (stopped !== undefined && !soft) {
    const lost = unmet.length - reached.length;
    const rest = lost === 0 ? "" : ` (${counted(lost, "expectation")} not reached)`;
    const text = `stopped at ${stopped.where}: ${stopped.why}${rest}`;
    found.push({ text, line: stopped.line, column: stopped.column, step: undefined });
  }
  for (const { step, what, expected, found: seen, line, column } of reached) {
    const where = step === undefined ? what : `${stepText(step)}, ${what}`;
    found.push({ text: `${where}: expected ${expected}, found ${seen}`, line, column, step });
  }
  return found;
}

/** What failed, or only warned: drivers that failed alike together, in the order in which the first of them failed. */
export function failuresAlike(
  { drivers }: ScenarioDocument,
  soft: boolean,
): readonly { readonly failure: Failure; readonly ids: readonly string[] }[] {
  const alike = new Map<string, { readonly failure: Failure; readonly ids: string[] }>();
  for (const driver of drivers)
    for (const failure of failuresOf(driver, soft)) {
      const key = `${failure.line}:${failure.column} ${failure.text}`;
      const known = alike.get(key) ?? { failure, ids: [] };
      known.ids.push(driver.id);
      alike.set(key, known);
    }
  return [...alike.values()];
}

/** A path as one word of a shell. */
function shellWord(path: string): string {
  return /^[\w./:@%+,=-]+$/.test(path) ? path : shellQuoted(path);
}

function failureLines(scenario: ScenarioDocument, soft: boolean, width: number): readonly string[] {
  const { file, parameters } = scenario;
  const chosen = Object.entries(parameters).map(([name, value]) => ` -P ${shellWord(`${name}=${value}`)}`);
  return failuresAlike(scenario, soft).flatMap(({ failure: { text, line, column, step }, ids }) => {
    const place = `${file}:${line}:${column}`;
    const lines = wrapped(`${ids.join(", ")}: ${text}`, width - 4).map((words, at) => `${at === 0 ? "  " : "    "}${words}`);
    if (step === undefined) return [...lines, `    ${place}`];
    const more = `→ cowlab explain ${shellWord(file)} --step ${step} --driver ${ids[0]}${chosen.join("")}`;
    const beside = `    ${place}  ${more}`;
    return [...lines, ...(textWidth(beside) <= width ? [beside] : [`    ${place}`, `    ${more}`])];
  });
}

function failures(scenario: ScenarioDocument, width: number): readonly string[] {
  const [failed, warned] = [failureLines(scenario, false, width), failureLines(scenario, true, width)];
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
  const failed = failures(scenario, width);
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
