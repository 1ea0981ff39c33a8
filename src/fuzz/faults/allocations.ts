/**
 * Allocations that fail: a scenario on one driver with the n-th allocation of space refused, once or for ever, for every n.
 *
 * What must hold: no engine breaks; the first step that gives an error where a sound machine gave none gives one that a lack of space declares;
 * the books of every engine add up afterwards, with the fault and without it, so that nothing that was taken before the refusal is lost.
 *
 * Interface: deterministic. A build, or a container, that Docker refuses for want of space ends the run as it does a real one.
 */
import type { Scenario } from "../../scenario/scenario.ts";
import { FaultRuns } from "./plans.ts";

export interface AllocationOptions {
  /** Every so many allocations; default 1. */
  readonly every?: number;
  /** How many fail from there on; default once and for ever. */
  readonly times?: readonly number[];
}

export interface AllocationResult {
  /** How many allocations a sound run asks for, once its driver has started. */
  readonly allocations: number;
  /** Runs, each with one fault. */
  readonly runs: number;
  /** Runs in which a build, a container or the start of the driver was refused. */
  readonly stopped: number;
  readonly violations: readonly string[];
}

/** Refuses the n-th allocation of a scenario on one of its drivers, for every n. @param id - the driver's id in the scenario */
export function failAllocations(scenario: Scenario, id: string, options: AllocationOptions = {}): AllocationResult | string {
  const runs = new FaultRuns(scenario, id);
  const { sound } = runs;
  if (typeof sound === "string") return `${id} cannot run`;
  const allocations = sound.asked.get("build")?.["allocation"] ?? 0;
  const result = { allocations, runs: 0, stopped: 0, violations: [] as string[] };
  for (const times of options.times ?? [1, Number.POSITIVE_INFINITY]) {
    const plan = { kind: "fail", what: "allocation", at: undefined, every: options.every ?? 1, times, from: "build" } as const;
    const under = runs.under(plan);
    if (typeof under === "string") return under;
    result.runs += under.cases;
    result.stopped += under.stopped;
    for (const { plan: one, message } of under.violations) {
      const at = one.kind === "fail" ? one.at : undefined;
      result.violations.push(`allocation ${at} of ${allocations} ${times === 1 ? "once" : "for ever"}: ${message}`);
    }
  }
  return result;
}
