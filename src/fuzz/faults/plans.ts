/**
 * A scenario on one driver under a plan: under every fault that the plan stands for, or an even choice of them.
 *
 * What must hold: no engine breaks; the first step that answers otherwise than on a sound machine gives an error that such a fault declares; the books
 * of every engine add up with the fault and after it was mended, so that nothing that was taken is lost; and, when the machine starts again, what was
 * promised before the fault is there.
 *
 * Interface: deterministic. Each violation has the plan for that fault alone, which shows it again. A build, or a container, that Docker refuses for
 * want of space ends the run as it does a real one.
 */
import { keepNone } from "../../../sim/block/disk.ts";
import type { Archive } from "../../scenario/archive.ts";
import type { FailPlan, LimitPlan, PlannedFault } from "../../scenario/faults.ts";
import { makeWorld } from "../../scenario/machine.ts";
import type { Scenario } from "../../scenario/scenario.ts";
import { type MakeWorld, type World, WorldFailure } from "../../scenario/world.ts";
import { cutEverywhere } from "./cuts.ts";
import {
  type Finding,
  findingOf,
  findingUnderFault,
  type PlanResult,
  strideOf,
  undeclared,
  undeclaredEnd,
  type Violation,
} from "./judge.ts";
import { firstBroken } from "./promises.ts";
import { runOnce, type Sound, type Subject, shownOn, soundRun } from "./sound.ts";

export interface PlanOptions {
  /** Faults of each plan at most, evenly chosen; default 0: all. */
  readonly most?: number;
  readonly makeWorld?: MakeWorld;
  /** What images stand on, by the name that `from` gives. */
  readonly archives?: ReadonlyMap<string, Archive>;
  /** Instead of the scenario's own. */
  readonly seed?: number;
}

/** A scenario on one of its drivers, under as many plans as somebody wants. */
export class FaultRuns {
  readonly #subject: Subject;
  readonly #most: number;
  #sound: Sound | string | undefined;

  /** @param id - the driver's id in the scenario */
  constructor(scenario: Scenario, id: string, options: PlanOptions = {}) {
    const drivers = scenario.drivers.filter((choice) => choice.id === id);
    const { archives = new Map(), seed = scenario.seed, most = 0 } = options;
    this.#subject = { scenario: { ...scenario, drivers }, makeWorld: options.makeWorld ?? makeWorld, archives, seed };
    this.#most = most;
  }

  /** The run without a fault; a text where the driver cannot be run. */
  get sound(): Sound | string {
    this.#sound ??= soundRun(this.#subject);
    return this.#sound;
  }

