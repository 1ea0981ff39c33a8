/**
 * Data that the device does not take: what waits in the journal or the log is written all the same, and who asks is told once. As Linux 6.18 does it
 * (sync_filesystem, generic_shutdown_super): an ext4 on a loop device whose file has room for its journal and not for 120 MiB of data answers EIO to
 * syncfs, is unmounted without a word, and shows the new folder and the file's whole length when it is mounted again.
 */
import { describe, expect, test } from "vitest";
import { type Disk, keepNone } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EIO, isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost, type Host } from "../../sim/host.ts";
import { O_CREAT, O_RDWR } from "../../sim/vfs/filesystem.ts";

/** A filesystem with a new folder and a new file that is dirty, whose next write, which is of the file's data, fails. */
function dirtied(type: string): { host: Host; disk: Disk; device: FaultyDevice } {
  const host = createHost();
  host.task.mkdir("/m");
  const disk = host.addDisk({ name: "vda", size: MIB(400) });
  const device = new FaultyDevice(disk);
  host.addDevice("faulty", device, deviceNumber(253, 1));
  expect(host.mkfs(type, "faulty")).toBeUndefined();
  expect(host.mount({ type, source: "faulty", target: "/m" })).toBeUndefined();
  const { task } = host;
  expect(task.mkdir("/m/folder")).toBeUndefined();
  const fd = task.open("/m/file", O_CREAT | O_RDWR) as number;
  expect(task.pwrite(fd, Content.pattern(1, 4096), 0)).toBe(4096);
  expect(task.close(fd)).toBeUndefined();
  device.inject({ on: "write", at: 1, times: 1 });
  return { host, disk, device };
}

/** What is there when the filesystem is mounted again. */
function names({ task }: Host): string[] {
  const rows = task.readdir("/m");
  if (isErrno(rows)) return [rows.code];
  return rows
    .map(({ name }) => name)
    .filter((name) => name !== "lost+found")
    .sort();
}

describe.each(["ext4", "xfs"])("on %s", (type) => {
  test("syncfs tells of it, and what a power cut leaves then has the names", () => {
    const { host, disk } = dirtied(type);
    expect(host.vfs.mounts.at(-1)?.fs.sync()).toBe(EIO);
    const left = disk.clone();
    left.powerCut(keepNone);
    const again = createHost();
    again.task.mkdir("/m");
    again.attachDisk(left);
    expect(again.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
    expect(names(again)).toEqual(["file", "folder"]);
    again.check();
  });

  test("umount tells nobody, and the names are there when it is mounted again", () => {
    const { host } = dirtied(type);
    expect(host.unmount("/m")).toBeUndefined();
    expect(host.lostAtUnmount).toBe(1);
    expect(host.mount({ type, source: "vda", target: "/m" })).toBeUndefined();
    expect(names(host)).toEqual(["file", "folder"]);
    host.check();
  });
});

test("a filesystem that ends with everything written has lost nothing", () => {
  const { host, device } = dirtied("ext4");
  device.heal();
  expect(host.unmount("/m")).toBeUndefined();
  expect(host.lostAtUnmount).toBe(0);
});
