import { expect, test } from "vitest";
import { changesOf, Deltas } from "../../sim/cow/deltas.ts";
import type { Reference } from "../../sim/cow/extent.ts";

const reference = (tree: number, count = 1): Reference => ({ parent: 0, tree, object: 0, offset: 0, count });
/** Places that lie behind each other, and others that lie far away. */
const startOf = (index: number): number => (index % 2 === 0 ? index * 4096 : 2 ** 41 + index * 16_384);

test("however many extents have changed, each is found, and all are taken in the order of their first change", () => {
  const deltas = new Deltas();
  for (let index = 0; index < 5000; index++) deltas.add(startOf(index), reference(index));
  for (let index = 0; index < 5000; index++) expect(deltas.get(startOf(index))?.change?.tree).toBe(index);
  expect(deltas.get(4096)).toBeUndefined();
  expect(deltas.left).toBe(5000);
  expect(deltas.starts()).toEqual(Array.from({ length: 5000 }, (_, index) => startOf(index)));
  for (let index = 0; index < 5000; index++) expect(deltas.take()?.start).toBe(startOf(index));
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
