/**
 * Files whose only page in memory is their first, dirty, and without a place on the disk yet: what most files are from their creation until they are
 * written back. A row is all that is kept of such a page (lone-rows.ts): whose it is, and where its bytes are. A mapping, a run of it, and a Content for given bytes
 * would weigh ten times the row.
 *
 * Interface: one `LonePages` a filesystem, which keeps the row of each such inode. Whatever is more than reading the page, or forgetting it with its
 * inode, asks for a mapping: the filesystem calls `toMapping`, whose first run takes the row's place. The cache does the same, through
 * the filesystem's `grow`, when it is to write the page back. Handles of inodes are below 2^32.
 */
import { assert } from "../core/assert.ts";
import { Content } from "../core/content.ts";
import type { AddressSpace } from "./address-space.ts";
import { type Inode, inodeHandle } from "./filesystem.ts";
import type { LoneRow } from "./lone-rows.ts";
import { CachedMapping } from "./mapping.ts";
import { part } from "./page-content.ts";
import type { PageMemory } from "./page-memory.ts";

/** A span: where the bytes begin in their array, and how many they are, at most a page. */
const LENGTH_BITS = 13;
const LENGTH_MASK: number = (1 << LENGTH_BITS) - 1;
const FROM_MAX: number = 2 ** (32 - LENGTH_BITS) - 1;

function partOf(held: Uint8Array, span: number): Content {
  const from = span >>> LENGTH_BITS;
  return Content.literal(held, from, from + (span & LENGTH_MASK));
}

export class LonePages {
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

  /** Puts the first page of an inode that has none into memory. @param content - at most a page; zeros follow. @returns its row. */
  add(inode: Inode, content: Content): LoneRow {
    const { table } = this.#cache;
    const { held } = content;
    const isPart = held !== undefined && held.from <= FROM_MAX;
    const row = table.lone.add(this, {
      inode,
      held: isPart ? held.bytes : content,
      span: isPart ? (held.from << LENGTH_BITS) | content.length : 0,
    });
    table.addLone(row);
    this.#count(1);
    table.lone.setPlace(row, this.#cache.queueLone(row));
    return row;
  }

  /** What ends a call that added one (`PageMemory.afterWrite`). */
  afterWrite(): void {
    this.#cache.afterWrite();
  }

  /** The bytes of a part of the page. */
  read(row: LoneRow, from: number, to: number): Content {
    const { table, counters } = this.#cache;
    counters.hits += 1;
    table.touchLone(row);
    return part(this.#contentOf(row), from, to);
  }

  #contentOf(row: LoneRow): Content {
    const { lone } = this.#cache.table;
    const held = lone.held(row);
    return held instanceof Uint8Array ? partOf(held, lone.span(row)) : held;
  }

  /** Forgets a page: its inode dies. */
  remove(row: LoneRow): void {
    this.#count(-1);
    this.#cache.table.removeLone(row);
  }

  /** The mapping that has the page from now on. */
  toMapping(row: LoneRow): CachedMapping {
    const { table } = this.#cache;
    const place = table.lone.place(row);
    const mapping = new CachedMapping(this.#cache, this.#space, inodeHandle(table.lone.inode(row)), false);
    this.#pages -= 1;
    mapping.adopt(table.replaceLone(row, mapping, this.#contentOf(row)));
    this.#cache.queueMapping(place, mapping);
    return mapping;
  }

  /** Sees to it that a page has a mapping. */
  grow(row: LoneRow): void {
    const { lone } = this.#cache.table;
    this.#grow(inodeHandle(lone.inode(row)));
    assert(lone.place(row) < 0, `${this.#space.label}: row ${row} got no mapping`);
  }

  #count(pages: number): void {
    this.#pages += pages;
    this.#cache.cachedPages += pages;
    this.#cache.dirtyPages += pages;
  }

  get dirtyPages(): number {
    return this.#pages;
  }

  /** Throws an InvariantError unless its rows are as many as counted, each of a page that is in the queue. */
  check(): void {
    let pages = 0;
    const { lone } = this.#cache.table;
    lone.visit(this, (row) => {
      pages += 1;
      assert(
        this.#cache.queues(row),
        `${this.#space.label}: the only page of inode ${lone.inode(row)} is not in the flusher's list`,
      );
    });
    assert(pages === this.#pages, `${this.#space.label} counts ${this.#pages} of ${pages} lone pages`);
  }
}
