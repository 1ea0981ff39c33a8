/**
 * A tmpfs file's pages in memory: which are there, which are holes.
 */
import { Content } from "../core/content.ts";
import type { IntervalMap } from "../core/intervals.ts";
import { PAGE_SIZE } from "../vfs/address-space.ts";
import type { CachedMapping } from "../vfs/mapping.ts";

/** How many bytes of a range find a page, when only so many are free. */
export function bytesThatFit(pages: CachedMapping, range: { offset: number; length: number; freePages: number }): number {
  const { offset, length } = range;
  let free = range.freePages;
  const end = Math.ceil((offset + length) / PAGE_SIZE);
  let page = Math.floor(offset / PAGE_SIZE);
  while (page < end) {
    const cached = pages.endOfRun(page);
    if (cached > page) {
      page = cached;
      continue;
    }
    const gap = Math.min(end, pages.nextCached(page)) - page;
    if (gap > free) return Math.min(length, (page + free) * PAGE_SIZE - offset);
    free -= gap;
    page += gap;
  }
  return length;
}

/** Gives the holes of a range pages of zeros. @param filled - hears of each, from one page up to another. */
export function fillGaps(
  pages: CachedMapping,
  { offset, length }: { readonly offset: number; readonly length: number },
  filled: (page: number, end: number) => void,
): void {
  const end = Math.ceil((offset + length) / PAGE_SIZE);
  for (let page = Math.floor(offset / PAGE_SIZE); page < end; ) {
    const cached = pages.endOfRun(page);
    const gapEnd = cached > page ? cached : Math.min(end, pages.nextCached(page));
    if (cached <= page) {
      pages.write(page * PAGE_SIZE, Content.zeros((gapEnd - page) * PAGE_SIZE), 0);
      filled(page, gapEnd);
    }
    page = gapEnd;
  }
}

/** Pages of a file that fallocate gave and nobody has written. */
export type UnwrittenPages = IntervalMap<true>;

/** Where data begins at or behind an offset; infinity when there is none. What nobody has written is a hole (mapping_seek_hole_data). */
export function dataFrom(pages: CachedMapping | undefined, offset: number, unwritten?: UnwrittenPages): number {
  if (pages === undefined) return Number.POSITIVE_INFINITY;
  for (let at = offset; ; ) {
    const page = Math.floor(at / PAGE_SIZE);
    const found = pages.endOfRun(page) > page ? at : pages.nextCached(page) * PAGE_SIZE;
    const skipped = Number.isFinite(found) ? unwritten?.find(Math.floor(found / PAGE_SIZE)) : undefined;
    if (skipped === undefined) return found;
    at = skipped.end * PAGE_SIZE;
  }
}

/** Where a hole begins at or behind an offset. */
export function holeFrom(pages: CachedMapping | undefined, offset: number, unwritten?: UnwrittenPages): number {
  if (pages === undefined) return offset;
  const first = Math.floor(offset / PAGE_SIZE);
  let page = first;
  for (let cached = pages.endOfRun(page); cached > page; cached = pages.endOfRun(page)) page = cached;
  const hole = page === first ? offset : page * PAGE_SIZE;
  const early = unwritten?.nextCovered(first);
  return early === undefined ? hole : Math.min(hole, Math.max(offset, early * PAGE_SIZE));
}
