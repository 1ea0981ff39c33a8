/**
 * Readahead: what is read besides what was asked for, because the next reads are likely to want it (mm/readahead.c, mm/filemap.c, mm/fadvise.c;
 * Linux 6.18).
 *
 * Words: an open file's *window* is what was read ahead last, with a *mark* where its last part begins: whoever reads the marked folio has the next
 * window read, so that a reader in sequence never waits. Windows grow from a few pages to `pages`. A read that follows no other reads just what
 * it asks for.
 *
 * Interface: a PageCache may have one; without it nothing is read ahead, as with `blockdev --setra 0`. The VFS says before each read which open file
 * it is of (`begin`, `end`); reads that no open file asks for, such as a copy-up's, read nothing ahead. Counts are in pages of 4 KiB.
 *
 * How often a mapping missed (ra->mmap_miss) is not counted: each fault reads around itself.
 */
import { isErrno } from "../core/errno.ts";
import { alignDown } from "../core/units.ts";
import { PAGE_SIZE } from "./address-space.ts";
import { FOLIO_PAGES_MAX } from "./large-folios.ts";
import type { OpenFile } from "./open-file.ts";
import type { PagedMapping } from "./page-memory.ts";
import { MARKED } from "./run-table.ts";

/** The advice of posix_fadvise(2) that changes what is read ahead. */
export type Advice = "normal" | "random" | "sequential";

/** How an open file reads: by a read, by a fault of a mapping (mmap), or because advice says that it will need what is behind the page. */
type How = "reads" | "maps" | "needs";

/** Who reads. */
export interface Reader {
  readonly file: OpenFile;
  readonly how: How;
  /** How many pages it will need. */
  readonly pages: number;
}

export interface ReadaheadOptions {
  /** The longest window of a block device's filesystems in bytes (queue/read_ahead_kb), whole pages of it; Linux's default is 128 KiB. A filesystem may have a rule of its own. */
  readonly window: number;
  /** The largest request that the disks take in bytes (queue/max_sectors_kb), to which a window may grow for a read that is longer than it. Default 4 MiB. */
  readonly request?: number;
}

/** BLK_DEF_MAX_SECTORS_CAP, in bytes. */
const REQUEST = 4_194_304;
/** MAX_PAGECACHE_ORDER. */
const MAX_ORDER: number = Math.log2(FOLIO_PAGES_MAX);
/** XA_CHUNK_SIZE: how many pages a node of a mapping's tree has. */
const NODE_SLOTS = 64;
/** By how much the order of folios grows from window to window. */
const ORDER_STEP = 2;

/** What is known of an open file's reads (struct file_ra_state), and the mapping that they were of: a union's file moves to its copy. */
interface FileReads {
  mapping: PagedMapping | undefined;
  start: number;
  size: number;
  asyncSize: number;
  order: number;
  /** The byte behind the last read; -1: there was none. */
  previous: number;
  advice: Advice;
}

/** A read in pages: of what, by whom, and where what it asks for ends. */
interface Request {
  readonly mapping: PagedMapping;
  readonly reads: FileReads;
  readonly first: number;
  readonly end: number;
  /** Behind the file's last page. */
  readonly fileEnd: number;
}

function newReads(mapping: PagedMapping | undefined): FileReads {
  return { mapping, start: 0, size: 0, asyncSize: 0, order: 0, previous: -1, advice: "normal" };
}

/** The order of folios that fit a window of so many pages. */
function orderWithin(order: number, pages: number): number {
  return Math.min(MAX_ORDER, order, Math.floor(Math.log2(pages)));
}

/** get_init_ra_size. */
function firstWindow(size: number, most: number): number {
  const rounded = 2 ** Math.ceil(Math.log2(size));
  if (rounded <= Math.floor(most / 32)) return rounded * 4;
  return rounded <= Math.floor(most / 4) ? rounded * 2 : most;
}

