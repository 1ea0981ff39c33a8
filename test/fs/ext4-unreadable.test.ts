/**
 * Blocks of an ext4 that cannot be read when they are needed: of directories, of extended attributes, of extents, of a long symbolic link. What is answered about a block of zeros
 * was asked of Linux 6.18 with debugfs and dd; on a block that the device cannot read the same calls are EIO, and work again when it can.
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes, deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { newAttributes, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY, S_IFREG } from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { done } from "./protected.ts";
import { codeOf } from "./varied-work.ts";

const SIZE = MIB(64);
const BLOCK = 4096;

function started(disk: Disk): { readonly host: Host; readonly task: Task; readonly device: FaultyDevice } {
  const host = createHost();
  host.task.mkdir("/m");
  host.attachDisk(disk);
  const device = new FaultyDevice(disk);
  host.addDevice("faulty", device, deviceNumber(253, 1));
  return { host, task: host.task, device };
}

function mounted(disk: Disk): ReturnType<typeof started> {
  const machine = started(disk);
  expect(machine.host.mount({ type: "ext4", source: "faulty", target: "/m" })).toBeUndefined();
  return machine;
}

/** A disk with a file whose attributes are in the inode and in a block, and a link whose target has a block. */
function fill(): Disk {
  const disk = new Disk({ size: SIZE });
  done(started(disk).host.mkfs("ext4", "faulty"));
  const { host, task } = mounted(disk);
  // The first block of the inode table has the root.
  for (let n = 0; n < 16; n++) done(task.mknod(`/m/before-${n}`, S_IFREG | 0o644));
  const fd = done(task.open("/m/x", O_CREAT | O_WRONLY, 0o644)) as number;
  task.close(fd);
  done(task.setxattr("/m/x", "user.a", new Uint8Array(2500)));
  done(task.setxattr("/m/x", "user.small", Uint8Array.of(1)));
  done(task.symlink("t".repeat(900), "/m/long"));
  done(task.mkdir("/m/other"));
  done(task.mkdir("/m/dir"));
  for (let n = 0; n < 9; n++) done(task.mknod(`/m/dir/name-${n}`, S_IFREG | 0o644));
  const pieces = done(task.open("/m/frag", O_CREAT | O_WRONLY, 0o644)) as number;
  for (let n = 0; n < 200; n++) done(task.pwrite(pieces, Content.pattern(n, BLOCK), n * 2 * BLOCK));
  done(task.fsync(pieces));
  task.close(pieces);
  expect(host.unmount("/m")).toBeUndefined();
  return disk;
}
const DISK = fill();

/** Where the records of a kind lie: of directories, that of /m/dir. */
function placesOf(kind: string): number[] {
  const content = DISK.read(bytes(0), bytes(SIZE));
  if (isErrno(content)) throw new Error(content.code);
  const found: number[] = [];
  let at = 0;
  for (const run of content.runs) {
    if ((run.wholeRecord() as { kind: string } | undefined)?.kind === kind) found.push(at);
    at += run.length;
  }
  // The first inodes, the root among them, are needed by the mount itself.
  if (kind === "ext4.inodeTable") return found.slice(1);
  // The root's is the first, lost+found's follow; the folder that was made last comes last.
  return kind === "ext4.directoryBlock" ? found.slice(-1) : found;
}

type Call = (task: Task) => unknown;
const SEEK_HOLE = 4;
const within = (task: Task, flags: number, call: (fd: number) => unknown): unknown => {
  const fd = task.open("/m/frag", flags);
  if (isErrno(fd)) return fd;
  const got = call(fd);
  task.close(fd);
  return got;
};
const SMALL = Uint8Array.of(2);

