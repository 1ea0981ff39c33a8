/** Rules of aufs by paragraph of spec/union.md, parts B and D, where the recorded traces do not reach or tell only the outcome. */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_CREAT, O_DIRECT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, RENAME_EXCHANGE, S_IFIFO } from "../../sim/vfs/filesystem.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

describe("10: branches", () => {
  test("the first is writable, others are read-only, and whiteouts in plain ro branches are not looked up", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x", g: "y" });
    const mid = lab.branch("mid", { ".wh.f": "" });
    const { task } = lab.enter(`br:${lab.branch("rw")}:${mid}:${low}`);
    expect(list(task, "/")).toEqual(expect.arrayContaining(["f", "g"]));
    const heeding = lab.enter(`br:${lab.branch("rw2")}=rw:${mid}=ro+wh:${low}=ro+wh`);
    expect(list(heeding.task, "/")).toEqual(["g"]);
    expect(read(heeding.task, "/f")).toBe("ENOENT");
    put(task, "/new", "n");
    expect(lab.rows("/b/rw")).toEqual(["/new file"]);
  });

  test("a directory over a file of a branch below is itself alone", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { d: "file" });
    const { task, fs } = lab.enter(`br:${lab.branch("rw", { "d/": "", "d/x": "x" })}=rw:${low}=ro+wh`);
    expect([list(task, "/d"), list(task, "/")]).toEqual([["x"], ["d"]]);
    expect(must(task.stat("/d")).nlink).toBe(2);
    fs.check();
  });

  test("an unknown permission is ro", () => {
    const lab = new AufsLab();
    const { task } = lab.enter(`br:${lab.branch("a")}=nonsense`);
    expect(code(task.mkdir("/d"))).toBe("EROFS");
  });

  test("127 are the most: one more is ENOSPC", () => {
    const lab = new AufsLab();
    const lowers = Array.from({ length: 127 }, (_, index) => `:${lab.branch(`l${index}`)}=ro+wh`);
    const rw = lab.branch("rw");
    expect(lab.tryMount(`br:${rw}=rw${lowers.join("")}`)).toMatchObject({ errno: { code: "ENOSPC" } });
    expect(typeof lab.tryMount(`br:${rw}=rw${lowers.slice(1).join("")}`)).toBe("string");
  });

  test("a branch twice, one within another, a union as a branch, an unknown option and a folder that is not there are EINVAL", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "in/": "" });
    const rw = lab.branch("rw");
    const refused = (options: string): unknown => lab.tryMount(options);
    expect(refused(`br:${rw}=rw:${low}=ro:${low}=ro`)).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused(`br:${rw}=rw:${low}=ro:${low}/in=ro`)).toMatchObject({ errno: { code: "EINVAL" } });
    const { path } = lab.over([low]);
    expect(refused(`br:${rw}=rw:${path}=ro`)).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused(`br:${rw}=rw,colour=red`)).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused(`br:${rw}=rw:${low}/in=ro:${low}=ro`)).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused(`br:${rw}=rw:/none=ro`)).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused("dirperm1")).toMatchObject({ errno: { code: "EINVAL" } });
  });

  test("without a writable branch everything that writes is EROFS", () => {
    const lab = new AufsLab();
    const { task } = lab.enter(`br:${lab.branch("low", { f: "x", "d/": "" })}=ro+wh`);
    expect(read(task, "/f")).toBe("x");
    const answers = [
      task.mkdir("/n"),
      task.chmod("/f", 0o600),
      task.unlink("/f"),
      task.rmdir("/d"),
      task.rename("/f", "/g"),
      task.link("/f", "/g"),
      task.truncate("/f", 0),
      task.setxattr("/f", "user.a", new Uint8Array(1)),
      task.open("/f", O_WRONLY),
      task.open("/f", O_RDONLY | O_TRUNC),
      task.open("/n", O_CREAT | O_RDONLY),
      task.access("/f", 2),
      task.access("/d", 2),
    ];
    expect(answers.map(code)).toEqual(answers.map(() => "EROFS"));
    // What a device or a pipe takes, no branch sees.
    must(lab.task.mknod("/b/low/p", S_IFIFO | 0o644));
    expect(code(lab.enter("br:/b/low=ro").task.access("/p", 2))).toBe("ok");
  });

  test("a kernel that was built without it does not know the type", async () => {
    const { k6_18 } = await import("../../sim/core/kernel-profile.ts");
    const lab = new AufsLab({ kernel: { ...k6_18, aufs: false } });
    expect(read(lab.task, "/proc/filesystems")).not.toContain("aufs");
    expect(lab.tryMount(`br:${lab.branch("rw")}=rw`)).toMatchObject({ errno: { code: "ENODEV" } });
    expect(read(new AufsLab().task, "/proc/filesystems")).toContain("nodev\taufs\n");
  });
});

