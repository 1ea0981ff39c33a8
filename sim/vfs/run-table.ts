/**
 * The cached runs of a host as rows of typed columns, about 45 bytes a run, with the list of least recent use through them.
 *
 * A run is the pages [first, first + pages) of one mapping with their content: one Content, or the PageBuffer of a single page. The Content of
 * a single page may be shorter than the page: zeros follow.
 *
 * The list goes through the rows of lone pages, too (lone-rows.ts): a link below 0 leads to one of them, by its number negated.
 *
 * Interface: row 0 is none. Rows of pinned mappings (tmpfs: memory is their only place) are not in the list.
 */
import { assert, InvariantError } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import { roomFor } from "../core/growth.ts";
import { Slabs } from "../core/slabs.ts";
import type { AddressSpace, Mapping } from "./address-space.ts";
import type { Inode } from "./filesystem.ts";
import { type LoneRow, LoneRows } from "./lone-rows.ts";
import type { PageBuffer } from "./page-buffer.ts";

export type RunContent = Content | PageBuffer;

/** A mapping as the cache knows it. */
export interface RunOwner extends Mapping {
  /** Whether memory is the only place of its pages: never dirty, never evicted. */
  readonly pinned: boolean;
  readonly cachedPages: number;
  readonly dirtyPages: number;
  /** Its slot in the queue of dirty mappings; -1: it is clean (dirty-queue.ts). */
  queuePlace: number;
  readonly space: AddressSpace;
  readonly inode: Inode;
  /** Gives up to `pages` clean pages at the front of a run back. */
  shrink(row: number, pages: number): void;
  /** Drops clean pages. */
  drop(): void;
  /** Throws an InvariantError when its runs or counts are wrong. */
  check(): void;
}

const FIRST_ROWS = 64;

/** In a run's `folios`. */
export const MARKED = 0x80;

export class RunTable {
  first: Float64Array = new Float64Array(FIRST_ROWS);
  pages: Uint32Array = new Uint32Array(FIRST_ROWS);
  dirty: Uint8Array = new Uint8Array(FIRST_ROWS);
  /** The largest order of the folios that the run was read in, and whether reading the first of them has more read ahead (MARKED: PG_readahead). */
  folios: Uint8Array = new Uint8Array(FIRST_ROWS);
  /** The next run of a mapping with few (run-list.ts), 0: none. */
  following: Uint32Array = new Uint32Array(FIRST_ROWS);
  readonly content: Slabs<RunContent | undefined> = new Slabs();
  readonly owner: Slabs<RunOwner | undefined> = new Slabs();
  readonly lone: LoneRows = new LoneRows();
  /** Towards the most recently used; of a free row, the next free one. */
  #newer = new Int32Array(FIRST_ROWS);
  #older = new Int32Array(FIRST_ROWS);
  #newest = 0;
  #oldest = 0;
  #free = 0;
  #used = 0;

  constructor() {
    this.content.push(undefined);
    this.owner.push(undefined);
  }

  /** How many runs there are. */
  get size(): number {
    return this.#used;
  }

