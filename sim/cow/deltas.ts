/**
 * What the running transaction has changed of extents' references, by extent, taken in the order of their places (fs/btrfs/delayed-ref.c; Linux 6.18).
 *
 * Interface: who takes what is pending may change more meanwhile; `take` gives undefined when nothing is left, and everything begins anew. What one transaction has used
 * serves the next: a snapshot of a large tree changes hundreds of extents in a commit, and would leave as many objects to the collector.
 */
import type { Extent, Reference } from "./extent.ts";

/** What the running transaction has done to one extent's references (a delayed reference head). It holds until the next one is taken. */
export interface Delta {
  start: number;
  /** Whether this transaction has made the extent; then `length`, `level` and `generation` are its. */
  isNew: boolean;
  length: number;
  level: number;
  generation: number;
  becomesFull: boolean;
  /** How many references more. */
  more: number;
  /** Whose references: counts say how many more. Most have one change; what is more is in a list behind it. */
  change: Reference | undefined;
  others: Reference[] | undefined;
  /** Whether the commit has come to it, or its extent was given up before: it counts no more. */
  taken: boolean;
}

/** Whose references a delta changes. */
export function changesOf({ change, others }: Delta): readonly Reference[] {
  if (change === undefined) return NO_CHANGES;
  return others === undefined ? [change] : [change, ...others];
}
const NO_CHANGES: readonly Reference[] = [];

/** The extent that a transaction has made, without references. */
export function newExtent({ start, length, level, generation }: Delta): Extent {
  return { start, length, level, generation, full: false, references: 0, inline: undefined, itemBytes: 0, apart: 0 };
}

/** Extents begin at multiples of it. */
const UNIT = 4096;
/** A multiplier that spreads neighbours (Knuth). */
const SPREAD = 0x9e37_79b1;
/** How many are kept for the next transaction. */
const KEPT = 1024;

const NO_STARTS: Float64Array = new Float64Array(0);

function newDelta(): Delta {
  return {
    start: 0,
    isNew: false,
    length: 0,
    level: 0,
    generation: 0,
    becomesFull: false,
    more: 0,
    change: undefined,
    others: undefined,
    taken: false,
  };
}

export class Deltas {
  /** Those up to #end are this transaction's, the others may be used. */
  #queue: Delta[] = [];
  #end = 0;
  /** The starts of those that this round takes, ascending, from #next on; what comes meanwhile behind where it is, is among #added, the rest waits for the next round. */
  #round: Float64Array = NO_STARTS;
  #next = 0;
  readonly #added: number[] = [];
  #nextAdded = 0;
  readonly #later: number[] = [];
  /** Up to where this round has come; -1 before the first one is taken. */
  #passed = -1;
  /** How many are not taken. */
  left = 0;
  /** The last of each start: a place behind the one that its hash says, the first that is free; as many as a power of two. */
  #places: (Delta | undefined)[] = emptyPlaces(KEPT);

  /** Where a start is, or would be. */
  #placeOf(start: number): number {
    const places = this.#places;
    const mask = places.length - 1;
    for (let at = (Math.imul(start / UNIT, SPREAD) >>> 12) & mask; ; at = (at + 1) & mask) {
      const there = places[at];
      if (there === undefined || there.start === start) return at;
    }
  }

  /** What is pending of an extent. */
  get(start: number): Delta | undefined {
    const delta = this.#places[this.#placeOf(start)];
    return delta === undefined || delta.taken ? undefined : delta;
  }

  /** Begins one, of an extent of which nothing is pending. */
  add(start: number, change: Reference | undefined): Delta {
    let delta = this.#queue[this.#end];
    if (delta === undefined) {
      delta = newDelta();
      this.#queue.push(delta);
    }
    this.#end += 1;
    this.left += 1;
    delta.start = start;
    delta.isNew = false;
    delta.becomesFull = false;
    delta.more = change?.count ?? 0;
    delta.change = change;
    delta.others = undefined;
    delta.taken = false;
    if (this.#passed < 0 || start <= this.#passed) this.#later.push(start);
    else this.#addToRound(start);
    if (this.#end > this.#places.length >>> 1) this.#grow();
    else this.#places[this.#placeOf(start)] = delta;
    return delta;
  }

  #grow(): void {
    this.#places = emptyPlaces(this.#places.length * 2);
    for (let at = 0; at < this.#end; at++) {
      const delta = this.#queue[at] as Delta;
      this.#places[this.#placeOf(delta.start)] = delta;
    }
  }

  /** It counts no more. */
  passed(delta: Delta): void {
    delta.taken = true;
    this.left -= 1;
  }

  /** Puts one among those of this round. New nodes lie mostly behind each other. */
  #addToRound(start: number): void {
    const added = this.#added;
    let at = added.length;
    while (at > this.#nextAdded && (added[at - 1] as number) > start) at--;
    if (at === added.length) added.push(start);
    else added.splice(at, 0, start);
  }

  /** The start that this round comes to next; infinite when it is over. */
  #nextStart(): number {
    const start = this.#next < this.#round.length ? (this.#round[this.#next] as number) : Number.POSITIVE_INFINITY;
    const added = this.#nextAdded < this.#added.length ? (this.#added[this.#nextAdded] as number) : Number.POSITIVE_INFINITY;
    if (start < added) this.#next += 1;
    else if (added < Number.POSITIVE_INFINITY) this.#nextAdded += 1;
    return Math.min(start, added);
  }

  /** The next one by its start, round and round (btrfs_select_ref_head). */
  take(): Delta | undefined {
    for (;;) {
      for (let start = this.#nextStart(); start < Number.POSITIVE_INFINITY; start = this.#nextStart()) {
        const delta = this.get(start);
        if (delta === undefined) continue;
        this.#passed = start;
        this.passed(delta);
        return delta;
      }
      this.#next = 0;
      this.#nextAdded = 0;
      this.#added.length = 0;
      if (this.#later.length === 0) break;
      this.#round = new Float64Array(this.#later).sort();
      this.#later.length = 0;
    }
    this.#round = NO_STARTS;
    this.#passed = -1;
    if (this.#end > KEPT) this.#queue.length = KEPT;
    if (this.#places.length > KEPT) this.#places = emptyPlaces(KEPT);
    else if (this.#end > 0) this.#places.fill(undefined);
    this.#end = 0;
    return undefined;
  }

  /** The starts of what is pending, in order. */
  starts(): number[] {
    const starts: number[] = [];
    for (let at = 0; at < this.#end; at++) {
      const { start, taken } = this.#queue[at] as Delta;
      if (!taken) starts.push(start);
    }
    return starts;
  }
}

function emptyPlaces(count: number): (Delta | undefined)[] {
  return new Array<Delta | undefined>(count).fill(undefined);
}
