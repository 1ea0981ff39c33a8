import fc from "fast-check";
import { expect, test } from "vitest";
import type { Name } from "../../sim/core/names.ts";
import { DentryTable } from "../../sim/vfs/dentry-table.ts";

const name = (value: number): Name => value as Name;

/** The children of a directory in the table's order, as [name, child]. */
function list(table: DentryTable, directory: number): number[][] {
  const rows: number[][] = [];
  for (let row = table.first(directory); row !== 0; row = table.next(row)) rows.push([table.name(row), table.child(row)]);
  return rows;
}

test("a directory's entries come in the order in which they were added", () => {
  const table = new DentryTable();
  for (const each of [5, 3, 9]) table.insert(1, name(each), each * 10);
  table.insert(2, name(3), 7);
  expect(list(table, 1)).toEqual([
    [5, 50],
    [3, 30],
    [9, 90],
  ]);
  expect(table.lookup(2, name(3))).toBe(7);
});

test("an entry that moves keeps its row and goes to the end of the new directory's order", () => {
  const table = new DentryTable();
  const row = table.insert(1, name(1), 11);
  table.insert(2, name(2), 12);
  table.move(row, 2, name(3));
  expect(table.find(2, name(3))).toBe(row);
  expect(list(table, 2)).toEqual([
    [2, 12],
    [3, 11],
  ]);
  expect(table.count(1)).toBe(0);
});

test("the table answers as a list of entries would, whatever is inserted, removed, moved or replaced", () => {
  const step = fc.record({
    what: fc.constantFrom("insert", "remove", "move", "replace"),
    directory: fc.integer({ min: 1, max: 4 }),
    name: fc.integer({ min: 1, max: 12 }),
    toDirectory: fc.integer({ min: 1, max: 4 }),
    toName: fc.integer({ min: 1, max: 12 }),
    child: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const table = new DentryTable();
      let model: { directory: number; name: number; child: number }[] = [];
      const at = (directory: number, of: number) => model.find((row) => row.directory === directory && row.name === of);
      for (const each of steps) {
        const row = table.find(each.directory, name(each.name));
        const known = at(each.directory, each.name);
        expect(row !== 0).toBe(known !== undefined);
        if (known === undefined) {
          if (each.what !== "insert") continue;
          table.insert(each.directory, name(each.name), each.child);
          model.push({ directory: each.directory, name: each.name, child: each.child });
        } else if (each.what === "remove") {
          table.remove(row);
          model = model.filter((other) => other !== known);
        } else if (each.what === "replace") {
          table.replace(row, each.child);
          known.child = each.child;
        } else if (each.what === "move" && at(each.toDirectory, each.toName) === undefined) {
          table.move(row, each.toDirectory, name(each.toName));
          model = [...model.filter((other) => other !== known), { ...known, directory: each.toDirectory, name: each.toName }];
        }
        table.check();
      }
      for (let directory = 1; directory <= 4; directory++) {
        const rows = model.filter((row) => row.directory === directory).map((row) => [row.name, row.child]);
        expect(list(table, directory)).toEqual(rows);
        expect(table.count(directory)).toBe(rows.length);
      }
    }),
  );
});
