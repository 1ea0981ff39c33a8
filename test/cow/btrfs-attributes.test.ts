/** Which times of btrfs's inodes each call changes, as Linux 6.18 was seen to do it, and what attributes it keeps. */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EEXIST, ENODATA, ENXIO, isErrno } from "../../sim/core/errno.ts";
import { nanoseconds } from "../../sim/core/units.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  fileHandle,
  newAttributes,
  O_RDWR,
  XATTR_CREATE,
  XATTR_REPLACE,
} from "../../sim/vfs/filesystem.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

function lab(): BtrfsLab {
  const made = new BtrfsLab();
  const { task } = made.host;
  for (const path of ["/m/d", "/m/e", "/m/d/sub"]) must(task.mkdir(path, 0o755));
  must(made.write("/m/d/f", Content.pattern(1, 10_000)));
  must(made.write("/m/e/g", "other"));
  made.settle();
  made.host.clock.spend(nanoseconds(1e9));
  return made;
}

/** Which times of paths, as they were named before, a call changes. */
function changed(of: BtrfsLab, paths: readonly string[], call: (of: BtrfsLab) => unknown): string[] {
  const { fs } = of;
  const inodes = paths.map((path) => must(of.host.task.resolve(path)).inode);
  const look = (): { atime: string; mtime: string; ctime: string }[] =>
    inodes.map((inode) => {
      const into = newAttributes();
      fs.getattr(inode, into);
      const [atime, mtime, ctime] = [into.atime, into.mtime, into.ctime].map((time) => JSON.stringify(time));
      return { atime: atime ?? "", mtime: mtime ?? "", ctime: ctime ?? "" };
    });
  for (const inode of inodes) fs.hold(inode);
  const before = look();
  of.host.clock.spend(nanoseconds(1e9));
  const result = call(of);
  expect(isErrno(result)).toBe(false);
  const told = look().map((now, at) => {
    const was = before[at];
    return `${now.atime === was?.atime ? "" : "a"}${now.mtime === was?.mtime ? "" : "m"}${now.ctime === was?.ctime ? "" : "c"}`;
  });
  for (const inode of inodes) fs.drop(inode);
  return told;
}

function onFile(of: BtrfsLab, path: string, act: (fd: number) => unknown): unknown {
  const fd = must(of.host.task.open(path, O_RDWR));
  const done = act(fd);
  of.host.task.close(fd);
  return done;
}

describe("the times", () => {
  test.each<readonly [string, readonly string[], (of: BtrfsLab) => unknown, readonly string[]]>([
    ["create", ["/m", "/m/d"], (of) => of.write("/m/d/new", ""), ["", "mc"]],
    ["mkdir", ["/m", "/m/d"], (of) => of.host.task.mkdir("/m/d/new", 0o755), ["", "mc"]],
    ["write", ["/m/d", "/m/d/f"], (of) => of.write("/m/d/f", "x"), ["", "mc"]],
    ["truncate", ["/m/d/f"], (of) => of.host.task.truncate("/m/d/f", 5000), ["mc"]],
    ["truncate to more", ["/m/d/f"], (of) => of.host.task.truncate("/m/d/f", 50_000), ["mc"]],
    ["truncate to the same size", ["/m/d/f"], (of) => of.host.task.truncate("/m/d/f", 10_000), [""]],
    ["chmod", ["/m/d", "/m/d/f"], (of) => of.host.task.chmod("/m/d/f", 0o600), ["", "c"]],
    ["chown", ["/m/d/f"], (of) => of.host.task.chown("/m/d/f", 5, 6), ["c"]],
    ["unlink", ["/m", "/m/d", "/m/d/f"], (of) => of.host.task.unlink("/m/d/f"), ["", "mc", "c"]],
    ["rmdir", ["/m", "/m/d"], (of) => of.host.task.rmdir("/m/d/sub"), ["", "mc"]],
    ["rename", ["/m", "/m/d", "/m/d/f"], (of) => of.host.task.rename("/m/d/f", "/m/d/h"), ["", "mc", "c"]],
    [
      "rename elsewhere",
      ["/m", "/m/d", "/m/e", "/m/d/f"],
      (of) => of.host.task.rename("/m/d/f", "/m/e/f"),
      ["", "mc", "mc", "c"],
    ],
    [
      "rename over another",
      ["/m/d", "/m/e", "/m/d/f", "/m/e/g"],
      (of) => of.host.task.rename("/m/d/f", "/m/e/g"),
      ["mc", "mc", "c", "c"],
    ],
    ["link", ["/m/d", "/m/e", "/m/d/f"], (of) => of.host.task.link("/m/d/f", "/m/e/l"), ["", "mc", "c"]],
    ["setxattr", ["/m/d", "/m/d/f"], (of) => of.host.task.setxattr("/m/d/f", "user.a", Uint8Array.of(1)), ["", "c"]],
    [
      "punch",
      ["/m/d/f"],
      (of) => onFile(of, "/m/d/f", (fd) => of.host.task.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)),
      ["mc"],
    ],
    ["zero", ["/m/d/f"], (of) => onFile(of, "/m/d/f", (fd) => of.host.task.fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096)), ["mc"]],
    [
      "fallocate beyond the end",
      ["/m/d/f"],
      (of) => onFile(of, "/m/d/f", (fd) => of.host.task.fallocate(fd, 0, 0, 50_000)),
      ["mc"],
    ],
    [
      "clone",
      ["/m/d/f", "/m/e/g"],
      (of) => onFile(of, "/m/d/f", (from) => onFile(of, "/m/e/g", (to) => of.host.task.clone(from, to))),
      ["", "mc"],
    ],
    ["a subvolume", ["/m", "/m/d"], (of) => of.subvolume("/m/d/new"), ["", "mc"]],
    ["a snapshot", ["/m/d", "/m/e"], (of) => of.snapshot("/m", "/m/d/new"), ["mc", ""]],
  ])("that %s changes of %j", (_, paths, call, expected) => {
    const of = lab();
    expect(changed(of, paths, call)).toEqual(expected);
    of.fs.check();
  });

  test("that are set are those that were asked for, the others stay", () => {
    const of = lab();
    const { inode } = must(of.host.task.resolve("/m/d/f"));
    const told = (): unknown[] => {
      const into = newAttributes();
      of.fs.getattr(inode, into);
      return [into.atime.seconds, into.mtime.seconds, into.mode.toString(8), into.uid, into.gid];
    };
    const [atime, mtime] = told();
    of.fs.setattr(inode, { mode: 0o640 });
    expect(told()).toEqual([atime, mtime, "100640", 0, 0]);
    of.fs.setattr(inode, { uid: 7 });
    of.fs.setattr(inode, { gid: 8 });
    expect(told()).toEqual([atime, mtime, "100640", 7, 8]);
    of.fs.setattr(inode, { atime: { seconds: 1, nanoseconds: 0 } });
    expect(told()).toEqual([1, mtime, "100640", 7, 8]);
    of.fs.setattr(inode, { mtime: { seconds: 2, nanoseconds: 0 } });
    expect(told()).toEqual([1, 2, "100640", 7, 8]);
  });
});

