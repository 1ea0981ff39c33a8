/**
 * A script on a driver beside the plain tree, as one call of a property: where they do not agree, the counterexample is written down and told.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scenarioText, traceText } from "../fuzz/counterexample.ts";
import { runScript, type Script, type ScriptOptions, shrink } from "../fuzz/script.ts";

/** A driver did not do as the plain tree says. The message tells the files, and the command that replays them. */
export class Disagreement extends Error {
  override readonly name = "Disagreement";
  /** The script, shrunk. */
  readonly script: Script;

  constructor(message: string, script: Script) {
    super(message);
    this.script = script;
  }
}

export interface ModelRunOptions extends ScriptOptions {
  /** Where counterexamples are written; default a folder cowlab-counterexamples among the machine's passing files. */
  readonly folder?: string;
  /** Their name, without an ending; default "counterexample". */
  readonly name?: string;
}

/** Runs a script beside the plain tree. @throws Disagreement with a counterexample of few steps. */
export function modelRun(script: Script, options: ModelRunOptions = {}): void {
  const finding = runScript(script, options);
  if (finding === undefined) return;
  const found = shrink(script, finding, options);
  const files = writeCounterexample(found.script, options);
  const steps = found.script.steps.map((step) => `  ${JSON.stringify(step)}`).join("\n");
  throw new Disagreement(`${found.finding.message}\n${steps}\n${files}`, found.script);
}

/** Writes a script as a trace and, where one can tell it, as a scenario. @returns the command that replays the trace. */
export function writeCounterexample(
  script: Script,
  { folder = join(tmpdir(), "cowlab-counterexamples"), name = "counterexample" }: ModelRunOptions = {},
): string {
  mkdirSync(folder, { recursive: true });
  const trace = join(folder, `${name}.ndjson`);
  writeFileSync(trace, traceText(script, name));
  const scenario = scenarioText(script, name);
  if (scenario !== undefined) writeFileSync(join(folder, `${name}.yaml`), scenario);
  return `npx cowlab replay --check ${trace}`;
}
