/**
 * The fault plans that a command line asks for.
 */
import type { PlannedFault } from "../scenario/faults.ts";
import { parsePlan } from "../scenario/plan-text.ts";
import type { Scenario } from "../scenario/scenario.ts";
import { suggestion } from "../scenario/suggest.ts";
import { UsageError } from "./exit.ts";

/** Plans by the names that the file gives them, or as they are written. @throws UsageError, ScenarioError */
export function plansOf(scenario: Scenario, asked: readonly string[]): readonly PlannedFault[] {
  return asked.map((text) => {
    const named = scenario.faults.find(({ name }) => name === text);
    if (named !== undefined) return named.plan;
    if (text.trimStart().startsWith("{")) return parsePlan(text, "--fault");
    const names = scenario.faults.map(({ name }) => name);
    const known = names.length === 0 ? "; a plan is written as { power_cut: write, at: 3 }" : suggestion(text, names);
    throw new UsageError(`${scenario.file} has no plan "${text}"${known}`);
  });
}
