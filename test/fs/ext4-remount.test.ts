/** What an ext4 holds is on its device: mounted again by another host, it shows the same. */
import { expect, test } from "vitest";
import { time } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { deviceNumber, seconds } from "../../sim/core/units.ts";
import { EXTENT_FLAG, INDEX_FLAG } from "../../sim/fs/ext4/inode-words.ts";
import { FALLOC_FL_KEEP_SIZE, O_CREAT, O_RDONLY, O_RDWR, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Ext4Host, everything, ext4Disk, MIB, put, value } from "./ext4-lab.ts";

/** Unmounts and mounts again: the same tree, attributes, statfs; `check` holds before and after. */
function expectSame(host: Ext4Host): Ext4Host {
  host.clock.advance(seconds(1));
  everything(host.task);
  const before = everything(host.task);
  host.check();
  value(host.task.syncfs());
  const space = host.fs.statfs();
  const again = host.remount();
  again.check();
  expect(again.fs.statfs()).toEqual(space);
  expect(everything(again.task)).toEqual(before);
  again.check();
  return again;
}

function open(task: Task, path: string): number {
  return value(task.open(path, O_CREAT | O_RDWR)) as number;
}

test("files with holes, unwritten extents and a cut last block are the same after a mount", () => {
  const host = new Ext4Host(ext4Disk());
  const { task } = host;
  put(task, "/empty", Content.empty);
  put(task, "/small", Content.text("hello"));
  put(task, "/holes", Content.pattern(1, 5000), 40_000);
  put(task, "/holes", Content.pattern(2, 9000), 400_000);
  value(task.truncate("/holes", 1_000_000));
  const fd = open(task, "/unwritten");
  value(task.fallocate(fd, 0, 0, 100_000));
  value(task.fallocate(fd, FALLOC_FL_KEEP_SIZE, 100_000, 300_000));
  value(task.pwrite(fd, Content.pattern(3, 6000), 30_000));
  value(task.close(fd));
  put(task, "/cut", Content.pattern(4, 100_000));
  value(task.truncate("/cut", 50_001));
  value(task.truncate("/cut", 60_000));
  expectSame(host).unmount();
});

test("a file of more than 4 extents, and one of more than 340, grow in place and are the same after a mount", () => {
  const host = new Ext4Host(ext4Disk(64 * MIB));
  const { task } = host;
  for (let n = 0; n < 30; n++) put(task, "/some", Content.pattern(n, 4096), n * 8192);
  for (let n = 0; n < 1000; n++) put(task, "/many", Content.pattern(n, 4096), n * 8192);
  value(task.syncfs());
  const again = expectSame(host);
  // Extents become longer where they lie: the leaf that holds them changes though their number does not.
  for (let n = 0; n < 1000; n += 7) put(again.task, "/many", Content.pattern(n, 4096), n * 8192 + 4096);
  value(again.task.truncate("/some", 8192 * 20 - 6000));
  value(again.task.syncfs());
  for (let n = 0; n < 900; n += 2) {
    const fd = open(again.task, "/many");
    value(again.task.fallocate(fd, 3, n * 8192, 4096));
    value(again.task.close(fd));
  }
  const third = expectSame(again);
  value(third.task.truncate("/many", 3 * 8192));
  expectSame(third).unmount();
});

test("a leaf of the extent tree is written when one of its extents only becomes longer, or shorter", () => {
  const host = new Ext4Host(ext4Disk());
  const { task } = host;
  for (let n = 0; n < 6; n++) put(task, "/file", Content.pattern(n, 8192), (n + 4) * 65_536);
  const end = 9 * 65_536 + 8192;
  value(task.syncfs());
  put(task, "/file", Content.pattern(9, 8192), end);
  const longer = expectSame(host);
  const fd = open(longer.task, "/file");
  value(longer.task.pwrite(fd, Content.pattern(10, 8192), end + 8192));
  value(longer.task.fsync(fd));
  value(longer.task.fallocate(fd, 3, 5 * 65_536, 4096));
  value(longer.task.close(fd));
  const shorter = expectSame(longer);
  value(shorter.task.truncate("/file", end + 4096));
  expectSame(shorter).unmount();
});

