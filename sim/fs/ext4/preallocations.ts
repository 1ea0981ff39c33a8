/**
 * Preallocations: blocks that are free on the disk and kept in memory for a file that is open for writing, or for small files together (fs/ext4/mballoc.c:
 * struct ext4_prealloc_space; the locality group's). Nobody else finds them; nothing of them outlives the mount.
 *
 * Interface: one lies in one group. Of a file's, what the bitmap says is free is left; one of the small files' is cut from its beginning as it is used.
 */
import type { FreeBlocks } from "../../block/free-runs.ts";
import { assert } from "../../core/assert.ts";
import { BLOCKS_PER_GROUP, firstBlockOf } from "./layout.ts";

export interface Preallocation {
  /** Whose; SMALL_FILES for those that small files share. */
  readonly ino: number;
  /** The file's block that the first one is for. */
  readonly logical: number;
  start: number;
  count: number;
  /** How many of them nobody has taken. */
  free: number;
}

/** No inode has this number. */
export const SMALL_FILES = 0;

const NONE: readonly Preallocation[] = [];

export class Preallocations {
  /** Hears of each group where something is kept, or is no longer. */
  onChange: ((group: number) => void) | undefined;
  readonly #ofInode: Map<number, Preallocation[]> = new Map();
  readonly #ofGroup: Map<number, Preallocation[]> = new Map();

  get isEmpty(): boolean {
    return this.#ofInode.size === 0;
  }

  /** An inode's, or with SMALL_FILES those of the locality group. */
  of(ino: number): readonly Preallocation[] {
    return this.#ofInode.get(ino) ?? NONE;
  }

  in(group: number): readonly Preallocation[] {
    return this.#ofGroup.get(group) ?? NONE;
  }

  add(one: Preallocation): void {
    put(this.#ofInode, one.ino, one);
    put(this.#ofGroup, groupOf(one), one);
    this.onChange?.(groupOf(one));
  }

  /** Notes that some blocks were taken; of those of the small files they are the first. */
  use(one: Preallocation, count: number): void {
    one.free -= count;
    if (one.free === 0) {
      cut(this.#ofInode, one.ino, one);
      cut(this.#ofGroup, groupOf(one), one);
    } else if (one.ino === SMALL_FILES) {
      one.start += count;
      one.count -= count;
    }
  }

  /** Gives those of an inode up (ext4_discard_preallocations). */
  discard(ino: number): void {
    for (const one of this.of(ino)) {
      cut(this.#ofGroup, groupOf(one), one);
      this.onChange?.(groupOf(one));
    }
    this.#ofInode.delete(ino);
  }

  /** Gives all up (ext4_mb_discard_preallocations). */
  discardAll(): void {
    if (this.onChange !== undefined) for (const group of this.#ofGroup.keys()) this.onChange(group);
    this.#ofInode.clear();
    this.#ofGroup.clear();
  }

  /** How many blocks from one on are kept for nobody, `count` at most, within its group. */
  clip(block: number, count: number): number {
    let end = block + count;
    for (const { start, count: kept } of this.in(Math.floor(block / BLOCKS_PER_GROUP)))
      if (start + kept > block && start < end) end = Math.max(block, start);
    return end - block;
  }

  /** Throws an InvariantError unless each lies in one group and apart from the others, and has as many free blocks as it says. */
  check(bitsOf: (group: number) => FreeBlocks): void {
    for (const [group, list] of this.#ofGroup) {
      const bits = bitsOf(group);
      let end = firstBlockOf(group);
      for (const one of list.toSorted((a, b) => a.start - b.start)) {
        const apart = one.start >= end && one.start + one.count <= firstBlockOf(group + 1);
        assert(apart, `what is kept from block ${one.start} on lies in another`);
        end = one.start + one.count;
        let free = 0;
        for (let block = one.start; block < end; block++) if (bits.isFree(block - firstBlockOf(group))) free += 1;
        assert(free === one.free, `of the blocks kept from ${one.start} on ${one.free} are counted as free, ${free} are`);
        assert(this.of(one.ino).includes(one), `blocks kept from ${one.start} on are not found by their inode`);
      }
    }
  }

  /** Looks at a group's free blocks as if what is kept there were used. */
  without<T>(group: number, bits: FreeBlocks, look: (bits: FreeBlocks) => T): T {
    const kept = this.in(group);
    if (kept.length === 0) return look(bits);
    const hidden: number[] = [];
    const first = firstBlockOf(group);
    for (const { start, count } of kept) {
      const end = start - first + count;
      for (let at = bits.nextFree(start - first); at !== undefined && at < end; ) {
        const stop = Math.min(end, bits.nextUsed(at));
        hidden.push(at, stop - at);
        at = stop < bits.size ? bits.nextFree(stop) : undefined;
      }
    }
    for (let at = 0; at < hidden.length; at += 2) bits.take(hidden[at] as number, hidden[at + 1] as number);
    const seen = look(bits);
    for (let at = 0; at < hidden.length; at += 2) bits.free(hidden[at] as number, hidden[at + 1] as number);
    return seen;
  }
}

function groupOf({ start }: Preallocation): number {
  return Math.floor(start / BLOCKS_PER_GROUP);
}

function put(lists: Map<number, Preallocation[]>, key: number, one: Preallocation): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [one]);
  else list.push(one);
}

function cut(lists: Map<number, Preallocation[]>, key: number, one: Preallocation): void {
  const list = lists.get(key);
  if (list === undefined) return;
  if (list.length === 1) lists.delete(key);
  else list.splice(list.indexOf(one), 1);
}
