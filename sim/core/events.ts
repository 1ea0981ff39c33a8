/**
 * What happened inside the machine, as a stream that reports, timelines and explanations fold.
 *
 * Interface: an engine writes `if (events.listening) events.emit({ op: … })`, so that an event nobody hears costs one test of a
 * field. `step` is the number of the scenario or trace step at work; its runner sets it. Counters count always (counters.ts).
 */

/** What becomes of blocks that snapshots, clones and files share. Numbers of blocks are the pool's or the filesystem's own; sizes are bytes. */
export type SharingEvent =
  /** A snapshot or clone was made, with everything shared: of a thin device, a subvolume, a dataset. */
  | { readonly op: "snapshot"; readonly filesystem: string; readonly source: string; readonly target: string }
  /** A write mapped a virtual block of a thin volume. */
  | { readonly op: "thinProvision"; readonly device: string; readonly virtual: number; readonly block: number }
  /** A write moved a shared virtual block of a thin volume to a block of its own; `copied`: 0 where it wrote the whole block. */
  | {
      readonly op: "thinBreak";
      readonly device: string;
      readonly virtual: number;
      readonly source: number;
      readonly block: number;
      readonly copied: number;
    }
  /** A discard unmapped virtual blocks; those that no other device maps are free again. */
  | { readonly op: "thinUnmap"; readonly device: string; readonly blocks: number }
  /** A thin pool went into another mode, such as outOfDataSpace (sim/thin/pool-mode.ts). */
  | { readonly op: "poolMode"; readonly device: string; readonly mode: string }
  /**
   * A file let go of (a part of) an extent. `left`: whether nobody uses the extent any more ("free"), the same file still uses another part of it
   * ("part"), or somebody else does ("shared").
   */
  | {
      readonly op: "extentDrop";
      readonly filesystem: string;
      readonly inode: number;
      readonly block: number;
      readonly blocks: number;
      readonly left: "free" | "part" | "shared";
    }
  /** A file got a reference to (a part of) an extent that is there: a reflink. */
  | {
      readonly op: "extentShare";
      readonly filesystem: string;
      readonly inode: number;
      readonly block: number;
      readonly blocks: number;
    }
  /** zfs wrote a block of file data in a transaction group. */
  | { readonly op: "blockBirth"; readonly filesystem: string; readonly group: number; readonly bytes: number }
  /** A dataset let go of a block of file data that nobody else has. */
  | { readonly op: "blockFree"; readonly filesystem: string; readonly birth: number; readonly bytes: number }
  /** A dataset let go of a block of file data that a snapshot keeps, since it was born no later than `snapshot`, the group of that. */
  | {
      readonly op: "blockKeep";
      readonly filesystem: string;
      readonly birth: number;
      readonly snapshot: number;
      readonly bytes: number;
    }
  /** A block of file data was found in the ARC, or had to be read. */
  | { readonly op: "arcHit" | "arcMiss"; readonly filesystem: string; readonly birth: number; readonly bytes: number };

export type SimEvent =
  | { readonly op: "deviceRead"; readonly device: string; readonly offset: number; readonly length: number }
  | { readonly op: "deviceWrite"; readonly device: string; readonly offset: number; readonly length: number }
  | { readonly op: "deviceDiscard"; readonly device: string; readonly offset: number; readonly length: number }
  | { readonly op: "deviceFlush"; readonly device: string }
  | {
      readonly op: "cacheMiss";
      readonly filesystem: string;
      readonly inode: number;
      readonly page: number;
      readonly pages: number;
      /** How many of them nobody has asked for yet. */
      readonly ahead: number;
    }
  | {
      readonly op: "writeback";
      readonly filesystem: string;
      readonly inode: number;
      readonly page: number;
      readonly pages: number;
    }
  | { readonly op: "evict"; readonly filesystem: string; readonly inode: number; readonly page: number; readonly pages: number }
  | {
      readonly op: "extent";
      readonly filesystem: string;
      readonly inode: number;
      readonly block: number;
      readonly blocks: number;
    }
  | { readonly op: "journalCommit"; readonly filesystem: string; readonly transaction: number; readonly blocks: number }
  | { readonly op: "copyUp"; readonly filesystem: string; readonly path: string; readonly kind: string; readonly bytes: number }
  | { readonly op: "whiteout"; readonly filesystem: string; readonly path: string }
  | { readonly op: "treeCopy"; readonly source: string; readonly target: string; readonly files: number; readonly bytes: number }
  /** A system call that a process made; it began at the virtual time `since`. */
  | {
      readonly op: "call";
      readonly process: string;
      /** The type of the filesystem at the process's root. */
      readonly filesystem: string;
      readonly call: string;
      readonly arguments: string;
      /** 0, a value, or the errno's code. */
      readonly result: string;
      readonly since: number;
    }
  | { readonly op: "mount"; readonly filesystem: string; readonly path: string; readonly options: string }
  | SharingEvent;

/** An event with the step that caused it and the virtual time at which it happened. */
export interface StampedEvent {
  readonly step: number;
  readonly now: number;
  readonly event: SimEvent;
}

export class EventStream {
  readonly #listeners: ((stamped: StampedEvent) => void)[] = [];
  readonly #now: () => number;
  /** Whether anybody hears an event: test it before building one. */
  listening = false;
  /** The step at work; 0 before the first. */
  step = 0;

  /** @param now - tells the virtual time in nanoseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  emit(event: SimEvent): void {
    const stamped: StampedEvent = { step: this.step, now: this.#now(), event };
    for (const listener of this.#listeners) listener(stamped);
  }

  /** Calls `listener` for each event from now on. @returns a function that ends it. */
  subscribe(listener: (stamped: StampedEvent) => void): () => void {
    this.#listeners.push(listener);
    this.listening = true;
    return () => {
      const place = this.#listeners.indexOf(listener);
      if (place >= 0) this.#listeners.splice(place, 1);
      this.listening = this.#listeners.length > 0;
    };
  }
}
