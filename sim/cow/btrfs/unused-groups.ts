/**
 * Chunks that nothing is in, on their way to be given up by the cleaner (fs/btrfs/block-group.c: btrfs_mark_bg_unused, btrfs_delete_unused_bgs; discard.c; Linux 6.18).
 *
 * Words: a chunk is *listed* when the cleaner's next turn is to look at it (unused_bgs), and *queued* while its free space is to be discarded first.
 *
 * Interface: a turn looks at each listed chunk once. One that is used again, or the last of its type, is not looked at any more before it is listed anew.
 */
import { MIB, seconds } from "../../core/units.ts";
import type { BlockGroup } from "./block-group.ts";

/** How long an empty chunk is left alone before its space is discarded (BTRFS_DISCARD_UNUSED_DELAY). */
const DISCARD_AFTER: number = seconds(10);
/** The longest range that is discarded at once (BTRFS_ASYNC_DISCARD_DEFAULT_MAX_SIZE), and the pause behind each (BTRFS_DISCARD_MAX_DELAY_MSEC). */
const DISCARD_BYTES = MIB(64);
const DISCARD_PAUSE: number = seconds(1);

export interface UnusedRules {
  /** Whether free space is discarded behind the commit (discard=async), and what is empty goes only when it is. */
  readonly discardsLater: boolean;
  /** Whether a new chunk is listed at once, and whether none goes that a promise counts on. */
  readonly listsNew: boolean;
  /** Nanoseconds. */
  readonly now: () => number;
}

export class UnusedGroups {
  readonly #rules: UnusedRules;
  readonly #listed = new Set<BlockGroup>();
  /** When the last range of each queued chunk will have been discarded. */
  readonly #queued = new Map<BlockGroup, number>();

  /** @param rules - by default nothing is discarded, and new chunks stay. */
  constructor(rules: UnusedRules = { discardsLater: false, listsNew: false, now: () => 0 }) {
    this.#rules = rules;
  }

  /** A chunk was made: maybe nothing will be put into it (btrfs_create_pending_block_groups). */
  made(group: BlockGroup): void {
    if (this.#rules.listsNew) this.#listed.add(group);
  }

  /** The last extent of a chunk has gone, whose range is still pinned; or a mount has found it empty, and queues nothing yet (btrfs_discard_resume comes later). */
  emptied(group: BlockGroup): void {
    if (!this.#rules.discardsLater) this.#listed.add(group);
  }

  /** A range of a chunk has become free. */
  freed(group: BlockGroup): void {
    if (group.used > 0 || !this.#rules.discardsLater) return;
    const pauses = Math.ceil(group.length / DISCARD_BYTES);
    this.#queued.set(group, this.#rules.now() + DISCARD_AFTER + pauses * DISCARD_PAUSE);
  }

  /**
   * A turn of the cleaner.
   * @param standing - told of a chunk whose space is discarded: "needed" when it is used or the last of its type, "promised" when a promise counts on its space.
   * @param drop - gives one up, before the next is asked about.
   */
  turn(standing: (group: BlockGroup) => "needed" | "promised" | "unused", drop: (group: BlockGroup) => void): void {
    this.#discard();
    for (const group of [...this.#listed]) {
      const now = this.#queued.has(group) ? "untrimmed" : standing(group);
      if (now === "promised" && this.#rules.listsNew) continue;
      this.#listed.delete(group);
      if (now === "untrimmed") this.freed(group);
      else if (now !== "needed") drop(group);
    }
  }

  /** Lists what has been discarded meanwhile and is still empty (btrfs_finish_discard_pass). */
  #discard(): void {
    for (const [group, until] of this.#queued) {
      if (until > this.#rules.now()) continue;
      this.#queued.delete(group);
      if (group.used === 0) this.#listed.add(group);
    }
  }
}
