/**
 * Why a driver's figures are what they are, in one line: where most of a figure came about, and what the driver did there.
 *
 * Interface: made from what was counted in each phase and step, and from nothing else; a driver's name decides nothing.
 */
import { bytesText, counted, figureText, stepText } from "../scenario/figures.ts";
import {
  type Column,
  columnName,
  columnNamed,
  type Figures,
  type MetricId,
  metricOf,
  type Phase,
  type Unit,
} from "../scenario/metrics.ts";
import { columnFigure, type DriverDocument, leadColumn, PHASE_WORDS, type ScenarioDocument } from "./document.ts";

/** Where something was counted, in words. */
interface Part {
  readonly where: string;
  readonly figures: Figures;
}

/** What a part has of a figure. */
interface Share {
  readonly part: Part;
  readonly amount: number;
}

const PHASES: readonly (readonly [Phase, string])[] = [
  ["build", "while images were built"],
  ["create", "when containers were created"],
  ["steps", "in the steps"],
];

/** The figure whose reasons are told. */
export interface Subject {
  readonly title: string;
  readonly metric: MetricId;
  /** Of which phases; undefined: of the whole run. */
  readonly phases: readonly Phase[] | undefined;
}

/** What a driver can have done to cause a figure, in words; in the order of telling. */
const MECHANISMS: readonly (readonly [MetricId, (figure: number) => string])[] = [
  ["copy_ups", (count) => counted(count, "copy-up")],
  ["files_copied", (count) => `${counted(count, "file")} of whole trees copied`],
  ["data_copied", (count) => `${bytesText(count)} copied`],
  ["bytes_written", (count) => `${bytesText(count)} written by calls`],
  ["space_allocated", (count) => (count < 0 ? `${bytesText(-count)} freed` : `${bytesText(count)} allocated`)],
  ["inodes_allocated", (count) => `${counted(Math.abs(count), "inode")}${count < 0 ? " freed" : ""}`],
  ["device_bytes_read", (count) => `${bytesText(count)} read from the disk`],
  ["refused", (count) => `${counted(count, "call")} refused`],
  ["device_flushes", (count) => counted(count, "flush", "flushes")],
];
const MECHANISMS_TOLD = 4;

/**
 * What is worth a reason: the first column in which the drivers differ, else the first. What several columns show of one metric, each in its phase, is
 * told as one: a driver that copies early and one that copies late are to be seen beside each other.
 */
export function subjectOf({ columns, drivers }: Pick<ScenarioDocument, "columns" | "drivers">): Subject | undefined {
  const ran = drivers.filter(({ stopped }) => stopped === undefined);
  const lead = columnNamed(leadColumn(columns, ran)?.name ?? "");
  if (lead === undefined) return undefined;
  const { metric, phase } = lead;
  const { title, kind } = metricOf(metric);
  if (phase === undefined) return { title, metric, phases: undefined };
  const same = columns.map(({ name }) => columnNamed(name)).filter((one): one is Column => one?.metric === metric);
  // What one phase took and another gave back would make a sum that tells of neither.
  const falls = ran.some((driver) => same.some((column) => columnFigure(driver, columnName(column)) < 0));
  const phases =
    kind === "level" || falls ? [phase] : PHASES.map(([name]) => name).filter((name) => same.some((one) => one.phase === name));
  return { title: `${title} ${listed(phases.map((name) => PHASE_WORDS[name]))}`, metric, phases };
}

/** "a", "a and b", "a, b and c". */
function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function partsOf(driver: DriverDocument, scenario: ScenarioDocument, phases: readonly Phase[] | undefined): readonly Part[] {
  const wanted = (phase: Phase): boolean => phases === undefined || phases.includes(phase);
  const steps = driver.steps.map(({ id, figures }, index): Part => {
    const title = scenario.steps[index]?.title ?? "";
    return { where: `at ${stepText(id)}${title === "" ? "" : ` (${title})`}`, figures };
  });
  const others = PHASES.flatMap(([name, where]): Part[] =>
    name === "steps" || !wanted(name) ? [] : [{ where, figures: driver.phases[name] }],
  );
  return [...others, ...(wanted("steps") ? steps : [])];
}

