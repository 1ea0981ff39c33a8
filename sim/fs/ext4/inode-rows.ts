/**
 * The inodes in memory as rows of words, 64 bytes each, so that what stat asks of one inode is one place of memory.
 *
 * Interface: rows come in chunks of 64 inodes that follow each other by number, and never move: an array that was handed out stays the inode's.
 * Columns are indices into a row (inodes.ts). Which chunks are in memory, and from where they come, is the caller's business.
 */
import { WORDS } from "./inode-words.ts";
import { CHUNK_INODES } from "./inodes.ts";

/** Chunk numbers that a page of #ids tells. */
const PAGE_BITS = 10;
const CHUNKS_PER_PAGE: number = 1 << PAGE_BITS;
/** Rows that share an array, of four chunks: a filesystem that is mounted for a few files should not take more. */
const SLAB_BITS = 8;
const SLAB_ROWS: number = 1 << SLAB_BITS;
const CHUNKS_PER_SLAB: number = SLAB_ROWS / CHUNK_INODES;

/** What an inode's number is in memory: its place among all rows. */
type Row = number;

export class InodeRows {
  readonly #load: (at: number) => void;
  /** By chunk number: one more than the place of the chunk among those in memory; 0: not in memory. */
  readonly #ids: (Uint32Array | undefined)[] = [];
  readonly #slabs: Int32Array[] = [];
  #chunks = 0;

  /** @param load - brings the chunk of that number into memory: calls `addChunk`. */
  constructor(load: (at: number) => void) {
    this.#load = load;
  }

  /** Makes room for a chunk. @returns its place among those in memory. */
  addChunk(at: number): number {
    const page = (this.#ids[at >>> PAGE_BITS] ??= new Uint32Array(CHUNKS_PER_PAGE));
    const place = this.#chunks++;
    if (place % CHUNKS_PER_SLAB === 0) this.#slabs.push(new Int32Array(SLAB_ROWS * WORDS));
    page[at & (CHUNKS_PER_PAGE - 1)] = this.#chunks;
    return place;
  }

  /** The place of an inode's chunk among those in memory, where it comes now if need be. */
  chunkOf(ino: number): number {
    const at = (ino - 1) >>> 6;
    const page = this.#ids[at >>> PAGE_BITS];
    const id = page === undefined ? 0 : (page[at & (CHUNKS_PER_PAGE - 1)] as number);
    return id === 0 ? this.#loaded(at) : id - 1;
  }

  #loaded(at: number): number {
    this.#load(at);
    return ((this.#ids[at >>> PAGE_BITS] as Uint32Array)[at & (CHUNKS_PER_PAGE - 1)] as number) - 1;
  }

  rowOf(ino: number): Row {
    return this.chunkOf(ino) * CHUNK_INODES + ((ino - 1) & (CHUNK_INODES - 1));
  }

  /** The array that has a row's words. */
  wordsOf(row: Row): Int32Array {
    return this.#slabs[row >>> SLAB_BITS] as Int32Array;
  }

  /** Where they begin in it. */
  startOf(row: Row): number {
    return (row & (SLAB_ROWS - 1)) * WORDS;
  }

  word(ino: number, column: number): number {
    const row = this.rowOf(ino);
    return this.wordsOf(row)[this.startOf(row) + column] as number;
  }

  setWord(ino: number, column: number, value: number): void {
    const row = this.rowOf(ino);
    this.wordsOf(row)[this.startOf(row) + column] = value;
  }
}
