/**
 * The cached runs of a host as rows of typed columns, about 50 bytes a run, with the list of least recent use through them.
 *
 * A run is the pages [first, first + pages) of one mapping with their content: one Content, or the PageBuffer of a single page. The Content of
 * a single page may be shorter than the page: zeros follow.
 *
 * A run without a mapping is a lone page (lone-pages.ts).
 *
 * Interface: row 0 is none. Rows of pinned mappings (tmpfs: memory is their only place) are not in the list.
 */
import { assert, InvariantError } from "../core/assert.ts";
import type { Content } from "../core/content.ts";
import type { AddressSpace, Mapping } from "./address-space.ts";
import type { Inode } from "./filesystem.ts";
import type { PageBuffer } from "./page-buffer.ts";

export type RunContent = Content | PageBuffer;

/** Whose runs they are: a mapping's, or those of a filesystem's inodes without one (lone-pages.ts). */
interface RunsOwner {
  /** Whether memory is the only place of its pages: never dirty, never evicted. */
  readonly pinned: boolean;
  readonly cachedPages: number;
  readonly dirtyPages: number;
  /** Drops clean pages. */
  drop(): void;
  /** Throws an InvariantError when its runs or counts are wrong. */
  check(): void;
}

/** A mapping as the cache knows it. */
export interface RunOwner extends RunsOwner, Mapping {
  /** Its slot in the queue of dirty mappings; -1: it is clean (dirty-queue.ts). */
  queuePlace: number;
  readonly space: AddressSpace;
  readonly inode: Inode;
  /** Gives up to `pages` clean pages at the front of a run back. */
  shrink(row: number, pages: number): void;
}

const FIRST_ROWS = 64;

export class RunTable {
  first: Float64Array = new Float64Array(FIRST_ROWS);
  pages: Uint32Array = new Uint32Array(FIRST_ROWS);
  dirty: Uint8Array = new Uint8Array(FIRST_ROWS);
  /** The next run of a mapping with few (run-list.ts), 0: none; of a lone page, its place in the queue of what is dirty. */
  following: Uint32Array = new Uint32Array(FIRST_ROWS);
  /** Of a lone page (lone-pages.ts), the array that has its bytes. */
  readonly content: (RunContent | Uint8Array | undefined)[] = [undefined];
  readonly owner: (RunsOwner | undefined)[] = [undefined];
  /** Towards the most recently used; of a free row, the next free one. */
  #newer = new Uint32Array(FIRST_ROWS);
  #older = new Uint32Array(FIRST_ROWS);
  #newest = 0;
  #oldest = 0;
  #free = 0;
  #used = 0;

  /** How many runs there are. */
  get size(): number {
    return this.#used;
  }

  /** The run that was used longest ago, or 0. */
  get oldest(): number {
    return this.#oldest;
  }

  /** A new row, the most recently used. */
  add(owner: RunsOwner, at: { first: number; pages: number; content: RunContent | Uint8Array; dirty: number }): number {
    let row = this.#free;
    if (row !== 0) {
      this.#free = this.#newer[row] as number;
      this.content[row] = at.content;
      this.owner[row] = owner;
    } else {
      row = this.content.length;
      if (row === this.first.length) this.#grow();
      this.content.push(at.content);
      this.owner.push(owner);
    }
    this.first[row] = at.first;
    this.pages[row] = at.pages;
    this.dirty[row] = at.dirty;
    this.#used += 1;
    if (!owner.pinned) this.#linkNewest(row);
    return row;
  }

  remove(row: number): void {
    if (this.owner[row]?.pinned === false) this.#unlink(row);
    this.content[row] = undefined;
    this.owner[row] = undefined;
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

  /** Throws an InvariantError unless the list holds each unpinned row once. @returns how many pages unpinned mappings have. */
  check(): number {
    let listed = 0;
    let pages = 0;
    for (let row = this.#oldest, before = 0; row !== 0; before = row, row = this.#newer[row] as number) {
      if (this.#older[row] !== before) throw new InvariantError(`the list of runs is broken at ${row}`);
      listed += 1;
      pages += this.pages[row] as number;
    }
    let known = 0;
    for (const owner of this.owner) if (owner?.pinned === false) known += 1;
    assert(listed === known, `${listed} runs are listed, ${known} are known`);
    return pages;
  }

  #linkNewest(row: number): void {
    this.#older[row] = this.#newest;
    this.#newer[row] = 0;
    if (this.#newest === 0) this.#oldest = row;
    else this.#newer[this.#newest] = row;
    this.#newest = row;
  }

  #unlink(row: number): void {
    const newer = this.#newer[row] as number;
    const older = this.#older[row] as number;
    if (newer === 0) this.#newest = older;
    else this.#older[newer] = older;
    if (older === 0) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  #grow(): void {
    const length = this.first.length * 2;
    const longer = (column: Uint32Array): Uint32Array<ArrayBuffer> => {
      const grown = new Uint32Array(length);
      grown.set(column);
      return grown;
    };
    const first = new Float64Array(length);
    first.set(this.first);
    this.first = first;
    const dirty = new Uint8Array(length);
    dirty.set(this.dirty);
    this.dirty = dirty;
    this.pages = longer(this.pages);
    this.following = longer(this.following);
    this.#newer = longer(this.#newer);
    this.#older = longer(this.#older);
  }
}
