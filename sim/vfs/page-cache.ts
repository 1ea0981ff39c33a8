/**
 * The page cache of a host.
 */

import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import type { EventStream } from "../core/events.ts";
import type { AddressSpace, Mapping } from "./address-space.ts";
import type { Inode } from "./filesystem.ts";

export interface PageCacheOptions {
  /** The host's memory for pages, in pages. Default: 1 GiB. */
  readonly memoryPages?: number;
}

/** An inode's cached pages, with the end of its life. */
export interface CachedMapping extends Mapping {
  /** Forgets every page, dirty ones too: the inode dies. The mapping must not be used afterwards. */
  discard(): void;
}

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

export class PageCache {
  readonly clock: Clock;
  readonly events: EventStream;
  readonly counters: PageCacheCounters = { hits: 0, misses: 0, pagesRead: 0, pagesWritten: 0, evicted: 0 };
  /** Pages in the cache, and how many of them are dirty. */
  cachedPages = 0;
  dirtyPages = 0;
  readonly memoryPages: number;

  constructor(clock: Clock, events: EventStream, options: PageCacheOptions = {}) {
    this.clock = clock;
    this.events = events;
    this.memoryPages = options.memoryPages ?? 262_144;
  }

  /** The cached pages of an inode that has none yet. */
  mapping(space: AddressSpace, inode: Inode): CachedMapping {
    assert(false, `${space.label}:${inode}: not here yet`);
  }

  /** Writes back everything that is dirty. */
  flushAll(): void {}

  /** Drops every clean page (drop_caches 1). */
  dropAll(): void {}

  /** Throws an InvariantError when counts and lists do not add up. */
  check(): void {}
}
