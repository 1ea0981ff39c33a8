/** A sample tried in processes that have the tests loaded, as `npm run mutants:sample` tries one. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mutantsOf } from "../population.ts";
import { nameOf, type SampleResult } from "../sample-plugin.ts";
import { scoreOf } from "./run.ts";
import { tryMutants } from "./trials.ts";

const SOURCE = `
export const LIMIT = "10";
export function isNegative(value: number): boolean { return value < 0; }
export function isOdd(value: number): boolean { return value % 2 === 1; }
export function countTo(limit: number): number { let n = 0; while (n < limit) n += 1; return n; }
`;
const TESTS = `
import { describe, expect, test } from "vitest";
import { countTo, isNegative, LIMIT } from "./source.ts";
describe.each([[-1, true], [0, false]])("of %i", (value, answer) => {
  test("is told", () => expect(isNegative(value)).toBe(answer));
});
test("limit", () => expect(LIMIT).toEqual("10"));
test("count", () => expect(countTo(3)).toBe(3));
test("fails by itself", () => expect(countTo(3)).toBe(4));
`;

test("a mutant that a test reaches is found, also at load and without an end, and one that none reaches survives", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cowlab-in-process-"));
  const name = join(folder, "source.ts");
  const path = join(folder, "example.test.ts");
  writeFileSync(name, SOURCE);
  writeFileSync(path, TESTS);
  const sources = [{ name, content: SOURCE }];
  const names = (await mutantsOf(sources)).map(nameOf).filter((each) => /: (value >= 0|n -= 1|""|value % 2 !== 1)$/.test(each));
  const told: string[] = [];
  const failing: string[] = [];
  const results = await tryMutants({
    sources,
    names,
    tests: [path],
    concurrency: 1,
    deadline: Number.POSITIVE_INFINITY,
    onFailing: (test) => failing.push(test.slice(test.lastIndexOf("/") + 1)),
    onResult: (result: SampleResult) => told.push(`${result.status}: ${result.name.slice(folder.length + 1)}`),
  });
  rmSync(folder, { recursive: true });
  expect(failing).toEqual(["example.test.ts > fails by itself"]);
  expect(told).toEqual([
    'Killed: source.ts:2:21-2:25 StringLiteral: ""',
    "Killed: source.ts:3:60-3:69 EqualityOperator: value >= 0",
    "NoCoverage: source.ts:4:55-4:70 EqualityOperator: value % 2 !== 1",
    "Killed: source.ts:5:78-5:84 AssignmentOperator: n -= 1",
  ]);
  expect(scoreOf("sim/thin", results)).toBe("found 3 of 4 in sim/thin: 75 % (30 % to 95 %)\n");
});
