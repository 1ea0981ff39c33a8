/**
 * Why a driver's figures are what they are, in one line: where most of the first figure came about, and what the driver did there.
 *
 * Interface: made from what was counted in each phase and step, and from nothing else; a driver's name decides nothing.
 */
import { bytesText, countText, figureText } from "../scenario/figures.ts";
import { columnNamed, type Figures, type MetricId, metricOf, type Phase } from "../scenario/metrics.ts";
import type { DriverDocument, ScenarioDocument } from "./document.ts";

/** Where something was counted, in words. */
interface Part {
  readonly where: string;
  readonly figures: Figures;
}

const PHASES: readonly (readonly [Phase, string])[] = [
  ["build", "while images were built"],
  ["create", "when containers were created"],
  ["steps", "in the steps"],
];

/** What a driver can have done to cause a figure, in words; in the order of telling. */
const MECHANISMS: readonly (readonly [MetricId, (figure: number) => string])[] = [
  ["copy_ups", (count) => `${countText(count)} ${count === 1 ? "copy-up" : "copy-ups"}`],
  ["files_copied", (count) => `${countText(count)} ${count === 1 ? "file" : "files"} of whole trees copied`],
  ["data_copied", (count) => `${bytesText(count)} copied`],
  ["bytes_written", (count) => `${bytesText(count)} written by calls`],
  ["space_allocated", (count) => (count < 0 ? `${bytesText(-count)} freed` : `${bytesText(count)} allocated`)],
  [
    "inodes_allocated",
    (count) => (count < 0 ? `${countText(-count)} inodes freed` : `${countText(count)} ${count === 1 ? "inode" : "inodes"}`),
  ],
  ["refused", (count) => `${countText(count)} ${count === 1 ? "call" : "calls"} refused`],
  ["device_flushes", (count) => `${countText(count)} ${count === 1 ? "flush" : "flushes"}`],
];
const MECHANISMS_TOLD = 4;

function partsOf(driver: DriverDocument, scenario: ScenarioDocument, phase: Phase | undefined): readonly Part[] {
  const steps = driver.steps.map(({ id, figures }, index): Part => {
    const title = scenario.steps[index]?.title ?? "";
    return { where: `at step ${id}${title === "" ? "" : ` (${title})`}`, figures };
  });
  const others = PHASES.flatMap(([name, where]): Part[] =>
    name === "steps" || (phase !== undefined && phase !== name) ? [] : [{ where, figures: driver.phases[name] }],
  );
  return [...others, ...(phase === undefined || phase === "steps" ? steps : [])];
}

/** The biggest part of a figure. What the steps leave to the sync at their end counts for the phase as a whole. */
function biggest(parts: readonly Part[], metric: MetricId): Part | undefined {
  let found: Part | undefined;
  for (const part of parts) if (Math.abs(part.figures[metric]) > Math.abs(found?.figures[metric] ?? 0)) found = part;
  return found;
}

function mechanisms(figures: Figures, except: MetricId): string {
  const told = MECHANISMS.filter(([metric]) => metric !== except && figures[metric] !== 0).map(([metric, words]) =>
    words(figures[metric]),
  );
  return told.slice(0, MECHANISMS_TOLD).join(", ");
}

/** The line of one driver, without its name; undefined where nothing was counted at all. */
export function whyLine(driver: DriverDocument, scenario: ScenarioDocument): string | undefined {
  if (driver.stopped !== undefined) return undefined;
  const column = columnNamed(scenario.columns[0]?.name ?? "");
  if (column === undefined) return undefined;
  const { metric, phase } = column;
  const whole = phase === undefined ? driver.total : driver.phases[phase];
  const unit = metricOf(metric).unit;
  const { title } = metricOf(metric);
  const part = biggest(partsOf(driver, scenario, phase), metric);
  if (whole[metric] === 0 || part === undefined) {
    const did = mechanisms(whole, metric);
    const where = phase === undefined ? "" : ` ${PHASES.find(([name]) => name === phase)?.[1] ?? ""}`;
    if (whole[metric] !== 0) return `${figureText(whole[metric], unit)} ${title} by the sync at the end`;
    return did === "" ? `nothing happened${where}` : `no ${title}${where}: ${did}`;
  }
  const amount = part.figures[metric];
  const share = amount === whole[metric] ? "" : ` of ${figureText(whole[metric], unit)}`;
  const did = mechanisms(part.figures, metric);
  return `${figureText(amount, unit)}${share} ${part.where}${did === "" ? "" : `: ${did}`}`;
}
