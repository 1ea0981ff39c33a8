/** aufs whose branches change by remount, and options that Docker never used (spec/union.md part B, sections 10 to 15). */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { Branches } from "./aufs-branches-lab.ts";
import { code, list, must, put, read } from "./aufs-lab.ts";

describe("10: branches come, go and change by remount", () => {
  test("prepend, ins, add and append put a branch at their places, whose names show from then on", () => {
    const lab = new Branches();
    const { path, task, fs } = lab.enter(`br:${lab.branch("a", { f: "a" })}=rw:${lab.branch("z", { f: "z", z: "" })}=ro`);
    expect(read(task, "/f")).toBe("a");
    const folder = (name: string): string => lab.branch(name, { f: name, [name]: "" });
    const changes = [
      `ins:1:${folder("i")}=rw`,
      `append:${folder("e")}`,
      `add=0:${folder("p")}=ro+wh`,
      `prepend:${folder("t")}=rw`,
    ];
    expect(lab.host.remount(path, changes.join())).toBeUndefined();
    expect(fs.aufs.branches.map((branch) => branch.path)).toEqual(["/b/t", "/b/p", "/b/a", "/b/i", "/b/z", "/b/e"]);
    expect([read(task, "/f"), (list(task, "/") as string[]).sort()]).toEqual(["t", ["e", "f", "i", "p", "t", "z"]]);
    fs.check();
  });

  test("a bad index is EDOM, one branch too many ENOSPC, one within another EINVAL; a branch that is there already is taken for done", () => {
    const lab = new Branches();
    const { path, fs } = lab.enter(`br:${lab.branch("a", { "in/": "" })}=rw`);
    const refused = (options: string): unknown => lab.host.remount(path, options);
    const more = lab.branch("more");
    expect(refused(`add:2:${more}`)).toMatchObject({ errno: { code: "EDOM" } });
    expect(refused(`add:-1:${more}`)).toMatchObject({ errno: { code: "EDOM" } });
    expect(refused(`add:127:${more}`)).toMatchObject({ errno: { code: "ENOSPC" } });
    expect(refused("append:/b/a/in")).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused("append:/none")).toMatchObject({ errno: { code: "EINVAL" } });
    expect(refused("append:")).toMatchObject({ errno: { code: "EINVAL" } });
    // What is looked up when the options are read keeps its error (au_fsctx_parse_del, au_fsctx_parse_mod).
    expect(["del:/none", "mod:/none=ro"].map(refused)).toMatchObject([
      { errno: { code: "ENOENT" } },
      { errno: { code: "ENOENT" } },
    ]);
    expect([refused("append:/b/a=ro"), refused(`del:${more}`), refused(`mod:${more}=rw`), fs.aufs.branches.length]).toEqual([
      undefined,
      undefined,
      undefined,
      1,
    ]);
    // What comes before a refused change stays.
    expect(refused(`append:${more},add:9:${lab.branch("other")}`)).toMatchObject({ errno: { code: "EDOM" } });
    expect(fs.aufs.branches.length).toBe(2);
  });

  test("br in a remount adds at its places what is not there yet (fsctx.c, au_fsctx_parse_br)", () => {
    const lab = new Branches();
    const { path, fs } = lab.enter(`br:${lab.branch("a")}=rw`);
    expect(lab.host.remount(path, `br:${lab.branch("t")}:/b/a:${lab.branch("m")}`)).toBeUndefined();
    expect(fs.aufs.branches.map((branch) => [branch.path, branch.permission.writable])).toEqual([
      ["/b/t", true],
      ["/b/a", true],
      ["/b/m", false],
    ]);
  });

  test("noplink in a remount takes the folder of pseudo-links away, plink makes it (au_opts_verify, au_wh_init)", () => {
    const lab = new Branches();
    const { path } = lab.enter(`br:${lab.branch("a")}=rw`);
    const folder = (options: string): string[] => {
      expect(lab.host.remount(path, options)).toBeUndefined();
      return lab.having("/.wh..wh.plnk");
    };
    expect(["noplink", "sum", "plink"].map(folder)).toEqual([[], [], ["a"]]);
  });

  test("maps of inode numbers are cut of branches that there are, and are made outside (au_fsctx_parse_xino, _itrunc)", () => {
    const lab = new Branches();
    const { path } = lab.enter(`br:${lab.branch("a", { "d/": "" })}=rw:${lab.branch("b")}=ro`);
    const refused = (options: string): unknown => lab.host.remount(path, options)?.message;
    expect(["itrunc_xino=1", "trunc_xino=/b/b", "xino=/b/x"].map(refused)).toEqual([undefined, undefined, undefined]);
    expect(["itrunc_xino=2", "itrunc_xino=-1", "trunc_xino=/b/a/d", "trunc_xino=/none", `xino=${path}/d/x`].map(refused)).toEqual(
      [
        "aufs: out of bounds, 2",
        "aufs: out of bounds, -1",
        "aufs: no such branch /b/a/d",
        "aufs: lookup failed /none (-2)",
        `aufs: ${path}/d/x must be outside`,
      ],
    );
  });

  test("a mount's own options may end with such changes, and fail with them; they alone can make one", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b", { f: "b" })];
    expect(read(lab.enter(`br:${a}=rw,append:${b}=ro`).task, "/f")).toBe("b");
    const { fs } = lab.enter(`append:${b},prepend:${a},add:1:${lab.branch("m")}=ro+wh,mod:${b}=ro+wh`);
    expect(fs.aufs.branches.map((branch) => [branch.path, branch.permission.whiteouts])).toEqual([
      ["/b/a", true],
      ["/b/m", true],
      ["/b/b", true],
    ]);
    const less = lab.enter(`br:${a}:${b},del:${a}`);
    expect([list(less.task, "/"), code(less.task.mkdir("/d"))]).toEqual([["f"], "EROFS"]);
    expect(lab.tryMount(`br:${lab.branch("c")}=rw,add:7:${b}`)).toMatchObject({ errno: { code: "EDOM" } });
  });

  test("del takes a branch's names away; the last branch, and one whose file is open or is somebody's folder, are EBUSY", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b", { f: "b", "d/": "", "d/g": "", both: "" })];
    const c = lab.branch("c", { both: "", f: "c", "d/": "" });
    const { path, task, fs } = lab.enter(`br:${a}=rw:${b}=rw:${c}=ro+wh`);
    const fd = must(task.open("/f", O_RDONLY));
    expect(lab.host.remount(path, `del:${b}`)).toMatchObject({ errno: { code: "EBUSY" } });
    must(task.close(fd));
    const folder = must(task.open("/d", O_RDONLY));
    expect(lab.host.remount(path, `del:${b}`)).toMatchObject({ errno: { code: "EBUSY" } });
    must(task.close(folder));
    expect(read(task, "/d/g")).toBe("");
    expect(lab.host.remount(path, `del:${b}`)).toBeUndefined();
    expect([read(task, "/f"), list(task, "/d"), list(task, "/")]).toEqual(["c", [], ["d", "f", "both"]]);
    fs.check();
    expect(lab.host.remount(path, `del:${c}`)).toBeUndefined();
    expect([list(task, "/"), lab.host.remount(path, `del:${a}`)]).toEqual([
      [],
      expect.objectContaining({ message: "aufs: no more branches left" }),
    ]);
  });

  test("a folder that is open or where somebody is stays itself when another of its branches goes", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a", { "d/": "", "d/f": "a" }), lab.branch("b", { "d/": "", "d/g": "b" })];
    const { path, task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    const inside = must(lab.task.chroot(path));
    must(inside.chdir("/d"));
    const number = must(task.stat("/d")).inodeNumber;
    expect(lab.host.remount(path, `del:${b}`)).toBeUndefined();
    expect([list(inside, "."), must(inside.stat(".")).inodeNumber]).toEqual([["f"], number]);
    fs.check();
  });

  test("mod from rw to ro takes aufs's own entries away; a file open for writing is copied up by its next write", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b", { f: "old" })];
    const { path, task, fs } = lab.enter(`br:${a}=rw:${b}=rw`);
    expect(lab.having("/.wh..wh.aufs")).toEqual(["a", "b"]);
    const fd = must(task.open("/f", O_WRONLY));
    must(task.pwrite(fd, Content.text("1"), 0));
    expect(lab.host.remount(path, `mod:${b}=ro+wh`)).toBeUndefined();
    expect([lab.having("/.wh..wh.aufs"), lab.having("/.wh..wh.plnk"), lab.having("/.wh..wh.orph")]).toEqual([
      ["a"],
      ["a"],
      ["a"],
    ]);
    must(task.pwrite(fd, Content.text("2"), 1));
    expect([read(lab.task, "/b/a/f"), read(lab.task, "/b/b/f")]).toEqual(["12d", "1ld"]);
    must(task.close(fd));
    fs.check();
  });

  test("mod from ro to rw lets what is there be written in place, also by who had it open", () => {
    const lab = new Branches();
    const [a, b] = [lab.branch("a"), lab.branch("b", { f: "old" })];
    const { path, task, fs } = lab.enter(`br:${a}=rw:${b}=ro+wh`);
    const fd = must(task.open("/f", O_RDWR));
    expect(lab.host.remount(path, `mod:${b}=rw`)).toBeUndefined();
    must(task.pwrite(fd, Content.text("new"), 0));
    expect([lab.having("/f"), read(lab.task, "/b/b/f"), fs.counters.copyUps]).toEqual([["b"], "new", 0]);
    must(task.close(fd));
    fs.check();
  });

  test("mod to plain ro stops whiteouts from counting", () => {
    const lab = new Branches();
    const { path, task, fs } = lab.enter(
      `br:${lab.branch("a")}=rw:${lab.branch("m", { ".wh.f": "" })}=ro+wh:${lab.branch("z", { f: "z" })}=ro`,
    );
    expect(read(task, "/f")).toBe("ENOENT");
    expect(lab.host.remount(path, "mod:/b/m=ro")).toBeUndefined();
    expect(read(task, "/f")).toBe("z");
    fs.check();
  });

  test("a writable branch on a read-only mount is EINVAL", () => {
    const lab = new Branches();
    must(lab.task.mkdir("/b/r", 0o755));
    expect(lab.host.mount({ type: "tmpfs", source: "t", target: "/b/r", options: "ro" })).toBeUndefined();
    expect(lab.tryMount("br:/b/r=rw")).toMatchObject({ errno: { code: "EINVAL" } });
    const { path } = lab.enter(`br:${lab.branch("a")}=rw:/b/r=ro`);
    expect(lab.host.remount(path, "mod:/b/r=rw")).toMatchObject({ errno: { code: "EINVAL" } });
  });

  test("hard links and their counts outlive a change of branches", () => {
    const lab = new Branches();
    const low = lab.branch("low", { h: "old", "d/": "" });
    for (const name of ["h2", "h3", "d/h4"]) must(lab.task.link(`${low}/h`, `${low}/${name}`));
    const { path, task, fs } = lab.enter(`br:${lab.branch("a")}=rw:${low}=ro+wh`);
    put(task, "/h", "new");
    must(task.unlink("/h3"));
    const held = must(task.open("/d/h4", O_RDONLY));
    for (const more of [`append:${lab.branch("more")}=rw`, `ins:1:${lab.branch("between")}=ro`]) {
      expect(lab.host.remount(path, more)).toBeUndefined();
      expect([read(task, "/h2"), must(task.stat("/h2")).nlink, must(task.pread(held, 9, 0)).toText()]).toEqual(["new", 3, "new"]);
      fs.check();
    }
    must(task.close(held));
  });

  test("options change too", () => {
    const lab = new Branches();
    const { path, task } = lab.enter(`br:${lab.branch("a")}=rw:${lab.branch("b")}=rw`);
    expect(lab.host.remount(path, "create=rr,diropq=a")).toBeUndefined();
    expect(lab.placed(task, "", ["1", "2"])).toEqual(["b", "a"]);
    expect(lab.host.remount(path, "colour=red")).toMatchObject({ errno: { code: "EINVAL" } });
  });
});

