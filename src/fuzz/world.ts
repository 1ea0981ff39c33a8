/**
 * A driver beside the plain tree: one lab, and for each of its layers and containers a model of what it must show.
 *
 * Interface: each method makes one step on both and returns why they do not agree, or nothing. Where an engine breaks, that is a
 * disagreement too. A step is prepared once (`prepare`) and can then be made any number of times without making objects.
 */
import { InvariantError } from "../../sim/core/assert.ts";
import { milliseconds } from "../../sim/core/units.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { formatJson, isList, isRecord, type Json } from "../calls/json.ts";
import type { CallSession } from "../calls/session.ts";
import { type Step, textOf, wholeOf } from "../calls/step.ts";
import { isDriverError } from "../drivers/driver.ts";
import { Lab } from "../layers/lab.ts";
import { labFor } from "../replay/target.ts";
import { FUZZ_CALLS, type FuzzCall, toldAnswer, toldExpected } from "./calls.ts";
import { rulesOf } from "./differences.ts";
import type { Ground } from "./ground.ts";
import { type Actor, ModelTree } from "./model/tree.ts";
import { treeDifference } from "./whole-tree.ts";

/** A step that is ready to be made. */
export interface Prepared {
  readonly step: Step;
  /** The step as both sides read it (`toldBy`). */
  readonly told: Step;
  readonly call: FuzzCall;
  readonly actor: Actor;
  readonly umask: number;
}

const ROOT: Actor = { uid: 0, gid: 0, groups: [] };

/** Each user once, so that the tasks of a place are found by them. */
const ACTORS = new Map<string, Actor>();

function actorOf(as: Json | undefined): Actor {
  if (!isRecord(as)) return ROOT;
  const groups = isList(as["groups"]) ? as["groups"].map(Number) : [];
  const actor: Actor = { uid: Number(as["uid"]), gid: Number(as["gid"]), groups };
  const key = `${actor.uid}:${actor.gid}:${groups.join()}`;
  const known = ACTORS.get(key) ?? actor;
  ACTORS.set(key, known);
  return known;
}

/**
 * A step's call and arguments with a place for every argument that calls have, those that it lacks being undefined. Thousands of steps that
 * are made in turn are objects of one kind then, which are read several times as fast as those of many kinds. Written out, for only such an
 * object keeps its values in itself.
 */
function inOneShape(step: Step): Record<string, Json | undefined> {
  return {
    call: step["call"],
    path: step["path"],
    to: step["to"],
    fd: step["fd"],
    flags: step["flags"],
    mode: step["mode"],
    data: step["data"],
    offset: step["offset"],
    len: step["len"],
    target: step["target"],
    uid: step["uid"],
    gid: step["gid"],
    atime: step["atime"],
    mtime: step["mtime"],
    nofollow: step["nofollow"],
    name: step["name"],
    value: step["value"],
    want: step["want"],
    whence: step["whence"],
    type: step["type"],
    rdev: step["rdev"],
  };
}

/** What is no argument, or has a place in that shape. */
const SHAPED: ReadonlySet<string> = new Set(["on", "as", "umask", ...Object.keys(inOneShape({}))]);

/** A step as both sides read it: one with arguments beyond the usual stays as it is. */
function toldBy(step: Step, told: Map<string, Step> | undefined): Step {
  if (!Object.keys(step).every((key) => SHAPED.has(key))) return step;
  const shaped = inOneShape(step) as Step;
  if (told === undefined) return shaped;
  const key = formatJson(shaped);
  const known = told.get(key) ?? shaped;
  told.set(key, known);
  return known;
}

/**
 * Reads a step's call, actor and umask; undefined for a call that the plain tree does not know.
 * @param told - those prepared before: steps that differ in who makes them are read from one object, which stays in the processor's caches.
 */
export function prepare(step: Step, told?: Map<string, Step>): Prepared | undefined {
  const name = textOf(step, "call");
  const call = Object.hasOwn(FUZZ_CALLS, name) ? FUZZ_CALLS[name] : undefined;
  if (call === undefined) return undefined;
  const { as, umask } = step;
  const actor = actorOf(as);
  return {
    step,
    told: toldBy(step, told),
    call,
    actor,
    umask: typeof umask === "string" ? Number.parseInt(umask, 8) : 0,
  };
}

