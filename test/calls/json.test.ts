import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatJson, type Json, parseJson, sameJson } from "../../src/calls/json.ts";

describe("JSON with long numbers", () => {
  test("a whole number beyond 2^53 keeps its digits in both directions", () => {
    const text = '{"atime":1900000000000000001,"mtime":-1900000000000000001,"len":12}';
    expect(parseJson(text)).toEqual({ atime: 1900000000000000001n, mtime: -1900000000000000001n, len: 12 });
    expect(formatJson(parseJson(text))).toBe(text);
  });

  test("digits within a text stay text", () => {
    const text = '{"data":"a 1900000000000000001 \\" 1900000000000000001","n":1900000000000000001}';
    expect(parseJson(text)).toEqual({ data: 'a 1900000000000000001 " 1900000000000000001', n: 1900000000000000001n });
    expect(formatJson(parseJson(text))).toBe(text);
  });

  test("sixteen digits that a double holds are a number", () => {
    expect(parseJson("1600000000000000")).toBe(1_600_000_000_000_000);
  });

  test("the indented form keeps the digits too", () => {
    expect(formatJson({ at: 1900000000000000001n }, 2)).toBe('{\n  "at": 1900000000000000001\n}');
  });

  test("what is written is read back as the same value", () => {
    const values = fc.letrec<{ tree: Json }>((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        fc.string(),
        fc.maxSafeInteger(),
        fc.bigInt({ min: 2n ** 60n, max: 2n ** 63n }),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("tree")),
        fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie("tree")),
      ),
    })).tree;
    fc.assert(fc.property(values, (value) => sameJson(parseJson(formatJson(value)), value)));
  });

  test("two values are the same whatever the order of keys, and differ by one key, item or type", () => {
    expect(sameJson({ a: 1, b: [1, "x"] }, { b: [1, "x"], a: 1 })).toBe(true);
    expect(sameJson({ a: 1 }, { a: 1, b: 1 })).toBe(false);
    expect(sameJson({ a: 1 }, { b: 1 })).toBe(false);
    expect(sameJson([1, 2], [1])).toBe(false);
    expect(sameJson([], {})).toBe(false);
    expect(sameJson(1, 1n)).toBe(false);
    expect(sameJson(null, {})).toBe(false);
  });
});
