/**
 * Virtual time. It moves only when a device, a trace's `tick` or a timer's owner says so, never with the wall clock.
 *
 * Interface: `now` is in nanoseconds since the host was made. `time()` is what an inode's timestamps get: the epoch plus `now`,
 * cut to the clock's granularity (a kernel stamps inodes with the time of its last timer tick: kernel/time/timekeeping.c,
 * ktime_get_coarse_real_ts64), so that two calls within one tick get the very same object.
 */
import { assert } from "./assert.ts";
import { type Nanoseconds, nanoseconds } from "./units.ts";

/** A point in time as an inode keeps it: `seconds` since 1970 may be negative; `nanoseconds` from 0 to 999,999,999. */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const NANOS_A_SECOND = 1_000_000_000;

/** Builds a Time from its two parts. */
export function time(seconds: number, nanos: number): Time {
  assert(nanos >= 0 && nanos < NANOS_A_SECOND, "a time's nanoseconds must be less than a second");
  return { seconds, nanoseconds: nanos };
}

/** Less than, equal to or greater than 0 as `one` is before, at or after `other`. */
export function compareTimes(one: Time, other: Time): number {
  return one.seconds - other.seconds || one.nanoseconds - other.nanoseconds;
}

/** A time as nanoseconds since 1970: beyond 2^53, therefore a bigint. */
export function timeToNanoseconds(at: Time): bigint {
  return BigInt(at.seconds) * BigInt(NANOS_A_SECOND) + BigInt(at.nanoseconds);
}

/** The Time of a number of nanoseconds since 1970, which may be negative. */
export function timeFromNanoseconds(value: bigint): Time {
  const nanos = ((value % BigInt(NANOS_A_SECOND)) + BigInt(NANOS_A_SECOND)) % BigInt(NANOS_A_SECOND);
  return { seconds: Number((value - nanos) / BigInt(NANOS_A_SECOND)), nanoseconds: Number(nanos) };
}

interface Timer {
  at: number;
  readonly period: number;
  readonly run: () => void;
}

export interface ClockOptions {
  /** The wall-clock second at which virtual time begins. Default 1,600,000,000 (13 September 2020). */
  readonly epochSeconds?: number;
  /** How fine inode timestamps are. Default 4 ms: a kernel with CONFIG_HZ=250. */
  readonly granularity?: Nanoseconds;
}

export class Clock {
  readonly #epochSeconds: number;
  readonly #granularity: number;
  readonly #timers: Timer[] = [];
  #now = 0;
  #nextTimer = Number.POSITIVE_INFINITY;
  /** What `time` tells until `#timeEnds`. */
  #time: Time = { seconds: 0, nanoseconds: 0 };
  #timeEnds = 0;

  constructor(options: ClockOptions = {}) {
    this.#epochSeconds = options.epochSeconds ?? 1_600_000_000;
    this.#granularity = options.granularity ?? 4_000_000;
  }

  /** Nanoseconds since the host was made. */
  get now(): Nanoseconds {
    return this.#now as Nanoseconds;
  }

  /** The time that a timestamp made now gets; the same object until the clock's next tick. */
  time(): Time {
    if (this.#now >= this.#timeEnds) {
      const since = Math.floor(this.#now / this.#granularity) * this.#granularity;
      this.#timeEnds = since + this.#granularity;
      this.#time = { seconds: this.#epochSeconds + Math.floor(since / NANOS_A_SECOND), nanoseconds: since % NANOS_A_SECOND };
    }
    return this.#time;
  }

  /** Lets `span` pass without running timers: what a device's latency costs within a call. */
  spend(span: Nanoseconds): void {
    this.#now += span;
  }

  /**
   * Lets `span` pass and runs every timer that falls due, in the order of their times (those of one instant in the order they
   * were set). A timer sees `now` at its own instant or later.
   */
  advance(span: Nanoseconds): void {
    const end = this.#now + span;
    while (this.#nextTimer <= end) {
      const due = this.#earliest();
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      due.at += due.period;
      this.#nextTimer = this.#earliest()?.at ?? Number.POSITIVE_INFINITY;
      due.run();
    }
    this.#now = Math.max(this.#now, end);
  }

  /** Runs timers that fell due while `spend` moved the clock. A host calls it between two system calls. */
  runDueTimers(): void {
    if (this.#nextTimer <= this.#now) this.advance(nanoseconds(0));
  }

  /** Calls `run` every `period` from now on. @returns a function that stops it. */
  every(period: Nanoseconds, run: () => void): () => void {
    assert(period > 0, "a timer's period must be more than 0");
    const timer: Timer = { at: this.#now + period, period, run };
    this.#timers.push(timer);
    this.#nextTimer = Math.min(this.#nextTimer, timer.at);
    return () => {
      const place = this.#timers.indexOf(timer);
      if (place >= 0) this.#timers.splice(place, 1);
      this.#nextTimer = this.#earliest()?.at ?? Number.POSITIVE_INFINITY;
    };
  }

  #earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (first === undefined || timer.at < first.at) first = timer;
    return first;
  }
}