/** One layer or container: the process in it, and the model of its tree. */
export interface Place {
  readonly name: string;
  readonly model: ModelTree;
  readonly session: CallSession;
  /** The process as each user. */
  readonly tasks: Map<Actor, Task>;
}

export class World {
  readonly lab: Lab;
  readonly ground: Ground;
  /** What the plain tree gave to the last call. */
  expected: unknown;
  /** Whether the last call was made: some are better left out. */
  wasMade = true;
  readonly #places = new Map<string, Place>();
  readonly #models = new Map<string, ModelTree>();

  constructor(lab: Lab, ground: Ground) {
    this.lab = lab;
    this.ground = ground;
  }

  /** A new lab on a ground, as traces are replayed on; a text that says why there is none. */
  static on(ground: Ground): World | string {
    const lab = labFor({ name: "", ...ground, holdsSeen: false });
    return lab instanceof Lab ? new World(lab, ground) : lab.cannotRun;
  }

  /** The layer or container that a step acts on. */
  place(name: string): Place | undefined {
    return this.#places.get(name);
  }

  /** Every tree's model, the sealed ones too. */
  get models(): ReadonlyMap<string, ModelTree> {
    return this.#models;
  }

  /** A new layer or container; what it stands on is sealed. */
  add(kind: "layer" | "container", name: string, parent: string | undefined): string | undefined {
    return guarded(() => this.#add(kind, name, parent));
  }

  #add(kind: "layer" | "container", name: string, parent: string | undefined): string | undefined {
    const { lab } = this;
    const below = parent === undefined ? undefined : this.#models.get(parent);
    if (parent !== undefined && below !== undefined && this.#places.delete(parent)) below.seal();
    const failed = kind === "layer" || parent === undefined ? lab.addLayer(name, parent) : lab.addContainer(name, parent);
    if (failed !== undefined) return `${kind} ${name}: ${failed.message}`;
    const session = lab.session(name);
    if (isDriverError(session)) return `${kind} ${name}: ${session.message}`;
    const model = below?.fork() ?? new ModelTree(rulesOf(this.ground, false), rulesOf(this.ground, true));
    const place: Place = { name, model, session, tasks: new Map([[ROOT, session.task]]) };
    this.#places.set(name, place);
    this.#models.set(name, model);
    return undefined;
  }

  /** Makes a call on both sides. */
  call(place: Place, prepared: Prepared): string | undefined {
    const { model, session } = place;
    const { told, call, actor, umask } = prepared;
    let task = place.tasks.get(actor);
    if (task === undefined) {
      task = session.taskAs(actor.uid, actor.gid, actor.groups);
      place.tasks.set(actor, task);
    }
    model.actor = actor;
    model.umask = umask;
    task.umask = umask;
    this.wasMade = call.leavesOut?.(model, told) !== true;
    if (!this.wasMade) return undefined;
    const expected = call.model(model, told);
    this.expected = expected;
    const got = call.driver(session, task, told);
    return call.same(expected, got) ? undefined : `${toldAnswer(got)}, not ${toldExpected(expected)}`;
  }

  /** The layers and containers that are open. */
  open(name: string): Place {
    const place = this.#places.get(name);
    if (place === undefined) throw new Error(`there is no layer or container ${name}`);
    return place;
  }

  /** As `call`; what an engine throws is a disagreement. */
  tryCall(place: Place, prepared: Prepared): string | undefined {
    return guarded(() => this.call(place, prepared));
  }

  /** Compares a whole tree. */
  compare(place: Place): string | undefined {
    return guarded(() => treeDifference(place.session.task, place.model));
  }

  /** Lets time pass, with what is due in it. */
  tick(step: Step): string | undefined {
    return guarded(() => {
      this.lab.host.clock.advance(milliseconds(wholeOf(step, "ms")));
      this.lab.host.clock.runDueTimers();
      return undefined;
    });
  }

  /** Every engine's books. */
  check(): string | undefined {
    return guarded(() => {
      this.lab.host.check();
      return undefined;
    });
  }

  end(): string | undefined {
    return guarded(() => {
      this.lab.end();
      return undefined;
    });
  }
}

/** Runs `work`; a bug of an engine is told as text. */
export function guarded(work: () => string | undefined): string | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError)
      return `${error.name}: ${error.message}`;
    throw error;
  }
}
