/** Paths that a task has walked before lead it where they lead somebody who walks them for the first time; so do names in a folder of before. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EEXIST, EISDIR, ENOENT, isErrno } from "../../sim/core/errno.ts";
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

function make(lab: UnionLab, task: Task, { call, path: at, to }: Step): string {
  const failed = makeCall(lab, task, { call, path: at, to });
  return failed === undefined || !isErrno(failed) ? "ok" : failed.code;
}

function makeCall(lab: UnionLab, task: Task, { call, path: at, to }: Step): unknown {
  if (call === "mkdir") return task.mkdir(at);
  if (call === "unlink") return task.unlink(at);
  if (call === "rmdir") return task.rmdir(at);
  if (call === "rename") return task.rename(at, to);
  if (call === "exchange") return task.rename(at, to, 2);
  if (call === "link") return task.link(at, to);
  if (call === "symlink") return task.symlink(to, at);
  if (call === "hold") return task.open(at, O_RDONLY);
  if (call === "mount") return lab.vfs.bind(task, at, to);
  if (call === "unmount") return lab.vfs.unmount(task, at);
  const fd = task.open(at, O_CREAT | O_WRONLY);
  if (isErrno(fd)) return fd;
  task.write(fd, Content.text(to));
  return task.close(fd);
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

/** An upper layer over one that steps have filled. */
function labOver(options: string, below: readonly Step[]): { readonly lab: UnionLab; readonly task: Task } {
  const lab = new UnionLab(options);
  const { task } = lab.add("lower").session;
  for (const one of below) if (!/mount/.test(one.call)) make(lab, task, one);
  return { lab, task: lab.add("upper", "lower").session.task };
}

for (const options of ["", "redirect_dir=on", "index=on"]) {
  test(`A task that makes all calls gets the answers of new tasks that make one each (${options || "defaults"})`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 8 }),
        fc.array(step, { minLength: 1, maxLength: 40, size: "max" }),
        (below, above) => {
          const { lab, task } = labOver(options, below);
          const other = labOver(options, below);
          for (const one of above) {
            const answer = make(lab, task, one);
            const fresh = other.lab.vfs.task(other.task.root.mount);
            expect([one, answer]).toEqual([one, make(other.lab, fresh, one)]);
            expect([one, ...seen(task)]).toEqual([one, ...seen(fresh)]);
            fresh.exit(false);
          }
          lab.check();
        },
      ),
      runs(50),
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

test("A name in a folder of before is looked for anew once somebody has moved that folder, or led a link to it elsewhere", () => {
  const task = twoFolders();
  const other = task.withCredentials(task.credentials);
  expect(task.symlink("/a", "/link")).toBeUndefined();
  expect(task.mkdir("/link/one")).toBeUndefined();
  expect(other.unlink("/link")).toBeUndefined();
  expect(other.symlink("/b", "/link")).toBeUndefined();
  expect(task.mkdir("/link/two")).toBeUndefined();
  expect(isErrno(task.stat("/b/two"))).toBe(false);
  expect(task.mkdir("/a/three")).toBeUndefined();
  expect(other.rename("/a", "/c")).toBeUndefined();
  expect(task.mkdir("/a/four")).toBe(ENOENT);
});

test("Dots behind a folder of before are no names", () => {
  const task = twoFolders();
  for (const dots of ["/a/.", "/a/.."]) {
    expect(task.mkdir("/a/b")).toBeUndefined();
    expect(task.mkdir(dots)).toBe(EEXIST);
    expect(task.rmdir("/a/b")).toBeUndefined();
    expect(task.unlink(dots)).toBe(EISDIR);
  }
});

test("More paths than the cache holds begin it anew, and none leads astray", () => {
  const known = new PathCache();
  const walked: WalkedPaths = { epoch: 1, isAt: () => true };
  const step = { directory: 1 as Inode, name: 1 as never, epoch: 1 };
  const count = 300_000;
  for (let index = 1; index <= count; index++) known.keep(`/${index}`, index as Inode, step);
  let found = 0;
  for (let index = 1; index <= count; index++) {
    const inode = known.find(`/${index}`, walked);
    if (inode === 0) continue;
    if (inode !== index) expect(inode).toBe(index);
    found += 1;
  }
  expect(found).toBeGreaterThan(0);
  expect(found).toBeLessThan(2 ** 18);
  expect(known.find(`/${count}`, { ...walked, epoch: 2 })).toBe(0);
  known.clear();
  expect(known.find(`/${count}`, walked)).toBe(0);
});
