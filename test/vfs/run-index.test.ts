/** The index of a mapping's runs finds what a sorted list of their first pages finds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { RunIndex } from "../../sim/vfs/run-index.ts";
import { runs } from "../runs.ts";

/** Pages near each other, far apart, and beyond 32 bits. */
const page = fc.oneof(
  fc.integer({ min: 0, max: 70 }),
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 0, max: 2 ** 18 }),
  fc.constantFrom(0, 31, 32, 1023, 1024, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, 2 ** 51 - 1),
);
const step = fc.record({ removes: fc.boolean(), page });

test("A search finds the nearest first page at or before a page, and the nearest behind it, whatever was added and removed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: "max" }), fc.array(page, { maxLength: 12 }), (steps, asked) => {
      const index = new RunIndex();
      const first = new Float64Array(steps.length + 1);
      const rows = new Map<number, number>();
      let next = 1;
      for (const { removes, page: at } of steps) {
        const known = rows.get(at);
        if (removes && known !== undefined) {
          index.remove(first, known);
          rows.delete(at);
        } else if (known === undefined) {
          first[next] = at;
          // A writer looks before it adds; others do not.
          if (removes) index.below(at);
          index.add(first, next);
          rows.set(at, next);
          next += 1;
        }
        const pages = [...rows.keys()].sort((one, other) => one - other);
        expect(index.size).toBe(pages.length);
        for (const sought of [-1, at - 1, at, at + 1, ...asked, ...pages.slice(0, 3), 2 ** 52]) {
          const below = pages.findLast((candidate) => candidate <= sought);
          const above = pages.find((candidate) => candidate > sought);
          expect([sought, index.below(sought), index.above(sought)]).toEqual([
            sought,
            below === undefined ? 0 : rows.get(below),
            above === undefined ? 0 : rows.get(above),
          ]);
        }
      }
    }),
    runs(60),
  );
});

test("What a search remembers of its place does not outlive an addition or a removal there", () => {
  const first = Float64Array.from({ length: 80 }, (_, row) => row - 1);
  const index = new RunIndex();
  for (const row of [1, 2, 70]) index.add(first, row);
  index.below(1);
  for (let row = 3; row <= 20; row++) index.add(first, row);
  for (let row = 1; row <= 20; row++) expect(index.below(row - 1)).toBe(row);
  index.below(5);
  for (let row = 1; row <= 20; row++) index.remove(first, row);
  for (let row = 1; row <= 20; row++) index.add(first, row);
  for (let row = 40; row <= 50; row++) index.add(first, row);
  for (let row = 1; row <= 20; row++) expect([index.below(row - 1), index.above(row - 2)]).toEqual([row, row]);
  for (let row = 40; row <= 50; row++) expect(index.below(row - 1)).toBe(row);
});

test("A run that is not in the index cannot be taken out", () => {
  const index = new RunIndex();
  const first = Float64Array.of(0, 7, 7, 40);
  index.add(first, 1);
  expect(() => index.remove(first, 2)).toThrow("not in its mapping's index");
  expect(() => index.remove(first, 3)).toThrow("not in its mapping's index");
});
