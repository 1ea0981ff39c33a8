/** Paths that a task has walked before lead it where they lead somebody who walks them for the first time. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOENT, isErrno } from "../../sim/core/errno.ts";
import { type Inode, newAttributes, O_CREAT, O_RDONLY, O_WRONLY, type WalkedPaths } from "../../sim/vfs/filesystem.ts";
import { PathCache } from "../../sim/vfs/path-cache.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { runs } from "../runs.ts";
import { UnionLab } from "../union/lab.ts";

const PATHS = ["/a", "/b", "/a/a", "/a/b", "/b/a", "/b/b", "/a/a/a", "/a/b/a", "/b/a/a"];
const SPELLINGS = [...PATHS, "/", "/a/", "//a", "/a/./b", "/a/../b", "a/b", "/a/b/../b"];

const path = fc.constantFrom(...PATHS);
const step = fc.record({
  call: fc.constantFrom(
    "mkdir",
    "mkdir",
    "put",
    "put",
    "unlink",
    "rmdir",
    "rename",
    "rename",
    "exchange",
    "link",
    "symlink",
    "hold",
    "mount",
    "unmount",
  ),
  path,
  to: path,
});
type Step = { readonly call: string; readonly path: string; readonly to: string };

function make(lab: UnionLab, task: Task, { call, path: at, to }: Step): void {
  if (call === "mkdir") task.mkdir(at);
  else if (call === "unlink") task.unlink(at);
  else if (call === "rmdir") task.rmdir(at);
  else if (call === "rename") task.rename(at, to);
  else if (call === "exchange") task.rename(at, to, 2);
  else if (call === "link") task.link(at, to);
  else if (call === "symlink") task.symlink(to, at);
  else if (call === "hold") task.open(at, O_RDONLY);
  else if (call === "mount") lab.vfs.bind(task, at, to);
  else if (call === "unmount") lab.vfs.unmount(task, at);
  else {
    const fd = task.open(at, O_CREAT | O_WRONLY);
    if (isErrno(fd)) return;
    task.write(fd, Content.text(to));
    task.close(fd);
  }
}

function seen(task: Task): string[] {
  const attributes = newAttributes();
  return SPELLINGS.flatMap((spelling) =>
    [task.stat(spelling, attributes), task.lstat(spelling, attributes)].map((found) =>
      isErrno(found)
        ? `${spelling} ${found.code}`
        : `${spelling} ${found.inodeNumber} ${found.mode} ${found.nlink} ${found.size}`,
    ),
  );
}

for (const options of ["", "redirect_dir=on", "index=on"]) {
  test(`After any calls a task that walks its paths again finds what a new one does (${options || "defaults"})`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 8 }),
        fc.array(step, { minLength: 1, maxLength: 40, size: "max" }),
        (below, above) => {
          const lab = new UnionLab(options);
          for (const one of below)
            if (!/mount/.test(one.call)) make(lab, lab.trees.get("lower")?.session.task ?? lab.add("lower").session.task, one);
          if (!lab.trees.has("lower")) lab.add("lower");
          const { session } = lab.add("upper", "lower");
          for (const one of above) {
            make(lab, session.task, one);
            const fresh = lab.vfs.task(session.task.root.mount);
            expect([one, ...seen(session.task)]).toEqual([one, ...seen(fresh)]);
            fresh.exit();
          }
          lab.check();
        },
      ),
      runs(100),
    );
  });
}

/** A task on an upper layer, with two folders that have a file each. */
function twoFolders(): Task {
  const lab = new UnionLab();
  lab.add("lower");
  const { task } = lab.add("upper", "lower").session;
  const steps: Step[] = ["/a", "/b"].flatMap((at) => [
    { call: "mkdir", path: at, to: at },
    { call: "put", path: `${at}${at}`, to: at },
  ]);
  for (const one of steps) make(lab, task, one);
  return task;
}

test("A path through a folder that was exchanged for another leads into that one", () => {
  const task = twoFolders();
  for (let times = 0; times < 2; times++) expect(isErrno(task.stat("/a/a"))).toBe(false);
  expect(task.rename("/a", "/b", 2)).toBeUndefined();
  expect(task.stat("/a/a")).toBe(ENOENT);
  expect(isErrno(task.stat("/b/a"))).toBe(false);
});

test("A hard link's name that is gone leads nowhere, though its inode has another name", () => {
  const task = twoFolders();
  expect(task.link("/a/a", "/a/more")).toBeUndefined();
  for (let times = 0; times < 2; times++) expect(isErrno(task.stat("/a/more"))).toBe(false);
  expect(task.unlink("/a/more")).toBeUndefined();
  expect(task.stat("/a/more")).toBe(ENOENT);
  expect(isErrno(task.stat("/a/a"))).toBe(false);
});

test("More paths than the cache holds begin it anew, and none leads astray", () => {
  const known = new PathCache();
  const walked: WalkedPaths = { epoch: 1, isAt: () => true };
  const step = { directory: 1 as Inode, name: 1 as never, epoch: 1 };
  const count = 600_000;
  for (let index = 1; index <= count; index++) known.keep(`/${index}`, index as Inode, step);
  let found = 0;
  for (let index = 1; index <= count; index++) {
    const inode = known.find(`/${index}`, walked);
    if (inode === 0) continue;
    if (inode !== index) expect(inode).toBe(index);
    found += 1;
  }
  expect(found).toBeGreaterThan(0);
  expect(found).toBeLessThan(2 ** 19);
  expect(known.find(`/${count}`, { ...walked, epoch: 2 })).toBe(0);
  known.clear();
  expect(known.find(`/${count}`, walked)).toBe(0);
});
