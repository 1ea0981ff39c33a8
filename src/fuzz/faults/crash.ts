/**
 * Power cuts: a script's run, cut after every command of its disk, with every choice of what was in the drive's cache. What fsync, fdatasync and
 * sync promised must be there, and every engine's books must add up.
 *
 * Interface: what happens before the last layer or container is made is durable (a sync follows it), and no cut falls there.
 */
import { type CutChoice, type Disk, keepAll, keepNone, keepRandom } from "../../../sim/block/disk.ts";
import { DiskHistory } from "../../../sim/block/history.ts";
import { Random } from "../../../sim/core/random.ts";
import { seconds } from "../../../sim/core/units.ts";
import { perform } from "../../calls/perform.ts";
import { textOf } from "../../calls/step.ts";
import { isDriverError } from "../../drivers/driver.ts";
import type { Keep } from "../../scenario/faults.ts";
import { syncAll } from "../../scenario/machine.ts";
import type { Script } from "../script.ts";
import { guarded } from "../world.ts";
import { type FaultyMachine, faultyMachine, rebooted } from "./machine.ts";
import { firstBroken, promisesOf, type Rows, rowsOf } from "./promises.ts";

export interface CrashOptions {
  /** Cuts are made after every so many commands of the disk; default 1: after each. */
  readonly every?: number;
  readonly seed?: number;
  /** Of up to so many unflushed writes every subset is kept once; default 3. */
  readonly subsetsOf?: number;
}

export interface CrashResult {
  /** Power cuts, each with a restart. */
  readonly cuts: number;
  readonly writes: number;
  readonly promises: number;
  /** Promises that were looked for, over all cuts. */
  readonly looked: number;
  readonly violations: readonly string[];
}

/** Longer than dirty pages stay in memory, and than a journal or a group of transactions stays open. */
const WRITEBACK_TIME = seconds(40);

interface Recorded {
  readonly machine: FaultyMachine;
  readonly history: DiskHistory;
  readonly container: string;
  /** The first step whose writes are cut. */
  readonly begin: number;
  /** Commands of the disk after each step. */
  readonly commands: readonly number[];
}

/** Makes the steps on a new machine. @param after - is told of each step that was made. */
function run(script: Script, after: (index: number, machine: FaultyMachine, container: string) => void): Recorded | string {
  const machine = faultyMachine(script.ground, script.ground.backing === "btrfs" ? { sectorSize: 4096 } : {});
  if (typeof machine === "string") return machine;
  const { lab, host, disk } = machine;
  const begin = script.steps.findLastIndex((step) => step["lab"] === "layer" || step["lab"] === "container") + 1;
  const container = textOf(script.steps[begin - 1] ?? {}, "name");
  let history: DiskHistory | undefined;
  const commands: number[] = [];
  for (const [index, step] of script.steps.entries()) {
    if (step["lab"] === "layer" || step["lab"] === "container") {
      const parent = step["parent"] === undefined ? undefined : textOf(step, "parent");
      const failed = lab.addLayer(textOf(step, "name"), parent);
      if (failed !== undefined) return failed.message;
      if (index === begin - 1) {
        lab.session(container);
        syncAll(host);
        disk.flush();
        history = new DiskHistory(disk);
      }
    } else if (step["call"] !== undefined && step["call"] !== "tree") {
      host.clock.runDueTimers();
      const session = lab.session(textOf(step, "on"));
      if (isDriverError(session)) return session.message;
      perform(session, step);
    }
    after(index, machine, container);
    commands.push(history?.commands ?? 0);
  }
  if (history === undefined) return "the script has no layer";
  // What is dirty is written back, as it is in time: the promises hold meanwhile.
  host.clock.advance(WRITEBACK_TIME);
  host.clock.runDueTimers();
  syncAll(host);
  history.stop();
  return { machine, history, container, begin, commands };
}

/** What a cut keeps, and a name for it that is the same for the same image between two flushes; a random choice has none. */
export interface KeptWrites {
  readonly choice: CutChoice;
  readonly keep: Keep;
  readonly image: string | undefined;
}

/** The choices of what a cut keeps: all, nothing, some, and every subset of few writes. */
export function* choicesOf(unflushed: number, random: Random, subsetsOf: number): Generator<KeptWrites> {
  yield { choice: keepAll, keep: "all", image: imageName(unflushed, 2 ** unflushed - 1) };
  if (unflushed === 0) return;
  yield { choice: keepNone, keep: "none", image: imageName(unflushed, 0) };
  if (unflushed <= subsetsOf)
    for (let kept = 1; kept < 2 ** unflushed - 1; kept++) {
      const numbers = Array.from({ length: unflushed }, (_, write) => write + 1).filter((write) => (kept >> (write - 1)) & 1);
      yield { choice: (write) => numbers.includes(write + 1), keep: numbers, image: imageName(unflushed, kept) };
    }
  yield { choice: keepRandom(() => random.fraction()), keep: "random", image: undefined };
}

/** @param kept - a bit a write, or all of them, of however many. */
function imageName(unflushed: number, kept: number): string {
  return kept > 0 && unflushed > 31 ? `all ${unflushed}` : String(kept);
}

/** What a machine shows that starts again after a cut: its tree, or why there is none. */
function restarted(script: Script, disk: Disk, container: string, id: string): Rows | string {
  let rows: Rows | undefined;
  const message = guarded(() => {
    const after = rebooted(script.ground, disk);
    if (typeof after === "string") return after;
    after.host.check();
    after.lab.adopt(container, id);
    rows = rowsOf(after.lab, container);
    after.host.check();
    return undefined;
  });
  return message ?? rows ?? "the container's tree cannot be shown";
}

/** Cuts the power after every command of a script's run. @returns a text where the script cannot be run. */
export function crashEverywhere(script: Script, options: CrashOptions = {}): CrashResult | string {
  const states: (Rows | undefined)[] = [];
  const first = run(script, (_, machine, container) =>
    states.push(machine.lab.has(container) ? rowsOf(machine.lab, container) : undefined),
  );
  if (typeof first === "string") return first;
  const recorded = run(script, () => undefined);
  if (typeof recorded === "string") return recorded;
  const { history, begin, commands, container, machine } = recorded;
  const promises = promisesOf(script.steps, begin, states);
  const id = machine.lab.idOf(container);
  const random = new Random(options.seed ?? 1);
  const violations: string[] = [];
  let cuts = 0;
  let looked = 0;
  // What the images of the cuts since the last flush showed: keeping nothing is the same image after each command.
  const shown = new Map<string, Rows | string>();
  for (let count = 0; count <= history.commands; count += options.every ?? 1) {
    const within = commands.findIndex((after) => after >= count);
    const at = within < 0 ? script.steps.length - 1 : within;
    const unflushed = history.unflushedAfter(count);
    if (unflushed === 0 || (options.every ?? 1) > 1) shown.clear();
    for (const { choice, image } of choicesOf(unflushed, random, options.subsetsOf ?? 3)) {
      cuts += 1;
      const kept = promises.filter(({ from }) => (commands[from] ?? 0) <= count);
      looked += kept.length;
      const known = image === undefined ? undefined : shown.get(image);
      const found = known ?? restarted(script, history.imageAfterCommands(count, choice), container, id);
      if (image !== undefined) shown.set(image, found);
      const message = typeof found === "string" ? found : firstBroken(kept, found, states.slice(0, at + 1));
      if (message !== undefined) violations.push(`after command ${count} of ${history.commands} (step ${at}): ${message}`);
    }
  }
  return { cuts, writes: history.writes, promises: promises.length, looked, violations };
}
