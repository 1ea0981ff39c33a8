/**
 * Allocations that fail: a scenario on one driver with the n-th allocation of space refused, once or for ever, for every n.
 *
 * What must hold: no engine breaks; the first step that gives an error where a sound machine gave none gives one that a lack of space declares;
 * the books of every engine add up afterwards, with the fault and without it, so that nothing that was taken before the refusal is lost.
 *
 * Interface: deterministic. A build, or a container, that Docker refuses for want of space ends the run as it does a real one.
 */
import { Errno } from "../../../sim/core/errno.ts";
import { makeWorld } from "../../scenario/machine.ts";
import { type DriverRun, runScenario } from "../../scenario/run.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import { type MakeWorld, Missing, type World, WorldFailure } from "../../scenario/world.ts";
import { guarded } from "../world.ts";

/** What a lack of space may make a call answer; EIO and EROFS where a thin pool is the disk, whose writes fail long after they were taken. */
const DECLARED: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "ENOMEM", "EIO", "EROFS"]);

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

interface Watched {
  readonly run: DriverRun | undefined;
  readonly world: World | undefined;
}

/** Runs a scenario of one driver. @param prepare - is given the machine before anything happens on it */
function watchedRun(scenario: Scenario, prepare: (world: World) => void): Watched {
  let world: World | undefined;
  const making: MakeWorld = (choice, choices, seed) => {
    const made = makeWorld(choice, choices, seed);
    if (made instanceof WorldFailure || made instanceof Missing) return made;
    world = made;
    prepare(made);
    return made;
  };
  const [run] = runScenario(scenario, { makeWorld: making }).drivers;
  return { run, world };
}

/** Whether a lack of space may show as this: an errno, or a driver's words that end in one. */
function isDeclared(answer: string): boolean {
  return Errno.all().some(
    ({ code, text }) => DECLARED.has(code) && (answer === code || answer.toLowerCase().includes(text.toLowerCase())),
  );
}

/** The first step with an error that the sound run did not give there, if nothing declares that error. */
function undeclared(sound: DriverRun, run: DriverRun): string | undefined {
  for (const [index, { id, answer }] of run.steps.entries()) {
    if (!("errno" in answer)) continue;
    const before = sound.steps[index]?.answer;
    if (before !== undefined && "errno" in before && before.errno === answer.errno) continue;
    return isDeclared(answer.errno) ? undefined : `step ${id} answers ${answer.errno}, not ${JSON.stringify(before)}`;
  }
  return undefined;
}

/** Refuses the n-th allocation of a scenario on one of its drivers, for every n. @param id - the driver's id in the scenario */
export function failAllocations(scenario: Scenario, id: string, options: AllocationOptions = {}): AllocationResult | string {
  const alone: Scenario = { ...scenario, drivers: scenario.drivers.filter((choice) => choice.id === id) };
  let before = 0;
  const { run: sound, world } = watchedRun(alone, (machine) => {
    before = machine.allocations.count;
  });
  if (sound === undefined || world === undefined) return `${id} cannot run`;
  const allocations = world.allocations.count - before;
  const result = { allocations, runs: 0, stopped: 0, violations: [] as string[] };
  for (const times of options.times ?? [1, Number.POSITIVE_INFINITY]) {
    for (let at = 1; at <= allocations; at += options.every ?? 1) {
      result.runs += 1;
      const message = guarded(() => {
        const watched = watchedRun(alone, (machine) => machine.allocations.fail(at, times));
        if (watched.run === undefined || watched.world === undefined) return "it does not run";
        if (watched.run.stopped !== undefined) result.stopped += 1;
        if (watched.world.allocations.failed === 0) return "the allocation was not asked for again";
        const wrong = undeclared(sound, watched.run);
        if (wrong !== undefined) return wrong;
        watched.world.check();
        watched.world.allocations.heal();
        watched.world.sync();
        watched.world.check();
        return undefined;
      });
      if (message !== undefined)
        result.violations.push(`allocation ${at} of ${allocations} ${times === 1 ? "once" : "for ever"}: ${message}`);
    }
  }
  return result;
}
