/**
 * `cowlab/testing`: its public names, one by one. Needs fast-check beside it.
 */
export { KNOWN_DIFFERENCES, type KnownDifference } from "../fuzz/differences.ts";
export { type AllocationOptions, type AllocationResult, failAllocations } from "../fuzz/faults/allocations.ts";
export { type CrashOptions, type CrashResult, crashEverywhere } from "../fuzz/faults/crash.ts";
export { type FaultOptions, type FaultResult, failEverywhere, runWithin } from "../fuzz/faults/errors.ts";
export type { Finding as FaultFinding, PlanResult, Severity, Violation } from "../fuzz/faults/judge.ts";
export { type FaultPlan, type FaultyMachine, faultyMachine, rebooted } from "../fuzz/faults/machine.ts";
export { FaultRuns, type PlanOptions } from "../fuzz/faults/plans.ts";
export type { Sound } from "../fuzz/faults/sound.ts";
export { type Ground, groundOf } from "../fuzz/ground.ts";
export { type Finding, runScript, type Script, type ScriptOptions, shrink } from "../fuzz/script.ts";
export { KERNEL, MODELLED, type Vocabulary, type Word } from "../fuzz/vocabulary.ts";
export { World } from "../fuzz/world.ts";
export type { CutPlan, FailPlan, Kept, LimitPlan, PlannedFault } from "../scenario/faults.ts";
export { parsePlan } from "../scenario/plan-text.ts";
export {
  type BlockCommand,
  blockWorkload,
  faultPlan,
  kernelScript,
  layerStack,
  operation,
  operations,
  type StackOptions,
  script,
  tree,
} from "../testing/arbitraries.ts";
export type { Check } from "../testing/check.ts";
export { CHECKS } from "../testing/conformance.ts";
export { matchers, type TreeText, treeText } from "../testing/matchers.ts";
export { Disagreement, type ModelRunOptions, modelRun, writeCounterexample } from "../testing/model-run.ts";
export {
  CutFailure,
  type CutProgram,
  type CutProgramOptions,
  type CutProgramResult,
  cutProgram,
} from "../testing/program-cuts.ts";
export { type ScenarioOptions, scenario } from "../testing/scenarios.ts";
