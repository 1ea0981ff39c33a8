import { expect, test } from "vitest";
import { RefCounter } from "../../src/drivers/ref-counter.ts";

test("counts users of a path from nothing and back", () => {
  const counter = new RefCounter(() => false);
  expect([counter.increment("/a"), counter.increment("/a"), counter.increment("/b")]).toEqual([1, 2, 1]);
  expect([counter.decrement("/a"), counter.decrement("/a"), counter.increment("/a")]).toEqual([1, 0, 1]);
});

test("a path that is mounted already counts as used once", () => {
  const counter = new RefCounter((path) => path === "/mounted");
  expect(counter.increment("/mounted")).toBe(2);
  expect(counter.decrement("/mounted")).toBe(1);
});

test("one release too many gives a negative count, and is forgotten", () => {
  const counter = new RefCounter(() => false);
  expect(counter.decrement("/a")).toBe(-1);
  expect(counter.increment("/a")).toBe(1);
});
