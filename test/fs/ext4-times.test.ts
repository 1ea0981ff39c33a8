import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { putTime, TimeReader } from "../../sim/fs/ext4/times.ts";

const LAST = 2 ** 34 - 1 - 2 ** 31;
const seconds = fc.oneof(
  fc.integer({ min: 1 - 2 ** 31, max: LAST - 1 }),
  fc.constantFrom(1 - 2 ** 31, -1, 0, 2 ** 31, 2 ** 32, LAST - 1),
);
const times = fc.record({ seconds, nanoseconds: fc.integer({ min: 0, max: 999_999_999 }) });

describe("Timestamps of ext4", () => {
  test("from 1901 to 2446 read back as they were put, whatever was read before", () => {
    const reader = new TimeReader();
    fc.assert(
      fc.property(fc.array(times, { minLength: 1, maxLength: 100 }), (list) => {
        const words = new Int32Array(list.length * 2);
        for (const [n, time] of list.entries()) putTime(words, n * 2, time);
        for (const [n, time] of list.entries()) expect(reader.get(words, n * 2)).toEqual(time);
        for (const [n, time] of [...list.entries()].reverse()) expect(reader.get(words, n * 2)).toEqual(time);
      }),
    );
  });

  test.each([
    [-(2 ** 31) - 1, -(2 ** 31)],
    [-(2 ** 31), -(2 ** 31)],
    [LAST, LAST],
    [LAST + 1, LAST],
    [2 ** 40, LAST],
  ])("of %d seconds are kept as %d, without nanoseconds", (given, kept) => {
    const words = new Int32Array(2);
    putTime(words, 0, { seconds: given, nanoseconds: 5 });
    expect(new TimeReader().get(words, 0)).toEqual({ seconds: kept, nanoseconds: 0 });
  });

  test("are the same object for the same words", () => {
    const words = new Int32Array(4);
    putTime(words, 0, { seconds: 5, nanoseconds: 6 });
    putTime(words, 2, { seconds: 5, nanoseconds: 6 });
    const reader = new TimeReader();
    expect(reader.get(words, 0)).toBe(reader.get(words, 2));
  });
});
