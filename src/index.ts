/**
 * The public names, one by one.
 */
export { createHost, type Host } from "../sim/host.ts";
export { DRIVERS, startDriver } from "./drivers/registry.ts";
export { Lab } from "./layers/lab.ts";
export {
  documentText,
  type RunDocument,
  runDocument,
  type ScenarioDocument,
  scenarioDocument,
} from "./report/document.ts";
export { scenarioText } from "./report/text.ts";
export { loadScenario } from "./scenario/load.ts";
export { type DriverState, driverStates, makeWorld } from "./scenario/machine.ts";
export { type Place, type Problem, ScenarioError } from "./scenario/problem.ts";
export { type DriverRun, runScenario, type ScenarioRun, type StepRun } from "./scenario/run.ts";
export type { Scenario } from "./scenario/scenario.ts";
