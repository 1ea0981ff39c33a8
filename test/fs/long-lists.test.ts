/** Files of thousands of extents, on the filesystems whose trees divide them among blocks. */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { createHost } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";

const BLOCK = 4096;
const EXTENTS = 3000;

for (const type of ["ext4", "xfs"] as const)
  test(`${type} finds each of thousands of extents again, which came in any order and were synced meanwhile`, () => {
    const host = createHost();
    host.addDisk({ size: 2 ** 30 });
    const { task } = host;
    expect([host.mkfs(type, "vda"), task.mkdir("/m", 0o755)].some(isErrno)).toBe(false);
    expect(host.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
    let fd = task.open("/m/f", O_CREAT | O_RDWR) as number;
    for (let made = 0; made < EXTENTS; made++) {
      // 1013 and the count have no divisor in common: each place comes once.
      const place = (made * 1013) % EXTENTS;
      expect(task.pwrite(fd, Content.pattern(place, BLOCK), place * 2 * BLOCK)).toBe(BLOCK);
      if (made % 50 === 49) expect(task.fsync(fd)).toBeUndefined();
    }
    expect([task.close(fd), host.unmount("/m"), host.mount({ type, source: "vda", target: "/m" })].some(isErrno)).toBe(false);
    const { fs } = (task.resolve("/m") as { mount: { fs: { check(): void } } }).mount;
    fs.check();
    fd = task.open("/m/f", O_RDWR) as number;
    for (let place = 0; place < EXTENTS; place++) {
      const read = task.pread(fd, BLOCK, place * 2 * BLOCK) as Content;
      expect(Content.pattern(place, BLOCK).equals(read), `block ${place * 2}`).toBe(true);
    }
  });
