/**
 * The folios of several pages that a file's cached pages lie in (mm/filemap.c: __filemap_get_folio; mm/truncate.c: truncate_inode_partial_folio;
 * fs/iomap/buffered-io.c; Linux 6.18).
 *
 * Rules: a write brings pages that are not cached in folios as large as their place, what is left of the write, its mapping of blocks and what is cached
 * behind allow. Whoever writes one page back writes what is dirty of its folio. Who cuts a file within a folio splits it, but for one that is dirty and
 * whose blocks are told apart (iomap_release_folio): of that all stays, as zeros.
 *
 * Interface: pages in no folio of several are folios of one. Every page of a folio told of here is cached.
 */
import { assert } from "../core/assert.ts";
import { IntervalMap } from "../core/intervals.ts";
import { PAGE_SIZE } from "./address-space.ts";

/** The most pages of one: MAX_PAGECACHE_ORDER where huge pages are 2 MiB. */
export const FOLIO_PAGES_MAX = 512;

/** The pages of the folio that a write brings at a page when so many are left of it (__filemap_get_folio): what its place and they allow, 1 at least. */
export function folioPages(page: number, left: number): number {
  const aligned = page % FOLIO_PAGES_MAX === 0 ? FOLIO_PAGES_MAX : page & -page;
  return Math.min(aligned, 2 ** Math.max(0, 31 - Math.clz32(Math.min(left, FOLIO_PAGES_MAX))));
}

/** Pages [first, end). */
export interface PageRange {
  readonly first: number;
  readonly end: number;
}

/** Bytes [start, stop) of a file. */
interface ByteRange {
  readonly start: number;
  readonly stop: number;
}

/** The pages that bytes touch. */
export function pagesOfRange({ start, stop }: ByteRange): PageRange {
  return { first: Math.floor(start / PAGE_SIZE), end: Math.ceil(stop / PAGE_SIZE) };
}

/** What a cut comes to: pages within that stay because their folio does, and others that go with the one that they were in. */
export interface FoliosCut {
  readonly kept: readonly PageRange[];
  readonly gone: readonly PageRange[];
}

export class LargeFolios {
  /**
   * Of the pages that lie in folios of several, how many the folio of each has: below 0 where its blocks are told apart (struct iomap_folio_state), since it
   * was written in part, or written back. A folio lies at a multiple of its pages, so that neighbours of one size need no border.
   */
  readonly #pages = new IntervalMap<number>(undefined, (left, right) => (left === right ? left : undefined));

  /** The folio of several pages that holds a page. */
  holding(page: number): PageRange | undefined {
    const pages = Math.abs(this.#pages.get(page) ?? 0);
    if (pages === 0) return undefined;
    const first = page - (page % pages);
    return { first, end: first + pages };
  }

  /** A range of pages with all of the folios that it touches. */
  around({ first, end }: PageRange): PageRange {
    const last = end === Number.POSITIVE_INFINITY ? undefined : this.holding(end - 1);
    return { first: this.holding(first)?.first ?? first, end: last?.end ?? end };
  }

  /**
   * What a write of bytes is about to go through (iomap_write_iter).
   * @param isFree - whether no page of a range is cached
   * @param borders - the pages, in order, at which mappings of its blocks end
   */
  write({ start, stop }: ByteRange, isFree: (first: number, end: number) => boolean, borders: readonly number[] = []): void {
    let border = 0;
    for (let at = start; at < stop; ) {
      const page = Math.floor(at / PAGE_SIZE);
      while (border < borders.length && (borders[border] as number) <= page) border += 1;
      const chunk = Math.min(
        (Math.floor(page / FOLIO_PAGES_MAX) + 1) * FOLIO_PAGES_MAX,
        borders[border] ?? Number.POSITIVE_INFINITY,
      );
      const until = Math.min(stop, chunk * PAGE_SIZE);
      const held = this.holding(page) ?? this.#bring(page, until - at, isFree);
      const next = Math.min(until, held.end * PAGE_SIZE);
      if (at > held.first * PAGE_SIZE || next < held.end * PAGE_SIZE) this.track(held);
      at = next;
    }
  }

  /** The folio in which a page comes for a write of so many bytes from within it on. */
  #bring(page: number, length: number, isFree: (first: number, end: number) => boolean): PageRange {
    let pages = folioPages(page, length / PAGE_SIZE);
    while (pages > 1 && !isFree(page, page + pages)) pages /= 2;
    if (pages > 1) this.#pages.set(page, page + pages, pages);
    return { first: page, end: page + pages };
  }