describe("11: names", () => {
  test("whiteouts and opaque marks are hard links of one read-only empty file, so that deletions cost no inode", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "", b: "", c: "" });
    const { task, upper } = lab.over([low]);
    const before = must(lab.task.stat(`${upper}/.wh..wh.aufs`));
    expect([before.mode & 0o777, before.nlink, before.size]).toEqual([0o444, 1, 0]);
    for (const name of ["a", "b", "c"]) must(task.unlink(`/${name}`));
    must(task.mkdir("/a"));
    const after = must(lab.task.stat(`${upper}/.wh.b`));
    expect([after.inodeNumber, after.nlink]).toEqual([before.inodeNumber, 4]);
    expect(must(lab.task.stat(`${upper}/a/.wh..wh..opq`)).inodeNumber).toBe(before.inodeNumber);
  });

  test("under rw+nolwh each whiteout is a file of its own", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "", b: "" });
    const { task } = lab.enter(`br:${lab.branch("rw")}=rw+nolwh:${low}=ro+wh`);
    must(task.unlink("/a"));
    must(task.unlink("/b"));
    expect(["a", "b"].map((name) => must(lab.task.stat(`/b/rw/.wh.${name}`)).nlink)).toEqual([1, 1]);
  });

  test("aufs's own folders are 0700, hidden, and used again by the next mount", () => {
    const lab = new AufsLab();
    const rw = lab.branch("rw");
    const first = lab.enter(`br:${rw}=rw`);
    put(first.task, "/f", "x");
    first.task.exit();
    expect(code(lab.host.unmount(first.path))).toBe("ok");
    for (const name of [".wh..wh.plnk", ".wh..wh.orph"]) expect(must(lab.task.stat(`${rw}/${name}`)).mode & 0o777).toBe(0o700);
    const { task } = lab.enter(`br:${rw}=rw`);
    expect(list(task, "/")).toEqual(["f"]);
    expect(must(task.statfs("/"))).toMatchObject({ type: 0x61756673, nameLength: 242 });
  });

  test("a whiteout's name on something that is no file is EIO", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { ".wh.f/": "", f: "x" })]);
    expect(read(task, "/f")).toBe("EIO");
  });
});

describe("12: lookup and permissions", () => {
  test("what is found first fixes the type: directories merge past a file between them", () => {
    const lab = new AufsLab();
    const top = lab.branch("top", { "n/": "", "n/a": "" });
    const mid = lab.branch("mid", { n: "file" });
    const low = lab.branch("low", { "n/": "", "n/b": "" });
    expect(list(lab.over([top, mid, low]).task, "/n")).toEqual(["a", "b"]);
    expect(read(lab.over([mid, top, low]).task, "/n")).toBe("file");
  });

  test("an opaque lower directory ends the merge", () => {
    const lab = new AufsLab();
    const top = lab.branch("top", { "n/": "", "n/a": "", "n/.wh..wh..opq": "" });
    const low = lab.branch("low", { "n/": "", "n/b": "" });
    expect(list(lab.over([top, low]).task, "/n")).toEqual(["a"]);
  });

  test("without dirperm1 every branch's directory must allow reading and searching; the topmost alone tells who may write", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "d/": "", "d/f": "x" });
    must(lab.task.chmod(`${low}/d`, 0o700));
    const asked = (more: string): string[] => {
      const { task } = lab.enter(`br:${lab.branch(`rw${more.slice(1)}`)}=rw:${low}=ro+wh${more}`);
      must(task.chmod("/d", 0o777));
      const other = task.withCredentials(credentialsOf(1000, 1000));
      return [other.stat("/d/f"), other.readdir("/d"), other.access("/d", 2)].map(code);
    };
    expect(asked("")).toEqual(["EACCES", "EACCES", "ok"]);
    expect(asked(",dirperm1")).toEqual(["ok", "ok", "ok"]);
  });

  test("P: of the next lower directory permissions count to remove what the writable branch has, not what lies below alone", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "d/": "", "d/low": "" });
    must(lab.task.chmod(`${low}/d`, 0o700));
    const { task } = lab.over([low]);
    must(task.chmod("/d", 0o777));
    const other = task.withCredentials(credentialsOf(1000, 1000));
    must(other.mkdir("/d/own"));
    expect([other.rmdir("/d/own"), other.rename("/d/own", "/d/o"), other.unlink("/d/low")].map(code)).toEqual([
      "EACCES",
      "EACCES",
      "ok",
    ]);
    // An entry that is not empty is refused for that first.
    must(task.mkdir("/d/own/in"));
    expect(code(other.rmdir("/d/own"))).toBe("ENOTEMPTY");
  });
});

