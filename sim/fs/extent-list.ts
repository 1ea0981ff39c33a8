/**
 * The extents of one file: a list ordered by logical block, as ext4's extent trees and xfs's forks keep them.
 *
 * The list is kept flat, three numbers an extent, so that a search is one binary search; a long one in pieces (extent-pieces.ts). How the filesystem's
 * blocks divide it is the filesystem's own affair: who divides it hears of every change.
 *
 * Interface: an extent is at most as long as the filesystem's format says; neighbours that continue each other are one. The list never
 * allocates blocks. `changed` hears of every extent that changed: where, and by how many the list became longer there; 0: the extent alone
 * became another; more than 1 only at its end.
 */
import { assert } from "../core/assert.ts";
import { type Extent, ExtentPieces, extentOf, findIn, integer, withExtent } from "./extent-pieces.ts";

const STRIDE = 3;

/** A list shorter than this is made anew for each extent that it gets, so that it has no slack. */
const EXACT_NUMBERS: number = 32 * STRIDE;

/** A list of more extents is kept in pieces, and of fewer flat again. */
const PIECES_FROM = 1024;
const FLAT_BELOW = 256;

/** What a list without extents has, and none changes. */
const NOTHING: number[] = [];

/** Stands for: the numbers are flat, and somebody else holds them as they are now. */
const SHARED: ExtentPieces = new ExtentPieces([]);

/** Who divides a list among blocks: told where it became longer or shorter. */
export interface Growth {
  changed(index: number, by: number): void;
}

/** Blocks that a file gets. */
export interface NewExtent {
  readonly logical: number;
  readonly physical: number;
  readonly count: number;
  readonly unwritten: boolean;
  readonly piece?: number;
}

/** The most blocks of one extent. */
export interface ExtentLimits {
  readonly written: number;
  readonly unwritten: number;
}

export class ExtentList {
  /** Logical start, length (negative: unwritten), physical start, over and over. None while they are in pieces. */
  #items: number[] = NOTHING;
  /** The pieces of a long list, or SHARED. */
  #pieces: ExtentPieces | undefined;

  readonly #limits: ExtentLimits;

  constructor(limits: ExtentLimits) {
    this.#limits = limits;
  }

  /** The numbers of a list that is not long. */
  get items(): readonly number[] {
    assert(this.#long === undefined, "a long list lies in no inode");
    return this.#items;
  }

  /** The items, to be kept by a record: the next change makes a list of its own. */
  share(): readonly number[] {
    const { items } = this;
    this.#pieces = SHARED;
    return items;
  }

  /** The numbers of the extents from one up to another. */
  slice(from: number, to: number): number[] {
    return this.#long?.slice(from, to) ?? this.#items.slice(from * STRIDE, to * STRIDE);
  }

  /** Adds extents, whose numbers are given, behind those that are there. */
  load(numbers: readonly number[]): void {
    if (this.count === 0) this.#items = numbers.slice();
    else
      for (let at = 0; at < numbers.length; at += STRIDE)
        this.#put(this.count, extentOf(numbers[at] as number, numbers[at + 1] as number, numbers[at + 2] as number));
  }

  get #long(): ExtentPieces | undefined {
    return this.#pieces === SHARED ? undefined : this.#pieces;
  }

  /** Called before each change. */
  #own(): void {
    if (this.#pieces !== SHARED) return;
    this.#items = this.#items.slice();
    this.#pieces = undefined;
  }

