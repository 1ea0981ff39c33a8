/**
 * Commands of the disk that fail: a script's run with the n-th read, write or flush failing, once or for ever, for every n.
 *
 * What must hold: no engine breaks; the first call that answers otherwise than on a sound disk gives an error that such a fault declares; the books
 * of every engine add up, with the fault and after it was mended; and, when the machine starts again, what fsync promised before the fault is there.
 *
 * Interface: deterministic. A run in which the machine itself cannot go on (its driver's answer is an error) counts as refused.
 */
import type { Fault } from "../../../sim/block/faulty.ts";
import { type Json, sameJson } from "../../calls/json.ts";
import { perform } from "../../calls/perform.ts";
import { textOf } from "../../calls/step.ts";
import { isDriverError } from "../../drivers/driver.ts";
import { syncAll } from "../../scenario/machine.ts";
import type { Script } from "../script.ts";
import { guarded } from "../world.ts";
import { type FaultPlan, type FaultyMachine, faultyMachine } from "./machine.ts";

/** What a failing disk may make a call answer. */
const DECLARED: ReadonlySet<string> = new Set(["EIO", "EROFS", "ENOSPC", "EDQUOT", "ENOMEM"]);

export interface FaultResult {
  /** Runs, each with one fault. */
  readonly runs: number;
  /** Runs in which the fault struck. */
  readonly struck: number;
  /** Runs that a driver's or the machine's refusal ended. */
  readonly refused: number;
  readonly violations: readonly string[];
}

type Kind = Fault["on"];

/** What each call answered; a text where the machine refused to go on. */
function answersOf(machine: FaultyMachine, script: Script): { answers: (Json | undefined)[]; refused?: string } {
  const { lab, host } = machine;
  const answers: (Json | undefined)[] = [];
  for (const step of script.steps) {
    if (step["lab"] === "layer" || step["lab"] === "container") {
      // What a write back at the unmount loses is told to nobody: a layer is made durable first.
      const below =
        step["parent"] === undefined || !lab.has(textOf(step, "parent")) ? undefined : lab.task(textOf(step, "parent"));
      const lost = below === undefined || isDriverError(below) ? below : below.syncfs();
      if (lost !== undefined) return { answers, refused: String(lost) };
      const failed = lab.addLayer(textOf(step, "name"), step["parent"] === undefined ? undefined : textOf(step, "parent"));
      if (failed !== undefined) return { answers, refused: failed.message };
      answers.push(undefined);
    } else if (step["call"] !== undefined) {
      host.clock.runDueTimers();
      const session = lab.session(textOf(step, "on"));
      if (isDriverError(session)) return { answers, refused: session.message };
      answers.push({ ...perform(session, step) });
    } else answers.push(undefined);
  }
  syncAll(host);
  return { answers };
}

/** Where the first answer differs, whether that is declared; undefined where nothing is wrong. */
function undeclared(sound: readonly (Json | undefined)[], got: readonly (Json | undefined)[]): string | undefined {
  const index = got.findIndex((answer, at) => !sameJson(answer, sound[at]));
  if (index < 0) return undefined;
  const answer = got[index] as { errno?: string };
  if (answer.errno !== undefined && DECLARED.has(answer.errno)) return undefined;
  return `step ${index} answers ${JSON.stringify(answer)}, not ${JSON.stringify(sound[index])}`;
}

/** Runs a script under a plan. @returns what is wrong, "refused", or nothing. */
function runUnder(
  script: Script,
  plan: FaultPlan,
  sound: readonly (Json | undefined)[],
): { message?: string; struck: boolean; refused: boolean } {
  const machine = faultyMachine(script.ground, plan);
  if (typeof machine === "string") return { struck: true, refused: true };
  let refused = false;
  const message = guarded(() => {
    const run = answersOf(machine, script);
    refused = run.refused !== undefined;
    const wrong = undeclared(sound, run.answers);
    if (wrong !== undefined) return wrong;
    machine.host.check();
    machine.device.heal();
    syncAll(machine.host);
    machine.host.check();
    return undefined;
  });
  const struck = machine.device.failed > 0 || plan.faults === undefined;
  return message === undefined ? { struck, refused } : { message, struck, refused };
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
  const sound = faultyMachine(script.ground);
  if (typeof sound === "string") return sound;
  const before = { ...sound.disk.counters };
  const { answers, refused } = answersOf(sound, script);
  if (refused !== undefined) return refused;
  const after = sound.disk.counters;
  const counts: Readonly<Record<Kind, number>> = {
    read: after.reads - before.reads,
    write: after.writes - before.writes,
    discard: after.discards - before.discards,
    flush: after.flushes - before.flushes,
  };
  const result = { runs: 0, struck: 0, refused: 0, violations: [] as string[] };
  for (const on of options.kinds ?? (["read", "write", "flush"] as const)) {
    for (const times of options.times ?? [1, Number.POSITIVE_INFINITY]) {
      for (let at = 1; at <= counts[on]; at += options.every ?? 1) {
        const run = runUnder(script, { faults: [{ on, at, times }] }, answers);
        result.runs += 1;
        if (run.struck) result.struck += 1;
        if (run.refused) result.refused += 1;
        if (run.message !== undefined) result.violations.push(`${on} ${at} ${times === 1 ? "once" : "for ever"}: ${run.message}`);
      }
    }
  }
  return result;
}

/** Runs a script within limits: a small disk, few inodes, little memory. */
export function runWithin(script: Script, plans: readonly FaultPlan[]): FaultResult | string {
  const sound = faultyMachine(script.ground);
  if (typeof sound === "string") return sound;
  const { answers } = answersOf(sound, script);
  const result = { runs: 0, struck: 0, refused: 0, violations: [] as string[] };
  for (const plan of plans) {
    const run = runUnder(script, plan, answers);
    result.runs += 1;
    result.struck += 1;
    if (run.refused) result.refused += 1;
    if (run.message !== undefined) result.violations.push(`${JSON.stringify(plan)}: ${run.message}`);
  }
  return result;
}
