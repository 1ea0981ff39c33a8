/**
 * One inode's cached pages (kernel: struct address_space, mm/filemap.c): runs of pages in a RunTable, kept in order.
 *
 * Interface: runs of a mapping never overlap, and none straddles a border that a call cuts at. A call that only writes in part of a page
 * that is not cached reads the page first. Nothing is evicted within a call, but at its end (`PageCache.reclaim`).
 */
import { assert } from "../core/assert.ts";
import { Content } from "../core/content.ts";
import { type Errno, isErrno } from "../core/errno.ts";
import { type AddressSpace, PAGE_SIZE } from "./address-space.ts";
import { DirtyPlaces } from "./dirty-places.ts";
import type { Inode } from "./filesystem.ts";
import { LargeFolios, pagesOfRange } from "./large-folios.ts";
import {
  checkRuns,
  cutFolios,
  droppableRuns,
  flushRuns,
  type MappingRuns,
  NONE_BEFORE,
  noteDirtyAt,
  reachesDirty,
  readPieces,
} from "./mapping-runs.ts";
import { PageBuffer } from "./page-buffer.ts";
import { freshPage, pagesOf, part, withBytes, withZeros } from "./page-content.ts";
import type { PageMemory } from "./page-memory.ts";
import { RunIndex } from "./run-index.ts";
import { addListed, LISTED_RUNS, listedAbove, listedBelow, listedCount, removeListed } from "./run-list.ts";
import { MARKED, type RunContent } from "./run-table.ts";

export class CachedMapping implements MappingRuns {
  readonly cache: PageMemory;
  readonly space: AddressSpace;
  readonly inode: Inode;
  /** Whether memory is the only place of its pages: never dirty, never evicted, and a page that is missing is zeros (tmpfs). */
  readonly pinned: boolean;
  /** The list of a few runs (run-list.ts), or the index of more. */
  #runs: number | RunIndex = 0;
  cachedPages = 0;
  queuePlace = -1;
  dirtyFrom: number = NONE_BEFORE;
  dirtyPlaces: DirtyPlaces | undefined = undefined;
  dirtyPages = 0;
  folios: LargeFolios | undefined = undefined;

  constructor(cache: PageMemory, space: AddressSpace, inode: Inode, pinned: boolean) {
    this.cache = cache;
    this.space = space;
    this.inode = inode;
    this.pinned = pinned;
  }

  /** Begins with the row of a lone page (lone-pages.ts). */
  adopt(row: number): void {
    this.#runs = row;
    this.cachedPages = 1;
    this.dirtyPages = 1;
    this.dirtyFrom = 0;
  }

  read(start: number, length: number): Content | Errno {
    if (length === 0) return Content.empty;
    const { readahead } = this.cache;
    if (readahead === undefined) return this.#read(start, length);
    readahead.before(this, start, length);
    const found = this.#read(start, length);
    this.cache.reclaim();
    return found;
  }

