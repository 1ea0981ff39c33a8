import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Clock, compareTimes, time, timeFromNanoseconds, timeToNanoseconds } from "../../sim/core/clock.ts";
import { milliseconds, nanoseconds, seconds } from "../../sim/core/units.ts";

describe("Clock", () => {
  it("gives the same timestamp within one tick and a later one in the next", () => {
    const clock = new Clock({ epochSeconds: 100, granularity: milliseconds(4) });
    const first = clock.time();
    clock.spend(nanoseconds(3_999_999));
    expect(clock.time()).toBe(first);
    clock.spend(nanoseconds(1));
    expect(clock.time()).toEqual({ seconds: 100, nanoseconds: 4_000_000 });
    clock.spend(seconds(1));
    expect(clock.time()).toEqual({ seconds: 101, nanoseconds: 4_000_000 });
  });

  it("tells a change from the last one within a tick where it is asked to, by a nanosecond where no time has passed", () => {
    const clock = new Clock({ epochSeconds: 100, granularity: milliseconds(4), multigrain: true });
    const first = clock.time();
    expect(clock.changeTime(first)).toEqual(time(100, 1));
    clock.spend(nanoseconds(70));
    expect(clock.changeTime(clock.time())).toEqual(time(100, 71));
    clock.spend(milliseconds(4));
    expect(clock.changeTime(time(100, 71))).toEqual(time(100, 4_000_000));
  });

  it("stamps nothing earlier than the last fine time of a change, also where that is in the next tick", () => {
    const clock = new Clock({ epochSeconds: 100, granularity: nanoseconds(2), multigrain: true });
    for (let nanos = 1; nanos <= 3; nanos++) expect(clock.changeTime(clock.time())).toEqual(time(100, nanos));
    expect(clock.time()).toEqual(time(100, 3));
    clock.spend(nanoseconds(2));
    expect(clock.time()).toEqual(time(100, 3));
    clock.spend(nanoseconds(2));
    expect(clock.time()).toEqual(time(100, 4));
  });

  it("gives a read a fine time of its own at the tick of the ctime alone, which stamps nothing else", () => {
    const clock = new Clock({ epochSeconds: 100, multigrain: true });
    expect(clock.accessTime(clock.time())).toEqual(time(100, 1));
    expect(clock.time()).toEqual(time(100, 0));
    expect(clock.accessTime(time(99, 5))).toEqual(time(100, 0));
    expect(clock.changeTime(clock.time())).toEqual(time(100, 2));
  });

  it("has the tick alone without multigrain timestamps", () => {
    const clock = new Clock({ epochSeconds: 100 });
    expect(clock.changeTime(clock.time())).toBe(clock.time());
    expect(clock.accessTime(clock.time())).toBe(clock.time());
  });

  it("runs timers in the order of their times, those of one instant in the order they were set", () => {
    const clock = new Clock();
    const ran: string[] = [];
    const note = (name: string) => (): void => {
      ran.push(`${name}@${clock.now}`);
    };
    clock.every(nanoseconds(30), note("a"));
    clock.every(nanoseconds(20), note("b"));
    clock.every(nanoseconds(30), note("c"));
    clock.advance(nanoseconds(60));
    expect(ran).toEqual(["b@20", "a@30", "c@30", "b@40", "a@60", "b@60", "c@60"]);
    expect(clock.now).toBe(60);
  });

  it("runs no timer while time is spent, and those that fell due afterwards, late", () => {
    const clock = new Clock();
    const ran: number[] = [];
    clock.every(nanoseconds(10), () => ran.push(clock.now));
    clock.spend(nanoseconds(25));
    expect(ran).toEqual([]);
    clock.runDueTimers();
    expect(ran).toEqual([25, 25]);
    clock.runDueTimers();
    expect(ran).toHaveLength(2);
    clock.advance(nanoseconds(5));
    expect(ran).toEqual([25, 25, 30]);
  });

  it("lets a timer spend time, set timers and stop itself", () => {
    const clock = new Clock();
    const ran: string[] = [];
    const stop = clock.every(nanoseconds(10), () => {
      ran.push(`first@${clock.now}`);
      clock.spend(nanoseconds(3));
      stop();
      clock.every(nanoseconds(4), () => ran.push(`second@${clock.now}`));
    });
    clock.advance(nanoseconds(20));
    expect(ran).toEqual(["first@10", "second@17"]);
    clock.advance(nanoseconds(1));
    expect(ran).toEqual(["first@10", "second@17", "second@21"]);
  });
});

describe("Time", () => {
  it("goes to nanoseconds since 1970 and back, also before 1970", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 33), max: 2 ** 34 }), fc.nat(999_999_999), (whole, nanos) => {
        expect(timeFromNanoseconds(timeToNanoseconds(time(whole, nanos)))).toEqual({ seconds: whole, nanoseconds: nanos });
      }),
    );
    expect(timeFromNanoseconds(-1n)).toEqual({ seconds: -1, nanoseconds: 999_999_999 });
  });

  it("is ordered as nanoseconds are", () => {
    const point = fc.tuple(fc.integer({ min: -3, max: 3 }), fc.nat(3)).map(([whole, nanos]) => time(whole, nanos));
    fc.assert(
      fc.property(point, point, (one, other) => {
        const gap = timeToNanoseconds(one) - timeToNanoseconds(other);
        expect(Math.sign(compareTimes(one, other))).toBe(Math.sign(Number(gap)));
      }),
    );
    expect(() => time(0, 1_000_000_000)).toThrow("less than a second");
  });
});
