import { describe, expect, test } from "vitest";
import { Fault, readByte, readMode, readSize, readSpan } from "../../src/scenario/quantity.ts";
import { editDistance, nearest } from "../../src/scenario/suggest.ts";

const VARIABLES = new Map([["pages", 512]]);

function sizeOf(text: string | number): number | string {
  const found = readSize(text, VARIABLES);
  return found instanceof Fault ? found.message : found;
}

describe("a size", () => {
  test.each([
    [4096, 4096],
    ["64KiB", 65_536],
    ["64 kB", 64_000],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["2*$pages", 1024],
    ["1GiB - 4KiB", 2 ** 30 - 4096],
    ["(1 + 2) * 4KiB", 12_288],
    ["8KiB/2", 4096],
    ["16TiB", 2 ** 44],
  ])("%j is %d bytes", (text, count) => {
    expect(sizeOf(text)).toBe(count);
  });

  test.each(["", "KiB", "1.0000001KiB", "1KiB 2", "-5", "(1", "17TiB", "1e400", "0x10", "1/0", "5K", "$nothing"])(
    "%j is none",
    (text) => {
      expect(sizeOf(text)).toBeTypeOf("string");
    },
  );
});

test("a span of time needs its unit", () => {
  expect(readSpan("5s", VARIABLES)).toBe(5e9);
  expect(readSpan("1min + 500ms", VARIABLES)).toBe(60.5e9);
  expect(readSpan(5, VARIABLES)).toBeInstanceOf(Fault);
  expect(readSpan("5", VARIABLES)).toBeInstanceOf(Fault);
});

test("a mode is octal however it is written", () => {
  expect([readMode("0644"), readMode(644), readMode("0o4755")]).toEqual([0o644, 0o644, 0o4755]);
  expect([readMode("0888"), readMode("77777"), readMode(-1)].every((found) => found instanceof Fault)).toBe(true);
});

test("a byte is 0 to 255", () => {
  expect([readByte(0), readByte(255), readByte("0x5a")]).toEqual([0, 255, 0x5a]);
  expect([readByte(256), readByte("0x100"), readByte("a")].every((found) => found instanceof Fault)).toBe(true);
});

test("the distance of two words counts a swap of neighbours once", () => {
  expect([editDistance("overlya2", "overlay2"), editDistance("", "abc"), editDistance("same", "same")]).toEqual([1, 3, 0]);
});

test("a word far from every known one gets no suggestion, nor does a single letter", () => {
  expect(nearest("postgres", ["overlay2", "vfs"])).toBeUndefined();
  expect(nearest("x", ["B", "s"])).toBeUndefined();
  expect(nearest("OVERLAY-2", ["overlay_2"])).toBe("overlay_2");
  const metrics = ["calls_at_create", "inodes_allocated_at_create", "inodes_allocated", "data_copied", "data_copied_at_create"];
  expect(nearest("inodes_at_create", metrics)).toBe("inodes_allocated_at_create");
  expect(nearest("copied", metrics)).toBe("data_copied");
});
