/**
 * The page cache of a host: memory for pages of all its filesystems, and the flusher that writes dirty ones back
 * (mm/filemap.c, mm/page-writeback.c, fs/fs-writeback.c).
 *
 * Interface: a filesystem asks for a `mapping` when an inode first has pages and ends it with `discard`; or keeps inodes of one page as `lonePages`. Pages beyond memory are given up at
 * the end of the call that brought them, those used longest ago first; dirty ones are written first. What is read is what was asked for, unless
 * there is readahead (readahead.ts). Counts are in pages of 4 KiB.
 */
import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { Content } from "../core/content.ts";
import type { Errno } from "../core/errno.ts";
import type { EventStream } from "../core/events.ts";
import { seconds } from "../core/units.ts";
import type { AddressSpace } from "./address-space.ts";
import { DirtyQueue } from "./dirty-queue.ts";
import { type Inode, inodeHandle } from "./filesystem.ts";
import { LonePages } from "./lone-pages.ts";
import type { LoneRow } from "./lone-rows.ts";
import { CachedMapping } from "./mapping.ts";
import type { PageCacheCounters, PageMemory } from "./page-memory.ts";
import { Readahead, type ReadaheadOptions } from "./readahead.ts";
import { type RunOwner, RunTable } from "./run-table.ts";

/** vm.dirty_background_ratio: above this share of memory, in percent, dirty pages are written back at once. */
const DIRTY_BACKGROUND_RATIO = 10;
/** vm.dirty_writeback_centisecs: how often the flusher wakes up. */
const DIRTY_WRITEBACK_SECONDS = 5;
/** vm.dirty_expire_centisecs: an inode that has been dirty for longer is written by the flusher. */
const DIRTY_EXPIRE_SECONDS = 30;

export interface PageCacheOptions {
  /** The host's memory for pages, in pages. Default: 1 GiB. */
  readonly memoryPages?: number;
  /** How much is read ahead. Default: nothing. */
  readonly readahead?: ReadaheadOptions;
}

/** What a pinned mapping reads from: never asked, as its missing pages are zeros. */
function nowhere(label: string): AddressSpace {
  return { label, readPages: (_inode, _start, length) => Content.zeros(length), writePages: () => undefined };
}

