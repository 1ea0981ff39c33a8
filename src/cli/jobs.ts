/**
 * Scenarios on their drivers, spread over the cores: a job is one scenario on one driver.
 *
 * Interface: results come in the order of the scenarios, whoever ran them, and are the same bytes for every number of threads. The calling thread
 * works too; it looks up between two jobs, so that a reader that is gone can end the program.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { nodeHasher } from "../node/digest.ts";
import { type Loaded, readScenarios } from "../node/files.ts";
import { comparisonDocument, type ScenarioDocument, scenarioDocument } from "../report/document.ts";
import { type PlannedFault, planText } from "../scenario/faults.ts";
import { worldMaker } from "../scenario/machine.ts";
import type { Overrides } from "../scenario/parameters.ts";
import { type RunEvent, type RunOptions, runScenario } from "../scenario/run.ts";
import type { DriverChoice, Scenario } from "../scenario/scenario.ts";

/** A scenario to run: where it comes from, so that another thread can read it again, and with what seed. */
export interface Order {
  readonly loaded: Loaded;
  /** The drivers that are asked for. */
  readonly drivers: readonly DriverChoice[];
  readonly path: string;
  /** Which combination of the file's matrix. */
  readonly combination: number;
  readonly seed: number | undefined;
  /** What goes wrong. */
  readonly fault?: PlannedFault | undefined;
}

/** What another thread needs of an Order. */
interface Task {
  /** Absent where the scenario stands on archives, which each thread reads for itself. */
  readonly scenario: Scenario | undefined;
  readonly path: string;
  readonly combination: number;
  readonly seed: number | undefined;
  readonly fault: PlannedFault | undefined;
  readonly driver: DriverChoice;
}

/** What threads share: the jobs, and the number of the next one. */
export interface Shared {
  readonly tasks: readonly Task[];
  readonly overrides: readonly (readonly [string, readonly string[]])[];
  readonly next: Int32Array;
}

/** One job's result, by its number. */
interface Finished {
  readonly index: number;
  readonly document: ScenarioDocument;
}

const makeWorld = worldMaker(nodeHasher);

/** How a scenario is run. */
interface Manner extends Pick<RunOptions, "onEvent" | "fault"> {
  /** Undefined: the scenario's own. */
  readonly seed?: number | undefined;
}

/** Runs one scenario on some of its drivers. A fault is told beside its parameters. */
export function runOne(loaded: Loaded, drivers: readonly DriverChoice[], { seed, ...how }: Manner): ScenarioDocument {
  const parameters = { ...loaded.scenario.parameters, ...(how.fault === undefined ? {} : { fault: planText(how.fault) }) };
  const scenario = { ...loaded.scenario, drivers, parameters };
  const { archives } = loaded;
  return scenarioDocument(runScenario(scenario, { makeWorld, archives, ...how, ...(seed === undefined ? {} : { seed }) }));
}

/** Reads scenario files once each. */
export class Library {
  readonly #overrides: Overrides;
  readonly #read = new Map<string, readonly Loaded[]>();

  constructor(overrides: Overrides) {
    this.#overrides = overrides;
  }

  async get(path: string): Promise<readonly Loaded[]> {
    const known = this.#read.get(path) ?? (await readScenarios(path, this.#overrides));
    this.#read.set(path, known);
    return known;
  }
}

/** Hears what happens in a job, by its number. */
type Heard = (index: number, event: RunEvent) => void;

/** Takes jobs until none is left. @param done - is given each job's result. @param heard - where somebody listens to the machines */
export async function takeJobs(
  shared: Shared,
  library: Library,
  done: (finished: Finished) => Promise<void> | void,
  heard?: Heard,
): Promise<void> {
  for (;;) {
    const index = Atomics.add(shared.next, 0, 1);
    const task = shared.tasks[index];
    if (task === undefined) return;
    const loaded = await loadedOf(task, library);
    if (loaded === undefined) throw new Error(`${task.path} has no combination ${task.combination}`);
    const onEvent = heard === undefined ? undefined : (event: RunEvent): void => heard(index, event);
    await done({ index, document: runOne(loaded, [task.driver], { seed: task.seed, fault: task.fault, onEvent }) });
  }
}

async function loadedOf({ scenario, path, combination }: Task, library: Library): Promise<Loaded | undefined> {
  return scenario === undefined ? (await library.get(path))[combination] : { scenario, archives: new Map() };
}

