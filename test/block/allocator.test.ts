import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockBitmap } from "../../sim/block/allocator.ts";
import { runs } from "../runs.ts";

/** The model: one boolean a block, true for free. */
function firstRun(model: readonly boolean[], from: number, to: number, wanted: number): number | undefined {
  for (let start = from; start + wanted <= to; start++) {
    if (model.slice(start, start + wanted).every((free) => free)) return start;
  }
  return undefined;
}

function freeIn(model: readonly boolean[], from: number): number | undefined {
  const found = model.findIndex((free, block) => free && block >= from);
  return found < 0 ? undefined : found;
}

const calls = fc.array(
  fc.record({
    call: fc.constantFrom("first", "near", "run", "take", "free"),
    at: fc.nat(3000),
    count: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 1500 })),
  }),
  { maxLength: 60 },
);

function nearInModel(model: readonly boolean[], goal: number, wanted: number): { start: number; count: number } | undefined {
  const start = freeIn(model, goal) ?? freeIn(model, 0);
  if (start === undefined) return undefined;
  let count = 1;
  while (count < wanted && model[start + count] === true) count += 1;
  return { start, count };
}

describe("BlockBitmap", () => {
  it("takes and frees what an array of booleans would, in any order of calls", () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 31, 32, 33, 1024, 1025, 2777), calls, (size, list) => {
        const bitmap = new BlockBitmap(size);
        const model: boolean[] = new Array<boolean>(size).fill(true);
        for (const { call, at, count } of list) {
          const start = at % size;
          const end = Math.min(size, start + count);
          if (call === "first") {
            const block = freeIn(model, 0);
            expect(bitmap.allocateFirst()).toBe(block);
            if (block !== undefined) model[block] = false;
          } else if (call === "near") {
            const run = nearInModel(model, start, count);
            expect(bitmap.allocateNear(start, count)).toEqual(run);
            if (run !== undefined) model.fill(false, run.start, run.start + run.count);
          } else if (call === "run") {
            const run = firstRun(model, start, size, count) ?? firstRun(model, 0, size, count);
            expect(bitmap.allocateRun(count, start)).toBe(run);
            if (run !== undefined) model.fill(false, run, run + count);
          } else if (call === "take") {
            const free = model.slice(start, end).every((cell) => cell);
            expect(bitmap.isRunFree(start, end - start)).toBe(free);
            if (free) bitmap.take(start, end - start);
            if (free) model.fill(false, start, end);
          } else if (model.slice(start, end).every((cell) => !cell)) {
            bitmap.free(start, end - start);
            model.fill(true, start, end);
          }
          bitmap.check();
        }
        expect(bitmap.freeCount).toBe(model.filter((free) => free).length);
        expect(model.map((_, block) => bitmap.isFree(block))).toEqual(model);
        const visited: boolean[] = new Array<boolean>(size).fill(false);
        bitmap.visitFree((start, count) => visited.fill(true, start, start + count));
        expect(visited).toEqual(model);
      }),
      runs(200),
    );
  });

  it("throws when a used block is taken or a free one freed", () => {
    const bitmap = new BlockBitmap(100);
    bitmap.take(10, 50);
    expect(() => bitmap.take(59, 2)).toThrow("block 59 is used already");
    expect(() => bitmap.free(59, 2)).toThrow("block 60 is free already");
    expect(() => bitmap.take(99, 2)).toThrow("leave a bitmap of 100");
    bitmap.check();
  });

  it("finds the one free block of 2^24", () => {
    const bitmap = new BlockBitmap(2 ** 24);
    bitmap.take(0, 2 ** 24);
    expect(bitmap.allocateFirst()).toBeUndefined();
    expect(bitmap.allocateNear(5, 3)).toBeUndefined();
    bitmap.free(12_345_678, 1);
    bitmap.check();
    expect(bitmap.allocateRun(2)).toBeUndefined();
    expect(bitmap.allocateNear(13_000_000, 8)).toEqual({ start: 12_345_678, count: 1 });
    expect(bitmap.freeCount).toBe(0);
  });

  it("bounds the longest run after a search failed, and raises the bound when blocks come back", () => {
    const bitmap = new BlockBitmap(64);
    bitmap.take(0, 64);
    for (let block = 0; block < 64; block += 2) bitmap.free(block, 1);
    expect(bitmap.allocateRun(2)).toBeUndefined();
    expect(bitmap.longestRun).toBe(1);
    bitmap.free(33, 1);
    expect(bitmap.longestRun).toBe(3);
    expect(bitmap.allocateRun(3)).toBe(32);
  });
});
