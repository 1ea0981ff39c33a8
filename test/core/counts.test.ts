import fc from "fast-check";
import { expect, test } from "vitest";
import { Counts } from "../../sim/core/counts.ts";

test("numbers are counted as a Map counts them", () => {
  const step = fc.record({ key: fc.integer({ min: 1, max: 40 }), adds: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const counts = new Counts();
      const model = new Map<number, number>();
      for (const { key, adds } of steps) {
        const before = model.get(key) ?? 0;
        if (adds) {
          counts.add(key);
          model.set(key, before + 1);
        } else {
          expect(counts.drop(key)).toBe(before === 0 ? undefined : before - 1);
          if (before > 1) model.set(key, before - 1);
          else model.delete(key);
        }
        expect(counts.size).toBe(model.size);
        for (let asked = 1; asked <= 40; asked++) expect(counts.of(asked), `count of ${asked}`).toBe(model.get(asked) ?? 0);
      }
      expect(counts.keys()).toEqual([...model.keys()].sort((one, other) => one - other));
    }),
  );
});

test("numbers up to 2^32 - 1 are counted, and more than there were slots for", () => {
  const counts = new Counts();
  for (let key = 2 ** 32 - 1000; key < 2 ** 32; key++) counts.add(key);
  expect(counts.size).toBe(1000);
  expect(counts.of(2 ** 32 - 1)).toBe(1);
  expect(counts.keys()[0]).toBe(2 ** 32 - 1000);
});
