/** What a sample of mutants is told as; `npm run stryker:sample` draws and tries one. */
import { describe, expect, test } from "vitest";
import { mutantsOf } from "./population.ts";
import { nameOf } from "./sample-plugin.ts";
import { reportOf, wilson } from "./sample-report.ts";

describe("a score's interval", () => {
  test("is Wilson's", () => {
    const { low, high } = wilson(45, 50);
    expect([low.toFixed(4), high.toFixed(4)]).toEqual(["0.7864", "0.9565"]);
  });

  test("leaves room for doubt where every mutant is found", () => {
    const { low, high } = wilson(10, 10);
    expect([low.toFixed(4), high]).toEqual(["0.7225", 1]);
  });
});

test("a report counts a mutant whose tests do not end as found, and lists the others as survivors", () => {
  const report = reportOf(
    [
      { name: "sim/thin/a.ts:1:0-1:4 BooleanLiteral: true", status: "Timeout" },
      { name: "sim/thin/b.ts:2:0-2:4 BooleanLiteral: true", status: "NoCoverage" },
    ],
    new Map([["sim/thin", 40]]),
  );
  expect(report).toContain("| sim/thin | 40 | 2 | 1 | 1 | 50 % | 9 % to 91 % |");
  expect(report).toContain("\nNoCoverage: sim/thin/b.ts:2:0-2:4 BooleanLiteral: true\n");
});

test("mutants of a text are named by place, kind and change", async () => {
  const mutants = await mutantsOf([{ name: "/any/sim/thin/a.ts", content: "export const on = true;\n" }]);
  expect(mutants.map(nameOf)).toEqual(["sim/thin/a.ts:1:18-1:22 BooleanLiteral: false"]);
});
