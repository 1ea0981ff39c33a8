/**
 * An overlay of lower layers alone: every call that changes something (test/fs/protected.ts) is EROFS though its mount were writable, as the superblock
 * is read-only (fs/overlayfs/super.c, ovl_fill_super: SB_RDONLY without an upper layer); what only reads works.
 */
import { expect, test } from "vitest";
import { EACCES, EROFS, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { credentialsOf } from "../../sim/vfs/credentials.ts";
import { O_RDONLY, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { CHANGES, done, laidOut } from "../fs/protected.ts";

/** What only looks, or finds nothing to change. */
const LOOKS = new Set(["open without atime", "mkdir where a folder is", "set no time"]);

/** What is asked of a descriptor that was opened to read. */
const BY_READER = /^(write|pwrite|ftruncate|allocate|punch|zero|collapse|insert|copy|clone|deduplicate)/;

test("An overlay without an upper layer refuses every change with EROFS", () => {
  const host = createHost();
  const { task } = host;
  task.umask = 0;
  for (const folder of ["/low", "/lower", "/m"]) done(task.mkdir(folder, 0o755));
  laidOut(task, "/low/folder");
  laidOut(task, "/lower/other");
  expect(host.mount({ type: "overlay", source: "none", target: "/m", options: "lowerdir=/low:/lower" })).toBeUndefined();
  const folder = "/m/folder";
  const of = { task, folder, f: done(task.open(`${folder}/f`, O_RDONLY)), g: done(task.open(`${folder}/g`, O_RDONLY)) };
  const wrong: string[] = [];
  for (const [name, change] of Object.entries(CHANGES)) {
    const got = change(of);
    const code = isErrno(got) ? got.code : "ok";
    if (BY_READER.test(name) ? code === "ok" : code !== "EROFS" && !LOOKS.has(name)) wrong.push(`${name}: ${code}`);
  }
  expect(wrong).toEqual([]);
  expect(
    done(task.readdir("/m"))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["folder", "folder-other", "other", "other-other"]);
  host.check();
});

test("To write is EROFS before it is asked who may, but of a device, as Linux 6.18 answers", () => {
  const host = createHost();
  const { task } = host;
  for (const folder of ["/low", "/lower", "/m"]) done(task.mkdir(folder, 0o755));
  done(task.mknod("/low/f", 0o100600, 0));
  done(task.mknod("/low/n", 0o020600, deviceNumber(1, 3)));
  expect(host.mount({ type: "overlay", source: "none", target: "/m", options: "lowerdir=/low:/lower" })).toBeUndefined();
  const other = task.withCredentials(credentialsOf(100, 100));
  expect(other.open("/m/f", O_WRONLY)).toBe(EROFS);
  expect(other.open("/m/f", O_RDONLY)).toBe(EACCES);
  expect(other.open("/m/n", O_WRONLY)).toBe(EACCES);
  expect(other.truncate("/m/f", 0)).toBe(EROFS);
  expect(other.access("/m/f", 2)).toBe(EROFS);
});
