/**
 * The promised blocks of one fork, and for each range of them what is promised to the fork's tree (delayed extents and their indirect length;
 * libxfs/xfs_bmap.c: xfs_bmap_add_extent_hole_delay, xfs_bmap_add_extent_delay_real, xfs_bmap_del_extent_delay, xfs_bmap_split_indlen; Linux 6.18).
 *
 * Rule: a new range has what a tree may need for it at worst. Ranges that become one have no more than they had, nor does what is left of one; two halves
 * take what they lack of the blocks between them, unless those have got their place: then both have what they may need.
 */
import { assert } from "../../core/assert.ts";
import { PromisedBlocks } from "../promised-blocks.ts";
import { type Geometry, worstTreeBlocks } from "./layout.ts";

export class PromisedExtents {
  readonly blocks: PromisedBlocks = new PromisedBlocks();
  /** Of the only range: where it begins, and its tree's blocks. -1: there is none, or several. */
  #start = -1;
  #only = 0;
  /** The tree's blocks of several ranges, by where they begin. */
  #several: Map<number, number> | undefined;
  /** What is promised to the tree in all. */
  indirect = 0;

  /** Promises [start, end), nothing of which is promised. */
  promise(geometry: Geometry, start: number, end: number): void {
    let known = worstTreeBlocks(geometry, end - start);
    const first = start > 0 && this.blocks.has(start - 1) ? this.blocks.startOf(start - 1) : start;
    if (first < start) known += this.#take(first);
    if (this.blocks.has(end)) known += this.#take(end);
    this.blocks.set(start, end);
    this.#put(first, Math.min(worstTreeBlocks(geometry, this.blocks.nextGap(first) - first), known));
  }

  /** Ends the promises of [start, end). @param how - whether they are kept: the blocks have got their place. @returns how many blocks they were */
  end(geometry: Geometry, { start, end }: { start: number; end: number }, how: "kept" | "dropped"): number {
    const before = this.blocks.covered;
    for (
      let at = this.blocks.has(start) ? this.blocks.startOf(start) : this.blocks.nextCovered(start);
      at !== undefined && at < end;
    ) {
      const stop = this.blocks.nextGap(at);
      this.#cut(geometry, { at, stop, from: Math.max(at, start), to: Math.min(stop, end) }, how);
      at = this.blocks.nextCovered(stop);
    }
    this.blocks.delete(start, end);
    return before - this.blocks.covered;
  }

  /** Gives what is left of range [at, stop) without [from, to) its part of the tree's blocks. */
  #cut(geometry: Geometry, { at, stop, from, to }: { at: number; stop: number; from: number; to: number }, how: string): void {
    const had = this.#take(at);
    const left = worstTreeBlocks(geometry, from - at);
    const right = worstTreeBlocks(geometry, stop - to);
    if (from > at && stop > to) {
      const has = how === "kept" ? left + right : Math.min(left + right, had + to - from);
      const [one, other] = shares(has, left, right);
      this.#put(at, one);
      this.#put(to, other);
    } else if (from > at) this.#put(at, Math.min(left, had));
    else if (stop > to) this.#put(to, Math.min(right, had));
  }

  #take(start: number): number {
    let taken = this.#only;
    if (this.#several === undefined) {
      assert(this.#start === start, "a range of promised blocks begins where its tree's blocks are noted");
      this.#start = -1;
    } else {
      taken = this.#several.get(start) as number;
      this.#several.delete(start);
      if (this.#several.size === 0) this.#several = undefined;
    }
    this.indirect -= taken;
    return taken;
  }

  #put(start: number, blocks: number): void {
    this.indirect += blocks;
    if (this.#several !== undefined) this.#several.set(start, blocks);
    else if (this.#start < 0) {
      this.#start = start;
      this.#only = blocks;
    } else {
      this.#several = new Map([
        [this.#start, this.#only],
        [start, blocks],
      ]);
      this.#start = -1;
    }
  }

  /** Throws an InvariantError unless each range has blocks of the tree, at most what it may need. */
  check(geometry: Geometry): void {
    let sum = 0;
    this.blocks.visit((start, end) => {
      const blocks = this.#several === undefined ? this.#only : (this.#several.get(start) ?? -1);
      assert(this.#several !== undefined || this.#start === start, "a range of promised blocks is noted for its tree");
      assert(
        blocks >= 0 && blocks <= worstTreeBlocks(geometry, end - start),
        `${blocks} blocks of a tree are promised for ${end - start}`,
      );
      sum += blocks;
    });
    assert(sum === this.indirect, `${this.indirect} blocks are promised to a tree, ranges have ${sum}`);
  }
}

/** Shares blocks out between two that want as many or more, by what each wants; what is left over goes by turns, and first to whom would have none. */
function shares(blocks: number, left: number, right: number): [left: number, right: number] {
  const percent = Math.min(100, Math.floor((blocks * 100) / (left + right)));
  const given: [number, number] = [Math.floor((left * percent) / 100), Math.floor((right * percent) / 100)];
  let rest = blocks - given[0] - given[1];
  if (rest > 0 && given[1] === 0 && right > 0) {
    given[1] = 1;
    rest -= 1;
  }
  for (let turn = 0; rest > 0; turn = 1 - turn) {
    if (given[turn as 0 | 1] >= (turn === 0 ? left : right)) continue;
    given[turn as 0 | 1] += 1;
    rest -= 1;
  }
  return given;
}
