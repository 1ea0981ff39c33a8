/** A long list of extents, which is kept in pieces, beside a plain array of them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExtentPieces } from "../../sim/fs/extent-pieces.ts";
import { runs } from "../runs.ts";

type Extent = readonly [logical: number, length: number, physical: number];

/** Room for others lies between two of them. */
const SPACE = 1000;

function made(count: number): Extent[] {
  return Array.from({ length: count }, (_, index) => [index * SPACE, index % 3 === 0 ? -2 : 2, index] as const);
}

function expectSame(pieces: ExtentPieces, extents: readonly Extent[]): void {
  pieces.check();
  expect(pieces.count).toBe(extents.length);
  expect(pieces.slice(0, extents.length)).toEqual(extents.flat());
  for (let index = 0; index < extents.length; index += 37)
    expect([0, 1, 2].map((column) => pieces.number(index, column))).toEqual(extents[index]);
}

const place = fc.nat(1_000_000).map((n) => n / 1_000_001);
const step = fc.oneof(
  fc.record({ do: fc.constant("insert" as const), at: place, times: fc.constantFrom(1, 1, 600) }),
  fc.record({ do: fc.constant("append" as const), at: place, times: fc.constantFrom(1, 600) }),
  fc.record({ do: fc.constant("remove" as const), at: place, times: fc.constantFrom(1, 2, 300, 700, 1100) }),
  fc.record({ do: fc.constant("set" as const), at: place, times: fc.constant(1) }),
);

test("a list in pieces holds what a plain list holds, whatever comes and goes in it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.array(step, { minLength: 1, maxLength: 12 }), (count, steps) => {
      const extents = made(count);
      const pieces = new ExtentPieces(extents.flat());
      for (const { do: what, at, times } of steps) {
        const index = Math.floor(at * extents.length);
        if (what === "set") {
          const [logical, , physical] = extents[index] as Extent;
          pieces.set(index, 1, 7);
          extents[index] = [logical, 7, physical];
        } else if (what === "remove") {
          // One at least stays.
          const gone = Math.min(times, extents.length - index, extents.length - 1);
          extents.splice(index, gone);
          pieces.remove(index, gone);
        } else
          for (let time = 0; time < times; time++) {
            const to = what === "append" ? extents.length : index + (time % 2);
            extents.splice(to, 0, [time, 1, 2]);
            pieces.insert(to, [time, 1, 2]);
          }
        expectSame(pieces, extents);
      }
    }),
    runs(50),
  );
});

test("the first extent that ends behind a block is found in whichever piece it is", () => {
  const extents = made(3000);
  const pieces = new ExtentPieces(extents.flat());
  for (let index = 0; index < 3000; index += 7) {
    const first = index * SPACE;
    expect([first, first + 1, first + 2].map((block) => pieces.find(block))).toEqual([index, index, index + 1]);
  }
  expect(pieces.find(3000 * SPACE)).toBe(3000);
});
