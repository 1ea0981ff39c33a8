/** What ExtentList tells of extents that follow each other, beside a walk over them one by one. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ExtentList } from "../../sim/fs/extent-list.ts";
import { runs } from "../runs.ts";

const LIMITS = { written: 8, unwritten: 7 } as const;
const GROWTH = { changed: () => undefined } as const;

interface Part {
  readonly hole: number;
  readonly jump: number;
  readonly count: number;
  readonly unwritten: boolean;
}

function listOf(parts: readonly Part[]): ExtentList {
  const list = new ExtentList(LIMITS);
  let logical = 0;
  let physical = 100;
  for (const { hole, jump, count, unwritten } of parts) {
    logical += hole;
    physical += jump;
    list.insert({ logical, physical, count, unwritten, piece: 4 }, GROWTH);
    logical += count;
    physical += count;
  }
  expect(list.fault()).toBeUndefined();
  return list;
}

/** Mostly neighbours, so that runs of extents alike come up. */
const PARTS = fc.array(
  fc.record({
    hole: fc.constantFrom(0, 0, 0, 0, 1),
    jump: fc.constantFrom(0, 0, 0, 0, 3),
    count: fc.constantFrom(1, 7, 8, 16, 30),
    unwritten: fc.constantFrom(false, false, false, true),
  }),
  { minLength: 1, maxLength: 8 },
);

function alikeOneByOne(list: ExtentList, index: number, end: number): number {
  let count = 1;
  for (let at = index + 1; at < list.count && list.end(at) <= end; at++, count++) {
    const same = list.length(at) === list.length(index) && list.isUnwritten(at) === list.isUnwritten(index);
    const follows = list.logical(at) === list.end(at - 1) && list.physical(at) === list.physical(at - 1) + list.length(at - 1);
    if (!same || !follows) break;
  }
  return count;
}

test("extents alike are as many as follow each other with the same length, before the end", () => {
  let most = 0;
  fc.assert(
    fc.property(PARTS, fc.nat(120), (parts, end) => {
      const list = listOf(parts);
      for (let index = 0; index < list.count; index++) {
        const alike = list.alike(index, end);
        expect(alike).toBe(alikeOneByOne(list, index, end));
        most = Math.max(most, alike);
      }
    }),
    runs(300),
  );
  expect(most).toBeGreaterThan(2);
});

test("written extents go on until the file has a hole, or an extent that is not written", () => {
  fc.assert(
    fc.property(PARTS, (parts) => {
      const list = listOf(parts);
      for (let index = 0; index < list.count; index++) {
        if (list.isUnwritten(index)) continue;
        let end = list.logical(index);
        while (list.isWritten(end)) end += 1;
        expect(list.endOfWritten(index)).toBe(end);
      }
    }),
    runs(200),
  );
});

test("blocks that come by requests make the same extents at once and one request after the other", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.boolean(), (first, second, unwritten) => {
      const atOnce = new ExtentList(LIMITS);
      const oneByOne = new ExtentList(LIMITS);
      for (const [logical, count] of [
        [0, first],
        [first, second],
      ] as const) {
        atOnce.insert({ logical, physical: 100 + logical, count, unwritten, piece: 4 }, GROWTH);
        for (let done = 0; done < count; done += 4) {
          const part = Math.min(4, count - done);
          const run = { logical: logical + done, physical: 100 + logical + done, count: part, unwritten, piece: 4 };
          oneByOne.insert(run, GROWTH);
        }
      }
      expect(atOnce.items).toEqual(oneByOne.items);
    }),
    runs(300),
  );
});

test("a list tells the same of its extents however long it becomes, and when it is short again", () => {
  const list = new ExtentList(LIMITS);
  const starts: number[] = [];
  let at = 1;
  for (let made = 0; made < 3000; made++) {
    do at = (at * 16_807) % 2_147_483_647;
    while (starts.includes(at % 100_000));
    starts.push(at % 100_000);
    list.insert({ logical: (at % 100_000) * 4, physical: (at % 100_000) * 8, count: 2, unwritten: made % 2 === 1 }, GROWTH);
  }
  const expectAll = (kept: readonly number[]): void => {
    expect(list.count).toBe(kept.length);
    expect(kept.map((_, index) => [list.logical(index), list.length(index), list.physical(index)])).toEqual(
      kept.map((start) => [start * 4, 2, start * 8]),
    );
    expect(kept.every((start, index) => list.find(start * 4 + 1) === index && !list.has(start * 4 + 2))).toBe(true);
    expect(list.fault()).toBeUndefined();
  };
  starts.sort((one, other) => one - other);
  expectAll(starts);
  const end = (starts[100] as number) * 4;
  let freed = 0;
  list.remove(
    end,
    400_000,
    (_, count) => {
      freed += count;
    },
    GROWTH,
  );
  expect(freed).toBe(2900 * 2);
  expectAll(starts.slice(0, 100));
  expect(list.items).toHaveLength(300);
});
