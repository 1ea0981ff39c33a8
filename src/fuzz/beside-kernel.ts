/**
 * Random scripts on a driver beside a real kernel, which is asked the same: every answer, each tree, and on unions the upper folder.
 *
 * A script is some layers and a container over them. Nothing here knows how a kernel is asked; `src/node/kernel-oracle.ts` does.
 *
 * Interface: the same seed makes the same scripts. A script begins from (seed, its number), so that a shard runs those of its own number alone.
 */
import { Random } from "../../sim/core/random.ts";
import { formatJson, isRecord, type Json } from "../calls/json.ts";
import type { Step } from "../calls/step.ts";
import { replay } from "../replay/replay.ts";
import { parseTrace } from "../replay/trace.ts";
import type { Ground } from "./ground.ts";
import { type Finding, type Script, smallerScripts } from "./script.ts";
import { KERNEL, PRELUDE, randomStep } from "./vocabulary.ts";

/** Makes a script's steps on a kernel. @returns its answer to each. */
export type AskKernel = (script: Script) => Promise<readonly Json[]>;

/** Options of overlay mounts that a kernel is asked under. Docker's own is the first. */
const UNION_OPTIONS = [
  "index=off",
  "index=off,redirect_dir=on",
  "index=off,redirect_dir=nofollow",
  "index=off,metacopy=on,redirect_dir=on",
  "index=on",
  "index=off,xino=on",
  "index=on,metacopy=on,redirect_dir=on",
  "index=off,userxattr",
] as const;

/** And of overlays over an overlay, which no file handle can name: an index falls back to none. */
const NESTED_OPTIONS = ["index=off", "index=on,redirect_dir=on"] as const;

/**
 * Where a driver can be asked of a kernel; none for a driver whose engine is in no kernel, or which needs a daemon's own tools.
 * @param canMake - whether a filesystem of a type can be made and mounted
 */
export function kernelGrounds(driver: string, canMake: (type: string) => boolean): Ground[] {
  const on = (backings: readonly string[], options: readonly string[]): Ground[] =>
    backings.filter(canMake).flatMap((backing) => options.map((mountOptions) => ({ target: driver, backing, mountOptions })));
  const grounds: Readonly<Record<string, () => Ground[]>> = {
    overlay2: () => on(["ext4", "xfs"], UNION_OPTIONS),
    vfs: () => on(["ext4", "xfs"], [""]),
    btrfs: () => on(["btrfs"], [""]),
    nested: () => on(["ext4", "xfs"], NESTED_OPTIONS),
    bare: () => ["ext4", "xfs", "btrfs"].filter(canMake).map((type) => ({ target: type, backing: type, mountOptions: "" })),
  };
  return grounds[driver]?.() ?? [];
}

/** Calls in each layer, and in the container. */
const LAYER_CALLS = 15;
const CONTAINER_CALLS = 80;
const LAYERS_MAX = 3;

function randomScript(ground: Ground, random: Random): Script {
  const steps: Step[] = [];
  const calls = (on: string, count: number): void => {
    for (let n = 0; n < count; n++) steps.push({ on, ...randomStep(KERNEL, random) });
  };
  const layers = 1 + random.below(LAYERS_MAX);
  for (let n = 0; n < layers; n++) {
    steps.push(n === 0 ? { lab: "layer", name: "L0" } : { lab: "layer", name: `L${n}`, parent: `L${n - 1}` });
    if (n === 0) steps.push(...PRELUDE.map((step) => ({ on: "L0", ...step })));
    calls(`L${n}`, LAYER_CALLS);
  }
  steps.push({ lab: "container", name: "C", parent: `L${layers - 1}` });
  calls("C", CONTAINER_CALLS);
  steps.push({ on: "C", call: "tree" }, { lab: "upper", name: "C" });
  return { ground, steps };
}