/** The biggest part of a figure. What the steps leave to the sync at their end counts for the phase as a whole. */
function biggest(parts: readonly Part[], metric: MetricId): Share | undefined {
  let found: Share | undefined;
  for (const part of parts) {
    const amount = part.figures[metric];
    if (Math.abs(amount) > Math.abs(found?.amount ?? 0)) found = { part, amount };
  }
  return found;
}

/** The phases that a level at the end of the last of these comes from. */
function upTo(phases: readonly Phase[] | undefined): readonly Phase[] | undefined {
  const names = PHASES.map(([name]) => name);
  return phases === undefined ? undefined : names.slice(0, names.findLastIndex((name) => phases.includes(name)) + 1);
}

/** Where a level rose most since it was last at its lowest: what was there before that has gone since. */
function rise(parts: readonly Part[], metric: MetricId): Share | undefined {
  const levels = [0, ...parts.map(({ figures }) => figures[metric])];
  const low = levels.lastIndexOf(Math.min(...levels));
  const lowest = parts[low - 1];
  let found: Share | undefined = lowest === undefined ? undefined : { part: lowest, amount: levels[low] ?? 0 };
  for (const [index, part] of parts.entries()) {
    const amount = part.figures[metric] - (levels[index] ?? 0);
    if (index >= low && amount > (found?.amount ?? 0)) found = { part, amount };
  }
  return found;
}

function mechanisms(figures: Figures, except: MetricId): string {
  const told = MECHANISMS.filter(([metric]) => metric !== except && figures[metric] !== 0).map(([metric, words]) =>
    words(figures[metric]),
  );
  return told.slice(0, MECHANISMS_TOLD).join(", ");
}

/** What is counted over the phases together. */
function over(driver: DriverDocument, phases: readonly Phase[] | undefined): Figures {
  const [first, ...rest] = phases ?? [];
  if (first === undefined) return driver.total;
  const sum: Record<MetricId, number> = { ...driver.phases[first] };
  for (const phase of rest) for (const [id, figure] of Object.entries(driver.phases[phase])) sum[id as MetricId] += figure;
  return sum;
}

/** Nothing was counted, or no part can be named for it. */
function unplaced(whole: Figures, { metric, phases }: Subject): string {
  const { title, unit, none = `no ${title}` } = metricOf(metric);
  if (whole[metric] !== 0) return `${figureText(whole[metric], unit)} ${title} by the sync at the end`;
  const did = mechanisms(whole, metric);
  const where =
    phases === undefined ? "" : ` ${listed(PHASES.filter(([name]) => phases.includes(name)).map(([, words]) => words))}`;
  return did === "" ? `nothing happened${where}` : `${none}${where}: ${did}`;
}

/** Whether a part is so near the whole that to tell both would tell nothing: their first three digits are the same. */
function isNearly(amount: number, whole: number): boolean {
  return Math.abs(amount - whole) < Math.abs(whole) / 1000;
}

/** What a part is a part of; where other parts went the other way, it may be more than the whole. */
function shareText(amount: number, whole: number, unit: Unit): string {
  const text = figureText(whole, unit);
  return Math.abs(amount) < Math.abs(whole) && amount < 0 === whole < 0 ? ` of ${text}` : ` (${text} in all)`;
}

/** The line of one driver, without its name; undefined where the driver stopped. */
export function whyLine(driver: DriverDocument, scenario: ScenarioDocument, subject: Subject): string | undefined {
  if (driver.stopped !== undefined) return undefined;
  const { metric, phases } = subject;
  const { unit, kind } = metricOf(metric);
  const whole = over(driver, phases);
  const most =
    kind === "level" ? rise(partsOf(driver, scenario, upTo(phases)), metric) : biggest(partsOf(driver, scenario, phases), metric);
  if (whole[metric] === 0 || most === undefined) return unplaced(whole, subject);
  const { part, amount } = most;
  const isAll =
    figureText(amount, unit) === figureText(whole[metric], unit) || (unit !== "count" && isNearly(amount, whole[metric]));
  const share = isAll ? "" : shareText(amount, whole[metric], unit);
  const did = mechanisms(part.figures, metric);
  return `${figureText(isAll ? whole[metric] : amount, unit)}${share} ${part.where}${did === "" ? "" : `: ${did}`}`;
}
