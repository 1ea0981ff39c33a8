import { beforeEach, describe, expect, test } from "vitest";
import { createHost } from "../../sim/host.ts";
import type { Json } from "../../src/calls/json.ts";
import { CALLS, perform } from "../../src/calls/perform.ts";
import { CallSession } from "../../src/calls/session.ts";
import { type Step, StepError } from "../../src/calls/step.ts";

let session: CallSession;

function go(call: string, step: Step = {}): Json {
  return { ...perform(session, { call, ...step }) };
}

beforeEach(() => {
  session = new CallSession(createHost({ seed: 1 }).task, { keepsSeen: true });
});

function file(path: string, data: Json): void {
  go("open", { path, flags: ["O_CREAT", "O_WRONLY"], mode: "0644", fd: "made" });
  go("write", { fd: "made", data });
  go("close", { fd: "made" });
}

describe("a call's result", () => {
  test("is ok, a value, or the name of an error", () => {
    expect(go("mkdir", { path: "/d", mode: "0755" })).toEqual({ ok: true });
    expect(go("symlink", { target: "d", path: "/l" })).toEqual({ ok: true });
    expect(go("readlink", { path: "/l" })).toEqual({ value: "d" });
    expect(go("mkdir", { path: "/d", mode: "0755" })).toEqual({ errno: "EEXIST" });
  });

  test("shows up to 64 printable bytes as text, all else by length and digest", () => {
    file("/short", "x".repeat(64));
    file("/long", { fill: "x", len: 65 });
    file("/binary", "\n");
    go("open", { path: "/short", flags: ["O_RDONLY"], fd: "s" });
    go("open", { path: "/long", flags: ["O_RDONLY"], fd: "l" });
    go("open", { path: "/binary", flags: ["O_RDONLY"], fd: "b" });
    expect(go("read", { fd: "s", len: 100 })).toEqual({ value: { data: "x".repeat(64) } });
    expect(go("read", { fd: "l", len: 100 })).toEqual({
      value: { len: 65, sha256: "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9" },
    });
    expect(go("pread", { fd: "b", len: 1, offset: 0 })).toEqual({
      value: { len: 1, sha256: "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b" },
    });
  });

  test("names inodes and devices by the order in which a stat showed them", () => {
    file("/a", "");
    file("/b", "");
    go("link", { path: "/b", to: "/c" });
    const ino = (path: string): Json => (go("lstat", { path }) as { value: { ino: Json } }).value.ino;
    expect([ino("/b"), ino("/a"), ino("/c"), ino("/b")]).toEqual([1, 2, 1, 1]);
  });

  test("keeps a number for an inode that has lost its name: a new file never gets it", () => {
    file("/a", "");
    expect(go("stat", { path: "/a" })).toMatchObject({ value: { ino: 1 } });
    go("unlink", { path: "/a" });
    for (const path of ["/b", "/c"]) file(path, "");
    expect(go("stat", { path: "/b" })).toMatchObject({ value: { ino: 2 } });
    expect(go("stat", { path: "/c" })).toMatchObject({ value: { ino: 3 } });
  });

  test.each([true, false])("a session keeps what it has seen, when unlinked, only if it is asked to: %s", (keepsSeen) => {
    session = new CallSession(createHost({ seed: 1 }).task, { keepsSeen });
    const used = (): number => {
      const space = session.task.statfs("/");
      if ("code" in space) throw new Error(space.code);
      return space.blocks - space.blocksFree;
    };
    const before = used();
    file("/a", { fill: "x", len: 65_536 });
    expect(used() - before).toBe(16);
    go("stat", { path: "/a" });
    go("open", { path: "/a", flags: ["O_RDONLY"], fd: "f" });
    go("fstat", { fd: "f" });
    go("close", { fd: "f" });
    go("unlink", { path: "/a" });
    expect(used() - before).toBe(keepsSeen ? 16 : 0);
    session.end();
    expect(used() - before).toBe(0);
  });

  test("tells a folder's links only when asked", () => {
    go("mkdir", { path: "/d" });
    go("mkdir", { path: "/d/e" });
    expect((go("stat", { path: "/d" }) as { value: object }).value).not.toHaveProperty("nlink");
    expect(go("stat", { path: "/d", dirnlink: true })).toMatchObject({ value: { nlink: 3 } });
  });

  test("tells times in whole nanoseconds", () => {
    file("/a", "");
    go("utimens", { path: "/a", atime: 1900000000000000001n, mtime: 5 });
    expect(go("atime", { path: "/a" })).toEqual({ value: 1900000000000000001n });
    expect(go("mtime", { path: "/a" })).toEqual({ value: 5 });
  });

  test("tells how a time stands to the one that the same key saw last", () => {
    file("/a", "");
    const seen = (): Json => go("times", { path: "/a", of: "mtime", key: "k" });
    expect(seen()).toEqual({ ok: true });
    expect(seen()).toEqual({ value: "same" });
    go("utimens", { path: "/a", atime: "OMIT", mtime: 1900000000000000000n });
    expect(seen()).toEqual({ value: "later" });
    go("utimens", { path: "/a", atime: "OMIT", mtime: 0 });
    expect(seen()).toEqual({ value: "earlier" });
  });

  test("is EBADF for a descriptor whose open failed or that was closed", () => {
    expect(go("open", { path: "/no", flags: ["O_RDONLY"], fd: "f" })).toEqual({ errno: "ENOENT" });
    expect(go("read", { fd: "f", len: 1 })).toEqual({ errno: "EBADF" });
    file("/a", "");
    expect(go("close", { fd: "made" })).toEqual({ errno: "EBADF" });
  });

  test("of a listing tells names by their types, and fails where a file's own type cannot be asked", () => {
    go("mkdir", { path: "/d", mode: "0744" });
    go("mkdir", { path: "/d/b" });
    expect(go("readdir", { path: "/d", as: { uid: 1000, gid: 1000 } })).toEqual({ value: [["b", "dir"]] });
    file("/d/a", "");
    expect(go("readdir", { path: "/d" })).toEqual({
      value: [
        ["a", "file"],
        ["b", "dir"],
      ],
    });
    expect(go("readdir", { path: "/d", as: { uid: 1000, gid: 1000 } })).toEqual({ errno: "EACCES" });
  });

  test("lists a tree sorted by path, folders without a link count", () => {
    go("mkdir", { path: "/t", mode: "0700" });
    file("/t/b", "hello");
    go("symlink", { target: "b", path: "/t/a" });
    go("setxattr", { path: "/t/b", name: "user.k", value: "v" });
    expect(go("tree", { path: "/t" })).toEqual({
      value: [
        ["/t/a", "symlink", "0777", 0, 0, 1, "b", {}],
        ["/t/b", "file", "0644", 0, 0, 1, { data: "hello" }, { "user.k": "v" }],
      ],
    });
  });
});

