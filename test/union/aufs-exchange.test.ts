/**
 * Directories that change places by a rename, and their marks (spec/union.md D.C7; fs/aufs/i_op_ren.c, aufs 6.1).
 */
import { expect, test } from "vitest";
import { RENAME_EXCHANGE } from "../../sim/vfs/filesystem.ts";
import { AufsLab, code, list, must, put, read } from "./aufs-lab.ts";

test("may_rename_srcdir: a file that the writable branch alone has is exchanged with a folder of any branch, one that came up from below not", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { "low/": "", "low/x": "", f: "x", "d/": "" });
  const { task, fs, upper } = lab.over([low]);
  put(task, "/own", "own");
  must(task.chmod("/f", 0o600));
  expect([task.rename("/f", "/d", RENAME_EXCHANGE), task.rename("/own", "/low", RENAME_EXCHANGE)].map(code)).toEqual([
    "ENOTDIR",
    "ok",
  ]);
  must(task.stat("/own"));
  expect([read(task, "/low"), lab.rows(upper)]).toEqual(["own", ["/f file", "/low file", "/own dir"]]);
  fs.check();
  task.exit();
  // Found anew, a file is one of its topmost branch alone.
  const again = lab.enter(`br:${upper}=rw:${low}=ro+wh,dirperm1`);
  expect([code(again.task.rename("/f", "/d", RENAME_EXCHANGE)), read(again.task, "/d")]).toEqual(["ok", "x"]);
  again.fs.check();
});

test("au_ren_refresh: a file that was renamed is one of the writable branch alone, under its first name again too", () => {
  const lab = new AufsLab();
  const { task, fs } = lab.over([lab.branch("low", { f: "x", "d/": "" })]);
  must(task.rename("/f", "/g"));
  must(task.rename("/g", "/f"));
  expect([code(task.rename("/f", "/d", RENAME_EXCHANGE)), read(task, "/d")]).toEqual(["ok", "x"]);
  fs.check();
});

test("au_ren_diropq: what takes the place of an opaque folder in an exchange is opaque, what the opaque one replaces is not", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { "d/": "", "d/f": "x" });
  for (const [from, to] of [
    ["/new", "/d"],
    ["/d", "/new"],
  ] as const) {
    const { task, fs, upper } = lab.over([low]);
    must(task.unlink("/d/f"));
    must(task.rmdir("/d"));
    must(task.mkdir("/d"));
    must(task.mkdir("/new"));
    expect(lab.rows(upper)).toEqual(["/d dir opaque", "/new dir"]);
    must(task.rename(from, to, RENAME_EXCHANGE));
    for (const path of ["/new", "/d"]) must(task.stat(path));
    // What the opaque folder hid shows again.
    expect([list(task, "/new"), list(task, "/d")]).toEqual([[], from === "/new" ? [] : ["f"]]);
    expect(lab.rows(upper)).toEqual([from === "/new" ? "/d dir opaque" : "/d dir", "/new dir opaque"]);
    fs.check();
  }
});

test("au_ren_diropq: a folder in the place of one that hid no folder is not opaque, though a file lies there below", () => {
  const lab = new AufsLab();
  const lowers = [lab.branch("mid", { "d/": "" }), lab.branch("low", { d: "file" })];
  const upper = lab.branch("up", { "d/": "", "own/": "" });
  const { task, fs } = lab.enter(`br:${upper}=rw:${lowers[1]}=ro+wh,dirperm1`);
  must(task.rename("/own", "/d"));
  expect(lab.rows(upper)).toEqual(["/d dir"]);
  fs.check();
  const over = lab.over(lowers);
  must(over.task.mkdir("/own"));
  must(over.task.rename("/own", "/d"));
  expect(lab.rows(over.upper)).toEqual(["/d dir opaque"]);
  over.fs.check();
});

test("au_ren_diropq: with dirren the source of an exchange is not made opaque, its target is", () => {
  const lab = new AufsLab();
  const upper = lab.branch("up");
  const { task } = lab.enter(`br:${upper}=rw:${lab.branch("low", { "a/": "", "b/": "" })}=ro+wh,dirren`);
  must(task.rename("/a", "/b", RENAME_EXCHANGE));
  expect(lab.rows(upper).filter((row) => row.endsWith("opaque"))).toEqual(["/a dir opaque"]);
});
