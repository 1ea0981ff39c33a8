/**
 * Replays traces: makes each step in the simulator and compares its result with the recorded one.
 *
 * Interface: each trace gets a host of its own. A trace whose driver or filesystem does not exist counts with all its results as
 * differing, and is told apart. A step without a recorded result is made and not compared.
 */
import { InvariantError } from "../../sim/core/assert.ts";
import { milliseconds } from "../../sim/core/units.ts";
import { isRecord, type Json, sameJson } from "../calls/json.ts";
import { perform } from "../calls/perform.ts";
import { compareTexts } from "../calls/show.ts";
import { type Step, textOf, wholeOf } from "../calls/step.ts";
import { type Change, type DriverError, isDriverError } from "../drivers/driver.ts";
import { Lab } from "../layers/lab.ts";
import type { Recording } from "./recorded.ts";
import { labFor } from "./target.ts";
import { atLine, type Trace } from "./trace.ts";

/** A step whose result is not the recorded one. */
export interface Difference {
  readonly file: string;
  readonly line: number;
  readonly step: Step;
  readonly expected: Json;
  /** What the simulator gave; `{"failed": text}` where it gave no result at all. */
  readonly got: Json;
}

/** Traces of one kind that cannot be run. */
interface NotRun {
  /** What is missing: "aufs on ext4". */
  readonly what: string;
  readonly traces: number;
  readonly steps: number;
}

/** A step in which an engine broke: a bug of this project. The rest of its trace was not made. */
interface Broken {
  readonly file: string;
  readonly line: number;
  /** "TypeError: …" */
  readonly message: string;
}

export interface ReplayResult {
  readonly traces: number;
  /** Steps with a recorded result. */
  readonly steps: number;
  readonly agree: number;
  readonly differing: readonly Difference[];
  readonly notRun: readonly NotRun[];
  readonly broken: readonly Broken[];
}

export interface ReplayOptions {
  /** Another backing filesystem than the recorded one. */
  readonly backing?: string;
  /** Checks every engine's invariants after each step. */
  readonly check?: boolean;
  /**
   * Folders that were bind-mounted in the containers while the traces were recorded, where no step could say so: Docker makes such a
   * mount point in each container whose image lacks it.
   */
  readonly binds?: readonly string[];
}

function failure(error: DriverError): Json {
  return { failed: error.message };
}

function changeLines(changes: readonly Change[]): Json {
  return { value: changes.map(({ kind, path }) => `${kind} ${path}`).sort(compareTexts) };
}

/** Makes a lab step. @returns its result, where it has one. */
function labStep(lab: Lab, step: Step): Json | undefined {
  const kind = textOf(step, "lab");
  switch (kind) {
    case "tick":
      lab.host.clock.advance(milliseconds(wholeOf(step, "ms")));
      return undefined;
    case "layer":
    case "container": {
      const parent = step["parent"] === undefined ? undefined : textOf(step, "parent");
      const failed = lab.addLayer(textOf(step, "name"), parent, { raw: step["raw"] === true });
      return failed === undefined ? undefined : failure(failed);
    }
    case "upper": {
      const rows = lab.upper(textOf(step, "name"));
      if (rows === undefined) return undefined;
      return isDriverError(rows) ? failure(rows) : { value: rows };
    }
    case "changes": {
      const changes = lab.changes(textOf(step, "name"));
      return isDriverError(changes) ? failure(changes) : changeLines(changes);
    }
    default:
      return undefined;
  }
}

/** Makes one step of either kind. @returns its result, where it has one. */
function makeStep(lab: Lab, step: Step): Json | undefined {
  lab.host.clock.runDueTimers();
  if (step["lab"] !== undefined) return labStep(lab, step);
  const session = lab.session(textOf(step, "on"));
  return isDriverError(session) ? failure(session) : { ...perform(session, step) };
}

