import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FileData } from "../../sim/fs/ext4/file-data.ts";
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
      const file = new FileData();
      const model = new Set<number>();
      for (const { base, at, count, promise } of edits) {
        const start = base + at;
        const before = model.size;
        const ended = promise ? 0 : file.undelay(start, start + count);
        if (promise) file.delay(start, start + count);
        for (let block = start; block < start + count; block++) {
          if (promise) model.add(block);
          else model.delete(block);
        }
        expect(file.delayedBlocks).toBe(model.size);
        if (!promise) expect(ended).toBe(before - model.size);
      }
      const sorted = [...model].sort((one, other) => one - other);
      const visited: number[] = [];
      file.visitPromised((start, end) => {
        for (let block = start; block < end; block++) visited.push(block);
      });
      expect(visited).toEqual(sorted);
      for (const place of PLACES) {
        for (let block = place; block < place + 70; block += 3) {
          expect(file.isPromised(block)).toBe(model.has(block));
          expect(file.nextPromised(block)).toBe(sorted.find((other) => other >= block) ?? Number.POSITIVE_INFINITY);
          let gap = block;
          while (model.has(gap)) gap += 1;
          expect(file.nextUnpromised(block)).toBe(gap);
        }
      }
      expect(file.undelay(0, Number.MAX_SAFE_INTEGER)).toBe(model.size);
      expect(file.delayedBlocks).toBe(0);
    }),
    runs(40),
  );
});
