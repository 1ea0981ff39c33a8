import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PromisedBlocks } from "../../sim/fs/ext4/promised-blocks.ts";
import { runs } from "../runs.ts";

/** Blocks that are looked at: around the borders of two sets of 32,768, and one far away. */
const PLACES = [0, 32_740, 65_520, 1_000_000];

const edit = fc.record({
  base: fc.constantFrom(...PLACES),
  at: fc.nat(60),
  count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 40_000 })),
  promise: fc.boolean(),
});

test("promised blocks are those of a plain set, whatever was promised and ended", () => {
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 25 }), (edits) => {
      const promised = new PromisedBlocks();
      const model = new Set<number>();
      for (const { base, at, count, promise } of edits) {
        const start = base + at;
        if (promise) promised.set(start, start + count);
        else promised.delete(start, start + count);
        for (let block = start; block < start + count; block++) {
          if (promise) model.add(block);
          else model.delete(block);
        }
        expect(promised.covered).toBe(model.size);
      }
      const sorted = [...model].sort((one, other) => one - other);
      const visited: number[] = [];
      promised.visit((start, end) => {
        for (let block = start; block < end; block++) visited.push(block);
      });
      expect(visited).toEqual(sorted);
      for (const place of PLACES) {
        for (let block = place; block < place + 70; block += 3) {
          expect(promised.has(block)).toBe(model.has(block));
          expect(promised.nextCovered(block)).toBe(sorted.find((other) => other >= block));
          let gap = block;
          while (model.has(gap)) gap += 1;
          expect(promised.nextGap(block)).toBe(gap);
        }
      }
      promised.delete(0, Number.MAX_SAFE_INTEGER);
      expect(promised.covered).toBe(0);
    }),
    runs(60),
  );
});
