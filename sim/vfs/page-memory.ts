/**
 * The page cache as its mappings see it: the rows of their runs, the counts they keep, and what they tell it.
 */
import type { Errno } from "../core/errno.ts";
import type { LoneRow } from "./lone-rows.ts";
import type { RunOwner, RunTable } from "./run-table.ts";

/** What the cache has done since it was made. */
export interface PageCacheCounters {
  /** Pages asked for that were cached. */
  hits: number;
  /** Pages asked for that were not. */
  misses: number;
  pagesRead: number;
  pagesWritten: number;
  evicted: number;
}

/** A mapping whose pages are looked for and brought; 0 is no run. */
export interface PagedMapping extends RunOwner {
  readonly cache: PageMemory;
  /** The run that holds a page. */
  covering(page: number): number;
  /** The page behind the run that holds a page; 0 when it is not in memory. */
  endOfRun(page: number): number;
  /** The first page of the next run that begins behind a page; infinity when there is none. */
  nextCached(page: number): number;
  /** Makes a page a border between runs. */
  cut(page: number): void;
  /** Reads missing pages, as many at once as memory is fair to. @param missed - asked for, of those. @returns the run that then begins at `page`. */
  fill(page: number, end: number, missed?: number): number | Errno;
}

export interface PageMemory {
  readonly counters: PageCacheCounters;
  /** The rows of all mappings' runs. */
  readonly table: RunTable;
  /** How many pages are read or written at once, so that a range larger than memory goes through it. */
  readonly batchPages: number;
  /** Pages of pinned mappings, which cannot be given up. */
  pinnedPages: number;
  /** Pages that can, dirty ones included. */
  cachedPages: number;
  dirtyPages: number;
  /** What is read ahead; undefined: nothing. */
  readonly readahead: { before(mapping: PagedMapping, start: number, length: number): void } | undefined;
  /** Pages are read. @param missed - how many of them were asked for. */
  noteMiss(mapping: RunOwner, page: number, pages: number, missed: number): void;
  noteWriteback(mapping: RunOwner, page: number, pages: number): void;
  /** The mapping has its first dirty page. */
  noteDirty(mapping: RunOwner): void;
  /** The mapping has no dirty page any more. */
  noteClean(mapping: RunOwner): void;
  /** Puts a lone page (lone-pages.ts) at the end of what is dirty. @returns its place there. */
  queueLone(row: LoneRow): number;
  /** Puts the mapping that a lone page has got in its place. */
  queueMapping(place: number, mapping: RunOwner): void;
  /** Whether a lone page is among what is dirty. */
  queues(row: LoneRow): boolean;
  /** The error of a writeback that nobody waited for, told once. */
  takeError(mapping: RunOwner): Errno | undefined;
  /** Writes an inode's dirty pages in a range back, which nobody waits for. */
  startWriteback(mapping: RunOwner, start: number, length: number): void;
  /** Ends a call that made pages dirty: background writeback above its threshold, then room in memory. */
  afterWrite(): void;
  /** Gives up the pages used longest ago until the rest fits memory. */
  reclaim(): void;
}
