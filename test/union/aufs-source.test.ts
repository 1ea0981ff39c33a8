/**
 * What aufs 6.1 does by its source where neither spec/union.md nor a recorded trace tells: each test cites the file and the function of fs/aufs.
 */
import { describe, expect, test } from "vitest";
import { compareTimes } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { milliseconds } from "../../sim/core/units.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import {
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  RENAME_EXCHANGE,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import { APPEND_ONLY, IMMUTABLE } from "../../sim/vfs/inode-flags.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { onDisk } from "./aufs-disk-lab.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

const O_TMPFILE = 0o20200000;
const [SEEK_END, SEEK_DATA, SEEK_HOLE] = [2, 3, 4];

describe("f_op.c", () => {
  test("default_llseek: before a file's beginning there is no data, EINVAL, and the hole at its end; of a folder SEEK_END counts from its size", () => {
    const { task } = onDisk("ext4", { f: "text", "d/": "" });
    const fd = must(task.open("/f", O_RDONLY)) as number;
    expect([code(task.lseek(fd, -1, SEEK_DATA)), task.lseek(fd, -1, SEEK_HOLE)]).toEqual(["EINVAL", 4]);
    expect([task.lseek(fd, 2 ** 50, 0), code(task.lseek(fd, 4, SEEK_HOLE))]).toEqual([2 ** 50, "ENXIO"]);
    const folder = must(task.open("/d", O_RDONLY | O_DIRECTORY)) as number;
    expect(task.lseek(folder, -96, SEEK_END)).toBe(4000);
  });

  test("aufs_mmap: a shared mapping of a file that is open for writing copies it up, whatever it may do; any other does not", () => {
    const copies = (flags: number, ...mapping: ["r" | "rw", "shared" | "private"]): number => {
      const lab = new AufsLab();
      const { task, fs } = lab.over([lab.branch("low", { f: "text", empty: "" })]);
      for (const path of ["/f", "/empty"]) must(task.mmap(must(task.open(path, flags)) as number, ...mapping));
      return fs.counters.copyUps;
    };
    expect([copies(O_RDWR, "r", "shared"), copies(O_RDWR, "rw", "shared")]).toEqual([2, 2]);
    expect([copies(O_RDWR, "rw", "private"), copies(O_RDONLY, "r", "shared")]).toEqual([0, 0]);
  });

  test("aufs_fallocate and aufs_setattr: more than the topmost branch's files can have is EFBIG before anything is copied", () => {
    const { lab, task, upper } = onDisk("ext4", { f: "text" });
    const fd = must(task.open("/f", O_RDWR)) as number;
    const answers = [task.truncate("/f", 2 ** 45), task.ftruncate(fd, 2 ** 45), task.fallocate(fd, 0, 2 ** 45, 1)];
    expect([answers.map(code), lab.rows(upper)]).toEqual([["EFBIG", "EFBIG", "EFBIG"], []]);
  });

  test("aufs_file_fop has no remap_file_range: extents are not shared by FICLONE", () => {
    const { task, fs } = onDisk("xfs", { f: "text" });
    put(task, "/g", "");
    const [from, to] = [must(task.open("/f", O_RDONLY)) as number, must(task.open("/g", O_RDWR)) as number];
    expect([code(task.clone(from, to)), task.copyFileRange(from, to, 4), read(task, "/g")]).toEqual(["ENOTSUP", 4, "text"]);
    expect(fs.counters.copyUps).toBe(0);
  });
});

