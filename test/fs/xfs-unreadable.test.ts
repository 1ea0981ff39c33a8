/**
 * Metadata of an xfs that cannot be read when it is needed. What is EUCLEAN on a block of zeros was asked of Linux 6.18 with xfs_db and dd; the same
 * calls on a block that the device cannot read are EIO, and work again when it can.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes, deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { FALLOC_FL_KEEP_SIZE, newAttributes, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { done } from "./protected.ts";
import { codeOf } from "./varied-work.ts";

const SIZE = MIB(400);
const BLOCK = 4096;

/** Bytes of the device. */
interface Range {
  readonly start: number;
  readonly end: number;
}

interface Machine {
  readonly host: Host;
  readonly task: Task;
  readonly device: FaultyDevice;
  readonly failed: string;
}

function started(disk: Disk, bad: readonly Range[] = []): Machine {
  const host = createHost();
  host.task.mkdir("/m");
  host.attachDisk(disk);
  const device = new FaultyDevice(disk);
  host.addDevice("faulty", device, deviceNumber(253, 1));
  for (const range of bad) device.inject({ on: "read", times: Number.POSITIVE_INFINITY, range });
  const failed = host.mount({ type: "xfs", source: "faulty", target: "/m" });
  return { host, task: host.task, device, failed: codeOf(failed) };
}

function within(task: Task, path: string, flags: number, call: (fd: number) => unknown): unknown {
  const fd = task.open(path, flags, 0o644);
  if (isErrno(fd)) return fd;
  const got = call(fd);
  task.close(fd);
  return got;
}

/** A disk with one of each that has blocks of its own, unmounted. */
function fill(): Disk {
  const disk = new Disk({ size: SIZE });
  const host = createHost();
  host.task.mkdir("/m");
  host.attachDisk(disk);
  host.addDevice("disk", disk, deviceNumber(253, 1));
  done(host.mkfs("xfs", "disk"));
  expect(host.mount({ type: "xfs", source: "disk", target: "/m" })).toBeUndefined();
  const { task } = host;
  const file = (path: string): void =>
    void done(within(task, path, O_CREAT | O_WRONLY, (fd) => task.write(fd, Content.text("x"))));
  done(task.mkdir("/m/dir"));
  done(task.mkdir("/m/other"));
  for (let n = 0; n < 60; n++) file(`/m/dir/file-name-${n}`);
  file("/m/x");
  done(task.setxattr("/m/x", "user.a", new Uint8Array(2500)));
  done(task.symlink("t".repeat(900), "/m/long"));
  done(
    within(task, "/m/frag", O_CREAT | O_WRONLY, (fd) => {
      for (let n = 0; n < 200; n++) done(task.pwrite(fd, Content.pattern(n, BLOCK), n * 2 * BLOCK));
      return task.fsync(fd);
    }),
  );
  expect(host.unmount("/m")).toBeUndefined();
  return disk;
}
const DISK = fill();

function inodeOf(path: string): number {
  const of = newAttributes();
  done(started(DISK.clone()).task.stat(path, of));
  return of.inodeNumber;
}

/** Where records of a kind lie on a disk; of buffers of inodes, those that hold one. */
function placesOf(kind: string, inode?: number): Range[] {
  const content = DISK.read(bytes(0), bytes(SIZE));
  if (isErrno(content)) throw new Error(content.code);
  const found: Range[] = [];
  let at = 0;
  for (const run of content.runs) {
    const record = run.wholeRecord() as { kind: string; first: number } | undefined;
    const isMeant = inode === undefined || (record !== undefined && inode >= record.first && inode < record.first + 32);
    if (record?.kind === kind && isMeant) found.push({ start: at, end: at + run.length });
    at += run.length;
  }
  return found;
}

type Call = (task: Task) => unknown;
const LIST: Call = (task) => task.readdir("/m/dir");
const STAT_IN: Call = (task) => task.stat("/m/dir/file-name-59", newAttributes());
const READ_X: Call = (task) => within(task, "/m/x", O_RDONLY, (fd) => task.pread(fd, 5, 0));
const READ_FRAGMENTS: Call = (task) => within(task, "/m/frag", O_RDONLY, (fd) => task.pread(fd, 5, 0));

