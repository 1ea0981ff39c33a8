/**
 * Files whose only page in memory is their first, dirty, and without a place on the disk yet: what most files are from their creation until they are
 * written back. A row of the run table is all that is kept of such a page: whose it is, and where its bytes are. A mapping, and a Content for given
 * bytes, would weigh four times the row.
 *
 * Interface: one `LonePages` a filesystem, which keeps the row of each such inode. Whatever is more than reading the page, or forgetting it with its
 * inode, asks for a mapping: the filesystem calls `toMapping`, and the row is the mapping's first run from then on. The cache does the same, through
 * the filesystem's `grow`, when it is to write the page back. Handles of inodes are below 2^32.
 */
import { assert } from "../core/assert.ts";
import { Content } from "../core/content.ts";
import type { AddressSpace } from "./address-space.ts";
import { type Inode, inodeHandle } from "./filesystem.ts";
import { CachedMapping } from "./mapping.ts";
import { part } from "./page-content.ts";
import type { PageMemory } from "./page-memory.ts";
import type { RunContent } from "./run-table.ts";

/** A span: where the bytes begin in their array, and how many they are, at most a page. */
const LENGTH_BITS = 13;
const FROM_MAX: number = 2 ** (32 - LENGTH_BITS) - 1;

const FIRST_ROWS = 64;

function partOf(held: Uint8Array, span: number): Content {
  const from = span >>> LENGTH_BITS;
  return Content.literal(held, from, from + (span & (2 ** LENGTH_BITS - 1)));
}

export class LonePages {
  readonly pinned = false;
  readonly #cache: PageMemory;
  readonly #space: AddressSpace;
  readonly #grow: (inode: Inode) => void;
  /** By row: whose page it is, and which part of its array the bytes are. As long as the greatest row of a lone page asks for. */
  #inodes = new Uint32Array(FIRST_ROWS);
  #spans = new Uint32Array(FIRST_ROWS);
  #pages = 0;

  /** @param grow - makes the filesystem call `toMapping` for an inode. */
  constructor(cache: PageMemory, space: AddressSpace, grow: (inode: Inode) => void) {
    this.#cache = cache;
    this.#space = space;
    this.#grow = grow;
  }

  get cachedPages(): number {
    return this.#pages;
  }
  get dirtyPages(): number {
    return this.#pages;
  }

  /** Puts the first page of an inode that has none into memory. @param content - at most a page; zeros follow. @returns its row. */
  add(inode: Inode, content: Content): number {
    const { table } = this.#cache;
    const { held } = content;
    const isPart = held !== undefined && held.from <= FROM_MAX;
    const row = table.add(this, { first: 0, pages: 1, content: isPart ? held.bytes : content, dirty: 1 });
    if (row >= this.#inodes.length) this.#growColumns(row);
    this.#inodes[row] = inode;
    if (isPart) this.#spans[row] = (held.from << LENGTH_BITS) | content.length;
    this.#count(1);
    table.following[row] = this.#cache.queueLone(row);
    return row;
  }

  /** What ends a call that added one (`PageMemory.afterWrite`). */
  afterWrite(): void {
    this.#cache.afterWrite();
  }

  /** The bytes of a part of the page. */
  read(row: number, from: number, to: number): Content {
    const { table, counters } = this.#cache;
    counters.hits += 1;
    table.touch(row);
    const held = table.content[row];
    if (held instanceof Uint8Array) return partOf(held, this.#spans[row] as number).slice(from, to);
    return part(held as RunContent, from, to);
  }

  /** Forgets a page: its inode dies. */
  remove(row: number): void {
    this.#count(-1);
    this.#cache.table.remove(row);
  }

  /** The mapping that has the page from now on. */
  toMapping(row: number): CachedMapping {
    const { table } = this.#cache;
    const place = table.following[row] as number;
    this.#pages -= 1;
    const mapping = new CachedMapping(this.#cache, this.#space, inodeHandle(this.#inodes[row] as number), this.pinned);
    mapping.adopt(row);
    table.owner[row] = mapping;
    table.following[row] = 0;
    const held = table.content[row];
    if (held instanceof Uint8Array) table.content[row] = partOf(held, this.#spans[row] as number);
    this.#cache.queueMapping(place, mapping);
    return mapping;
  }

  /** Sees to it that a page has a mapping, which is then the owner of its row. */
  grow(row: number): void {
    const { table } = this.#cache;
    this.#grow(inodeHandle(this.#inodes[row] as number));
    assert(table.owner[row] !== this, `${this.#space.label}: row ${row} got no mapping`);
  }

  #growColumns(row: number): void {
    const length = Math.ceil((row + 1) * 1.5);
    const inodes = new Uint32Array(length);
    inodes.set(this.#inodes);
    this.#inodes = inodes;
    const spans = new Uint32Array(length);
    spans.set(this.#spans);
    this.#spans = spans;
  }

  #count(pages: number): void {
    this.#pages += pages;
    this.#cache.cachedPages += pages;
    this.#cache.dirtyPages += pages;
  }

  /** Nothing of it is clean. */
  drop(): void {}

  /** Throws an InvariantError unless its rows are as many as counted, each of one dirty page that is in the queue. */
  check(): void {
    const { table } = this.#cache;
    let pages = 0;
    for (let row = 0; row < table.owner.length; row++) {
      if (table.owner[row] !== this) continue;
      pages += 1;
      const what = `${this.#space.label}: the only page of inode ${this.#inodes[row]}`;
      assert(table.first[row] === 0 && table.pages[row] === 1 && table.dirty[row] === 1, `${what} is not one dirty page`);
      assert(this.#cache.queues(row), `${what} is not in the flusher's list`);
    }
    assert(pages === this.#pages, `${this.#space.label} counts ${this.#pages} of ${pages} lone pages`);
  }
}
