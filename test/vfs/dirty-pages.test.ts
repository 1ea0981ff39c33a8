/** What a flush goes through: not what is clean before the first dirty page, nor between two. */
import { expect, test, vi } from "vitest";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { Random } from "../../sim/core/random.ts";
import { createHost } from "../../sim/host.ts";
import type { AddressSpace } from "../../sim/vfs/address-space.ts";
import { inodeHandle, O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { CachedMapping } from "../../sim/vfs/mapping.ts";
import { PageCache } from "../../sim/vfs/page-cache.ts";

const PAGE = 4096;
const PAGES = 600;

test.each(["ext4", "xfs"])(
  "on %s an fsync after each of many scattered writes passes a few runs of pages, however many are cached",
  (type) => {
    const host = createHost();
    host.addDisk({ name: "vda", size: 2 ** 30 });
    host.mkfs(type, "vda");
    host.task.mkdir("/m", 0o755);
    expect(host.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
    const { task } = host;
    const fd = task.open("/m/f", O_CREAT | O_RDWR, 0o644);
    if (isErrno(fd)) throw new Error(fd.code);
    const passed = vi.spyOn(CachedMapping.prototype, "above");
    for (let page = 0; page < PAGES; page++) {
      task.pwrite(fd, Content.pattern(page + 1, PAGE), page * 2 * PAGE);
      task.fsync(fd);
    }
    // A write behind all others, one in front of them, and again one behind: each is the only dirty page.
    task.pwrite(fd, Content.pattern(7, PAGE), 0);
    expect(task.fsync(fd)).toBeUndefined();
    task.pwrite(fd, Content.pattern(8, PAGE), (2 * PAGES - 2) * PAGE);
    expect(task.fsync(fd)).toBeUndefined();
    expect(passed.mock.calls.length).toBeLessThan(PAGES * 20);
    // Two dirty pages, with all that is cached between them.
    passed.mockClear();
    for (let round = 0; round < 20; round++) {
      task.pwrite(fd, Content.pattern(7, PAGE), 0);
      task.pwrite(fd, Content.pattern(8, PAGE), (2 * PAGES - 2) * PAGE);
      expect(task.fsync(fd)).toBeUndefined();
    }
    expect(passed.mock.calls.length).toBeLessThan(20 * 20);
    passed.mockRestore();
    host.cache.check();
    const read = (page: number): unknown => {
      task.dropPages("/m/f");
      const found = task.pread(fd, PAGE, page * PAGE);
      return isErrno(found) ? found.code : found.equals(Content.pattern(page === 0 ? 7 : 8, PAGE));
    };
    expect([read(0), read(2 * PAGES - 2)]).toEqual([true, true]);
  },
);

test("flushes of any range write what is dirty in it, once and in order, whatever was written, cut off and written back before", () => {
  const clock = new Clock();
  const cache = new PageCache(clock, new EventStream(() => clock.now));
  const written: number[] = [];
  const store: AddressSpace = {
    label: "store",
    readPages: (_inode, _start, length) => Content.zeros(length),
    writePages: (_inode, start, content) => {
      for (let at = 0; at < content.length; at += PAGE) written.push((start + at) / PAGE);
      return undefined;
    },
  };
  const mapping = cache.mapping(store, inodeHandle(1));
  const random = new Random(21);
  const dirty = new Set<number>();
  const within = (from: number, to: number): number[] =>
    [...dirty].filter((page) => page >= from && page < to).sort((one, other) => one - other);
  for (let step = 0; step < 600; step++) {
    const from = random.below(4000);
    const to = from + 1 + random.below(random.pick([2, 20, 4000]));
    // Now and then more places are dirty than are noted.
    for (let n = step % 100 === 50 ? 1500 : random.below(4); n > 0; n--) {
      const at = random.below(4000);
      const pages = random.pick([1, 1, 5]);
      mapping.write(at * PAGE, Content.pattern(step, pages * PAGE), 0);
      for (let page = at; page < at + pages; page++) dirty.add(page);
    }
    if (random.below(3) === 0) {
      mapping.punch(from * PAGE, (to - from) * PAGE);
      for (const page of within(from, to)) dirty.delete(page);
    } else {
      const expected = within(from, to);
      written.length = 0;
      expect(mapping.flush(from * PAGE, (to - from) * PAGE)).toBeUndefined();
      expect(written).toEqual(expected);
      for (const page of expected) dirty.delete(page);
    }
    if (step % 20 === 0) mapping.flush();
    if (step % 20 === 0) dirty.clear();
    cache.check();
  }
});
