/**
 * What is wrong with a run under a fault, worst first: an engine that broke, a promise that is not kept, an error that nothing declares.
 */
import { InvariantError } from "../../../sim/core/assert.ts";
import { EEXIST, EIO, ENOENT, Errno } from "../../../sim/core/errno.ts";
import type { PlannedFault } from "../../scenario/faults.ts";
import type { DriverRun } from "../../scenario/run.ts";
import { guarded } from "../world.ts";

/** How bad a violation is. */
export const SEVERITIES = ["undeclared", "lost", "broken"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  readonly severity: Severity;
  readonly message: string;
}

/** A fault under which something is wrong. */
export interface Violation extends Finding {
  /** For this fault alone. */
  readonly plan: PlannedFault;
}

export interface PlanResult {
  /** How many faults the plan stands for here. */
  readonly faults: number;
  /** Runs under one of them each; of cuts, starts on what one left. */
  readonly cases: number;
  /** Of these, in which a build, a container or the start of the driver was refused. */
  readonly stopped: number;
  /** Promises that were looked for when the machine started again, over all cases. */
  readonly looked: number;
  readonly violations: readonly Violation[];
}

/**
 * What faults may make a call answer; EIO and EROFS also where a thin pool that is full is the disk, whose writes fail long after they were taken;
 * EXDEV where overlayfs has no room for a directory's redirect: whoever renames it shall copy it then (ovl_set_redirect).
 */
const DECLARED: readonly Errno[] = ["ENOSPC", "EDQUOT", "ENOMEM", "EIO", "EROFS", "EXDEV"].flatMap(
  (code) => Errno.named(code) ?? [],
);

/**
 * What dash says of any write of its own that fails, libzfs where a pool's device gives EIO, and a thin pool that an error of its metadata made
 * read-only of any message.
 */
const WORDS: readonly string[] = ["echo: i/o error", "pool i/o is currently suspended", "operation not supported"];

/**
 * What may end a run besides: EEXIST, where a layer's folder could not be put aside, which Docker does not look at, and the next layer of that chain finds it
 * in its way (layer_store.go: deleteLayer).
 */
const ENDING: readonly Errno[] = [...DECLARED, EEXIST];
/** What else there may be once something was lost and nobody told. */
const LOST: readonly Errno[] = [...DECLARED, ENOENT];

/** Whether a fault may show as this: one of some errnos, alone or behind what it is about, or a driver's or a script's words with one in them. */
function isDeclared(answer: string, declared: readonly Errno[]): boolean {
  const told = answer.toLowerCase();
  return (
    WORDS.some((words) => told.includes(words)) ||
    declared.some(({ code, text }) => answer === code || answer.endsWith(`: ${code}`) || told.includes(text.toLowerCase()))
  );
}

/**
 * The first step with an error that the sound run did not give there, if nothing declares that error.
 * @param lostAt - from which step on something may be gone, since a filesystem ended without it and umount(2) told nobody
 */
export function undeclared(sound: DriverRun, run: DriverRun, lostAt: number = Number.POSITIVE_INFINITY): Finding | undefined {
  for (const [index, { id, answer }] of run.steps.entries()) {
    if (!("errno" in answer)) continue;
    const before = sound.steps[index]?.answer;
    if (before !== undefined && "errno" in before && before.errno === answer.errno) continue;
    if (isDeclared(answer.errno, index < lostAt ? DECLARED : LOST)) return undefined;
    return { severity: "undeclared", message: `step ${id} answers ${answer.errno}, not ${JSON.stringify(before)}` };
  }
  return undefined;
}

/** What ended a run where the sound one went on, if nothing declares it. @param hasLost - whether a filesystem ended without something */
export function undeclaredEnd(sound: DriverRun, { stopped }: DriverRun, hasLost: boolean): Finding | undefined {
  if (stopped === undefined || sound.stopped !== undefined) return undefined;
  if (isDeclared(stopped.why, ENDING) || (hasLost && isDeclared(stopped.why, LOST))) return undefined;
  return { severity: "undeclared", message: `${stopped.where} is refused: ${stopped.why}` };
}

/** A finding of a work in which an engine may break. */
export function findingOf(work: () => Finding | undefined): Finding | undefined {
  let found: Finding | undefined;
  const broke = guarded(() => {
    found = work();
    return undefined;
  });
  return broke === undefined ? found : { severity: "broken", message: broke };
}

/** The same where something fails: an engine whose books cannot be read any more (a pool that is suspended) says nothing of them. */
export function findingUnderFault(work: () => Finding | undefined): Finding | undefined {
  return findingOf(() => {
    try {
      return work();
    } catch (error) {
      if (error instanceof InvariantError && error.cause === EIO) return undefined;
      throw error;
    }
  });
}

/** Of so many every how many are chosen. @param most - 0: all */
export function strideOf(count: number, every: number, most: number): number {
  return most === 0 ? every : Math.max(every, Math.ceil(count / most));
}