describe("13: copy-up", () => {
  test("truncate copies only what is kept; O_TRUNC nothing; an attribute all", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "x".repeat(9000), b: "x".repeat(9000), c: "x".repeat(9000) });
    const { task, fs } = lab.over([low]);
    must(task.truncate("/a", 100));
    expect([fs.counters.copiedBytes, read(task, "/a")]).toEqual([100, "x".repeat(100)]);
    must(task.truncate("/b", 0));
    expect(fs.counters.copiedBytes).toBe(100);
    must(task.chmod("/c", 0o600));
    expect(fs.counters.copiedBytes).toBe(9100);
  });

  test("open copies nothing, unless the branch is coo_reg or coo_all: files then come up at any open, directories with coo_all", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x", "d/": "" });
    const opened = (attribute: string, path: string, flags: number): number => {
      const { task, fs } = lab.enter(`br:${lab.branch(`rw-${attribute}-${path.slice(1)}-${flags}`)}=rw:${low}=ro+wh${attribute}`);
      must(task.open(path, flags));
      return fs.counters.copyUps;
    };
    expect(["", "+coo_reg", "+coo_all"].map((attribute) => opened(attribute, "/f", O_RDWR))).toEqual([0, 1, 1]);
    expect(["", "+coo_reg", "+coo_all"].map((attribute) => opened(attribute, "/f", O_RDONLY))).toEqual([0, 1, 1]);
    expect(["", "+coo_reg", "+coo_all"].map((attribute) => opened(attribute, "/d", O_RDONLY))).toEqual([0, 0, 1]);
  });

  test("a file that is opened in a writable branch with moo moves to the writable one above; a folder stays", () => {
    const lab = new AufsLab();
    const below = lab.branch("below", { f: "x", "d/": "", "d/g": "y" });
    const { task, fs } = lab.enter(`br:${lab.branch("above")}=rw:${lab.branch("middle")}=ro:${below}=rw+moo`);
    must(task.open("/d", O_RDONLY));
    const fd = must(task.open("/d/g", O_RDONLY));
    expect(must(task.pread(fd, 9, 0)).toText()).toBe("y");
    expect([lab.rows("/b/above"), lab.rows(below)]).toEqual([
      ["/d dir", "/d/g file"],
      ["/d dir", "/f file"],
    ]);
    expect([read(task, "/d/g"), must(task.stat("/d/g")).nlink]).toEqual(["y", 1]);
    fs.check();
  });

  test("an xattr that the branch above cannot take ends the copying, unless icex or its own class is forgiven there", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x" });
    must(lab.task.setxattr(`${low}/f`, "user.long", new Uint8Array(5000), 0));
    must(lab.task.setxattr(`${low}/f`, "user.short", new Uint8Array(3), 0));
    must(lab.task.setxattr(`${low}/f`, "trusted.a", new Uint8Array(3), 0));
    lab.host.addDisk({ size: 64 * 2 ** 20 });
    expect([lab.host.mkfs("ext4", "vda"), lab.task.mkdir("/small", 0o755)]).toEqual([undefined, undefined]);
    expect(lab.host.mount({ type: "ext4", source: "vda", target: "/small" })).toBeUndefined();
    const copied = (attributes: string): unknown => {
      must(lab.task.mkdir(`/small/${attributes}`, 0o755));
      const { task } = lab.enter(`br:/small/${attributes}=rw${attributes}:${low}=ro+wh`);
      const failed = task.chmod("/f", 0o600);
      return failed === undefined ? (lab.task.listxattr(`/small/${attributes}/f`) as string[]).sort() : failed.code;
    };
    expect(["+", "+icexusr", "+icextr", "+icex", "+icexsec+icexsys+icexoth"].map(copied)).toEqual([
      "ENOSPC",
      ["trusted.a", "user.short"],
      "ENOSPC",
      ["trusted.a", "user.short"],
      "ENOSPC",
    ]);
  });

  test("blocks of zeros become holes, and holes stay holes", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "" });
    const fd = must(lab.task.open(`${low}/f`, O_WRONLY));
    must(lab.task.pwrite(fd, Content.text(`${"x".repeat(4096)}${"\0".repeat(8192)}y`), 0));
    must(lab.task.pwrite(fd, Content.text("z"), 1_000_000));
    must(lab.task.close(fd));
    const { task, upper, fs } = lab.over([low]);
    must(task.chmod("/f", 0o600));
    expect(must(lab.task.stat(`${upper}/f`))).toMatchObject({ size: 1_000_001, blocks: 3 * 8 });
    expect(fs.counters.copiedBytes).toBeLessThanOrEqual(3 * 4096);
    expect(read(task, "/f")).toBe(read(lab.task, `${low}/f`));
  });

  test("a failed copy-up leaves nothing but the folders above", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "d/": "", "d/f": "x".repeat(600_000) });
    must(lab.task.mkdir("/small", 0o755));
    expect(lab.host.mount({ type: "tmpfs", source: "t", target: "/small", options: "size=100k" })).toBeUndefined();
    const { task, fs } = lab.enter(`br:/small=rw:${low}=ro+wh`);
    expect(code(task.chmod("/d/f", 0o600))).toBe("ENOSPC");
    expect(lab.rows("/small")).toEqual(["/d dir"]);
    expect(must(task.stat("/d/f")).mode & 0o777).toBe(0o644);
    fs.check();
  });

  test("lower files keep their atime, and what was opened before a copy-up reads it afterwards", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "old" });
    const { task } = lab.over([low]);
    const before = must(lab.task.stat(`${low}/f`)).atime;
    const reader = must(task.open("/f", O_RDONLY));
    lab.host.clock.advance(3_000_000_000 as never);
    must(task.read(reader, 1));
    put(task, "/f", "new");
    expect(must(task.pread(reader, 10, 0)).toText()).toBe("new");
    expect(must(lab.task.stat(`${low}/f`)).atime).toEqual(before);
  });

  test("a file whose folder is gone too is copied up among the orphans, without a name", () => {
    const lab = new AufsLab();
    const { task, upper, fs } = lab.over([lab.branch("low", { "d/": "", "d/f": "old" })]);
    const fd = must(task.open("/d/f", O_RDWR));
    must(task.unlink("/d/f"));
    must(task.rmdir("/d"));
    must(task.pwrite(fd, Content.text("N"), 0));
    expect(must(task.pread(fd, 10, 0)).toText()).toBe("Nld");
    expect(lab.rows(upper)).toEqual(["/d whiteout"]);
    expect(list(lab.task, `${upper}/.wh..wh.orph`)).toEqual([]);
    must(task.close(fd));
    fs.check();
  });

  test("16: O_DIRECT needs the option dio", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x" });
    expect(code(lab.over([low]).task.open("/f", O_RDONLY | O_DIRECT))).toBe("EINVAL");
    expect(code(lab.over([low], ",dio").task.open("/f", O_RDONLY | O_DIRECT))).toBe("ok");
  });
});