describe("dir.c", () => {
  test("au_do_fsync_dir: the fsync of a folder reaches each writable branch that has it, and no other", () => {
    const lab = new AufsLab();
    const [a, b] = [lab.branch("a", { "d/": "" }), lab.branch("b", { "d/": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${lab.branch("c", { "d/": "", "low/": "" })}=ro`);
    const synced = (path: string): number => {
      const before = fs.counters.fsyncs;
      must(task.fsync(must(task.open(path, O_RDONLY | O_DIRECTORY)) as number));
      return fs.counters.fsyncs - before;
    };
    expect([synced("/d"), synced("/low"), synced("/")]).toEqual([2, 0, 2]);
  });

  test("au_add_nlink: of a filesystem that does not count subdirectories a branch adds its one link", () => {
    const { lab, task, low } = onDisk("btrfs", { "d/": "", "d/s/": "" });
    expect(must(lab.task.stat(`${low}/d`)).nlink).toBe(1);
    must(task.chmod("/d", 0o700));
    expect(must(task.stat("/d")).nlink).toBe(2);
  });
});

describe("times of folders", () => {
  const later = (lab: AufsLab): void => lab.host.clock.advance(milliseconds(20));

  test("cpup.c, au_cpup_single: the folder into which a further name of a pair comes keeps its times", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "p/": "", "p/a": "x", "q/": "" });
    must(lab.task.link(`${low}/p/a`, `${low}/q/b`));
    const { task, upper } = lab.over([low]);
    must(task.chmod("/q", 0o700));
    later(lab);
    must(task.chmod("/p/a", 0o600));
    const before = must(task.stat("/q"));
    later(lab);
    expect(read(task, "/q/b")).toBe("x");
    const after = must(task.stat("/q"));
    expect(lab.rows(upper)).toContain("/q/b file");
    expect([after.mtime, after.atime]).toEqual([before.mtime, before.atime]);
    expect(compareTimes(after.ctime, before.ctime)).toBeGreaterThan(0);
  });

  test("dir.c, au_dir_ts: a folder that changes on a lower branch is not older on its topmost one, where that is written", () => {
    const changes: readonly ((task: Task) => unknown)[] = [
      (task) => put(task, "/d/new", ""),
      (task) => task.mkdir("/d/new", 0o755),
      (task) => task.unlink("/d/f"),
      (task) => task.rmdir("/d/s"),
      (task) => task.link("/d/f", "/d/g"),
      (task) => task.rename("/d/f", "/d/g"),
      (task) => task.rename("/d/f", "/d/s2/f"),
    ];
    const files = { "d/": "", "d/f": "", "d/s/": "", "d/s2/": "" };
    const moved = (top: string, change: (task: Task) => unknown): number => {
      const lab = new AufsLab();
      const [a, b] = [lab.branch("a", { "d/": "" }), lab.branch("b", files)];
      const { task, fs } = lab.enter(`br:${a}=${top}:${b}=rw,create=rr`);
      const before = must(task.stat("/d")).mtime;
      later(lab);
      must(change(task));
      fs.check();
      const { mtime } = must(task.stat("/d"));
      if (top === "rw") expect(mtime).toEqual(must(lab.task.stat(`${b}/d`)).mtime);
      return Math.sign(compareTimes(mtime, before));
    };
    expect(changes.map((change) => moved("rw", change))).toEqual(changes.map(() => 1));
  });
});

describe("cpup.c", () => {
  test("au_cpup_attr_flags: what is immutable on its branch is so in the union, though chattr is ENOTTY there; nothing of it is copied", () => {
    const immutable = (lab: AufsLab, path: string): unknown =>
      must(lab.task.setFlags(must(lab.task.open(path, O_RDONLY)) as number, IMMUTABLE));
    const { lab, task, upper } = onDisk("ext4", { f: "x", "d/": "", "d/g": "y" }, (laid, low) => {
      for (const name of ["f", "d"]) immutable(laid, `${low}/${name}`);
    });
    const calls = [
      task.open("/f", O_RDWR),
      task.truncate("/f", 0),
      task.chmod("/f", 0o600),
      task.setxattr("/f", "user.a", new Uint8Array(1)),
      task.link("/f", "/h"),
      task.rename("/f", "/h"),
      task.unlink("/f"),
      task.mkdir("/d/s"),
      task.unlink("/d/g"),
      task.rename("/d", "/e"),
    ];
    expect([calls.map(code), lab.rows(upper)]).toEqual([calls.map(() => "EPERM"), []]);
    expect([read(task, "/f"), code(task.getFlags(must(task.open("/f", O_RDONLY)) as number))]).toEqual(["x", "ENOTTY"]);
    // Its copy is, too, so that it can neither get its owner nor be taken away again.
    expect([code(task.chmod("/d/g", 0o600)), lab.rows(upper)]).toEqual(["EIO", []]);
  });

  test("cpup_iattr: what is append-only cannot be copied up either, and its copy stays under the passing name", () => {
    const { lab, task, upper, fs } = onDisk("ext4", { f: "text", "d/": "", "d/s/": "" }, (laid, low) => {
      for (const name of ["f", "d"]) {
        must(laid.task.setFlags(must(laid.task.open(`${low}/${name}`, O_RDONLY)) as number, APPEND_ONLY));
      }
    });
    const fd = must(task.open("/f", O_WRONLY | O_APPEND)) as number;
    const calls = [task.write(fd, Content.text("more")), task.mkdir("/d/new"), task.mkdir("/d/s/new"), task.rename("/d/s", "/s")];
    expect(calls.map(code)).toEqual(["EIO", "EIO", "EIO", "EPERM"]);
    const passing = (list(lab.task, upper) as string[]).filter((name) => !/^[.]wh[.][.]wh[.](aufs|plnk|orph)$/.test(name));
    expect(passing.map((name) => must(lab.task.stat(`${upper}/${name}`)).mode & S_IFMT).sort()).toEqual([
      S_IFDIR,
      S_IFDIR,
      S_IFREG,
    ]);
    expect([read(task, "/f"), lab.rows(upper), must(task.readdir("/")).length]).toEqual(["text", [], 2]);
    fs.check();
  });

  test("au_do_cpup_xattr: an attribute with nothing in it is not copied up", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x" });
    must(lab.task.setxattr(`${low}/f`, "user.empty", new Uint8Array(0)));
    must(lab.task.setxattr(`${low}/f`, "user.full", new Uint8Array(1)));
    const { task } = lab.over([low]);
    expect(must(task.listxattr("/f"))).toEqual(["user.empty", "user.full"]);
    must(task.chmod("/f", 0o600));
    expect(must(task.listxattr("/f"))).toEqual(["user.full"]);
  });

  test("au_do_copy_file: the last block is written though it is all zeros, unless the file ends with it", () => {
    const { lab, task, upper } = onDisk("ext4", { f: "", g: "" }, (laid, low) => {
      must(laid.task.truncate(`${low}/f`, 100_000));
      must(laid.task.truncate(`${low}/g`, 25 * 4096));
    });
    for (const path of ["/f", "/g"]) must(task.chmod(path, 0o600));
    expect(["f", "g"].map((name) => must(lab.task.stat(`${upper}/${name}`)))).toMatchObject([
      { size: 100_000, blocks: 8 },
      { size: 102_400, blocks: 0 },
    ]);
  });

  test("au_clone_or_copy: where extents can be shared, cutting a lower file within a block is EINVAL, and leaves nothing", () => {
    const { lab, task, upper, fs } = onDisk("xfs", { f: "x".repeat(9000), g: "x".repeat(9000), h: "x".repeat(9000) });
    expect([task.truncate("/f", 100), task.truncate("/f", 8193)].map(code)).toEqual(["EINVAL", "EINVAL"]);
    expect([lab.rows(upper), must(task.stat("/f")).size]).toEqual([[], 9000]);
    expect([task.truncate("/f", 4096), task.truncate("/g", 9001), task.truncate("/h", 0)].map(code)).toEqual(["ok", "ok", "ok"]);
    expect([fs.counters.copiedBytes, read(task, "/f")]).toEqual([0, "x".repeat(4096)]);
    fs.check();
  });
});

test("i_op_add.c, aufs_tmpfile: a file without a name goes where the policy puts a new one", () => {
  const lab = new Branches();
  const branches = [lab.sized("a", 400), lab.sized("b", 400)];
  const { task } = lab.enter(`br:${branches.map((path) => `${path}=rw`).join(":")},create=rr`);
  const inodes = (): number[] => branches.map((path) => must(lab.task.statfs(path)).filesFree);
  const taken = (): number[] => {
    const before = inodes();
    must(task.open("/", O_TMPFILE | O_RDWR, 0o600));
    return inodes().map((left, at) => (before[at] ?? 0) - left);
  };
  expect([taken(), taken(), taken()]).toEqual([
    [0, 1],
    [1, 0],
    [0, 1],
  ]);
});

test("f_op.c, aufs_copy_file_range: between branches of two filesystems it is EXDEV, when the target is copied up", () => {
  const lab = new Branches();
  const [a, b] = [lab.sized("a", 400), lab.sized("b", 400, { f: "text", g: "" })];
  const { task, fs } = lab.enter(`br:${a}=rw:${b}=ro+wh`);
  const [from, to] = [must(task.open("/f", O_RDWR)) as number, must(task.open("/g", O_RDWR)) as number];
  expect([code(task.copyFileRange(from, to, 4)), lab.rows(a)]).toEqual(["EXDEV", ["/g file"]]);
  must(task.pwrite(from, Content.text("T"), 0));
  expect([task.copyFileRange(from, to, 4), read(task, "/g")]).toEqual([4, "Text"]);
  fs.check();
});

test("i_op.c, aufs_setattr: a change of owner or size leaves capabilities with nothing in them, a write on the branch takes them away", () => {
  const lab = new Branches();
  const name = "security.capability";
  const low = lab.branch("low", { owner: "x", size: "x", write: "x" });
  for (const file of ["owner", "size", "write"]) must(lab.task.setxattr(`${low}/${file}`, name, new Uint8Array(20).with(3, 2)));
  const { task, fs } = lab.over([low]);
  must(task.chown("/owner", 5, 5));
  must(task.truncate("/size", 0));
  const fd = must(task.open("/write", O_RDWR)) as number;
  must(task.pwrite(fd, Content.text("y"), 0));
  expect(["/owner", "/size", "/write"].map((path) => must(task.listxattr(path)))).toEqual([[name], [name], []]);
  expect(["/owner", "/size", "/write"].map((path) => code(task.getxattr(path, name)))).toEqual(["EINVAL", "EINVAL", "ENODATA"]);
  fs.check();
});

test("i_op.c, au_sxattr: an attribute that the branch refuses is refused after the copy-up, a namespace without a name too", () => {
  const lab = new Branches();
  const { task, upper, fs } = lab.over([lab.branch("low", { a: "", b: "", c: "", d: "" })]);
  const value = Content.text("v").toBytes();
  const calls = [
    task.setxattr("/a", "user.", value),
    task.removexattr("/b", "user."),
    task.setxattr("/c", "nothing.k", value),
    task.getxattr("/d", "user."),
  ];
  expect([calls.map(code), lab.rows(upper)]).toEqual([
    ["EINVAL", "EINVAL", "ENOTSUP", "EINVAL"],
    ["/a file", "/b file", "/c file"],
  ]);
  fs.check();
});

test("i_op.c, h_permission: an access list of a branch is asked, and its default list inherited, though without the option acl no call reaches it", () => {
  const lab = new Branches();
  const low = lab.branch("low", { "d/": "", f: "x" });
  const name = "system.posix_acl_";
  // user::rw-, user:7:rw-, group::r--, mask::rw-, other::r--.
  const list = Uint8Array.from(
    Buffer.from("0200000001000600ffffffff02000600070000000400" + "0400ffffffff10000600ffffffff20000400ffffffff", "hex"),
  );
  must(lab.task.setxattr(`${low}/f`, `${name}access`, list));
  must(lab.task.setxattr(`${low}/d`, `${name}default`, list));
  const { task, fs } = lab.enter(`br:${lab.branch("up")}=rw:${low}=ro+wh,dirperm1`);
  const writes = (who: number): string => code(task.withCredentials(credentialsOf(who, who)).open("/f", O_RDWR));
  expect([writes(7), writes(8), code(task.getxattr("/f", `${name}access`))]).toEqual(["ok", "EACCES", "ENOTSUP"]);
  // The umask counts too, since the mount itself keeps no lists.
  task.umask = 0o022;
  must(task.close(must(task.open("/d/new", O_CREAT | O_RDWR, 0o666)) as number));
  must(task.mkdir("/d/sub", 0o777));
  must(task.chmod("/f", 0o600));
  const listed = ["/d/new", "/d/sub", "/f"].map((path) => must(task.listxattr(path)).map((one) => one.slice(name.length)));
  expect(listed).toEqual([["access"], ["access", "default"], ["access"]]);
  expect(["/d/new", "/d/sub", "/f"].map((path) => (must(task.stat(path)).mode & 0o777).toString(8))).toEqual([
    "644",
    "644",
    "600",
  ]);
  expect(writes(7)).toBe("EACCES");
  fs.check();
});

test("i_op_add.c, i_op_del.c and i_op_ren.c: entries change on a branch by the permissions of its own folder, not of the topmost alone", () => {
  const lab = new Branches();
  const files = { "d/": "", "d/f": "", "d/s/": "", "d/g": "", "own/": "" };
  const [a, b] = [lab.branch("a", { "d/": "" }), lab.branch("b", files)];
  must(lab.task.chmod(`${a}/d`, 0o777));
  must(lab.task.chmod(`${b}/own`, 0o777));
  must(lab.task.chown(`${b}/d/g`, 1000, 1000));
  const { task, fs } = lab.enter(`br:${a}=rw:${b}=rw,create=rr,dirperm1`);
  const other = task.withCredentials(credentialsOf(1000, 1000));
  const calls = (): string[] =>
    [
      other.mkdir("/d/new", 0o755),
      other.open("/d/file", O_CREAT | O_RDWR, 0o644),
      other.open("/d", O_TMPFILE | O_RDWR, 0o600),
      other.link("/d/g", "/d/h"),
      other.unlink("/d/f"),
      other.rmdir("/d/s"),
      other.rename("/d/g", "/d/i"),
      other.rename("/d/g", "/own/g"),
      other.rename("/d/g", "/own", RENAME_EXCHANGE),
    ].map(code);
  // The lower branch is the one whose turn it is, and the third time the upper one.
  expect(calls()).toEqual("EACCES EACCES ok EACCES EACCES EACCES EACCES EACCES EACCES".split(" "));
  fs.check();
  must(lab.task.chmod(`${b}/d`, 0o777));
  expect(calls().slice(3, 7)).toEqual(["ok", "ok", "ok", "ok"]);
  fs.check();
});
