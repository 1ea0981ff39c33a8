/**
 * Runs a scenario: on every driver a fresh machine, images built, containers created, steps done, figures noted, expectations judged.
 *
 * Interface: deterministic: the same scenario gives the same result. Every phase ends with a sync, so that what it dirtied is counted in it.
 * A driver whose build or start fails is stopped there with the reason; the others go on.
 */
import { assert } from "../../sim/core/assert.ts";
import type { StampedEvent } from "../../sim/core/events.ts";
import { Random } from "../../sim/core/random.ts";
import type { Archive } from "./archive.ts";
import { ImageBuilds } from "./build.ts";
import { type JudgedStep, judge, type Verdict } from "./expect.ts";
import { stepText } from "./figures.ts";
import { type CallMetric, columnNamed, type Figures, METRIC_IDS, metricOf, type Phase } from "./metrics.ts";
import { type Performed, perform as performOperation, type Tools } from "./operation.ts";
import type { Place } from "./problem.ts";
import type { DriverChoice, Scenario, StepPlan } from "./scenario.ts";
import { type MakeWorld, Missing, type World, WorldFailure } from "./world.ts";

/** One step on one driver; its figures are what it added, levels as they stood after it. */
export type StepRun = JudgedStep;

/** Where and why a driver could not go on. */
interface Stop {
  readonly phase: Phase;
  readonly where: string;
  readonly why: string;
  readonly place: Place;
}

export interface DriverRun {
  readonly id: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly backing: string;
  /** What each phase added; levels as they stood at its end. */
  readonly phases: Readonly<Record<Phase, Figures>>;
  /** The whole run. */
  readonly total: Figures;
  readonly steps: readonly StepRun[];
  readonly verdicts: readonly Verdict[];
  readonly stopped: Stop | undefined;
}

/** The figure that a column's name stands for: over the whole run, or in one phase. */
export function figureOf(run: Pick<DriverRun, "phases" | "total">, name: string): number {
  const column = columnNamed(name);
  assert(column !== undefined, `no column is called ${name}`);
  return (column.phase === undefined ? run.total : run.phases[column.phase])[column.metric];
}

export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly drivers: readonly DriverRun[];
  /** Drivers that were asked for and cannot be run, with the reason. */
  readonly missing: readonly { readonly id: string; readonly why: string }[];
}

/** Something that happened in one driver's machine, and during what. */
export interface RunEvent {
  /** The driver's id. */
  readonly driver: string;
  readonly phase: Phase;
  /** The step's index; undefined outside the steps. */
  readonly step: number | undefined;
  readonly stamped: StampedEvent;
}

export interface RunOptions {
  readonly makeWorld: MakeWorld;
  /** What images stand on, by the name that `from` gives. */
  readonly archives?: ReadonlyMap<string, Archive>;
  /** Instead of the scenario's own. */
  readonly seed?: number;
  /** Hears of everything that happens in the machines; a run that nobody listens to is faster. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
}

/** Runs a scenario on each of its drivers. */
export function runScenario(scenario: Scenario, options: RunOptions): ScenarioRun {
  const drivers: DriverRun[] = [];
  const missing: { id: string; why: string }[] = [];
  const seed = options.seed ?? scenario.seed;
  for (const choice of scenario.drivers) {
    const world = options.makeWorld(choice, scenario.host, seed);
    if (world instanceof Missing) missing.push({ id: choice.id, why: world.why });
    else drivers.push(new Run(scenario, choice, options).on(world));
  }
  return { scenario, seed, drivers, missing };
}

function noFigures(): Record<(typeof METRIC_IDS)[number], number> {
  return Object.fromEntries(METRIC_IDS.map((id) => [id, 0])) as Record<(typeof METRIC_IDS)[number], number>;
}

/** What `after` has more than `before`; levels as in `after`. */
function figuresSince(before: Figures, after: Figures): Figures {
  const out = noFigures();
  for (const id of METRIC_IDS) out[id] = metricOf(id).kind === "level" ? after[id] : after[id] - before[id];
  return out;
}

/** One driver's run. */
class Run {
  readonly #scenario: Scenario;
  readonly #choice: DriverChoice;
  readonly #archives: ReadonlyMap<string, Archive>;
  readonly #random: Random;
  readonly #steps: StepRun[] = [];
  readonly #counts: Record<CallMetric, number> = { calls: 0, refused: 0, bytes_read: 0, bytes_written: 0 };
  readonly #onEvent: RunOptions["onEvent"];
  #tops: ReadonlyMap<string, string> = new Map();
  #phase: Phase = "build";
  #stepAt: number | undefined;
  #stopped: Stop | undefined;

  constructor(scenario: Scenario, choice: DriverChoice, options: RunOptions) {
    this.#scenario = scenario;
    this.#choice = choice;
    this.#archives = options.archives ?? new Map();
    this.#random = new Random(options.seed ?? scenario.seed);
    this.#onEvent = options.onEvent;
  }

