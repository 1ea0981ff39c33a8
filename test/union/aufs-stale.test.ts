/**
 * Descriptors whose name is of no use any more: fstat is ESTALE (spec/union.md D.C10; fs/aufs/dentry.c: h_d_revalidate, aufs 6.1).
 */
import { expect, test } from "vitest";
import { O_DIRECTORY, O_PATH, O_RDONLY, RENAME_EXCHANGE } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { AufsLab, code, must, put } from "./aufs-lab.ts";

function opened(task: Task, path: string, flags = O_RDONLY): number {
  return must(task.open(path, flags));
}

function answers(task: Task, ...descriptors: number[]): string[] {
  return descriptors.map((fd) => code(task.fstat(fd)));
}

test("au_ren_refresh: only the name that was renamed over is stale, while the file has another", () => {
  const lab = new AufsLab();
  const low = lab.branch("low", { f: "x", g: "y" });
  must(lab.task.link(`${low}/f`, `${low}/f2`));
  const { task, fs } = lab.over([low]);
  const [one, two, held] = [opened(task, "/f"), opened(task, "/f2"), opened(task, "/f", O_PATH)];
  must(task.rename("/g", "/f"));
  expect(answers(task, one, two, held)).toEqual(["ESTALE", "ok", "ESTALE"]);
  must(task.stat("/f2"));
  expect(answers(task, one, two)).toEqual(["ESTALE", "ok"]);
  fs.check();
});

test("h_d_revalidate: a folder that had a passing name is stale, also one that the writable branch alone had", () => {
  const lab = new AufsLab();
  const { task, fs } = lab.over([lab.branch("low", { "low/": "" })]);
  for (const path of ["/own", "/over", "/new"]) must(task.mkdir(path, 0o755));
  const [own, over, low] = ["/own", "/over", "/low"].map((path) => opened(task, path, O_DIRECTORY)) as [number, number, number];
  must(task.rmdir("/own"));
  must(task.rename("/new", "/over"));
  must(task.rmdir("/low"));
  // Of a name with a whiteout the entry is not looked at.
  expect(answers(task, own, over, low)).toEqual(["ESTALE", "ESTALE", "ok"]);
  fs.check();
});

test("au_ren_refresh: files that an exchange has moved are stale by their old descriptors, not by new ones", () => {
  const lab = new AufsLab();
  const { task, fs } = lab.over([lab.branch("low", { f: "x" })]);
  put(task, "/own", "own");
  const before = [opened(task, "/f"), opened(task, "/own")];
  must(task.rename("/f", "/own", RENAME_EXCHANGE));
  const after = [opened(task, "/f"), opened(task, "/own")];
  expect([...answers(task, ...before), ...answers(task, ...after)]).toEqual(["ESTALE", "ESTALE", "ok", "ok"]);
  fs.check();
});

test("aufs_dop_noreval: with udba=none nobody asks whether a name is still good", () => {
  const lab = new AufsLab();
  const { task } = lab.over([lab.branch("low", { f: "x", g: "y" })], ",udba=none");
  const fd = opened(task, "/f");
  must(task.rename("/g", "/f"));
  expect(answers(task, fd)).toEqual(["ok"]);
});
