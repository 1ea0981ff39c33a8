/**
 * One scenario's result as text for a terminal of 80 columns: what was asked, the table, what failed, and where the answers differ.
 * Interface: `compareText` is a function of the result alone, and ends with a newline.
 */
import { isList } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import { answerText, bytesText, figureText } from "../scenario/figures.ts";
import { type Column, metricOf } from "../scenario/metrics.ts";
import { printable } from "../scenario/problem.ts";
import type { DriverRun, ScenarioRun } from "../scenario/run.ts";
import type { HostChoice, Scenario } from "../scenario/scenario.ts";
import { type TableColumn, tableLines, textWidth, wrapped } from "./table.ts";

const WIDTH = 80;

const PHASE_WORDS = { build: "at build", create: "at create", steps: "in steps" } as const;

function heading({ metric, phase }: Column): string {
  const { title } = metricOf(metric);
  return phase === undefined ? title : `${title} ${PHASE_WORDS[phase]}`;
}

/** The machine in one line: figures mean nothing without it. */
function hostText(host: HostChoice, seed: number): string {
  const backing = host.backing === "tmpfs" ? "tmpfs in memory" : `${host.backing} on a disk of ${bytesText(host.device)}`;
  const parts = [backing, `memory ${bytesText(host.memory)}`, `Linux ${host.kernel}`, `seed ${seed}`];
  if (host.cost !== undefined) parts.push(`disk ${host.cost}`);
  return parts.join(" · ");
}

function ratioText(value: number, reference: number): string {
  if (value === reference) return "1×";
  if (reference === 0) return "–";
  const ratio = value / reference;
  if (ratio >= 100) return `${Math.round(ratio)}×`;
  return ratio >= 0.01 || ratio <= 0 ? `${ratio.toFixed(2)}×` : `${ratio.toPrecision(1)}×`;
}

function figureOf(run: DriverRun, { metric, phase }: Column): number {
  return (phase === undefined ? run.total : run.phases[phase])[metric];
}

/** How many expectations hold, and how many there are. */
function verdictText(run: DriverRun): string {
  if (run.stopped !== undefined) return `stopped: ${run.stopped.phase}`;
  const hard = run.verdicts.filter((verdict) => !verdict.soft);
  const failed = hard.filter((verdict) => !verdict.ok).length;
  const warned = run.verdicts.filter((verdict) => verdict.soft && !verdict.ok).length;
  const warning = warned === 0 ? "" : `, ${warned} warned`;
  if (hard.length === 0) return warned === 0 ? "–" : `${warned} warned`;
  return failed === 0 ? `${hard.length} ok${warning}` : `${failed} of ${hard.length} FAIL${warning}`;
}

function figuresTable({ scenario, drivers }: ScenarioRun): readonly string[] {
  const { columns, reference } = scenario.compare;
  const base = drivers.find((run) => run.id === reference);
  const first = columns[0];
  const relative = base !== undefined && first !== undefined && drivers.length > 1;
  const shape: TableColumn[] = [
    { heading: "driver", align: "left" },
    ...columns.map((column): TableColumn => ({ heading: heading(column), align: "right" })),
    ...(relative ? [{ heading: `vs ${base.id}`, align: "right" } as const] : []),
    { heading: "expected", align: "left" },
  ];
  const rows = drivers.map((run) => [
    run.id,
    ...columns.map((column) => figureText(figureOf(run, column), metricOf(column.metric).unit)),
    ...(relative ? [ratioText(figureOf(run, first), figureOf(base, first))] : []),
    verdictText(run),
  ]);
  return tableLines(shape, rows);
}

/** What failed on one driver. Where it stopped, the steps behind are counted and not listed. */
function failuresOf(run: DriverRun, file: string, soft: boolean): readonly string[] {
  const lines: string[] = [];
  const stopped = soft ? undefined : run.stopped;
  const unmet = run.verdicts.filter((verdict) => !verdict.ok && verdict.soft === soft);
  const reached = unmet.filter((verdict) => verdict.reached);
  if (stopped !== undefined) {
    const lost = unmet.length - reached.length;
    const rest = lost === 0 ? "" : ` (${lost} ${lost === 1 ? "expectation" : "expectations"} not reached)`;
    lines.push(
      `  ${run.id}: stopped at ${stopped.where}: ${stopped.why}${rest}`,
      `    ${file}:${stopped.place.line}:${stopped.place.column}`,
    );
  }
  for (const { step, what, expected, found, place } of reached) {
    const where = step === undefined ? what : `step ${step}, ${what}`;
    lines.push(`  ${run.id}, ${where}: expected ${expected}, found ${found}`, `    ${file}:${place.line}:${place.column}`);
  }
  return lines;
}

