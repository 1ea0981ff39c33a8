/**
 * `cowlab explain`, `rule` and `errno`: why a step went as it went.
 */
import { Errno } from "../../sim/core/errno.ts";
import { formatJson, type Json } from "../calls/json.ts";
import { explainText, ruleText } from "../report/explain.ts";
import { RULES, ruleNamed, rulesFor } from "../report/rules.ts";
import type { RunEvent } from "../scenario/run.ts";
import type { DriverChoice, Scenario } from "../scenario/scenario.ts";
import { suggestion } from "../scenario/suggest.ts";
import { UsageError } from "./exit.ts";
import { hanging } from "./help.ts";
import { Library, runOne } from "./jobs.ts";
import { driversOf, overridesOf, type ScenarioOptions } from "./settings.ts";

export interface ExplainOptions extends ScenarioOptions {
  /** A step's id, or its number from 1 on. */
  readonly step: string;
  readonly driver: string;
}

/** Runs a scenario on one driver, and tells what happened in one of its steps. */
export async function explain(path: string, options: ExplainOptions, width: number): Promise<string> {
  const [loaded] = await new Library(overridesOf(options.parameter)).get(path);
  if (loaded === undefined) throw new UsageError(`${path}: no scenario`);
  const { steps } = loaded.scenario;
  const ids = steps.map(({ id }) => id);
  const step = ids.includes(options.step)
    ? ids.indexOf(options.step)
    : /^\d+$/.test(options.step)
      ? Number(options.step) - 1
      : -1;
  if (steps[step] === undefined)
    throw new UsageError(`${path}: no step is called "${options.step}"${suggestion(options.step, ids)}`);
  const choice = oneDriver(loaded.scenario, options.driver);
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.step === step) events.push(event);
  };
  const scenario = runOne(loaded, [choice], { onEvent });
  const [driver] = scenario.drivers;
  if (driver === undefined) throw new UsageError(`${path}: ${choice.id} cannot run: ${scenario.missing[0]?.why ?? ""}`);
  if (options.json !== true) return explainText({ scenario, driver, step, events }, width);
  const happened = events.map(({ stamped }) => ({ time: stamped.now, ...stamped.event }));
  const rules = rulesFor(events.map(({ stamped }) => stamped.event)).map(({ id, title, sources }) => ({ id, title, sources }));
  const document = { format: "cowlab-explanation", version: 1, step: driver.steps[step] ?? null, events: happened, rules };
  return `${formatJson(document as unknown as Json, 2)}\n`;
}

/** The driver of that id, else the only one of that name. */
function oneDriver(scenario: Scenario, name: string): DriverChoice {
  const found = driversOf(scenario, name);
  const [choice] = found.length === 1 ? found : found.filter(({ id }) => id === name);
  if (choice !== undefined) return choice;
  const ids = name.includes(",") ? "" : `; the file has ${found.map(({ id }) => id).join(", ")}`;
  throw new UsageError(`explain takes one driver, not "${name}"${ids}`);
}

/** A rule by its id; without one, the list of rules. */
export function rule(id: string | undefined, width: number): string {
  if (id === undefined) return `${RULES.flatMap((one) => hanging([one.id, one.title], 25, width)).join("\n")}\n`;
  const found = ruleNamed(id);
  if (found === undefined)
    throw new UsageError(
      `no rule is called "${id}"${
        suggestion(
          id,
          RULES.map((one) => one.id),
        ) || "; cowlab rule lists them"
      }`,
    );
  return ruleText(found, width);
}

/** What an errno means, and which rules give it. */
export function errno(name: string, width: number): string {
  const code = name.toUpperCase();
  const found = Errno.named(code) ?? Errno.all().find(({ number }) => String(number) === name);
  if (found === undefined) {
    const known = Errno.all().map((one) => one.code);
    throw new UsageError(
      `this simulator has no errno "${name}"${suggestion(code, known) || "; it takes a name such as EXDEV, or a number"}`,
    );
  }
  const rules = RULES.filter((one) => one.errno === found.code);
  const head = `${found.code} (${found.number}): ${found.text}\n`;
  return rules.length === 0 ? head : `${head}\n${rules.map((one) => ruleText(one, width)).join("\n")}`;
}
