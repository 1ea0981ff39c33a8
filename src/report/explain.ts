/**
 * What happened in one step on one driver: its events, grouped where there are many of a kind, the rules behind them, and where those come from.
 */
import type { SharingEvent, SimEvent } from "../../sim/core/events.ts";
import { answerLines, bytesText, counted, countText, figureText, stepText } from "../scenario/figures.ts";
import { METRIC_IDS, metricOf } from "../scenario/metrics.ts";
import { printable } from "../scenario/problem.ts";
import type { RunEvent } from "../scenario/run.ts";
import { type DriverDocument, type ScenarioDocument, titleOf } from "./document.ts";
import { type Rule, rulesFor } from "./rules.ts";
import { shortIds, wrapped } from "./table.ts";

export interface Explanation {
  readonly scenario: ScenarioDocument;
  readonly driver: DriverDocument;
  /** Counts from 0. */
  readonly step: number;
  /** Of this step alone. */
  readonly events: readonly RunEvent[];
}

/** Groups of more than this are told by their number and sum. */
const SHOWN_MAX = 12;

/** What an extent is after a file let go of a part of it. */
const EXTENT_LEFT = {
  free: "nobody uses the extent now",
  part: "the extent stays: the file uses another part of it",
  shared: "the extent stays: others use it",
} as const;

/** A place on a disk, exact: two commands beside each other must not look like one that is repeated. */
function placeText(offset: number): string {
  return offset % 1024 === 0 ? `${countText(offset / 1024)} KiB` : `${countText(offset)} B`;
}

function words(event: SimEvent): string {
  switch (event.op) {
    case "call":
      return `${event.call}(${event.arguments}) = ${event.result}`;
    case "copyUp":
      return `${event.filesystem}: copies up ${event.kind} ${event.path}, ${bytesText(event.bytes)}`;
    case "whiteout":
      return `${event.filesystem}: whiteout for ${event.path}`;
    case "treeCopy":
      return `copies ${counted(event.files, "file")}, ${bytesText(event.bytes)}, to ${event.target}`;
    case "extent":
      return `${event.filesystem}: allocates ${counted(event.blocks, "block")} at ${event.block} for inode ${event.inode}`;
    case "journalCommit":
      return `${event.filesystem}: commits transaction ${event.transaction}, ${counted(event.blocks, "block")}`;
    case "deviceFlush":
      return `${event.device}: flush`;
    case "deviceRead":
    case "deviceWrite":
    case "deviceDiscard":
      return `${event.device}: ${event.op.slice(6).toLowerCase()} ${bytesText(event.length)} at ${placeText(event.offset)}`;
    case "cacheMiss": {
      const ahead = event.ahead === 0 ? "" : `, ${countText(event.ahead)} of them ahead`;
      return `${event.filesystem}: reads ${counted(event.pages, "page")} of inode ${event.inode} from page ${event.page}${ahead}`;
    }
    case "writeback":
    case "evict":
      return `${event.filesystem}: ${event.op === "evict" ? "drops" : "writes back"} ${counted(event.pages, "page")} of inode ${event.inode} from page ${event.page}`;
    case "mount":
      return `mounts ${event.filesystem} at ${event.path}`;
    default:
      return sharingWords(event);
  }
}

function sharingWords(event: SharingEvent): string {
  switch (event.op) {
    case "snapshot":
      return `${event.filesystem}: ${event.target} shares all that ${event.source} has`;
    case "thinProvision":
      return `${event.device}: virtual block ${event.virtual} gets block ${event.block} of the pool`;
    case "thinBreak":
      return `${event.device}: virtual block ${event.virtual} moves from the shared block ${event.source} to ${event.block}, ${event.copied === 0 ? "nothing copied: all of it is written" : `${bytesText(event.copied)} copied`}`;
    case "thinUnmap":
      return `${event.device}: a discard unmaps ${counted(event.blocks, "block")}`;
    case "poolMode":
      return `${event.device}: the pool's mode is ${event.mode}`;
    case "extentDrop":
      return `${event.filesystem}: inode ${event.inode} lets ${counted(event.blocks, "block")} at ${event.block} go; ${EXTENT_LEFT[event.left]}`;
    case "extentShare":
      return `${event.filesystem}: inode ${event.inode} shares ${counted(event.blocks, "block")} at ${event.block}`;
    case "blockBirth":
      return `${event.filesystem}: writes a block of ${bytesText(event.bytes)} in group ${event.group}`;
    case "blockFree":
      return `${event.filesystem}: frees a block of ${bytesText(event.bytes)}, born in group ${event.birth}: nobody else has it`;
    case "blockKeep":
      return `${event.filesystem}: lets go of a block of ${bytesText(event.bytes)}, born in group ${event.birth}; the snapshot of group ${event.snapshot} keeps it`;
    case "arcHit":
    case "arcMiss":
      return `${event.filesystem}: a block of ${bytesText(event.bytes)}, born in group ${event.birth}, ${event.op === "arcHit" ? "is in the ARC" : "is read into the ARC"}`;
    default: {
      const never: never = event;
      return never;
    }
  }
}

