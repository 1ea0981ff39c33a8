/** Copies of folders of this machine in a simulated tree. */
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { majorOf, minorOf } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { copyRealFolder } from "../../src/node/real-folder.ts";
import { must } from "../drivers/docker-host.ts";

let folder: string;
let task: Task;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cowlab-folder-"));
  task = createHost({ seed: 1 }).task;
  must(task.mkdir("/copy"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const copy = (): void => copyRealFolder(task, folder, "/copy");
const text = (name: string): string => {
  const fd = must(task.open(`/copy/${name}`, 0));
  const content = must(task.read(fd, 100)).toText();
  task.close(fd);
  return content;
};
const inode = (name: string): number => must(task.lstat(`/copy/${name}`)).inodeNumber;

test.skipIf(process.platform === "win32")("times keep their nanoseconds, before 1970 too", () => {
  for (const [name, date] of [
    ["late", "2020-09-13 12:26:40.123456789 UTC"],
    ["early", "1969-12-31 23:59:58.000000001 UTC"],
  ] as const) {
    writeFileSync(at(name), "");
    execFileSync("touch", ["-d", date, at(name)]);
  }
  copy();
  expect(must(task.lstat("/copy/late")).mtime).toEqual({ seconds: 1_600_000_000, nanoseconds: 123_456_789 });
  expect(must(task.lstat("/copy/early")).mtime).toEqual({ seconds: -2, nanoseconds: 1 });
});

test("names of one file are one file, and two files again when they are that in the folder", () => {
  writeFileSync(at("a"), "one");
  linkSync(at("a"), at("b"));
  copy();
  expect(inode("a")).toBe(inode("b"));
  unlinkSync(at("b"));
  writeFileSync(at("b"), "two");
  copy();
  expect([text("a"), text("b"), inode("a") === inode("b")]).toEqual(["one", "two", false]);
  unlinkSync(at("b"));
  linkSync(at("a"), at("b"));
  copy();
  expect([text("b"), inode("a")]).toEqual(["one", inode("b")]);
});

test("what has another type now is made anew", () => {
  writeFileSync(at("x"), "file");
  mkdirSync(at("y"));
  writeFileSync(at("y/below"), "");
  copy();
  unlinkSync(at("x"));
  mkdirSync(at("x"));
  rmSync(at("y"), { recursive: true });
  symlinkSync("x", at("y"));
  copy();
  expect([must(task.readdir("/copy/x")), must(task.readlink("/copy/y"))]).toEqual([[], "x"]);
});

test.skipIf(process.getuid?.() !== 0 || process.platform !== "linux")("device nodes keep their numbers, and get others", () => {
  const deviceAt = (): [number, number] => {
    const { rdev } = must(task.lstat("/copy/node"));
    return [majorOf(rdev), minorOf(rdev)];
  };
  execFileSync("mknod", [at("node"), "c", "1", "300"]);
  copy();
  expect(deviceAt()).toEqual([1, 300]);
  unlinkSync(at("node"));
  execFileSync("mknod", [at("node"), "c", "4", "5"]);
  copy();
  expect(deviceAt()).toEqual([4, 5]);
});
