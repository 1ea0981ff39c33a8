/**
 * Whiteouts and opaque folders of overlayfs one by one (fs/overlayfs/dir.c; spec/union.md section 5): what they are on the upper layer, what they cost,
 * whom they are told to, and what is left where one cannot be placed.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { EIO, EMLINK, ENOTEMPTY, EPERM, type Errno, isErrno } from "../../sim/core/errno.ts";
import type { SimEvent } from "../../sim/core/events.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { Tmpfs } from "../../sim/fs/tmpfs.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { OverlayFileSystem } from "../../sim/union/overlayfs/filesystem.ts";
import { type FileSystem, newAttributes, S_IFCHR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { must, put } from "./aufs-lab.ts";

/** Calls of the upper layer's filesystem that fail, by name, with what, from how many calls on. */
const faults = new Map<string | symbol, { error: Errno; after: number }>();
let host: Host;
/** Within the union, and outside of it. */
let task: Task;
let outside: Task;

function failing(fs: FileSystem): FileSystem {
  return new Proxy(fs, {
    get(target, key): unknown {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        const fault = faults.get(key);
        if (fault !== undefined && fault.after-- <= 0) return fault.error;
        return value.apply(target, given);
      };
    },
  });
}

beforeEach(() => {
  faults.clear();
  host = createHost();
  outside = host.task;
  outside.umask = 0;
  for (const folder of ["/b", "/m"]) must(outside.mkdir(folder, 0o755));
  const backing = new Tmpfs(host, { device: deviceNumber(0, 99), mode: 0o755 });
  must(host.vfs.mount(outside, failing(backing), "/b"));
  for (const folder of ["up", "work", "low", "low/d", "low/e", "low/e/sub"]) must(outside.mkdir(`/b/${folder}`, 0o755));
  for (const name of ["a", "b", "c", "d/x", "d/y"]) put(outside, `/b/low/${name}`, name);
  mount();
});

function mount(): void {
  const options = "upperdir=/b/up,workdir=/b/work,lowerdir=/b/low";
  expect(host.mount({ type: "overlay", source: "none", target: "/m", options })).toBeUndefined();
  task = must(outside.chroot("/m"));
  task.umask = 0;
}

function overlay(): OverlayFileSystem {
  const { fs } = task.root.mount;
  if (!(fs instanceof OverlayFileSystem)) throw new Error("/m is no overlay");
  return fs;
}

function names(path: string): string[] {
  return must(outside.readdir(path)).map(({ name }) => name);
}

function upper(name: string): { type: number; inode: number; links: number; mode: number; uid: number } {
  const of = newAttributes();
  must(outside.lstat(`/b/up/${name}`, of));
  return { type: of.mode & S_IFMT, inode: of.inodeNumber, links: of.nlink, mode: of.mode & 0o7777, uid: of.uid };
}

const OPAQUE = "trusted.overlay.opaque";

describe("a whiteout", () => {
  test("is a device 0:0; the first one is made, all others are links to it, and one is kept in the work folder for the next", () => {
    const { counters } = overlay();
    const before = counters.upperCreates;
    for (const name of ["/a", "/b", "/c"]) must(task.unlink(name));
    expect(counters).toMatchObject({ whiteouts: 3, upperCreates: before + 1 });
    expect(upper("a")).toMatchObject({ type: S_IFCHR, links: 4 });
    expect([upper("b").inode, upper("c").inode]).toEqual([upper("a").inode, upper("a").inode]);
    expect(names("/b/work/work")).toHaveLength(1);
    host.check();
  });

  test("is of its own where links are refused, and from then on no link is tried (ovl_whiteout: share_whiteout)", () => {
    faults.set("link", { error: EPERM, after: 0 });
    must(task.unlink("/a"));
    faults.clear();
    for (const name of ["/b", "/c"]) must(task.unlink(name));
    expect(["a", "b", "c"].map((name) => upper(name).links)).toEqual([1, 1, 1]);
    expect(overlay().overlay.shareWhiteouts).toBe(false);
    expect(names("/b/work/work")).toEqual([]);
    host.check();
  });

  test("begins another inode when the one that is shared has as many links as it may (EMLINK)", () => {
    must(task.unlink("/a"));
    faults.set("link", { error: EMLINK, after: 0 });
    must(task.unlink("/b"));
    faults.clear();
    must(task.unlink("/c"));
    expect([upper("a").links, upper("b").inode, upper("c").links]).toEqual([2, upper("a").inode, 2]);
    expect(upper("c").inode).not.toBe(upper("a").inode);
    expect(overlay().overlay.shareWhiteouts).toBe(true);
    host.check();
  });

  test("is told to those who listen, with the path of the name that it hides", () => {
    const told: SimEvent[] = [];
    const stop = host.events.subscribe(({ event }) => told.push(event));
    must(task.unlink("/a"));
    must(task.unlink("/d/x"));
    stop();
    must(task.unlink("/b"));
    const filesystem = overlay().label;
    expect(told.filter(({ op }) => op === "whiteout")).toEqual([
      { op: "whiteout", filesystem, path: "/a" },
      { op: "whiteout", filesystem, path: "/d/x" },
    ]);
    expect(overlay().counters.whiteouts).toBe(3);
  });

  test.each([
    ["create", "made"],
    ["rename", "moved into place"],
  ])("that cannot be made by %s fails the call, and neither it nor its count is left", (call) => {
    faults.set(call, { error: EIO, after: 0 });
    expect(task.unlink("/a")).toBe(EIO);
    faults.clear();
    expect(overlay().counters.whiteouts).toBe(0);
    expect(names("/b/up")).toEqual([]);
    // The spare one waits for the next call.
    const spare = call === "create" ? 0 : 1;
    expect(names("/b/work/work")).toHaveLength(spare);
    expect(must(task.stat("/a")).nlink).toBe(1);
    must(task.unlink("/a"));
    expect(names("/b/work/work")).toHaveLength(1);
    host.check();
  });
});