  #read(start: number, length: number): Content | Errno {
    const table = this.cache.table;
    const row = this.#below(Math.floor(start / PAGE_SIZE));
    if (row !== 0) {
      const from = start - (table.first[row] as number) * PAGE_SIZE;
      if (from + length <= (table.pages[row] as number) * PAGE_SIZE) {
        this.cache.counters.hits += pagesOf(start, start + length);
        if (!this.pinned) table.touch(row);
        return part(table.content.get(row) as RunContent, from, from + length);
      }
    }
    return readPieces(this, start, start + length);
  }

  fill(page: number, end: number, missed: number = Math.min(end - page, this.cache.batchPages)): number | Errno {
    const pages = Math.min(end - page, this.cache.batchPages);
    this.cache.noteMiss(this, page, pages, missed);
    const content = this.space.readPages(this.inode, page * PAGE_SIZE, pages * PAGE_SIZE);
    if (isErrno(content)) return content;
    if (content.length !== pages * PAGE_SIZE)
      assert(false, `${this.space.label} read ${content.length} bytes for ${pages} pages`);
    return this.#add(page, pages, content, 0);
  }

  // Writing

  write(start: number, content: Content, oldSize: number, borders?: readonly number[] | undefined): Errno | undefined {
    if (content.length === 0) return undefined;
    if (this.space.writesFolios !== true || (this.folios === undefined && content.length < 2 * PAGE_SIZE))
      return this.#write(start, content, oldSize);
    this.folios ??= new LargeFolios();
    const range = { start, stop: start + content.length };
    this.folios.write(range, (first, end) => this.covering(first) === 0 && this.nextCached(first) >= end, borders);
    const failed = this.#write(start, content, oldSize);
    if (failed !== undefined) this.folios.forget(pagesOfRange(range));
    return failed;
  }

  #write(start: number, content: Content, oldSize: number): Errno | undefined {
    const end = start + content.length;
    const head = start % PAGE_SIZE;
    const firstPage = (start - head) / PAGE_SIZE;
    if (head + content.length <= PAGE_SIZE && content.length < PAGE_SIZE) {
      const failed = this.#present(firstPage, oldSize);
      if (failed !== undefined) return failed;
      this.#writePart(firstPage, head, content);
      this.cache.afterWrite();
      return undefined;
    }
    const tail = end % PAGE_SIZE;
    const lastPage = (end - tail) / PAGE_SIZE;
    const failed =
      (head === 0 ? undefined : this.#present(firstPage, oldSize)) ?? (tail === 0 ? undefined : this.#present(lastPage, oldSize));
    if (failed !== undefined) return failed;
    if (head !== 0) this.#writePart(firstPage, head, content.slice(0, PAGE_SIZE - head));
    let page = head === 0 ? firstPage : firstPage + 1;
    while (page < lastPage) {
      const until = Math.min(lastPage, page + this.cache.batchPages);
      this.#put(page, content.slice(page * PAGE_SIZE - start, until * PAGE_SIZE - start));
      page = until;
      if (page < lastPage) this.cache.afterWrite();
    }
    if (tail !== 0) {
      // Making room for the middle may have thrown the last page out.
      const gone = this.#present(lastPage, oldSize);
      if (gone !== undefined) return gone;
      this.#writePart(lastPage, 0, content.slice(content.length - tail));
    }
    this.cache.afterWrite();
    return undefined;
  }

  /** Makes sure that a page about to be written in part is cached, unless it lies behind the old end of the file. */
  #present(page: number, oldSize: number): Errno | undefined {
    if (this.covering(page) !== 0) {
      this.cache.counters.hits += 1;
      return undefined;
    }
    if (this.pinned || page * PAGE_SIZE >= oldSize) return undefined;
    const filled = this.fill(page, page + 1);
    return isErrno(filled) ? filled : undefined;
  }

  /** Puts whole pages. */
  #put(page: number, content: Content): void {
    const table = this.cache.table;
    const pages = content.length / PAGE_SIZE;
    const row = this.#below(page);
    if (row !== 0 && table.first[row] === page && table.pages[row] === pages) {
      table.content.set(row, content);
      this.#markDirty(row);
      return;
    }
    if (row !== 0 && this.#extend(row, page, content)) return;
    const overlaps = row !== 0 && (table.first[row] as number) + (table.pages[row] as number) > page;
    if (overlaps || (pages > 1 && this.nextCached(page) < page + pages)) this.#removeRange(page, page + pages);
    const added = this.#add(page, pages, content, 0);
    this.#markDirty(added);
  }

  /** Makes a run longer by content that goes on where it ends, the way of a sequential writer. */
  #extend(row: number, page: number, content: Content): boolean {
    const table = this.cache.table;
    const before = table.pages[row] as number;
    if ((table.first[row] as number) + before !== page) return false;
    const known = table.content.get(row) as RunContent;
    if (known instanceof PageBuffer || known.length !== before * PAGE_SIZE) return false;
    if (!this.pinned && table.dirty[row] === 0) return false;
    if (!known.continuesInto(content)) return false;
    const pages = content.length / PAGE_SIZE;
    this.#removeRange(page, page + pages);
    table.content.set(row, known.extendedBy(content));
    table.pages[row] = (table.pages[row] as number) + pages;
    this.#count(pages, table.dirty[row] as number);
    if (!this.pinned) table.touch(row);
    return true;
  }

  /** Puts bytes into one page that is cached or new. */
  #writePart(page: number, at: number, content: Content): void {
    const table = this.cache.table;
    let row = this.covering(page);
    if (row === 0) {
      row = this.#add(page, 1, freshPage(at, content), 0);
      this.#markDirty(row);
      return;
    }
    if ((table.pages[row] as number) > 1) {
      this.cut(page);
      this.cut(page + 1);
      row = this.covering(page);
    }
    table.content.set(row, withBytes(table.content.get(row) as RunContent, at, content));
    this.#markDirty(row);
  }

  #markDirty(row: number): void {
    if (this.pinned) return;
    const table = this.cache.table;
    table.touch(row);
    if (table.dirty[row] === 1) return;
    table.dirty[row] = 1;
    noteDirtyAt(this, table.first[row] as number);
    this.dirtied(table.pages[row] as number);
  }

  dirtied(pages: number): void {
    if (this.dirtyPages === 0) this.cache.noteDirty(this);
    this.dirtyPages += pages;
    this.cache.dirtyPages += pages;
    if (this.dirtyPages > 0) return;
    this.cache.noteClean(this);
    this.dirtyPlaces = typeof this.#runs === "number" ? undefined : new DirtyPlaces();
  }

  // Writing back

  startWriteback(start: number = 0, length: number = Number.POSITIVE_INFINITY): void {
    this.cache.startWriteback(this, start, length);
  }

  flush(start: number = 0, length: number = Number.POSITIVE_INFINITY): Errno | undefined {
    return flushRuns(this, start, length);
  }

  isDirty(page: number): boolean {
    return this.cache.table.dirty[this.covering(page)] === 1;
  }

  reachesDirty(start: number, length: number): boolean {
    return reachesDirty(this, start, length);
  }

  isCached(page: number): boolean {
    return this.covering(page) !== 0;
  }

  endOfRun(page: number): number {
    const row = this.covering(page);
    const table = this.cache.table;
    return row === 0 ? 0 : (table.first[row] as number) + (table.pages[row] as number);
  }

  nextCached(page: number): number {
    const row = this.above(page);
    return row === 0 ? Number.POSITIVE_INFINITY : (this.cache.table.first[row] as number);
  }

  // Forgetting

  truncate(size: number): void {
    this.#forget(size, Number.POSITIVE_INFINITY);
    if (size % PAGE_SIZE !== 0) this.#zeroPart(Math.floor(size / PAGE_SIZE), size % PAGE_SIZE, PAGE_SIZE);
  }

  punch(start: number, length: number): void {
    const end = start + length;
    const first = Math.ceil(start / PAGE_SIZE);
    const last = Math.floor(end / PAGE_SIZE);
    this.#forget(start, end);
    if (first > last) {
      this.#zeroPart(last, start % PAGE_SIZE, end % PAGE_SIZE);
      return;
    }
    if (start % PAGE_SIZE !== 0) this.#zeroPart(first - 1, start % PAGE_SIZE, PAGE_SIZE);
    if (end % PAGE_SIZE !== 0) this.#zeroPart(last, 0, end % PAGE_SIZE);
  }

  /** Forgets the pages that lie wholly in bytes [start, stop). Those that stay with their folio are zeros, and nobody writes them. */
  #forget(start: number, stop: number): void {
    const cut = this.folios === undefined ? undefined : cutFolios(this, this.folios, { start, stop });
    const first = Math.ceil(start / PAGE_SIZE);
    const last = Math.floor(stop / PAGE_SIZE);
    if (first < last) this.#removeRange(first, last);
    if (cut === undefined) return;
    for (const range of cut.gone) this.#removeRange(range.first, range.end);
    for (const { first: page, end } of cut.kept) this.#add(page, end - page, Content.zeros((end - page) * PAGE_SIZE), 0);
  }

  /** Zeroes a part of a page if it is cached; whether it is dirty stays as it is. */
  #zeroPart(page: number, from: number, to: number): void {
    if (this.covering(page) === 0) return;
    this.cut(page);
    this.cut(page + 1);
    const table = this.cache.table;
    const row = this.covering(page);
    table.content.set(row, withZeros(table.content.get(row) as RunContent, from, to));
  }

  drop(): void {
    for (const row of droppableRuns(this)) this.#remove(row);
  }

  /** Forgets every page, dirty ones too: the inode dies. */
  discard(): void {
    this.#removeRange(0, Number.POSITIVE_INFINITY);
    this.folios = undefined;
    this.cache.takeError(this);
  }

  /** Gives up to `pages` clean pages at the front of a run back: what memory pressure does. */
  shrink(row: number, pages: number): void {
    const first = this.cache.table.first[row] as number;
    if (pages < (this.cache.table.pages[row] as number)) this.cut(first + pages);
    this.folios?.forget({ first, end: first + pages });
    this.#remove(this.#below(first));
  }

  #below(page: number): number {
    const runs = this.#runs;
    return typeof runs === "number" ? listedBelow(this.cache.table, runs, page) : runs.below(page);
  }

  above(page: number): number {
    const runs = this.#runs;
    const { table } = this.cache;
    return typeof runs === "number" ? listedAbove(table, runs, page) : runs.above(page);
  }

  covering(page: number): number {
    const row = this.#below(page);
    const table = this.cache.table;
    return row !== 0 && (table.first[row] as number) + (table.pages[row] as number) > page ? row : 0;
  }

  #count(pages: number, dirty: number): void {
    this.cachedPages += pages;
    if (this.pinned) this.cache.pinnedPages += pages;
    else this.cache.cachedPages += pages;
    if (dirty === 1) this.dirtied(pages);
  }

  #add(first: number, pages: number, content: RunContent, dirty: number): number {
    const table = this.cache.table;
    const row = table.add(this, { first, pages, content, dirty });
    let runs = this.#runs;
    if (typeof runs === "number" && runs !== 0 && listedCount(table, runs) === LISTED_RUNS) runs = RunIndex.of(table, runs);
    if (typeof runs === "number") this.#runs = addListed(table, runs, row);
    else {
      runs.add(table.first, row);
      this.#runs = runs;
    }
    this.#count(pages, dirty);
    return row;
  }

  #remove(row: number): void {
    const table = this.cache.table;
    const runs = this.#runs;
    if (typeof runs === "number") this.#runs = removeListed(table, runs, row);
    else {
      runs.remove(table.first, row);
      if (runs.size === 1) this.#runs = addListed(table, 0, runs.above(-1));
    }
    this.#count(-(table.pages[row] as number), table.dirty[row] as number);
    table.remove(row);
  }

  cut(page: number): void {
    const row = this.covering(page);
    const table = this.cache.table;
    if (row === 0 || table.first[row] === page) return;
    const content = table.content.get(row) as Content;
    const before = page - (table.first[row] as number);
    const dirty = table.dirty[row] as number;
    const behind = (table.pages[row] as number) - before;
    table.content.set(row, content.slice(0, before * PAGE_SIZE));
    table.pages[row] = before;
    this.#count(-behind, dirty);
    table.folios[this.#add(page, behind, content.slice(before * PAGE_SIZE), dirty)] = (table.folios[row] as number) & ~MARKED;
    if (dirty === 1) noteDirtyAt(this, page);
  }

  #removeRange(first: number, end: number): void {
    if (this.#runs === 0) return;
    const table = this.cache.table;
    this.cut(first);
    if (end !== Number.POSITIVE_INFINITY) this.cut(end);
    for (let row = this.above(first - 1); row !== 0 && (table.first[row] as number) < end; row = this.above(first - 1))
      this.#remove(row);
  }

  /** Throws an InvariantError when runs overlap or counts are wrong. */
  check(): void {
    checkRuns(this);
    this.folios?.check((page) => this.isCached(page), `${this.space.label}:${this.inode}`);
  }
}
