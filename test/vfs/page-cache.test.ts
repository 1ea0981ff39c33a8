import fc from "fast-check";
import { expect, test } from "vitest";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { EIO, type Errno, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { GIB, seconds } from "../../sim/core/units.ts";
import type { AddressSpace } from "../../sim/vfs/address-space.ts";
import { inodeHandle } from "../../sim/vfs/filesystem.ts";
import type { CachedMapping } from "../../sim/vfs/mapping.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";
import { runs } from "../runs.ts";

/** A store of one file's bytes that counts what is asked of it. */
class Store implements AddressSpace {
  readonly label = "store";
  bytes: Uint8Array;
  reads = 0;
  writes: number[][] = [];
  failing: Errno | undefined;
  readonly writesFolios: boolean;

  constructor(length: number, writesFolios: boolean) {
    this.bytes = new Uint8Array(length);
    this.writesFolios = writesFolios;
  }
  readPages(_inode: unknown, start: number, length: number): Content {
    this.reads += length / 4096;
    return Content.copyOf(this.bytes, start, start + length);
  }
  writePages(_inode: unknown, start: number, content: Content): Errno | undefined {
    this.writes.push([start / 4096, content.length / 4096]);
    if (this.failing !== undefined) return this.failing;
    content.copyTo(this.bytes, start);
    return undefined;
  }
}

function setUp(
  memoryPages = 1000,
  fileBytes = 64 * 4096,
  writesFolios = false,
): { cache: PageCache; store: Store; mapping: CachedMapping; clock: Clock } {
  const clock = new Clock();
  const cache = new PageCache(clock, new EventStream(() => clock.now), { memoryPages });
  const store = new Store(fileBytes, writesFolios);
  return { cache, store, mapping: cache.mapping(store, inodeHandle(1)), clock };
}

function bytesOf(content: Content | Errno): Uint8Array {
  if (isErrno(content)) throw new Error(content.code);
  return content.toBytes();
}

test("a page is read from the filesystem once and then comes from memory", () => {
  const { mapping, store, cache } = setUp();
  store.bytes.fill(7);
  expect(bytesOf(mapping.read(100, 5000))).toEqual(new Uint8Array(5000).fill(7));
  mapping.read(0, 8192);
  expect(store.reads).toBe(2);
  expect(cache.counters).toMatchObject({ hits: 2, misses: 2, pagesRead: 2 });
});

test("a write of a part of a page reads the page first, but not behind the old end of the file", () => {
  const { mapping, store } = setUp();
  mapping.write(10, Content.text("a"), 4096);
  expect(store.reads).toBe(1);
  mapping.write(4096 + 10, Content.text("b"), 4096);
  expect(store.reads).toBe(1);
});

test("neighbouring dirty pages are written in one piece, in ascending order", () => {
  const { mapping, store } = setUp();
  for (const page of [5, 1, 0, 9]) mapping.write(page * 4096, Content.pattern(page, 4096), 0);
  expect(mapping.flush()).toBeUndefined();
  expect(store.writes).toEqual([
    [0, 2],
    [5, 1],
    [9, 1],
  ]);
});

test("an inode that has been dirty for 30 seconds is written by the flusher, a younger one is not", () => {
  const { mapping, store, clock } = setUp();
  mapping.write(0, Content.text("x"), 0);
  clock.advance(seconds(29));
  expect(store.writes).toEqual([]);
  clock.advance(seconds(6));
  expect(store.writes).toEqual([[0, 1]]);
});

test("pages used longest ago are given up when memory is full", () => {
  const { mapping, cache } = setUp(4);
  for (const page of [0, 1, 2, 3]) mapping.read(page * 4096, 4096);
  mapping.read(0, 1);
  mapping.read(4 * 4096, 4096);
  expect([0, 1, 2, 3, 4].map((page) => mapping.isCached(page))).toEqual([true, false, true, true, true]);
  expect(cache.counters.evicted).toBe(1);
});

test("a write larger than memory goes through it and is counted whole", () => {
  const { mapping, cache, store } = setUp(16, 4096);
  store.writePages = () => undefined;
  mapping.write(0, Content.pattern(1, GIB(1)), 0);
  mapping.flush();
  expect(cache.counters.pagesWritten).toBe(GIB(1) / 4096);
  expect(cache.cachedPages).toBe(16);
  cache.check();
});

test("an error of background writeback is told by the next flush, once", () => {
  const { mapping, store, clock } = setUp();
  store.failing = EIO;
  mapping.write(0, Content.text("x"), 0);
  clock.advance(seconds(40));
  store.failing = undefined;
  expect(mapping.flush()).toBe(EIO);
  expect(mapping.flush()).toBeUndefined();
});

test("bytes that were handed out do not change when the page is written again", () => {
  const { mapping } = setUp();
  mapping.write(0, Content.text("abc"), 0);
  const before = mapping.read(0, 3);
  mapping.write(1, Content.text("X"), 3);
  mapping.write(3, Content.text("d"), 3);
  expect(new TextDecoder().decode(bytesOf(before))).toBe("abc");
  expect(new TextDecoder().decode(bytesOf(mapping.read(0, 4)))).toBe("aXcd");
});

/** Where two arrays of bytes begin to differ, or -1. */
function firstDifference(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return Math.min(one.length, other.length);
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return at;
  return -1;
}

const LIMIT = 24 * 4096;
const range = fc.record({ start: fc.nat(LIMIT - 1), length: fc.oneof(fc.nat(64), fc.nat(3 * 4096), fc.nat(LIMIT)) });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant("write"), at: range, seed: fc.nat(1000), aligned: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constantFrom("read", "truncate", "punch", "flush", "flushRange", "drop", "dropAll"),
      at: range,
      seed: fc.nat(1000),
      aligned: fc.boolean(),
    }),
  },
);