describe("in a folder that cannot be copied up", () => {
  test.each([
    ["unlink", () => task.unlink("/d/x"), "/d/x"],
    ["rmdir", () => task.rmdir("/e/sub"), "/e/sub"],
  ] as const)("%s fails as the copy-up does, and the name stays", (_, remove, path) => {
    faults.set("setattr", { error: EIO, after: 0 });
    expect(remove()).toBe(EIO);
    faults.clear();
    expect([names("/b/up"), overlay().counters.whiteouts]).toEqual([[], 0]);
    expect(isErrno(task.stat(path))).toBe(false);
    expect(remove()).toBeUndefined();
    host.check();
  });
});

describe("a folder of nothing but whiteouts", () => {
  function emptied(): void {
    must(task.chmod("/d", 0o751));
    must(task.chown("/d", 7, 8));
    must(task.setxattr("/d", "user.kept", new Uint8Array(3)));
    must(task.utimens("/d", { seconds: 5, nanoseconds: 6 }, { seconds: 7, nanoseconds: 8 }));
    for (const name of ["x", "y"]) must(task.unlink(`/d/${name}`));
  }

  test("is exchanged for an empty opaque one with its mode, owner, times and attributes before another takes its place (ovl_clear_empty)", () => {
    emptied();
    must(task.mkdir("/new", 0o700));
    must(task.utimens("/d", { seconds: 5, nanoseconds: 6 }, { seconds: 7, nanoseconds: 8 }));
    const before = upper("d").inode;
    const creates = overlay().counters.upperCreates;
    // The rename itself fails behind the exchange: what was cleared is seen.
    faults.set("rename", { error: EIO, after: 1 });
    expect(task.rename("/new", "/d")).toBe(EIO);
    faults.clear();
    expect(upper("d")).toMatchObject({ mode: 0o751, uid: 7 });
    expect(upper("d").inode).not.toBe(before);
    const of = newAttributes();
    must(outside.lstat("/b/up/d", of));
    expect([of.atime, of.mtime]).toEqual([
      { seconds: 5, nanoseconds: 6 },
      { seconds: 7, nanoseconds: 8 },
    ]);
    expect(must(outside.getxattr("/b/up/d", OPAQUE))).toEqual(new TextEncoder().encode("y"));
    expect(must(outside.getxattr("/b/up/d", "user.kept"))).toEqual(new Uint8Array(3));
    expect([names("/b/up/d"), overlay().counters.upperCreates]).toEqual([[], creates + 1]);
    host.check();
  });

  test.each([
    ["getattr", 0],
    ["create", 0],
    ["listxattr", 0],
    ["getxattr", 0],
    ["setxattr", 0],
    ["setattr", 0],
    ["rename", 0],
  ] as const)("stays as it is where %s fails, and the work folder is as before", (call, after) => {
    emptied();
    must(task.mkdir("/new", 0o700));
    const left = names("/b/work/work");
    const before = upper("d");
    faults.set(call, { error: EIO, after });
    const got = task.rename("/new", "/d");
    faults.clear();
    if (isErrno(got)) {
      // A whiteout that cannot be looked at counts as an entry (ovl_check_whiteouts).
      expect(got).toBe(call === "getattr" ? ENOTEMPTY : EIO);
      expect(names("/b/up/d").sort()).toEqual(["x", "y"]);
      expect(upper("d")).toEqual(before);
    }
    expect(names("/b/work/work")).toEqual(left);
    host.check();
    must(task.rmdir(isErrno(got) ? "/new" : "/d"));
  });

  test("is not removed where it cannot be cleared", () => {
    emptied();
    faults.set("create", { error: EIO, after: 0 });
    expect(task.rmdir("/d")).toBe(EIO);
    faults.clear();
    expect(names("/b/up/d").sort()).toEqual(["x", "y"]);
    expect(must(task.readdir("/d"))).toEqual([]);
    must(task.rmdir("/d"));
    expect(upper("d").type).toBe(S_IFCHR);
    host.check();
  });

  test("is held by a file that is open in it, until that is closed, and is gone then", () => {
    emptied();
    const fd = must(task.open("/d", 0o200000));
    must(task.rmdir("/d"));
    expect(upper("d").type).toBe(S_IFCHR);
    must(task.close(fd));
    host.check();
  });
});
