/**
 * Trace files: one JSON object a line, a header first, then the steps, each with what the real kernel answered (docs/traces.md).
 *
 * Interface: `parseTrace` throws a TraceError with file and line for anything that is not a trace.
 */
import { isRecord, type Json, parseJson } from "../calls/json.ts";
import { type Step, StepError, textOf, wholeOf } from "../calls/step.ts";
import { LabError } from "../layers/lab.ts";

/** What is wrong with a file, and where: "file:line: what". */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

/** What a trace was recorded on. */
export interface TraceHeader {
  readonly name: string;
  /** A driver, or a bare filesystem. */
  readonly target: string;
  /** The filesystem below. */
  readonly backing: string;
  /** Options of the union mounts. */
  readonly mountOptions: string;
  /** Whether each inode that was seen was held open, as the recorder does; default true. */
  readonly holdsSeen?: boolean;
  /** The kernel that answered, as uname -r prints it, such as "6.1.176"; by default, and where it is none that is known, the host's default. */
  readonly kernel?: string;
}

/** One line of a trace. */
interface TraceStep {
  readonly line: number;
  readonly step: Step;
  /** The recorded result; undefined where the step has none. */
  readonly expected: Json | undefined;
}

export interface Trace {
  readonly file: string;
  readonly header: TraceHeader;
  readonly steps: readonly TraceStep[];
}

/** Lab steps by name, with the arguments that each takes. */
const LAB_STEPS: Readonly<Record<string, readonly string[]>> = {
  layer: ["name", "parent", "raw"],
  container: ["name", "parent"],
  upper: ["name"],
  changes: ["name"],
  tick: ["ms"],
  checkpoint: ["name"],
};
/** The longest tick, in milliseconds: what a clock of nanoseconds counts without loss. */
const TICK_MAX = Math.floor(Number.MAX_SAFE_INTEGER / 1e6);
/** Keys that every lab step may have. */
const LAB_COMMON: ReadonlySet<string> = new Set(["lab", "note", "result"]);

function objectOf(text: string): Step {
  const value = parseJson(text);
  if (!isRecord(value)) throw new StepError("each line must be a JSON object");
  return value;
}

function headerOf(line: Step): TraceHeader {
  if (line["trace"] !== 1) throw new StepError('the first line must be a header with "trace": 1');
  const text = (key: string): string => (line[key] === undefined ? "" : headerText(line, key));
  const target = headerText(line, "target");
  const header = { name: text("name"), target, backing: text("backing") || target, mountOptions: text("mountOptions") };
  const kernel = line["kernel"] === undefined ? {} : { kernel: text("kernel") };
  return line["holdsSeen"] === false ? { ...header, ...kernel, holdsSeen: false } : { ...header, ...kernel };
}

function headerText(line: Step, key: string): string {
  const value = line[key];
  if (typeof value !== "string") throw new StepError(`header: ${key} must be a text`);
  return value;
}

/** Checks a lab step's arguments; those of calls are checked when they are made. */
function checkLabStep(step: Step): void {
  const name = textOf(step, "lab");
  const takes = Object.hasOwn(LAB_STEPS, name) ? LAB_STEPS[name] : undefined;
  if (takes === undefined) throw new StepError(`unknown lab step ${name}`);
  for (const key of Object.keys(step)) {
    if (!LAB_COMMON.has(key) && !takes.includes(key)) throw new StepError(`${name} takes ${takes.join(", ")}, not ${key}`);
  }
  if (name === "tick") {
    const span = wholeOf(step, "ms");
    if (span < 0) throw new StepError("tick: time does not run backwards");
    if (span > TICK_MAX) throw new StepError(`tick: at most ${TICK_MAX} ms pass at once`);
  } else textOf(step, "name");
  if (name === "container") textOf(step, "parent");
}

function stepOf(line: Step): Step {
  if (line["lab"] !== undefined) checkLabStep(line);
  else if (line["call"] === undefined) throw new StepError("a step has lab or call");
  else textOf(line, "on");
  return line;
}

/** Runs `work` on one line of a file; what is wrong with the line is told with its place. */
export function atLine<T>(file: string, line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const isWrongInput = error instanceof StepError || error instanceof LabError || error instanceof SyntaxError;
    if (!isWrongInput) throw error;
    // What Node says of a text differs from version to version, and has the text itself in it.
    const text = error instanceof SyntaxError ? "not JSON" : error.message;
    throw new TraceError(`${file}:${line}: ${text}`);
  }
}

/** Reads one file's text. */
export function parseTrace(file: string, text: string): Trace {
  let header: TraceHeader | undefined;
  const steps: TraceStep[] = [];
  const lines = text.split("\n");
  for (const [index, content] of lines.entries()) {
    if (content.trim() === "") continue;
    const line = index + 1;
    const record = atLine(file, line, () => objectOf(content));
    if (header === undefined) header = atLine(file, line, () => headerOf(record));
    else steps.push({ line, step: atLine(file, line, () => stepOf(record)), expected: record["result"] });
  }
  if (header === undefined) throw new TraceError(`${file}:1: the file is empty`);
  return { file, header, steps };
}
