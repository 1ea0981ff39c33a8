/**
 * What goes through the runs of one mapping as a whole: writing dirty ones back, visiting them, and checking that they add up.
 */
import { assert, InvariantError } from "../core/assert.ts";
import { Content } from "../core/content.ts";
import { type Errno, isErrno } from "../core/errno.ts";
import { PAGE_SIZE } from "./address-space.ts";
import type { DirtyPlaces } from "./dirty-places.ts";
import { type FoliosCut, type LargeFolios, type PageRange, pagesOfRange } from "./large-folios.ts";
import { PageBuffer } from "./page-buffer.ts";
import { pagesOf, part } from "./page-content.ts";
import type { PagedMapping } from "./page-memory.ts";
import type { RunContent } from "./run-table.ts";

/** A mapping and the way through its runs; 0 is no run. */
export interface MappingRuns extends PagedMapping {
  /** Before this page none is dirty; so whoever writes behind what is clean need not pass it again. At most NONE_BEFORE. */
  dirtyFrom: number;
  /** Where all that is dirty begins; undefined where nobody has noted it, and whoever looks for dirty runs has to go from run to run. */
  dirtyPlaces: DirtyPlaces | undefined;
  /** The folios of several pages that its pages lie in; undefined: there is none. */
  readonly folios: LargeFolios | undefined;
  /** The first run that begins behind a page. */
  above(page: number): number;
  /** Counts pages that became dirty, or clean when negative. */
  dirtied(pages: number): void;
}

/** What `dirtyFrom` is where no page is dirty: the greatest number that an engine keeps in the object itself, for a mapping is small. */
export const NONE_BEFORE: number = 2 ** 31 - 1;

/** The bytes [start, end), whose first is not cached in one run with the others: missing ones are read, hole by hole. */
export function readPieces(mapping: MappingRuns, start: number, end: number): Content | Errno {
  const { cache, pinned } = mapping;
  const { table } = cache;
  const out: Content[] = [];
  for (let at = start; at < end; ) {
    const page = Math.floor(at / PAGE_SIZE);
    let row = mapping.covering(page);
    if (row === 0) {
      const gapEnd = Math.min(end, mapping.nextCached(page) * PAGE_SIZE);
      if (pinned) {
        out.push(Content.zeros(gapEnd - at));
        at = gapEnd;
        continue;
      }
      const filled = mapping.fill(page, Math.ceil(gapEnd / PAGE_SIZE));
      if (isErrno(filled)) return out.length === 0 ? filled : Content.concat(out);
      row = filled;
    } else cache.counters.hits += pagesOf(at, Math.min(end, endOfRun(mapping, row)));
    const pieceEnd = Math.min(end, endOfRun(mapping, row));
    const from = (table.first[row] as number) * PAGE_SIZE;
    out.push(part(table.content.get(row) as RunContent, at - from, pieceEnd - from));
    if (!pinned) table.touch(row);
    at = pieceEnd;
    cache.reclaim();
  }
  return Content.concat(out);
}

/** The byte behind a run. */
function endOfRun({ cache: { table } }: MappingRuns, row: number): number {
  return ((table.first[row] as number) + (table.pages[row] as number)) * PAGE_SIZE;
}

/** Writes the dirty pages of a range of bytes back, and of the folios that it touches, run by run in ascending order, those too behind what fails. @returns the first error. */
export function flushRuns(mapping: MappingRuns, start: number, length: number): Errno | undefined {
  let failed: Errno | undefined;
  const { folios } = mapping;
  const { first, end } = pagesAround(mapping, start, length);
  for (let page = first; mapping.dirtyPages > 0; ) {
    const from = firstDirty(mapping, page, end);
    if (from < 0) break;
    const piece = takeDirty(mapping, from, end);
    page = from + piece.length / PAGE_SIZE;
    folios?.track({ first: from, end: page });
    mapping.cache.noteWriteback(mapping, from, piece.length / PAGE_SIZE);
    const wrong = mapping.space.writePages(mapping.inode, from * PAGE_SIZE, piece);
    failed ??= wrong;
  }
  return failed ?? mapping.cache.takeError(mapping);
}

/** Notes that a run is dirty that was not, or that a dirty one begins at a page where none did. */
export function noteDirtyAt(mapping: MappingRuns, page: number): void {
  mapping.dirtyFrom = Math.min(mapping.dirtyFrom, page);
  mapping.dirtyPlaces = mapping.dirtyPlaces?.with(page);
}

/** Whether a page that a range of bytes touches is dirty, or another one of its folio. */
export function reachesDirty(mapping: MappingRuns, start: number, length: number): boolean {
  const { first, end } = pagesAround(mapping, start, length);
  return hasDirty(mapping, first, end);
}

/** Whether a page of [page, end) is dirty. */
function hasDirty(mapping: MappingRuns, page: number, end: number): boolean {
  return mapping.dirtyPages > 0 && firstDirty(mapping, page, end) >= 0;
}

/** The pages that a range of bytes touches, with those of the folios that it touches. */
function pagesAround({ folios }: MappingRuns, start: number, length: number): PageRange {
  const asked = pagesOfRange({ start, stop: start + length });
  return folios?.around(asked) ?? asked;
}

/** Cuts bytes out of a mapping's folios (LargeFolios.cut). */
export function cutFolios(mapping: MappingRuns, folios: LargeFolios, range: { start: number; stop: number }): FoliosCut {
  const size = mapping.space.ahead?.size(mapping.inode) ?? Number.POSITIVE_INFINITY;
  return folios.cut(range, (first, end) => hasDirty(mapping, first, end), Math.ceil(size / PAGE_SIZE));
}

