/**
 * What can go wrong with a machine, in the words of scenario files: power cuts, commands of the disk and allocations that fail, limits.
 *
 * Interface: a plan with a number (`at`) is one fault, one without it stands for as many as the run has commands or allocations. `planText` writes
 * a plan as it is read.
 */
import { type CutChoice, keepAll, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { Random } from "../../sim/core/random.ts";
import { PHASES, type Phase } from "./metrics.ts";
import { diskFault } from "./quantity.ts";

/** What of the disk's unflushed writes is there after a power cut: those of some numbers, from 1 in their order, or all, none, each sector or not. */
export type Keep = "all" | "none" | "random" | readonly number[];

export interface Kept {
  readonly keep: Keep;
  /** Of these writes every other sector is there. */
  readonly torn: readonly number[];
}

/** Commands of the disk that a power cut can come after; discards count as writes. */
export const CUT_COMMANDS = ["write", "flush", "command"] as const;
/** What can fail. */
export const FAIL_KINDS = ["allocation", "read", "write", "flush", "discard"] as const;
export type FailKind = (typeof FAIL_KINDS)[number];
/** Words for `keep`. */
export const KEEP_WORDS = ["all", "none", "random"] as const;
/** How `times` says that a fault stays. */
export const FOR_EVER = "for ever";

/** The power goes right after a command of the disk, counted from the first step on. */
export interface CutPlan {
  readonly kind: "cut";
  readonly after: (typeof CUT_COMMANDS)[number];
  /** From 1; undefined: each in turn. */
  readonly at: number | undefined;
  /** Of those in turn every so many. */
  readonly every: number;
  /** Undefined: everything, nothing, random sectors, and every choice of few writes in turn; of a single cut nothing. */
  readonly kept: Kept | undefined;
}

/** A command of the disk, or an allocation of space, fails. */
export interface FailPlan {
  readonly kind: "fail";
  readonly what: FailKind;
  /** From 1; undefined: each in turn. */
  readonly at: number | undefined;
  readonly every: number;
  /** How many fail from there on, `Infinity` for ever; undefined: one, and in turn all; of a single fault one. */
  readonly times: number | undefined;
  /** The phase with which counting begins. */
  readonly from: Phase;
}

/** The machine has little of something. */
export interface LimitPlan {
  readonly kind: "limit";
  /** Bytes for the page cache. */
  readonly memory: number | undefined;
  /** Bytes of the disk. */
  readonly device: number | undefined;
  /** Inodes of the backing filesystem. */
  readonly inodes: number | undefined;
}

export type PlannedFault = CutPlan | FailPlan | LimitPlan;

/** A plan by the name that the file gives it. */
export interface NamedPlan {
  readonly name: string;
  readonly plan: PlannedFault;
}

/** What a cut leaves where nobody says: what was flushed, and nothing else. */
export const NOTHING_KEPT: Kept = { keep: "none", torn: [] };

/** What chance comes from in one cut, so that the same cut is the same wherever it is made. @param at - its number */
export function cutRandom(seed: number, at: number): Random {
  return new Random((Math.imul(seed, 65_599) + at) >>> 0);
}

/** Which unflushed sectors a cut leaves. @param random - what chance comes from */
export function choiceOf({ keep, torn }: Kept, random: Random): CutChoice {
  const words = { all: keepAll, none: keepNone, random: keepRandom(() => random.fraction()) };
  const base: CutChoice = typeof keep === "string" ? words[keep] : (write) => keep.includes(write + 1);
  if (torn.length === 0) return base;
  return (write, sector) => (torn.includes(write + 1) ? sector % 2 === 0 : base(write, sector));
}

function listText(numbers: readonly number[]): string {
  return `[${numbers.join(", ")}]`;
}

function keptWords({ keep, torn }: Kept): string[] {
  const kept = `keep: ${typeof keep === "string" ? keep : listText(keep)}`;
  return torn.length === 0 ? [kept] : [kept, `torn: ${listText(torn)}`];
}

function wordsOf(plan: PlannedFault): string[] {
  switch (plan.kind) {
    case "cut":
      return [`power_cut: ${plan.after}`, ...countWords(plan), ...(plan.kept === undefined ? [] : keptWords(plan.kept))];
    case "fail": {
      const times = plan.times === undefined ? [] : [`times: ${Number.isFinite(plan.times) ? plan.times : FOR_EVER}`];
      return [`fail: ${plan.what}`, ...countWords(plan), ...times, ...(plan.from === "steps" ? [] : [`from: ${plan.from}`])];
    }
    case "limit":
      return (["memory", "device", "inodes"] as const).flatMap((name) =>
        plan[name] === undefined ? [] : [`${name}: ${plan[name]}`],
      );
    default: {
      const never: never = plan;
      return never;
    }
  }
}

function countWords({ at, every }: CutPlan | FailPlan): string[] {
  if (at !== undefined) return [`at: ${at}`];
  return every === 1 ? [] : [`every: ${every}`];
}

/** A plan as a file or `--fault` writes it. */
export function planText(plan: PlannedFault): string {
  return `{ ${wordsOf(plan).join(", ")} }`;
}

/** The plan's keys as they were written, each read. */
export interface WrittenPlan {
  readonly power_cut?: CutPlan["after"] | undefined;
  readonly keep?: Keep | undefined;
  readonly torn?: readonly number[] | undefined;
  readonly fail?: FailKind | undefined;
  readonly times?: number | undefined;
  readonly at?: number | undefined;
  readonly every?: number | undefined;
  readonly from?: Phase | undefined;
  readonly memory?: number | undefined;
  readonly device?: number | undefined;
  readonly inodes?: number | undefined;
}

/** Which keys go with which kind of plan; the first of each line makes it one. */
const KEYS: Readonly<Record<PlannedFault["kind"], readonly (keyof WrittenPlan)[]>> = {
  cut: ["power_cut", "keep", "torn", "at", "every"],
  fail: ["fail", "times", "at", "every", "from"],
  limit: ["memory", "device", "inodes"],
};

/** A key that cannot stand where it does, and why. */
export interface PlanFault {
  readonly key: keyof WrittenPlan | undefined;
  readonly message: string;
}

function kindOf(written: WrittenPlan): PlannedFault["kind"] | undefined {
  if (written.power_cut !== undefined) return "cut";
  if (written.fail !== undefined) return "fail";
  return KEYS.limit.some((key) => written[key] !== undefined) ? "limit" : undefined;
}

/** Makes a plan of its keys. */
export function planOf(written: WrittenPlan): PlannedFault | PlanFault {
  const kind = kindOf(written);
  if (kind === undefined) return { key: undefined, message: "a plan has power_cut, fail, or a limit: memory, device, inodes" };
  const given = (Object.keys(written) as (keyof WrittenPlan)[]).filter((key) => written[key] !== undefined);
  const wrong = given.find((key) => !KEYS[kind].includes(key));
  if (wrong !== undefined)
    return { key: wrong, message: `"${wrong}" does not go with "${given.find((key) => KEYS[kind].includes(key))}"` };
  const { at, every = 1, keep, torn, times, memory, device, inodes, from = "steps" } = written;
  const unfit = written.device === undefined ? undefined : diskFault(written.device);
  if (unfit !== undefined) return { key: "device", message: unfit };
  if (at !== undefined && written.every !== undefined) return { key: "every", message: '"at" is one, "every" stands for many' };
  if (kind === "limit") return { kind, memory, device, inodes };
  if (kind === "fail") return { kind, what: written.fail as FailKind, at, every, times, from };
  const kept = keep === undefined && torn === undefined ? undefined : { keep: keep ?? "none", torn: torn ?? [] };
  return { kind, after: written.power_cut as CutPlan["after"], at, every, kept };
}

/** The phases from which faults can be counted. */
export const FAULT_PHASES: readonly Phase[] = PHASES;
