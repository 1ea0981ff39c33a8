/**
 * What aufs refuses, and what it tells: mounts without a writable branch, branches that cannot be one, read-only branches above writable ones under
 * every policy, whiteouts without a base, and damaged lists of dirren (spec/union.md part B).
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EBADF, EINVAL, ENOENT, EROFS, EXDEV } from "../../sim/core/errno.ts";
import {
  fileHandle,
  type Inode,
  type NewInode,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RENAME_WHITEOUT,
  S_IFDIR,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { code, list, must, put, read } from "./aufs-lab.ts";

const FILE: NewInode = { mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, target: "" };

describe("without a writable branch", () => {
  const lab = new Branches();
  const [a, b] = [lab.branch("a", { f: "a", "d/": "", "d/g": "" }), lab.branch("b", { low: "b", "e/": "" })];
  const { fs, task } = lab.enter(`br:${a}=ro:${b}=ro`);
  const { root } = fs;
  const name = (text: string) => fs.aufs.names.intern(text);
  const at = (text: string): Inode => must(fs.lookup(root, name(text))) as Inode;
  test.each<[string, () => unknown]>([
    ["create", () => fs.create(root, name("new"), FILE)],
    ["mkdir", () => fs.create(root, name("new"), { ...FILE, mode: S_IFDIR | 0o755 })],
    ["tmpfile", () => fs.tmpfile(root, FILE)],
    ["link", () => fs.link(at("f"), root, name("new"))],
    ["unlink", () => fs.unlink(root, name("f"))],
    ["rmdir", () => fs.rmdir(root, name("e"))],
    ["rename", () => fs.rename(root, name("f"), root, name("new"), 0)],
    ["chmod", () => fs.setattr(at("low"), { mode: 0o600 })],
    ["setxattr", () => fs.setxattr(at("f"), "user.a", new Uint8Array(1), 0)],
  ])("%s is EROFS, and nothing changes", (_name, call) => {
    expect(call()).toBe(EROFS);
    fs.check();
    expect([list(task, "/"), list(task, "/d"), read(task, "/low")]).toEqual([["d", "f", "e", "low"], ["g"], "b"]);
  });
});

test.each(["tdp", "rr", "mfs"])(
  "under create=%s nothing of a read-only branch above the writable ones is changed, nor its folders (aufs_permission)",
  (policy) => {
    const lab = new Branches();
    const top = lab.branch("top", { "d/": "", "d/s/": "", f: "top" });
    const low = lab.sized("low", 400, { own: "low" });
    const { task, fs } = lab.enter(`br:${top}=ro+wh:${low}=rw,create=${policy}`);
    const calls = [
      task.open("/d/s/new", O_CREAT | O_WRONLY, 0o644),
      task.chmod("/f", 0o600),
      task.unlink("/f"),
      task.rename("/f", "/g"),
      task.link("/f", "/g"),
      task.truncate("/f", 0),
    ];
    expect(calls.map(code)).toEqual(calls.map(() => "EROFS"));
    expect([read(task, "/f"), code(task.chmod("/own", 0o600))]).toEqual(["top", "ok"]);
    fs.check();
  },
);

/** What a policy itself says of a new name whose folder only a read-only branch above the writable one has (au_wbr_create_*). */
const POLICIES: Readonly<Record<string, string>> = {
  tdp: "EROFS",
  rr: "low",
  mfs: "low",
  "mfsrr:1000": "low",
  "mfsrr:900000000": "low",
  "tdmfs:1000": "low",
  "tdmfs:900000000": "low",
  pmfs: "EROFS",
  "pmfsrr:1000": "EROFS",
  "pmfsrr:900000000": "EROFS",
};

test.each(Object.entries(POLICIES))(
  "create=%s chooses for a folder of a read-only branch above a writable one: %s",
  (policy, told) => {
    const lab = new Branches();
    const { fs } = lab.enter(`br:${lab.branch("top", { "d/": "" })}=ro+wh:${lab.sized("low", 400)}=rw,create=${policy}`);
    const folder = must(fs.lookup(fs.root, fs.aufs.names.intern("d"))) as Inode;
    const made = fs.create(folder, fs.aufs.names.intern("new"), FILE);
    expect(typeof made === "number" ? lab.having("/d/new").join() : (made as { code: string }).code).toBe(told);
    fs.check();
  },
);

