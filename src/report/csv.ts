/**
 * Results as CSV: a row for each figure of a scenario, a driver and a phase or step, so that every table program can turn it as it likes.
 */
import { METRIC_IDS, metricOf } from "../scenario/metrics.ts";
import type { RunDocument } from "./document.ts";
import { csvField } from "./escape.ts";

const HEAD = ["scenario", "parameters", "seed", "driver", "part", "step", "metric", "value", "unit"];

/** Lines end with CR LF, as RFC 4180 has it. */
export function csvText({ scenarios }: RunDocument): string {
  const lines = [HEAD.join(",")];
  for (const scenario of scenarios) {
    const parameters = Object.entries(scenario.parameters)
      .map(([name, value]) => `${name}=${value}`)
      .join(" ");
    for (const driver of scenario.drivers) {
      const add = (part: string, step: string, figures: Readonly<Record<string, number>>): void => {
        for (const metric of METRIC_IDS) {
          const cells = [
            scenario.name,
            parameters,
            scenario.seed,
            driver.id,
            part,
            step,
            metric,
            figures[metric] ?? 0,
            metricOf(metric).unit,
          ];
          lines.push(cells.map(csvField).join(","));
        }
      };
      add("total", "", driver.total);
      for (const [phase, figures] of Object.entries(driver.phases)) add(phase, "", figures);
      for (const { id, figures } of driver.steps) add("step", id, figures);
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}
