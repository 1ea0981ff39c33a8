/**
 * The combinations of one scenario's parameters beside each other: a row for each, a column for each driver, and in them the figure that differs.
 */
import { printable } from "../scenario/problem.ts";
import { type ColumnDocument, leadColumn, type ScenarioDocument } from "./document.ts";
import { cellText } from "./rank.ts";
import { tableLines } from "./table.ts";

/** The column to show, over all drivers and combinations. */
function leadOf(scenarios: readonly ScenarioDocument[]): ColumnDocument | undefined {
  const columns = [...new Map(scenarios.flatMap((one) => one.columns).map((column) => [column.name, column])).values()];
  return leadColumn(
    columns,
    scenarios.flatMap(({ drivers }) => drivers),
  );
}

function tableOf(scenarios: readonly ScenarioDocument[], column: ColumnDocument, width: number): readonly string[] {
  const ids = [...new Set(scenarios.flatMap(({ drivers }) => drivers.map(({ id }) => id)))];
  const names = Object.keys(scenarios[0]?.parameters ?? {});
  const rows = scenarios.map(({ parameters, drivers }) => {
    const cells = ids.map((id) => {
      const driver = drivers.find((one) => one.id === id);
      return driver === undefined ? "" : cellText(driver, column);
    });
    return [names.map((name) => `${name}=${parameters[name]}`).join(" "), ...cells];
  });
  const shape = [{ heading: "", align: "left" } as const, ...ids.map((heading) => ({ heading, align: "right" }) as const)];
  return tableLines(shape, rows, width);
}

/** The tables of all scenarios that ran with more than one combination of parameters; an empty text where none did. */
export function combinationsText(scenarios: readonly ScenarioDocument[], width: number): string {
  const byName = new Map<string, ScenarioDocument[]>();
  for (const scenario of scenarios) {
    if (Object.keys(scenario.parameters).length === 0) continue;
    const key = `${scenario.file}\u0000${scenario.name}`;
    byName.set(key, [...(byName.get(key) ?? []), scenario]);
  }
  return [...byName.values()]
    .flatMap((group): readonly string[] => {
      const column = leadOf(group);
      if (group.length < 2 || column === undefined) return [];
      const lines = [`${group[0]?.name}: ${column.title}`, "", ...tableOf(group, column, width)];
      return [`${lines.map(printable).join("\n")}\n`];
    })
    .join("\n");
}
