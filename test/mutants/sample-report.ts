/** What a sample of mutants says of all of them: the share found in each room with its interval, and those that survive. */
import type { SampleResult } from "./sample-plugin.ts";

/** z of a normal distribution's middle 95 %. */
const Z = 1.96;

/** A share of all mutants, estimated: `low` and `high` hold the true one in 95 of 100 samples. Each from 0 to 1. */
export interface Estimate {
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Wilson's score interval (E. B. Wilson, 1927), which holds for small samples and near 0 and 1 as well.
 * @param found - of `tried`, from 0 to `tried`
 * @param tried - at least 1
 */
export function wilson(found: number, tried: number): Estimate {
  const share = found / tried;
  const middle = share + Z ** 2 / (2 * tried);
  const half = Z * Math.sqrt((share * (1 - share)) / tried + Z ** 2 / (4 * tried ** 2));
  const whole = 1 + Z ** 2 / tried;
  return { share, low: Math.max(0, (middle - half) / whole), high: Math.min(1, (middle + half) / whole) };
}

/** Stryker's own words for a mutant that the tests tell from the source: a test fails, or does not end. */
export const FOUND: readonly SampleResult["status"][] = ["Killed", "Timeout"];

/** "sim/thin" of a mutant's name. */
function roomOf(name: string): string {
  return name.split("/", 2).join("/");
}

/** A share as a reader has it: "85 %". */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function rowOf(room: string, results: readonly SampleResult[], mutants: number): string {
  const found = results.filter(({ status }) => FOUND.includes(status));
  const ends = found.filter(({ status }) => status === "Timeout").length;
  const { share, low, high } = wilson(found.length, results.length);
  const cells = [room, mutants, results.length, found.length, ends, percent(share), `${percent(low)} to ${percent(high)}`];
  return `| ${cells.join(" | ")} |`;
}

/**
 * @param results - one of each mutant tried
 * @param mutants - how many each room has in all, tried or not
 * @returns a table with a row a room, then a line for each survivor: its place, then what stands there instead
 */
export function reportOf(results: readonly SampleResult[], mutants: ReadonlyMap<string, number>): string {
  const lines = [
    "| room | mutants | tried | found | by not ending | score | 95 % interval |",
    "| --- | --: | --: | --: | --: | --: | --- |",
  ];
  for (const [room, count] of mutants) {
    const own = results.filter(({ name }) => roomOf(name) === room);
    if (own.length > 0) lines.push(rowOf(room, own, count));
  }
  lines.push("");
  const survivors = results.filter(({ status }) => !FOUND.includes(status));
  for (const { name, status } of survivors.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    lines.push(`${status}: ${name.replaceAll(/\s+/g, " ")}`);
  }
  return `${lines.join("\n")}\n`;
}
