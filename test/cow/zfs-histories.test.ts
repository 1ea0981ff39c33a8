/**
 * Histories of a real pool (OpenZFS 2.1.11 on Linux 6.1, one processor, a file of 4087 MiB: test/data/zfs/histories.ndjson, test/oracle/zfs-history.py): what commands and calls
 * come to, what stat tells, and what `zfs list -Hp` tells of each dataset when everything is written.
 *
 * A block of pointers or dnodes is compressed with the places and times in it, which are others here: it may take a sector more or less, in two copies.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { COLUMNS, ZfsHistorian, type ZfsStep } from "./zfs-history.ts";

/** Bytes by which a figure may be off: of two blocks of metadata, and for each of many files, whose times are others here. */
const SLACK = 2048;
const SLACK_A_FILE = 40;
const SLACK_BLOCKS = 4;

interface Answer {
  readonly r: unknown;
  readonly err?: string;
  readonly out?: string;
  readonly st?: readonly number[] | string;
  readonly fig?: Readonly<Record<string, readonly string[]>>;
}

interface Recorded {
  readonly name: string;
  readonly steps: readonly ZfsStep[];
  readonly answers: readonly Answer[];
  /** Everything was written behind each step; figures are told where they were others than before. */
  readonly settled?: boolean;
}

const RECORDED = readFileSync(new URL("../data/zfs/histories.ndjson", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

/** The pool's own tables are in what the top filesystem uses. */
function isOfPool(name: string, column: string): boolean {
  return name === "zp" && ["used", "usedbychildren", "logicalused"].includes(column);
}

interface Expected {
  readonly fig: Required<Answer>["fig"];
  readonly slack: number;
  readonly what: string;
}

function expectFigures(told: Readonly<Record<string, readonly string[]>>, { fig: then, slack, what }: Expected): void {
  expect(Object.keys(told).sort(), what).toEqual(Object.keys(then).sort());
  for (const [name, row] of Object.entries(then)) {
    for (const [at, value] of row.entries()) {
      const column = COLUMNS[at] as string;
      const here = told[name]?.[at] as string;
      // What is nothing is nothing: a clone's own of a filesystem without a log.
      const isClose = value !== "0" && Math.abs(Number(here) - Number(value)) <= slack;
      if (!isOfPool(name, column) && !isClose) expect(here, `${what}: ${name} ${column}`).toBe(value);
    }
  }
}

function expectSeen(told: readonly number[] | string, then: readonly number[] | string, what: string): void {
  if (typeof told === "string" || typeof then === "string") {
    expect(told, what).toBe(then);
    return;
  }
  expect(told.slice(0, 3), what).toEqual(then.slice(0, 3));
  expect(Math.abs((told[3] ?? 0) - (then[3] ?? 0)), `${what}: blocks`).toBeLessThanOrEqual(SLACK_BLOCKS);
}

for (const { name, steps, answers, settled = false } of RECORDED) {
  test(name, () => {
    const historian = new ZfsHistorian();
    let slack = SLACK;
    for (const [index, one] of steps.entries()) {
      const { r, err, out = "", st, fig } = answers[index] as Answer;
      const what = `step ${index} ${JSON.stringify(one)}`;
      if (one.do === "many") slack += SLACK_A_FILE * (one.count ?? 0);
      if (one.cmd !== undefined) expect(historian.command(one.cmd), what).toEqual([r, err, out]);
      else expect(historian.call(one), what).toEqual(r);
      if (fig !== undefined) expectFigures(historian.figures(), { fig, slack, what });
      else if (settled) historian.settle();
      if (st !== undefined) expectSeen(historian.seen(one.path ?? ""), st, what);
    }
  });
}