function failures({ scenario, drivers }: ScenarioRun): readonly string[] {
  const lines = drivers.flatMap((run) => failuresOf(run, scenario.file, false));
  const warnings = drivers.flatMap((run) => failuresOf(run, scenario.file, true));
  return [
    ...(lines.length === 0 ? [] : ["", "Failed expectations:", ...lines]),
    ...(warnings.length === 0 ? [] : ["", "Warnings:", ...warnings]),
  ];
}

/** Keeps an entry of a list in one line until it is printed. */
const HARD_SPACE = "\u00a0";

/** An answer that is a list of lines, such as docker diff's: joined by commas; undefined for any other. */
function linesText(answer: CallResult): string | undefined {
  const lines = "value" in answer && isList(answer.value) ? answer.value : undefined;
  return lines?.every((line) => typeof line === "string") === true
    ? lines.map((line) => String(line).replaceAll(" ", HARD_SPACE)).join(", ")
    : undefined;
}

/** The steps that drivers answer differently, with who answers what. */
function differences({
  scenario,
  drivers,
}: ScenarioRun): readonly { readonly step: number; readonly answers: readonly (readonly [string, readonly string[]])[] }[] {
  return scenario.steps.flatMap((_, index) => {
    const byAnswer = new Map<string, string[]>();
    for (const run of drivers) {
      const done = run.steps[index];
      if (done === undefined) continue;
      const text = linesText(done.answer) ?? answerText(done.answer);
      byAnswer.set(text, [...(byAnswer.get(text) ?? []), run.id]);
    }
    return byAnswer.size < 2 ? [] : [{ step: index, answers: [...byAnswer] }];
  });
}

/** Who answers, and beside it what, in as many lines as that takes. */
function answerLines(who: string, width: number, answer: string): readonly string[] {
  const indent = " ".repeat(width + 6);
  const lines = wrapped(answer, Math.max(WIDTH, width + 30), indent).map((line) => line.replaceAll(HARD_SPACE, " "));
  return [`    ${who}${" ".repeat(width - textWidth(who))}  ${(lines[0] ?? "").trimStart()}`, ...lines.slice(1)];
}

function differingAnswers(result: ScenarioRun): readonly string[] {
  const found = differences(result);
  if (found.length === 0) return [];
  const lines = found.flatMap(({ step, answers }) => {
    const plan = result.scenario.steps[step];
    const where = plan?.container === undefined ? "" : ` in ${plan.container}`;
    const width = Math.max(...answers.map(([, ids]) => textWidth(ids.join(", "))));
    return [
      `  ${plan?.id}: ${plan?.title}${where}`,
      ...answers.flatMap(([answer, ids]) => answerLines(ids.join(", "), width, answer)),
    ];
  });
  return ["", "Answered differently:", ...lines];
}

function missingLine({ missing }: ScenarioRun): readonly string[] {
  if (missing.length === 0) return [];
  const byReason = new Map<string, string[]>();
  for (const { id, why } of missing) byReason.set(why, [...(byReason.get(why) ?? []), id]);
  return [...byReason].flatMap(([why, ids]) => wrapped(`${ids.join(", ")}: ${why}`, WIDTH));
}

function titleLines(scenario: Scenario, seed: number): readonly string[] {
  const about = wrapped(scenario.about.split("\n\n")[0] ?? "", WIDTH);
  const values = Object.entries(scenario.parameters).map(([name, value]) => `${name}=${value}`);
  return [[scenario.name, ...values].join(" · "), ...about, ...wrapped(hostText(scenario.host, seed), WIDTH)];
}

/** The whole text of one scenario's result. */
export function compareText(result: ScenarioRun): string {
  const table = result.drivers.length === 0 ? [] : ["", ...figuresTable(result)];
  const missing = missingLine(result);
  const lines = [
    ...titleLines(result.scenario, result.seed),
    ...table,
    ...(missing.length > 0 && table.length > 0 ? [""] : []),
    ...missing,
    ...failures(result),
    ...differingAnswers(result),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}
