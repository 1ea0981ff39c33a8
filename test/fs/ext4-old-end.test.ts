/**
 * What ext4 does to the block that a file's end cuts when the file becomes longer (fs/ext4/inode.c, c7fc0366c656), by the sectors that Linux 6.18 writes for
 * each step up to the end of a syncfs.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { kernelProfile } from "../../sim/core/kernel-profile.ts";
import { GIB, nanoseconds } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must } from "./disk-helpers.ts";

/** Sectors that a step writes to the disk, where a file of 5,000 bytes is. */
function sectorsOf(kernel: string, step: (task: Task, fd: number) => void): number {
  const profile = kernelProfile(kernel);
  const host = createHost(profile === undefined ? {} : { kernel: profile });
  const disk = host.addDisk({ size: GIB(2) });
  must(host.mkfs("ext4", "vda"));
  must(host.task.mkdir("/m", 0o755));
  must(host.mount({ type: "ext4", source: "vda", target: "/m" }));
  const { fs } = must(host.task.resolve("/m")).mount;
  const fd = must(host.task.open("/m/f", O_RDWR | O_CREAT, 0o644));
  must(host.task.pwrite(fd, Content.pattern(1, 5000), 0));
  for (let n = 0; n < 3; n++) {
    host.clock.advance(nanoseconds(1e8));
    must(fs.sync());
  }
  const before = disk.counters.writtenBytes;
  step(host.task, fd);
  must(fs.sync());
  host.check();
  return (disk.counters.writtenBytes - before) / 512;
}

const STEPS: readonly (readonly [what: string, now: number, before: number, step: (task: Task, fd: number) => void])[] = [
  ["a truncate to more", 40, 32, (task, fd) => must(task.ftruncate(fd, 1_048_576))],
  ["a write far behind the end", 80, 72, (task, fd) => must(task.pwrite(fd, Content.pattern(2, 100), 1_048_576))],
  ["fallocate behind the end", 72, 64, (task, fd) => must(task.fallocate(fd, 0, 40_960, 4096))],
  ["fallocate that keeps the size", 64, 64, (task, fd) => must(task.fallocate(fd, FALLOC_FL_KEEP_SIZE, 40_960, 4096))],
  ["a write right at the end", 40, 40, (task, fd) => must(task.pwrite(fd, Content.pattern(3, 100), 5000))],
];

describe.each(STEPS)("%s", (_what, now, before, step) => {
  test("writes as many sectors as Linux 6.18", () => expect(sectorsOf("6.18", step)).toBe(now));
  test("leaves the block alone before Linux 6.13", () => expect(sectorsOf("6.12", step)).toBe(before));
});
