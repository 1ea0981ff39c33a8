/**
 * aufs: entries that somebody made or took away on a branch beside the mount, which does not know it, when the mount itself changes them (fs/aufs
 * i_op_add.c, i_op_del.c, i_op_ren.c and whout.c, aufs 6.1; fs/namei.c, may_create and may_delete).
 */
import { expect, test } from "vitest";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, code, list, must, put } from "./aufs-lab.ts";

interface Looked {
  readonly lab: AufsLab;
  readonly task: Task;
  readonly upper: string;
  /** What the writable branch holds, aufs's own files left out. */
  rows(): string[];
}

/** A mount in which every name has been looked at, /x as an absent one. */
function looked(udba: string): Looked {
  const lab = new AufsLab();
  const upper = lab.branch("up", { f: "", g: "", "e/": "" });
  const { task, fs } = lab.enter(`br:${upper}=rw:${lab.branch("low", { l: "", "ld/": "" })}=ro+wh,udba=${udba}`);
  for (const path of ["/x", "/f", "/g", "/e", "/l", "/ld"]) task.stat(path);
  const rows = (): string[] => {
    fs.check();
    return (list(lab.task, upper) as string[]).filter((name) => !name.startsWith(".wh..wh.")).sort();
  };
  return { lab, task, upper, rows };
}

test("udba=none: a new name that is there on the branch is EEXIST, and one that is gone there ENOENT", () => {
  const { lab, task, upper, rows } = looked("none");
  put(lab.task, `${upper}/x`, "theirs");
  for (const path of ["f", "g"]) must(lab.task.unlink(`${upper}/${path}`));
  must(lab.task.rmdir(`${upper}/e`));
  const calls = [
    task.mkdir("/x"),
    task.open("/x", O_CREAT | O_RDWR, 0o600),
    task.link("/l", "/x"),
    task.unlink("/f"),
    task.rename("/g", "/y"),
    task.rename("/l", "/g"),
    task.rmdir("/e"),
    task.rename("/ld", "/e"),
  ];
  expect(calls.map(code)).toEqual(["EEXIST", "EEXIST", "EEXIST", "ENOENT", "ENOENT", "ok", "ENOENT", "ENOENT"]);
  expect(rows()).toEqual([".wh.l", "g", "ld", "x"]);
});

test("udba=none: a rename takes the place of what is there on the branch, if that is of its kind", () => {
  const { lab, task, upper, rows } = looked("none");
  put(lab.task, `${upper}/x`, "theirs");
  expect([task.rename("/e", "/x"), task.rename("/f", "/x")].map(code)).toEqual(["ENOTDIR", "ok"]);
  expect(rows()).toEqual(["e", "g", "x"]);
  const other = looked("none");
  must(other.lab.task.mkdir(`${other.upper}/x`));
  expect([other.task.rename("/f", "/x"), other.task.rename("/e", "/x")].map(code)).toEqual(["EISDIR", "ok"]);
  expect(other.rows()).toEqual(["f", "g", "x"]);
});

test("a whiteout that is there already will do, a mark of an opaque folder that is there is EEXIST (au_wh_create, do_diropq)", () => {
  for (const udba of ["none", "reval"]) {
    const { lab, task, upper, rows } = looked(udba);
    put(lab.task, `${upper}/.wh.l`, "");
    expect(code(task.unlink("/l"))).toBe("ok");
    must(task.rmdir("/ld"));
    put(lab.task, `${upper}/e/.wh..wh..opq`, "");
    expect(code(task.rename("/e", "/ld"))).toBe("EEXIST");
    expect(rows()).toEqual([".wh.l", ".wh.ld", "e", "f", "g"]);
  }
});
