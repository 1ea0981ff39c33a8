import fc from "fast-check";
import { expect, test } from "vitest";
import type { Name } from "../../sim/core/names.ts";
import { EntryMap } from "../../sim/vfs/entry-map.ts";
import { FIRST_SLOTS, homeOf, SlotBlocks, stepsFrom, widerThan } from "../../sim/vfs/slot-blocks.ts";
import { runs } from "../runs.ts";

/** The sizes that a growing table's blocks have. */
function sizes(count: number): number[] {
  const found = [FIRST_SLOTS];
  while (found.length < count) found.push(widerThan(found.at(-1) as number));
  return found;
}

test("a growing table's blocks have 4, 8, 16 … slots, from 1,024 on also 1,536, 3,072 …", () => {
  expect(sizes(13)).toEqual([4, 8, 16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096]);
});

test.each(sizes(24))("keys spread over %i slots: no eighth of them is home to twice its share", (slots) => {
  const keys = 8192;
  const homes = new Uint32Array(8);
  for (let key = 1; key <= keys; key++) {
    const home = homeOf(key, slots);
    if (home < 0 || home >= slots || !Number.isInteger(home)) throw new Error(`slot ${home} of ${slots}`);
    const eighth = Math.floor((home * 8) / slots);
    homes[eighth] = (homes[eighth] as number) + 1;
  }
  const most = Math.max(...homes) / (keys / 8);
  expect(most).toBeLessThan(slots === 4 ? 2.1 : 1.3);
});

test("steps from one slot to another go around the end", () => {
  expect(stepsFrom(2, 5, 6)).toBe(3);
  expect(stepsFrom(5, 1, 6)).toBe(2);
  expect(stepsFrom(3, 3, 6)).toBe(0);
});

test("blocks that are taken are zeros and share no word, whatever was given back before", () => {
  const step = fc.record({ size: fc.integer({ min: 0, max: 11 }), giveBack: fc.option(fc.nat(20), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { size: "max", maxLength: 60 }), fc.constantFrom(1, 2, 3), (steps, width) => {
      const blocks = new SlotBlocks(width);
      const taken: { readonly start: number; readonly slots: number; readonly mark: number }[] = [];
      let mark = 0;
      for (const { size, giveBack } of steps) {
        if (giveBack !== undefined && taken.length > 0) {
          const [given] = taken.splice(giveBack % taken.length, 1);
          if (given !== undefined) blocks.give(given.start, given.slots);
        }
        const slots = sizes(12)[size] as number;
        const start = blocks.take(slots);
        const words = blocks.words.subarray(start, start + slots * width);
        expect(words.length).toBe(slots * width);
        expect(words.every((word) => word === 0)).toBe(true);
        mark += 1;
        words.fill(mark);
        taken.push({ start, slots, mark });
      }
      for (const { start, slots, mark: own } of taken)
        expect(blocks.words.subarray(start, start + slots * width).every((word) => word === own)).toBe(true);
      expect(blocks.isNothingEmpty).toBe(true);
    }),
    runs(60),
  );
});

test("a block that another table has outgrown serves the next one, whole or in parts", () => {
  const blocks = new SlotBlocks(2);
  const large = blocks.take(3072);
  blocks.give(large, 3072);
  const end = blocks.words.length;
  const starts = [1536, 1024, 512].map((slots) => blocks.take(slots));
  expect(starts.every((start) => start >= large && start < large + 3072 * 2)).toBe(true);
  expect(blocks.words.length).toBe(end);
});

test("a single table that grows comes back to what its large blocks left: never more than 2.6 times the words that it has", () => {
  const blocks = new SlotBlocks(2);
  let [start, slots] = [blocks.take(FIRST_SLOTS), FIRST_SLOTS];
  const ends: number[] = [];
  let end = 0;
  while (slots < 2 ** 18) {
    const wider = widerThan(slots);
    const next = blocks.take(wider);
    blocks.give(start, slots);
    [start, slots] = [next, wider];
    end = Math.max(end, next + wider * 2);
    if (slots > 4096) ends.push(end / (slots * 2));
  }
  expect(Math.max(...ends)).toBeLessThan(2.6);
});

test("a directory of many names finds each while it grows and shrinks", () => {
  const map = new EntryMap();
  const names = 20_000;
  // Names are hashes: numbers all over.
  const name = (index: number): Name => (Math.imul(index, 0x2c1b3c6d) & 0x7fff_ffff) as Name;
  for (let index = 1; index <= names; index++) expect(map.put(7, name(index), index)).toBe(0);
  map.check();
  for (let index = 1; index <= names; index += 2) expect(map.remove(7, name(index))).toBe(index);
  map.check();
  for (let index = 1; index <= names; index++) expect(map.lookup(7, name(index))).toBe(index % 2 === 0 ? index : 0);
});
