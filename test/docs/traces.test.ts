/** docs/traces.md tells every call that a trace can make, with its arguments, and its example is what happens. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CALLS } from "../../src/calls/perform.ts";
import { replay } from "../../src/replay/replay.ts";
import { parseTrace } from "../../src/replay/trace.ts";

const PAGE = readFileSync(new URL("../../docs/traces.md", import.meta.url), "utf8");

test("every call stands in the table with its arguments, and no other", () => {
  const rows = [...PAGE.matchAll(/^\| `(\w+)` +\| (?:`([\w? ]+)`)? +\|/gm)].map(([, name, takes = ""]) => [name, takes]);
  const calls = Object.entries(CALLS).map(([name, { takes }]) => [name, takes.join(" ")]);
  const inTable = rows.filter(([name = ""]) => Object.hasOwn(CALLS, name));
  expect(inTable.sort()).toEqual(calls.sort());
});

test("the example is what happens", () => {
  const [, text = ""] = /^```json\n([\s\S]*?)^```$/m.exec(PAGE) ?? [];
  const { agree, differing } = replay([parseTrace("docs/traces.md", text)]);
  expect([differing, agree]).toEqual([[], 5]);
});