describe("options that Docker never used", () => {
  test("14: sum adds the filesystems of all branches, each once, in the smallest block size", () => {
    const lab = new Branches();
    const [a, b] = [lab.sized("a", 400), lab.sized("b", 800, { "one/": "", "two/": "" })];
    const of = (options: string): number => must(lab.enter(options).task.statfs("/")).blocks;
    expect(of(`br:${a}=rw:${b}/one=ro:${b}/two=ro`)).toBe(100);
    expect(of(`br:${a}=rw:${b}/one=ro:${b}/two=ro,sum`)).toBe(300);
  });

  test("11: shwh lists whiteouts behind the names, and lets them be looked up", () => {
    const lab = new Branches();
    const [mid, low] = [lab.branch("mid", { ".wh.f": "", g: "" }), lab.branch("low", { f: "x" })];
    const { task, fs } = lab.enter(`br:${mid}=ro+wh:${low}=ro+wh,shwh`);
    expect([list(task, "/"), read(task, "/f"), code(task.stat("/.wh.f")), code(task.stat("/.wh.g"))]).toEqual([
      ["g", ".wh.f"],
      "ENOENT",
      "ok",
      "ENOENT",
    ]);
    fs.check();
    expect(code(lab.enter(`br:${mid}=ro+wh:${low}=ro+wh`).task.stat("/.wh.f"))).toBe("EPERM");
  });

  test("11: shwh on a writable mount shows the whiteouts that the mount itself makes and takes away", () => {
    const lab = new Branches();
    const { task, fs } = lab.enter(`br:${lab.branch("up")}=rw:${lab.branch("low", { f: "x", "d/": "", "d/g": "" })}=ro+wh,shwh`);
    const seen = (...paths: string[]): string[] => {
      fs.check();
      return paths.map((path) => code(task.lstat(path)));
    };
    expect(seen("/.wh.f", "/d/.wh.g")).toEqual(["ENOENT", "ENOENT"]);
    for (const path of ["/f", "/d/g"]) must(task.unlink(path));
    expect(seen("/.wh.f", "/d/.wh.g")).toEqual(["ok", "ok"]);
    const held = must(task.open("/.wh.f", O_RDONLY)) as number;
    put(task, "/f", "new");
    must(task.rmdir("/d"));
    expect(seen("/.wh.f", "/.wh.d")).toEqual(["ENOENT", "ok"]);
    must(task.mkdir("/d", 0o755));
    expect([seen("/.wh.d", "/d/.wh..wh..opq", "/d/.wh.g"), must(task.pread(held, 4, 0))]).toEqual([
      ["ENOENT", "ok", "ENOENT"],
      Content.literal(new Uint8Array(0)),
    ]);
    must(task.close(held));
    expect(seen("/f")).toEqual(["ok"]);
  });

  test("15: with dirren a folder is renamed together with what lies below, which the next mount finds too, if it has the option", () => {
    const lab = new Branches();
    const [a, low] = [lab.branch("a"), lab.branch("low", { "d/": "", "d/f": "x", "d/s/": "", "d/s/g": "y" })];
    const options = `br:${a}=rw:${low}=ro+wh`;
    const first = lab.enter(`${options},dirren`);
    expect(read(first.task, "/d/s/g")).toBe("y");
    must(first.task.rename("/d", "/e"));
    must(first.task.rename("/e", "/n"));
    must(first.task.rename("/n/s", "/n/t"));
    put(first.task, "/n/own", "");
    expect([list(first.task, "/"), list(first.task, "/n"), read(first.task, "/n/t/g")]).toEqual([["n"], ["own", "t", "f"], "y"]);
    first.fs.check();
    first.task.exit();
    expect(code(lab.host.unmount(first.path))).toBe("ok");
    expect(lab.having("/.wh..wh.hino")).toEqual(["a"]);
    expect((list(lab.task, "/b/a/n") as string[]).filter((name) => name.startsWith(".wh..wh..dr.3_")).length).toBe(1);
    const again = lab.enter(`${options},dirren`);
    expect([list(again.task, "/n"), read(again.task, "/n/f"), read(again.task, "/n/t/g")]).toEqual([["own", "t", "f"], "x", "y"]);
    again.fs.check();
    again.task.exit();
    expect(code(lab.host.unmount(again.path))).toBe("ok");
    const without = lab.enter(options);
    expect([list(without.task, "/"), list(without.task, "/n")]).toEqual([["n"], ["own", "t"]]);
  });

  test("15: a folder that is renamed back needs no such file any more; elsewhere than beside its old name it loses what lies below", () => {
    const lab = new Branches();
    const [a, low] = [lab.branch("a"), lab.branch("low", { "d/": "", "d/f": "x", "p/": "" })];
    const { task, fs } = lab.enter(`br:${a}=rw:${low}=ro+wh,dirren`);
    must(task.rename("/d", "/e"));
    must(task.rename("/e", "/d"));
    expect([list(task, "/d"), list(lab.task, "/b/a/d"), list(task, "/")]).toEqual([["f"], [], ["d", "p"]]);
    must(task.rename("/d", "/p/d"));
    expect([list(task, "/p/d"), list(task, "/")]).toEqual([[], ["p"]]);
    fs.check();
  });

  test("fhsm and the other attributes that only user space asks for are known", () => {
    const lab = new Branches();
    const { task } = lab.enter(`br:${lab.branch("a")}=rw+fhsm:${lab.branch("b")}=rw+fhsm+unpin+icex,fhsm_sec=30`);
    expect(lab.placed(task, "", ["f"])).toEqual(["a"]);
  });
});