  on(world: World | WorldFailure): DriverRun {
    if (!(world instanceof WorldFailure)) this.#listen(world);
    const phases: Record<Phase, Figures> = { build: noFigures(), create: noFigures(), steps: noFigures() };
    const start = world instanceof WorldFailure ? noFigures() : this.#read(world);
    let last = start;
    if (world instanceof WorldFailure) this.#stop("build", "start of the driver", world.message, this.#choice.place);
    else {
      const work: Readonly<Record<Phase, () => void>> = {
        build: () => this.#build(world),
        create: () => this.#create(world),
        steps: () => this.#doSteps(world),
      };
      for (const phase of ["build", "create", "steps"] as const) {
        if (this.#stopped !== undefined) break;
        this.#phase = phase;
        work[phase]();
        this.#stepAt = undefined;
        const failure = world.sync();
        if (failure !== undefined) this.#stop(phase, "sync", failure.message, this.#choice.place);
        const now = this.#read(world);
        phases[phase] = figuresSince(last, now);
        last = now;
      }
      world.check();
    }
    const run = {
      id: this.#choice.id,
      driver: this.#choice.driver,
      options: this.#choice.options,
      backing: world instanceof WorldFailure ? (this.#choice.backing ?? this.#scenario.host.backing) : world.backing,
      phases,
      total: figuresSince(start, last),
      steps: this.#steps,
      stopped: this.#stopped,
    };
    return { ...run, verdicts: judge(this.#scenario, run) };
  }

  /** Passes events on, each with what is at work. */
  #listen(world: World): void {
    const heard = this.#onEvent;
    if (heard === undefined) return;
    const driver = this.#choice.id;
    world.events.subscribe((stamped) => heard({ driver, phase: this.#phase, step: this.#stepAt, stamped }));
  }

  #build(world: World): void {
    const tell = (where: string, why: string, place: Place): void => this.#stop("build", where, why, place);
    const builds = new ImageBuilds(this.#tools(world), this.#archives, tell);
    this.#tops = builds.tops;
    for (const image of this.#scenario.images) {
      if (this.#stopped !== undefined) return;
      builds.build(image);
    }
  }

  #read(world: World): Figures {
    return { ...world.figures(), ...this.#counts };
  }

  #stop(phase: Phase, where: string, why: string, place: Place): void {
    this.#stopped ??= { phase, where, why, place };
  }

  #create(world: World): void {
    for (const { name, image, size, init, volumes, place } of this.#scenario.containers) {
      const parent = this.#tops.get(image);
      // An option takes the place of the image's volume at the same path.
      const others = world.imageVolumes(image).filter(({ path }) => !volumes.some((own) => own.path === path));
      const failure =
        parent === undefined
          ? new WorldFailure("its image has no layer")
          : world.addContainer(name, parent, {
              init,
              volumes: [...volumes, ...others],
              storage: size === undefined ? {} : { size: String(size) },
            });
      if (failure === undefined) continue;
      this.#stop("create", `container ${name}`, failure.message, place);
      return;
    }
  }

  #doSteps(world: World): void {
    let before = this.#read(world);
    for (const [index, step] of this.#scenario.steps.entries()) {
      this.#stepAt = index;
      world.events.step = index + 1;
      const done = this.#doStep(world, step);
      if (done === undefined) return;
      const after = this.#read(world);
      const { answer, shell } = done;
      this.#steps.push({ id: step.id, answer, figures: figuresSince(before, after), ...(shell === undefined ? {} : { shell }) });
      before = after;
    }
  }

  #doStep(world: World, step: StepPlan): Performed | undefined {
    const session = step.container === undefined ? undefined : world.session(step.container);
    if (session instanceof WorldFailure) {
      this.#stop("steps", stepText(step.id), session.message, step.place);
      return undefined;
    }
    const actor = { session, as: step.as, umask: step.umask, name: step.container ?? "" };
    for (let round = 1; ; round++) {
      const done = performOperation(this.#tools(world), step.operation, actor);
      this.#count(done, session !== undefined);
      const failed = "errno" in done.answer || (done.shell?.status ?? 0) !== 0;
      if (failed || round >= step.repeat) return done;
    }
  }

  /** Adds what an action's own calls did. @param inside - whether it was a call of a container's process */
  #count(done: Performed, inside: boolean): void {
    if (done.shell !== undefined) {
      this.#counts.calls += done.shell.calls;
      this.#counts.refused += done.shell.refused;
      this.#counts.bytes_read += done.shell.bytesRead;
      this.#counts.bytes_written += done.shell.bytesWritten;
    } else if (inside) {
      this.#counts.calls += 1;
      if ("errno" in done.answer) this.#counts.refused += 1;
      this.#counts.bytes_read += done.read ?? 0;
      this.#counts.bytes_written += done.written ?? 0;
    }
  }

  #tools(world: World): Tools {
    const { events } = world;
    return { world, random: this.#random, figures: () => this.#read(world), events, now: () => world.now() };
  }
}
