/** What a store into a shared mapping changes beside the bytes (mm/memory.c, do_shared_fault, page_mkwrite; asked of Linux 6.18). */
import { expect, test } from "vitest";
import { compareTimes } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB, milliseconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_CREAT, O_DIRECT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { must } from "../drivers/docker-host.ts";

test.each([
  ["ext4", true],
  ["xfs", true],
  ["btrfs", true],
  ["tmpfs", false],
])("on %s it takes no set-id bit away and is not held to O_DIRECT; sets times: %j", (type, stamps) => {
  const host = createHost({ seed: 1 });
  const { task } = host;
  must(task.mkdir("/m", 0o755));
  if (type === "tmpfs") must(host.mount({ type, source: type, target: "/m" }));
  else {
    const disk = host.addDisk({ size: MIB(512) });
    expect(host.mkfs(type, disk.name)).toBeUndefined();
    must(host.mount({ type, source: disk.name, target: "/m" }));
  }
  must(task.chmod("/m", 0o777));
  const user = task.withCredentials(credentialsOf(1000, 1000));
  const fd = must(user.open("/m/f", O_CREAT | O_RDWR | O_DIRECT, 0o644));
  must(user.ftruncate(fd, 4096));
  must(user.chmod("/m/f", 0o6755));
  const { mtime } = must(task.stat("/m/f"));
  host.clock.advance(milliseconds(8));
  must(user.mmap(fd, "rw", "shared"));
  const after = must(task.stat("/m/f"));
  expect(after.mode & 0o7777).toBe(0o6755);
  expect(compareTimes(after.mtime, mtime) > 0).toBe(stamps);
  must(user.pwrite(fd, Content.zeros(4096), 0));
  expect(must(task.stat("/m/f")).mode & 0o7777).toBe(0o755);
});
