/** Statements of spec/union.md, parts B and D, that a recorded trace alone held: each test cites its paragraph. */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EMLINK } from "../../sim/core/errno.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_RDONLY, O_RDWR, RENAME_EXCHANGE, S_IFCHR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { onDisk } from "./aufs-disk-lab.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

const links = (task: Task, path: string): number => must(task.stat(path)).nlink;

describe("union.md B.11 and B.12: names and lookup", () => {
  test("B.12: a mark of an opaque folder counts only in a branch where whiteouts do", () => {
    const lab = new AufsLab();
    const [mid, low] = [
      lab.branch("mid", { "d/": "", "d/.wh..wh..opq": "", "d/m": "" }),
      lab.branch("low", { "d/": "", "d/l": "" }),
    ];
    const seen = (permission: string): unknown =>
      list(lab.enter(`br:${lab.branch(`rw${permission}`)}=rw:${mid}=${permission}:${low}=ro`).task, "/d");
    expect([seen("ro+wh"), seen("ro")]).toEqual([["m"], ["m", "l"]]);
  });

  test("B.11: a name that is too long to be reached is listed without its type", () => {
    const lab = new AufsLab();
    const long = "n".repeat(243);
    const { task } = lab.over([lab.branch("low", { [long]: "x", f: "x" })]);
    const types = new Map(must(task.readdir("/")).map(({ name, type }) => [name.length, type]));
    expect([types.get(243), types.get(1)]).toEqual([0, 0o100000]);
  });

  test("B.11: a base that can have no more links is made anew for the whiteouts that follow (whout.c, link_or_create_wh, reinit_br_wh)", () => {
    const files = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, ""]));
    const { lab, task, upper, fs } = onDisk("ext4", files);
    must(task.unlink("/a"));
    const first = must(lab.task.stat(`${upper}/.wh.a`)).inodeNumber;
    const branch = fs.aufs.upperAt(0);
    const { link } = branch.fs;
    const base = fs.aufs.ownOn(0).whiteoutBase;
    // The filesystem of the branch takes no further link of the first base.
    branch.fs.link = (source, directory, name) => (source === base ? EMLINK : link.call(branch.fs, source, directory, name));
    for (const name of ["b", "c", "d"]) must(task.unlink(`/${name}`));
    const [b, c, d] = ["b", "c", "d"].map((name) => must(lab.task.stat(`${upper}/.wh.${name}`)));
    expect([b?.nlink, c?.inodeNumber === d?.inodeNumber, c?.nlink]).toEqual([1, true, 3]);
    expect(must(lab.task.stat(`${upper}/.wh..wh.aufs`)).inodeNumber).toBe(c?.inodeNumber);
    expect([first === c?.inodeNumber, list(task, "/")]).toEqual([false, []]);
    fs.check();
  });

  test("D: devices 0/0 and attributes of overlayfs are like any other", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "d/": "", "d/f": "x" });
    must(lab.task.mknod(`${low}/c`, S_IFCHR | 0o644, 0));
    must(lab.task.setxattr(`${low}/d`, "trusted.overlay.opaque", new Uint8Array([0x79])));
    const { task, upper } = lab.over([lab.branch("mid", { "d/": "", "d/g": "" }), low]);
    expect([list(task, "/"), list(task, "/d")]).toEqual([
      ["d", "c"],
      ["g", "f"],
    ]);
    must(task.chmod("/c", 0o600));
    must(task.chmod("/d/f", 0o600));
    expect(must(lab.task.lstat(`${upper}/c`)).mode & 0o170000).toBe(S_IFCHR);
    must(task.setxattr("/d", "trusted.overlay.metacopy", new Uint8Array(1)));
    expect(must(task.listxattr("/d"))).toEqual(["trusted.overlay.metacopy"]);
  });
});

