/**
 * A tmpfs file's pages in memory: which are there, which are holes.
 */
import { Content } from "../core/content.ts";
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

/** Gives the holes of a range pages of zeros. */
export function fillGaps(pages: CachedMapping, offset: number, length: number): void {
  const end = Math.ceil((offset + length) / PAGE_SIZE);
  for (let page = Math.floor(offset / PAGE_SIZE); page < end; ) {
    const cached = pages.endOfRun(page);
    const gapEnd = cached > page ? cached : Math.min(end, pages.nextCached(page));
    if (cached <= page) pages.write(page * PAGE_SIZE, Content.zeros((gapEnd - page) * PAGE_SIZE), 0);
    page = gapEnd;
  }
}

/** Where data begins at or behind an offset; infinity when there is none. */
export function dataFrom(pages: CachedMapping | undefined, offset: number): number {
  if (pages === undefined) return Number.POSITIVE_INFINITY;
  const page = Math.floor(offset / PAGE_SIZE);
  return pages.endOfRun(page) > page ? offset : pages.nextCached(page) * PAGE_SIZE;
}

/** Where a hole begins at or behind an offset. */
export function holeFrom(pages: CachedMapping | undefined, offset: number): number {
  if (pages === undefined) return offset;
  const first = Math.floor(offset / PAGE_SIZE);
  let page = first;
  for (let cached = pages.endOfRun(page); cached > page; cached = pages.endOfRun(page)) page = cached;
  return page === first ? offset : page * PAGE_SIZE;
}
