/**
 * Drivers in the order of a figure, and figures in relation to a reference.
 */
import { figureText } from "../scenario/figures.ts";
import { columnNamed, PHASES } from "../scenario/metrics.ts";
import { type ColumnDocument, columnFigure, type DriverDocument, type ScenarioDocument } from "./document.ts";

/** Drivers by the first column, least first; those that stopped come last. Of equal ones the order of the file. */
export function ranked(scenario: ScenarioDocument): readonly DriverDocument[] {
  const name = scenario.columns[0]?.name;
  if (name === undefined) return scenario.drivers;
  const place = (driver: DriverDocument): number => (driver.stopped === undefined ? 0 : 1);
  return [...scenario.drivers].sort(
    (one, other) => place(one) - place(other) || columnFigure(one, name) - columnFigure(other, name),
  );
}

/** Whether a column tells of what a driver that stopped did not finish. */
export function isUnfinished({ stopped }: DriverDocument, name: string): boolean {
  if (stopped === undefined) return false;
  const phase = columnNamed(name)?.phase;
  return phase === undefined || PHASES.indexOf(phase) >= PHASES.indexOf(stopped.phase);
}

/** A figure in its column; a dash where the driver stopped before it was whole. */
export function cellText(driver: DriverDocument, { name, unit }: ColumnDocument): string {
  return isUnfinished(driver, name) ? "–" : figureText(columnFigure(driver, name), unit);
}

/** The first figure in relation to the reference's; a dash where either has none. */
export function ratioCell(driver: DriverDocument, base: DriverDocument, name: string): string {
  if (isUnfinished(driver, name) || isUnfinished(base, name)) return "–";
  return ratioText(columnFigure(driver, name), columnFigure(base, name));
}

/** How many times the reference a value is: "1×", "0.25×", "300×", "0×"; "–" where the reference is nothing. */
export function ratioText(value: number, reference: number): string {
  if (value === reference) return "1×";
  if (reference === 0) return "–";
  if (value === 0) return "0×";
  const ratio = value / reference;
  if (ratio >= 100) return `${Math.round(ratio)}×`;
  return ratio >= 0.01 || ratio <= 0 ? `${ratio.toFixed(2)}×` : `${ratio.toPrecision(1)}×`;
}
