/**
 * Branches that were laid by hand: whiteouts beside what they hide, in branches where they do not count, and names that aufs would not make
 * (spec/union.md B.11, B.12, B.14 and B.16; fs/aufs/dentry.c, vdir.c and dir.c, aufs 6.1).
 */
import { expect, test } from "vitest";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { AufsLab, code, list, must } from "./aufs-lab.ts";

test("union.md B.12: an entry beside its own whiteout in the directory's topmost branch is EIO, in one below it is not there", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "x", ".wh.f": "", "d/": "", "d/f": "x", "d/.wh.f": "" });
  const both = (options = ""): string[] => {
    const { task } = lab.over([low], options);
    return [task.stat("/f"), task.stat("/d/f"), task.mkdir("/d/f"), task.unlink("/d/f")].map(code);
  };
  expect(both()).toEqual(["ENOENT", "EIO", "EIO", "EIO"]);
  expect(both(",udba=reval")).toEqual(["ENOENT", "EIO", "EIO", "EIO"]);
  expect(both(",udba=none").slice(0, 2)).toEqual(["ENOENT", "ENOENT"]);
  const { task } = lab.enter(`br:${lab.branch("up", { f: "x", ".wh.f": "" })}=rw:${low}=ro+wh`);
  expect([task.stat("/f"), task.stat("/none")].map(code)).toEqual(["EIO", "ENOENT"]);
});

test("union.md B.16: whiteouts of the lowest branch that takes part hide nothing in a listing, those of another what comes after", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "x", ".wh.f": "", g: "x", "d/": "", "d/f": "x", "d/.wh.f": "" });
  const { task } = lab.over([low]);
  expect([(list(task, "/") as string[]).sort(), list(task, "/d")]).toEqual([["d", "f", "g"], ["f"]]);
  // In the branch's own order: a name that comes before its whiteout is listed.
  for (const [at, names] of [
    ["f", ".wh.f"],
    [".wh.f", "f"],
  ].entries()) {
    const mid = lab.branch(`mid${at}`, Object.fromEntries(names.map((name) => [name, ""])));
    const isFirst = (list(lab.task, mid) as string[])[0] === "f";
    expect((list(lab.over([mid, low]).task, "/") as string[]).includes("f")).toBe(isFirst);
  }
  const upper = lab.branch("up", { h: "", ".wh.h": "" });
  expect(list(lab.enter(`br:${upper}=rw`).task, "/")).toEqual(["h"]);
});

test("union.md B.14: whiteouts of a branch where they do not count still make a folder one that shows nothing (dir.c, test_empty_cb)", () => {
  const lab = new AufsLab();
  const [mid, low] = [lab.branch("mid", { "d/": "", "d/.wh.f": "" }), lab.branch("low", { "d/": "", "d/f": "x" })];
  const branches = `${mid}=ro:${low}=ro`;
  const { task, fs } = lab.enter(`br:${lab.branch("a")}=rw:${branches}`);
  expect([list(task, "/d"), code(task.rmdir("/d")), list(task, "/")]).toEqual([["f"], "ok", []]);
  fs.check();
  const other = lab.enter(`br:${lab.branch("b", { "d/": "", "d/own": "" })}=rw:${branches}`);
  expect([code(other.task.rmdir("/d")), code(other.task.rename("/d", "/e")), list(other.task, "/e")]).toEqual([
    "ENOTEMPTY",
    "ok",
    ["own"],
  ]);
  other.fs.check();
});

test("union.md B.15: an entry that a whiteout of the same branch covers in vain keeps its folder from being removed and moved", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { "d/": "", "d/f": "x", "d/.wh.f": "" });
  const isCovered = (list(lab.task, `${low}/d`) as string[])[0] === ".wh.f";
  const { task } = lab.over([low]);
  expect([task.rename("/d", "/e"), task.rmdir("/d")].map(code)).toEqual(isCovered ? ["ok", "ENOENT"] : ["EXDEV", "ENOTEMPTY"]);
});

test("union.md B.11: a name that is nothing but the prefix is listed, cannot be reached, and keeps its folder (vdir.c, fillvdir)", () => {
  const lab = new AufsLab();
  const { task } = lab.over([lab.branch("low", { "d/": "", "d/.wh.": "x" })]);
  expect(list(task, "/d")).toEqual([".wh."]);
  expect([task.stat("/d/.wh."), task.unlink("/d/.wh."), task.rmdir("/d")].map(code)).toEqual(["EPERM", "EPERM", "ENOTEMPTY"]);
});

