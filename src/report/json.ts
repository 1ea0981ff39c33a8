/**
 * Results as one JSON document: stable key order, no times, no names of machines, so that two runs are equal byte by byte.
 */
import { formatJson, type Json } from "../calls/json.ts";
import type { Figures } from "../scenario/metrics.ts";
import type { DriverRun, ScenarioRun } from "../scenario/run.ts";

function figures(of: Figures): Json {
  return { ...of };
}

function driverJson(run: DriverRun): Json {
  return {
    id: run.id,
    driver: run.driver,
    options: { ...run.options },
    phases: { build: figures(run.phases.build), create: figures(run.phases.create), steps: figures(run.phases.steps) },
    total: figures(run.total),
    steps: run.steps.map((step) => ({ id: step.id, answer: { ...step.answer }, figures: figures(step.figures) })),
    expectations: run.verdicts.map(({ step, what, ok, soft, expected, found, place }) => ({
      ...(step === undefined ? {} : { step }),
      what,
      ok,
      ...(soft ? { soft } : {}),
      expected,
      found,
      line: place.line,
      column: place.column,
    })),
    ...(run.stopped === undefined
      ? {}
      : { stopped: { phase: run.stopped.phase, where: run.stopped.where, why: run.stopped.why } }),
  };
}

/** One scenario's result. */
function scenarioJson(result: ScenarioRun): Json {
  const { scenario } = result;
  const { cost, mount, ...host } = scenario.host;
  return {
    name: scenario.name,
    file: scenario.file,
    about: scenario.about,
    sources: scenario.sources,
    seed: result.seed,
    host: { ...host, ...(cost === undefined ? {} : { cost }), ...(mount === undefined ? {} : { mount }) },
    ...(Object.keys(scenario.parameters).length === 0 ? {} : { parameters: scenario.parameters }),
    drivers: result.drivers.map(driverJson),
    missing: result.missing.map(({ id, why }) => ({ id, why })),
  };
}

/** The document of a `compare`: ends with a newline. */
export function compareJson(results: readonly ScenarioRun[]): string {
  return `${formatJson({ format: "cowlab-compare", version: 1, scenarios: results.map(scenarioJson) }, 2)}\n`;
}
