import { expect, test } from "vitest";
import { Slabs } from "../../sim/core/slabs.ts";

/** More rows than two slabs have. */
const ROWS = 2500;

function counted(): Slabs<number> {
  const slabs = new Slabs<number>();
  for (let row = 0; row < ROWS; row++) slabs.push(row % 7);
  return slabs;
}

test("a row refers to what was put into it, in whichever slab it is", () => {
  const slabs = counted();
  slabs.set(1024, 99);
  expect(slabs.length).toBe(ROWS);
  for (let row = 0; row < ROWS; row++) expect(slabs.get(row), `row ${row}`).toBe(row === 1024 ? 99 : row % 7);
});

test("what several rows refer to is told once", () => {
  expect([...counted().distinct()]).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
