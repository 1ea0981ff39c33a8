/**
 * Results as Markdown, for pull requests and step summaries: a table a scenario, why, and what failed.
 */
import { type DriverDocument, type RunDocument, type ScenarioDocument, titleOf } from "./document.ts";
import { markdownCell } from "./escape.ts";
import { cellText, ranked, ratioCell } from "./rank.ts";
import { verdictText } from "./text.ts";
import { subjectOf, whyLine } from "./why.ts";

export interface MarkdownOptions {
  readonly ranked?: boolean;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(markdownCell).join(" | ")} |`;
}

function failuresOf({ id, stopped, expectations }: DriverDocument, file: string): readonly string[] {
  const stop =
    stopped === undefined
      ? []
      : [
          `- **${markdownCell(id)}** stopped at ${markdownCell(`${stopped.where}: ${stopped.why}`)} (${markdownCell(`${file}:${stopped.line}`)})`,
        ];
  const unmet = expectations.filter(({ ok, unreached }) => !ok && unreached !== true);
  return [
    ...stop,
    ...unmet.map(({ step, what, expected, found, line, soft }) => {
      const where = step === undefined ? what : `step ${step}, ${what}`;
      const kind = soft === true ? "warning, " : "";
      const text = `${where}: expected ${expected}, found ${found}`;
      return `- ${kind}**${markdownCell(id)}** ${markdownCell(text)} (${markdownCell(`${file}:${line}`)})`;
    }),
  ];
}

function scenarioLines(scenario: ScenarioDocument, { ranked: byRank = false }: MarkdownOptions): readonly string[] {
  const { columns, drivers } = scenario;
  const [first] = columns;
  const base = drivers.find(({ id }) => id === scenario.reference);
  const relative = base !== undefined && first !== undefined;
  const head = ["driver", ...columns.map(({ title }) => title), ...(relative ? [`vs ${base.id}`] : []), "expected"];
  const rows = (byRank ? ranked(scenario) : drivers).map((driver) =>
    row([
      driver.id,
      ...columns.map((column) => cellText(driver, column)),
      ...(relative ? [ratioCell(driver, base, first.name)] : []),
      verdictText(driver),
    ]),
  );
  const subject = subjectOf(scenario);
  const why = drivers.flatMap((driver) => {
    const line = subject === undefined ? undefined : whyLine(driver, scenario, subject);
    return line === undefined ? [] : [`- **${markdownCell(driver.id)}** ${markdownCell(line)}`];
  });
  const failed = drivers.flatMap((driver) => failuresOf(driver, scenario.file));
  return [
    `## ${markdownCell(titleOf(scenario))}`,
    "",
    markdownCell(scenario.about.split("\n\n")[0]?.replaceAll("\n", " ") ?? ""),
    "",
    row(head),
    `|${head.map((_, index) => (index === 0 || index === head.length - 1 ? " --- |" : " ---: |")).join("")}`,
    ...rows,
    ...(why.length === 0 ? [] : ["", `Why (${markdownCell(subject?.title ?? "")}):`, "", ...why]),
    ...(failed.length === 0 ? [] : ["", "Not as expected:", "", ...failed]),
  ];
}

/** Ends with a newline. */
export function markdownText({ scenarios }: RunDocument, options: MarkdownOptions = {}): string {
  return `${scenarios.map((scenario) => scenarioLines(scenario, options).join("\n")).join("\n\n")}\n`;
}