/** get_next_ra_size. */
function nextWindow(size: number, most: number): number {
  if (size < Math.floor(most / 16)) return 4 * size;
  return size <= Math.floor(most / 2) ? 2 * size : most;
}

/** How many pages the folio has that begins at or goes through a cached page: windows are made of the largest that are aligned and fit. */
function folioPages(mapping: PagedMapping, page: number): number {
  const { table } = mapping.cache;
  const row = mapping.covering(page);
  const first = table.first[row] as number;
  const end = first + (table.pages[row] as number);
  let pages = 2 ** ((table.folios[row] as number) & ~MARKED);
  while (pages > 1 && (alignDown(page, pages) < first || alignDown(page, pages) + pages > end)) pages /= 2;
  return pages;
}

/**
 * The slot in which a walk through a mapping's tree begins that looks for a page: that of its folio's first page, as xas_load finds it. What a walk
 * then tells is the page it counts to, which is not the slot's.
 */
function slotOf(mapping: PagedMapping, page: number): number {
  const pages = mapping.covering(page) === 0 ? 1 : folioPages(mapping, page);
  return pages < NODE_SLOTS ? alignDown(page, pages) : page;
}

/** The first page behind `from` that is missing, at most so many on; where there is none, the one behind them (page_cache_next_miss, xas_next). */
function nextMiss(mapping: PagedMapping, from: number, most: number): number {
  let slot = slotOf(mapping, from);
  for (let page = from; page < from + most; page++) {
    if (page > from) slot += 1;
    if (page > from && slot % NODE_SLOTS === 0) slot += page % NODE_SLOTS;
    if (mapping.covering(slot) === 0) return page;
  }
  return from + most;
}

/** The last page up to `from` that is missing, or the last one looked at of `most`; -1: all are there (page_cache_prev_miss, xas_prev). */
function previousMiss(mapping: PagedMapping, from: number, most: number): number {
  let slot = slotOf(mapping, from);
  for (let page = from; page > from - most; page--) {
    if (page < from && slot % NODE_SLOTS !== page % NODE_SLOTS) {
      slot -= 1;
      const node = alignDown(slot, NODE_SLOTS);
      if (slot >= 0 && slot - node === NODE_SLOTS - 1) slot = node + (page % NODE_SLOTS);
    }
    if (page < 0 || slot < 0 || mapping.covering(slot) === 0) return page;
  }
  return from - most + 1;
}

export class Readahead {
  readonly #pages: number;
  readonly #requestPages: number;
  readonly #reads = new WeakMap<OpenFile, FileReads>();
  #reader: Reader | undefined;

  constructor(options: ReadaheadOptions) {
    this.#pages = Math.floor(options.window / PAGE_SIZE);
    this.#requestPages = Math.floor((options.request ?? REQUEST) / PAGE_SIZE);
  }

  /** What is read until `end` is asked for by an open file. @returns who asked until now, which `end` wants back: a loop device reads a file for a read. */
  begin(file: OpenFile, how: How = "reads", pages = 0): Reader | undefined {
    const outer = this.#reader;
    this.#reader = { file, how, pages };
    return outer;
  }
  end(outer: Reader | undefined): void {
    this.#reader = outer;
  }

  /** Takes the advice of posix_fadvise for an open file. */
  advise(file: OpenFile, advice: Advice): void {
    this.#readsOf(file).advice = advice;
  }

