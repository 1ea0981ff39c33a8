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

  it("reads a component up to the next slash and tells where that is", () => {
    fc.assert(
      fc.property(fc.array(texts, { minLength: 1, maxLength: 12 }), (list) => {
        const parts = list.map((text) => text.replaceAll("/", "|"));
        const path = parts.join("/");
        const table = new NameTable();
        let at = 0;
        for (const part of parts) {
          expect(table.component(path, at)).toBe(table.intern(part));
          expect(table.component(path, at)).toBe(table.intern(part));
          table.component(path, at);
          expect(table.end).toBe(at + part.length);
          at += part.length + 1;
        }
      }),
    );
  });

  it("hashes the units of a name, whatever was interned before it", () => {
    const table = new NameTable();
    const other = new NameTable();
    for (const text of ["a", "файл", "", "\u00ff", "\u0100"]) table.intern(text);
    for (const text of ["\u0100", "", "файл", "a"]) expect(other.hash(other.intern(text))).toBe(table.hash(table.intern(text)));
    // The published value of FNV-1a for "a", folded.
    expect(table.hash(table.intern("a"))).toBe((0xe40c292c ^ (0xe40c292c >>> 15)) & 0x7fffffff);
  });

  it.each([
    ["isjpv0", "1bcyvaj"],
    ["1ngq7r9", "32o6e8"],
    ["76mmiq", "2391dx"],
  ])("keeps %s and %s apart, which have one hash, and tells that they have", (one, other) => {
    const table = new NameTable();
    for (let n = 0; n < 3000; n++) table.intern(`${n}`);
    const names = [table.intern(one), table.intern(other)] as const;
    expect(table.hash(names[0])).toBe(table.hash(names[1]));
    expect(names[0]).toBe(table.hash(names[0]));
    expect(names[1]).not.toBe(names[0]);
    // What asks for the number that the second one was given goes on to another.
    for (let n = 3000; n < 9000; n++) table.intern(`${n}`);
    expect([table.intern(one), table.intern(other)]).toEqual(names);
    expect(names.map((name) => [table.text(name), table.byteLength(name)])).toEqual([
      [one, one.length],
      [other, other.length],
    ]);
    expect(table.size).toBe(9002);
    const late = new NameTable();
    expect([late.intern(other), late.intern(one)]).toEqual(names);
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
