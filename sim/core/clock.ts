/**
 * Virtual time. It moves only when a device, a trace's `tick` or a timer's owner says so, never with the wall clock.
 *
 * Interface: `now` is in nanoseconds since the host was made. `time()` is what an inode's timestamps get: the epoch plus `now`,
 * cut to the clock's granularity (a kernel stamps inodes with the time of its last timer tick: kernel/time/timekeeping.c,
 * ktime_get_coarse_real_ts64), so that two calls within one tick get the very same object.
 *
 * Multigrain timestamps (Linux 6.13): a change after somebody has been told an inode's times gets a finer one where the tick would not
 * tell it apart (`changeTime`). No stamp of the tick is earlier than a fine one that was given before, of whatever inode
 * (ktime_get_coarse_real_ts64_mg), so that the order of changes can be told from their times.
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

/** The time that a change sets. @param now - what it stamps the inode with */
export function timeSet(to: Time | "now", now: Time): Time {
  return to === "now" ? now : to;
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
  /** How fine inode timestamps are. Default 4 ms: CONFIG_HZ=250, with which Debian and, until 24.04, Ubuntu built their kernels, and 6.18 was recorded. */
  readonly granularity?: Nanoseconds;
  /** Whether the kernel has multigrain timestamps. Default false. */
  readonly multigrain?: boolean;
}

export class Clock {
  readonly #epochSeconds: number;
  readonly #granularity: number;
  readonly #multigrain: boolean;
  readonly #timers: Timer[] = [];
  #now = 0;
  #nextTimer = Number.POSITIVE_INFINITY;
  /** What `time` tells until `#timeEnds`. */
  #time: Time = { seconds: 0, nanoseconds: 0 };
  #timeEnds = 0;
  /** The last fine time, and the last that a change got, which no later stamp is before (mg_floor): as `now` tells time; -1: none. */
  #fine = -1;
  #floor = -1;

  constructor(options: ClockOptions = {}) {
    this.#epochSeconds = options.epochSeconds ?? 1_600_000_000;
    this.#granularity = options.granularity ?? 4_000_000;
    this.#multigrain = options.multigrain ?? false;
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
      this.#time = this.#at(Math.max(since, this.#floor));
    }
    return this.#time;
  }

  /** What a program reads from CLOCK_REALTIME. */
  realTime(): Time {
    return this.#at(this.#now);
  }

  /**
   * What a change stamps an inode with whose times somebody was told since its last one, `last` (inode_set_ctime_current): the tick, or the
   * time to the nanosecond where the tick is not later.
   */
  changeTime(last: Time): Time {
    const tick = this.time();
    if (!this.#multigrain || compareTimes(tick, last) > 0) return tick;
    this.#floor = this.#fineNow();
    this.#time = this.#at(this.#floor);
    return this.#time;
  }

  /** What a read stamps such an inode with: fine where the tick is its ctime, and nobody else's floor (current_time). */
  accessTime(ctime: Time): Time {
    const tick = this.time();
    return this.#multigrain && compareTimes(tick, ctime) === 0 ? this.#at(this.#fineNow()) : tick;
  }

  /** The time to the nanosecond. Calls take no virtual time, but no two of a machine see the same, nor any the very tick. */
  #fineNow(): number {
    this.#fine = Math.max(this.#now, this.#fine) + 1;
    return this.#fine;
  }

  #at(since: number): Time {
    return { seconds: this.#epochSeconds + Math.floor(since / NANOS_A_SECOND), nanoseconds: since % NANOS_A_SECOND };
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
