import { expect, test } from "vitest";
import { changesOf, Deltas } from "../../sim/cow/deltas.ts";
import type { Reference } from "../../sim/cow/extent.ts";

const reference = (tree: number, count = 1): Reference => ({ parent: 0, tree, object: 0, offset: 0, count });
/** Places that lie behind each other, and others that lie far away. */
const startOf = (index: number): number => (index % 2 === 0 ? index * 4096 : 2 ** 41 + index * 16_384);

test("however many extents have changed, each is found, and all are taken in the order of their places", () => {
  const deltas = new Deltas();
  for (let index = 0; index < 5000; index++) deltas.add(startOf(index), reference(index));
  for (let index = 0; index < 5000; index++) expect(deltas.get(startOf(index))?.change?.tree).toBe(index);
  expect(deltas.get(4096)).toBeUndefined();
  expect(deltas.left).toBe(5000);
  expect(deltas.starts()).toEqual(Array.from({ length: 5000 }, (_, index) => startOf(index)));
  const places = Array.from({ length: 5000 }, (_, index) => startOf(index)).sort((one, other) => one - other);
  for (const place of places) expect(deltas.take()?.start).toBe(place);
  expect(deltas.take()).toBeUndefined();
  expect(deltas.left).toBe(0);
});

test("what is taken is pending no more, and may be changed again behind all others", () => {
  const deltas = new Deltas();
  deltas.add(4096, reference(5));
  deltas.add(8192, reference(6));
  expect(deltas.take()?.start).toBe(4096);
  expect(deltas.get(4096)).toBeUndefined();
  deltas.add(4096, reference(7));
  expect(deltas.get(4096)?.change?.tree).toBe(7);
  expect(deltas.starts()).toEqual([8192, 4096]);
  expect([deltas.take()?.start, deltas.take()?.start, deltas.take()]).toEqual([8192, 4096, undefined]);
});

test("what comes while others are taken is taken in its turn where it lies ahead, and in the next round where it lies behind", () => {
  const deltas = new Deltas();
  for (const place of [7, 3, 9]) deltas.add(place * 4096, reference(5));
  const taken: number[] = [];
  for (let delta = deltas.take(); delta !== undefined; delta = deltas.take()) {
    taken.push(delta.start / 4096);
    if (taken.length === 2) for (const place of [8, 2, 12, 4, 11]) deltas.add(place * 4096, reference(6));
  }
  expect(taken).toEqual([3, 7, 8, 9, 11, 12, 2, 4]);
});

test("what is passed is not taken", () => {
  const deltas = new Deltas();
  deltas.passed(deltas.add(4096, reference(5)));
  expect([deltas.left, deltas.get(4096), deltas.take()]).toEqual([0, undefined, undefined]);
});

test("the next transaction begins with nothing of the one before", () => {
  const deltas = new Deltas();
  const first = deltas.add(4096, reference(5, 3));
  Object.assign(first, { isNew: true, becomesFull: true, others: [reference(6)] });
  while (deltas.take() !== undefined);
  expect(deltas.get(4096)).toBeUndefined();
  const next = deltas.add(8192, reference(7, 2));
  const { isNew, becomesFull, more, taken } = next;
  expect({ isNew, becomesFull, more, taken }).toEqual({ isNew: false, becomesFull: false, more: 2, taken: false });
  expect(changesOf(next)).toEqual([reference(7, 2)]);
  expect(changesOf(deltas.add(4096, undefined))).toEqual([]);
});
