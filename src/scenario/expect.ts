/**
 * Judges a run: each expectation that holds for a driver, with what was expected and what was found.
 * Interface: an expectation under a driver's id takes the place of the one of the same kind under `each`.
 */
import { type Json, sameJson } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import { answerText, boundsText, exactText } from "./figures.ts";
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
  /** Whether the run came so far. */
  readonly reached: boolean;
  readonly expected: string;
  readonly found: string;
  readonly place: Place;
}

/** What a verdict looks at. */
export interface Judged {
  readonly id: string;
  readonly phases: Readonly<Record<Phase, Figures>>;
  readonly total: Figures;
  readonly stopped: object | undefined;
  readonly steps: readonly { readonly id: string; readonly answer: CallResult; readonly figures: Figures }[];
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
  return what.kind === "amount" ? columnName(what.column) : "answer";
}

/** The expectations that hold for a driver: its own, and those of each that it has none of its own for. */
function applying(expectations: readonly Expectation[], id: string): readonly Expectation[] {
  const own = new Set(expectations.filter((one) => one.driver === id).map(kindOf));
  return expectations.filter((one) => one.driver === id || (one.driver === undefined && !own.has(kindOf(one))));
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
    default:
      return answerText({ value: what.value as Json });
  }
}

function neverReached(expectation: Expectation, step: string | undefined): Verdict {
  return {
    step,
    what: kindOf(expectation),
    ok: false,
    reached: false,
    expected: expectedText(expectation),
    found: "not reached",
    place: expectation.place,
  };
}

function judgeStep(expectation: Expectation, done: Judged["steps"][number]): Verdict {
  const { what } = expectation;
  if (what.kind === "amount") return judgeAmount(expectation, done.id, done.figures[what.column.metric]);
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
    reached: true,
    expected: expectedText(expectation),
    found: answerText(answer),
    place: expectation.place,
  };
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
    reached: true,
    expected: expectedText(expectation),
    found: exactText(found, unit),
    place: expectation.place,
  };
}
