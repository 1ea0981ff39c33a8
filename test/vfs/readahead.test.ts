/** What Linux 6.18 reads ahead (test/data/readahead.json, which test/kernel/readahead.py records), and what it means for a container's files. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_CREAT, O_DIRECT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../../src/testing/expect.ts";
import { runs } from "../runs.ts";
import { ourReads, type ReadCase } from "./readahead.ts";

const RECORDED = JSON.parse(readFileSync(new URL("../data/readahead.json", import.meta.url), "utf8")) as ReadCase[];
const CASES = RECORDED.map((one, index) => [index, one.fs, one] as const);

test.each(CASES)("script %i, on %s: after each step the pages are in memory that Linux has there", (_index, _fs, one) => {
  expect(ourReads(one)).toEqual(one.resident);
});

/** An overlay on an ext4 whose disk reads 128 KiB ahead; its lower layer has a file of 1 MiB, of which nothing is in memory. */
function overlay(memory = MIB(64)): Host {
  const host = createHost({ memory, readahead: { window: KIB(128) } });
  const { task } = host;
  for (const path of ["/f", "/m"]) must(task.mkdir(path));
  must(host.mkfs("ext4", host.addDisk({ size: MIB(256) }).name));
  must(host.mount({ type: "ext4", source: "vda", target: "/f" }) as undefined);
  for (const path of ["/f/l", "/f/u", "/f/w"]) must(task.mkdir(path));
  const fd = must(task.open("/f/l/file", O_RDWR | O_CREAT, 0o644));
  must(task.write(fd, Content.pattern(1, MIB(1))));
  must(task.close(fd));
  const options = "lowerdir=/f/l,upperdir=/f/u,workdir=/f/w";
  must(host.mount({ type: "overlay", source: "o", target: "/m", options }) as undefined);
  must(task.dropPages("/f/l/file"));
  return host;
}

test("a file of a lower layer is read ahead under the lower inode, for all that read it", () => {
  const { task, cache } = overlay();
  must(task.pread(must(task.open("/m/file", O_RDONLY, 0)), 1, 0));
  expect([task.cachedPages("/m/file"), task.cachedPages("/f/l/file"), cache.readahead === undefined]).toEqual([4, 4, false]);
});

test("a copy-up reads its file once, and the reader of the copy begins anew", () => {
  const host = overlay();
  const { task } = host;
  const fd = must(task.open("/m/file", O_RDWR, 0));
  must(task.dropPages("/m/file"));
  must(task.pread(fd, 1, 0));
  expect([task.cachedPages("/f/l/file"), task.cachedPages("/f/u/file")]).toEqual([256, 4]);
  host.cache.check();
});

test("what was asked for counts as missed, what came with it as read", () => {
  const { task, cache } = overlay();
  const before = { ...cache.counters };
  const fd = must(task.open("/m/file", O_RDONLY, 0));
  for (const page of [0, 1]) must(task.pread(fd, 4096, page * 4096));
  const { misses, hits, pagesRead } = cache.counters;
  expect([misses - before.misses, hits - before.hits, pagesRead - before.pagesRead]).toEqual([1, 1, 12]);
});

test("direct reads read nothing ahead", () => {
  const { task } = overlay();
  must(task.pread(must(task.open("/f/l/file", O_RDONLY | O_DIRECT, 0)), 4096, 0));
  expect(task.cachedPages("/f/l/file")).toBeLessThanOrEqual(1);
});

test("where memory is smaller than a window the read itself still has its pages", () => {
  const host = overlay(KIB(128));
  const { task } = host;
  const fd = must(task.open("/m/file", O_RDONLY, 0));
  for (let at = 0; at < MIB(1); at += 40_000) {
    const found = must(task.pread(fd, 40_000, at));
    expect(found.equals(Content.pattern(1, MIB(1)).slice(at, Math.min(at + 40_000, MIB(1))))).toBe(true);
    host.cache.check();
  }
});

const FILE = 300_000;
const at = fc.nat({ max: FILE });
const length = fc.constantFrom(1, 100, 4096, 5000, 40_000, 100_000);
const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("read"), reader: fc.nat({ max: 1 }), at, length }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("write", "punch"), reader: fc.constant(0), at, length }) },
  fc.record({
    do: fc.constantFrom("drop", "map", "random", "sequential", "willneed", "cut"),
    reader: fc.nat({ max: 1 }),
    at,
    length,
  }),
);

test("whatever is read ahead, and however little memory there is, a read gives the file's bytes", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), fc.constantFrom(4, 16, 60, 1000), (acts, pages) => {
      const host = overlay(KIB(4 * pages));
      const { task } = host;
      const fds = [0, 1].map(() => must(task.open("/m/file", O_RDWR, 0)));
      must(task.ftruncate(fds[0] as number, FILE));
      let known: Uint8Array = Content.pattern(1, FILE).toBytes();
      for (const [n, one] of acts.entries()) {
        const fd = fds[one.reader] as number;
        if (one.do === "read") {
          const found = must(task.pread(fd, one.length, one.at)).toBytes();
          expect(Buffer.from(found).equals(known.subarray(one.at, one.at + one.length)), `act ${n}`).toBe(true);
        } else if (one.do === "write") {
          must(task.pwrite(fd, Content.pattern(n, one.length), one.at));
          const longer = new Uint8Array(Math.max(known.length, one.at + one.length));
          longer.set(known);
          longer.set(Content.pattern(n, one.length).toBytes(), one.at);
          known = longer;
        } else if (one.do === "punch") {
          must(task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, one.at, one.length));
          known.fill(0, one.at, one.at + one.length);
        } else if (one.do === "drop") must(task.dropPages("/m/file"));
        else if (one.do === "map") must(task.mmap(fd, "r", "shared"));
        else if (one.do === "cut") {
          must(task.ftruncate(fd, one.at));
          known =
            one.at <= known.length
              ? known.slice(0, one.at)
              : Uint8Array.from([...known, ...new Uint8Array(one.at - known.length)]);
        } else must(task.fadvise(fd, one.do as "random", one.at, one.length));
        host.cache.check();
      }
    }),
    runs(40),
  );
});
