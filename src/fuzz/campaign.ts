/**
 * A campaign: random scripts on one driver beside the plain tree, as many operations as asked.
 *
 * A world lives for some segments. In each a layer and a container stand over the one before; calls are made on both, now and then time
 * passes, and in the end both trees are compared whole. The next segment stands on the layer. So there is always something below to be
 * copied up, covered by whiteouts and shared, and two that share it.
 *
 * Interface: the same seed gives the same operations and figures, whatever the machine. A world begins from (seed, its number), so that a
 * shard runs the worlds of its own number alone.
 */
import { Errno, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { formatJson } from "../calls/json.ts";
import { type Step, textOf } from "../calls/step.ts";
import { FUZZ_CALLS, type FuzzCall, sameForetold } from "./calls.ts";
import { differencesOf } from "./differences.ts";
import type { Ground } from "./ground.ts";
import { MadeSteps } from "./made-steps.ts";
import type { ModelTree } from "./model/tree.ts";
import { type Finding, type Script, shrink } from "./script.ts";
import { stateOf } from "./state-hash.ts";
import { MODELLED, PRELUDE, randomStep, type Vocabulary } from "./vocabulary.ts";
import { guarded, type Place, type Prepared, prepare, World } from "./world.ts";

export interface CampaignOptions {
  readonly ground: Ground;
  /**
   * A second driver that makes the same operations, beside a plain tree of its own. Where both trees foretell the same, both have to answer the
   * same; where they do not, a known difference decides.
   */
  readonly beside?: Ground;
  readonly seed: number;
  /** How many operations; a world that has begun is ended first. */
  readonly operations: number;
  /** Of `shards` that share the worlds, this one, from 0. */
  readonly shard?: number;
  readonly shards?: number;
  readonly vocabulary?: Vocabulary;
  /** Calls between checks of all engines; default 5,000. */
  readonly checkEvery?: number;
  /** Calls in each segment; default 4,000. */
  readonly segmentCalls?: number;
  /** Hears how many operations are done, after each segment. */
  readonly progress?: (operations: number) => void;
  /** Counts what was reached: distinct states, answers. Costs a few per cent; default true. */
  readonly statistics?: boolean;
}

/** What a campaign saw. */
export interface CampaignFigures {
  readonly operations: number;
  readonly worlds: number;
  readonly layers: number;
  readonly checks: number;
  /** By a hash of what a tree shows, its layers included. */
  readonly states: number;
  /** "rename EXDEV" → how often. */
  readonly answers: Readonly<Record<string, number>>;
  /** Known differences, and how often each decided; of both drivers. */
  readonly differences: Readonly<Record<string, number>>;
  /** Operations that the second driver rightly answers otherwise. */
  readonly otherwise: number;
}

export interface CampaignResult {
  readonly figures: CampaignFigures;
  /** Shrunk; absent where everything agreed. */
  readonly counterexample?: { readonly script: Script; readonly finding: Finding; readonly world: number };
}

const SEGMENTS = 10;
const SEGMENT_CALLS = 4000;
const BASE_CALLS = 20;
const POOL_SIZE = 20_000;
/** Every errno's number is below. */
const ERRNO_END: number = 1 + Math.max(...Errno.all().map(({ number }) => number));
/** How many steps are drawn at a time. */
const DRAWN_AT_ONCE = 16;
/** A state is looked at after every so many calls. */
const STATE_EVERY = 256;

class Tally {
  operations = 0;
  worlds = 0;
  layers = 0;
  checks = 0;
  otherwise = 0;
  readonly states: Set<number> = new Set();
  /** By call: how often each error came, by its number; at 0, success. */
  readonly #answers = new Map<FuzzCall, Uint32Array>();
  readonly differences: Map<string, number> = new Map();

  count(call: FuzzCall, expected: unknown): void {
    let counts = this.#answers.get(call);
    if (counts === undefined) {
      counts = new Uint32Array(ERRNO_END);
      this.#answers.set(call, counts);
    }
    const number = isErrno(expected) ? expected.number : 0;
    counts[number] = (counts[number] as number) + 1;
  }

  #told(): Map<string, number> {
    const told = new Map<string, number>();
    for (const [name, call] of Object.entries(FUZZ_CALLS)) {
      const counts = this.#answers.get(call);
      if (counts === undefined) continue;
      if (counts[0] !== 0) told.set(`${name} ok`, counts[0] as number);
      for (const { code, number } of Errno.all()) if (counts[number] !== 0) told.set(`${name} ${code}`, counts[number] as number);
    }
    return told;
  }

  figures(): CampaignFigures {
    const sorted = (counts: ReadonlyMap<string, number>): Record<string, number> =>
      Object.fromEntries([...counts].sort(([one], [other]) => (one < other ? -1 : 1)));
    const { operations, worlds, layers, checks, otherwise } = this;
    return {
      otherwise,
      operations,
      worlds,
      layers,
      checks,
      states: this.states.size,
      answers: sorted(this.#told()),
      differences: sorted(this.differences),
    };
  }
}

/** Ready steps that worlds draw from. */
function makePool(vocabulary: Vocabulary, random: Random, leftOut: readonly ((step: Step) => boolean)[]): Prepared[] {
  const pool: Prepared[] = [];
  // Equal steps are one object: what is drawn from should stay in the processor's caches.
  const known = new Map<string, Prepared | undefined>();
  const told = new Map<string, Step>();
  while (pool.length < POOL_SIZE) {
    const step = randomStep(vocabulary, random);
    const key = formatJson(step);
    if (!known.has(key)) known.set(key, leftOut.some((isOut) => isOut(step)) ? undefined : prepare(step, told));
    const prepared = known.get(key);
    if (prepared !== undefined) pool.push(prepared);
  }
  return pool;
}

/** Runs a campaign until its operations are done or something does not agree. @returns a text where the ground cannot be had. */
export function runCampaign(options: CampaignOptions): CampaignResult | string {
  const tally = new Tally();
  const grounds = options.beside === undefined ? [options.ground] : [options.ground, options.beside];
  const leftOut = grounds.flatMap((ground) => differencesOf(ground).flatMap(({ leavesOut }) => leavesOut ?? []));
  const pool = makePool(options.vocabulary ?? MODELLED, new Random(options.seed), leftOut);
  const prelude = PRELUDE.filter((step) => !leftOut.some((isOut) => isOut(step))).flatMap((step) => prepare(step) ?? []);
  const { shard = 0, shards = 1 } = options;
  for (let number = shard; tally.operations < options.operations; number += shards) {
    const worlds: World[] = [];
    for (const ground of grounds) {
      const world = World.on(ground);
      if (typeof world === "string") return world;
      worlds.push(world);
    }
    const run = new WorldRun(worlds, new Random(options.seed * 1_000_003 + number + 1), { pool, prelude, tally, options });
    const finding = run.run();
    tally.worlds += 1;
    if (finding === undefined) continue;
    const whole: Script = { ground: run.failing, steps: run.steps() };
    return { figures: tally.figures(), counterexample: { ...shrink(whole, finding, { tries: 3000 }), world: number } };
  }
  return { figures: tally.figures() };
}

interface RunParts {
  readonly pool: readonly Prepared[];
  readonly prelude: readonly Prepared[];
  readonly tally: Tally;
  readonly options: CampaignOptions;
}

/** One world's life. */
class WorldRun {
  readonly #worlds: readonly World[];
  /** The ground of the world that did not agree. */
  failing: Ground;
  readonly #random: Random;
  readonly #parts: RunParts;
  readonly #made: MadeSteps = new MadeSteps();
  /** The steps that come next by their places in the pool, the descriptors that they open and that must be free, and the sides that they are made on. */
  readonly #drawn: number[] = [];
  readonly #drawnOpens: (string | undefined)[] = [];
  readonly #drawnSides: number[] = [];
  readonly #checkEvery: number;
  readonly #counts: boolean;

  constructor(worlds: readonly World[], random: Random, parts: RunParts) {
    this.#worlds = worlds;
    this.failing = parts.options.ground;
    this.#random = random;
    this.#parts = parts;
    this.#checkEvery = parts.options.checkEvery ?? 5000;
    this.#counts = parts.options.statistics !== false;
  }

  /** The script so far. */
  steps(): Step[] {
    return this.#made.steps();
  }

  run(): Finding | undefined {
    let parent: string | undefined;
    let message: string | undefined;
    for (let segment = 0; segment <= SEGMENTS && message === undefined; segment++) {
      const below = parent;
      message = guarded(() => this.#segment(segment, below));
      this.#parts.options.progress?.(this.#parts.tally.operations);
      parent = `L${segment}`;
    }
    message ??= this.#inEach((world) => world.end());
    for (const world of this.#worlds)
      for (const { fired } of world.models.values()) addCounts(this.#parts.tally.differences, fired);
    return message === undefined ? undefined : { index: this.#made.length - 1, message };
  }

  /** Does something in each world. @returns the first disagreement; `failing` says whose it is. */
  #inEach(work: (world: World) => string | undefined): string | undefined {
    for (const world of this.#worlds) {
      this.failing = world.ground;
      const message = work(world);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  #lab(step: Step): string | undefined {
    this.#made.add(step, undefined);
    if (step["lab"] === "tick") return this.#inEach((world) => world.tick(step));
    this.#parts.tally.layers += 1;
    const parent = step["parent"] === undefined ? undefined : String(step["parent"]);
    return this.#inEach((world) => world.add(step["lab"] as "layer" | "container", String(step["name"]), parent));
  }

  #segment(segment: number, parent: string | undefined): string | undefined {
    const name = `L${segment}`;
    const over = parent === undefined ? {} : { parent };
    const failed = this.#lab({ lab: "layer", name, ...over });
    if (failed !== undefined) return failed;
    if (parent === undefined) return this.#prelude(name) ?? this.#calls([name], BASE_CALLS) ?? this.#compare(name);
    const beside = `C${segment}`;
    const refused = this.#lab({ lab: "container", name: beside, parent });
    return (
      refused ??
      this.#calls([name, beside], this.#parts.options.segmentCalls ?? SEGMENT_CALLS) ??
      this.#compare(name) ??
      this.#compare(beside)
    );
  }

  #prelude(name: string): string | undefined {
    const places = this.#worlds.map((world) => world.open(name));
    for (const prepared of this.#parts.prelude) {
      const message = this.#call(places, prepared);
      if (message !== undefined) return message;
    }
    return undefined;
  }

  #compare(name: string): string | undefined {
    this.#made.add({ call: "tree" }, name);
    const message = this.#inEach((world) => world.compare(world.open(name)));
    return message === undefined ? undefined : `the tree of ${name} differs: ${message}`;
  }

  #calls(names: readonly string[], count: number): string | undefined {
    const { pool, tally } = this.#parts;
    const sides = names.map((name) => this.#worlds.map((world) => world.open(name)));
    for (let n = 0; n < count; n++) {
      const at = n % DRAWN_AT_ONCE;
      if (at === 0) this.#draw(Math.min(DRAWN_AT_ONCE, count - n), sides.length);
      const places = sides[this.#drawnSides[at] as number] as readonly Place[];
      const prepared = pool[this.#drawn[at] as number] as Prepared;
      const opens = this.#drawnOpens[at];
      const { model } = places[0] as Place;
      if (opens !== undefined && model.files.has(opens)) {
        const message = this.#call(places, closing(opens));
        if (message !== undefined) return message;
      }
      const message = this.#call(places, prepared);
      if (message !== undefined) return message;
      if (tally.operations % STATE_EVERY === 0 && this.#counts) this.#look(model);
      if (tally.operations % this.#checkEvery === 0) {
        tally.checks += 1;
        const broken = this.#lab({ lab: "tick", ms: 6000 }) ?? this.#inEach((world) => world.check());
        if (broken !== undefined) return broken;
      }
    }
    return undefined;
  }

  /** Draws the next steps, and on which of the sides each is made. */
  #draw(count: number, sides: number): void {
    const random = this.#random;
    const { pool } = this.#parts;
    for (let at = 0; at < count; at++) {
      this.#drawnSides[at] = sides === 1 ? 0 : random.uint32() & 1;
      this.#drawn[at] = random.uint32() % pool.length;
    }
    // The pool is larger than the processor's caches: looked at one after the other, the steps come from memory side by side.
    for (let at = 0; at < count; at++) {
      const { told } = pool[this.#drawn[at] as number] as Prepared;
      this.#drawnOpens[at] = told["call"] === "open" ? textOf(told, "fd") : undefined;
    }
  }

  /** Notes the state. */
  #look(model: ModelTree): void {
    this.#parts.tally.states.add(stateOf(model));
  }

  #call(places: readonly Place[], prepared: Prepared): string | undefined {
    const first = places[0] as Place;
    this.#made.add(prepared, first.name);
    const { tally } = this.#parts;
    tally.operations += 1;
    const [world, other] = this.#worlds as readonly [World, World | undefined];
    this.failing = world.ground;
    const message = world.call(first, prepared);
    if (this.#counts && world.wasMade) tally.count(prepared.call, world.expected);
    const second = places[1];
    if (message !== undefined || other === undefined || second === undefined) return message;
    this.failing = other.ground;
    const beside = other.call(second, prepared);
    if (beside === undefined && !sameForetold(world.expected, other.expected)) tally.otherwise += 1;
    return beside;
  }
}

const CLOSING = new Map<string, Prepared>();

function closing(fd: string): Prepared {
  let known = CLOSING.get(fd);
  if (known === undefined) {
    known = prepare({ call: "close", fd }) as Prepared;
    CLOSING.set(fd, known);
  }
  return known;
}

function addCounts(sum: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, count] of counts) sum.set(name, (sum.get(name) ?? 0) + count);
}