  /** Runs under a plan. @returns a text where that says nothing: the plan does not fit the driver or its filesystem */
  under(plan: PlannedFault): PlanResult | string {
    const { sound } = this;
    if (typeof sound === "string") return sound;
    const { steps } = this.#subject.scenario;
    // What is counted ends with a machine, and so does what fails.
    if (plan.kind !== "limit" && steps.some(({ operation }) => operation.kind === "powerCut"))
      return "its steps cut the power themselves";
    if (plan.kind === "cut") return cutEverywhere(this.#subject, plan, sound, this.#most);
    return plan.kind === "fail" ? this.#failing(plan, sound) : this.#within(plan, sound);
  }

  #failing(plan: FailPlan, sound: Sound): PlanResult | string {
    const faults = sound.asked.get(plan.from)?.[plan.what] ?? 0;
    const stride = strideOf(faults, plan.every, plan.at === undefined ? this.#most : 0);
    if (plan.at !== undefined && plan.at > faults) return `there are only ${faults} of them`;
    const result = { faults, cases: 0, stopped: 0, looked: 0, violations: [] as Violation[] };
    const once = plan.at === undefined ? [1, Number.POSITIVE_INFINITY] : [1];
    for (const times of plan.times === undefined ? once : [plan.times]) {
      for (let at = plan.at ?? 1; at <= (plan.at ?? faults); at += stride) {
        const one: FailPlan = { ...plan, at, every: 1, times };
        const { finding, stopped, looked } = failOnce(this.#subject, one, sound);
        result.cases += 1;
        result.stopped += stopped ? 1 : 0;
        result.looked += looked;
        if (finding !== undefined) result.violations.push({ ...finding, plan: one });
      }
    }
    return result;
  }

  #within(plan: LimitPlan, sound: Sound): PlanResult | string {
    let stopped = false;
    let missing: string | undefined;
    const finding = findingOf(() => {
      const ran = runOnce(this.#subject, { fault: plan });
      if (typeof ran === "string") {
        missing = ran;
        return undefined;
      }
      stopped = ran.run.stopped !== undefined;
      const wrong = undeclared(sound.run, ran.run);
      if (wrong !== undefined) return wrong;
      ran.world?.sync();
      ran.world?.check();
      return undefined;
    });
    if (missing !== undefined) return missing;
    const violations = finding === undefined ? [] : [{ ...finding, plan }];
    return { faults: 1, cases: 1, stopped: Number(stopped), looked: 0, violations };
  }
}

interface Failed {
  readonly finding: Finding | undefined;
  readonly stopped: boolean;
  readonly looked: number;
}

function struck({ allocations, device }: World): boolean {
  return allocations.failed > 0 || (device?.failed ?? 0) > 0;
}

/** Runs a subject with one fault. */
function failOnce(subject: Subject, fault: FailPlan, sound: Sound): Failed {
  let stopped = false;
  let struckAt = Number.POSITIVE_INFINITY;
  let lostAt = Number.POSITIVE_INFINITY;
  let looked = 0;
  const finding = findingUnderFault(() => {
    const ran = runOnce(subject, {
      fault,
      onPhase: (phase, world) => {
        if (phase === "steps" && world.lostAtUnmount > 0) lostAt = 0;
      },
      onStep: (step, world) => {
        if (struck(world)) struckAt = Math.min(struckAt, step + 1);
        if (world.lostAtUnmount > 0) lostAt = Math.min(lostAt, step + 1);
      },
    });
    if (typeof ran === "string") return { severity: "undeclared", message: ran };
    stopped = ran.run.stopped !== undefined;
    const machine = ran.world;
    if (machine === undefined) return undefined;
    if (!struck(machine)) return { severity: "undeclared", message: `the ${fault.what} was not asked for again` };
    const wrong = undeclared(sound.run, ran.run, lostAt) ?? undeclaredEnd(sound.run, ran.run, machine.lostAtUnmount > 0);
    if (wrong !== undefined) return wrong;
    // A run ends with a look at every book: the next one is of the machine that was mended.
    machine.allocations.heal();
    machine.device?.heal();
    machine.sync();
    machine.check();
    if (stopped || fault.from !== "steps") return undefined;
    const kept = lostPromise({ sound, machine, struckAt });
    looked = kept.looked;
    return kept.finding;
  });
  return { finding, stopped, looked };
}

interface Struck {
  readonly sound: Sound;
  readonly machine: World;
  /** The first step in which the fault struck, counted as the sound run's states are. */
  readonly struckAt: number;
}

/** What was promised before the fault and is not there when the machine starts again without it. */
function lostPromise({ sound, machine, struckAt }: Struck): Pick<Failed, "finding" | "looked"> {
  let looked = 0;
  if (machine.disk === undefined) return { finding: undefined, looked };
  const last = shownOn(machine, sound.containers);
  const again = machine.restart(keepNone);
  if (again instanceof WorldFailure) {
    const message = `it does not start again: ${again.message}`;
    return { finding: { severity: "lost", message }, looked };
  }
  const shown = shownOn(again, sound.containers);
  const { states, promises: promised } = sound.looks();
  for (const name of sound.containers) {
    const promises = (promised.get(name) ?? []).filter(({ from }) => from < struckAt);
    const rows = shown.get(name);
    if (rows === undefined) {
      if (again.needsRepair()) continue;
      return { finding: { severity: "lost", message: `container ${name}: its tree cannot be shown` }, looked };
    }
    looked += promises.length;
    // The calls behind the fault may have been refused, or not.
    const broken = firstBroken(promises, rows, [...states.map((state) => state.get(name)), last.get(name)]);
    if (broken !== undefined) return { finding: { severity: "lost", message: `container ${name}: ${broken}` }, looked };
  }
  again.check();
  return { finding: undefined, looked };
}
