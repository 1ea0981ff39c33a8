import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BlockBitmap } from "../../sim/block/allocator.ts";
import { FreeRuns } from "../../sim/block/free-runs.ts";
import { runs } from "../runs.ts";

const SIZE = 200;

const changes = fc.array(fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: 60 })), { maxLength: 40 });

test("runs of free blocks answer as a bitmap of them does, whatever was taken and freed", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const free = new FreeRuns(SIZE);
      const bitmap = new BlockBitmap(SIZE);
      for (const [start, count] of list) {
        const length = Math.min(count, SIZE - start);
        if (bitmap.isRunFree(start, length)) {
          bitmap.take(start, length);
          free.take(start, length);
        } else if ((bitmap.nextFree(start) ?? SIZE) >= start + length) {
          bitmap.free(start, length);
          free.free(start, length);
        } else {
          expect(() => free.take(start, length)).toThrow();
          expect(() => free.free(start, length)).toThrow();
        }
        free.check();
        expect(free.freeCount).toBe(bitmap.freeCount);
        expect([free.isFree(start), free.nextFree(start), free.nextUsed(start)]).toEqual([
          bitmap.isFree(start),
          bitmap.nextFree(start),
          bitmap.nextUsed(start),
        ]);
        expect(free.findRun(count, start)).toBe(bitmap.findRun(count, start));
      }
      const same = free.toBitmap();
      same.check();
      for (let block = 0; block < SIZE; block++) expect(same.isFree(block)).toBe(bitmap.isFree(block));
      expect(free.longestRun).toBeLessThanOrEqual(bitmap.longestRun);
    }),
    runs(200),
  );
});

test("nothing behind the end is taken or freed", () => {
  const free = new FreeRuns(SIZE);
  expect(() => free.take(SIZE - 1, 2)).toThrow();
  free.take(SIZE - 2, 2);
  expect(() => free.free(SIZE - 1, 2)).toThrow();
});