test("branches that cannot be one are refused: a file, a path that is empty, another aufs", () => {
  const lab = new Branches();
  const a = lab.branch("a", { f: "" });
  const refused = (options: string): unknown => (lab.tryMount(options) as { errno?: { code: string } }).errno?.code;
  expect(refused(`br:${a}=rw:${a}/f=ro`)).toBe("EINVAL");
  expect(refused(`br:${a}=rw:=ro`)).toBe("EINVAL");
  expect(refused("br::")).toBe("EINVAL");
  const { path } = lab.enter(`br:${a}=rw`);
  expect(refused(`br:${lab.branch("b")}=rw:${path}=ro`)).toBe("EINVAL");
  expect(refused(`br:${lab.branch("c")}=rw,create=nonsense`)).toBe("EINVAL");
});

test("something else under the name of an own entry is EINVAL; what there is no use for is taken away (au_wh_init_rw, au_wh_clean)", () => {
  const lab = new Branches();
  const refused = (options: string): unknown => lab.tryMount(options);
  for (const [at, own] of [".wh..wh.aufs/", ".wh..wh.plnk", ".wh..wh.orph"].entries()) {
    expect(refused(`br:${lab.branch(`x${at}`, { [own]: "" })}=rw`)).toMatchObject({
      errno: { code: "EINVAL" },
      message: `aufs: an error(-17) on the writable branch /b/x${at}`,
    });
  }
  const a = lab.branch("a", { ".wh..wh.aufs": "", ".wh..wh.plnk/": "" });
  lab.enter(`br:${a}=rw+nolwh,noplink`);
  expect(list(lab.task, a)).toEqual([".wh..wh.orph"]);
  const b = lab.branch("b", { ".wh..wh.plnk/": "", ".wh..wh.plnk/1.2": "" });
  lab.enter(`br:${b}=rw,noplink`);
  expect(lab.having("/.wh..wh.plnk")).toContain("b");
});

test("a branch on an overlay is EINVAL, as one on another aufs is, each in its own words", () => {
  const lab = new Branches();
  for (const name of ["l", "u", "w"]) lab.branch(name);
  must(lab.task.mkdir("/o", 0o755));
  const options = "lowerdir=/b/l,upperdir=/b/u,workdir=/b/w";
  expect(lab.host.mount({ type: "overlay", source: "o", target: "/o", options })).toBeUndefined();
  expect(lab.tryMount("br:/o=rw")).toMatchObject({ errno: EINVAL, message: "aufs: already stacked, /o (overlay)" });
});

