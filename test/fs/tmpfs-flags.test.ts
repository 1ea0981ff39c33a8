/** Flags of chattr(1) on tmpfs (mm/shmem.c: shmem_fileattr_set, SHMEM_FL_USER_MODIFIABLE, SHMEM_FL_INHERITED; Linux 6.18). */
import { expect, test } from "vitest";
import { ENOTSUP, EPERM } from "../../sim/core/errno.ts";
import { O_CREAT, O_RDONLY, O_RDWR } from "../../sim/vfs/filesystem.ts";
import { testHost } from "../vfs/host.ts";

const SYNC = 0x08;
const IMMUTABLE = 0x10;
const NODUMP = 0x40;
const NOATIME = 0x80;

test("tmpfs keeps the flags that it knows, and refuses the others", () => {
  const { task, check } = testHost();
  const fd = task.open("/file", O_CREAT | O_RDWR) as number;
  expect(task.getFlags(fd)).toBe(0);
  expect(task.setFlags(fd, NODUMP | NOATIME)).toBeUndefined();
  expect(task.getFlags(fd)).toBe(NODUMP | NOATIME);
  expect(task.setFlags(fd, SYNC)).toBe(ENOTSUP);
  expect(task.getFlags(fd)).toBe(NODUMP | NOATIME);
  expect(task.setFlags(fd, 0)).toBeUndefined();
  expect(task.getFlags(fd)).toBe(0);
  check();
});

test("an immutable file on tmpfs cannot be removed until the flag goes", () => {
  const { task, check } = testHost();
  const fd = task.open("/file", O_CREAT | O_RDWR) as number;
  task.setFlags(fd, IMMUTABLE);
  expect(task.unlink("/file")).toBe(EPERM);
  task.setFlags(fd, 0);
  expect(task.unlink("/file")).toBeUndefined();
  check();
});

test("a new file on tmpfs has NODUMP and NOATIME of its directory, and nothing else of it", () => {
  const { task, check } = testHost();
  task.mkdir("/d");
  const directory = task.open("/d", O_RDONLY) as number;
  task.setFlags(directory, NODUMP | NOATIME);
  const made = task.open("/d/file", O_CREAT | O_RDWR) as number;
  expect(task.getFlags(made)).toBe(NODUMP | NOATIME);
  task.unlink("/d/file");
  task.close(made);
  task.setFlags(directory, 0);
  expect(task.getFlags(task.open("/d/other", O_CREAT | O_RDWR) as number)).toBe(0);
  check();
});