test("attributes lie in the inode and in a block, and are the same after a mount", () => {
  const host = new Ext4Host(ext4Disk());
  const { task } = host;
  for (const name of ["file", "both", "gone"]) {
    put(task, `/${name}`, Content.text(name));
    value(task.setxattr(`/${name}`, "user.short", new Uint8Array([1, 2, 3])));
  }
  value(task.setxattr("/both", "user.long", new Uint8Array(3000).fill(7)));
  value(task.setxattr("/both", "security.more", new Uint8Array(300).fill(8)));
  value(task.setxattr("/gone", "user.long", new Uint8Array(900).fill(9)));
  value(task.removexattr("/gone", "user.long"));
  value(task.mkdir("/folder"));
  value(task.setxattr("/folder", "trusted.overlay.opaque", new Uint8Array([121])));
  value(task.setxattr("/folder", "user.long", new Uint8Array(2000).fill(10)));
  const again = expectSame(host);
  value(again.task.setxattr("/both", "user.long", new Uint8Array(5).fill(1)));
  value(again.task.removexattr("/folder", "user.long"));
  value(again.task.unlink("/gone"));
  expectSame(again).unmount();
});

test("links, devices, owners, modes, times and flags are the same after a mount", () => {
  const host = new Ext4Host(ext4Disk());
  const { task } = host;
  value(task.symlink("short", "/soft"));
  value(task.symlink("x".repeat(59), "/soft59"));
  value(task.symlink("y".repeat(60), "/soft60"));
  value(task.symlink("z".repeat(4095), "/soft4095"));
  value(task.mknod("/char", S_IFCHR | 0o620, deviceNumber(1, 3)));
  value(task.mknod("/block", S_IFBLK | 0o600, deviceNumber(259, 70_000)));
  value(task.mknod("/pipe", S_IFIFO | 0o644));
  value(task.mknod("/socket", S_IFSOCK | 0o644));
  put(task, "/file", Content.text("linked"));
  value(task.mkdir("/folder", 0o1777));
  value(task.mkdir("/folder/below", 0o2755));
  value(task.link("/file", "/folder/below/other"));
  value(task.link("/soft60", "/folder/soft too"));
  value(task.chown("/file", 1000, 70_000));
  value(task.chmod("/file", 0o4711));
  value(task.utimens("/folder", time(-5, 7), time(2 ** 33, 999_999_999)));
  const fd = open(task, "/file");
  value(task.setFlags(fd, (value(task.getFlags(fd)) as number) | 0x40));
  value(task.close(fd));
  const again = expectSame(host);
  value(again.task.unlink("/file"));
  value(again.task.rename("/folder/below", "/moved"));
  expectSame(again).unmount();
});

test.each([10, 200, 1500])("a directory of %i names is the same after a mount, and takes and loses names", (count) => {
  const host = new Ext4Host(ext4Disk());
  const { task } = host;
  const name = (n: number): string => `/folder/name ${n} ${"-".repeat(n % 40)}`;
  value(task.mkdir("/folder"));
  for (let n = 0; n < count; n++) value(task.mknod(name(n), 0o644));
  for (let n = 0; n < count; n += 3) value(task.unlink(name(n)));
  const again = expectSame(host);
  for (let n = 0; n < count; n += 2) {
    const answer = again.task.mknod(name(n), 0o600);
    expect(answer?.code).toBe(n % 3 === 0 ? undefined : "EEXIST");
  }
  for (let n = 1; n < count; n += 2) if (n % 3 !== 0) value(again.task.unlink(name(n)));
  again.check();
  expectSame(again).unmount();
});

test("a mount after a mount counts, and an unmounted device needs no recovery", () => {
  let host = new Ext4Host(ext4Disk());
  for (let n = 0; n < 3; n++) {
    put(host.task, `/file ${n}`, Content.pattern(n, 10_000));
    host.unmount();
    const writes = host.disk.counters.writes;
    host = new Ext4Host(host.disk);
    // The superblock alone is written by a mount that finds nothing to do.
    expect(host.disk.counters.writes - writes).toBe(1);
  }
  host.check();
});

test("a directory with a tree of hashes says so after a mount before anybody reads it", () => {
  let host = new Ext4Host(ext4Disk());
  value(host.task.mkdir("/few"));
  value(host.task.mkdir("/many"));
  for (let n = 0; n < 300; n++) put(host.task, `/many/file ${n}`, Content.empty);
  const flagsOf = (path: string): number => {
    const fd = value(host.task.open(path, O_RDONLY)) as number;
    const flags = value(host.task.getFlags(fd)) as number;
    value(host.task.close(fd));
    return flags;
  };
  const before = [flagsOf("/few"), flagsOf("/many")];
  expect(before).toEqual([EXTENT_FLAG, EXTENT_FLAG | INDEX_FLAG]);
  host = host.remount();
  expect([flagsOf("/few"), flagsOf("/many")]).toEqual(before);
  host.check();
  host.unmount();
});
