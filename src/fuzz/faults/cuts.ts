/**
 * Power cuts in a scenario's steps: after every command of the disk of a kind, or an even choice of them, with what the plan keeps of unflushed writes
 * or with every choice of it in turn.
 *
 * Interface: the steps run once; each cut is a start on what it left on the disk (no step follows: see `RunOptions.fault` for that).
 */
import type { Disk } from "../../../sim/block/disk.ts";
import { DiskHistory } from "../../../sim/block/history.ts";
import { type CutPlan, choiceOf, cutRandom, type Kept } from "../../scenario/faults.ts";
import { type World, WorldFailure } from "../../scenario/world.ts";
import { choicesOf, type KeptWrites } from "./crash.ts";
import { type Finding, findingOf, type PlanResult, strideOf, type Violation } from "./judge.ts";
import { firstBroken } from "./promises.ts";
import { runOnce, type Shown, type Sound, type Subject, shownOn } from "./sound.ts";

/** Of up to so many unflushed writes every subset is kept once. */
const SUBSETS_OF = 3;

interface Recorded {
  readonly world: World;
  readonly history: DiskHistory;
  /** After which commands the plan cuts, as numbers among all, from 1. */
  readonly cuts: readonly number[];
  /** Commands after each step; before the first there is none. */
  readonly commands: readonly number[];
}

function record(subject: Subject, plan: CutPlan): Recorded | string {
  let history: DiskHistory | undefined;
  const cuts: number[] = [];
  const commands: number[] = [0];
  const watch = (disk: Disk): void => {
    const made = new DiskHistory(disk);
    const note = disk.watcher;
    history = made;
    disk.watcher = (command) => {
      note?.(command);
      if (plan.after === "command" || (plan.after === "flush") === (command.kind === "flush")) cuts.push(made.commands);
    };
  };
  const ran = runOnce(subject, {
    onPhase: (phase, world) => phase === "steps" && world.disk !== undefined && watch(world.disk),
    onStep: () => void commands.push(history?.commands ?? 0),
  });
  if (typeof ran === "string") return ran;
  if (ran.run.stopped !== undefined) return `${ran.run.stopped.where}: ${ran.run.stopped.why}`;
  if (history === undefined || ran.world === undefined)
    return `${ran.run.backing} is in memory: nothing is left after a power cut`;
  history.stop();
  return { world: ran.world, history, cuts, commands };
}

/** What a plan keeps of the unflushed writes of one cut: what it says, or each choice in turn. */
function keptAt(plan: CutPlan, unflushed: number, seed: number, number: number): Iterable<KeptWrites> {
  const random = cutRandom(seed, number);
  if (plan.kept === undefined) return choicesOf(unflushed, random, SUBSETS_OF);
  return [{ choice: choiceOf(plan.kept, random), keep: plan.kept.keep, image: undefined }];
}

/** What the machine shows that starts again on an image, or why it does not. */
function restarted(world: World, image: Disk, choice: KeptWrites["choice"], containers: readonly string[]): Shown | Finding {
  let shown: Shown = new Map();
  const found = findingOf(() => {
    const again = world.restart(choice, image);
    if (again instanceof WorldFailure) return { severity: "lost", message: `it does not start again: ${again.message}` };
    again.check();
    shown = shownOn(again, containers);
    again.check();
    return undefined;
  });
  return found ?? shown;
}

/** The first promise that was made within so many commands and is not kept. */
function lost({ sound, recorded, count, shown }: Cut): { readonly finding: Finding | undefined; readonly looked: number } {
  const within = recorded.commands.findIndex((after) => after >= count);
  const at = within < 0 ? recorded.commands.length - 1 : within;
  const { states: shownThen, promises: promised } = sound.looks();
  let looked = 0;
  for (const name of sound.containers) {
    const promises = (promised.get(name) ?? []).filter(({ from }) => (recorded.commands[from] ?? 0) <= count);
    looked += promises.length;
    const rows = shown.get(name);
    const states = shownThen.slice(0, at + 1).map((state) => state.get(name));
    const broken = rows === undefined ? "its tree cannot be shown" : firstBroken(promises, rows, states);
    if (broken !== undefined) return { finding: { severity: "lost", message: `container ${name}: ${broken}` }, looked };
  }
  return { finding: undefined, looked };
}

interface Cut {
  readonly sound: Sound;
  readonly recorded: Recorded;
  readonly count: number;
  readonly shown: Shown;
}

/** Cuts the power where a plan says. @param most - cuts at most, evenly chosen; 0: all. @returns a text where that cannot be done */
export function cutEverywhere(subject: Subject, plan: CutPlan, sound: Sound, most: number): PlanResult | string {
  const recorded = record(subject, plan);
  if (typeof recorded === "string") return recorded;
  const { world, history, cuts } = recorded;
  const violations: Violation[] = [];
  let cases = 0;
  let looked = 0;
  // What images since the last flush showed: keeping nothing is the same one after each command.
  const known = new Map<string, Shown | Finding>();
  const stride = strideOf(cuts.length, plan.every, plan.at === undefined ? most : 0);
  for (let at = plan.at ?? 1; at <= (plan.at ?? cuts.length); at += stride) {
    const count = cuts[at - 1];
    if (count === undefined) return `there are only ${cuts.length} of that command`;
    const unflushed = history.unflushedAfter(count);
    if (unflushed === 0 || stride > 1 || plan.after !== "command") known.clear();
    for (const { choice, keep, image } of keptAt(plan, unflushed, subject.seed, at)) {
      const before = image === undefined ? undefined : known.get(image);
      const shown = before ?? restarted(world, history.stateAfterCommands(count), choice, sound.containers);
      if (image !== undefined) known.set(image, shown);
      cases += 1;
      const judged = "severity" in shown ? { finding: shown, looked: 0 } : lost({ sound, recorded, count, shown });
      looked += judged.looked;
      const kept: Kept = plan.kept ?? { keep, torn: [] };
      if (judged.finding !== undefined) violations.push({ ...judged.finding, plan: { ...plan, at, every: 1, kept } });
    }
  }
  return { faults: cuts.length, cases, stopped: 0, looked, violations };
}
