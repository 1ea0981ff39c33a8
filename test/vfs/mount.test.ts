import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EACCES, EBUSY, EINVAL, EISDIR, ELOOP, ENOENT, EROFS, EXDEV, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, seconds } from "../../sim/core/units.ts";
import { Tmpfs } from "../../sim/fs/tmpfs.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { type Attributes, O_CREAT, O_RDONLY, O_RDWR, O_TMPFILE, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Mount, MountOptions } from "../../sim/vfs/mount.ts";
import { type TestHost, testHost } from "./host.ts";

/** A host with a second tmpfs mounted on /m. */
function mounted(options: MountOptions = {}): TestHost & { readonly other: Tmpfs; readonly mount: Mount } {
  const host = testHost();
  host.task.mkdir("/m");
  const other = new Tmpfs(host.vfs, { label: "other", device: deviceNumber(0, 31) });
  const mount = host.vfs.mount(host.task, other, "/m", options);
  if (isErrno(mount)) throw new Error(mount.code);
  return { ...host, other, mount };
}

test("a walk enters a mount and leaves it by ..", () => {
  const { task } = mounted();
  task.mkdir("/m/inside");
  task.mkdir("/outside");
  expect((task.stat("/m/inside/../../outside") as Attributes).device).toBe(deviceNumber(0, 30));
  expect((task.stat("/m/inside") as Attributes).device).toBe(deviceNumber(0, 31));
});

test("what a mount covers is there again when it ends", () => {
  const { task, vfs } = mounted();
  task.mkdir("/m/inside");
  expect(vfs.unmount(task, "/m")).toBeUndefined();
  expect(task.stat("/m/inside")).toBe(ENOENT);
  expect((task.stat("/m") as Attributes).device).toBe(deviceNumber(0, 30));
});

test("a mount with an open file is busy, unless it is detached; the file lives on", () => {
  const { task, vfs, check } = mounted();
  const fd = task.open("/m/file", O_CREAT | O_RDWR) as number;
  expect(vfs.unmount(task, "/m")).toBe(EBUSY);
  expect(vfs.unmount(task, "/m", true)).toBeUndefined();
  expect(task.write(fd, Content.text("still"))).toBe(5);
  expect(task.close(fd)).toBeUndefined();
  check();
});

test("a place that is no mount's top cannot be unmounted", () => {
  const { task, vfs } = mounted();
  task.mkdir("/m/inside");
  expect(vfs.unmount(task, "/m/inside")).toBe(EINVAL);
});

test("a mount point can be neither removed nor renamed", () => {
  const { task } = mounted();
  expect(task.rmdir("/m")).toBe(EBUSY);
  expect(task.rename("/m", "/n")).toBe(EBUSY);
});

test("neither a name nor a link crosses from one mount to another", () => {
  const { task } = mounted();
  task.mknod("/file", 0);
  expect(task.rename("/file", "/m/file")).toBe(EXDEV);
  expect(task.link("/file", "/m/file")).toBe(EXDEV);
});

test("a read-only mount refuses changes, but tells first what is not there or there already", () => {
  const host = testHost();
  host.task.mkdir("/m");
  const other = new Tmpfs(host.vfs, { device: deviceNumber(0, 31) });
  const inside = host.vfs.task(host.vfs.mountRoot(other));
  inside.mkdir("/d");
  host.vfs.mount(host.task, other, "/m", { readOnly: true });
  expect(host.task.mkdir("/m/new")).toBe(EROFS);
  expect(host.task.mkdir("/m/d")).not.toBe(EROFS);
  expect(host.task.mkdir("/m/none/new")).toBe(ENOENT);
  expect(host.task.unlink("/m/none")).toBe(EROFS);
  expect(host.task.open("/m/d", O_RDWR)).toBe(EISDIR);
  expect(host.task.access("/m/d", 2)).toBe(EROFS);
});

test("a bind mount shows a folder at a second place", () => {
  const { task, vfs } = testHost();
  task.mkdir("/a");
  task.mkdir("/b");
  expect(isErrno(vfs.bind(task, "/a", "/b"))).toBe(false);
  task.mkdir("/b/c");
  expect((task.stat("/a/c") as Attributes).inodeNumber).toBe((task.stat("/b/c") as Attributes).inodeNumber);
  expect(task.rename("/a/c", "/b/d")).toBe(EXDEV);
});

test("a bind mount has the flags of the mount that it shows, and comes over what is mounted there", () => {
  const { task, vfs } = testHost();
  for (const path of ["/a", "/b", "/c"]) task.mkdir(path);
  expect(isErrno(vfs.bind(task, "/a", "/b", { readOnly: true }))).toBe(false);
  expect(isErrno(vfs.bind(task, "/b", "/c"))).toBe(false);
  expect(task.mkdir("/c/d")).toBe(EROFS);
  expect(isErrno(vfs.bind(task, "/a", "/c"))).toBe(false);
  expect(task.mkdir("/c/d")).toBeUndefined();
});

test("a directory on which something is mounted stays, by whichever mount of the tree it is reached, until that ends", () => {
  const { task, vfs } = testHost();
  for (const path of ["/a", "/a/p", "/b", "/c"]) task.mkdir(path);
  vfs.bind(task, "/a", "/b");
  vfs.bind(task, "/c", "/b/p");
  expect(task.rmdir("/a/p")).toBe(EBUSY);
  expect(task.rename("/a/p", "/a/q")).toBe(EBUSY);
  expect(vfs.task(vfs.mountRoot(task.root.mount.fs)).rename("/a/p", "/a/q")).toBeUndefined();
  expect(vfs.unmount(task, "/b/q")).toBeUndefined();
  expect(task.rmdir("/a/q")).toBeUndefined();
});