  /** The blocks of the folios that pages lie in are told apart from now on (ifs_alloc). */
  track(range: PageRange): void {
    const { first, end } = this.around(range);
    const found: (readonly [from: number, to: number, pages: number])[] = [];
    this.#pages.visit(first, end, (from, to, pages) => {
      if (pages > 0) found.push([from, to, pages]);
    });
    for (const [from, to, pages] of found) this.#pages.set(from, to, -pages);
  }

  /** Pages were given up: what is left of their folios counts as single pages. */
  forget(range: PageRange): void {
    const { first, end } = this.around(range);
    this.#pages.delete(first, end);
  }

  /**
   * Bytes are cut out of the file: folios that lie within go, those at the edges are split where they can be.
   * @param isDirty - whether a page of a range is dirty
   * @param last - the page behind the file's end: of a folio that is split what begins there or further on goes
   */
  cut(range: ByteRange, isDirty: (first: number, end: number) => boolean, last: number): FoliosCut {
    const first = Math.ceil(range.start / PAGE_SIZE);
    const end = Math.floor(range.stop / PAGE_SIZE);
    const kept: PageRange[] = [];
    const gone: PageRange[] = [];
    const edges = [Math.floor(range.start / PAGE_SIZE)];
    if (end !== Number.POSITIVE_INFINITY) edges.push(Math.ceil(range.stop / PAGE_SIZE) - 1);
    for (const edge of edges) {
      const held = this.holding(edge);
      if (held === undefined || (held.first >= first && held.end <= end)) continue;
      if (kept.some((one) => one.first <= edge && edge < one.end)) continue;
      if ((this.#pages.get(edge) as number) < 0 && isDirty(held.first, held.end)) {
        kept.push(held);
        continue;
      }
      this.#split(Math.max(held.first, Math.floor(range.start / PAGE_SIZE)));
      if (range.stop < held.end * PAGE_SIZE) this.#split(Math.floor(range.stop / PAGE_SIZE));
      const across = this.holding(last);
      const behind = {
        first: across !== undefined && across.first < last ? across.end : Math.max(held.first, last),
        end: held.end,
      };
      if (behind.first >= behind.end) continue;
      this.forget(behind);
      gone.push(behind);
    }
    let at = first;
    const within: PageRange[] = [];
    for (const held of kept) {
      if (at < held.first) this.forget({ first: at, end: held.first });
      const from = Math.max(first, held.first);
      at = Math.min(end, held.end);
      if (from < at) within.push({ first: from, end: at });
    }
    if (at < end) this.forget({ first: at, end });
    return { kept: within, gone };
  }

  /** Halves a folio over and over until a page is alone (folio_split). */
  #split(page: number): void {
    const held = this.holding(page);
    if (held === undefined) return;
    this.forget(held);
    for (let { first, end } = held; end - first > 1; ) {
      const middle = (first + end) / 2;
      const other = page < middle ? { first: middle, end } : { first, end: middle };
      const pages = other.end - other.first;
      if (pages > 1) this.#pages.set(other.first, other.end, pages);
      if (page < middle) end = middle;
      else first = middle;
    }
  }

  /** Throws an InvariantError unless folios lie in their natural places, and are wholly cached. */
  check(isCached: (page: number) => boolean, label: string): void {
    this.#pages.check();
    this.#pages.visit(0, Number.MAX_SAFE_INTEGER, (from, to, value) => {
      const pages = Math.abs(value);
      const isInPlace = pages > 1 && pages <= FOLIO_PAGES_MAX && from % pages === 0 && to % pages === 0;
      assert(isInPlace, `a folio of ${label} is out of place`);
      for (let page = from; page < to; page++) assert(isCached(page), `page ${page} of a folio of ${label} is not cached`);
    });
  }
}