export class PageCache implements PageMemory {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly counters: PageCacheCounters = { hits: 0, misses: 0, pagesRead: 0, pagesWritten: 0, evicted: 0 };
  readonly memoryPages: number;
  readonly readahead: Readahead | undefined;
  /** The rows of all mappings' runs: of the cache's own files. */
  readonly table: RunTable = new RunTable();
  /** How many pages are read or written at once, so that a range larger than memory goes through it. */
  readonly batchPages: number;
  /** What the pinned mappings of each label read from. */
  readonly #nowhere = new Map<string, AddressSpace>();
  /** Pages of pinned mappings, which cannot be given up. */
  pinnedPages = 0;
  /** Pages that can, dirty ones included. */
  cachedPages = 0;
  dirtyPages = 0;
  readonly #dirtyLimit: number;
  /** Mappings with dirty pages, and the rows of lone pages, in the order in which they became dirty, with the time of that (kernel: b_dirty, dirtied_when). */
  readonly #dirty = new DirtyQueue<RunOwner>((item) =>
    typeof item === "number" ? this.table.lone.place(item) : item.queuePlace,
  );
  /** Failed writebacks that no fsync has told yet (kernel: errseq_t). */
  readonly #errors = new Map<RunOwner, Errno>();
  readonly #stopFlusher: () => void;
  #working = false;

  constructor(clock: Clock, events: EventStream, options: PageCacheOptions = {}) {
    this.clock = clock;
    this.events = events;
    this.memoryPages = options.memoryPages ?? 262_144;
    this.readahead = options.readahead === undefined ? undefined : new Readahead(options.readahead);
    assert(this.memoryPages > 0, "a host has memory for at least one page");
    this.#dirtyLimit = Math.max(1, Math.floor((this.memoryPages * DIRTY_BACKGROUND_RATIO) / 100));
    this.batchPages = Math.max(1, Math.floor(this.memoryPages / 4));
    this.#stopFlusher = clock.every(seconds(DIRTY_WRITEBACK_SECONDS), () => this.#flushExpired());
  }

  /** The cached pages of an inode that has none yet. */
  mapping(space: AddressSpace, inode: Inode): CachedMapping {
    return new CachedMapping(this, space, inode, false);
  }

  /** The lone pages of a filesystem. @param grow - makes it call `toMapping` for an inode. */
  lonePages(space: AddressSpace, grow: (inode: Inode) => void): LonePages {
    return new LonePages(this, space, grow);
  }

  /** Pages whose only place is memory, as those of tmpfs: a page that is missing is zeros, and reading one makes none. */
  pinnedMapping(label: string): CachedMapping {
    let space = this.#nowhere.get(label);
    if (space === undefined) {
      space = nowhere(label);
      this.#nowhere.set(label, space);
    }
    return new CachedMapping(this, space, inodeHandle(0), true);
  }

  /** Writes back everything that is dirty. @returns the first error. */
  flushAll(): Errno | undefined {
    let failed: Errno | undefined;
    for (const mapping of this.#dirtyUntil(Number.POSITIVE_INFINITY)) failed = mapping.flush() ?? failed;
    return failed;
  }

  /** Drops every clean page (vm.drop_caches = 1). */
  dropAll(): void {
    const table = this.table;
    for (const owner of table.owner.distinct()) if (owner !== undefined && !owner.pinned) owner.drop();
  }

  /** Ends the flusher: the host is switched off. */
  stop(): void {
    this.#stopFlusher();
  }

  /** Throws an InvariantError when counts and lists do not add up. */
  check(): void {
    assert(this.table.check() === this.cachedPages, `the cache counts ${this.cachedPages} pages, its list holds others`);
    let dirty = this.table.lone.size;
    let pinned = 0;
    for (const owner of this.table.owner.distinct()) {
      if (owner === undefined) continue;
      owner.check();
      dirty += owner.dirtyPages;
      if (owner.pinned) pinned += owner.cachedPages;
      assert(owner.dirtyPages === 0 || this.#dirty.has(owner), "a dirty mapping is not in the flusher's list");
    }
    for (const owner of this.table.lone.owners()) owner.check();
    assert(dirty === this.dirtyPages, `the cache counts ${this.dirtyPages} dirty pages, its mappings ${dirty}`);
    assert(pinned === this.pinnedPages, `the cache counts ${this.pinnedPages} pinned pages, its mappings ${pinned}`);
    assert(this.cachedPages <= this.memoryPages, `${this.cachedPages} pages are cached in memory for ${this.memoryPages}`);
  }

  // What its mappings tell it

  noteMiss(mapping: RunOwner, page: number, pages: number, missed: number): void {
    this.counters.misses += missed;
    this.counters.pagesRead += pages;
    if (!this.events.listening) return;
    const ahead = pages - missed;
    this.events.emit({ op: "cacheMiss", filesystem: mapping.space.label, inode: mapping.inode, page, pages, ahead });
  }

  noteWriteback(mapping: RunOwner, page: number, pages: number): void {
    this.counters.pagesWritten += pages;
    if (this.events.listening)
      this.events.emit({ op: "writeback", filesystem: mapping.space.label, inode: mapping.inode, page, pages });
  }

  noteDirty(mapping: RunOwner): void {
    if (mapping.queuePlace < 0) mapping.queuePlace = this.#dirty.add(mapping, this.clock.now);
  }

  noteClean(mapping: RunOwner): void {
    mapping.queuePlace = -1;
  }

  queueLone(row: LoneRow): number {
    return this.#dirty.add(row, this.clock.now);
  }

  queueMapping(place: number, mapping: RunOwner): void {
    mapping.queuePlace = place;
    this.#dirty.replace(place, mapping);
  }

  queues(row: LoneRow): boolean {
    return this.#dirty.has(row);
  }

  /** The mapping that a lone page gets now. */
  #mappingOf(row: LoneRow): RunOwner {
    const { lone } = this.table;
    const place = lone.place(row);
    (lone.owner(row) as LonePages).grow(row);
    return this.#dirty.at(place) as RunOwner;
  }

  /** The mappings of what has been dirty since `before` or earlier, the oldest first. */
  #dirtyUntil(before: number): RunOwner[] {
    return this.#dirty.until(before).map((item) => (typeof item === "number" ? this.#mappingOf(item) : item));
  }

  /** The error of a writeback that nobody waited for, told once. */
  takeError(mapping: RunOwner): Errno | undefined {
    const failed = this.#errors.get(mapping);
    if (failed !== undefined) this.#errors.delete(mapping);
    return failed;
  }

  /** Ends a call that made pages dirty: background writeback above its threshold, then room in memory. */
  afterWrite(): void {
    if (this.dirtyPages > this.#dirtyLimit) this.#writeBackground();
    if (this.cachedPages > this.memoryPages) this.reclaim();
  }

  /** Gives up the pages used longest ago until the rest fits memory. */
  reclaim(): void {
    if (this.#working) return;
    const table = this.table;
    while (this.cachedPages > this.memoryPages) {
      if (table.oldestLone !== 0) this.#mappingOf(table.oldestLone);
      const row = table.oldest;
      const mapping = table.owner.get(row) as RunOwner;
      const first = table.first[row] as number;
      const pages = Math.min(table.pages[row] as number, this.cachedPages - this.memoryPages);
      if (table.dirty[row] === 1) {
        this.#writeBack(mapping, first, table.pages[row] as number);
        continue;
      }
      mapping.shrink(row, pages);
      this.counters.evicted += pages;
      if (this.events.listening)
        this.events.emit({ op: "evict", filesystem: mapping.space.label, inode: mapping.inode, page: first, pages });
    }
  }

  startWriteback(mapping: RunOwner, start: number, length: number): void {
    // Not within a writeback that makes its filesystem close, move or commit something.
    if (!this.#working) this.#writeBack(mapping, Math.floor(start / 4096), Math.ceil(length / 4096));
  }

  #writeBack(mapping: RunOwner, page = 0, pages = Number.POSITIVE_INFINITY): void {
    this.#working = true;
    const failed = mapping.flush(page * 4096, pages * 4096);
    this.#working = false;
    if (failed !== undefined) this.#errors.set(mapping, failed);
  }

  /** Writes the inodes that have been dirty longest until the rest is below the threshold (wb_over_bg_thresh). */
  #writeBackground(): void {
    if (this.#working) return;
    while (this.dirtyPages > this.#dirtyLimit) {
      const oldest = this.#dirty.oldest();
      if (oldest === undefined) return;
      this.#writeBack(typeof oldest === "number" ? this.#mappingOf(oldest) : oldest);
    }
  }

  /** What the flusher does each time it wakes up (wb_check_old_data_flush). */
  #flushExpired(): void {
    if (this.#working) return;
    const before = this.clock.now - DIRTY_EXPIRE_SECONDS * 1e9;
    for (const mapping of this.#dirtyUntil(before)) this.#writeBack(mapping);
  }
}