describe("a call's caller", () => {
  test("has no umask unless the step gives one, for that step alone", () => {
    go("mkdir", { path: "/open", mode: "0777" });
    go("mkdir", { path: "/masked", mode: "0777", umask: "027" });
    go("mkdir", { path: "/after", mode: "0777" });
    expect(go("stat", { path: "/open" })).toMatchObject({ value: { mode: "0777" } });
    expect(go("stat", { path: "/masked" })).toMatchObject({ value: { mode: "0750" } });
    expect(go("stat", { path: "/after" })).toMatchObject({ value: { mode: "0777" } });
  });

  test("may be somebody, with the same descriptors", () => {
    go("mkdir", { path: "/d", mode: "0777" });
    const as = { uid: 1000, gid: 100 };
    expect(go("open", { path: "/d/f", flags: ["O_CREAT", "O_RDWR"], mode: "0600", fd: "f", as })).toEqual({ ok: true });
    expect(go("fstat", { fd: "f" })).toMatchObject({ value: { uid: 1000, gid: 100, mode: "0600" } });
    expect(go("unlink", { path: "/d/f", as: { uid: 1001, gid: 100 } })).toEqual({ ok: true });
    expect(go("mkdir", { path: "/e", as })).toEqual({ errno: "EACCES" });
  });
});

test("root without a capability is refused what asks for it, and has it again in the next call", () => {
  go("mkdir", { path: "/d", mode: "0755" });
  const chown = (as?: Json): Json => go("chown", { path: "/d", uid: 5, gid: 5, ...(as === undefined ? {} : { as }) });
  expect(chown({ uid: 0, gid: 0, without: ["CAP_CHOWN"] })).toEqual({ errno: "EPERM" });
  expect(chown({ uid: 0, gid: 0, without: ["CAP_FSETID", "CAP_DAC_OVERRIDE"] })).toEqual({ ok: true });
  expect(chown()).toEqual({ ok: true });
  expect(() => chown({ uid: 0, gid: 0, without: ["CAP_NOTHING"] })).toThrow('"without"?');
});

describe("a step that cannot be made", () => {
  const cases: readonly [string, Step, string][] = [
    ["opne", {}, "unknown call opne"],
    ["constructor", {}, "unknown call constructor"],
    ["mkdir", { path: "/d", mod: "0755" }, "mkdir takes path, mode?, not mod"],
    ["mkdir", {}, "mkdir: path must be a text, it is missing"],
    ["mkdir", { path: 5 }, "mkdir: path must be a text, not 5"],
    ["mkdir", { path: "/d", mode: "0888" }, 'mkdir: mode must be octal digits such as "0644", not "0888"'],
    ["mkdir", { path: "/d", as: { uid: 1 } }, 'mkdir: as must be {"uid", "gid", "groups"?, "without"?}'],
    ["truncate", { path: "/f", len: 1.5 }, "truncate: len must be a whole number, not 1.5"],
    ["access", { path: "/f", want: "q" }, 'access: want must be letters of rwx, not "q"'],
    [
      "rename",
      { path: "/a", to: "/b", flags: ["REPLACE"] },
      'rename: flags must be a list of NOREPLACE, EXCHANGE, WHITEOUT, not ["REPLACE"]',
    ],
    ["mknod", { path: "/a", type: "char", rdev: [1] }, "mknod: rdev must be [major, minor], not [1]"],
  ];
  test.each(cases)("is told in one sentence: %s %j", (call, step, text) => {
    expect(() => go(call, step)).toThrow(new StepError(text));
  });

  test("makes nothing", () => {
    expect(() => go("mkdir", { path: "/d", nonsense: true })).toThrow(StepError);
    expect(go("stat", { path: "/d" })).toEqual({ errno: "ENOENT" });
  });
});

test("every call of the traces can be made, and watches beside them", () => {
  const calls =
    `open close fsync fdatasync sync read pread write pwrite lseek truncate ftruncate fallocate copy_file_range clone stat lstat
    fstat access mkdir rmdir unlink readlink link symlink rename mknod chmod fchmod chown lchown fchown utimens atime mtime times readdir
    setxattr getxattr removexattr listxattr getflags setflags tree mmap fadvise other drop cached`.split(/\s+/);
  expect(Object.keys(CALLS).sort()).toEqual([...calls, "watch", "watched"].sort());
});