/** For each kind of block: calls, and what they give when it is zeros; "=" where nothing of it is needed. */
const CASES: readonly (readonly [kind: string, name: string, call: Call, told: string])[] = [
  ["ext4.xattrBlock", "get what is in it", (task) => task.getxattr("/m/x", "user.a"), "EUCLEAN"],
  ["ext4.xattrBlock", "get what is in the inode", (task) => task.getxattr("/m/x", "user.small"), "="],
  ["ext4.xattrBlock", "get what is nowhere", (task) => task.getxattr("/m/x", "user.none"), "EUCLEAN"],
  ["ext4.xattrBlock", "list", (task) => task.listxattr("/m/x"), "EUCLEAN"],
  ["ext4.xattrBlock", "set", (task) => task.setxattr("/m/x", "user.b", new Uint8Array(100)), "EUCLEAN"],
  ["ext4.xattrBlock", "set in the inode", (task) => task.setxattr("/m/x", "user.t", SMALL), "EUCLEAN"],
  ["ext4.xattrBlock", "remove", (task) => task.removexattr("/m/x", "user.a"), "EUCLEAN"],
  ["ext4.xattrBlock", "remove from the inode", (task) => task.removexattr("/m/x", "user.small"), "EUCLEAN"],
  ["ext4.xattrBlock", "stat", (task) => task.stat("/m/x", newAttributes()), "="],
  ["ext4.xattrBlock", "unlink", (task) => task.unlink("/m/x"), "="],
  ["ext4.directoryBlock", "list", (task) => task.readdir("/m/dir"), "EBADMSG"],
  ["ext4.directoryBlock", "stat a name", (task) => task.stat("/m/dir/name-5", newAttributes()), "EBADMSG"],
  ["ext4.directoryBlock", "stat no name", (task) => task.stat("/m/dir/none", newAttributes()), "EBADMSG"],
  ["ext4.directoryBlock", "make", (task) => task.mkdir("/m/dir/new"), "EBADMSG"],
  ["ext4.directoryBlock", "unlink a name", (task) => task.unlink("/m/dir/name-5"), "EBADMSG"],
  ["ext4.directoryBlock", "link into it", (task) => task.link("/m/x", "/m/dir/x"), "EBADMSG"],
  ["ext4.directoryBlock", "stat it", (task) => task.stat("/m/dir", newAttributes()), "="],
  ["ext4.directoryBlock", "rename it", (task) => task.rename("/m/dir", "/m/dir2"), "="],
  ["ext4.directoryBlock", "rename it to another folder", (task) => task.rename("/m/dir", "/m/other/dir"), "EBADMSG"],
  ["ext4.extentBlock", "read", (task) => within(task, O_RDONLY, (fd) => task.pread(fd, 5, 0)), "EIO"],
  ["ext4.extentBlock", "write", (task) => within(task, O_WRONLY, (fd) => task.pwrite(fd, Content.text("w"), 0)), "EUCLEAN"],
  ["ext4.extentBlock", "cut", (task) => task.truncate("/m/frag", 0), "EUCLEAN"],
  ["ext4.extentBlock", "look for a hole", (task) => within(task, O_RDONLY, (fd) => task.lseek(fd, 0, SEEK_HOLE)), "EUCLEAN"],
  ["ext4.extentBlock", "allocate", (task) => within(task, O_RDWR, (fd) => task.fallocate(fd, 0, 0, MIB(1))), "EUCLEAN"],
  ["ext4.extentBlock", "lengthen", (task) => task.truncate("/m/frag", MIB(16)), "="],
  ["ext4.extentBlock", "stat the file", (task) => task.stat("/m/frag", newAttributes()), "="],
  ["ext4.extentBlock", "open", (task) => within(task, O_RDWR, () => 0), "="],
  ["ext4.extentBlock", "remove the file", (task) => task.unlink("/m/frag"), "="],
  ["ext4.symlinkBlock", "stat the link", (task) => task.lstat("/m/long", newAttributes()), "="],
  ["ext4.symlinkBlock", "remove the link", (task) => task.unlink("/m/long"), "="],
];

const plain = (got: unknown): string => (isErrno(got) ? got.code : "done");

test.each(CASES)("on a %s of zeros: %s", (kind, _name, call, told) => {
  const disk = DISK.clone();
  for (const at of placesOf(kind)) done(disk.write(bytes(at), Content.zeros(bytes(BLOCK))));
  const { host, task } = mounted(disk);
  expect(plain(call(task))).toBe(told === "=" ? "done" : told);
  expect(codeOf(host.unmount("/m"))).toBe("");
});

test.each([...CASES, ["ext4.symlinkBlock", "read the link", (task: Task) => task.readlink("/m/long"), "EIO"] as const])(
  "on a %s that the device cannot read: %s",
  (kind, _name, call, told) => {
    const disk = DISK.clone();
    const { host, task, device } = started(disk);
    const places = placesOf(kind);
    expect(places).not.toEqual([]);
    for (const start of places)
      device.inject({ on: "read", times: Number.POSITIVE_INFINITY, range: { start, end: start + BLOCK } });
    expect(host.mount({ type: "ext4", source: "faulty", target: "/m" })).toBeUndefined();
    expect(plain(call(task))).toBe(told === "=" ? "done" : "EIO");
    device.heal();
    if (told !== "=") expect(plain(call(task))).toMatch(/^(done|ENODATA|ENOENT)$/);
  },
);

test("a link whose block is zeros leads nowhere", () => {
  const disk = DISK.clone();
  for (const at of placesOf("ext4.symlinkBlock")) done(disk.write(bytes(at), Content.zeros(bytes(BLOCK))));
  expect(mounted(disk).task.readlink("/m/long")).toBe("");
});
