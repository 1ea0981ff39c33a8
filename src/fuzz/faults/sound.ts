/**
 * A scenario's run on a sound machine, as what the same run under a fault is judged by: its answers, what its containers show after each step, and
 * what the steps promise of that.
 *
 * Interface: a script promises everything where its last command is `sync`; of one that syncs before its end nothing is promised, since nobody looked
 * then. What was there when the steps began is promised too.
 */
import type { Json } from "../../calls/json.ts";
import type { Step } from "../../calls/step.ts";
import type { Archive } from "../../scenario/archive.ts";
import type { Phase } from "../../scenario/metrics.ts";
import { type DriverRun, type RunOptions, runScenario } from "../../scenario/run.ts";
import type { Scenario, StepPlan } from "../../scenario/scenario.ts";
import { type MakeWorld, type World, WorldFailure } from "../../scenario/world.ts";
import { plainText, type SimpleCommand } from "../../shell/parse.ts";
import { type Promised, promisesOf, type Rows, rowsIn } from "./promises.ts";

/** What is run, and with what. */
export interface Subject {
  /** With one driver. */
  readonly scenario: Scenario;
  readonly makeWorld: MakeWorld;
  readonly archives: ReadonlyMap<string, Archive>;
  readonly seed: number;
}

/** How a run went, and on which machine it ended. */
export interface Watched {
  readonly run: DriverRun;
  readonly world: World | undefined;
}

type Hooks = Pick<RunOptions, "fault" | "onPhase" | "onStep">;

/** Runs a subject. @returns a text where its driver cannot be run */
export function runOnce({ scenario, makeWorld, archives, seed }: Subject, hooks: Hooks): Watched | string {
  let world: World | undefined;
  const { drivers, missing } = runScenario(scenario, {
    ...hooks,
    makeWorld,
    archives,
    seed,
    looksOnly: true,
    onPhase: (phase, now) => {
      world = now;
      hooks.onPhase?.(phase, now);
    },
    onStep: (step, now) => {
      world = now;
      hooks.onStep?.(step, now);
    },
  });
  const [run] = drivers;
  if (run === undefined) return missing[0]?.why ?? "the scenario has no such driver";
  return { run, world };
}

/** What each container shows, by its name. */
export type Shown = ReadonlyMap<string, Rows | undefined>;

/** What a machine's containers show. */
export function shownOn(world: World, containers: readonly string[]): Shown {
  return new Map(
    containers.map((name) => {
      const session = world.session(name);
      return [name, session instanceof WorldFailure ? undefined : rowsIn(session)];
    }),
  );
}

/** What a sound run's containers show, and what its steps promise of that. */
interface Looks {
  /** What they show before the first step, and after each: the state of step `n` is at `n + 1`. */
  readonly states: readonly Shown[];
  /** What is promised of each, counted as the states are. */
  readonly promises: ReadonlyMap<string, readonly Promised[]>;
}

export interface Sound {
  readonly run: DriverRun;
  /** The containers that are there from the first step to the last. */
  readonly containers: readonly string[];
  /** What the machine was asked for from each phase on: allocations, and commands of its disk. */
  readonly asked: ReadonlyMap<Phase, Readonly<Record<string, number>>>;
  /** Runs the subject once more at its first call: a look at its trees would change what its disk is asked for. */
  looks(): Looks;
}

function countsOf({ allocations, disk }: World): Record<string, number> {
  const { reads = 0, writes = 0, flushes = 0, discards = 0 } = disk?.counters ?? {};
  return { allocation: allocations.count, read: reads, write: writes, flush: flushes, discard: discards };
}

/** Runs a subject without a fault. */
export function soundRun(subject: Subject): Sound | string {
  const before = new Map<Phase, Record<string, number>>();
  const plain = runOnce(subject, { onPhase: (phase, world) => void before.set(phase, countsOf(world)) });
  if (typeof plain === "string") return plain;
  const after = plain.world === undefined ? {} : countsOf(plain.world);
  const asked = new Map(
    [...before].map(([phase, counts]) => [
      phase,
      Object.fromEntries(Object.entries(after).map(([what, count]) => [what, count - (counts[what] ?? 0)])),
    ]),
  );
  const { steps } = subject.scenario;
  const removed = steps.flatMap(({ operation }) => (operation.kind === "remove" ? [operation.name] : []));
  const containers = subject.scenario.containers.map(({ name }) => name).filter((name) => !removed.includes(name));
  let looks: Looks | undefined;
  return {
    run: plain.run,
    containers,
    asked,
    looks: () => {
      looks ??= looksOf(subject, plain.run, containers);
      return looks;
    },
  };
}

function looksOf(subject: Subject, plain: DriverRun, containers: readonly string[]): Looks {
  const states: Shown[] = [];
  const look = (world: World): void => void states.push(shownOn(world, containers));
  runOnce(subject, { onPhase: (phase, world) => phase === "steps" && look(world), onStep: (_, world) => look(world) });
  const failed = (step: number): boolean => step > 0 && "errno" in (plain.steps[step - 1]?.answer ?? { errno: "" });
  const promises = new Map(
    containers.map((name) => {
      const told: Step[] = [SYNC, ...subject.scenario.steps.map((step) => promisingStep(step, name))];
      return [
        name,
        promisesOf(
          told,
          0,
          states.map((shown) => shown.get(name)),
          failed,
        ),
      ];
    }),
  );
  return { states, promises };
}

const SYNC: Step = { call: "sync" };
/** After it an open file may have another name, or none. */
const MOVES: Step = { call: "rename", path: "", to: "" };
const NOTHING: Step = {};

/** A step as promises are read off it, for one container. */
function promisingStep({ operation, container }: StepPlan, name: string): Step {
  if (operation.kind === "dropCaches") return SYNC;
  if (container !== name) return NOTHING;
  if (operation.kind === "call") return operation.step as Readonly<Record<string, Json>> as Step;
  if (operation.kind !== "shell") return operation.kind === "walk" && operation.act === "remove" ? MOVES : NOTHING;
  return scriptPromises(operation.script) ?? MOVES;
}

/** What the last command of a script syncs, where that is plain from its words. */
function scriptPromises(script: readonly SimpleCommand[]): Step | undefined {
  const last = script.at(-1);
  if (last === undefined || last.when === "or" || last.negated) return undefined;
  const words = last.words.map(plainText);
  return words.length === 1 && words[0] === "sync" ? SYNC : undefined;
}