describe("14 and 15: create, remove, rename", () => {
  test("diropq=always marks every directory that is made", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low")], ",diropq=always");
    must(task.mkdir("/d"));
    expect(lab.rows(upper)).toEqual(["/d dir opaque"]);
  });

  test("an exchange that nothing copies the source's folder up for is EBUSY, and keeps the target's folder (C7, C8)", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "p/": "", "p/f": "", "q/": "", "q/g": "" })]);
    expect(code(task.rename("/p/f", "/q/g", RENAME_EXCHANGE))).toBe("EBUSY");
    expect(lab.rows(upper)).toEqual(["/q dir"]);
  });

  test("a file that is not on the writable branch is ENOTDIR in an exchange with a folder (C7)", () => {
    const lab = new AufsLab();
    const { task, fs } = lab.over([lab.branch("low", { low: "x" })]);
    put(task, "/f", "x");
    must(task.mkdir("/own", 0o755));
    expect(code(task.rename("/low", "/own", RENAME_EXCHANGE))).toBe("ENOTDIR");
    expect(code(task.rename("/f", "/own", RENAME_EXCHANGE))).toBe("ok");
    expect(read(task, "/own")).toBe("x");
    fs.check();
  });
});

describe("16: inodes, links, listing", () => {
  test("numbers are given as inodes are met, from 11 on; the root has 2; d_ino is st_ino", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { b: "", a: "" })]);
    expect([must(task.stat("/")), must(task.stat("/a")), must(task.stat("/b"))].map((of) => of.inodeNumber)).toEqual([2, 11, 12]);
    const entries = must(task.readdir("/"));
    expect(entries.map(({ name, inodeNumber }) => [name, inodeNumber]).sort()).toEqual([
      ["a", 11],
      ["b", 12],
    ]);
  });

  test("a listing goes through the branches from the top, each name where it is first seen", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { z: "", y: "" });
    const mid = lab.branch("mid", { x: "", z: "" });
    const { task } = lab.over([mid, low]);
    put(task, "/w", "");
    const order = list(task, "/") as string[];
    expect(order[0]).toBe("w");
    expect(order.indexOf("x")).toBeLessThan(order.indexOf("y"));
    expect(order.indexOf("z")).toBeLessThan(order.indexOf("y"));
  });

  test("a pseudo-link is a hard link in its folder, named by the numbers of inode and branch inode", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { h: "x" });
    must(lab.task.link(`${low}/h`, `${low}/h2`));
    const { task, upper } = lab.over([low]);
    must(task.chmod("/h", 0o600));
    const copy = must(lab.task.stat(`${upper}/h`));
    const number = must(task.stat("/h")).inodeNumber;
    expect(list(lab.task, `${upper}/.wh..wh.plnk`)).toEqual([`${number}.${copy.inodeNumber}`]);
    expect([copy.nlink, must(task.stat("/h2")).nlink]).toEqual([2, 2]);
  });

  test("a change by a descriptor brings up the name that was opened, not the one that was walked last (C5)", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { h: "x" });
    must(lab.task.link(`${low}/h`, `${low}/h2`));
    const { task, upper, fs } = lab.over([low]);
    const fd = must(task.open("/h", O_RDONLY)) as number;
    must(task.stat("/h2"));
    must(task.fchmod(fd, 0o600));
    expect(lab.rows(upper)).toEqual(["/h file"]);
    must(task.stat("/h2"));
    must(task.fchown(fd, 7, 7));
    expect(lab.rows(upper)).toEqual(["/h file"]);
    // A name that is gone does not come back.
    must(task.unlink("/h"));
    must(task.fchmod(fd, 0o640));
    expect(lab.rows(upper)).toEqual(["/h whiteout"]);
    expect([must(task.stat("/h2")).mode & 0o777, must(task.fstat(fd)).uid]).toEqual([0o640, 7]);
    fs.check();
  });

  test("under noplink copy-up parts the names", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { h: "old" });
    must(lab.task.link(`${low}/h`, `${low}/h2`));
    const { task, upper } = lab.over([low], ",noplink");
    put(task, "/h", "new");
    expect([read(task, "/h"), read(task, "/h2")]).toEqual(["new", "old"]);
    must(task.link("/h2", "/h3"));
    expect(lab.rows(upper)).toEqual(["/h file", "/h2 file", "/h3 file"]);
  });

  test("mounts over one branch share its pages; a copy has its own", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { f: "x".repeat(40_960) });
    const one = lab.over([low]).task;
    const other = lab.over([low]).task;
    read(one, "/f");
    expect([one.cachedPages("/f"), other.cachedPages("/f")]).toEqual([10, 10]);
    must(one.chmod("/f", 0o600));
    put(one, "/f", "y");
    expect([one.cachedPages("/f"), other.cachedPages("/f")]).toEqual([1, 10]);
  });

  test("special files and links come up as what they are", () => {
    const lab = new AufsLab();
    const low = lab.branch("low");
    must(lab.task.mknod(`${low}/p`, S_IFIFO | 0o644));
    must(lab.task.symlink("p", `${low}/l`));
    const { task, upper } = lab.over([low]);
    must(task.chmod("/p", 0o600));
    must(task.lchown("/l", 5, 5));
    expect(lab.rows(upper)).toEqual(["/l symlink", "/p fifo"]);
    expect(must(lab.task.readlink(`${upper}/l`))).toBe("p");
  });

  test("O_CREAT makes files in the writable branch, in a copy of their lower folder", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "d/": "" })]);
    must(task.open("/d/n", O_CREAT | O_WRONLY));
    expect(lab.rows(upper)).toEqual(["/d dir", "/d/n file"]);
  });
});