/** One event, with what it is about again behind it where it takes more than a line. */
function eventLine(event: SimEvent, width: number): readonly string[] {
  return wrapped(shortIds(words(event)), width - 4).map((line, at) => `${at === 0 ? "  " : "    "}${line}`);
}

/** Whether an event must not go under among many like it. */
function isNotable({ stamped: { event } }: RunEvent): boolean {
  return event.op === "call" && /^E[A-Z]/.test(event.result);
}

/** Neighbours of one kind that are many become one line; calls that were refused are told all the same. */
function eventLines(events: readonly RunEvent[], width: number): readonly string[] {
  const lines: string[] = [];
  for (let from = 0; from < events.length; ) {
    const first = events[from]?.stamped.event;
    if (first === undefined) break;
    let to = from + 1;
    while (events[to]?.stamped.event.op === first.op) to += 1;
    const group = events.slice(from, to);
    const shown = group.length > SHOWN_MAX ? group.slice(0, SHOWN_MAX - 1) : group;
    const notable = group.slice(shown.length).filter(isNotable).slice(0, SHOWN_MAX);
    const rest = group.length - shown.length - notable.length;
    lines.push(...shown.flatMap(({ stamped }) => eventLine(stamped.event, width)));
    if (rest > 0) lines.push(`  … and ${countText(rest)} more of ${first.op}${notable.length > 0 ? ", and refused:" : ""}`);
    lines.push(...notable.flatMap(({ stamped }) => eventLine(stamped.event, width)));
    from = to;
  }
  return lines;
}

function ruleLines(rules: readonly Rule[], width: number): readonly string[] {
  return rules.flatMap(({ id, title, text, sources }) => [
    "",
    ...wrapped(`${id}: ${title}`, width - 2, "  "),
    ...wrapped(text, width, "    "),
    ...sources.flatMap((source) => wrapped(`source: ${source}`, width, "    ")),
  ]);
}

/** One rule as an article. */
export function ruleText({ id, title, text, sources, errno }: Rule, width: number): string {
  const lines = [
    ...wrapped(`${id}: ${title}`, width),
    "",
    ...wrapped(text, width),
    "",
    ...sources.flatMap((source) => wrapped(`source: ${source}`, width)),
  ];
  return `${[...lines, ...(errno === undefined ? [] : [`errno: ${errno}`])].join("\n")}\n`;
}

/** Lines of an answer at most: `--json` has them all. */
const ANSWER_LINES_MAX = 100;
const TAB = 8;

/** One line beside its heading; several below it as they are, since tables stand in columns. */
function shownAnswer(lines: readonly string[], width: number): readonly string[] {
  const [only = ""] = lines;
  if (lines.length < 2) return wrapped(`Answer: ${shortIds(only)}`, width);
  const more = lines.length - ANSWER_LINES_MAX;
  const below = lines.slice(0, ANSWER_LINES_MAX).map((line) => `  ${shortIds(withoutTabs(line))}`);
  return ["Answer:", ...below, ...(more > 0 ? [`  … and ${countText(more)} more lines`] : [])];
}

function withoutTabs(line: string): string {
  const [first = "", ...cells] = line.split("\t");
  return cells.reduce((text, cell) => text.padEnd((Math.floor(text.length / TAB) + 1) * TAB) + cell, first);
}

/** The whole text; ends with a newline. */
export function explainText({ scenario, driver, step, events }: Explanation, width: number): string {
  const plan = scenario.steps[step];
  const done = driver.steps[step];
  const figures = METRIC_IDS.filter((id) => metricOf(id).kind === "amount" && (done?.figures[id] ?? 0) !== 0).map(
    (id) => `  ${metricOf(id).title}: ${figureText(done?.figures[id] ?? 0, metricOf(id).unit)}`,
  );
  const rules = rulesFor(events.map(({ stamped }) => stamped.event));
  const answer = done === undefined ? ["the run never came so far"] : answerLines(done.answer);
  const lines = [
    ...wrapped(
      `${titleOf(scenario)}, ${stepText(plan?.id ?? "")} on ${driver.id}: ${plan?.title}${plan?.container === undefined ? "" : ` in ${plan.container}`}`,
      width,
    ),
    `${scenario.file}:${plan?.line}`,
    "",
    ...shownAnswer(answer, width),
    ...(figures.length === 0 ? [] : ["", "Counted:", ...figures]),
    "",
    events.length === 0 ? "Events: none; the answer came from memory." : "Events:",
    ...eventLines(events, width),
    ...(rules.length === 0 ? [] : ["", "Rules:", ...ruleLines(rules, width).slice(1)]),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}