/** The runs that nothing keeps in memory: their pages are clean, and no other page of their folios is dirty. The folios are forgotten. */
export function droppableRuns(mapping: MappingRuns): number[] {
  const { folios } = mapping;
  const { table } = mapping.cache;
  const held = folios === undefined ? [] : heldByDirty(mapping, folios);
  const found: number[] = [];
  let at = 0;
  for (let row = mapping.above(-1); row !== 0; row = mapping.above(table.first[row] as number)) {
    const first = table.first[row] as number;
    while (at < held.length && (held[at] as PageRange).end <= first) at += 1;
    if (table.dirty[row] === 1 || first >= (held[at]?.first ?? Number.POSITIVE_INFINITY)) continue;
    folios?.forget({ first, end: first + (table.pages[row] as number) });
    found.push(row);
  }
  return found;
}

/** The pages, in order, of folios with a dirty one: runs begin and end where they do. */
function heldByDirty(mapping: MappingRuns, folios: LargeFolios): PageRange[] {
  const held: PageRange[] = [];
  for (let page = 0; mapping.dirtyPages > 0; ) {
    const dirty = firstDirty(mapping, page, Number.POSITIVE_INFINITY);
    if (dirty < 0) break;
    const range = folios.around({ first: dirty, end: dirty + 1 });
    mapping.cut(range.first);
    mapping.cut(range.end);
    held.push(range);
    page = range.end;
  }
  return held;
}

/** The first dirty page from `page` on and before `end`, or -1. */
function firstDirty(mapping: MappingRuns, page: number, end: number): number {
  const { table } = mapping.cache;
  if (mapping.dirtyPlaces !== undefined) return firstNoted(mapping, mapping.dirtyPlaces, { page, end });
  const from = Math.max(page, mapping.dirtyFrom);
  let found = end;
  for (let row = mapping.covering(from) || mapping.above(from); row !== 0; row = mapping.above(table.first[row] as number)) {
    const first = table.first[row] as number;
    if (first < end && table.dirty[row] === 0) continue;
    found = Math.min(end, Math.max(first, from));
    break;
  }
  if (page <= mapping.dirtyFrom) mapping.dirtyFrom = Math.min(NONE_BEFORE, Math.max(mapping.dirtyFrom, found));
  return found === end ? -1 : found;
}

/** As `firstDirty`, by what was noted: O(log places), amortised over the writes that made them. A place may be clean again, or gone. */
function firstNoted(
  mapping: MappingRuns,
  places: DirtyPlaces,
  { page, end }: { readonly page: number; readonly end: number },
): number {
  const { table } = mapping.cache;
  if (page < end && table.dirty[mapping.covering(page)] === 1) return page;
  for (let index = places.behind(page); ; index++) {
    const place = places.at(index);
    if (place === undefined || place >= end) return -1;
    const row = mapping.covering(place);
    if (table.first[row] === place && table.dirty[row] === 1) return place;
  }
}

/** Takes the dirty pages that follow each other from `page` on: they are clean now. @returns their content. */
function takeDirty(mapping: MappingRuns, page: number, end: number): Content {
  const { table } = mapping.cache;
  mapping.cut(page);
  if (end !== Number.POSITIVE_INFINITY) mapping.cut(end);
  const out: Content[] = [];
  let next = page;
  for (let row = mapping.covering(page); row !== 0 && next < end; row = mapping.above(table.first[row] as number)) {
    const pages = table.pages[row] as number;
    if (table.first[row] !== next || table.dirty[row] === 0) break;
    out.push(part(table.content.get(row) as RunContent, 0, pages * PAGE_SIZE));
    table.dirty[row] = 0;
    mapping.dirtied(-pages);
    next += pages;
  }
  return Content.concat(out);
}

/** Throws an InvariantError when runs overlap or counts are wrong. */
export function checkRuns(mapping: MappingRuns): void {
  const { table } = mapping.cache;
  const label = `${mapping.space.label}:${mapping.inode}`;
  let cached = 0;
  let dirty = 0;
  let end = 0;
  const fail = (row: number, wrong: string): never => {
    throw new InvariantError(`run ${row} of ${label} ${wrong}`);
  };
  for (let row = mapping.above(-1); row !== 0; row = mapping.above(table.first[row] as number)) {
    const pages = table.pages[row] as number;
    const content = table.content.get(row) as RunContent;
    if ((table.first[row] as number) < end || pages <= 0) fail(row, "overlaps the one before it");
    if (table.owner.get(row) !== mapping) fail(row, "belongs to another mapping");
    const length = content instanceof PageBuffer ? content.used : content.length;
    if (pages === 1 ? length > PAGE_SIZE : length !== pages * PAGE_SIZE) fail(row, "has not the bytes of its pages");
    end = (table.first[row] as number) + pages;
    cached += pages;
    if (table.dirty[row] === 0) continue;
    dirty += pages;
    if (end <= mapping.dirtyFrom) fail(row, `is dirty before page ${mapping.dirtyFrom}`);
    const first = table.first[row] as number;
    const { dirtyPlaces } = mapping;
    if (dirtyPlaces !== undefined && dirtyPlaces.at(dirtyPlaces.behind(first - 1)) !== first)
      fail(row, "is dirty, which nobody has noted");
  }
  assert(cached === mapping.cachedPages, `${label} counts ${mapping.cachedPages} of ${cached} cached pages`);
  assert(dirty === mapping.dirtyPages, `${label} counts ${mapping.dirtyPages} of ${dirty} dirty pages`);
}
