/**
 * The runs of one mapping in the order of their first pages: chunks of sorted row numbers. A mapping with few runs needs none of this (run-list.ts).
 *
 * Interface: `first` is the column that says at which page a row begins; the index keeps no keys of its own but one a chunk. A row's first page does
 * not change while the row is in the index.
 */
import { assert } from "../core/assert.ts";
import type { RunTable } from "./run-table.ts";

const CHUNK_ROWS = 128;
/** Room of the first chunk, which grows. */
const FIRST_ROWS = 16;

interface Chunk {
  rows: Uint32Array;
  count: number;
}

export class RunIndex {
  readonly #chunks: Chunk[] = [];
  /** Where each chunk's first row begins. */
  readonly #firsts: number[] = [];
  #size = 0;

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
  below(first: Float64Array, page: number): number {
    const at = this.#chunkOf(page);
    if (at < 0) return 0;
    const chunk = this.#chunks[at] as Chunk;
    return chunk.rows[search(chunk, first, page)] as number;
  }

  /** The row with the smallest first page behind `page`, or 0. */
  above(first: Float64Array, page: number): number {
    const at = this.#chunkOf(page);
    if (at < 0) return this.#size === 0 ? 0 : ((this.#chunks[0] as Chunk).rows[0] as number);
    const chunk = this.#chunks[at] as Chunk;
    const next = search(chunk, first, page) + 1;
    if (next < chunk.count) return chunk.rows[next] as number;
    const after = this.#chunks[at + 1];
    return after === undefined ? 0 : (after.rows[0] as number);
  }

  add(first: Float64Array, row: number): void {
    const page = first[row] as number;
    this.#size += 1;
    if (this.#chunks.length === 0) {
      this.#chunks.push({ rows: new Uint32Array(FIRST_ROWS), count: 0 });
      this.#firsts.push(page);
    }
    let at = Math.max(0, this.#chunkOf(page));
    if ((this.#chunks[at] as Chunk).count === CHUNK_ROWS) {
      this.#split(first, at, page);
      at = Math.max(0, this.#chunkOf(page));
    }
    const chunk = this.#chunks[at] as Chunk;
    if (chunk.count === chunk.rows.length) {
      const rows = new Uint32Array(chunk.count * 2);
      rows.set(chunk.rows);
      chunk.rows = rows;
    }
    const place = chunk.count === 0 || page < (first[chunk.rows[0] as number] as number) ? 0 : search(chunk, first, page) + 1;
    chunk.rows.copyWithin(place + 1, place, chunk.count);
    chunk.rows[place] = row;
    chunk.count += 1;
    if (place === 0) this.#firsts[at] = page;
  }

  remove(first: Float64Array, row: number): void {
    const at = this.#chunkOf(first[row] as number);
    const chunk = this.#chunks[at] as Chunk;
    const place = search(chunk, first, first[row] as number);
    if (chunk.rows[place] !== row) assert(false, `run ${row} is not in its mapping's index`);
    this.#size -= 1;
    chunk.count -= 1;
    if (chunk.count === 0) {
      this.#chunks.splice(at, 1);
      this.#firsts.splice(at, 1);
      return;
    }
    chunk.rows.copyWithin(place, place + 1, chunk.count + 1);
    if (place === 0) this.#firsts[at] = first[chunk.rows[0] as number] as number;
  }

  /** The last chunk that begins at or before a page, or -1. */
  #chunkOf(page: number): number {
    const firsts = this.#firsts;
    let low = -1;
    let high = firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((firsts[middle] as number) <= page) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Halves a full chunk; one that grows at its end leaves it full and begins another, as sequential writing does. */
  #split(first: Float64Array, at: number, page: number): void {
    const chunk = this.#chunks[at] as Chunk;
    const last = chunk.rows[CHUNK_ROWS - 1] as number;
    const kept = page > (first[last] as number) ? CHUNK_ROWS - 1 : CHUNK_ROWS / 2;
    const rows = new Uint32Array(CHUNK_ROWS);
    rows.set(chunk.rows.subarray(kept));
    chunk.count = kept;
    this.#chunks.splice(at + 1, 0, { rows, count: CHUNK_ROWS - kept });
    this.#firsts.splice(at + 1, 0, first[rows[0] as number] as number);
  }
}

/** The place of the last row of a chunk that begins at or before a page; 0 when none does. */
function search(chunk: Chunk, first: Float64Array, page: number): number {
  let low = 0;
  let high = chunk.count - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((first[chunk.rows[middle] as number] as number) <= page) low = middle;
    else high = middle - 1;
  }
  return low;
}