  /** The run that was used longest ago; 0: there is none, or a lone page was. */
  get oldest(): number {
    return Math.max(0, this.#oldest);
  }
  /** The lone page that was, or 0. */
  get oldestLone(): LoneRow {
    return Math.max(0, -this.#oldest);
  }

  /** A new row, the most recently used. */
  add(owner: RunOwner, at: { first: number; pages: number; content: RunContent; dirty: number }): number {
    const row = this.#take(owner, at);
    if (!owner.pinned) this.#linkNewest(row);
    return row;
  }

  #take(owner: RunOwner, at: { first: number; pages: number; content: RunContent; dirty: number }): number {
    let row = this.#free;
    if (row !== 0) {
      this.#free = this.#newer[row] as number;
      this.content.set(row, at.content);
      this.owner.set(row, owner);
    } else {
      row = this.content.length;
      if (row === this.first.length) this.#grow();
      this.content.push(at.content);
      this.owner.push(owner);
    }
    this.first[row] = at.first;
    this.pages[row] = at.pages;
    this.dirty[row] = at.dirty;
    this.folios[row] = 0;
    this.#used += 1;
    return row;
  }

  remove(row: number): void {
    if (this.owner.get(row)?.pinned === false) this.#unlink(row);
    this.content.set(row, undefined);
    this.owner.set(row, undefined);
    this.#newer[row] = this.#free;
    this.#free = row;
    this.#used -= 1;
  }

  /** Makes a run of an unpinned mapping the most recently used. */
  touch(row: number): void {
    if (row === this.#newest) return;
    this.#unlink(row);
    this.#linkNewest(row);
  }

  /** Makes a new lone page's row the most recently used. */
  addLone(row: LoneRow): void {
    this.#linkNewest(-row);
  }
  touchLone(row: LoneRow): void {
    this.touch(-row);
  }
  removeLone(row: LoneRow): void {
    this.#unlink(-row);
    this.lone.remove(row);
  }

  /** Puts a mapping's row into the place of a lone page's, which ends. */
  replaceLone(lone: LoneRow, owner: RunOwner, content: RunContent): number {
    const row = this.#take(owner, { first: 0, pages: 1, content, dirty: 1 });
    this.following[row] = 0;
    const newer = this.lone.newer(lone);
    const older = this.lone.older(lone);
    this.#newer[row] = newer;
    this.#older[row] = older;
    if (newer === 0) this.#newest = row;
    else this.#setOlder(newer, row);
    if (older === 0) this.#oldest = row;
    else this.#setNewer(older, row);
    this.lone.remove(lone);
    return row;
  }

  /** Throws an InvariantError unless the list holds each unpinned row once. @returns how many pages unpinned mappings have. */
  check(): number {
    let listed = 0;
    let pages = 0;
    for (let row = this.#oldest, before = 0; row !== 0; before = row, row = this.#newerOf(row)) {
      if (this.#olderOf(row) !== before) throw new InvariantError(`the list of runs is broken at ${row}`);
      listed += 1;
      pages += row < 0 ? 1 : (this.pages[row] as number);
    }
    let known = this.lone.size;
    for (let row = 1; row < this.owner.length; row++) if (this.owner.get(row)?.pinned === false) known += 1;
    assert(listed === known, `${listed} runs are listed, ${known} are known`);
    return pages;
  }

  #newerOf(row: number): number {
    return row < 0 ? this.lone.newer(-row) : (this.#newer[row] as number);
  }
  #olderOf(row: number): number {
    return row < 0 ? this.lone.older(-row) : (this.#older[row] as number);
  }
  #setNewer(row: number, to: number): void {
    if (row < 0) this.lone.setNewer(-row, to);
    else this.#newer[row] = to;
  }
  #setOlder(row: number, to: number): void {
    if (row < 0) this.lone.setOlder(-row, to);
    else this.#older[row] = to;
  }

  #linkNewest(row: number): void {
    this.#setOlder(row, this.#newest);
    this.#setNewer(row, 0);
    if (this.#newest === 0) this.#oldest = row;
    else this.#setNewer(this.#newest, row);
    this.#newest = row;
  }

  #unlink(row: number): void {
    const newer = this.#newerOf(row);
    const older = this.#olderOf(row);
    if (newer === 0) this.#newest = older;
    else this.#setOlder(newer, older);
    if (older === 0) this.#oldest = newer;
    else this.#setNewer(older, newer);
  }

  #grow(): void {
    const length = roomFor(this.first.length + 1);
    const longer = <Column extends Uint8Array | Uint32Array | Int32Array>(column: Column, grown: Column): Column => {
      grown.set(column);
      return grown;
    };
    const first = new Float64Array(length);
    first.set(this.first);
    this.first = first;
    this.dirty = longer(this.dirty, new Uint8Array(length));
    this.folios = longer(this.folios, new Uint8Array(length));
    this.pages = longer(this.pages, new Uint32Array(length));
    this.following = longer(this.following, new Uint32Array(length));
    this.#newer = longer(this.#newer, new Int32Array(length));
    this.#older = longer(this.#older, new Int32Array(length));
  }
}
