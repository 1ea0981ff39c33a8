/**
 * Commands of the disk that fail: a script's run with the n-th read, write or flush failing, once or for ever, for every n.
 *
 * What must hold: no engine breaks; the first call that answers otherwise than on a sound disk gives an error that such a fault declares; the books
 * of every engine add up, with the fault and after it was mended; and, when the machine starts again, what fsync promised before the fault is there.
 *
 * Interface: deterministic. A run in which the machine itself cannot go on (its driver's answer is an error) counts as refused.
 */
import { keepNone } from "../../../sim/block/disk.ts";
import type { Fault } from "../../../sim/block/faulty.ts";
import { isRecord, type Json, sameJson } from "../../calls/json.ts";
import { perform } from "../../calls/perform.ts";
import { textOf } from "../../calls/step.ts";
import { poolNeedsCheck } from "../../drivers/devicemapper/needs-check.ts";
import { isDriverError } from "../../drivers/driver.ts";
import { syncAll } from "../../scenario/machine.ts";
import type { Script } from "../script.ts";
import { guarded } from "../world.ts";
import { type FaultPlan, type FaultyMachine, faultyMachine, rebooted } from "./machine.ts";
import { firstBroken, type Promised, promisesOf, type Rows, rowsOf } from "./promises.ts";

/** What a failing disk may make a call answer. */
const DECLARED: ReadonlySet<string> = new Set(["EIO", "EROFS", "ENOSPC", "EDQUOT", "ENOMEM"]);

export interface FaultResult {
  /** Runs, each with one fault. */
  readonly runs: number;
  /** Runs in which the fault struck. */
  readonly struck: number;
  /** Runs that a driver's or the machine's refusal ended. */
  readonly refused: number;
  /** Promises made before the fault that were looked for when the machine started again, over all runs. */
  readonly looked: number;
  readonly violations: readonly string[];
}

type Kind = Fault["on"];

/** A run of a script. */
interface Answered {
  /** What each call answered. */
  readonly answers: readonly (Json | undefined)[];
  /** The first step in which the fault struck. */
  readonly struckAt: number;
  /** Why the machine would not go on. */
  readonly refused?: string;
}

/** The step that makes the last layer or container; -1 where none does. */
function lastLab({ steps }: Script): number {
  return steps.findLastIndex(({ lab }) => lab === "layer" || lab === "container");
}

/** Makes a script's steps. @param after - is told of each that was made */
function answersOf(machine: FaultyMachine, script: Script, after: () => void = () => undefined): Answered {
  const answers: (Json | undefined)[] = [];
  let struckAt = Number.POSITIVE_INFINITY;
  const refused = makeSteps(machine, script, (answer) => {
    if (machine.device.failed > 0) struckAt = Math.min(struckAt, answers.length);
    answers.push(answer);
    after();
  });
  // A machine that refuses a step was struck in it.
  if (machine.device.failed > 0) struckAt = Math.min(struckAt, answers.length);
  if (refused === undefined) syncAll(machine.host);
  return refused === undefined ? { answers, struckAt } : { answers, struckAt, refused };
}

/** @returns why the machine would not go on. */
function makeSteps(machine: FaultyMachine, script: Script, made: (answer: Json | undefined) => void): string | undefined {
  const { lab, host } = machine;
  const last = lastLab(script);
  for (const [index, step] of script.steps.entries()) {
    if (step["lab"] === "layer" || step["lab"] === "container") {
      // What a write back at the unmount loses is told to nobody: a layer is made durable first.
      const below =
        step["parent"] === undefined || !lab.has(textOf(step, "parent")) ? undefined : lab.task(textOf(step, "parent"));
      const lost = below === undefined || isDriverError(below) ? below : below.syncfs();
      if (lost !== undefined) return String(lost);
      const failed = lab.addLayer(textOf(step, "name"), step["parent"] === undefined ? undefined : textOf(step, "parent"));
      if (failed !== undefined) return failed.message;
      // What the daemon made is durable before anybody works in it: a fault from here on is a fault of the work.
      if (index === last) syncAll(host);
      made(undefined);
    } else if (step["call"] !== undefined) {
      host.clock.runDueTimers();
      const session = lab.session(textOf(step, "on"));
      if (isDriverError(session)) return session.message;
      made({ ...perform(session, step) });
    } else made(undefined);
  }
  return undefined;
}

/** Where the first answer differs, whether that is declared; undefined where nothing is wrong. */
function undeclared(sound: readonly (Json | undefined)[], got: readonly (Json | undefined)[]): string | undefined {
  const index = got.findIndex((answer, at) => !sameJson(answer, sound[at]));
  if (index < 0) return undefined;
  const answer = got[index] as { errno?: string };
  if (answer.errno !== undefined && DECLARED.has(answer.errno)) return undefined;
  return `step ${index} answers ${JSON.stringify(answer)}, not ${JSON.stringify(sound[index])}`;
}

/** A script's run on a sound machine. */
interface Sound {
  readonly answers: readonly (Json | undefined)[];
  /** What the last layer or container shows after each step. */
  readonly states: readonly (Rows | undefined)[];
  readonly container: string;
  readonly promises: readonly Promised[];
  /** How many commands its disk was given. */
  readonly commands: Readonly<Record<Kind, number>>;
  /** Why the machine would not go on. */
  readonly refused?: string;
}

