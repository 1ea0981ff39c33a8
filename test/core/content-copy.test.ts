import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";

/** `length` bytes that tell which array they are of. */
function numbered(seed: number, length: number): Uint8Array {
  return new Uint8Array(length).map((_, index) => seed * 31 + index * 7 + (index >> 8));
}

test.each([1, 48, 49, 100, 4095, 4096, 4097, 40_000])(
  "a copy of %i bytes keeps them when the caller's array changes",
  (length) => {
    const mine = numbered(1, length);
    const before = mine.slice();
    const copy = Content.copyOf(mine);
    mine.fill(0xee);
    expect(copy.toBytes()).toEqual(before);
  },
);

test("many copies of all small lengths, made one after the other, keep apart", () => {
  const copies = Array.from({ length: 2000 }, (_, index) => Content.copyOf(numbered(index, 1 + (index % 200))));
  copies.forEach((copy, index) => {
    expect(copy.toBytes()).toEqual(numbered(index, 1 + (index % 200)));
  });
});

test("a copy of a part takes the bytes from start up to end", () => {
  const all = numbered(3, 500);
  expect(Content.copyOf(all, 100, 140).toBytes()).toEqual(all.slice(100, 140));
  expect(Content.copyOf(all, 100, 400).toBytes()).toEqual(all.slice(100, 400));
});
