import fc from "fast-check";
import { expect, test } from "vitest";
import { UndoLog } from "../../sim/cow/undo-log.ts";

test("a log tells all numbers in the order in which they came, one by one or as arrays", () => {
  const numbers = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 200, size: "max" });
  const come = fc.oneof({ weight: 3, arbitrary: fc.nat(1000) }, numbers);
  fc.assert(
    fc.property(fc.array(come, { maxLength: 60, size: "max" }), (coming) => {
      const log = new UndoLog();
      const expected: number[] = [];
      for (const some of coming) {
        if (typeof some === "number") log.push(some);
        else log.add(some);
        expected.push(...[some].flat());
        expect(log.length).toBe(expected.length);
      }
      expect(log.all()).toEqual(expected);
      expect(log.all()).toEqual(expected);
    }),
  );
});

test("a log of a thousand numbers keeps them all", () => {
  const log = new UndoLog();
  for (let number = 0; number < 1000; number++) log.push(number);
  expect(log.all()).toEqual(Array.from({ length: 1000 }, (_, number) => number));
});
