/**
 * The public names, one by one.
 */
export { Content } from "../sim/core/content.ts";
export { Errno, isErrno } from "../sim/core/errno.ts";
export { type KernelProfile, kernelProfile } from "../sim/core/kernel-profile.ts";
export { createHost, type Host } from "../sim/host.ts";
export { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from "../sim/vfs/filesystem.ts";
export { DriverError, isDriverError } from "./drivers/driver.ts";
export { DRIVERS, startDriver } from "./drivers/registry.ts";
export { Lab, LabError } from "./layers/lab.ts";
export { type LabRequest, must, openLab } from "./layers/open-lab.ts";
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
