import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PromisedBlocks } from "../../sim/fs/promised-blocks.ts";
import { runs } from "../runs.ts";

/** Blocks are told apart in sets of so many: ranges lie around where three of them meet. */
const SET = 32_768;
const AROUND = 60;
const PLACES: readonly number[] = [0, SET, 2 * SET];

const changes = fc.array(
  fc.record({
    promises: fc.boolean(),
    place: fc.constantFrom(...PLACES),
    from: fc.integer({ min: -AROUND, max: AROUND }),
    count: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(SET, SET + 7)),
  }),
  { maxLength: 40 },
);

test("promised blocks answer as a set of their numbers does, across the bounds of their sets", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const promised = new PromisedBlocks();
      const model = new Set<number>();
      for (const { promises, place, from, count } of list) {
        const start = Math.max(0, place + from);
        const end = start + count;
        if (promises) promised.set(start, end);
        else promised.delete(start, end);
        for (let block = start; block < end; block++) {
          if (promises) model.add(block);
          else model.delete(block);
        }
        expect(promised.covered).toBe(model.size);
        for (const block of [start - 1, start, end - 1, end, place].filter((one) => one >= 0)) {
          expect(promised.has(block)).toBe(model.has(block));
          if (!model.has(block)) continue;
          let first = block;
          while (model.has(first - 1)) first -= 1;
          let last = block;
          while (model.has(last + 1)) last += 1;
          expect([promised.startOf(block), promised.nextGap(block), promised.nextCovered(block)]).toEqual([
            first,
            last + 1,
            block,
          ]);
        }
      }
    }),
    runs(100),
  );
});
