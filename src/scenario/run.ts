/**
 * Runs a scenario: on every driver a fresh machine, images built, containers created, steps done, figures noted, expectations judged.
 *
 * Interface: deterministic: the same scenario gives the same result. Every phase ends with a sync, so that what it dirtied is counted in it.
 * A driver whose build or start fails is stopped there with the reason; the others go on.
 */
import { Random } from "../../sim/core/random.ts";
import type { CallSession } from "../calls/session.ts";
import type { CallResult } from "../calls/step.ts";
import type { Instruction } from "../images/builder.ts";
import type { Operation } from "./actions.ts";
import { type Archive, unpackArchive } from "./archive.ts";
import { judge, type Verdict } from "./expect.ts";
import { type Figures, METRIC_IDS, metricOf, type Phase } from "./metrics.ts";
import { perform as performOperation, type Tools } from "./operation.ts";
import type { Place } from "./problem.ts";
import type { DriverChoice, ImagePlan, LayerPlan, Scenario, StepPlan } from "./scenario.ts";
import { type MakeWorld, Missing, type World, WorldFailure } from "./world.ts";

/** One step on one driver. */
export interface StepRun {
  readonly id: string;
  readonly answer: CallResult;
  /** What the step added; levels as they stood after it. */
  readonly figures: Figures;
}

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
  /** What each phase added; levels as they stood at its end. */
  readonly phases: Readonly<Record<Phase, Figures>>;
  /** The whole run. */
  readonly total: Figures;
  readonly steps: readonly StepRun[];
  readonly verdicts: readonly Verdict[];
  readonly stopped: Stop | undefined;
}

export interface ScenarioRun {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly drivers: readonly DriverRun[];
  /** Drivers that were asked for and cannot be run, with the reason. */
  readonly missing: readonly { readonly id: string; readonly why: string }[];
}

export interface RunOptions {
  readonly makeWorld: MakeWorld;
  /** What images stand on, by the name that `from` gives. */
  readonly archives?: ReadonlyMap<string, Archive>;
  /** Instead of the scenario's own. */
  readonly seed?: number;
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
  readonly #counts = { calls: 0, refused: 0 };
  /** The topmost layer of each image. */
  readonly #tops = new Map<string, string>();
  #stopped: Stop | undefined;

  constructor(scenario: Scenario, choice: DriverChoice, options: RunOptions) {
    this.#scenario = scenario;
    this.#choice = choice;
    this.#archives = options.archives ?? new Map();
    this.#random = new Random(options.seed ?? scenario.seed);
  }

  on(world: World | WorldFailure): DriverRun {
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
        work[phase]();
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
      phases,
      total: figuresSince(start, last),
      steps: this.#steps,
      stopped: this.#stopped,
    };
    return { ...run, verdicts: judge(this.#scenario, run) };
  }

  #read(world: World): Figures {
    return { ...world.figures(), ...this.#counts };
  }

  #stop(phase: Phase, where: string, why: string, place: Place): void {
    this.#stopped ??= { phase, where, why, place };
  }

  #build(world: World): void {
    for (const image of this.#scenario.images) {
      if (this.#stopped !== undefined) return;
      this.#buildImage(world, image);
    }
  }

