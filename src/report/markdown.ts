/**
 * Results as Markdown, for pull requests and step summaries: a table a scenario, why, and what failed.
 */
import { type RunDocument, type ScenarioDocument, titleOf } from "./document.ts";
import { markdownCell } from "./escape.ts";
import { cellText, ranked, ratioCell } from "./rank.ts";
import { failuresAlike, verdictText } from "./text.ts";
import { subjectOf, whyLine } from "./why.ts";

export interface MarkdownOptions {
  readonly ranked?: boolean;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(markdownCell).join(" | ")} |`;
}

/** A list under its heading: what failed, or only warned. */
function failureList(heading: string, scenario: ScenarioDocument, soft: boolean): readonly string[] {
  const lines = failuresAlike(scenario, soft).map(
    ({ failure: { text, line, column }, ids }) =>
      `- **${ids.map(markdownCell).join(", ")}**: ${markdownCell(text)} (${markdownCell(`${scenario.file}:${line}:${column}`)})`,
  );
  return lines.length === 0 ? [] : ["", heading, "", ...lines];
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
    return line === undefined ? [] : [`- **${markdownCell(driver.id)}**: ${markdownCell(line)}`];
  });
  return [
    `## ${markdownCell(titleOf(scenario))}`,
    "",
    markdownCell(scenario.about.split("\n\n")[0]?.replaceAll("\n", " ") ?? ""),
    "",
    row(head),
    `|${head.map((_, index) => (index === 0 || index === head.length - 1 ? " --- |" : " ---: |")).join("")}`,
    ...rows,
    ...(why.length === 0 ? [] : ["", `Why (${markdownCell(subject?.title ?? "")}):`, "", ...why]),
    ...failureList("Failed expectations:", scenario, false),
    ...failureList("Warnings:", scenario, true),
  ];
}

/** Ends with a newline. */
export function markdownText({ scenarios }: RunDocument, options: MarkdownOptions = {}): string {
  return `${scenarios.map((scenario) => scenarioLines(scenario, options).join("\n")).join("\n\n")}\n`;
}