/** The text of a trace: a header, then the steps with what the kernel answered to those that have a result. */
export function kernelTrace({ ground, steps }: Script, answers: readonly Json[], name: string): string {
  const header = { trace: 1, name, kernel: "this machine's", ...ground };
  const lines = steps.map((step, index) => {
    const answer = answers[index];
    // Only unions have an upper folder, and say what is in it.
    const hasResult = step["lab"] === undefined || (step["lab"] === "upper" && isRecord(answer) && "value" in answer);
    return { ...step, ...(hasResult ? { result: answer ?? null } : {}) };
  });
  return `${[header, ...lines].map((line) => formatJson(line as Json)).join("\n")}\n`;
}

/** Where the simulator does not do as the kernel did; undefined where it does throughout. */
export function kernelFinding(script: Script, answers: readonly Json[]): Finding | undefined {
  const { differing, broken } = replay([parseTrace("random", kernelTrace(script, answers, "random"))], { check: true });
  // The header is line 1, the first step line 2.
  const bug = broken[0];
  if (bug !== undefined) return { index: bug.line - 2, message: bug.message };
  const first = differing[0];
  if (first === undefined) return undefined;
  const message = `${formatJson(first.got)}, not ${formatJson(first.expected)} as the kernel: ${formatJson(first.step as Json)}`;
  return { index: first.line - 2, message };
}

export interface KernelCampaignOptions {
  /** Scripts take turns on them. */
  readonly grounds: readonly Ground[];
  readonly ask: AskKernel;
  readonly seed: number;
  /** How many calls; a script that has begun is ended first. */
  readonly operations: number;
  readonly shard?: number;
  readonly shards?: number;
  /** Hears how many calls are made, after each script. */
  readonly progress?: (operations: number) => void;
}

export interface KernelFigures {
  readonly operations: number;
  readonly scripts: number;
  /** "rename EXDEV" → how often the kernel answered so. */
  readonly answers: Readonly<Record<string, number>>;
}

export interface KernelCampaignResult {
  readonly figures: KernelFigures;
  /** Shrunk, with the kernel's answers as a trace; absent where everything agreed. */
  readonly counterexample?: { readonly script: Script; readonly finding: Finding; readonly trace: string };
}

/** How many smaller scripts the kernel is asked for one counterexample. */
const TRIES = 1000;

/** A smaller script on which the two still differ. */
async function shrunk(
  script: Script,
  found: Finding,
  ask: AskKernel,
): Promise<{ script: Script; finding: Finding; trace: string }> {
  const search = smallerScripts(script, found, TRIES);
  let next = search.next();
  while (next.done !== true) next = search.next(kernelFinding(next.value, await ask(next.value)));
  const small = next.value;
  return { ...small, trace: kernelTrace(small.script, await ask(small.script), "counterexample") };
}

/** Counts what a kernel answered. @returns how many calls it was asked. */
function countAnswers(counts: Map<string, number>, script: Script, answers: readonly Json[]): number {
  let calls = 0;
  for (const [index, { call }] of script.steps.entries()) {
    if (typeof call !== "string") continue;
    calls += 1;
    const answer = answers[index];
    const key = `${call} ${isRecord(answer) && "errno" in answer ? String(answer["errno"]) : "ok"}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return calls;
}

/** Runs random scripts until so many calls are made, or one does not agree. */
export async function runBesideKernel(options: KernelCampaignOptions): Promise<KernelCampaignResult> {
  const { grounds, ask, seed, shard = 0, shards = 1 } = options;
  const counts = new Map<string, number>();
  let operations = 0;
  let scripts = 0;
  const figures = (): KernelFigures => ({
    operations,
    scripts,
    answers: Object.fromEntries([...counts].sort(([one], [other]) => (one < other ? -1 : 1))),
  });
  for (let number = shard; operations < options.operations; number += shards) {
    const ground = grounds[scripts % grounds.length] as Ground;
    const script = randomScript(ground, new Random(seed * 1_000_003 + number + 1));
    const answers = await ask(script);
    operations += countAnswers(counts, script, answers);
    scripts += 1;
    const finding = kernelFinding(script, answers);
    if (finding !== undefined) return { figures: figures(), counterexample: await shrunk(script, finding, ask) };
    options.progress?.(operations);
  }
  return { figures: figures() };
}