/** Makes a step; where an engine breaks, that is told as a bug, and the trace goes no further. */
function tryStep(lab: Lab, step: Step, options: ReplayOptions): { got: Json | undefined; bug?: string } {
  try {
    const got = makeStep(lab, step);
    if (options.check === true) lab.host.check();
    return { got };
  } catch (error) {
    const isBug = error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError;
    if (!isBug) throw error;
    const bug = `${error.name}: ${error.message}`;
    return { got: { failed: bug }, bug };
  }
}

function countResults(trace: Trace): number {
  return trace.steps.filter(({ expected }) => expected !== undefined).length;
}

interface TraceRun {
  readonly differing: Difference[];
  readonly bug?: Broken;
  /** Why a step without a recorded result could not be made, where no recorded one behind it shows that. */
  readonly cannotRun?: string;
}

/** Steps of one trace that differ. A lab step that fails without a recorded result shows in the steps after it, where one of them has a result. */
function runTrace(trace: Trace, lab: Lab, options: ReplayOptions): TraceRun {
  const differing: Difference[] = [];
  let bug: Broken | undefined;
  let broken: Json | undefined;
  let isSeen = false;
  for (const { line, step, expected } of trace.steps) {
    lab.host.events.step = line;
    let got = broken;
    isSeen ||= broken !== undefined && expected !== undefined;
    if (broken === undefined) {
      const made = atLine(trace.file, line, () => tryStep(lab, step, options));
      got = made.got;
      if (made.bug !== undefined) bug = { file: trace.file, line, message: made.bug };
      if (bug !== undefined || (expected === undefined && isRecord(got) && "failed" in got)) broken = got;
    }
    if (expected !== undefined && !sameJson(expected, got)) {
      differing.push({ file: trace.file, line, step, expected, got: got ?? null });
    }
  }
  if (bug !== undefined) return { differing, bug };
  return broken === undefined || isSeen ? { differing } : { differing, cannotRun: textOf(broken as Step, "failed") };
}

/** Replays a recording; where an engine breaks, it counts as one step that differs. */
function runRecording(recording: Recording): { steps: number; differing: Difference[]; bug?: Broken } {
  const { file } = recording;
  try {
    const { steps, differing } = recording.run();
    return { steps, differing: differing.map((one) => ({ file, ...one })) };
  } catch (error) {
    const isBug = error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError;
    if (!isBug) throw error;
    const message = `${error.name}: ${error.message}`;
    return {
      steps: 1,
      differing: [{ file, line: 1, step: {}, expected: null, got: { failed: message } }],
      bug: { file, line: 1, message },
    };
  }
}

/** Replays traces and recordings one after the other. */
export function replay(traces: Iterable<Trace | Recording>, options: ReplayOptions = {}): ReplayResult {
  let count = 0;
  let steps = 0;
  let agree = 0;
  const differing: Difference[] = [];
  const broken: Broken[] = [];
  const notRun = new Map<string, { traces: number; steps: number }>();
  const cannotRun = (what: string, results: number): void => {
    const entry = notRun.get(what) ?? { traces: 0, steps: 0 };
    notRun.set(what, { traces: entry.traces + 1, steps: entry.steps + results });
  };
  for (const trace of traces) {
    count += 1;
    if ("run" in trace) {
      const found = runRecording(trace);
      steps += found.steps;
      agree += found.steps - found.differing.length;
      differing.push(...found.differing);
      if (found.bug !== undefined) broken.push(found.bug);
      continue;
    }
    const results = countResults(trace);
    steps += results;
    const header = options.backing === undefined ? trace.header : { ...trace.header, backing: options.backing };
    const lab = labFor(header, options.binds);
    if (lab instanceof Lab) {
      const found = runTrace(trace, lab, options);
      agree += results - found.differing.length;
      differing.push(...found.differing);
      if (found.bug !== undefined) broken.push(found.bug);
      if (found.cannotRun !== undefined) cannotRun(`${header.target} on ${header.backing} (${found.cannotRun})`, 0);
      continue;
    }
    cannotRun(lab.cannotRun, results);
  }
  const missing = [...notRun].map(([what, entry]) => ({ what, ...entry }));
  return { traces: count, steps, agree, differing, notRun: missing, broken };
}
