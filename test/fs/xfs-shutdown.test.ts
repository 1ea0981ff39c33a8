/**
 * What calls answer on an xfs that could not write its log and is shut down: as Linux 6.18 answered after XFS_IOC_GOINGDOWN, which leaves the same
 * state. Nothing is read or written any more; names that the dentry cache has are still found.
 */
import { expect, test } from "vitest";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { deviceNumber, MIB } from "../../sim/core/units.ts";
import { createHost } from "../../sim/host.ts";
import { newAttributes, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } from "../../sim/vfs/filesystem.ts";
import { CHANGES, done, laidOut, type Place, synced } from "./protected.ts";

const SEEK_HOLE = 4;

/** Calls that only read, and changes whose answer is not EIO. */
const TOLD: Readonly<Record<string, readonly [call: (of: Place & { readonly directory: number }) => unknown, told: string]>> = {
  "open to read": [({ task }) => task.open("/m/d/f", O_RDONLY), "EIO"],
  "make what is there": [({ task }) => task.open("/m/d/f", O_CREAT | O_EXCL | O_WRONLY), "EEXIST"],
  "mkdir where a folder is": [({ task }) => task.mkdir("/m/d/d"), "EEXIST"],
  read: [({ task, f }) => task.pread(f, 3, 0), "EIO"],
  "read behind the end": [({ task, f }) => task.pread(f, 3, MIB(1)), "EIO"],
  "write nothing": [({ task, f }) => task.pwrite(f, Content.empty, 0), "ok"],
  "truncate to the same size": [({ task, f }) => task.ftruncate(f, 12_000), "EIO"],
  seek: [({ task, f }) => task.lseek(f, 0, SEEK_HOLE), "EIO"],
  stat: [({ task }) => task.stat("/m/d/f", newAttributes()), "EIO"],
  fstat: [({ task, f }) => task.fstat(f), "EIO"],
  "stat what is not there": [({ task }) => task.stat("/m/d/new", newAttributes()), "EIO"],
  "ask for leave to write": [({ task }) => task.access("/m/d/f", 2), "ok"],
  list: [({ task }) => task.readdir("/m/d"), "EIO"],
  readlink: [({ task }) => task.readlink("/m/d/l"), "EIO"],
  "get an attribute": [({ task }) => task.getxattr("/m/d/f", "user.a"), "EIO"],
  "get one that is not there": [({ task }) => task.getxattr("/m/d/f", "user.q"), "EIO"],
  "list attributes": [({ task }) => task.listxattr("/m/d/f"), "EIO"],
  "remove an attribute that is not there": [({ task }) => task.removexattr("/m/d/f", "user.q"), "EIO"],
  "rename onto itself": [({ task }) => task.rename("/m/d/f", "/m/d/f"), "ok"],
  "remove a folder that has names": [({ task }) => task.rmdir("/m/d"), "EIO"],
  fsync: [({ task, f }) => task.fsync(f), "EIO"],
  "fsync of the folder": [({ task, directory }) => task.fsync(directory), "ok"],
  syncfs: [({ task }) => synced(task, "/m"), "EIO"],
  "get flags": [({ task, f }) => task.getFlags(f), "ok"],
  statfs: [({ task }) => task.statfs("/m"), "ok"],
  close: [({ task, directory }) => task.close(directory), "ok"],
};
/** Changes that are refused before, or need nothing. */
const OTHERS: Readonly<Record<string, string>> = {
  "mkdir where a folder is": "EEXIST",
  "ask for leave to write": "ok",
  "ask for leave to write the folder": "ok",
  "set no time": "ok",
};

function answer(got: unknown): string {
  return isErrno(got) ? got.code : "ok";
}

function shutDown(): { place: Place & { directory: number }; host: ReturnType<typeof createHost> } {
  const host = createHost();
  const { task } = host;
  task.umask = 0;
  task.mkdir("/m");
  const device = new FaultyDevice(host.addDisk({ size: MIB(300) }));
  host.addDevice("faulty", device, deviceNumber(253, 1));
  done(host.mkfs("xfs", "faulty"));
  expect(host.mount({ type: "xfs", source: "faulty", target: "/m" })).toBeUndefined();
  laidOut(task, "/m/d");
  done(task.symlink("t", "/m/d/l"));
  done(synced(task));
  const opened = (path: string, flags: number): number => done(task.open(path, flags));
  const place = {
    task,
    folder: "/m/d",
    f: opened("/m/d/f", O_RDWR),
    g: opened("/m/d/g", O_RDWR),
    directory: opened("/m/d", O_RDONLY),
  };
  device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
  done(task.chmod("/m/d/g", 0o600));
  expect(answer(synced(task))).toBe("EIO");
  device.heal();
  return { place, host };
}

test("a shut down xfs answers EIO to whatever it would have to read or write, and is whole when it is mounted again", () => {
  const { place, host } = shutDown();
  const got = Object.entries(TOLD).map(([name, [call]]) => [name, answer(call(place))]);
  expect(Object.fromEntries(got)).toEqual(Object.fromEntries(Object.entries(TOLD).map(([name, [, told]]) => [name, told])));
  const wrong = Object.entries(CHANGES)
    .map(([name, change]) => [name, answer(change(place))])
    .filter(([name = "", code]) => code !== (OTHERS[name] ?? "EIO"));
  expect(wrong).toEqual([]);
  host.unmount("/m");
  expect(host.mount({ type: "xfs", source: "faulty", target: "/m" })).toBeUndefined();
  host.check();
  expect(
    done(place.task.readdir("/m/d"))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(["d", "f", "g", "l"]);
});
