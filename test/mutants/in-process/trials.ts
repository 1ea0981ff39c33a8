/** Tries mutants in processes of the bundled tests: each is ended when a mutant keeps it from ending, and replaced. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { SampleResult } from "../sample-plugin.ts";
import { bundle, type Parts, ROOT } from "./bundle.ts";
import type { Answer, Measured, Request, Trial } from "./worker.ts";

export interface Trials extends Omit<Parts, "outfile"> {
  /** Mutants tried at a time. */
  readonly concurrency: number;
  /** Milliseconds since 1970 after which no mutant is begun. */
  readonly deadline: number;
  /** Told of each test that fails without any mutant; it is left out. */
  readonly onFailing: (name: string, failure: string) => void;
  readonly onResult: (result: SampleResult) => void;
}

/** Milliseconds that a mutant's tests have: generous, as one that is only slow must not count as found. */
const TIME_BASE = 10_000;
const TIME_FACTOR = 6;
const MEASURING_TIME_MAX = 30 * 60_000;

/** The same for how often the place of a mutant is run. */
const HITS_BASE = 1000;
const HITS_FACTOR = 100;

/** A trial, what it takes, and whether the mutant is of what runs when modules are loaded. */
interface Planned extends Trial {
  readonly time: number;
  readonly isAtLoad: boolean;
}

/** A mutant's tests, the quickest first: those that reach it, or all when it is in what every test stands on. */
function planOf(mutant: string, { tests, atLoad }: Measured): Planned {
  const isAtLoad = atLoad[mutant] !== undefined;
  const reaching = [...tests.entries()].filter(
    ([, { hits, failure }]) => failure === undefined && (isAtLoad || hits[mutant] !== undefined),
  );
  const ordered = reaching.toSorted(([, a], [, b]) => a.time - b.time);
  const sum = (of: (test: Measured["tests"][number]) => number): number => ordered.reduce((all, [, test]) => all + of(test), 0);
  return {
    mutant,
    tests: ordered.map(([index]) => index),
    hitLimit: HITS_BASE + HITS_FACTOR * (sum(({ hits }) => hits[mutant] ?? 0) + (atLoad[mutant] ?? 0)),
    time: TIME_BASE + TIME_FACTOR * sum(({ time }) => time),
    isAtLoad,
  };
}

/** The answer of a process; undefined when it does not come within `time` milliseconds, or not at all: the process is ended then. */
async function ask(child: ChildProcess, request: Request, time: number): Promise<Answer | undefined> {
  const timer = setTimeout(() => child.kill("SIGKILL"), time);
  const settled = new AbortController();
  const { signal } = settled;
  child.send(request);
  const answer = await Promise.race([
    once(child, "message", { signal }),
    once(child, "exit", { signal }).then(() => [undefined]),
  ]);
  settled.abort();
  clearTimeout(timer);
  return answer[0] as Answer | undefined;
}

async function measureIn(child: ChildProcess): Promise<Measured> {
  const measured = await ask(child, "measure", MEASURING_TIME_MAX);
  if (measured === undefined || !("atLoad" in measured)) throw new Error("the tests do not run as a bundle");
  return measured;
}

/** One result of each mutant begun before the deadline, in the order in which they came. */
export async function tryMutants(trials: Trials): Promise<SampleResult[]> {
  const { names, concurrency, deadline, onFailing, onResult } = trials;
  mkdirSync(join(ROOT, ".stryker-tmp"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, ".stryker-tmp/in-process-"));
  try {
    const outfile = join(folder, "tests.mjs");
    const ids = await bundle({ ...trials, outfile });
    // Those of the parent (a loader, an inspector) are not the program's. What its tests print is nobody's.
    const start = (...mutant: string[]): ChildProcess =>
      fork(outfile, mutant, { cwd: ROOT, execArgv: [], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    const first = start();
    const measured = await measureIn(first);
    for (const { name, failure } of measured.tests) if (failure !== undefined) onFailing(name, failure);

    const results: SampleResult[] = [];
    const left = [...names];
    const work = async (given: ChildProcess | undefined): Promise<void> => {
      let child = given;
      for (let name = left.shift(); name !== undefined && Date.now() < deadline; name = left.shift()) {
        const plan = planOf(ids.get(name) ?? name, measured);
        const own = plan.isAtLoad ? start(plan.mutant) : (child ??= start());
        const result: SampleResult = { name, ...(await outcomeOf(own, plan)) };
        if (plan.isAtLoad) own.kill();
        else if (result.status === "Timeout") child = undefined;
        results.push(result);
        onResult(result);
      }
      child?.kill();
    };
    await Promise.all(Array.from({ length: concurrency }, (_, index) => work(index === 0 ? first : undefined)));
    return results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function outcomeOf(child: ChildProcess, plan: Planned): Promise<Omit<SampleResult, "name">> {
  if (plan.tests.length === 0) return { status: "NoCoverage" };
  const answer = await ask(child, plan, plan.time);
  // A process that ends by itself, for want of memory, tells as well that something is wrong.
  if (answer === undefined || !("failure" in answer)) return { status: "Timeout" };
  return answer.failure === "" ? { status: "Survived" } : { status: "Killed", reason: answer.failure };
}
