/**
 * `cowlab drivers`: which storage drivers there are, and which can run.
 */
import { formatJson } from "../calls/json.ts";
import { tableLines } from "../report/table.ts";
import { driverStates } from "../scenario/machine.ts";

/** The list as a table, or as one JSON document. */
export function driversText(json: boolean): string {
  const states = driverStates();
  if (json)
    return `${formatJson({ format: "cowlab-drivers", version: 1, drivers: states.map((state) => ({ ...state, options: [...state.options] })) }, 2)}\n`;
  const rows = states.flatMap(({ name, state, options }) => [
    [name, state, options[0] ?? ""],
    ...options.slice(1).map((option) => ["", "", option]),
  ]);
  const columns = ["driver", "state", "options"].map((heading) => ({ heading, align: "left" }) as const);
  return `${tableLines(columns, rows).join("\n")}\n`;
}
