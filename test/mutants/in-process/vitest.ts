/**
 * What stands for vitest in the bundle of a sample: tests are kept in a list instead of run, so that a mutant can have those that reach it run as
 * plain functions, again and again.
 * Interface: the part of vitest that test/thin, test/union, test/cow and test/replay/sets.test.ts use, with its own `expect`. A time limit is left to who runs the program.
 */
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

type Body = (...given: readonly unknown[]) => unknown;

/** A `describe`, or a file for those outside of any: what runs before and after each of its tests. */
interface Suite {
  readonly name: string;
  readonly parent: Suite | undefined;
  readonly before: Body[];
  readonly after: Body[];
}

export interface Test {
  readonly name: string;
  readonly suite: Suite;
  readonly body: Body;
}

/** All tests in the order in which they were told, which is the same in each process. */
export const tests: Test[] = [];

const suiteOf = (name: string, parent: Suite | undefined): Suite => ({ name, parent, before: [], after: [] });
let suite = suiteOf("", undefined);

/** The tests told from now on are those of this file. */
export function beginFile(name: string): void {
  suite = suiteOf(name, undefined);
}

/** Runs a test as vitest would; throws what it throws. */
export async function runTest({ suite: own, body }: Test): Promise<void> {
  const suites: Suite[] = [];
  for (let at: Suite | undefined = own; at !== undefined; at = at.parent) suites.unshift(at);
  for (const { before } of suites) for (const hook of before) await hook();
  try {
    await body();
  } finally {
    for (const { after } of suites.toReversed()) for (const hook of after) await hook();
  }
}

/** `name, body`, or with options or a time limit on either side of the body. */
type Told = readonly [name: string, ...rest: readonly unknown[]];

function bodyOf([name, ...rest]: Told): Body {
  const body = rest.find((part) => typeof part === "function");
  if (body === undefined) throw new Error(`no body: ${name}`);
  return body as Body;
}

type Tell = (...told: Told) => void;

interface Teller extends Tell {
  /** Once for each row of a table; a row that is an array gives its items as arguments. */
  readonly each: (rows: readonly unknown[]) => Tell;
  readonly runIf: (condition: unknown) => Tell;
  readonly skipIf: (condition: unknown) => Tell;
}

function tellerOf(tell: (name: string, body: Body) => void): Teller {
  const always: Tell = (...told) => tell(told[0], bodyOf(told));
  const never: Tell = () => undefined;
  const each: Teller["each"] =
    (rows) =>
    (...told) => {
      const body = bodyOf(told);
      rows.forEach((row, index) => {
        const given: readonly unknown[] = Array.isArray(row) ? row : [row];
        tell(`${told[0]} [${index}]`, () => body(...given));
      });
    };
  const runIf: Teller["runIf"] = (condition) => (condition ? always : never);
  return Object.assign(always, { each, runIf, skipIf: (condition: unknown) => runIf(!condition) });
}

function tellTest(name: string, body: Body): void {
  tests.push({ name: `${suite.name} > ${name}`, suite, body });
}

function tellSuite(name: string, body: Body): void {
  const parent = suite;
  suite = suiteOf(`${parent.name} > ${name}`, parent);
  body();
  suite = parent;
}

export const test: Teller = tellerOf(tellTest);
export const it: Teller = tellerOf(tellTest);
export const describe: Teller = tellerOf(tellSuite);

export const beforeEach = (hook: Body): void => void suite.before.push(hook);
export const afterEach = (hook: Body): void => void suite.after.push(hook);

export const expect: typeof chai.expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  {
    unreachable: (message?: string): never => chai.assert.fail(`not to be reached: ${message ?? ""}`),
  },
);
