/**
 * Measuring: CPU time (user and system, all threads, so that a collector's work counts) per operation, as the median of rounds.
 *
 * Interface: a body performs operations `from` (inclusive) to `to` (exclusive), in a loop of its own, so that the harness costs
 * nothing per operation. A round ends early once its cap is spent; the result then says how many operations were done.
 */

/** Bytes of host memory after a full collection. */
export interface Memory {
  readonly rss: number;
  readonly heap: number;
  readonly arrayBuffers: number;
}

export interface Sample {
  readonly workload: string;
  /** What one operation is, if not a call. */
  readonly unit: string;
  /** Median nanoseconds of CPU per operation, and the least and the most of the rounds. */
  readonly nanoseconds: number;
  readonly least: number;
  readonly most: number;
  readonly rounds: number;
  /** Operations in a round: the fewest done in any. */
  readonly operations: number;
  /** Operations asked for; more than `operations` where the time cap ended a round. */
  readonly asked: number;
  /** Host memory that one operation keeps, where the workload weighs it. */
  readonly bytes?: Memory;
}

export type Body = (from: number, to: number) => void;

/** Microseconds of CPU after which a round is cut short. */
let cap = 1_500_000;

/** Sets the cap of all rounds from now on, in milliseconds of CPU. */
export function setCap(milliseconds: number): void {
  cap = milliseconds * 1000;
}

/** Microseconds of CPU that this process and all its threads have used. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function collect(): void {
  const gc = (globalThis as { gc?: () => void }).gc;
  gc?.();
  gc?.();
}

/** Memory after a full collection; needs --expose-gc. */
export function memory(): Memory {
  collect();
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  return { rss, heap: heapUsed, arrayBuffers };
}

/** What each of the operations that `work` says it did has left in memory. */
export function weigh(work: () => number): Memory {
  const before = memory();
  const count = work();
  const after = memory();
  return {
    rss: (after.rss - before.rss) / count,
    heap: (after.heap - before.heap) / count,
    arrayBuffers: (after.arrayBuffers - before.arrayBuffers) / count,
  };
}

/** The rounds of one workload. */
export class Series {
  readonly workload: string;
  readonly #unit: string;
  readonly #perOperation: number[] = [];
  #fewest = Number.POSITIVE_INFINITY;
  #asked = 0;
  #spent = 0;
  #bytes: Memory | undefined;

  constructor(workload: string, unit = "call") {
    this.workload = workload;
    this.#unit = unit;
  }

  /** Whether enough has been seen: the cap was reached, so that another round would only take long. */
  get exhausted(): boolean {
    return this.#spent >= cap * 1.5;
  }

  /** Times `operations` operations of `body`; each stands for `weight` units. @returns how many were done. */
  round(operations: number, body: Body, weight = 1): number {
    if (operations === 0) return 0;
    const start = cpuTime();
    let spent = 0;
    let done = 0;
    while (done < operations && spent < cap) {
      const next = Math.min(operations, done + Math.max(4, done >> 1));
      body(done, next);
      done = next;
      spent = cpuTime() - start;
    }
    this.#spent += spent;
    this.#perOperation.push((spent * 1000) / (done * weight));
    this.#fewest = Math.min(this.#fewest, done * weight);
    this.#asked = operations * weight;
    return done;
  }

  /** Times a body that does all of `operations` at once, whatever it takes. */
  whole(operations: number, body: () => void): void {
    const start = cpuTime();
    body();
    const spent = cpuTime() - start;
    this.#spent += spent;
    this.#perOperation.push((spent * 1000) / operations);
    this.#fewest = Math.min(this.#fewest, operations);
    this.#asked = operations;
  }

  /** `count` rounds of the same body, fewer once exhausted. */
  rounds(count: number, operations: number, body: Body, weight = 1): this {
    for (let round = 0; round < count && !(round > 0 && this.exhausted); round++) this.round(operations, body, weight);
    return this;
  }

  /** Notes what one operation has left in memory. */
  weigh(bytes: Memory): this {
    this.#bytes = bytes;
    return this;
  }

  sample(): Sample {
    const sorted = [...this.#perOperation].sort((one, other) => one - other);
    return {
      workload: this.workload,
      unit: this.#unit,
      nanoseconds: sorted[sorted.length >> 1] ?? Number.NaN,
      least: sorted[0] ?? Number.NaN,
      most: sorted.at(-1) ?? Number.NaN,
      rounds: sorted.length,
      operations: this.#fewest,
      asked: this.#asked,
      ...(this.#bytes === undefined ? {} : { bytes: this.#bytes }),
    };
  }
}

/** A fixed shuffle, so that each peer is asked in the same scattered order. */
export function shuffled<T>(list: readonly T[]): T[] {
  const out = [...list];
  let state = 0x9e3779b9;
  for (let index = out.length - 1; index > 0; index--) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    const other = (state >>> 0) % (index + 1);
    const held = out[index] as T;
    out[index] = out[other] as T;
    out[other] = held;
  }
  return out;
}

/** A path as one flat string, so that no peer pays for joining the pieces at first touch. */
export function flat(path: string): string {
  return Buffer.from(path).toString("latin1");
}