  #buildImage(world: World, image: ImagePlan): void {
    const archived = image.from?.kind === "archive" ? this.#archives.get(image.from.name) : undefined;
    if (image.build === "v1") {
      this.#buildLegacy(world, image);
      return;
    }
    if (image.build === "classic" || archived?.image !== undefined) {
      this.#buildInStore(world, image, archived);
      return;
    }
    let parent = image.from?.kind === "image" ? this.#tops.get(image.from.name) : undefined;
    if (image.from?.kind === "archive") {
      parent = `${image.name}:base`;
      if (!this.#buildBase(world, parent, image)) return;
    }
    for (const [index, layer] of image.layers.entries()) {
      const name = `${image.name}:${index + 1}`;
      if (!this.#buildLayer(world, name, parent, layer)) return;
      parent = name;
    }
    if (parent !== undefined) this.#tops.set(image.name, parent);
  }

  /** An image of Docker's own stores: out of an archive, by its builder, or both. */
  #buildInStore(world: World, image: ImagePlan, archived: Archive | undefined): void {
    const where = `image ${image.name}`;
    const imported = archived === undefined ? undefined : world.importImage(image.name, archived);
    if (imported !== undefined) this.#stop("build", where, imported.message, image.place);
    let from = archived === undefined && image.from?.kind === "image" ? image.from.name : archived && image.name;
    for (const layer of image.build === undefined ? [] : image.layers) {
      if (this.#stopped !== undefined) return;
      const failure = world.buildStep(image.name, from, instructionOf(layer), (session) => this.#act(world, layer, session));
      if (failure !== undefined) this.#stop("build", where, failure.message, layer.place);
      from = image.name;
    }
    if (this.#stopped !== undefined) return;
    let top: string | WorldFailure = world.imageLayer(image.name);
    if (top instanceof WorldFailure) {
      this.#stop("build", where, top.message, image.place);
      return;
    }
    for (const [index, layer] of (image.build === undefined ? image.layers : []).entries()) {
      const name: string = `${image.name}:${index + 1}`;
      if (!this.#buildLayer(world, name, top, layer)) return;
      top = name;
    }
    this.#tops.set(image.name, top);
  }

  /** An image of before 1.10, and its migration. */
  #buildLegacy(world: World, image: ImagePlan): void {
    const where = `image ${image.name}`;
    for (const layer of image.layers) {
      const failure = world.buildLegacyStep(image.name, instructionOf(layer), (session) => this.#act(world, layer, session));
      if (failure !== undefined) this.#stop("build", where, failure.message, layer.place);
      if (this.#stopped !== undefined) return;
    }
    const top = world.migrate() ?? world.imageLayer(image.name);
    if (top instanceof WorldFailure) this.#stop("build", where, top.message, image.place);
    else this.#tops.set(image.name, top);
  }

  /** The work of one step. @returns why it failed */
  #act(world: World, layer: LayerPlan, session: CallSession): string | undefined {
    for (const operation of layer.operations) {
      const answer = performOperation(this.#tools(world), operation, { session, as: undefined, umask: 0 });
      if ("errno" in answer) return `${describeOperation(operation)}: ${answer.errno}`;
    }
    return undefined;
  }

  #buildBase(world: World, name: string, image: ImagePlan): boolean {
    const archive = this.#archives.get(image.from?.name ?? "");
    const where = `image ${image.name}, ${image.from?.name}`;
    const session = world.addLayer(name, undefined) ?? world.session(name);
    if (session instanceof WorldFailure) this.#stop("build", where, session.message, image.place);
    else if (archive === undefined) this.#stop("build", where, "not read", image.place);
    else {
      const failure = unpackArchive(session.task, archive);
      if (failure !== undefined) this.#stop("build", where, `${failure.path}: ${failure.errno.code}`, image.place);
      this.#seal(world, name, where, image.place);
    }
    return this.#stopped === undefined;
  }

  #buildLayer(world: World, name: string, parent: string | undefined, layer: LayerPlan): boolean {
    const where = `layer ${name}`;
    const session = world.addLayer(name, parent) ?? world.session(name);
    if (session instanceof WorldFailure) this.#stop("build", where, session.message, layer.place);
    else {
      for (const operation of layer.operations) {
        const answer = performOperation(this.#tools(world), operation, { session, as: undefined, umask: 0 });
        if ("errno" in answer) this.#stop("build", where, `${describeOperation(operation)}: ${answer.errno}`, layer.place);
        if (this.#stopped !== undefined) return false;
      }
      this.#seal(world, name, where, layer.place);
    }
    return this.#stopped === undefined;
  }

  #seal(world: World, name: string, where: string, place: Place): void {
    const failure = world.seal(name);
    if (failure !== undefined) this.#stop("build", where, failure.message, place);
  }

  #create(world: World): void {
    for (const { name, image, place } of this.#scenario.containers) {
      const parent = this.#tops.get(image);
      const failure = parent === undefined ? new WorldFailure("its image has no layer") : world.addContainer(name, parent);
      if (failure === undefined) continue;
      this.#stop("create", `container ${name}`, failure.message, place);
      return;
    }
  }

  #doSteps(world: World): void {
    let before = this.#read(world);
    for (const step of this.#scenario.steps) {
      const answer = this.#doStep(world, step);
      if (answer === undefined) return;
      const after = this.#read(world);
      this.#steps.push({ id: step.id, answer, figures: figuresSince(before, after) });
      before = after;
    }
  }

  #doStep(world: World, step: StepPlan): CallResult | undefined {
    const session = step.container === undefined ? undefined : world.session(step.container);
    if (session instanceof WorldFailure) {
      this.#stop("steps", `step ${step.id}`, session.message, step.place);
      return undefined;
    }
    const answer = performOperation(this.#tools(world), step.operation, { session, as: step.as, umask: step.umask });
    if (session !== undefined) {
      this.#counts.calls += 1;
      if ("errno" in answer) this.#counts.refused += 1;
    }
    return answer;
  }

  #tools(world: World): Tools {
    return { world, random: this.#random, figures: () => this.#read(world) };
  }
}

/** A layer's item as a line of a Dockerfile. */
function instructionOf(layer: LayerPlan): Instruction {
  const [only] = layer.operations;
  return only?.kind === "instruction" ? { verb: only.verb, text: only.text } : { verb: "RUN", text: layer.title };
}

function describeOperation(operation: Operation): string {
  if (operation.kind === "call") return `${operation.step.call} ${operation.step["path"] ?? operation.step["fd"] ?? ""}`.trim();
  return "path" in operation ? `${operation.kind} ${operation.path}` : operation.kind;
}