describe("union.md B.14 and B.15: whiteouts and marks", () => {
  test("B.14: a name that is made again over the middle branch's whiteout leaves none when it goes", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("mid", { ".wh.f": "" }), lab.branch("low", { f: "x" })]);
    put(task, "/f", "y");
    must(task.unlink("/f"));
    expect([lab.rows(upper), read(task, "/f")]).toEqual([[], "ENOENT"]);
  });

  test("D: a folder that moves is opaque where its new name was whiteouted or lies below, not for a merged folder around it", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "p/": "", "p/f": "", "p/e/": "", g: "" })]);
    for (const name of ["a", "b", "c", "d"]) must(task.mkdir(`/${name}`, 0o755));
    must(task.unlink("/g"));
    must(task.rename("/a", "/p/new"));
    must(task.rename("/b", "/g"));
    must(task.rename("/c", "/p/e"));
    must(task.rename("/d", "/x"));
    must(task.rename("/x", "/d"));
    expect(lab.rows(upper)).toEqual(["/d dir", "/g dir opaque", "/p dir", "/p/e dir opaque", "/p/new dir"]);
  });

  test("D: a rename of one name onto another of the same inode does nothing, before and after a copy-up", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "x" });
    must(lab.task.link(`${low}/a`, `${low}/b`));
    const { task, upper } = lab.over([low]);
    expect([code(task.rename("/a", "/b")), lab.rows(upper)]).toEqual(["ok", []]);
    must(task.chmod("/a", 0o600));
    expect([code(task.rename("/a", "/b")), (list(task, "/") as string[]).sort()]).toEqual(["ok", ["a", "b"]]);
  });
});

describe("union.md D.C7: exchange", () => {
  test("(iii) a folder that may move is exchanged, the other loses what it has below; both are opaque where they had anything below", () => {
    const lab = new AufsLab();
    const { task, upper, fs } = lab.over([lab.branch("low", { "empty/": "", "full/": "", "full/f": "x" })]);
    expect(code(task.rename("/empty", "/full", RENAME_EXCHANGE))).toBe("ok");
    for (const path of ["/empty", "/full"]) must(task.stat(path));
    expect([list(task, "/empty"), list(task, "/full")]).toEqual([[], []]);
    expect(lab.rows(upper)).toEqual(["/empty dir opaque", "/full dir opaque"]);
    fs.check();
  });

  test("(iv) a filled lower folder as the source is EXDEV, and nothing of the two comes up", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { "empty/": "", "full/": "", "full/f": "x", "p/": "", "p/e/": "" })]);
    expect(code(task.rename("/full", "/empty", RENAME_EXCHANGE))).toBe("EXDEV");
    expect(lab.rows(upper)).toEqual([]);
    expect(code(task.rename("/full", "/p/e", RENAME_EXCHANGE))).toBe("EXDEV");
    expect(lab.rows(upper)).toEqual(["/p dir"]);
  });

  test("files within one folder are exchanged, of whichever branch, and no whiteout is made", () => {
    const lab = new AufsLab();
    const { task, upper } = lab.over([lab.branch("low", { a: "A", b: "B" })]);
    expect([code(task.rename("/a", "/b", RENAME_EXCHANGE)), read(task, "/a"), read(task, "/b")]).toEqual(["ok", "B", "A"]);
    expect(lab.rows(upper)).toEqual(["/a file", "/b file"]);
  });
});

