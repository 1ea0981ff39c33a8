/**
 * The steps of a scenario that its drivers answer differently, as text: who answers what.
 * Interface: of answers that are objects, such as a stat's, only what differs is told; a list, such as docker diff's, is told entry by entry.
 */
import { formatJson, isList, isRecord } from "../calls/json.ts";
import type { CallResult } from "../calls/step.ts";
import { answerText } from "../scenario/figures.ts";
import type { ScenarioDocument } from "./document.ts";
import { shortIds, textWidth, wrapped } from "./table.ts";

/** Keeps an entry of a list, or a field and its value, in one line until it is printed. */
const HARD_SPACE = "\u00a0";
/** Longer answers are cut: `--json` has them whole. */
const ANSWER_LINES_MAX = 4;

interface Difference {
  readonly step: number;
  /** Who answers what. */
  readonly answers: readonly (readonly [string, readonly string[]])[];
}

function joined(parts: readonly string[]): string {
  return parts.map((part) => part.replaceAll(" ", HARD_SPACE)).join(", ");
}

/** The fields of which answers that are objects have different values; none where fewer than two are. */
function differingFields(answers: readonly CallResult[]): readonly string[] {
  const objects = answers.flatMap((answer) => ("value" in answer && isRecord(answer.value) ? [answer.value] : []));
  const names = new Set(objects.flatMap((object) => Object.keys(object)));
  return [...names].filter((name) => new Set(objects.map((object) => formatJson(object[name] ?? null))).size > 1);
}

function textOf(answer: CallResult, fields: readonly string[]): string {
  if (!("value" in answer)) return answerText(answer);
  const { value } = answer;
  if (isList(value) && value.every((line) => typeof line === "string"))
    return value.length === 0 ? "nothing" : joined(value.map(String));
  if (!isRecord(value) || fields.length === 0) return answerText(answer);
  return joined(
    fields.map((name) => (value[name] === undefined ? `no ${name}` : `${name} ${answerText({ value: value[name] })}`)),
  );
}

function differences({ steps, drivers }: ScenarioDocument): readonly Difference[] {
  return steps.flatMap((_, index) => {
    const done = drivers.flatMap(({ id, steps: own }) => own.slice(index, index + 1).map(({ answer }) => ({ id, answer })));
    const fields = differingFields(done.map(({ answer }) => answer));
    const byAnswer = new Map<string, string[]>();
    for (const { id, answer } of done) {
      const text = textOf(answer, fields);
      byAnswer.set(text, [...(byAnswer.get(text) ?? []), id]);
    }
    return byAnswer.size < 2 ? [] : [{ step: index, answers: [...byAnswer] }];
  });
}

/** An answer in a few lines. */
function answerLines(answer: string, indent: number, width: number): readonly string[] {
  const spaces = " ".repeat(indent);
  const all = wrapped(answer, width, spaces)
    .map((line) => line.replaceAll(HARD_SPACE, " "))
    .map((line) => (textWidth(line) > width ? shortIds(line) : line));
  return all.length > ANSWER_LINES_MAX ? [...all.slice(0, ANSWER_LINES_MAX - 1), `${spaces}… (${all.length} lines)`] : all;
}

/** Who answers, and beside it what; or below, where there is no room for its longest word beside. */
function answersOf({ answers }: Difference, width: number): readonly string[] {
  const who = Math.max(...answers.map(([, ids]) => textWidth(ids.join(", "))));
  const word = Math.max(...answers.flatMap(([answer]) => answer.split(" ").map(textWidth)));
  const beside = who + 6 + word <= width;
  return answers.flatMap(([answer, ids]) => {
    const names = ids.join(", ");
    if (!beside) return [...wrapped(names, width, "    "), ...answerLines(answer, 6, width)];
    const [first = "", ...more] = answerLines(answer, who + 6, width);
    return [`    ${names}${" ".repeat(who - textWidth(names))}  ${first.trimStart()}`, ...more];
  });
}

/** The lines that tell which steps are answered differently, and how; none where no step is. */
export function differingAnswers(scenario: ScenarioDocument, width: number): readonly string[] {
  const found = differences(scenario);
  if (found.length === 0) return [];
  const lines = found.flatMap((difference) => {
    const plan = scenario.steps[difference.step];
    const where = plan?.container === undefined ? "" : ` in ${plan.container}`;
    return [
      ...wrapped(`${plan?.id}: ${plan?.title}${where}`, width - 2).map((line, at) => (at === 0 ? `  ${line}` : `    ${line}`)),
      ...answersOf(difference, width),
    ];
  });
  return ["", "Answered differently:", ...lines];
}
