/**
 * Scripts: the steps of one run in the form of the traces, made on a driver and on the plain tree at once.
 *
 * Interface: lab steps are `layer`, `container`, `tick` and `checkpoint`; of calls those that the plain tree knows, and `tree`, which compares
 * all that a layer or container shows. Other calls are made on the driver and not compared.
 */
import { perform } from "../calls/perform.ts";
import { type Step, textOf } from "../calls/step.ts";
import type { Ground } from "./ground.ts";
import { guarded, prepare, World } from "./world.ts";

/** A run by its steps. */
export interface Script {
  readonly ground: Ground;
  readonly steps: readonly Step[];
}

/** Where a driver did not do as the plain tree says. */
export interface Finding {
  /** Of the step, in the script; its length where the end shows it. */
  readonly index: number;
  /** What came, and what should have. */
  readonly message: string;
}

/** A script with what it shows. */
export interface Counterexample {
  readonly script: Script;
  readonly finding: Finding;
}

export interface ScriptOptions {
  /** The engines are checked after every so many steps, and in the end; default 1. */
  readonly checkEvery?: number;
  /** Another world than a fresh lab on the script's ground: one with faults, one of a driver of the user's own. */
  readonly world?: (ground: Ground) => World | string;
}

/** Makes one step. @returns why both sides do not agree. */
function makeStep(world: World, step: Step): string | undefined {
  const { lab } = step;
  if (lab === "layer" || lab === "container")
    return world.add(lab, textOf(step, "name"), step["parent"] === undefined ? undefined : textOf(step, "parent"));
  if (lab === "tick") return world.tick(step);
  if (lab !== undefined) return undefined;
  const place = world.place(textOf(step, "on"));
  if (place === undefined) return undefined;
  if (step["call"] === "tree") return world.compare(place);
  const prepared = prepare(step);
  if (prepared !== undefined) return world.tryCall(place, prepared);
  return guarded(() => {
    perform(place.session, step);
    return undefined;
  });
}

/** Makes a script's steps until one does not agree. @returns the first finding; undefined where there is none. */
export function runScript(script: Script, options: ScriptOptions = {}): Finding | undefined {
  const world = (options.world ?? World.on)(script.ground);
  if (typeof world === "string") return { index: 0, message: world };
  const { checkEvery = 1 } = options;
  for (const [index, step] of script.steps.entries()) {
    const message = makeStep(world, step) ?? (index % checkEvery === checkEvery - 1 ? world.check() : undefined);
    if (message !== undefined) return { index, message };
  }
  const message = world.check() ?? world.end();
  return message === undefined ? undefined : { index: script.steps.length, message };
}

/** Without the steps on layers and containers that are not there any more. */
function withoutDangling(steps: readonly Step[]): Step[] {
  const there = new Set<unknown>();
  return steps.filter((step) => {
    if (step["lab"] === "layer" || step["lab"] === "container") {
      if (step["parent"] !== undefined && !there.has(step["parent"])) return false;
      there.add(step["name"]);
      return true;
    }
    // A call is made on one; another step of the lab looks at the one that it names (upper, changes), if it names any.
    const of = step["lab"] === undefined ? step["on"] : step["name"];
    return of === undefined || there.has(of);
  });
}

/** A layer's steps, and what stands on it, given to the layer below it. */
function merged(steps: readonly Step[], index: number): Step[] | undefined {
  const { name, parent } = steps[index] ?? {};
  if (name === undefined || parent === undefined) return undefined;
  return steps.toSpliced(index, 1).map((step) => {
    if (step["on"] === name) return { ...step, on: parent };
    return step["parent"] === name ? { ...step, parent } : step;
  });
}

/**
 * Smaller scripts, one after the other, each of which may still have a finding: what comes behind it goes, then whole layers, then runs of
 * steps of halving length, then what a step says beyond the plain call. Deterministic. O(n log n) scripts where few steps fail.
 *
 * Interface: whoever asks runs each script that comes, and hands in what it shows; the smallest that showed something is returned.
 * @param tries - how many scripts come at most
 */
export function* smallerScripts(
  script: Script,
  found: Finding,
  tries: number,
): Generator<Script, Counterexample, Finding | undefined> {
  let finding = found;
  let best = script.steps.slice(0, found.index + 1);
  let left = tries;
  function* attempt(steps: readonly Step[]): Generator<Script, boolean, Finding | undefined> {
    if (left <= 0) return false;
    left -= 1;
    const candidate = withoutDangling(steps);
    const again = yield { ...script, steps: candidate };
    if (again === undefined) return false;
    best = candidate.slice(0, again.index + 1);
    finding = again;
    return true;
  }
  for (let before = Number.POSITIVE_INFINITY; best.length < before; ) {
    before = best.length;
    for (let index = best.length - 1; index >= 0; index--) {
      if (best[index]?.["lab"] === undefined) continue;
      if (yield* attempt(best.toSpliced(index, 1))) continue;
      const joined = merged(best, index);
      if (joined !== undefined) yield* attempt(joined);
    }
    for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let at = best.length - size; at >= 0; at -= size) if (at < best.length) yield* attempt(best.toSpliced(at, size));
    }
  }
  for (let index = 0; index < best.length; index++) {
    for (const key of ["as", "umask"]) {
      const step = best[index];
      if (step?.[key] === undefined) continue;
      const { [key]: _, ...plainer } = step;
      yield* attempt(best.with(index, plainer));
    }
  }
  return { script: { ...script, steps: best }, finding };
}

/**
 * A smaller script that still has a finding beside the plain tree.
 * @param options.tries - how many scripts are run at most; default 2000
 */
export function shrink(
  script: Script,
  found: Finding,
  options: ScriptOptions & { readonly tries?: number } = {},
): Counterexample {
  const search = smallerScripts(script, found, options.tries ?? 2000);
  let next = search.next();
  while (next.done !== true) {
    const candidate = next.value;
    next = search.next(runScript(candidate, { ...options, checkEvery: candidate.steps.length < 200 ? 1 : 50 }));
  }
  return next.value;
}
