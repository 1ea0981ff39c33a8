/** FIDEDUPERANGE on btrfs: bytes that are equal are kept once, across subvolumes and in read-only snapshots too (fs/remap_range.c, fs/btrfs/reflink.c). */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, ENOTSUP, EPERM, EROFS, EXDEV } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const LENGTH = MIB(1) + 5;

function lab(): BtrfsLab {
  const made = new BtrfsLab();
  must(made.subvolume("/m/a"));
  must(made.subvolume("/m/b"));
  for (const path of ["/m/a/f", "/m/b/f"]) must(made.write(path, Content.pattern(1, LENGTH)));
  must(made.write("/m/b/other", Content.pattern(2, LENGTH)));
  return made;
}

function dedupe(task: Task, from: string, to: string, range = { from: 0, to: 0, length: LENGTH as number }, flags = O_RDONLY) {
  const source = must(task.open(from, O_RDONLY));
  const target = must(task.open(to, flags));
  const done = task.dedupe({ fd: source, offset: range.from }, { fd: target, offset: range.to }, range.length);
  task.close(source);
  task.close(target);
  return done;
}

test("equal files of two subvolumes take the space of one, and keep their times", () => {
  const on = lab();
  const { task } = on.host;
  const before = on.settle();
  on.host.clock.advance(5_000_000_000 as never);
  const then = must(task.stat("/m/b/f")).mtime;
  expect(dedupe(task, "/m/a/f", "/m/b/f")).toBe(LENGTH);
  on.fs.check();
  const after = on.settle();
  expect(before.data - after.data).toBe(MIB(1) + 4096);
  expect(must(task.stat("/m/b/f")).mtime).toEqual(then);
  expect(on.read("/m/b/f")).toBe(on.read("/m/a/f"));
  on.fs.check();
});

test("ranges that differ stay apart", () => {
  const on = lab();
  const { data } = on.settle();
  expect(dedupe(on.host.task, "/m/a/f", "/m/b/other")).toBeUndefined();
  expect(on.settle().data).toBe(data);
});

test("a read-only snapshot's files may be shared though they may not be written", () => {
  const on = lab();
  must(on.snapshot("/m/b", "/m/ro", true));
  expect(on.write("/m/ro/f", "x")).toBe(EROFS);
  expect(dedupe(on.host.task, "/m/a/f", "/m/ro/f")).toBe(LENGTH);
  on.fs.check();
});

test("whole blocks are shared, an end that is not aligned only with the other's", () => {
  const on = lab();
  const { task } = on.host;
  expect(dedupe(task, "/m/a/f", "/m/b/f", { from: 1, to: 0, length: 4096 })).toBe(EINVAL);
  expect(dedupe(task, "/m/a/f", "/m/b/f", { from: 0, to: 0, length: 5000 })).toBe(5000);
  expect(dedupe(task, "/m/a/f", "/m/b/f", { from: 0, to: 0, length: LENGTH + 1 })).toBe(EINVAL);
  expect(dedupe(task, "/m/a/f", "/m/a/f", { from: 0, to: 4096, length: 8192 })).toBe(EINVAL);
  on.fs.check();
});

test("who may not write the target may not have it share, and other filesystems cannot", () => {
  const on = lab();
  const somebody = on.host.task.withCredentials(credentialsOf(1000, 1000));
  expect(dedupe(somebody, "/m/a/f", "/m/b/f")).toBe(EPERM);
  must(on.host.task.mkdir("/t", 0o755));
  must(on.write("/t/f", Content.pattern(1, LENGTH)));
  expect(dedupe(on.host.task, "/t/f", "/m/b/f", undefined, O_RDWR)).toBe(ENOTSUP);
  expect(dedupe(on.host.task, "/m/a/f", "/t/f", undefined, O_RDWR)).toBe(EXDEV);
});
