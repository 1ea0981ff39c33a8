/**
 * Events as NDJSON: one JSON object a line, in the order in which they happened.
 */
import type { RunEvent } from "../scenario/run.ts";

/** One event as a line; `step` counts from 1, `time` is virtual, in nanoseconds. */
export function eventLine(scenario: string, { driver, phase, step, stamped }: RunEvent): string {
  const at = step === undefined ? {} : { step: step + 1 };
  return `${JSON.stringify({ scenario, driver, phase, ...at, time: stamped.now, ...stamped.event })}\n`;
}
