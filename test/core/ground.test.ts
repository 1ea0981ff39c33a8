import { constants } from "node:os";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assert, InvariantError } from "../../sim/core/assert.ts";
import { difference, snapshot } from "../../sim/core/counters.ts";
import { EIO, ENOENT, Errno, isErrno } from "../../sim/core/errno.ts";
import { EventStream, type StampedEvent } from "../../sim/core/events.ts";
import { Random } from "../../sim/core/random.ts";
import * as units from "../../sim/core/units.ts";

describe("Errno", () => {
  it("has the numbers of Linux", () => {
    const numbers = Object.fromEntries(Errno.all().map((errno) => [errno.code, errno.number]));
    const linux = Object.entries(constants.errno).filter(([code]) => code in numbers);
    // Node knows no ENOTBLK and EUCLEAN.
    const unknown = Object.keys(numbers).filter((code) => !(code in constants.errno));
    expect(numbers).toEqual({
      ...Object.fromEntries(linux),
      ...Object.fromEntries(unknown.map((code) => [code, numbers[code]])),
    });
    expect(unknown.sort()).toEqual(["ENOTBLK", "EUCLEAN"]);
    expect([numbers["ENOTBLK"], numbers["EUCLEAN"]]).toEqual([15, 117]);
  });

  it("is one frozen object for each code", () => {
    expect(Errno.named("ENOENT")).toBe(ENOENT);
    expect(Errno.named("ENONSENSE")).toBeUndefined();
    expect(Object.isFrozen(ENOENT)).toBe(true);
    expect(isErrno(EIO)).toBe(true);
    expect(isErrno(5)).toBe(false);
    expect(`${EIO}`).toBe("EIO");
  });
});

describe("Random", () => {
  it("gives the same numbers for the same seed, others for the next one", () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.uint32());
    };
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    expect(draw(5)).not.toEqual(draw(5 + 2 ** 40));
  });

  it("stays within the limits and reaches all of them about equally often", () => {
    const random = new Random(1);
    const seen = new Array<number>(10).fill(0);
    for (let n = 0; n < 10_000; n++) {
      const value = random.below(10);
      seen[value] = (seen[value] as number) + 1;
    }
    expect(seen).toHaveLength(10);
    for (const count of seen) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(random.bytes(16)).toHaveLength(16);
    expect(random.pick(["only"])).toBe("only");
    expect(() => random.pick([])).toThrow(RangeError);
  });
});

describe("EventStream", () => {
  it("stamps events with the step and the time, and listens only while somebody does", () => {
    let now = 7;
    const events = new EventStream(() => now);
    const heard: StampedEvent[] = [];
    expect(events.listening).toBe(false);
    const first = events.subscribe((stamped) => heard.push(stamped));
    const second = events.subscribe(() => undefined);
    events.step = 3;
    events.emit({ op: "deviceFlush", device: "vda" });
    first();
    first();
    now = 9;
    events.emit({ op: "deviceFlush", device: "vdb" });
    expect(events.listening).toBe(true);
    second();
    expect(events.listening).toBe(false);
    expect(heard).toEqual([{ step: 3, now: 7, event: { op: "deviceFlush", device: "vda" } }]);
  });
});

describe("Counters", () => {
  it("tell what was counted between two snapshots", () => {
    const counters = { reads: 1, writes: 5 };
    const before = snapshot(counters);
    counters.writes += 2;
    expect(difference(before, counters)).toEqual({ reads: 0, writes: 2 });
    expect(before).toEqual({ reads: 1, writes: 5 });
  });
});

describe("units", () => {
  it("refuse fractions, negative numbers and numbers above 2^53 - 1", () => {
    for (const wrong of [0.5, -1, 2 ** 53, Number.NaN]) {
      expect(() => units.bytes(wrong)).toThrow(InvariantError);
      expect(() => units.blockNumber(wrong)).toThrow("a block number must be a whole number");
    }
    expect(units.KIB(0.5)).toBe(512);
    expect(units.TIB(16)).toBe(2 ** 44);
    expect(units.nanoseconds(1.9)).toBe(1);
  });

  it("divide into blocks and put together again", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), fc.constantFrom(512, 4096, 65_536), (offset, size) => {
        expect(units.startOf(units.blockOf(offset, size), size) + units.offsetIn(offset, size)).toBe(offset);
        expect(units.blocksFor(offset, size) * size).toBe(units.alignUp(offset, size));
        expect(units.alignDown(offset, size)).toBe(units.blockOf(offset, size) * size);
      }),
    );
  });

  it("pack a device number as the kernel does", () => {
    const device = units.deviceNumber(253, 7);
    expect(device).toBe((253 << 20) | 7);
    expect([units.majorOf(device), units.minorOf(device)]).toEqual([253, 7]);
    expect(() => units.deviceNumber(4096, 0)).toThrow("4096:0");
  });
});

describe("assert", () => {
  it("throws an InvariantError with the message when the rule is broken", () => {
    expect(() => assert(true, "fine")).not.toThrow();
    expect(() => assert(false, "ThinPool lost a block")).toThrow(new InvariantError("ThinPool lost a block"));
  });
});