  /** Brings a list that has become long or short to its form. */
  #fit(): void {
    if (this.#pieces === undefined && this.#items.length > PIECES_FROM * STRIDE) {
      this.#pieces = new ExtentPieces(this.#items);
      this.#items = NOTHING;
    } else if (this.#pieces !== undefined && this.#pieces !== SHARED && this.#pieces.count < FLAT_BELOW) {
      this.#items = this.#pieces.slice(0, this.#pieces.count);
      this.#pieces = undefined;
    }
  }

  #longest(unwritten: boolean): number {
    return unwritten ? this.#limits.unwritten : this.#limits.written;
  }

  #number(index: number, column: number): number {
    const pieces = this.#pieces;
    if (pieces === undefined || pieces === SHARED) return this.#items[index * STRIDE + column] as number;
    return pieces.number(index, column);
  }

  #set(index: number, column: number, value: number): void {
    const long = this.#long;
    if (long === undefined) this.#items[index * STRIDE + column] = integer(value);
    else long.set(index, column, value);
  }

  get count(): number {
    return this.#long?.count ?? this.#items.length / STRIDE;
  }
  logical(index: number): number {
    return this.#number(index, 0);
  }
  length(index: number): number {
    return Math.abs(this.#number(index, 1));
  }
  isUnwritten(index: number): boolean {
    return this.#number(index, 1) < 0;
  }
  physical(index: number): number {
    return this.#number(index, 2);
  }
  end(index: number): number {
    return this.logical(index) + this.length(index);
  }

  /** The index of the first extent that ends behind a logical block; `count` when there is none. */
  find(block: number): number {
    return this.#long?.find(block) ?? findIn(this.#items, block);
  }

  /** Behind the written extents that follow each other in the file from one on. */
  endOfWritten(index: number): number {
    let end = this.end(index);
    for (let at = index + 1; at < this.count && this.logical(at) === end && !this.isUnwritten(at); at++) end = this.end(at);
    return end;
  }

  /** Whether an extent holds the block. */
  has(block: number): boolean {
    const index = this.find(block);
    return index < this.count && this.logical(index) <= block;
  }

  /** Whether an extent holds the block, and it was written. */
  isWritten(block: number): boolean {
    const index = this.find(block);
    return index < this.count && this.logical(index) <= block && !this.isUnwritten(index);
  }

  /**
   * How many extents from one on, all of them before a logical block, have the same length and follow each other, in the file and on the disk: as
   * many commands of one length. At least 1.
   */
  alike(index: number, end: number): number {
    const length = this.#number(index, 1);
    const blocks = Math.abs(length);
    let logical = this.logical(index);
    let physical = this.physical(index);
    for (let at = index + 1; ; at++) {
      logical += blocks;
      physical += blocks;
      if (at === this.count || this.#number(at, 1) !== length || logical + blocks > end) return at - index;
      if (this.logical(at) !== logical || this.physical(at) !== physical) return at - index;
    }
  }

  /** How many blocks of [start, end) have no extent. */
  missing(start: number, end: number): number {
    let missing = end - start;
    for (let index = this.find(start); index < this.count && this.logical(index) < end; index++)
      missing -= Math.min(end, this.end(index)) - Math.max(start, this.logical(index));
    return missing;
  }

  /** Whether extent `index` and the next are one on the disk and in the file, and short enough to be merged. */
  #continues(index: number): boolean {
    const longest = this.#longest(this.isUnwritten(index));
    return (
      this.isUnwritten(index) === this.isUnwritten(index + 1) &&
      this.end(index) === this.logical(index + 1) &&
      this.physical(index) + this.length(index) === this.physical(index + 1) &&
      this.length(index) + this.length(index + 1) <= longest
    );
  }

  /** Whether the extent before a run, or behind it, would take it in whole. */
  takes(run: NewExtent): boolean {
    const index = this.find(run.logical);
    const longest = this.#longest(run.unwritten);
    if (index > 0 && this.#goesOn(index - 1, run) && this.length(index - 1) + run.count <= longest) return true;
    const end = run.logical + run.count;
    if (index >= this.count || this.logical(index) !== end || this.isUnwritten(index) !== run.unwritten) return false;
    return this.physical(index) === run.physical + run.count && this.length(index) + run.count <= longest;
  }

  /**
   * Adds a run of blocks where there are none.
   * @param run - `piece`: it comes in pieces of so many blocks, one after the other; an extent takes whole pieces. Default: as many as it holds.
   */
  insert(run: NewExtent, growth: Growth): void {
    this.#own();
    const { logical, physical, count, unwritten } = run;
    const longest = this.#longest(unwritten);
    const piece = run.piece ?? longest;
    if (this.count === 0 && count <= longest) {
      // Most files have one extent: a list without slack.
      this.#items = extentOf(logical, unwritten ? -count : count, physical);
      growth.changed(0, 1);
      return;
    }
    let index = this.find(logical);
    let done = 0;
    if (index > 0 && this.#goesOn(index - 1, run)) {
      const before = index - 1;
      const room = longest - this.length(before);
      done = count <= room ? count : room - (room % piece);
      if (done > 0) {
        this.#setLength(before, this.length(before) + done, unwritten);
        growth.changed(before, 0);
        this.#merge(before, growth);
      }
    }
    if (index === this.count && count - done > longest) {
      const before = this.count;
      this.#append(run, done, longest - (longest % piece));
      growth.changed(index, this.count - before);
      return;
    }
    while (done < count) {
      const part = count - done <= longest ? count - done : longest - (longest % piece);
      this.#put(index, extentOf(logical + done, unwritten ? -part : part, physical + done));
      growth.changed(index, 1);
      done += part;
      index += 1;
      this.#merge(index - 1, growth);
    }
  }

  /** Appends what a run has behind `done` blocks as extents of `each` blocks, but for the last. */
  #append({ logical, physical, count, unwritten }: NewExtent, done: number, each: number): void {
    const longest = this.#longest(unwritten);
    for (let at = done; at < count; ) {
      const part = count - at <= longest ? count - at : each;
      const length = unwritten ? -part : part;
      if (this.#long === undefined && this.#items.length >= EXACT_NUMBERS)
        this.#items.push(integer(logical + at), integer(length), integer(physical + at));
      else this.#put(this.count, extentOf(logical + at, length, physical + at));
      at += part;
    }
    this.#fit();
  }

  /** Puts an extent's numbers at a place: into a list without slack while it is short, as those of most files stay. */
  #put(index: number, extent: Extent): void {
    const long = this.#long;
    if (long !== undefined) {
      long.insert(index, extent);
      return;
    }
    const items = this.#items;
    const at = index * STRIDE;
    if (items.length < EXACT_NUMBERS) this.#items = withExtent(items, at, extent);
    else if (at === items.length) items.push(extent[0], extent[1], extent[2]);
    else items.splice(at, 0, ...extent);
    this.#fit();
  }

  /** Takes extents' numbers out. */
  #cut(index: number, count: number): void {
    const long = this.#long;
    if (long === undefined) this.#items.splice(index * STRIDE, count * STRIDE);
    else long.remove(index, count);
    this.#fit();
  }

  /** By how many blocks an extent can grow that are written, or unwritten, as it is. */
  roomIn(index: number, unwritten: boolean): number {
    return this.isUnwritten(index) === unwritten ? this.#longest(unwritten) - this.length(index) : 0;
  }

  /** Whether a run goes on where an extent ends, in the file and on the disk. */
  #goesOn(index: number, run: NewExtent): boolean {
    return (
      this.isUnwritten(index) === run.unwritten &&
      this.end(index) === run.logical &&
      this.physical(index) + this.length(index) === run.physical
    );
  }

  #merge(index: number, growth: Growth): void {
    if (index + 1 >= this.count || !this.#continues(index)) return;
    this.#setLength(index, this.length(index) + this.length(index + 1), this.isUnwritten(index));
    growth.changed(index, 0);
    this.#cut(index + 1, 1);
    growth.changed(index + 1, -1);
  }

  #setLength(index: number, length: number, unwritten: boolean): void {
    this.#set(index, 1, unwritten ? -length : length);
  }

  /** Takes [start, end) out, telling each run of blocks that it held. */
  remove(start: number, end: number, freed: (physical: number, count: number) => void, growth: Growth): void {
    this.#own();
    let index = this.find(start);
    let whole = 0;
    while (index + whole < this.count && this.logical(index + whole) < end) {
      if (this.logical(index + whole) >= start && this.end(index + whole) <= end) {
        freed(this.physical(index + whole), this.length(index + whole));
        whole += 1;
        continue;
      }
      this.#takeOut(index, whole, growth);
      whole = 0;
      const first = this.logical(index);
      const last = this.end(index);
      const physical = this.physical(index);
      const unwritten = this.isUnwritten(index);
      const from = Math.max(first, start);
      const to = Math.min(last, end);
      freed(physical + from - first, to - from);
      const keepHead = from > first;
      const keepTail = to < last;
      if (keepHead) this.#setLength(index, from - first, unwritten);
      if (keepTail) {
        const tail = extentOf(to, unwritten ? -(last - to) : last - to, physical + to - first);
        if (keepHead) {
          this.#put(index + 1, tail);
          growth.changed(index + 1, 1);
        } else for (const [column, number] of tail.entries()) this.#set(index, column, number);
      }
      growth.changed(index, 0);
      index += 1;
    }
    this.#takeOut(index, whole, growth);
  }

  /** Takes extents out that follow each other, all at once: those behind them move up but one time. */
  #takeOut(index: number, count: number, growth: Growth): void {
    if (count === 0) return;
    this.#cut(index, count);
    for (let left = count; left > 0; left--) growth.changed(index, -1);
  }

  /** Moves every extent from `from` on by `by` blocks (collapse, insert range). An extent must not straddle `from`. */
  shift(from: number, by: number): void {
    this.#own();
    for (let index = this.find(from); index < this.count; index++) this.#set(index, 0, this.logical(index) + by);
  }

  /** Cuts an extent in two at a block. @returns whether one goes on there */
  split(block: number, growth: Growth): boolean {
    const index = this.find(block);
    if (index >= this.count || this.logical(index) >= block) return false;
    this.#own();
    const head = block - this.logical(index);
    const unwritten = this.isUnwritten(index);
    const rest = this.length(index) - head;
    const physical = this.physical(index) + head;
    this.#setLength(index, head, unwritten);
    growth.changed(index, 0);
    this.#put(index + 1, extentOf(block, unwritten ? -rest : rest, physical));
    growth.changed(index + 1, 1);
    return true;
  }

  /** What is wrong with the extents, in words; undefined where nothing is. */
  fault(): string | undefined {
    this.#long?.check();
    let last = 0;
    for (let index = 0; index < this.count; index++) {
      const length = this.length(index);
      if (this.logical(index) < last) return `extent ${index} begins before ${last}`;
      if (length <= 0 || length > this.#longest(this.isUnwritten(index))) return `extent ${index} has ${length} blocks`;
      last = this.end(index);
    }
    return undefined;
  }
}
