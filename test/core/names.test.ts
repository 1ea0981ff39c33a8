import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NameTable, utf8Length } from "../../sim/core/names.ts";

const texts = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "binary", maxLength: 300 }));

describe("NameTable", () => {
  it("gives one name for one text, wherever the text stands, and the text back", () => {
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 80 }), texts, (list, prefix) => {
        const table = new NameTable();
        const names = list.map((text) => table.intern(text));
        expect(names.map((name) => table.text(name))).toEqual(list);
        expect(table.size).toBe(new Set(list).size);
        expect(new Set(names).size).toBe(table.size);
        const within = list.map((text) => table.intern(`${prefix}${text}/`, prefix.length, prefix.length + text.length));
        expect(within).toEqual(names);
        expect(names.every((name) => name > 0)).toBe(true);
      }),
    );
  });

  it("keeps tens of thousands of names apart", () => {
    const table = new NameTable();
    const names = Array.from({ length: 30_000 }, (_, n) => table.intern(`layer-${n}`));
    expect(names.every((name, n) => table.text(name) === `layer-${n}` && table.intern(`layer-${n}`) === name)).toBe(true);
    expect(table.size).toBe(30_000);
  });

  it("tells a name's length in UTF-8 bytes", () => {
    fc.assert(
      fc.property(texts, (text) => {
        const length = new TextEncoder().encode(text).length;
        expect(utf8Length(text)).toBe(length);
        const table = new NameTable();
        expect(table.byteLength(table.intern(text))).toBe(length);
      }),
    );
    expect(utf8Length("\ud800")).toBe(3);
    const table = new NameTable();
    expect(table.byteLength(table.intern("x".repeat(70_000)))).toBe(65_535);
  });
});
