import fc from "fast-check";
import { expect, test } from "vitest";
import type { Name } from "../../sim/core/names.ts";
import { EntryMap } from "../../sim/vfs/entry-map.ts";
import { runs } from "../runs.ts";

const name = (value: number): Name => value as Name;

test("a name leads to what was put there last, and putting tells what it led to before", () => {
  const map = new EntryMap();
  expect(map.put(1, name(5), 50)).toBe(0);
  expect(map.put(1, name(5), 51)).toBe(50);
  expect(map.lookup(1, name(5))).toBe(51);
  expect(map.lookup(2, name(5))).toBe(0);
  expect(map.remove(1, name(5))).toBe(51);
  expect(map.remove(1, name(5))).toBe(0);
  map.check();
});

test("the table answers as maps of directories would, whatever is put, removed or cleared", () => {
  const step = fc.record({
    what: fc.constantFrom("put", "put", "put", "put", "remove", "remove", "clear"),
    directory: fc.integer({ min: 1, max: 4 }),
    name: fc.integer({ min: 1, max: 40 }),
    child: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(fc.array(step, { size: "max", maxLength: 200 }), (steps) => {
      const map = new EntryMap();
      const model = new Map([1, 2, 3, 4].map((directory) => [directory, new Map<number, number>()]));
      for (const { what, directory, name: text, child } of steps) {
        const known = model.get(directory) as Map<number, number>;
        const before = known.get(text) ?? 0;
        if (what === "put") {
          expect(map.put(directory, name(text), child)).toBe(before);
          known.set(text, child);
        } else if (what === "remove") {
          expect(map.remove(directory, name(text))).toBe(before);
          known.delete(text);
        } else {
          const cleared: number[] = [];
          map.clear(directory, (each) => cleared.push(each));
          expect(cleared.sort()).toEqual([...known.values()].sort());
          known.clear();
        }
        map.check();
      }
      for (const [directory, known] of model) {
        const entries = map.entries(directory).sort((one, other) => one.name - other.name);
        expect(entries.map((entry) => [entry.name, entry.child])).toEqual([...known].sort(([one], [other]) => one - other));
      }
    }),
    runs(60),
  );
});
