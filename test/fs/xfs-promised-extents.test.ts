/** What delayed allocation on xfs promises of the tree beside the blocks. What Linux 6.18 sets aside for whole histories: test/data/file-space.json. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { GIB } from "../../sim/core/units.ts";
import { geometryOf, worstTreeBlocks } from "../../sim/fs/xfs/layout.ts";
import { PromisedExtents } from "../../sim/fs/xfs/promised-extents.ts";
import { runs } from "../runs.ts";

const GEOMETRY = geometryOf(GIB(2));
const BLOCKS = 600;
const step = fc.record({
  what: fc.constantFrom("promise", "kept", "dropped"),
  start: fc.nat(BLOCKS - 1),
  count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: BLOCKS })),
});

test("whatever is promised and ended, each range has blocks for its tree, and nothing is left when no block is", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const promised = new PromisedExtents();
      const model = new Set<number>();
      for (const { what, start, count } of steps) {
        const end = Math.min(BLOCKS, start + count);
        const within = Array.from({ length: end - start }, (_, at) => start + at);
        if (what !== "promise") {
          const held = within.filter((block) => model.delete(block)).length;
          expect(promised.end(GEOMETRY, { start, end }, what === "kept" ? "kept" : "dropped")).toBe(held);
        } else if (!within.some((block) => model.has(block))) {
          promised.promise(GEOMETRY, start, end);
          for (const block of within) model.add(block);
        }
        promised.check(GEOMETRY);
        expect(promised.blocks.covered).toBe(model.size);
      }
      promised.end(GEOMETRY, { start: 0, end: BLOCKS }, "dropped");
      expect(promised.indirect).toBe(0);
    }),
    runs(200),
  );
});

test("ranges that become one give back what one of them needs no more", () => {
  const promised = new PromisedExtents();
  const one = worstTreeBlocks(GEOMETRY, 1);
  for (const block of [0, 2, 1]) promised.promise(GEOMETRY, block, block + 1);
  expect(promised.indirect).toBe(one);
});

test("halves of what was dropped in between share what there was, those of what has its place have all that they may need", () => {
  const [kept, dropped] = [new PromisedExtents(), new PromisedExtents()];
  const one = worstTreeBlocks(GEOMETRY, 100);
  for (const promised of [kept, dropped]) promised.promise(GEOMETRY, 0, 100);
  kept.end(GEOMETRY, { start: 50, end: 51 }, "kept");
  dropped.end(GEOMETRY, { start: 50, end: 51 }, "dropped");
  expect([kept.indirect, dropped.indirect]).toEqual([2 * one, one + 1]);
});
