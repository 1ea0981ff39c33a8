/** Folios of several pages, and what hangs on them (mm/filemap.c, mm/truncate.c; Linux 6.18). What a whole xfs makes of them: test/data/file-space.json. */
import { expect, test } from "vitest";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EventStream } from "../../sim/core/events.ts";
import type { AddressSpace } from "../../sim/vfs/address-space.ts";
import { inodeHandle } from "../../sim/vfs/filesystem.ts";
import { LargeFolios } from "../../sim/vfs/large-folios.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";

const PAGE = 4096;

/** The folios that hold pages [0, end), as texts such as "4-7". */
function told(folios: LargeFolios, end: number): string {
  const found: string[] = [];
  for (let page = 0; page < end; ) {
    const held = folios.holding(page) ?? { first: page, end: page + 1 };
    found.push(held.end - held.first === 1 ? `${held.first}` : `${held.first}-${held.end - 1}`);
    page = held.end;
  }
  return found.join(" ");
}

function written(start: number, length: number, borders: readonly number[] = [], cached: readonly number[] = []): LargeFolios {
  const folios = new LargeFolios();
  const isFree = (first: number, end: number): boolean => cached.every((page) => page < first || page >= end);
  folios.write({ start, stop: start + length }, isFree, borders);
  return folios;
}

test("a write brings folios as large as their place and what is left of it allow, of 2 MiB at most", () => {
  expect(told(written(0, 1_000_000), 245)).toBe("0-127 128-191 192-223 224-239 240-243 244");
  expect(told(written(4 * PAGE, 9 * PAGE), 13)).toBe("0 1 2 3 4-7 8-11 12");
  expect(told(written(0, 1100 * PAGE), 1100)).toBe("0-511 512-1023 1024-1087 1088-1095 1096-1099");
});

test("what a write begins within of a page counts for the folio, what it does not reach does not", () => {
  expect(told(written(4095, 2 * PAGE), 3)).toBe("0-1 2");
  expect(told(written(0, 2 * PAGE - 1), 2)).toBe("0 1");
});

test("no folio comes over a page that is cached, or over the end of a mapping of blocks", () => {
  expect(told(written(0, 16 * PAGE, [], [5]), 16)).toBe("0-3 4 5 6-7 8-15");
  expect(told(written(0, 16 * PAGE, [6]), 16)).toBe("0-3 4-5 6-7 8-15");
});

test("a folio that is cut is halved until the page at the cut is alone", () => {
  const folios = written(0, 16 * PAGE);
  expect(folios.cut({ start: 5 * PAGE + 1, stop: 11 * PAGE }, () => true, 16)).toEqual({ kept: [], gone: [] });
  expect(told(folios, 16)).toBe("0-3 4 5 6 7 8 9 10 11 12-15");
});

test("of a dirty folio that was written in part all stays when it is cut, whole ones beside it go", () => {
  const folios = written(0, 32 * PAGE);
  folios.write({ start: 5 * PAGE, stop: 5 * PAGE + 1 }, () => false);
  expect(folios.cut({ start: 9 * PAGE, stop: Number.POSITIVE_INFINITY }, () => true, 32)).toEqual({
    kept: [{ first: 9, end: 32 }],
    gone: [],
  });
  expect(told(folios, 32)).toBe("0-31");
  expect(folios.cut({ start: 9 * PAGE, stop: Number.POSITIVE_INFINITY }, () => false, 32)).toEqual({ kept: [], gone: [] });
  expect(told(folios, 9)).toBe("0-7 8");
});

test("of a folio that is split no part stays that begins behind the file's end", () => {
  const folios = written(0, 16 * PAGE);
  expect(folios.cut({ start: 0, stop: PAGE }, () => true, 3)).toEqual({ kept: [], gone: [{ first: 4, end: 16 }] });
  expect(told(folios, 4)).toBe("0 1 2-3");
});

function setUp(): { readonly cache: PageCache; readonly writes: number[][]; readonly mapping: ReturnType<PageCache["mapping"]> } {
  const clock = new Clock();
  const cache = new PageCache(clock, new EventStream(() => clock.now), { memoryPages: 1000 });
  const writes: number[][] = [];
  const space: AddressSpace = {
    label: "store",
    writesFolios: true,
    readPages: (_inode, _start, length) => Content.zeros(length),
    writePages: (_inode, start, content) => {
      writes.push([start / PAGE, content.length / PAGE]);
      return undefined;
    },
  };
  return { cache, writes, mapping: cache.mapping(space, inodeHandle(1)) };
}

test("whoever writes one page back writes what is dirty of its folio, and nothing that is clean", () => {
  const { mapping, writes, cache } = setUp();
  mapping.write(0, Content.pattern(1, 10 * PAGE), 0);
  mapping.flush(3 * PAGE, 1);
  expect(writes).toEqual([[0, 8]]);
  mapping.write(PAGE, Content.text("a"), 10 * PAGE);
  mapping.write(6 * PAGE, Content.text("b"), 10 * PAGE);
  mapping.flush(3 * PAGE, 1);
  expect(writes.slice(1)).toEqual([
    [1, 1],
    [6, 1],
  ]);
  expect(mapping.dirtyPages).toBe(2);
  cache.check();
});

test("pages that stay with their folio are cached, zeros and clean", () => {
  const { mapping, cache } = setUp();
  mapping.write(0, Content.pattern(1, 8 * PAGE), 0);
  mapping.write(100, Content.text("a"), 8 * PAGE);
  mapping.truncate(2 * PAGE);
  cache.check();
  expect(mapping.cachedPages).toBe(8);
  expect(mapping.dirtyPages).toBe(2);
  expect(mapping.read(2 * PAGE, 6 * PAGE)).toEqual(Content.zeros(6 * PAGE));
  expect(mapping.reachesDirty(7 * PAGE, 1)).toBe(true);
});

test("clean pages are dropped, but not those of a folio with a dirty one", () => {
  const { mapping, cache } = setUp();
  mapping.write(0, Content.pattern(1, 16 * PAGE + PAGE), 0);
  mapping.flush();
  mapping.write(9 * PAGE, Content.text("a"), 17 * PAGE);
  mapping.drop();
  cache.check();
  expect(mapping.cachedPages).toBe(16);
  mapping.flush();
  mapping.drop();
  expect(mapping.cachedPages).toBe(0);
});
