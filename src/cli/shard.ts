/**
 * Which part of a sweep this process does: `--shard k/n`, or what the scheduler that started it says.
 *
 * Interface: a sweep's runs are numbered over the whole; part k of n does the runs whose number leaves k - 1 when divided by n, and each run's seed
 * comes from its number in the whole. So the merged result is the same for every n.
 */
import { UsageError } from "./exit.ts";

export interface Shard {
  /** From 0 on. */
  readonly index: number;
  readonly count: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

function numberOf(environment: Environment, name: string): number | undefined {
  const text = environment[name];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Of a Kubernetes Job with completionMode Indexed; how many there are, its manifest says in JOB_COMPLETIONS. */
function ofKubernetes(environment: Environment): Shard | undefined {
  const index = numberOf(environment, "JOB_COMPLETION_INDEX");
  const count = numberOf(environment, "JOB_COMPLETIONS") ?? numberOf(environment, "COWLAB_SHARDS");
  if (index === undefined) return undefined;
  if (count === undefined)
    throw new UsageError("JOB_COMPLETION_INDEX is set, and JOB_COMPLETIONS is not: it must say how many completions the Job has");
  return { index, count };
}

/** Of a Slurm array, whose numbers need not begin at 0 nor follow one another (`--array=2-6:2`). */
function ofSlurm(environment: Environment): Shard | undefined {
  const id = numberOf(environment, "SLURM_ARRAY_TASK_ID");
  const count = numberOf(environment, "SLURM_ARRAY_TASK_COUNT");
  if (id === undefined || count === undefined) return undefined;
  const step = Math.max(1, numberOf(environment, "SLURM_ARRAY_TASK_STEP") ?? 1);
  return { index: Math.floor((id - (numberOf(environment, "SLURM_ARRAY_TASK_MIN") ?? 0)) / step), count };
}

/** The part to do. Without any word of it: the whole. */
export function shardOf(text: string | undefined, environment: Environment): Shard {
  const asked = text ?? environment["COWLAB_SHARD"];
  if (asked !== undefined) {
    const [, part, count] = /^(\d{1,9})\/(\d{1,9})$/.exec(asked) ?? [];
    const shard = { index: Number(part) - 1, count: Number(count) };
    if (part === undefined || shard.index < 0 || shard.index >= shard.count)
      throw new UsageError(
        `${text === undefined ? "COWLAB_SHARD" : "--shard"} takes k/n with k from 1 to n, such as 2/8, not "${asked}"`,
      );
    return shard;
  }
  const found = ofKubernetes(environment) ?? ofSlurm(environment) ?? { index: 0, count: 1 };
  if (found.index < 0 || found.index >= found.count)
    throw new UsageError(`the scheduler says part ${found.index + 1} of ${found.count}: there is no such part`);
  return found;
}

/** The seed of a run by its number in the whole: 32 bits, well mixed (a finalizer after MurmurHash3). */
export function seedFor(base: number, index: number): number {
  let mixed = (base ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
