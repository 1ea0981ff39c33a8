/**
 * Runs a scenario: on every driver a fresh machine, images built, containers created, steps done, figures noted, expectations judged.
 *
 * Interface: deterministic: the same scenario gives the same result. Every phase ends with a sync, so that what it dirtied is counted in it.
 * A driver whose build or start fails is stopped there with the reason; the others go on.
 */
import type { Disk } from "../../sim/block/disk.ts";
import { assert } from "../../sim/core/assert.ts";
import type { StampedEvent } from "../../sim/core/events.ts";
import { Random } from "../../sim/core/random.ts";
import type { Archive } from "./archive.ts";
import { ImageBuilds } from "./build.ts";
import { type JudgedStep, judge, type Verdict } from "./expect.ts";
import { choiceOf, cutRandom, type Kept, NOTHING_KEPT, type PlannedFault } from "./faults.ts";
import { stepText } from "./figures.ts";
import { type CallMetric, columnNamed, type Figures, METRIC_IDS, metricOf, PHASES, type Phase } from "./metrics.ts";
import { failFrom, type Performed, perform as performOperation, type Tools } from "./operation.ts";
import { PowerWatch } from "./power.ts";
import type { Place } from "./problem.ts";
import type { Credentials, DriverChoice, HostChoice, Scenario, StepPlan } from "./scenario.ts";
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
  /** The release of Linux, where it is not the host's. */
  readonly kernel?: string | undefined;
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
  /** The one fault that each machine meets: a plan for many stands for its first. */
  readonly fault?: PlannedFault | undefined;
  /** Whether looking at the figures writes nothing (`World.figures`); default: where the power goes. */
  readonly looksOnly?: boolean;
  /** Is given each machine as a phase begins. */
  readonly onPhase?: ((phase: Phase, world: World) => void) | undefined;
  /** Is given the machine after each step, by its index. */
  readonly onStep?: ((index: number, world: World) => void) | undefined;
}

/** Runs a scenario on each of its drivers. */
export function runScenario(scenario: Scenario, options: RunOptions): ScenarioRun {
  const drivers: DriverRun[] = [];
  const missing: { id: string; why: string }[] = [];
  const seed = options.seed ?? scenario.seed;
  for (const choice of scenario.drivers) {
    const world = options.makeWorld(choice, limitedBy(scenario.host, options.fault), seed);
    if (world instanceof Missing) missing.push({ id: choice.id, why: world.why });
    else drivers.push(new Run(scenario, choice, options).on(world));
  }
  return { scenario, seed, drivers, missing };
}

