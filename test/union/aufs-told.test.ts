/** What aufs tells of files, and counts of its calls, where the recorded traces do not reach (spec/union.md parts B and D, by paragraph). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { milliseconds } from "../../sim/core/units.ts";
import { O_RDONLY, O_RDWR, O_WRONLY, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

const time = (seconds: number, nanoseconds: number) => ({ seconds, nanoseconds });

test("12: a folder on two writable branches is one past a file between them", () => {
  const lab = new AufsLab();
  const branches = [
    lab.branch("a", { "d/": "", "d/x": "" }),
    lab.branch("b", { d: "file" }),
    lab.branch("c", { "d/": "", "d/y": "" }),
  ];
  const { task, fs } = lab.enter(`br:${branches.map((path) => `${path}=rw`).join(":")}`);
  expect([list(task, "/d"), must(task.stat("/d")).nlink]).toEqual([["x", "y"], 2]);
  fs.check();
});

test("12: a folder of the writable branch is one with one of a lower branch past a file between them, found once or again", () => {
  const lab = new AufsLab();
  const lowers = [lab.branch("mid", { d: "file" }), lab.branch("low", { "d/": "", "d/y": "" })];
  const options = `br:${lab.branch("a", { "d/": "", "d/x": "" })}=rw:${lowers.map((path) => `${path}=ro+wh`).join(":")}`;
  const [one, other] = [lab.enter(options), lab.enter(options.replace("/b/a", lab.branch("b", { "d/": "", "d/z": "" })))];
  expect([list(one.task, "/d"), list(other.task, "/d")]).toEqual([
    ["x", "y"],
    ["z", "y"],
  ]);
  must(one.task.unlink("/d/y"));
  expect(list(one.task, "/d")).toEqual(["x"]);
  for (const { fs } of [one, other]) fs.check();
});

test("13: with coo_all neither a pipe nor the root comes up when it is opened", () => {
  const lab = new AufsLab();
  const low = lab.branch("low");
  must(lab.task.mknod(`${low}/p`, S_IFIFO | 0o644));
  const { task, fs } = lab.enter(`br:${lab.branch("rw")}=rw:${low}=ro+coo_all`);
  must(task.open("/p", O_RDWR));
  must(task.open("/", O_RDONLY));
  expect(fs.counters.copyUps).toBe(0);
});

describe("C2: times", () => {
  test("that are given lose what is less than a second, but for the present", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { f: "x" })]);
    lab.host.clock.advance(milliseconds(1500));
    const now = lab.host.clock.time();
    const set = (atime: Parameters<typeof task.utimens>[1], mtime: Parameters<typeof task.utimens>[2]) => {
      must(task.utimens("/f", atime, mtime));
      const of = must(task.stat("/f"));
      return [of.atime, of.mtime];
    };
    expect(now.nanoseconds).not.toBe(0);
    expect(set(time(5, 6), time(7, 8))).toEqual([time(5, 0), time(7, 0)]);
    expect(set(time(now.seconds, now.nanoseconds - 1), time(now.seconds + 1, now.nanoseconds))).toEqual([
      time(now.seconds, 0),
      time(now.seconds + 1, 0),
    ]);
    expect(set("NOW", time(9, 9))).toEqual([lab.host.clock.time(), time(9, 0)]);
    expect(set(time(3, 3), "NOW")).toEqual([time(3, 0), lab.host.clock.time()]);
    expect(set("OMIT", time(4, 4))).toEqual([time(3, 0), time(4, 0)]);
    expect(set(time(6, 6), "OMIT")).toEqual([time(6, 0), time(4, 0)]);
  });

  test("of reading are kept on a writable branch, not on a read-only one", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x" });
    const { task } = lab.enter(`br:${lab.branch("up", { g: "y" })}=rw:${low}=ro`);
    const before = ["/f", "/g"].map((path) => must(task.stat(path)).atime);
    lab.host.clock.advance(milliseconds(2000));
    expect([read(task, "/f"), read(task, "/g")]).toEqual(["x", "y"]);
    expect(must(task.stat("/f")).atime).toEqual(before[0]);
    expect(must(task.stat("/g")).atime).not.toEqual(before[1]);
  });
});

test("C3: an attribute that is removed stays with nothing in it, a file's capabilities too; what is not there is ENODATA, after a copy-up", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "x", g: "x" });
  // Of the second revision: 20 bytes.
  const capabilities = new Uint8Array(20).with(3, 2);
  for (const name of ["user.a", "security.capability"]) must(lab.task.setxattr(`${low}/f`, name, capabilities));
  const { task, fs } = lab.over([low]);
  must(task.removexattr("/f", "user.a"));
  must(task.removexattr("/f", "security.capability"));
  // A capability of no bytes is none that getxattr shows.
  expect([must(task.getxattr("/f", "user.a")).length, code(task.getxattr("/f", "security.capability"))]).toEqual([0, "EINVAL"]);
  expect(must(task.listxattr("/f")).sort()).toEqual(["security.capability", "user.a"]);
  expect([code(task.removexattr("/g", "user.none")), fs.counters.copyUps]).toEqual(["ENODATA", 2]);
});

test("14: sum adds free blocks and inodes too", () => {
  const lab = new Branches();
  const [a, b] = [lab.sized("a", 400), lab.sized("b", 800, { f: "x" })];
  const { task } = lab.enter(`br:${a}=rw:${b}=ro,sum`);
  const [one, other] = [a, b].map((path) => must(lab.task.statfs(path)));
  const whole = must(task.statfs("/"));
  for (const count of ["blocks", "blocksFree", "blocksAvailable", "files", "filesFree"] as const) {
    expect(whole[count], count).toBe((one?.[count] ?? 0) + (other?.[count] ?? 0));
  }
});

test("C9: what the directories below add to a directory's links is the subdirectories of each", () => {
  const lab = new Branches();
  const branches = [
    lab.branch("a", { "d/": "", "d/1/": "" }),
    lab.branch("b"),
    lab.branch("c", { "d/": "", "d/2/": "", "d/3/": "" }),
    lab.branch("l", { "d/": "", "d/4/": "" }),
    lab.branch("m", { "d/": "", "d/5/": "" }),
  ];
  const { task } = lab.enter(`br:${branches.map((path, at) => `${path}=${at < 3 ? "rw" : "ro"}`).join(":")}`);
  expect([must(task.stat("/d")).nlink, must(task.stat("/d")).nlink]).toEqual([7, 7]);
});

test("copies, whiteouts and what is made are counted, each once", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "data", h: "linked", "d/": "", "d/g": "more data" });
  must(lab.task.link(`${low}/h`, `${low}/h2`));
  must(lab.task.mknod(`${low}/p`, S_IFIFO | 0o644));
  const { task, fs } = lab.over([low]);
  const change = (call: () => unknown): Partial<typeof fs.counters> => {
    const before = { ...fs.counters };
    must(call());
    const differences = Object.entries(fs.counters).map(([key, value]) => [
      key,
      value - (before[key as keyof typeof before] ?? 0),
    ]);
    return Object.fromEntries(differences.filter(([key, value]) => value !== 0 && !`${key}`.toLowerCase().includes("lookups")));
  };
  const file = { copyUps: 1, upperCreates: 1, copiedPages: 1 };
  expect(change(() => task.chmod("/f", 0o600))).toEqual({ ...file, copiedBytes: 4 });
  expect(change(() => task.chmod("/f", 0o640))).toEqual({});
  expect(change(() => task.chmod("/d/g", 0o600))).toEqual({ copyUps: 2, upperCreates: 2, copiedBytes: 9, copiedPages: 1 });
  expect(change(() => task.chmod("/p", 0o600))).toEqual({ copyUps: 1, upperCreates: 1 });
  expect(change(() => task.chmod("/h", 0o600))).toEqual({ ...file, copiedBytes: 6 });
  expect(change(() => task.chmod("/h2", 0o640))).toEqual({ pseudoLinks: 1 });
  expect(change(() => task.unlink("/f"))).toEqual({ whiteouts: 1 });
  expect(change(() => task.mkdir("/f"))).toEqual({ upperCreates: 1 });
  expect(change(() => put(task, "/d/new", "n"))).toEqual({ upperCreates: 1 });
  fs.check();
});

test("under rw+nolwh a whiteout is an inode more", () => {
  const lab = new AufsLab();
  const { task, fs } = lab.enter(`br:${lab.branch("rw")}=rw+nolwh:${lab.branch("low", { a: "" })}=ro+wh`);
  must(task.unlink("/a"));
  expect(fs.counters).toMatchObject({ whiteouts: 1, upperCreates: 1 });
});

test("a lookup asks each branch that has the directory, until a file is found", () => {
  const lab = new AufsLab();
  const branches = [lab.branch("a", { "own/": "" }), lab.branch("b", { f: "", "own/": "" }), lab.branch("c", { g: "", f: "" })];
  const { task, fs } = lab.enter(`br:${branches.map((path) => `${path}=rw`).join(":")}`);
  const asked = (path: string): number => {
    const before = fs.counters.layerLookups;
    task.lstat(path);
    return fs.counters.layerLookups - before;
  };
  expect(["/f", "/g", "/none", "/own", "/own/none", "/own/none"].map(asked)).toEqual([2, 3, 3, 3, 2, 0]);
  expect(fs.counters.lookups).toBe(5);
});

describe("C6: fsync", () => {
  test("copies up a file that is open for writing, and reaches its branch; of any other there is nothing to do", () => {
    const lab = new AufsLab();
    const { task, fs } = lab.over([lab.branch("low", { f: "x", "d/": "" })]);
    const synced = (path: string, flags: number) => {
      const before = fs.counters.fsyncs;
      const fd = must(task.open(path, flags));
      must(task.fsync(fd));
      must(task.close(fd));
      return [fs.counters.fsyncs - before, fs.counters.copyUps];
    };
    expect([synced("/f", O_RDONLY), synced("/d", O_RDONLY), synced("/f", O_WRONLY), synced("/f", O_RDWR)]).toEqual([
      [0, 0],
      [0, 0],
      [1, 1],
      [1, 1],
    ]);
  });
});

test("C5: a file whose name is gone is copied up without one when it is written, also where other names of it are left", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "old", g: "old" });
  must(lab.task.link(`${low}/g`, `${low}/g2`));
  const { task, fs, upper } = lab.over([low]);
  for (const path of ["/f", "/g"]) {
    const fd = must(task.open(path, O_RDWR));
    must(task.unlink(path));
    must(task.pwrite(fd, Content.text("new"), 0));
    expect(must(task.pread(fd, 9, 0)).toText()).toBe("new");
    fs.check();
    must(task.close(fd));
  }
  expect([list(task, "/"), read(task, "/g2"), lab.rows(upper)]).toEqual([
    ["g2"],
    "new",
    ["/f whiteout", "/g whiteout", "/g2 file"],
  ]);
  expect(must(lab.task.readdir(`${upper}/.wh..wh.orph`))).toEqual([]);
});

test("13: a symbolic link comes up with its owner and its times, and a file with all bits of its mode", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "x" });
  must(lab.task.symlink("f", `${low}/l`));
  must(lab.task.lchown(`${low}/l`, 7, 8));
  must(lab.task.utimens(`${low}/l`, time(5, 6), time(7, 8), true));
  must(lab.task.chown(`${low}/f`, 7, 8));
  must(lab.task.chmod(`${low}/f`, 0o6755));
  const { task, upper } = lab.over([low]);
  must(task.rename("/l", "/l2"));
  must(task.rename("/f", "/f2"));
  for (const [from, to] of [
    ["l", "l2"],
    ["f", "f2"],
  ]) {
    const { mode, uid, gid, mtime, atime } = must(lab.task.lstat(`${low}/${from}`));
    expect(must(lab.task.lstat(`${upper}/${to}`))).toMatchObject({ mode, uid, gid, mtime, atime });
  }
});
