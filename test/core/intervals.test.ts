import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Range } from "../../sim/core/interval-leaf.ts";
import { IntervalMap } from "../../sim/core/intervals.ts";
import { runs } from "../runs.ts";

/** Units that edits begin in. The first leaf holds 128 ranges. */
const SPAN = 400;

/** The naive model: one cell a unit. A value is what unit it would have at place 0, so that a slice is an addition. */
type Cells = (number | undefined)[];

type Edit =
  | { readonly edit: "set"; readonly start: number; readonly length: number; readonly base: number }
  | { readonly edit: "delete"; readonly start: number; readonly length: number }
  | { readonly edit: "clone" };

const edits: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      edit: fc.constant("set" as const),
      start: fc.nat(SPAN - 1),
      length: fc.oneof(fc.constant(1), fc.nat(6), fc.nat(150)),
      base: fc.integer({ min: -2, max: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ edit: fc.constant("delete" as const), start: fc.nat(SPAN - 1), length: fc.nat(120) }),
  },
  { weight: 1, arbitrary: fc.constant({ edit: "clone" as const }) },
);

/** Values that run along: a range [start, end) of value v has v + n at its unit n. Neighbours join when they run on. */
function runningMap(joining: boolean): IntervalMap<Run> {
  return new IntervalMap<Run>(
    (run, from, to) => ({ first: run.first + from, length: to - from }),
    joining
      ? (left, right) =>
          left.first + left.length === right.first ? { first: left.first, length: left.length + right.length } : undefined
      : undefined,
  );
}
interface Run {
  readonly first: number;
  readonly length: number;
}

function cellsOf(map: IntervalMap<Run>, start: number, end: number): Cells {
  const cells: Cells = new Array<number | undefined>(Math.max(end, SPAN * 2)).fill(undefined);
  map.visit(start, end, (from, to, run) => {
    expect(run.length).toBe(to - from);
    for (let at = from; at < to; at++) cells[at] = run.first + at - from;
  });
  return cells;
}

function applyTo(map: IntervalMap<Run>, cells: Cells, edit: Edit): IntervalMap<Run> {
  if (edit.edit === "clone") return map.clone();
  const end = edit.start + edit.length;
  if (edit.edit === "set") {
    map.set(edit.start, end, { first: edit.start + edit.base * 1000, length: edit.length });
    for (let at = edit.start; at < end; at++) cells[at] = at + edit.base * 1000;
  } else {
    map.delete(edit.start, end);
    for (let at = edit.start; at < end; at++) cells[at] = undefined;
  }
  return map;
}

/** How many ranges the cells make when touching runs of one base are one. */
function joinedRanges(cells: Cells): number {
  return cells.filter((cell, at) => cell !== undefined && (at === 0 || cells[at - 1] !== cell - 1)).length;
}

