/**
 * Committed metadata blocks that are not in place yet, as their last transactions have them (jbd2: the checkpoint lists).
 *
 * Interface: a run is added once; a block of it that is added by itself later is meant from then on, and the run without it.
 */
import { assert } from "../../core/assert.ts";
import type { Errno } from "../../core/errno.ts";
import type { PackedWords, Place } from "./packed-words.ts";

export interface Waiting extends Place {
  packed: PackedWords;
  at: number;
  /** When it was committed. */
  since: number;
  /** Whether it is several blocks that follow each other. */
  readonly isRun: boolean;
}

interface WaitingRun extends Waiting {
  readonly block: number;
  readonly count: number;
}

/** Blocks to be written: where, the record, and which of a run's they are. */
type Write = (block: number, waiting: Waiting, from: number, count: number) => Errno | undefined;

/** A part of a run that is due. */
interface Part {
  readonly run: WaitingRun;
  readonly from: number;
  readonly count: number;
}

export class WaitingBlocks {
  readonly #single = new Map<number, Waiting>();
  #runs: WaitingRun[] = [];

  /** How many blocks wait. */
  get blocks(): number {
    let count = this.#single.size;
    for (const run of this.#runs) for (const part of this.#partsOf(run)) count += part.count;
    return count;
  }

  /** Adds what a transaction has of a block, or of a run from there on. */
  add(block: number, packed: PackedWords, at: number, since: number): void {
    const count = packed.blocksOf(at);
    if (count > 1) {
      this.#runs.push({ packed, at, since, isRun: true, block, count });
      return;
    }
    const known = this.#single.get(block);
    if (known === undefined) {
      this.#single.set(block, { packed, at, since, isRun: false });
      return;
    }
    known.packed = packed;
    known.at = at;
    known.since = since;
  }

  /** A single block waits no more. */
  delete(block: number): void {
    this.#single.delete(block);
  }

  /** Takes those that wait since `before` or earlier out, in the order of the disk. @returns the first error of `write`; the rest goes on waiting. */
  take(before: number, write: Write): Errno | undefined {
    const due: number[] = [];
    for (const [block, waiting] of this.#single) if (waiting.since <= before) due.push(block);
    const parts = new Map<number, Part>();
    for (const run of this.#runs) {
      if (run.since > before) continue;
      for (const part of this.#partsOf(run)) {
        due.push(run.block + part.from);
        parts.set(run.block + part.from, part);
      }
    }
    due.sort((one, other) => one - other);
    for (const block of due) {
      const part = parts.get(block);
      const failed =
        part === undefined
          ? write(block, this.#single.get(block) as Waiting, 0, 1)
          : write(block, part.run, part.from, part.count);
      if (failed !== undefined) return failed;
      if (part === undefined) this.#single.delete(block);
    }
    if (this.#runs.length > 0) this.#runs = this.#runs.filter((run) => run.since > before);
    return undefined;
  }

  /** The blocks of a run that are not newer by themselves. */
  #partsOf(run: WaitingRun): Part[] {
    const parts: Part[] = [];
    let from = 0;
    for (let index = 0; index < run.count; index++) {
      const single = this.#single.get(run.block + index);
      if (single === undefined) continue;
      assert(single.since >= run.since, `block ${run.block + index} waits longer than the run that it is of`);
      if (index > from) parts.push({ run, from, count: index - from });
      from = index + 1;
    }
    if (run.count > from) parts.push({ run, from, count: run.count - from });
    return parts;
  }
}
