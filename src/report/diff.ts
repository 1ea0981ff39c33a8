/**
 * Two runs side by side: which figures, answers and expectations differ.
 */
import { type Json, sameJson } from "../calls/json.ts";
import { answerText, exactText } from "../scenario/figures.ts";
import { METRIC_IDS, metricOf } from "../scenario/metrics.ts";
import { printable } from "../scenario/problem.ts";
import { type DriverDocument, type RunDocument, titleOf } from "./document.ts";
import { ratioText } from "./rank.ts";

/** One difference, in words. */
export interface Change {
  readonly scenario: string;
  readonly driver: string;
  readonly text: string;
}

/** A run's results by scenario and driver. */
function places({ scenarios }: RunDocument): Map<string, { readonly scenario: string; readonly driver: DriverDocument }> {
  return new Map(
    scenarios.flatMap((scenario) =>
      scenario.drivers.map(
        (driver) => [`${titleOf(scenario)}\u0000${driver.id}`, { scenario: titleOf(scenario), driver }] as const,
      ),
    ),
  );
}

function changesOf(before: DriverDocument, after: DriverDocument, tolerance: number): readonly string[] {
  const lines: string[] = [];
  for (const id of METRIC_IDS) {
    const [one, other] = [before.total[id], after.total[id]];
    if (Math.abs(other - one) <= Math.abs(one) * tolerance) continue;
    const { title, unit } = metricOf(id);
    lines.push(`${title}: ${exactText(one, unit)} → ${exactText(other, unit)} (${ratioText(other, one)})`);
  }
  after.steps.forEach((step, index) => {
    const earlier = before.steps[index];
    if (earlier === undefined || sameJson(earlier.answer as Json, step.answer as Json)) return;
    lines.push(`step ${step.id}: ${answerText(earlier.answer)} → ${answerText(step.answer)}`);
  });
  const failed = (driver: DriverDocument): number => driver.expectations.filter(({ ok }) => !ok).length;
  if (failed(before) !== failed(after)) lines.push(`unmet expectations: ${failed(before)} → ${failed(after)}`);
  return lines;
}

/** What differs. @param tolerance - how far a figure may be off, as a part of the earlier one */
export function changesBetween(before: RunDocument, after: RunDocument, tolerance: number): readonly Change[] {
  const [earlier, later] = [places(before), places(after)];
  const changes: Change[] = [];
  for (const [key, { scenario, driver }] of later) {
    const known = earlier.get(key);
    const lines = known === undefined ? ["not in the first run"] : changesOf(known.driver, driver, tolerance);
    changes.push(...lines.map((text) => ({ scenario, driver: driver.id, text })));
  }
  for (const [key, { scenario, driver }] of earlier)
    if (!later.has(key)) changes.push({ scenario, driver: driver.id, text: "not in the second run" });
  return changes;
}

/** As text; ends with a newline. */
export function changesText(changes: readonly Change[]): string {
  if (changes.length === 0) return "no difference\n";
  return changes.map(({ scenario, driver, text }) => `${printable(`${scenario}, ${driver}: ${text}`)}\n`).join("");
}
