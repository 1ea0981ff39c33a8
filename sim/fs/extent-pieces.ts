/**
 * The numbers of a long list of extents, in pieces of bounded size: an insertion moves what is behind it in one piece, and counts on in those behind.
 *
 * Interface: an extent is three numbers, found by its index in the whole list; extent-list.ts says what they are. No piece is empty.
 */
import { assert } from "../core/assert.ts";

const STRIDE = 3;
/** Extents of a piece at most. */
const PIECE_EXTENTS = 512;

/** An extent's numbers. */
export type Extent = [logical: number, length: number, physical: number];

export function extentOf(logical: number, length: number, physical: number): Extent {
  return [integer(logical), integer(length), integer(physical)];
}

/** The same number as an integer, if it is below 2^31: what was divided is a double, also when it is whole, and makes doubles of all in its array. */
export function integer(value: number): number {
  const whole = value | 0;
  return whole === value ? whole : value;
}

/** Extents' numbers with those of one more at a place, in an array that is as long as they are. */
export function withExtent(items: readonly number[], at: number, extent: Extent): number[] {
  // No spread: V8 makes of it an array in which each double is an object.
  const longer = new Array<number>(items.length + STRIDE);
  for (let index = 0; index < at; index++) longer[index] = items[index] as number;
  for (let column = 0; column < STRIDE; column++) longer[at + column] = extent[column] as number;
  for (let index = at; index < items.length; index++) longer[index + STRIDE] = items[index] as number;
  return longer;
}

/** The index of the first of some extents that ends behind a logical block; their count when there is none. @param numbers - theirs, in order */
export function findIn(numbers: readonly number[], block: number): number {
  let low = 0;
  let high = numbers.length / STRIDE;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const end = (numbers[middle * STRIDE] as number) + Math.abs(numbers[middle * STRIDE + 1] as number);
    if (end > block) high = middle;
    else low = middle + 1;
  }
  return low;
}

export class ExtentPieces {
  /** How many extents there are. */
  count = 0;
  readonly #pieces: number[][] = [];
  /** The index of each piece's first extent. */
  readonly #firsts: number[] = [];
  /** The piece that was looked into last. */
  #at = 0;

  /** @param items - numbers of extents, in order. */
  constructor(items: readonly number[]) {
    for (let from = 0; from < items.length; from += PIECE_EXTENTS * STRIDE) {
      this.#firsts.push(from / STRIDE);
      this.#pieces.push(items.slice(from, from + PIECE_EXTENTS * STRIDE));
    }
    this.count = items.length / STRIDE;
  }

  /** The piece that has an extent; the last one for the place behind all. */
  #pieceOf(index: number): number {
    const firsts = this.#firsts;
    let low = this.#at;
    // Most look at what is beside what was looked at.
    if (low < firsts.length && (firsts[low] as number) <= index && index < (firsts[low + 1] ?? Number.POSITIVE_INFINITY))
      return low;
    low = 0;
    for (let length = firsts.length; length > 1; ) {
      const half = length >>> 1;
      if ((firsts[low + half] as number) <= index) low += half;
      length -= half;
    }
    this.#at = low;
    return low;
  }

  /** A number of an extent. @param column - which, from 0. */
  number(index: number, column: number): number {
    const at = this.#pieceOf(index);
    return (this.#pieces[at] as number[])[(index - (this.#firsts[at] as number)) * STRIDE + column] as number;
  }

  set(index: number, column: number, value: number): void {
    const at = this.#pieceOf(index);
    (this.#pieces[at] as number[])[(index - (this.#firsts[at] as number)) * STRIDE + column] = value;
  }

  /** The index of the first extent that ends behind a logical block; `count` when there is none. */
  find(block: number): number {
    const pieces = this.#pieces;
    let low = 0;
    for (let length = pieces.length; length > 1; ) {
      const half = length >>> 1;
      if (((pieces[low + half] as number[])[0] as number) <= block) low += half;
      length -= half;
    }
    this.#at = low;
    return (this.#firsts[low] as number) + findIn(pieces[low] as number[], block);
  }

  /** Puts an extent before the one at an index, or behind all. */
  insert(index: number, extent: Extent): void {
    let at = this.#pieceOf(index);
    let piece = this.#pieces[at] as number[];
    if (piece.length === PIECE_EXTENTS * STRIDE) {
      const first = this.#firsts[at] as number;
      // What is appended fills pieces.
      const kept = index === this.count ? PIECE_EXTENTS : PIECE_EXTENTS / 2;
      this.#pieces.splice(at + 1, 0, piece.splice(kept * STRIDE));
      this.#firsts.splice(at + 1, 0, first + kept);
      if (index > first + kept || index === this.count) at += 1;
      piece = this.#pieces[at] as number[];
    }
    const place = (index - (this.#firsts[at] as number)) * STRIDE;
    if (place === piece.length) piece.push(...extent);
    else piece.splice(place, 0, ...extent);
    this.#at = at;
    this.#countOn(at + 1, 1);
  }

  /** The pieces from one on begin so many extents further on. */
  #countOn(from: number, by: number): void {
    const firsts = this.#firsts;
    for (let at = from; at < firsts.length; at++) firsts[at] = (firsts[at] as number) + by;
    this.count += by;
  }

  /** Takes extents out. */
  remove(index: number, count: number): void {
    const pieces = this.#pieces;
    const from = this.#pieceOf(index);
    let place = (index - (this.#firsts[from] as number)) * STRIDE;
    let to = from;
    for (let left = count * STRIDE; left > 0; to++, place = 0) left -= (pieces[to] as number[]).splice(place, left).length;
    const kept = pieces.slice(from, to).filter(({ length }) => length > 0);
    pieces.splice(from, to - from, ...kept);
    this.#firsts.length = from;
    let first = from === 0 ? 0 : (this.#firsts[from - 1] as number) + (pieces[from - 1] as number[]).length / STRIDE;
    for (let at = from; at < pieces.length; at++) {
      this.#firsts.push(first);
      first += (pieces[at] as number[]).length / STRIDE;
    }
    this.count = first;
    this.#at = 0;
  }

  /** The numbers of the extents from one up to another. */
  slice(from: number, to: number): number[] {
    const out: number[] = [];
    for (let index = from; index < to; ) {
      const at = this.#pieceOf(index);
      const piece = this.#pieces[at] as number[];
      const first = this.#firsts[at] as number;
      const until = Math.min(to, first + piece.length / STRIDE);
      for (let place = (index - first) * STRIDE; place < (until - first) * STRIDE; place++) out.push(piece[place] as number);
      assert(until > index, `a list of ${this.count} extents has those up to ${to}`);
      index = until;
    }
    return out;
  }

  /** Throws an InvariantError when a piece is empty or too long, or begins elsewhere than it says. */
  check(): void {
    let first = 0;
    for (const [at, piece] of this.#pieces.entries()) {
      const count = piece.length / STRIDE;
      assert(count > 0 && count <= PIECE_EXTENTS, `piece ${at} of a list has ${count} extents`);
      assert(this.#firsts[at] === first, `piece ${at} of a list begins with extent ${first}`);
      first += count;
    }
    assert(this.#firsts.length === this.#pieces.length && first === this.count, `a list in pieces has ${this.count} extents`);
  }
}