/** The host, with little of what a plan limits. */
function limitedBy(host: HostChoice, fault: PlannedFault | undefined): HostChoice {
  if (fault?.kind !== "limit") return host;
  const { memory = host.memory, device = host.device, inodes } = fault;
  return { ...host, memory, device, ...(inodes === undefined ? {} : { inodes }) };
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

function withWorld(done: Performed | undefined, world: World): (Performed & { readonly world: World }) | undefined {
  return done === undefined ? undefined : { ...done, world };
}

/** One driver's run. */
class Run {
  readonly #scenario: Scenario;
  readonly #choice: DriverChoice;
  readonly #archives: ReadonlyMap<string, Archive>;
  readonly #seed: number;
  readonly #random: Random;
  readonly #steps: StepRun[] = [];
  readonly #counts: Record<CallMetric, number> = { calls: 0, refused: 0, bytes_read: 0, bytes_written: 0 };
  readonly #options: RunOptions;
  readonly #losesPower: boolean;
  readonly #fault: PlannedFault | undefined;
  /** From the first step on, where a plan cuts the power. */
  #power: PowerWatch | undefined;
  /** Whether a machine did not start again after a power cut: nothing can be asked of it. */
  #isOff = false;
  /** Of containers that have a user of their own. */
  readonly #users = new Map<string, Credentials>();
  #tops: ReadonlyMap<string, string> = new Map();
  #phase: Phase = "build";
  #stepAt: number | undefined;
  #stopped: Stop | undefined;

  constructor(scenario: Scenario, choice: DriverChoice, options: RunOptions) {
    this.#scenario = scenario;
    this.#choice = choice;
    this.#archives = options.archives ?? new Map();
    this.#seed = options.seed ?? scenario.seed;
    this.#random = new Random(this.#seed);
    this.#options = options;
    this.#losesPower =
      options.looksOnly === true ||
      options.fault?.kind === "cut" ||
      scenario.steps.some(({ operation }) => operation.kind === "powerCut");
    this.#fault = options.fault;
  }

  on(world: World | WorldFailure): DriverRun {
    const phases: Record<Phase, Figures> = { build: noFigures(), create: noFigures(), steps: noFigures() };
    let total = noFigures();
    if (world instanceof WorldFailure) this.#stop("build", "start of the driver", world.message, this.#choice.place);
    else {
      this.#listen(world);
      total = this.#doPhases(world, phases);
    }
    const { id, driver, options, backing = this.#scenario.host.backing, kernel } = this.#choice;
    const run = {
      id,
      driver,
      options,
      backing: world instanceof WorldFailure ? backing : world.backing,
      kernel,
      phases,
      total,
      steps: this.#steps,
      stopped: this.#stopped,
    };
    return { ...run, verdicts: judge(this.#scenario, run) };
  }

  /** @param phases - gets what each phase adds. @returns the figures of the whole run */
  #doPhases(first: World, phases: Record<Phase, Figures>): ReturnType<typeof noFigures> {
    const start = this.#read(first);
    let last = start;
    let world = first;
    const work: Readonly<Record<Phase, () => void>> = {
      build: () => this.#build(world),
      create: () => this.#create(world),
      steps: () => {
        world = this.#doSteps(world);
      },
    };
    for (const phase of PHASES) {
      if (this.#stopped !== undefined) break;
      this.#phase = phase;
      this.#arm(world);
      this.#options.onPhase?.(phase, world);
      work[phase]();
      this.#stepAt = undefined;
      if (this.#isOff) break;
      const failure = this.#power === undefined ? world.sync() : this.#power.until(() => world.sync());
      if (this.#power?.isDue === true) world = this.#cutByPlan(world, this.#scenario.steps.length) ?? world;
      if (this.#isOff) break;
      if (failure !== undefined) this.#stop(phase, "sync", failure.message, this.#choice.place);
      const now = this.#read(world);
      phases[phase] = figuresSince(last, now);
      last = now;
    }
    if (!this.#isOff) world.check();
    return figuresSince(start, last);
  }

  /** Prepares the fault that is counted from the phase at work on. */
  #arm(world: World): void {
    const fault = this.#fault;
    if (fault?.kind === "fail" && fault.from === this.#phase) {
      failFrom(world, { what: fault.what, at: fault.at ?? 1, times: fault.times ?? 1 });
    } else if (fault?.kind === "cut" && this.#phase === "steps" && world.disk !== undefined) {
      this.#power = new PowerWatch(world.disk, { after: fault.after, at: fault.at ?? 1 });
    }
  }

  /** Passes events on, each with what is at work. */
  #listen(world: World): void {
    const heard = this.#options.onEvent;
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

  /** Where the power goes, a look at the figures must not make anything durable. */
  #read(world: World): Figures {
    return { ...world.figures(this.#losesPower), ...this.#counts };
  }

  #stop(phase: Phase, where: string, why: string, place: Place): void {
    this.#stopped ??= { phase, where, why, place };
  }

  #create(world: World): void {
    for (const plan of this.#scenario.containers) {
      const { name, image, size, init, volumes, place } = plan;
      const parent = this.#tops.get(image);
      // An option takes the place of the image's volume at the same path.
      const others = world.imageVolumes(image).filter(({ path }) => !volumes.some((own) => own.path === path));
      const failure =
        parent === undefined
          ? new WorldFailure("its image has no layer")
          : world.addContainer(name, parent, {
              init,
              volumes: [...volumes, ...others],
              workdir: world.imageWorkdir(image),
              storage: size === undefined ? {} : { size: String(size) },
            });
      const user = failure ?? this.#userOf(world, plan);
      if (!(user instanceof WorldFailure)) {
        if (user !== undefined) this.#users.set(name, user);
        continue;
      }
      this.#stop("create", `container ${name}`, user.message, place);
      return;
    }
  }

  /** Who acts in a container where a step does not say it; undefined: root. */
  #userOf(
    world: World,
    { name, image, user = world.imageUser(image) }: Scenario["containers"][number],
  ): Credentials | undefined | WorldFailure {
    return user === "" ? undefined : world.execUser(name, user);
  }

  /** @returns the machine, or the one that stands in its place since a power cut. */
  #doSteps(first: World): World {
    let world = first;
    let before = this.#read(world);
    for (const [index, step] of this.#scenario.steps.entries()) {
      this.#stepAt = index;
      world.events.step = index + 1;
      const done = this.#doUnderPower(world, step, index);
      if (done === undefined) return world;
      world = done.world;
      const after = this.#isOff ? before : this.#read(world);
      const { answer, shell } = done;
      this.#steps.push({ id: step.id, answer, figures: figuresSince(before, after), ...(shell === undefined ? {} : { shell }) });
      before = after;
      if (this.#isOff) break;
      this.#options.onStep?.(index, world);
    }
    return world;
  }

  /** Does a step; where the power goes meanwhile it has no answer, and the machine has started again. */
  #doUnderPower(world: World, step: StepPlan, index: number): (Performed & { readonly world: World }) | undefined {
    if (step.operation.kind === "powerCut") {
      const again = this.#restart(world, step.operation.kept, index);
      return again instanceof WorldFailure ? { world, answer: { errno: again.message } } : { world: again, answer: { ok: true } };
    }
    const power = this.#power;
    if (power === undefined) return withWorld(this.#doStep(world, step), world);
    const done = power.until(() => this.#doStep(world, step));
    if (!power.isDue) return withWorld(done, world);
    return withWorld(done ?? { answer: { errno: "power cut" } }, this.#cutByPlan(world, index) ?? world);
  }

  /** @returns the machine that started again, if it did. */
  #cutByPlan(world: World, index: number): World | undefined {
    const image = this.#power?.image;
    this.#power = undefined;
    if (this.#fault?.kind !== "cut") return undefined;
    const { kept = NOTHING_KEPT, at = 1 } = this.#fault;
    const again = this.#restart(world, kept, index, { image, at });
    return again instanceof WorldFailure ? undefined : again;
  }

  /** Starts a machine again; one that does not ends the run. @param index - of the step at work */
  #restart(
    world: World,
    kept: Kept,
    index: number,
    cut: { readonly image?: Disk | undefined; readonly at?: number } = {},
  ): World | WorldFailure {
    const again = world.restart(choiceOf(kept, cutRandom(this.#seed, cut.at ?? index)), cut.image);
    if (again instanceof WorldFailure) {
      this.#isOff = true;
      const { place } = this.#scenario.steps[index] ?? this.#choice;
      this.#stop(this.#phase, "start after a power cut", again.message, place);
    } else this.#listen(again);
    return again;
  }

  #doStep(world: World, step: StepPlan): Performed | undefined {
    const session = step.container === undefined ? undefined : world.session(step.container);
    if (session instanceof WorldFailure) {
      this.#stop("steps", stepText(step.id), session.message, step.place);
      return undefined;
    }
    const actor = {
      session,
      as: step.as ?? this.#users.get(step.container ?? ""),
      umask: step.umask,
      name: step.container ?? "",
    };
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
