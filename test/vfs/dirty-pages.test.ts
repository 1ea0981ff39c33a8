/** What a flush goes through: not what is clean before the first dirty page. */
import { expect, test, vi } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { CachedMapping } from "../../sim/vfs/mapping.ts";

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