/** For each kind of block: calls, each on a mount of its own, and what they give when it is zeros; "=" where nothing of it is needed. */
const CASES: Readonly<Record<string, Readonly<Record<string, readonly [call: Call, told: string]>>>> = {
  "xfs.directoryBlock": {
    list: [LIST, "EUCLEAN"],
    "stat a name": [STAT_IN, "EUCLEAN"],
    "stat it": [(task) => task.stat("/m/dir", newAttributes()), "="],
    make: [(task) => task.mkdir("/m/dir/new"), "EUCLEAN"],
    "link into it": [(task) => task.link("/m/x", "/m/dir/x"), "EUCLEAN"],
    remove: [(task) => task.rmdir("/m/dir"), "ENOTEMPTY"],
    "rename into it": [(task) => task.rename("/m/x", "/m/dir/x"), "EUCLEAN"],
    "rename it": [(task) => task.rename("/m/dir", "/m/new"), "="],
    "rename it to another folder": [(task) => task.rename("/m/dir", "/m/other/dir"), "EUCLEAN"],
    "rename over it": [(task) => task.rename("/m/other", "/m/dir"), "EEXIST"],
  },
  "xfs.symlink": {
    readlink: [(task) => task.readlink("/m/long"), "EUCLEAN"],
    lstat: [(task) => task.lstat("/m/long", newAttributes()), "="],
    unlink: [(task) => task.unlink("/m/long"), "="],
  },
  "xfs.attributeLeaf": {
    get: [(task) => task.getxattr("/m/x", "user.a"), "EUCLEAN"],
    list: [(task) => task.listxattr("/m/x"), "EUCLEAN"],
    set: [(task) => task.setxattr("/m/x", "user.b", new Uint8Array(1)), "EUCLEAN"],
    remove: [(task) => task.removexattr("/m/x", "user.a"), "EUCLEAN"],
    read: [READ_X, "="],
    unlink: [(task) => task.unlink("/m/x"), "="],
  },
  "xfs.extents": {
    stat: [(task) => task.stat("/m/frag", newAttributes()), "="],
    read: [READ_FRAGMENTS, "EIO"],
    "read behind the end": [(task) => within(task, "/m/frag", O_RDONLY, (fd) => task.pread(fd, 5, 2 ** 40)), "="],
    write: [(task) => within(task, "/m/frag", O_WRONLY, (fd) => task.pwrite(fd, Content.text("x"), 0)), "EUCLEAN"],
    truncate: [(task) => task.truncate("/m/frag", 0), "EUCLEAN"],
    allocate: [(task) => within(task, "/m/frag", O_RDWR, (fd) => task.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, BLOCK)), "EUCLEAN"],
    seek: [(task) => within(task, "/m/frag", O_RDONLY, (fd) => task.lseek(fd, 0, 4)), "EUCLEAN"],
    "set an attribute": [(task) => task.setxattr("/m/frag", "user.q", new Uint8Array(1)), "="],
    rename: [(task) => task.rename("/m/frag", "/m/new"), "="],
    chmod: [(task) => task.chmod("/m/frag", 0o600), "="],
    unlink: [(task) => task.unlink("/m/frag"), "="],
  },
  "xfs.inodes": {
    "stat a name": [STAT_IN, "EUCLEAN"],
    list: [LIST, "="],
    link: [(task) => task.link("/m/dir/file-name-59", "/m/new"), "EUCLEAN"],
    unlink: [(task) => task.unlink("/m/dir/file-name-59"), "EUCLEAN"],
  },
};

function answer(got: unknown): string {
  return isErrno(got) ? got.code : "=";
}
const SHOWN = (task: Task): string => answer(within(task, "/m", O_RDONLY, (fd) => task.fstat(fd)));

describe.each(Object.entries(CASES))("of which no block of kind %s is whole", (kind, calls) => {
  // Of inodes only the buffer that holds what the folder's last name means.
  const places = placesOf(kind, kind === "xfs.inodes" ? inodeOf("/m/dir/file-name-59") : undefined);

  test("answers EUCLEAN where one is needed, and nothing else is hurt", () => {
    expect(places.length).toBeGreaterThan(0);
    const wiped = DISK.clone();
    for (const { start, end } of places) wiped.write(bytes(start), Content.zeros(end - start));
    const got = Object.entries(calls).map(([name, [call]]) => [name, answer(call(started(wiped.clone()).task))]);
    expect(Object.fromEntries(got)).toEqual(Object.fromEntries(Object.entries(calls).map(([name, [, told]]) => [name, told])));
  });

  test("answers EIO where the device cannot read it, and the right thing when it can again", () => {
    for (const [name, [call, told]] of Object.entries(calls)) {
      const { host, task, device } = started(DISK.clone(), places);
      const sound = answer(call(started(DISK.clone()).task));
      expect([name, answer(call(task))]).toEqual([name, told === "EUCLEAN" ? "EIO" : told]);
      device.heal();
      const isShutDown = SHOWN(task) === "EIO";
      // An unlink of extents that cannot be read has changed what it cannot change back.
      expect(isShutDown).toBe(kind === "xfs.extents" && name === "unlink");
      if (isShutDown) continue;
      if (told === "EUCLEAN" || told === "EIO") expect([name, answer(call(task))]).toEqual([name, sound]);
      host.check();
      expect(host.unmount("/m")).toBeUndefined();
    }
  });
});

/** Headers are read when the filesystem is mounted. */
test.each([
  ["xfs.superblock", "EINVAL", "EIO"],
  ["xfs.agf", "EIO", "EIO"],
  ["xfs.agi", "EUCLEAN", "EIO"],
  ["xfs.inodeTree", "EUCLEAN", "EIO"],
  ["xfs.agfl", "EUCLEAN", "EIO"],
  ["xfs.log", "", "EIO"],
  ["xfs.inodes", "EUCLEAN", "EIO"],
])("of which no %s is whole is mounted with %s, and with %s where the device cannot read it", (kind, wiped, unread) => {
  const places = placesOf(kind);
  expect(places.length).toBeGreaterThan(0);
  const bad = DISK.clone();
  for (const { start, end } of places) bad.write(bytes(start), Content.zeros(end - start));
  expect(started(bad).failed).toBe(wiped);
  expect(started(DISK.clone(), places).failed).toBe(unread);
});