describe("union.md B.16 and D.C9: links and attributes", () => {
  test("C9: the root has two links more, for aufs's own folders; whiteouts take none away, a mark cuts the sum", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { "d/": "", "d/1/": "", "d/2/": "", "e/": "" });
    const { task } = lab.over([low]);
    expect([links(task, "/"), links(task, "/d")]).toEqual([6, 4]);
    must(task.rmdir("/d/1"));
    expect(links(task, "/d")).toBe(4);
    must(task.rmdir("/d/2"));
    must(task.rmdir("/d"));
    must(task.mkdir("/d", 0o755));
    must(task.mkdir("/d/own", 0o755));
    expect(links(task, "/d")).toBe(3);
  });

  test("D: of several lower names one that is unlinked leaves the count as it was; once they are copied up it falls", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "x" });
    for (const name of ["b", "c"]) must(lab.task.link(`${low}/a`, `${low}/${name}`));
    const { task } = lab.over([low]);
    must(task.unlink("/a"));
    expect(links(task, "/b")).toBe(3);
    must(task.chmod("/b", 0o600));
    expect([links(task, "/b"), links(task, "/c")]).toEqual([3, 3]);
    must(task.unlink("/b"));
    expect(links(task, "/c")).toBe(2);
  });

  test("cpup.c, au_cpup_attr_nlink: a copy-up keeps the count that stat told last, less the names that went since", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "x", single: "x" });
    for (const name of ["b", "c"]) must(lab.task.link(`${low}/a`, `${low}/${name}`));
    const { task } = lab.over([low]);
    must(task.access("/b", 4));
    must(task.unlink("/a"));
    must(task.chmod("/b", 0o600));
    expect([links(task, "/b"), links(task, "/c")]).toEqual([2, 2]);
    for (const looks of [false, true]) {
      const other = lab.over([low]).task;
      const fd = must(other.open("/single", O_RDWR));
      must(other.unlink("/single"));
      if (looks) expect(must(other.fstat(fd)).nlink).toBe(1);
      must(other.write(fd, Content.text("y")));
      expect(must(other.fstat(fd)).nlink).toBe(looks ? 1 : 0);
    }
  });

  test("i_op_ren.c, au_ren_refresh: what an exchange puts in the source's place has the links that its branch counts", () => {
    const lab = new AufsLab();
    const low = lab.branch("low", { a: "x" });
    must(lab.task.link(`${low}/a`, `${low}/b`));
    const { task } = lab.over([low]);
    put(task, "/own", "own");
    must(task.chmod("/a", 0o600));
    expect(links(task, "/a")).toBe(2);
    must(task.chmod("/b", 0o600));
    must(task.rename("/own", "/a", RENAME_EXCHANGE));
    // Two names, and the one among the pseudo-links.
    expect(links(task, "/own")).toBe(3);
  });

  test("B.16: a folder's mode, owner, size and times are those of its topmost branch", () => {
    const lab = new AufsLab();
    const [mid, low] = [lab.branch("mid", { "d/": "", "d/f": "" }), lab.branch("low", { "d/": "", "d/g": "" })];
    must(lab.task.chown(`${mid}/d`, 7, 8));
    must(lab.task.chmod(`${mid}/d`, 0o711));
    must(lab.task.utimens(`${low}/d`, "NOW", { seconds: 5, nanoseconds: 0 }));
    const { task } = lab.over([mid, low]);
    const { mode, uid, gid, size, mtime, ctime } = must(lab.task.stat(`${mid}/d`));
    expect(must(task.stat("/d"))).toMatchObject({ mode, uid, gid, size, mtime, ctime });
  });

  test("B.16: numbers are given anew in the next mount", () => {
    const lab = new AufsLab();
    const options = `br:${lab.branch("up")}=rw:${lab.branch("low", { a: "", b: "" })}=ro+wh`;
    const numbers = (...paths: readonly string[]): number[] => {
      const { task, path } = lab.enter(options);
      const met = paths.map((one) => must(task.stat(one)).inodeNumber);
      task.exit();
      expect(code(lab.host.unmount(path))).toBe("ok");
      return met;
    };
    expect([numbers("/a", "/b"), numbers("/b", "/a")]).toEqual([
      [11, 12],
      [11, 12],
    ]);
  });

  test("C10: fstat of a folder that was renamed over before it was copied up is ESTALE, of one that was removed not", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { "a/": "", "b/": "", "c/": "" })]);
    const open = (path: string): number => must(task.open(path, O_RDONLY)) as number;
    const [over, gone] = [open("/b"), open("/c")];
    must(task.rename("/a", "/b"));
    must(task.rmdir("/c"));
    expect([code(task.fstat(over)), code(task.fstat(gone))]).toEqual(["ESTALE", "ok"]);
  });

  test("C10: a file that was copied up before it was renamed over has no link", () => {
    const lab = new AufsLab();
    const { task } = lab.over([lab.branch("low", { a: "x", b: "y" })]);
    must(task.chmod("/b", 0o600));
    const fd = must(task.open("/b", O_RDWR)) as number;
    must(task.rename("/a", "/b"));
    expect(must(task.fstat(fd)).nlink).toBe(0);
  });
});

test("union.md D.P: with a folder between that may be searched, what lies further down is not asked", () => {
  const lab = new AufsLab();
  const [mid, low] = [lab.branch("mid", { "d/": "" }), lab.branch("low", { "d/": "", "d/f": "" })];
  must(lab.task.chmod(`${low}/d`, 0o600));
  must(lab.task.chmod(`${mid}/d`, 0o777));
  const { task } = lab.over([mid, low]);
  const other = task.withCredentials(credentialsOf(1000, 1000));
  must(other.mkdir("/d/own"));
  expect([other.rename("/d/own", "/d/o"), other.rmdir("/d/o"), other.unlink("/d/f")].map(code)).toEqual(["ok", "ok", "ok"]);
});