test("links and sizes of folders follow what is in them: two bytes for each byte of a name", () => {
  const of = lab();
  const { task } = of.host;
  const told = (): unknown[] =>
    ["/m", "/m/d", "/m/e"].map((path) => {
      const { nlink, size } = must(task.stat(path));
      return [nlink, size];
    });
  expect(told()).toEqual([
    [1, 4],
    [1, 8],
    [1, 2],
  ]);
  must(task.rename("/m/d/sub", "/m/e/longer"));
  must(task.rename("/m/d/f", "/m/e/g"));
  expect(told()).toEqual([
    [1, 4],
    [1, 0],
    [1, 14],
  ]);
  must(task.link("/m/e/g", "/m/d/abc"));
  must(task.rmdir("/m/e/longer"));
  expect([told(), must(task.stat("/m/d/abc")).nlink]).toEqual([
    [
      [1, 4],
      [1, 6],
      [1, 2],
    ],
    2,
  ]);
  must(of.subvolume("/m/d/sv"));
  expect(must(task.stat("/m/d")).size).toBe(10);
  must(of.remove("/m/d/sv"));
  expect(must(task.stat("/m/d")).size).toBe(6);
  of.fs.check();
});

test("an attribute that is to be new must not be there, and one that is to be replaced must", () => {
  const of = lab();
  const { inode } = must(of.host.task.resolve("/m/d/f"));
  const set = (flags: number, value = 1): unknown => of.fs.setxattr(inode, "user.a", Uint8Array.of(value), flags);
  expect([set(XATTR_REPLACE), set(XATTR_CREATE, 2), set(XATTR_CREATE, 3)]).toEqual([ENODATA, undefined, EEXIST]);
  expect(of.fs.getxattr(inode, "user.a")).toEqual(Uint8Array.of(2));
  expect([set(XATTR_REPLACE, 4), set(0, 5)]).toEqual([undefined, undefined]);
  expect(of.fs.getxattr(inode, "user.a")).toEqual(Uint8Array.of(5));
  expect([of.fs.removexattr(inode, "user.a"), of.fs.removexattr(inode, "user.a"), set(XATTR_REPLACE)]).toEqual([
    undefined,
    ENODATA,
    ENODATA,
  ]);
  of.fs.check();
});

test("the end of a file is a hole, and behind it is nothing to seek", () => {
  const of = lab();
  const file = fileHandle(must(of.host.task.resolve("/m/d/f")).inode);
  const sought = [9999, 10_000].flatMap((offset) => [of.fs.seek(file, offset, false), of.fs.seek(file, offset, true)]);
  expect(sought).toEqual([9999, 10_000, ENXIO, ENXIO]);
});
