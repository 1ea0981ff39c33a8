/**
 * Results as JUnit XML: a suite a scenario, a case for each driver and expectation.
 */
import { type DriverDocument, type RunDocument, type ScenarioDocument, titleOf } from "./document.ts";
import { xmlText } from "./escape.ts";

interface Case {
  readonly name: string;
  readonly driver: string;
  readonly file: string;
  readonly line: number;
  readonly failure?: string;
  readonly skipped?: string;
}

function casesOf({ id, stopped, expectations }: DriverDocument, { file }: ScenarioDocument): readonly Case[] {
  const cases: Case[] = expectations.map(({ step, what, ok, soft, unreached, expected, found, line, column }) => {
    const one = { name: step === undefined ? what : `${step}: ${what}`, driver: id, file, line };
    if (ok) return one;
    const told = `expected ${expected}, found ${found}\n${file}:${line}:${column}`;
    if (soft === true) return { ...one, skipped: `warning: ${told}` };
    return unreached === true ? { ...one, skipped: "not reached" } : { ...one, failure: told };
  });
  if (stopped !== undefined) {
    const failure = `stopped at ${stopped.where}: ${stopped.why}\n${file}:${stopped.line}:${stopped.column}`;
    cases.push({ name: "runs to its end", driver: id, file, line: stopped.line, failure });
  } else if (cases.length === 0) cases.push({ name: "runs to its end", driver: id, file, line: 1 });
  return cases;
}

function caseLines(scenario: ScenarioDocument, { name, driver, file, line, failure, skipped }: Case): readonly string[] {
  const classname = `${titleOf(scenario)}.${driver}`;
  const head = `    <testcase classname="${xmlText(classname)}" name="${xmlText(name)}" file="${xmlText(file)}" line="${line}"`;
  if (failure === undefined && skipped === undefined) return [`${head}/>`];
  const text = failure ?? skipped ?? "";
  const [message = ""] = text.split("\n");
  const inner =
    failure === undefined
      ? `      <skipped message="${xmlText(message)}"/>`
      : `      <failure message="${xmlText(message)}">${xmlText(failure)}</failure>`;
  return [`${head}>`, inner, "    </testcase>"];
}

/** A document of XML 1.0; ends with a newline. */
export function junitText({ scenarios }: RunDocument): string {
  const suites = scenarios.map((scenario) => {
    const cases = scenario.drivers.flatMap((driver) => casesOf(driver, scenario));
    const failed = cases.filter(({ failure }) => failure !== undefined).length;
    const skipped = cases.filter((one) => one.skipped !== undefined).length;
    const counts = `tests="${cases.length}" failures="${failed}" errors="0" skipped="${skipped}"`;
    const lines = [
      `  <testsuite name="${xmlText(titleOf(scenario))}" ${counts}>`,
      ...cases.flatMap((one) => caseLines(scenario, one)),
      "  </testsuite>",
    ];
    return { lines, cases: cases.length, failed };
  });
  const sum = (key: "cases" | "failed"): number => suites.reduce((total, suite) => total + suite[key], 0);
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="cowlab" tests="${sum("cases")}" failures="${sum("failed")}" errors="0">`,
    ...suites.flatMap((suite) => suite.lines),
    "</testsuites>",
  ];
  return `${lines.join("\n")}\n`;
}
