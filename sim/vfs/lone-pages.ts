/**
 * Files whose only page in memory is their first, dirty, and without a place on the disk yet: what most files are from their creation until they are
 * written back. A row of the run table is all that is kept of such a page; a mapping of its own would weigh three times the row.
 *
 * Interface: one `LonePages` a filesystem, which keeps the row of each such inode. Whatever is more than reading the page, or forgetting it with its
 * inode, asks for a mapping: the filesystem calls `toMapping`, and the row is the mapping's first run from then on. The cache does the same, through
 * the filesystem's `grow`, when it is to write the page back. Handles of inodes are below 2^32.
 */
import { assert } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import type { AddressSpace } from "./address-space.ts";
import { type Inode, inodeHandle } from "./filesystem.ts";
import { CachedMapping } from "./mapping.ts";
import { part } from "./page-content.ts";
import type { PageMemory } from "./page-memory.ts";
import type { RunContent } from "./run-table.ts";

export class LonePages {
  readonly pinned = false;
  readonly #cache: PageMemory;
  readonly #space: AddressSpace;
  readonly #grow: (inode: Inode) => void;
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
    const row = table.add(this, { first: 0, pages: 1, content, dirty: 1 });
    table.inode[row] = inode;
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
    return part(table.content[row] as RunContent, from, to);
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
    const mapping = new CachedMapping(this.#cache, this.#space, inodeHandle(table.inode[row] as number), this.pinned);
    mapping.adopt(row);
    table.owner[row] = mapping;
    table.following[row] = 0;
    this.#cache.queueMapping(place, mapping);
    return mapping;
  }

  /** Sees to it that a page has a mapping, which is then the owner of its row. */
  grow(row: number): void {
    const { table } = this.#cache;
    this.#grow(inodeHandle(table.inode[row] as number));
    assert(table.owner[row] !== this, `${this.#space.label}: row ${row} got no mapping`);
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
    for (const [row, owner] of table.owner.entries()) {
      if (owner !== this) continue;
      pages += 1;
      const what = `${this.#space.label}: the only page of inode ${table.inode[row]}`;
      assert(table.first[row] === 0 && table.pages[row] === 1 && table.dirty[row] === 1, `${what} is not one dirty page`);
      assert(this.#cache.queues(row), `${what} is not in the flusher's list`);
    }
    assert(pages === this.#pages, `${this.#space.label} counts ${this.#pages} of ${pages} lone pages`);
  }
}
