/**
 * Judges a run: each expectation that holds for a driver, with what was expected and what was found.
 * Interface: an expectation under a driver's id takes the place of the one of the same kind under `each`.
 */
import { type Json, sameJson } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import { answerLine, boundsText, exactText } from "./figures.ts";
import { columnName, type Figures, metricOf, type Phase } from "./metrics.ts";
import type { Place } from "./problem.ts";
import type { Expectation, Scenario } from "./scenario.ts";

/** One expectation judged. */
export interface Verdict {
  /** The step's id; undefined: the whole run. */
  readonly step: string | undefined;
  /** `answer`, or a metric's name. */
  readonly what: string;
  readonly ok: boolean;
  /** Told when it fails, and fails nothing. */
  readonly soft: boolean;
  /** Whether the run came so far. */
  readonly reached: boolean;
  readonly expected: string;
  readonly found: string;
  readonly place: Place;
}

/** One step as it went. */
export interface JudgedStep {
  readonly id: string;
  readonly answer: CallResult;
  readonly figures: Figures;
  /** Of a script. */
  readonly shell?: { readonly status: number; readonly stdout: string; readonly stderr: string };
}

/** What a verdict looks at. */
export interface Judged {
  readonly id: string;
  readonly phases: Readonly<Record<Phase, Figures>>;
  readonly total: Figures;
  readonly stopped: object | undefined;
  readonly steps: readonly JudgedStep[];
}

/** Every expectation of one driver, judged, in the order of the file. */
export function judge(scenario: Scenario, run: Judged): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  scenario.steps.forEach((step, index) => {
    const done = run.steps[index];
    for (const expectation of applying(step.expectations, run.id)) {
      verdicts.push(done === undefined ? neverReached(expectation, step.id) : judgeStep(expectation, done));
    }
  });
  for (const expectation of applying(scenario.expectations, run.id)) {
    verdicts.push(run.stopped === undefined ? judgeRun(expectation, run) : neverReached(expectation, undefined));
  }
  return verdicts;
}

function kindOf({ what }: Expectation): string {
  if (what.kind === "amount") return columnName(what.column);
  return what.kind === "status" || what.kind === "stdout" || what.kind === "stderr" ? what.kind : "answer";
}

function keyOf(one: Expectation): string {
  return `${one.soft} ${kindOf(one)}`;
}

/** The expectations that hold for a driver: its own, and those of each that it has none of its own for. */
function applying(expectations: readonly Expectation[], id: string): readonly Expectation[] {
  const own = new Set(expectations.filter((one) => one.driver === id).map(keyOf));
  return expectations.filter((one) => one.driver === id || (one.driver === undefined && !own.has(keyOf(one))));
}

function expectedText({ what }: Expectation): string {
  switch (what.kind) {
    case "amount":
      return boundsText(what.bounds, metricOf(what.column.metric).unit);
    case "ok":
      return "ok";
    case "error":
      return what.code;
    case "message":
      return `… ${what.words} …`;
    case "status":
      return String(what.status);
    case "stdout":
      return answerLine({ value: what.text });
    case "stderr":
      return `… ${what.words} …`;
    default:
      return answerLine({ value: what.value as Json });
  }
}

function neverReached(expectation: Expectation, step: string | undefined): Verdict {
  return {
    step,
    what: kindOf(expectation),
    ok: false,
    soft: expectation.soft,
    reached: false,
    expected: expectedText(expectation),
    found: "not reached",
    place: expectation.place,
  };
}

function judgeStep(expectation: Expectation, done: JudgedStep): Verdict {
  const { what } = expectation;
  if (what.kind === "amount") return judgeAmount(expectation, done.id, done.figures[what.column.metric]);
  if (what.kind === "status" || what.kind === "stdout" || what.kind === "stderr") return judgeScript(expectation, done);
  const { answer } = done;
  let ok: boolean;
  if (what.kind === "error") ok = "errno" in answer && answer.errno === what.code;
  else if (what.kind === "message") ok = "errno" in answer && answer.errno.includes(what.words);
  else if (what.kind === "value") ok = "value" in answer && sameJson(answer.value, what.value as Json);
  else ok = !("errno" in answer);
  return {
    step: done.id,
    what: "answer",
    ok,
    soft: expectation.soft,
    reached: true,
    expected: expectedText(expectation),
    found: answerLine(answer),
    place: expectation.place,
  };
}

/** Of a script: how it ended, what it wrote, what it complained about. */
function judgeScript(expectation: Expectation, done: JudgedStep): Verdict {
  const { what, place, soft } = expectation;
  const { status, stdout, stderr } = done.shell ?? { status: -1, stdout: "", stderr: "" };
  const written = stdout.replace(/\n$/, "");
  let ok = false;
  let found = "";
  if (what.kind === "status") [ok, found] = [status === what.status, String(status)];
  if (what.kind === "stdout") [ok, found] = [written === what.text.replace(/\n$/, ""), answerLine({ value: written })];
  if (what.kind === "stderr") [ok, found] = [stderr.includes(what.words), answerLine({ value: stderr.trimEnd() })];
  return { step: done.id, what: what.kind, ok, soft, reached: true, expected: expectedText(expectation), found, place };
}

function judgeRun(expectation: Expectation, run: Judged): Verdict {
  const { what } = expectation;
  if (what.kind !== "amount") return neverReached(expectation, undefined);
  const { metric, phase } = what.column;
  return judgeAmount(expectation, undefined, (phase === undefined ? run.total : run.phases[phase])[metric]);
}

function judgeAmount(expectation: Expectation, step: string | undefined, found: number): Verdict {
  const { what } = expectation;
  const ok = what.kind === "amount" && found >= what.bounds.min && found <= what.bounds.max;
  const unit = what.kind === "amount" ? metricOf(what.column.metric).unit : "count";
  return {
    step,
    what: kindOf(expectation),
    ok,
    soft: expectation.soft,
    reached: true,
    expected: expectedText(expectation),
    found: exactText(found, unit),
    place: expectation.place,
  };
}
