/**
 * The program that a bundle of tests and instrumented sources is: makes the mutants that it is told active, one after another, and runs the tests
 * that reach each. A mutant of what runs when a module is loaded needs a process of its own: its id is the program's argument.
 * Interface: one Answer for each Request, by the channel of a forked process; a test that does not end is for the parent to end.
 */
import process from "node:process";
import { beginFile, runTest, tests } from "./vitest.ts";

/** How often each mutant's place was run, by its id. */
type Hits = Readonly<Record<string, number>>;

/** The global through which instrumented sources are told which mutant is active, and tell which are run. */
interface Stryker {
  activeMutant: string | undefined;
  currentTestId: string | undefined;
  mutantCoverage?: { readonly static: Hits; readonly perTest: Readonly<Record<string, Hits>> };
  hitCount: number | undefined;
  /** Beyond it the place of the mutant throws: a loop that does not end. */
  hitLimit: number | undefined;
}

export interface Measured {
  /** Of each test in its order: its milliseconds, what it reaches, and how it fails without any mutant. */
  readonly tests: readonly { readonly name: string; readonly time: number; readonly hits: Hits; readonly failure?: string }[];
  /** What is run when the modules are loaded. */
  readonly atLoad: Hits;
}

/** With a mutant, the indices of the tests to run until one fails. Without, all are measured. */
export interface Trial {
  readonly mutant: string;
  readonly tests: readonly number[];
  readonly hitLimit: number;
}
export type Request = Trial | "measure";

/** How a test failed with the mutant; "" when none did. */
export type Answer = { readonly failure: string } | Measured;

interface TestFile {
  /** From the root. */
  readonly name: string;
  readonly load: () => Promise<unknown>;
}

const MESSAGE_LENGTH_MAX = 300;

function messageOf(error: unknown): string {
  return String(error).slice(0, MESSAGE_LENGTH_MAX);
}

async function measure(stryker: Stryker): Promise<Measured> {
  const measured: Measured["tests"][number][] = [];
  for (const [index, test] of tests.entries()) {
    stryker.currentTestId = `${index}`;
    const begin = performance.now();
    const failure = await failureOf([index]);
    const hits = stryker.mutantCoverage?.perTest[index] ?? {};
    const common = { name: test.name, time: performance.now() - begin, hits };
    measured.push(failure === "" ? common : { ...common, failure });
  }
  stryker.currentTestId = undefined;
  return { tests: measured, atLoad: stryker.mutantCoverage?.static ?? {} };
}

async function failureOf(indices: readonly number[]): Promise<string> {
  for (const index of indices) {
    const test = tests[index];
    if (test === undefined) throw new Error(`no test ${index}`);
    try {
      await runTest(test);
    } catch (error) {
      return `${test.name}: ${messageOf(error)}`;
    }
  }
  return "";
}

async function tryMutant(stryker: Stryker, { mutant, tests: indices, hitLimit }: Trial): Promise<Answer> {
  Object.assign(stryker, { activeMutant: mutant, hitCount: 0, hitLimit });
  const failure = await failureOf(indices);
  Object.assign(stryker, { activeMutant: undefined, hitCount: undefined });
  return { failure };
}

/** Loads the tests, then answers until it is ended. */
export async function serve(files: readonly TestFile[]): Promise<void> {
  const atLoad = process.argv[2];
  const none = { currentTestId: undefined, hitCount: undefined, hitLimit: undefined };
  const stryker: Stryker = { activeMutant: atLoad, ...none };
  Object.assign(globalThis, { __stryker__: stryker });
  const answer = (given: Answer): void => void process.send?.(given);
  let failure = "";
  for (const { name, load } of files) {
    beginFile(name);
    try {
      await load();
    } catch (error) {
      if (atLoad === undefined) throw error;
      failure ||= `${name}: ${messageOf(error)}`;
    }
  }
  process.on("message", async (request: Request) => {
    if (request === "measure") answer(await measure(stryker));
    else answer(failure === "" ? await tryMutant(stryker, request) : { failure });
  });
}
