/**
 * A replay's result as text or as one JSON document.
 */
import { formatJson, type Json } from "../calls/json.ts";
import { counted } from "../scenario/figures.ts";
import type { Difference, ReplayResult } from "./replay.ts";

/** Differing steps that are shown of one file. */
const SHOWN_A_FILE = 10;
/** Characters of a step or result that are shown. */
const SHOWN_WIDTH = 240;
/** Characters before the first difference of two long results that are shown. */
const SHOWN_BEFORE = 40;

/** The part of a text that begins at `from`. */
function short(text: string, from = 0): string {
  const rest = from === 0 ? text : `…${text.slice(from)}`;
  return rest.length <= SHOWN_WIDTH ? rest : `${rest.slice(0, SHOWN_WIDTH)}…`;
}

/** Where two results are shown from: their beginnings, unless they differ only behind what would be shown. */
function shownFrom(expected: string, got: string): number {
  if (Math.max(expected.length, got.length) <= SHOWN_WIDTH) return 0;
  let same = 0;
  while (same < expected.length && expected[same] === got[same]) same += 1;
  return Math.max(0, same - SHOWN_BEFORE);
}

/** A step without its recorded result. */
function bareStep({ step }: Difference): Json {
  const { result: _, ...rest } = step;
  return rest;
}

function differenceLines(differing: readonly Difference[]): string[] {
  const lines: string[] = [];
  let file = "";
  let shownOfFile = 0;
  const flush = (): void => {
    if (shownOfFile > SHOWN_A_FILE) lines.push(`${file}: and ${shownOfFile - SHOWN_A_FILE} more`);
  };
  for (const difference of differing) {
    if (difference.file !== file) {
      flush();
      file = difference.file;
      shownOfFile = 0;
    }
    shownOfFile += 1;
    if (shownOfFile > SHOWN_A_FILE) continue;
    lines.push(`${file}:${difference.line}: ${short(formatJson(bareStep(difference)))}`);
    const [expected, got] = [formatJson(difference.expected), formatJson(difference.got)];
    const from = shownFrom(expected, got);
    lines.push(`  expected ${short(expected, from)}`, `  got      ${short(got, from)}`);
  }
  flush();
  return lines;
}

/** The text report; its last line is "agree A of B steps in N traces". */
export function replayText(result: ReplayResult): string {
  const lines = differenceLines(result.differing);
  for (const { file, line, message } of result.broken) lines.push(`${file}:${line}: bug of cowlab: ${message.split("\n")[0]}`);
  for (const { what, traces, steps } of result.notRun)
    lines.push(`cannot run ${what}: ${counted(traces, "trace")}, ${counted(steps, "step")}`);
  lines.push(`agree ${result.agree} of ${result.steps} steps in ${result.traces} traces`);
  return `${lines.join("\n")}\n`;
}

/** One JSON document. */
export function replayJson(result: ReplayResult): string {
  const differing = result.differing.map((one) => ({
    file: one.file,
    line: one.line,
    step: bareStep(one),
    expected: one.expected,
    got: one.got,
  }));
  const notRun = result.notRun.map(({ what, traces, steps }) => ({ what, traces, steps }));
  const broken = result.broken.map(({ file, line, message }) => ({ file, line, message }));
  const { traces, steps, agree } = result;
  return `${formatJson({ format: "cowlab-replay", version: 1, traces, steps, agree, differing, notRun, broken }, 2)}\n`;
}
