/**
 * The runs of one mapping in the order of their first pages: chunks of sorted row numbers, each beside its page, so that a search stays within
 * a few cache lines. A mapping with few runs needs none of this (run-list.ts).
 *
 * Interface: `first` is the column that says at which page a row begins; a row's first page does not change while the row is in the index.
 * A search for the page of the search before costs nothing: a write looks for what is there, for what follows, and adds a run.
 */
import { assert } from "../core/assert.ts";
import type { RunTable } from "./run-table.ts";

const CHUNK_ROWS = 128;
/** Room of the first chunk, which grows. */
const FIRST_ROWS = 16;

interface Chunk {
  rows: Uint32Array;
  /** The first page of each. */
  pages: Float64Array;
  count: number;
}

function newChunk(rows: number): Chunk {
  return { rows: new Uint32Array(rows), pages: new Float64Array(rows), count: 0 };
}

export class RunIndex {
  readonly #chunks: Chunk[] = [];
  /** Where each chunk's first row begins. */
  readonly #firsts: number[] = [];
  #size = 0;
  /** What `#seek` sought last, and where it stopped; NaN: nothing that still holds. */
  #sought = Number.NaN;
  /** The last chunk that begins at or before that page, or -1. */
  #chunkAt = -1;
  /** The last row in it that does. */
  #place = 0;

  get size(): number {
    return this.#size;
  }

  /** An index of the runs of a list (run-list.ts). */
  static of(table: RunTable, list: number): RunIndex {
    const index = new RunIndex();
    for (let row = list; row !== 0; row = table.following[row] as number) index.add(table.first, row);
    return index;
  }

  /** The row with the greatest first page that is not behind `page`, or 0. */
  below(page: number): number {
    this.#seek(page);
    const chunk = this.#chunks[this.#chunkAt];
    return chunk === undefined ? 0 : (chunk.rows[this.#place] as number);
  }

  /** The row with the smallest first page behind `page`, or 0. */
  above(page: number): number {
    this.#seek(page);
    const chunk = this.#chunks[this.#chunkAt];
    const next = this.#place + 1;
    if (chunk !== undefined && next < chunk.count) return chunk.rows[next] as number;
    const after = this.#chunks[this.#chunkAt + 1];
    return after === undefined ? 0 : (after.rows[0] as number);
  }

  add(first: Float64Array, row: number): void {
    const page = first[row] as number;
    if (this.#chunks.length === 0) {
      this.#chunks.push(newChunk(FIRST_ROWS));
      this.#firsts.push(page);
    }
    this.#seek(page);
    if (this.#chunkAt < 0) {
      this.#chunkAt = 0;
      this.#place = -1;
    }
    if ((this.#chunks[this.#chunkAt] as Chunk).count === CHUNK_ROWS) this.#split();
    const chunk = this.#chunks[this.#chunkAt] as Chunk;
    const place = chunk.count === 0 ? 0 : this.#place + 1;
    putAt(chunk, place, row, page);
    if (place === 0) this.#firsts[this.#chunkAt] = page;
    this.#place = place;
    this.#sought = page;
    this.#size += 1;
  }

  remove(first: Float64Array, row: number): void {
    this.#seek(first[row] as number);
    const at = this.#chunkAt;
    const place = this.#place;
    const chunk = this.#chunks[at];
    assert(chunk !== undefined && chunk.rows[place] === row, "a run is not in its mapping's index");
    this.#sought = Number.NaN;
    this.#size -= 1;
    chunk.count -= 1;
    if (chunk.count === 0) {
      this.#chunks.splice(at, 1);
      this.#firsts.splice(at, 1);
      return;
    }
    chunk.rows.copyWithin(place, place + 1, chunk.count + 1);
    chunk.pages.copyWithin(place, place + 1, chunk.count + 1);
    if (place === 0) this.#firsts[at] = chunk.pages[0] as number;
  }

  #seek(page: number): void {
    if (page === this.#sought) return;
    this.#sought = page;
    const firsts = this.#firsts;
    this.#chunkAt = -1;
    if (firsts.length === 0 || (firsts[0] as number) > page) return;
    let at = 0;
    for (let length = firsts.length; length > 1; ) {
      const half = length >>> 1;
      at += Number((firsts[at + half] as number) <= page) * half;
      length -= half;
    }
    this.#chunkAt = at;
    const { pages, count } = this.#chunks[at] as Chunk;
    let place = 0;
    for (let length = count; length > 1; ) {
      const half = length >>> 1;
      place += Number((pages[place + half] as number) <= page) * half;
      length -= half;
    }
    this.#place = place;
  }

  /** Halves the full chunk at the place; one that grows at its end leaves it full and begins another, as sequential writing does. */
  #split(): void {
    const chunk = this.#chunks[this.#chunkAt] as Chunk;
    const kept = this.#place === CHUNK_ROWS - 1 ? CHUNK_ROWS - 1 : CHUNK_ROWS / 2;
    const next = newChunk(CHUNK_ROWS);
    next.rows.set(chunk.rows.subarray(kept));
    next.pages.set(chunk.pages.subarray(kept));
    next.count = CHUNK_ROWS - kept;
    chunk.count = kept;
    this.#chunks.splice(this.#chunkAt + 1, 0, next);
    this.#firsts.splice(this.#chunkAt + 1, 0, next.pages[0] as number);
    if (this.#place < kept) return;
    this.#chunkAt += 1;
    this.#place -= kept;
  }
}

/** Puts a row into a chunk that is not full; those from there on move up. */
function putAt(chunk: Chunk, place: number, row: number, page: number): void {
  if (chunk.count === chunk.rows.length) {
    const larger = newChunk(Math.min(CHUNK_ROWS, chunk.count * 2));
    larger.rows.set(chunk.rows);
    larger.pages.set(chunk.pages);
    chunk.rows = larger.rows;
    chunk.pages = larger.pages;
  }
  const { rows, pages } = chunk;
  // A loop: a call of copyWithin costs more than half a chunk.
  for (let at = chunk.count; at > place; at--) {
    rows[at] = rows[at - 1] as number;
    pages[at] = pages[at - 1] as number;
  }
  rows[place] = row;
  pages[place] = page;
  chunk.count += 1;
}
