/**
 * Two runs side by side: which figures, answers and expectations differ.
 */
import { type Json, sameJson } from "../calls/json.ts";
import { answerLine, exactText, stepText } from "../scenario/figures.ts";
import { METRIC_IDS, metricOf } from "../scenario/metrics.ts";
import { printable } from "../scenario/problem.ts";
import { type DriverDocument, type RunDocument, titleOf } from "./document.ts";
import { ratioText } from "./rank.ts";

/** One difference, in words. */
export interface Change {
  readonly scenario: string;
  /** Absent where one run has nothing of the scenario. */
  readonly driver?: string;
  readonly text: string;
}

const FIRST = "not in the first run";
const SECOND = "not in the second run";

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

/** Steps are the same by their ids: one that was put in does not move those behind it. */
function stepChanges(before: DriverDocument, after: DriverDocument): readonly string[] {
  const earlier = new Map(before.steps.map((step) => [step.id, step.answer]));
  const later = new Set(after.steps.map(({ id }) => id));
  const changed = after.steps.flatMap(({ id, answer }) => {
    const known = earlier.get(id);
    if (known === undefined) return [`${stepText(id)}: not in the first run`];
    return sameJson(known as Json, answer as Json) ? [] : [`${stepText(id)}: ${answerLine(known)} → ${answerLine(answer)}`];
  });
  return [...changed, ...before.steps.flatMap(({ id }) => (later.has(id) ? [] : [`${stepText(id)}: not in the second run`]))];
}

function changesOf(before: DriverDocument, after: DriverDocument, tolerance: number): readonly string[] {
  const lines: string[] = [];
  for (const id of METRIC_IDS) {
    const [one, other] = [before.total[id], after.total[id]];
    if (Math.abs(other - one) <= Math.abs(one) * tolerance) continue;
    const { title, unit } = metricOf(id);
    lines.push(`${title}: ${exactText(one, unit)} → ${exactText(other, unit)} (${ratioText(other, one)})`);
  }
  lines.push(...stepChanges(before, after));
  const [stopped, stops] = [before, after].map((driver) => driver.stopped?.where ?? "nowhere");
  if (stopped !== stops) lines.push(`stopped at: ${stopped} → ${stops}`);
  const failed = (driver: DriverDocument): number => driver.expectations.filter(({ ok }) => !ok).length;
  if (failed(before) !== failed(after)) lines.push(`unmet expectations: ${failed(before)} → ${failed(after)}`);
  return lines;
}

/** What differs. @param tolerance - how far a figure may be off, as a part of the earlier one */
export function changesBetween(before: RunDocument, after: RunDocument, tolerance: number): readonly Change[] {
  const [earlier, later] = [places(before), places(after)];
  const known = new Set(before.scenarios.map(titleOf));
  const found = new Set(after.scenarios.map(titleOf));
  const changes: Change[] = [...found].filter((scenario) => !known.has(scenario)).map((scenario) => ({ scenario, text: FIRST }));
  for (const [key, { scenario, driver }] of later) {
    if (!known.has(scenario)) continue;
    const other = earlier.get(key);
    const lines = other === undefined ? [FIRST] : changesOf(other.driver, driver, tolerance);
    changes.push(...lines.map((text) => ({ scenario, driver: driver.id, text })));
  }
  for (const [key, { scenario, driver }] of earlier)
    if (found.has(scenario) && !later.has(key)) changes.push({ scenario, driver: driver.id, text: SECOND });
  return [...changes, ...[...known].filter((scenario) => !found.has(scenario)).map((scenario) => ({ scenario, text: SECOND }))];
}

/** As text; ends with a newline. */
export function changesText(changes: readonly Change[]): string {
  if (changes.length === 0) return "no difference\n";
  return changes
    .map(({ scenario, driver, text }) => `${printable(`${scenario}${driver === undefined ? "" : `, ${driver}`}: ${text}`)}\n`)
    .join("");
}