test("union.md B.11: shwh lists aufs's own files of every branch, also where whiteouts do not count (vdir.c, au_handle_shwh)", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { ".wh.f": "", "d/": "", "d/.wh..wh..opq": "" });
  const { task } = lab.enter(`br:${lab.branch("up")}=rw:${low}=ro,shwh`);
  expect((list(task, "/") as string[]).sort()).toEqual([".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk", ".wh.f", "d"]);
  expect([list(task, "/d"), code(task.stat("/d/.wh..wh..opq"))]).toEqual([[".wh..wh..opq"], "ok"]);
});

test("union.md B.14: an opaque folder whose whiteouts lie in it goes with all of them", () => {
  const lab = new AufsLab();
  const upper = lab.branch("up", { "d/": "", "d/.wh..wh..opq": "", "d/.wh.a": "", "d/.wh.b": "" });
  const { task } = lab.enter(`br:${upper}=rw:${lab.branch("low", { "d/": "", "d/a": "", "d/c": "" })}=ro+wh`);
  expect([list(task, "/d"), code(task.rmdir("/d")), lab.rows(upper)]).toEqual([[], "ok", ["/d whiteout"]]);
});

test("B.12: a mark of an opaque folder that is no file is EIO, in whichever branch whiteouts count (whout.c, au_wh_test; dentry.c, au_do_lookup)", () => {
  for (const [permission, code1] of [
    ["ro+wh", "EIO"],
    ["ro", "ok"],
  ]) {
    for (const marked of [0, 1, 2]) {
      const lab = new AufsLab();
      const branches = [0, 1, 2].map((at) =>
        lab.branch(`b${at}`, { "d/": "", ...(at === marked ? { "d/.wh..wh..opq/": "" } : {}) }),
      );
      const { task } = lab.enter(`br:${lab.branch("rw")}=rw:${branches.map((path) => `${path}=${permission}`).join(":")}`);
      expect([task.stat("/d"), task.open("/d/new", O_CREAT | O_RDWR, 0o600), task.mkdir("/d")].map(code)).toEqual([
        code1,
        code1,
        code1 === "ok" ? "EEXIST" : "EIO",
      ]);
      expect(list(task, "/")).toEqual(["d"]);
    }
  }
  const lab = new AufsLab();
  const upper = lab.branch("up", { "d/": "" });
  must(lab.task.symlink("nowhere", `${upper}/d/.wh..wh..opq`));
  expect(code(lab.enter(`br:${upper}=rw`).task.stat("/d"))).toBe("EIO");
});

test("B.14: a folder that is removed goes with whiteouts that are files; what else has such a name keeps it, where nobody sees it (whout.c, unlink_wh_name)", () => {
  const lab = new AufsLab();
  const upper = lab.branch("up", { "d/": "", "d/.wh.a": "", "d/.wh.b/": "", "d/.wh.c": "" });
  const low = lab.branch("low", { "d/": "", "d/a": "" });
  const { task, fs } = lab.enter(`br:${upper}=rw:${low}=ro+wh`);
  expect([list(task, "/d"), code(task.rmdir("/d")), code(task.stat("/d")), list(task, "/")]).toEqual([[], "ok", "ENOENT", []]);
  const kept = (list(lab.task, upper) as string[]).filter((name) => !/^[.]wh[.](d|[.]wh[.](aufs|plnk|orph))$/.test(name));
  expect(kept.map((name) => list(lab.task, `${upper}/${name}`))).toEqual([[".wh.b"]]);
  fs.check();
});

test("B.12: under shwh a name of aufs's own has a whiteout as any other name (dentry.c, au_lkup_dentry)", () => {
  const lab = new AufsLab();
  const mid = lab.branch("mid", { ".wh..wh.f": "" });
  const { task } = lab.enter(`br:${mid}=ro+wh:${lab.branch("low", { ".wh.f": "", ".wh.g": "" })}=ro+wh,shwh`);
  expect([task.stat("/.wh.f"), task.stat("/.wh.g"), task.stat("/.wh..wh.f")].map(code)).toEqual(["ENOENT", "ok", "ok"]);
});