test("a branch that is written no more loses aufs's own entries, as far as they are still there", () => {
  const lab = new Branches();
  const [a, b] = [lab.branch("a"), lab.branch("b", { f: "" })];
  const { path, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
  must(lab.task.unlink("/b/b/.wh..wh.aufs"));
  must(lab.task.rmdir("/b/b/.wh..wh.orph"));
  expect(lab.host.remount(path, `mod:${b}=ro`)).toBeUndefined();
  expect(list(lab.task, "/b/b")).toEqual(["f"]);
  fs.check();
});

test("whiteouts are files for themselves where a branch has no base for them (rw+nolwh)", () => {
  const lab = new Branches();
  const low = lab.branch("low", { f: "", g: "", "d/": "", "d/h": "" });
  const { task, fs } = lab.enter(`br:${lab.branch("a")}=rw+nolwh:${low}=ro+wh`);
  for (const path of ["/f", "/g", "/d/h"]) must(task.unlink(path));
  expect(must(lab.task.lstat("/b/a/.wh.f"))).toMatchObject({ nlink: 1, size: 0, mode: S_IFREG | 0o444 });
  expect([lab.having("/.wh..wh.aufs"), list(task, "/"), list(task, "/d")]).toEqual([[], ["d"], []]);
  must(task.rmdir("/d"));
  fs.check();
});

test("a rename that the VFS would not make is refused, or nothing to do", () => {
  const lab = new Branches();
  const { fs } = lab.enter(`br:${lab.branch("a", { f: "", g: "" })}=rw`);
  const { root } = fs;
  const name = (text: string) => fs.aufs.names.intern(text);
  expect(fs.rename(root, name("f"), root, name("new"), RENAME_WHITEOUT)).toBe(EINVAL);
  expect(fs.rename(root, name("none"), root, name("new"), 0)).toBe(ENOENT);
  expect(fs.rename(root, name("f"), root, name("f"), 0)).toBeUndefined();
  expect([fs.unlink(root, name("none")), fs.rmdir(root, name("none"))]).toEqual([ENOENT, ENOENT]);
  fs.check();
});

test("extents are shared only within the filesystem of one branch, and not by a file that is not open to the branch (O_PATH of a folder)", () => {
  const lab = new Branches();
  const [a, b] = [lab.sized("a", 400), lab.sized("b", 400, { f: "x", "d/": "" })];
  const { fs, task } = lab.enter(`br:${a}=rw:${b}=ro+wh`);
  put(task, "/own", "y");
  const open = (path: string, flags: number): number => {
    const file = must(task.files.file(must(task.open(path, flags)))) as { handle: number };
    return file.handle;
  };
  const [own, low, folder] = [open("/own", O_RDWR), open("/f", O_RDONLY), open("/d", O_RDONLY)];
  expect(fs.clone(fileHandle(low), 0, fileHandle(own), 0, 0)).toBe(EXDEV);
  expect(fs.clone(fileHandle(folder), 0, fileHandle(own), 0, 0)).toBe(EBADF);
  expect(fs.clone(fileHandle(own), 0, fileHandle(folder), 0, 0)).toBe(EBADF);
  expect([
    fs.read(fileHandle(folder), 0, 1),
    fs.fallocate(fileHandle(folder), 0, 0, 1),
    fs.cachedPages(fileHandle(folder)),
  ]).toEqual([EBADF, EBADF, 0]);
  fs.dropPages(fileHandle(folder));
  fs.check();
});

test("who listens is told of copies and whiteouts by the paths in the union, of a file that has none any more by no path", () => {
  const lab = new Branches();
  const low = lab.branch("low", { f: "12345", g: "", "d/": "", "d/s": "67" });
  const { task, fs } = lab.enter(`br:${lab.branch("a")}=rw:${low}=ro+wh`);
  const heard: unknown[] = [];
  lab.host.events.subscribe(({ event }) => {
    if (event.op === "copyUp") heard.push([event.path, event.kind, event.bytes]);
    if (event.op === "whiteout") heard.push([event.path]);
  });
  must(task.chmod("/f", 0o600));
  must(task.chmod("/d/s", 0o600));
  must(task.unlink("/d/s"));
  const fd = must(task.open("/g", O_RDWR));
  must(task.unlink("/g"));
  must(task.pwrite(fd, Content.text("late"), 0));
  must(task.close(fd));
  expect(heard).toEqual([["/f", "file", 5], ["/d", "directory", 0], ["/d/s", "file", 2], ["/d/s"], ["/g"], ["", "file", 0]]);
  fs.check();
});

test("with the option acl a list set on a lower file lies on the copy, without it there are none; where nothing can be written it is EROFS", () => {
  const lab = new Branches();
  const low = lab.branch("low", { f: "x", g: "y" });
  // user::rwx, user:7:r--, group::r-x, mask::r-x, other::r-x.
  const list = Uint8Array.from(
    "0200000001000700ffffffff02000400070000000400 0500ffffffff10000500ffffffff20000500ffffffff"
      .replaceAll(" ", "")
      .match(/../g)
      ?.map((byte) => Number.parseInt(byte, 16)) ?? [],
  );
  const name = "system.posix_acl_access";
  const { task, fs } = lab.enter(`br:${lab.branch("a")}=rw:${low}=ro+wh,acl`);
  must(task.setxattr("/f", name, list));
  expect([
    must(task.getxattr("/f", name)),
    must(lab.task.getxattr("/b/a/f", name)),
    code(lab.task.getxattr("/b/low/f", name)),
  ]).toEqual([list, list, "ENODATA"]);
  fs.check();
  expect(code(lab.enter(`br:${lab.branch("b")}=rw:${low}=ro+wh`).task.setxattr("/g", name, list))).toBe("ENOTSUP");
  const bare = lab.enter(`br:${low}=ro:${lab.branch("c")}=rw,acl`);
  const file = must(bare.fs.lookup(bare.fs.root, bare.fs.aufs.names.intern("g"))) as Inode;
  expect(bare.fs.setAcl?.(file, "access", [], 0o600)).toBe(EROFS);
});