test("what is opened neither to read nor to write is opened on a read-only mount, too", () => {
  const { task, vfs } = testHost();
  task.mkdir("/a");
  task.mkdir("/b");
  task.mknod("/a/f", 0o644);
  vfs.bind(task, "/a", "/b", { readOnly: true });
  expect(task.open("/b/f", O_RDWR)).toBe(EROFS);
  expect(isErrno(task.open("/b/f", O_RDWR | O_WRONLY))).toBe(false);
});

test("that a filesystem is mounted read-only is told before who may write, that a bind mount is after that", () => {
  const { task, vfs, other } = mounted();
  task.mkdir("/b");
  task.mknod("/m/f", 0o600);
  vfs.bind(task, "/m", "/b", { readOnly: true });
  const somebody = task.withCredentials(credentialsOf(1000, 1000));
  expect([somebody.open("/b/f", O_WRONLY), somebody.access("/b/f", 2)]).toEqual([EACCES, EACCES]);
  for (const path of ["/b", "/m"]) expect(vfs.unmount(task, path)).toBeUndefined();
  vfs.mount(task, other, "/m", { readOnly: true });
  const answers = [somebody.open("/m/f", O_WRONLY), somebody.access("/m/f", 2), somebody.open("/m/f", O_RDONLY)];
  expect(answers).toEqual([EROFS, EROFS, EACCES]);
});

test("nothing leads out of a chroot", () => {
  const { task } = testHost();
  task.mkdir("/jail");
  task.mkdir("/secret");
  task.symlink("/secret", "/jail/absolute");
  task.symlink("../secret", "/jail/relative");
  const jailed = task.chroot("/jail");
  if (isErrno(jailed)) throw new Error(jailed.code);
  expect(jailed.stat("/absolute")).toBe(ENOENT);
  expect(jailed.stat("/relative")).toBe(ENOENT);
  expect(jailed.stat("/../../secret")).toBe(ENOENT);
});

test("forty symbolic links are followed, the next one is one too many", () => {
  const { task } = testHost();
  task.mknod("/l0", 0);
  for (let n = 1; n <= 41; n++) task.symlink(`l${n - 1}`, `/l${n}`);
  expect(isErrno(task.stat("/l40"))).toBe(false);
  expect(task.stat("/l41")).toBe(ELOOP);
});

test("a file without a name gets one by its descriptor", () => {
  const { task, check } = testHost();
  const fd = task.open("/", O_TMPFILE | O_RDWR) as number;
  task.write(fd, Content.text("hidden"));
  expect(task.linkFile(fd, "/shown")).toBeUndefined();
  task.close(fd);
  expect((task.stat("/shown") as Attributes).nlink).toBe(1);
  check();
});

test("an open file outlives its name, and its room is given back at its close", () => {
  const { task, fs, check } = testHost();
  const before = fs.statfs();
  const fd = task.open("/file", O_CREAT | O_RDWR) as number;
  task.write(fd, Content.pattern(1, 10_000));
  task.unlink("/file");
  expect((task.fstat(fd) as Attributes).nlink).toBe(0);
  expect((task.pread(fd, 4, 0) as Content).length).toBe(4);
  task.close(fd);
  expect(fs.statfs()).toEqual(before);
  check();
});

test("reading sets atime by the relatime rule, unless the mount says noatime", () => {
  for (const noatime of [false, true]) {
    const { task, clock } = mounted({ noatime });
    const fd = task.open("/m/file", O_CREAT | O_RDWR) as number;
    task.write(fd, Content.text("x"));
    clock.advance(seconds(1));
    const reader = task.open("/m/file", O_RDONLY) as number;
    task.read(reader, 1);
    const first = task.stat("/m/file") as Attributes;
    expect(first.atime === first.mtime).toBe(noatime);
    clock.advance(seconds(1));
    task.pread(reader, 1, 0);
    expect((task.stat("/m/file") as Attributes).atime).toBe(first.atime);
  }
});

test("of a mount that says strictatime every read sets atime", () => {
  const { task, clock } = mounted({ strictatime: true });
  const fd = task.open("/m/file", O_CREAT | O_RDWR) as number;
  task.write(fd, Content.text("x"));
  const atimes = [1, 2].map(() => {
    clock.advance(seconds(1));
    task.pread(fd, 1, 0);
    return (task.stat("/m/file") as Attributes).atime.seconds;
  });
  expect((atimes[1] as number) - (atimes[0] as number)).toBe(1);
});

test("executing leaves atime alone where the mount says noatime", () => {
  const { task, clock } = mounted({ noatime: true });
  const fd = task.open("/m/file", O_CREAT | O_RDWR, 0o755) as number;
  task.write(fd, Content.text("\x7fELF"));
  task.close(fd);
  const before = (task.stat("/m/file") as Attributes).atime;
  clock.advance(seconds(1));
  expect(task.exec("/m/file")).toBeUndefined();
  expect((task.stat("/m/file") as Attributes).atime).toEqual(before);
});

test("a full tmpfs takes what still fits, then nothing", () => {
  const { task, check } = testHost({ size: 8192 as never });
  const fd = task.open("/file", O_CREAT | O_RDWR) as number;
  expect(task.pwrite(fd, Content.pattern(1, 10_000), 100)).toBe(8092);
  expect(task.pwrite(fd, Content.text("x"), 8192)).toMatchObject({ code: "ENOSPC" });
  expect((task.fstat(fd) as Attributes).size).toBe(8192);
  check();
});