test("au_wr_dir_need_wh: what is wrong below keeps an entry from going only where the search for what it covers comes that far", () => {
  const lab = new AufsLab();
  const [mid, low] = [lab.branch("mid", { "f/": "", "d/": "", "e/": "" }), lab.branch("low", { "e/": "", ".wh.d/": "" })];
  must(lab.task.mkdir(`${mid}/f/.wh..wh..opq`));
  must(lab.task.mkdir(`${mid}/e/.wh..wh..opq`));
  const upper = lab.branch("up", { f: "", "d/": "", "d/.wh..wh..opq": "", "e/": "", "e/.wh..wh..opq": "" });
  const { task, fs } = lab.enter(`br:${upper}=rw:${mid}=ro+wh:${low}=ro+wh`);
  // A file asks no folder for its mark; an opaque folder goes no further than to the first one below it, whose mark counts.
  expect([task.unlink("/f"), task.rmdir("/d"), task.rmdir("/e")].map(code)).toEqual(["ok", "ok", "EIO"]);
  expect((list(lab.task, upper) as string[]).filter((name) => !name.startsWith(".wh..wh.")).sort()).toEqual([
    ".wh.d",
    ".wh.f",
    "e",
  ]);
  fs.check();
});

test("fillvdir: `.wh.` is a name like others in a listing, which `.wh..wh.` hides", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { ".wh.": "", f: "" });
  expect((list(lab.over([low]).task, "/") as string[]).sort()).toEqual([".wh.", "f"]);
  const upper = lab.branch("up", { ".wh..wh.": "" });
  expect(list(lab.enter(`br:${upper}=rw:${low}=ro+wh`).task, "/")).toEqual(["f"]);
});

test("au_wh_clean: a folder where the base of whiteouts would be stays where none is used, and a file for the folder of pseudo-links", () => {
  const lab = new AufsLab();
  const upper = lab.branch("up", { ".wh..wh.aufs/": "", ".wh..wh.plnk": "" });
  const { task } = lab.enter(`br:${upper}=rw+nolwh,noplink`);
  expect((list(lab.task, upper) as string[]).sort()).toEqual([".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk"]);
  must(task.mkdir("/d"));
  must(task.rmdir("/d"));
});

test("au_wr_dir_need_wh: a file that goes asks for whiteouts past the folders below it, and past nothing else", () => {
  const lab = new AufsLab();
  const [own, mid, low] = [lab.branch("own", { "f/": "" }), lab.branch("mid", { f: "", g: "" }), lab.branch("low")];
  for (const name of [".wh.f", ".wh.g"]) must(lab.task.mkdir(`${low}/${name}`));
  const { task } = lab.enter(`br:${lab.branch("up", { f: "", g: "" })}=rw:${own}=rw:${mid}=ro:${low}=ro+wh`);
  expect([task.unlink("/f"), task.unlink("/g")].map(code)).toEqual(["EIO", "ok"]);
});

test("au_ren_diropq: a folder that a mark below kept apart is marked when it comes back to a name with a whiteout", () => {
  const lab = new AufsLab();
  const [upper, own] = [
    lab.branch("up", { "d/": "", "d/.wh.x": "" }),
    lab.branch("own", { "d/": "", "d/x": "", "d/.wh..wh..opq": "" }),
  ];
  const { task, fs } = lab.enter(`br:${upper}=rw:${own}=rw`);
  must(task.rename("/d", "/e"));
  must(task.rename("/e", "/d"));
  expect([list(task, "/d"), (list(lab.task, `${upper}/d`) as string[]).sort()]).toEqual([[], [".wh..wh..opq", ".wh.x"]]);
  fs.check();
});

test("au_wr_dir_cpup: a rename to a branch that has the name beside its whiteout is EIO, before folders are looked into", () => {
  const lab = new AufsLab();
  const [upper, own] = [
    lab.branch("up", {}),
    lab.branch("own", { "b/": "", "b/x": "", ".wh.b": "", f: "", "d/": "", "d/x": "" }),
  ];
  const { task, fs } = lab.enter(`br:${upper}=rw:${own}=rw:${lab.branch("low", { "d/": "", "d/y": "" })}=ro+wh`);
  expect([task.rename("/f", "/b"), task.rename("/d", "/b"), task.rename("/d", "/c")].map(code)).toEqual(["EIO", "EIO", "EXDEV"]);
  fs.check();
});
