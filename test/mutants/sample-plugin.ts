/**
 * The plug-in of StrykerJS that keeps a run to a sample. A range of `mutate` holds the mutants nested in it as well: the checker turns away those
 * that were not drawn and hands on the others in the order in which they were drawn, so that a run cut short has tried a random part of the sample.
 * The reporter appends each result to a file as soon as it is there.
 * Interface: options of Stryker with a `sample` (SampleOptions); Stryker loads it bundled (sample-stryker.ts).
 */
import { appendFileSync } from "node:fs";

interface Place {
  readonly line: number;
  readonly column: number;
}

/** What is needed of Stryker's `Mutant`. Its own types do not pass this project's compiler, which checks those of libraries too. */
export interface Mutant {
  readonly id: string;
  readonly fileName: string;
  /** Lines and columns from 0. */
  readonly location: { readonly start: Place; readonly end: Place };
  readonly mutatorName: string;
  readonly replacement: string;
}

type Status = "Killed" | "Timeout" | "Survived" | "NoCoverage" | "RuntimeError";

interface Tried extends Mutant {
  readonly status: Status;
  readonly statusReason?: string;
}

interface Options {
  readonly sample: SampleOptions;
}

/** What Stryker's options hold under `sample`. */
export interface SampleOptions {
  /** The names (`nameOf`) of the mutants to try, in the order to try them. */
  readonly names: readonly string[];
  /** Where the reporter appends one line of JSON (SampleResult) for each mutant of the sample. */
  readonly results: string;
}

/** What became of one mutant of the sample. */
export interface SampleResult {
  readonly name: string;
  readonly status: Status;
  /** The message of the test that failed, which tells one that fails by itself from one that finds the mutant. */
  readonly reason?: string | undefined;
}

/**
 * A mutant's place, kind and change, the same whichever other mutants its file has: "sim/thin/pool.ts:12:4-12:9 BooleanLiteral: false".
 * The place is a range as Stryker's option `mutate` takes it: lines from 1, columns from 0.
 */
export function nameOf({ fileName, location: { start, end }, mutatorName, replacement }: Mutant): string {
  const file = fileName.slice(fileName.lastIndexOf("/sim/") + 1);
  return `${file}:${start.line + 1}:${start.column}-${end.line + 1}:${end.column} ${mutatorName}: ${replacement}`;
}

function createChecker({ sample }: Options): object {
  const turns = new Map(sample.names.map((name, turn) => [name, turn]));
  const turnOf = (mutant: Mutant): number => turns.get(nameOf(mutant)) ?? turns.size;
  return {
    init: async () => undefined,
    group: async (mutants: readonly Mutant[]) => [...mutants].sort((a, b) => turnOf(a) - turnOf(b)).map(({ id }) => [id]),
    check: async (mutants: readonly Mutant[]) => {
      const drawn = { status: "passed" };
      const other = { status: "compileError", reason: "not drawn" };
      return Object.fromEntries(mutants.map((mutant) => [mutant.id, turnOf(mutant) < turns.size ? drawn : other]));
    },
  };
}
function createReporter({ sample }: Options): object {
  const drawn = new Set(sample.names);
  return {
    onMutantTested: (mutant: Tried) => {
      // A reporter is told places that count from 1, a checker such as count from 0.
      const { start, end } = mutant.location;
      const fromZero = ({ line, column }: Place): Place => ({ line: line - 1, column: column - 1 });
      const name = nameOf({ ...mutant, location: { start: fromZero(start), end: fromZero(end) } });
      const result: SampleResult = { name, status: mutant.status, reason: mutant.statusReason };
      if (drawn.has(name)) appendFileSync(sample.results, `${JSON.stringify(result)}\n`);
    },
  };
}

/** What Stryker hands to a factory, by name. */
const inject = ["options"];

export const strykerPlugins: readonly object[] = [
  { kind: "Checker", name: "sample", factory: Object.assign(createChecker, { inject }) },
  { kind: "Reporter", name: "sample", factory: Object.assign(createReporter, { inject }) },
];