describe("IntervalMap", () => {
  for (const joining of [false, true]) {
    it(`holds what an array of cells holds after any edits${joining ? ", in as few ranges as can be" : ""}`, () => {
      fc.assert(
        fc.property(fc.array(edits, { maxLength: 60 }), fc.nat(SPAN), fc.nat(SPAN), (list, start, length) => {
          let map = runningMap(joining);
          const cells: Cells = new Array<number | undefined>(SPAN * 2).fill(undefined);
          for (const edit of list) {
            map = applyTo(map, cells, edit);
            map.check();
          }
          expect(cellsOf(map, 0, SPAN * 2)).toEqual(cells);
          expect(map.covered).toBe(cells.filter((cell) => cell !== undefined).length);
          if (joining) expect(map.size).toBe(joinedRanges(cells));
          const clipped = cells.map((cell, at) => (at >= start && at < start + length ? cell : undefined));
          expect(cellsOf(map, start, start + length)).toEqual(clipped);
        }),
        runs(300),
      );
    });
  }

  it("finds ranges, gaps and the next covered unit where an array of cells has them", () => {
    fc.assert(
      fc.property(fc.array(edits, { maxLength: 30 }), fc.nat(SPAN), (list, at) => {
        let map = runningMap(false);
        const cells: Cells = new Array<number | undefined>(SPAN * 2).fill(undefined);
        for (const edit of list) map = applyTo(map, cells, edit);
        const found = map.find(at);
        expect(found === undefined ? undefined : found.value.first + at - found.start).toBe(cells[at]);
        expect(map.get(at)).toBe(found?.value);
        const covered = cells.findIndex((cell, place) => place >= at && cell !== undefined);
        expect(map.nextCovered(at)).toBe(covered < 0 ? undefined : covered);
        expect(map.nextGap(at)).toBe(cells.findIndex((cell, place) => place >= at && cell === undefined));
        const range: Range<Run> = { start: 0, end: 0, value: { first: 0, length: 0 } };
        expect(map.next(at, range)).toBe(covered >= 0);
        if (covered >= 0) expect(range).toEqual(map.find(covered));
      }),
    );
  });

  it("holds what an array of cells holds when edits cross many leaves, joined or not", () => {
    const far = fc.array(
      fc.record({
        edit: fc.constantFrom("set" as const, "set" as const, "delete" as const),
        start: fc.nat(SPAN * 2 - 1),
        length: fc.oneof(fc.constant(1), fc.nat(700)),
        base: fc.constantFrom(0, 1),
      }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(far, fc.boolean(), fc.integer({ min: 2, max: 3 }), (list, joining, apart) => {
        let map = runningMap(joining);
        const cells: Cells = new Array<number | undefined>(SPAN * 4).fill(undefined);
        const clones: { map: IntervalMap<Run>; cells: Cells }[] = [];
        const many = Math.floor((SPAN * 2) / apart);
        for (let n = 0; n < many; n++)
          applyTo(map, cells, { edit: "set", start: ((n * 331) % many) * apart, length: 1, base: 0 });
        for (const edit of list) {
          clones.push({ map, cells: [...cells] });
          map = map.clone();
          applyTo(map, cells, edit);
          map.check();
        }
        for (const clone of [...clones, { map, cells }]) {
          expect(cellsOf(clone.map, 0, SPAN * 4)).toEqual(clone.cells);
          if (joining) expect(clone.map.size).toBe(joinedRanges(clone.cells));
        }
      }),
      runs(40),
    );
  });

  it("grows to many leaves and shrinks to none", () => {
    const map = new IntervalMap<number>();
    const order = Array.from({ length: 5000 }, (_, n) => (n * 2741) % 5000);
    for (const n of order) map.set(3 * n, 3 * n + 2, n);
    map.check();
    expect(map.size).toBe(5000);
    expect(map.get(3 * 1234 + 1)).toBe(1234);
    map.delete(1000, 14_000);
    map.check();
    expect(map.nextCovered(1000)).toBe(14_001);
    for (const n of order) map.delete(3 * n, 3 * n + 3);
    map.check();
    expect(map.size).toBe(0);
    expect(map.covered).toBe(0);
  });

  it("drops a leaf whose only range joins the last one of the leaf before", () => {
    for (const count of [129, 257]) {
      const map = new IntervalMap<string>(undefined, (left, right) => (left === right ? left : undefined));
      for (let n = 0; n < count; n++) map.set(2 * n, 2 * n + 1, "same");
      map.set(2 * count - 3, 2 * count - 2, "same");
      map.check();
      expect(map.size).toBe(count - 1);
      expect(map.find(2 * count - 2)).toEqual({ start: 2 * count - 4, end: 2 * count - 1, value: "same" });
    }
  });

  it("keeps a clone as it was while the original changes, and the other way round", () => {
    const map = new IntervalMap<string>();
    for (let n = 0; n < 1000; n++) map.set(2 * n, 2 * n + 1, `old ${n}`);
    const clone = map.clone();
    map.set(100, 1500, "new");
    clone.delete(0, 50);
    map.check();
    clone.check();
    expect(clone.get(200)).toBe("old 100");
    expect(map.get(200)).toBe("new");
    expect(map.get(20)).toBe("old 10");
    expect(clone.get(20)).toBeUndefined();
  });

  it("holds ranges up to 2^53 - 1", () => {
    const map = new IntervalMap<string>();
    map.set(2 ** 52, Number.MAX_SAFE_INTEGER, "far");
    map.delete(2 ** 52 + 1, 2 ** 52 + 2);
    expect(map.get(2 ** 52)).toBe("far");
    expect(map.get(2 ** 52 + 1)).toBeUndefined();
    expect(map.size).toBe(2);
    map.check();
  });
});