  #readsOf(file: OpenFile): FileReads {
    let reads = this.#reads.get(file);
    if (reads === undefined) {
      reads = newReads(undefined);
      this.#reads.set(file, reads);
    }
    return reads;
  }

  /** Reads ahead for a range that an open file is about to read: `length` bytes, none of them behind the file's end. */
  before(mapping: PagedMapping, start: number, length: number): void {
    const reader = this.#reader;
    const { ahead } = mapping.space;
    if (reader === undefined || ahead === undefined) return;
    let reads = this.#readsOf(reader.file);
    if (reads.mapping !== mapping) {
      reads = { ...newReads(mapping), advice: reads.mapping === undefined ? reads.advice : "normal" };
      this.#reads.set(reader.file, reads);
    }
    const first = Math.floor(start / PAGE_SIZE);
    const end = Math.ceil((start + length) / PAGE_SIZE);
    const request = { mapping, reads, first, end, fileEnd: Math.ceil(ahead.size(mapping.inode) / PAGE_SIZE) };
    if (reader.how === "needs") this.#forced(request, first, reader.pages);
    else if (reader.how === "maps") this.#fault(request);
    else {
      this.#read(request);
      reads.previous = start + length;
    }
  }

  /** filemap_read: page by page what is missing or marked. */
  #read(request: Request): void {
    const { mapping, reads, end } = request;
    for (let page = request.first; page < end; ) {
      const row = mapping.covering(page);
      if (row === 0) {
        if (reads.advice === "random" || this.#windowOf(request) === 0) this.#forced(request, page, end - page);
        else this.#missed(request, page);
        // What could not be read the read itself meets, and tells.
        if (mapping.covering(page) === 0) return;
        continue;
      }
      this.#marked(request, page, end - page);
      page = mapping.endOfRun(page);
    }
  }

  /** filemap_fault of one page: around it (do_sync_mmap_readahead), or on from the mark (do_async_mmap_readahead). */
  #fault(request: Request): void {
    const { mapping, reads, first } = request;
    const pages = this.#windowOf(request);
    if (pages === 0) return;
    if (mapping.covering(first) !== 0) {
      this.#marked(request, first, pages);
      return;
    }
    reads.start = Math.max(0, first - Math.floor(pages / 2));
    reads.size = pages;
    reads.asyncSize = Math.floor(pages / 4);
    reads.order = 0;
    this.#readWindow(request);
  }

  /** The longest window of this file: its filesystem's, or of the host's devices; twice that where it is said to be read in sequence. */
  #windowOf({ mapping, reads }: Request): number {
    const pages = mapping.space.ahead?.pages ?? this.#pages;
    return reads.advice === "sequential" ? 2 * pages : pages;
  }

  /** ractl_max_pages: the longest window for a read of `asked` pages. */
  #most(request: Request, asked: number): number {
    const pages = this.#windowOf(request);
    return asked > pages && this.#requestPages > pages ? Math.min(asked, this.#requestPages) : pages;
  }

  /** force_page_cache_ra: just these pages, as many as one request takes. */
  #forced(request: Request, page: number, pages: number): void {
    const most = Math.max(this.#requestPages, this.#windowOf(request));
    this.#bring(request, page, Math.min(request.fileEnd, page + Math.min(pages, most)));
  }

  /** page_cache_sync_ra: a page is missing. */
  #missed(request: Request, page: number): void {
    const { mapping, reads, end } = request;
    const asked = end - page;
    const most = this.#most(request, asked);
    const since = page - Math.floor(reads.previous / PAGE_SIZE);
    const follows = reads.previous >= 0 && since >= 0 && since <= 1;
    if (page === 0 || asked > most || follows) {
      reads.size = firstWindow(asked, most);
      reads.asyncSize = reads.size > asked ? reads.size - asked : reads.size >>> 1;
    } else {
      const miss = previousMiss(mapping, page - 1, most);
      const before = page - miss - 1;
      if (before <= asked) {
        this.#bring(request, page, Math.min(end, request.fileEnd));
        return;
      }
      // Cached from the file's beginning: it is read as a whole.
      reads.size = Math.min((miss < 0 ? 2 * before : before) + asked, most);
      reads.asyncSize = 1;
    }
    reads.start = page;
    reads.order = 0;
    this.#readWindow(request);
  }

  /** page_cache_async_ra, where a cached page is in a marked folio: the next window. */
  #marked(request: Request, page: number, asked: number): void {
    const { mapping, reads } = request;
    const { table } = mapping.cache;
    const row = mapping.covering(page);
    const folio = table.first[row] as number;
    const pages = folioPages(mapping, folio);
    if (((table.folios[row] as number) & MARKED) === 0 || page >= folio + pages) return;
    table.folios[row] = (table.folios[row] as number) & ~MARKED;
    const wanted = asked + page - folio;
    const most = this.#most(request, wanted);
    if (folio === alignDown(reads.start + reads.size - reads.asyncSize, pages)) {
      reads.start += reads.size;
      reads.size = Math.max(reads.size, nextWindow(reads.size, most));
    } else {
      // Of another reader's window: behind all that is cached.
      const start = nextMiss(mapping, folio + 1, most);
      if (start - folio > most) return;
      reads.start = start;
      reads.size = nextWindow(start - folio + wanted, most);
    }
    reads.order += ORDER_STEP;
    // Windows end where large folios do, as far as the longest one is made of such.
    const end = reads.start + reads.size;
    const aligned = alignDown(end, Math.min(2 ** reads.order, most & -most));
    if (aligned > reads.start) reads.size -= end - aligned;
    reads.asyncSize = reads.size;
    this.#readWindow(request);
  }

  /** page_cache_ra_order: reads the window in folios up to the file's end; from where pages are cached already in single pages. */
  #readWindow(request: Request): void {
    const { mapping, reads, fileEnd } = request;
    const end = Math.min(fileEnd, reads.start + reads.size);
    const mark = reads.start + reads.size - reads.asyncSize;
    let page = reads.start;
    let folio: number | undefined;
    if (mapping.space.ahead?.largeFolios !== true) reads.order = 0;
    else {
      reads.order = orderWithin(reads.order, reads.size);
      const cached = mapping.covering(page) !== 0 ? page : mapping.nextCached(page);
      while (page < end) {
        let pages = 2 ** reads.order;
        while (page % pages !== 0 || (pages > 1 && page + pages > end)) pages /= 2;
        if (page + pages > cached) break;
        if (page === alignDown(mark, pages)) folio = page;
        page += pages;
      }
      this.#bring(request, reads.start, page, reads.order);
    }
    if (page < end) this.#readPages(request, page, reads.start + reads.size - page, reads.asyncSize);
    if (folio !== undefined) this.#mark(mapping, folio);
  }

  /** do_page_cache_ra: what is missing of a range, page by page. */
  #readPages(request: Request, page: number, pages: number, asyncSize: number): void {
    const { mapping, fileEnd } = request;
    const count = Math.min(pages, fileEnd - page);
    const mark = page + count - asyncSize;
    const isNew = mark >= page && mark < page + count && mapping.covering(mark) === 0;
    this.#bring(request, page, page + count);
    if (isNew) this.#mark(mapping, mark);
  }

  #mark(mapping: PagedMapping, page: number): void {
    if (mapping.covering(page) === 0) return;
    mapping.cut(page);
    const { folios } = mapping.cache.table;
    const row = mapping.covering(page);
    folios[row] = (folios[row] as number) | MARKED;
  }

  /** Reads the pages of a range that are missing; an error is nobody's, until one of them is asked for. */
  #bring({ mapping, first, end: asked }: Request, from: number, to: number, order = 0): void {
    const { counters, batchPages, table } = mapping.cache;
    for (let page = from; page < to; page = mapping.endOfRun(page)) {
      if (mapping.covering(page) !== 0) continue;
      const end = Math.min(to, mapping.nextCached(page), page + batchPages);
      const missed = Math.max(0, Math.min(end, asked) - Math.max(page, first));
      const row = mapping.fill(page, end, missed);
      if (isErrno(row)) return;
      table.folios[row] = order;
      // They are found when the call reads them.
      counters.hits -= missed;
    }
  }
}