/** Runs a script on a sound machine, twice: looking at its tree would change what its disk is asked for. */
function soundRun(script: Script): Sound | string {
  const machine = faultyMachine(script.ground);
  if (typeof machine === "string") return machine;
  const before = { ...machine.disk.counters };
  const { answers, refused } = answersOf(machine, script);
  const { counters } = machine.disk;
  const commands: Readonly<Record<Kind, number>> = {
    read: counters.reads - before.reads,
    write: counters.writes - before.writes,
    discard: counters.discards - before.discards,
    flush: counters.flushes - before.flushes,
  };
  const begin = lastLab(script);
  const container = begin < 0 ? "" : textOf(script.steps[begin] ?? {}, "name");
  const shown = faultyMachine(script.ground);
  if (typeof shown === "string") return shown;
  const states: (Rows | undefined)[] = [];
  answersOf(shown, script, () => states.push(shown.lab.has(container) ? rowsOf(shown.lab, container) : undefined));
  const promises = promisesOf(script.steps, begin + 1, states, (step) => hasFailed(answers[step]));
  return { answers, states, container, promises, commands, ...(refused === undefined ? {} : { refused }) };
}

function hasFailed(answer: Json | undefined): boolean {
  return isRecord(answer) && "errno" in answer;
}

/** What was promised before the fault and is not there when the machine starts again without it. */
function lostPromise({ machine, script, sound, struckAt }: Struck): string | undefined {
  const { container, states } = sound;
  const promises = sound.promises.filter(({ from }) => from < struckAt);
  if (promises.length === 0 || !machine.lab.has(container)) return undefined;
  const last = rowsOf(machine.lab, container);
  const image = machine.disk.clone();
  image.powerCut(keepNone);
  const again = rebooted(script.ground, image);
  if (typeof again === "string") return `it does not start again: ${again}`;
  again.lab.adopt(container, machine.lab.idOf(container));
  const found = rowsOf(again.lab, container);
  if (found === undefined)
    return poolNeedsCheck(again.host.task) ? undefined : "the container's tree cannot be shown when it starts again";
  again.host.check();
  // The calls behind the fault may have been refused, or not.
  return firstBroken(promises, found, [...states, last]);
}

interface Struck {
  readonly machine: FaultyMachine;
  readonly script: Script;
  readonly sound: Sound;
  readonly struckAt: number;
}

/** Runs a script under a plan. @returns what is wrong, "refused", or nothing. */
function runUnder(
  script: Script,
  plan: FaultPlan,
  sound: Sound,
): { message?: string; struck: boolean; refused: boolean; looked: number } {
  const machine = faultyMachine(script.ground, plan);
  if (typeof machine === "string") return { struck: true, refused: true, looked: 0 };
  let refused = false;
  let looked = 0;
  const message = guarded(() => {
    const run = answersOf(machine, script);
    refused = run.refused !== undefined;
    const wrong = undeclared(sound.answers, run.answers);
    if (wrong !== undefined) return wrong;
    machine.host.check();
    machine.device.heal();
    syncAll(machine.host);
    machine.host.check();
    if (plan.faults === undefined) return undefined;
    looked = sound.promises.filter(({ from }) => from < run.struckAt).length;
    return lostPromise({ machine, script, sound, struckAt: run.struckAt });
  });
  const struck = machine.device.failed > 0 || plan.faults === undefined;
  return message === undefined ? { struck, refused, looked } : { message, struck, refused, looked };
}

export interface FaultOptions {
  readonly kinds?: readonly Kind[];
  /** How often the command fails from there on; default once and for ever. */
  readonly times?: readonly number[];
  /** Every so many commands; default 1. */
  readonly every?: number;
}

/** Makes the n-th command fail, for every n of a script's run. @returns a text where the script cannot be run. */
export function failEverywhere(script: Script, options: FaultOptions = {}): FaultResult | string {
  const sound = soundRun(script);
  if (typeof sound === "string") return sound;
  if (sound.refused !== undefined) return sound.refused;
  const result = { runs: 0, struck: 0, refused: 0, looked: 0, violations: [] as string[] };
  for (const on of options.kinds ?? (["read", "write", "flush"] as const)) {
    for (const times of options.times ?? [1, Number.POSITIVE_INFINITY]) {
      for (let at = 1; at <= sound.commands[on]; at += options.every ?? 1) {
        const run = runUnder(script, { faults: [{ on, at, times }] }, sound);
        result.runs += 1;
        if (run.struck) result.struck += 1;
        if (run.refused) result.refused += 1;
        result.looked += run.looked;
        if (run.message !== undefined) result.violations.push(`${on} ${at} ${times === 1 ? "once" : "for ever"}: ${run.message}`);
      }
    }
  }
  return result;
}

/** Runs a script within limits: a small disk, few inodes, little memory. */
export function runWithin(script: Script, plans: readonly FaultPlan[]): FaultResult | string {
  const sound = soundRun(script);
  if (typeof sound === "string") return sound;
  const result = { runs: 0, struck: 0, refused: 0, looked: 0, violations: [] as string[] };
  for (const plan of plans) {
    const run = runUnder(script, plan, sound);
    result.runs += 1;
    result.struck += 1;
    if (run.refused) result.refused += 1;
    if (run.message !== undefined) result.violations.push(`${JSON.stringify(plan)}: ${run.message}`);
  }
  return result;
}