/** What a file's bytes are when a store stands behind the cache that writes every byte through and cuts its own. */
const grounds = [3, 1000].flatMap((memory) => [true, false].map((folios) => ({ memory, folios })));
test.each(grounds)(
  "with memory for $memory pages (large folios: $folios) a file reads as an array of bytes would, whatever is done to it",
  ({ memory, folios }) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { mapping, store, cache } = setUp(memory, LIMIT, folios);
        const model = new Uint8Array(LIMIT);
        for (const { what, at, seed, aligned } of steps) {
          const start = aligned ? at.start - (at.start % 4096) : at.start;
          const length = Math.min(aligned ? at.length - (at.length % 4096) : at.length, LIMIT - start);
          if (what === "write") {
            const content = seed % 3 === 0 ? Content.repeat(Uint8Array.of(seed), length) : Content.pattern(seed, length);
            expect(mapping.write(start, content, LIMIT)).toBeUndefined();
            content.copyTo(model, start);
          } else if (what === "read") {
            expect(firstDifference(bytesOf(mapping.read(start, length)), model.subarray(start, start + length))).toBe(-1);
          } else if (what === "truncate") {
            mapping.truncate(start);
            model.fill(0, start);
            store.bytes.fill(0, start);
          } else if (what === "punch") {
            mapping.punch(start, length);
            model.fill(0, start, start + length);
            store.bytes.fill(0, start, start + length);
          } else if (what === "flush") mapping.flush();
          else if (what === "flushRange") mapping.flush(start, length);
          else if (what === "drop") mapping.drop();
          else cache.dropAll();
          cache.check();
          if (what === "flush") expect(mapping.dirtyPages).toBe(0);
        }
        expect(firstDifference(bytesOf(mapping.read(0, LIMIT)), model)).toBe(-1);
        mapping.flush();
        expect(firstDifference(store.bytes, model)).toBe(-1);
        mapping.discard();
        expect(cache.cachedPages + cache.dirtyPages + cache.table.size).toBe(0);
      }),
      runs(150),
    );
  },
);