/**
 * Threads that pay beside this one: none where the program runs from its sources, which each would have to translate. One core stays free for what V8
 * does beside a thread: each has to compile the same code, and on two cores a second thread made a run of all scenarios slower.
 */
function helpersFor(jobs: number, asked: number | undefined): number {
  const isSource = import.meta.url.endsWith(".ts");
  const threads = asked ?? (isSource ? 1 : availableParallelism() - 1);
  return Math.max(0, Math.min(threads, Math.ceil(jobs / 2)) - 1);
}

export interface JobOptions {
  readonly library: Library;
  readonly overrides: Overrides;
  /** Threads at most; default: one a core, but for one. Where somebody listens there is this one alone. */
  readonly jobs: number | undefined;
  /** Hears everything that happens, one order after the other and each driver's by itself. */
  readonly onEvent?: ((order: Order, event: RunEvent) => void) | undefined;
  /** Hears how many jobs are done. */
  readonly progress: (done: number, all: number) => void;
}

/** Runs every order; `ready` gets each scenario's result in order, as soon as those before it are told. */
export async function runOrders(
  orders: readonly Order[],
  options: JobOptions,
  ready: (document: ScenarioDocument, index: number) => Promise<void>,
): Promise<void> {
  const places = orders.flatMap((order, index) => order.drivers.map((driver) => ({ order, index, driver })));
  const tasks = places.map(
    ({ order, driver }): Task => ({
      scenario: order.loaded.archives.size === 0 ? order.loaded.scenario : undefined,
      path: order.path,
      combination: order.combination,
      seed: order.seed,
      fault: order.fault,
      driver,
    }),
  );
  const next = new Int32Array(new SharedArrayBuffer(4));
  const shared: Shared = { tasks, overrides: [...options.overrides], next };
  const finished: ScenarioDocument[] = [];
  let told = 0;
  let count = 0;
  const tell = async (): Promise<void> => {
    for (; told < orders.length; told++) {
      const parts = places.flatMap(({ index }, at) => (index === told ? [finished[at]] : []));
      if (parts.some((part) => part === undefined)) return;
      const merged = merge(orders[told], parts as ScenarioDocument[]);
      const at = told;
      if (merged !== undefined) await ready(merged, at);
    }
  };
  const done = async ({ index, document }: Finished): Promise<void> => {
    finished[index] = document;
    count += 1;
    options.progress(count, tasks.length);
    await new Promise((resolve) => setImmediate(resolve));
    await telling.run(tell);
  };
  const telling = new OneAtATime();
  const { onEvent } = options;
  const heard: Heard | undefined = onEvent && ((index, event) => places[index] && onEvent(places[index].order, event));
  const helpers = startHelpers(heard === undefined ? helpersFor(tasks.length, options.jobs) : 0, shared, done);
  await Promise.all([takeJobs(shared, options.library, done, heard), ...helpers]);
  await telling.run(tell);
}

/** Runs what it is given one after the other. */
class OneAtATime {
  #last: Promise<void> = Promise.resolve();

  run(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work);
    return this.#last;
  }
}

/** In a checkout the sources are translated as they are loaded, which each thread must ask for by itself. */
function startThread(shared: Shared): Worker {
  if (!import.meta.url.endsWith(".ts")) return new Worker(new URL("./worker.js", import.meta.url), { workerData: shared });
  const source = JSON.stringify(new URL("./worker.ts", import.meta.url).href);
  const boot = `import("tsx/esm/api").then(({ register }) => { register(); return import(${source}); });`;
  return new Worker(boot, { eval: true, workerData: shared });
}

function startHelpers(count: number, shared: Shared, done: (finished: Finished) => Promise<void>): readonly Promise<void>[] {
  return Array.from({ length: count }, () => {
    const worker = startThread(shared);
    const pending: Promise<void>[] = [];
    return new Promise<void>((resolve, reject) => {
      worker.on("message", (finished: Finished) => void pending.push(done(finished).catch(reject)));
      worker.on("error", reject);
      worker.on("exit", () => void Promise.all(pending).then(() => resolve(), reject));
    });
  });
}

/** One scenario's result out of those on each driver. */
function merge(order: Order | undefined, parts: readonly ScenarioDocument[]): ScenarioDocument | undefined {
  const [first] = parts;
  if (first === undefined || order === undefined) return undefined;
  const drivers = parts.flatMap((part) => part.drivers);
  return {
    ...first,
    ...comparisonDocument(order.loaded.scenario.compare, drivers),
    drivers,
    missing: parts.flatMap(({ missing }) => missing),
  };
}
