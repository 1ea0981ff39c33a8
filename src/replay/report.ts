/**
 * A replay's result as text or as one JSON document.
 */
import { formatJson, type Json } from "../calls/json.ts";
import type { Difference, ReplayResult } from "./replay.ts";

/** Differing steps that are shown of one file. */
const SHOWN_A_FILE = 10;
/** Characters of a step or result that are shown. */
const SHOWN_WIDTH = 400;

function short(value: Json): string {
  const text = formatJson(value);
  return text.length <= SHOWN_WIDTH ? text : `${text.slice(0, SHOWN_WIDTH)}…`;
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
    lines.push(`${file}:${difference.line}: ${short(bareStep(difference))}`);
    lines.push(`  expected ${short(difference.expected)}`, `  got      ${short(difference.got)}`);
  }
  flush();
  return lines;
}

/** The text report; its last line is "agree A of B steps in N traces". */
export function replayText(result: ReplayResult): string {
  const lines = differenceLines(result.differing);
  for (const { what, traces, steps } of result.notRun) lines.push(`cannot run ${what}: ${traces} traces, ${steps} steps`);
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
  const { traces, steps, agree } = result;
  return `${formatJson({ traces, steps, agree, differing, notRun }, 2)}\n`;
}
