/**
 * What ext4 refuses, and with which error: a mount whose metadata is damaged or cannot be read, a device that fails under data, sizes and names. Errors
 * are those of Linux 6.18, asked where a name says so.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EFBIG, EINVAL, EIO, EMLINK, ENAMETOOLONG, ENOENT, ENOTSUP, ERANGE, isErrno } from "../../sim/core/errno.ts";
import { bytes, deviceNumber, MIB } from "../../sim/core/units.ts";
import { growExt4 } from "../../sim/fs/ext4/grow.ts";
import { mkfsExt4 } from "../../sim/fs/ext4/mkfs.ts";
import { createHost, type Host } from "../../sim/host.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  fileHandle,
  O_CREAT,
  O_RDWR,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { make, must, put } from "./disk-helpers.ts";
import { lab, mounted } from "./ext4-helpers.ts";
import { done, synced } from "./protected.ts";

const BLOCK = 4096;
const SIZE = MIB(64);

/** A disk with a file and a log to be replayed. */
function dirty(): Disk {
  const on = lab(SIZE);
  put(on, make(on, on.fs.root, "f"), 0, Content.pattern(1, 3 * BLOCK));
  must(on.fs.sync());
  on.disk.powerCut(() => false);
  return on.disk;
}

function mountOf(device: ConstructorParameters<typeof FaultyDevice>[0]): string {
  try {
    mounted(device).fs.check();
    return "";
  } catch (error) {
    return (error as Error).message.replace("expected an answer, got ", "");
  }
}

test("whichever read, write or flush of a mount fails, it is EIO or needs nothing of it, and the next mount has everything", () => {
  const disk = dirty();
  const wrong: unknown[] = [];
  let failures = 0;
  for (const on of ["read", "write", "flush"] as const) {
    for (let at = 1; ; at++) {
      const copy = disk.clone();
      const device = new FaultyDevice(copy, [{ on, at }]);
      const host = createHost();
      host.task.mkdir("/m");
      host.attachDisk(copy);
      host.addDevice("faulty", device, deviceNumber(253, 1));
      const failed = host.mount({ type: "ext4", source: "faulty", target: "/m" });
      if (device.failed === 0) break;
      if (failed !== undefined) failures += 1;
      if (failed !== undefined && failed.errno !== EIO) wrong.push([on, at, failed.errno.code]);
      const again = mounted(copy);
      again.fs.check();
      const file = must(again.fs.lookup(again.fs.root, again.names.intern("f")));
      expect(must(again.fs.read(fileHandle(file), 0, 3 * BLOCK)).equals(Content.pattern(1, 3 * BLOCK))).toBe(true);
    }
  }
  expect(wrong).toEqual([]);
  expect(failures).toBeGreaterThan(8);
});

test.each([
  ["ext4.superblock", "EINVAL"],
  ["ext4.groupDescriptors", "EUCLEAN"],
  ["jbd2.superblock", "EINVAL"],
])("of which no %s is whole is mounted with %s (asked)", (kind, told) => {
  const on = lab(SIZE);
  must(on.fs.unmount());
  let at = 0;
  for (const run of must(on.disk.read(bytes(0), bytes(SIZE))).runs) {
    if (run.wholeRecord()?.kind === kind) on.disk.write(bytes(at), Content.zeros(run.length));
    at += run.length;
  }
  expect(mountOf(on.disk)).toBe(told);
});

test("a device that is shorter than its filesystem is EINVAL (asked)", () => {
  const { disk } = lab(SIZE);
  const short = new Disk({ size: MIB(40) });
  short.write(bytes(0), must(disk.read(bytes(0), bytes(MIB(40)))));
  expect(mountOf(short)).toBe("EINVAL");
});

test("a filesystem is neither made nor grown on a device that fails", () => {
  const { clock } = lab(SIZE);
  const made = (faults: ConstructorParameters<typeof FaultyDevice>[1]): unknown =>
    mkfsExt4(new FaultyDevice(new Disk({ size: SIZE }), faults), { zeroTables: true });
  expect(made([{ on: "discard", error: ENOTSUP }, { on: "write" }])).toBe(EIO);
  for (let at = 1; at < 4; at++) expect(made([{ on: "write", at }])).toBe(EIO);
  const lasting = new FaultyDevice(new Disk({ size: SIZE }), [{ on: "discard", error: ENOTSUP }, { on: "write" }]);
  expect(mkfsExt4(lasting)).toBe(EIO);
  const on = lab(SIZE);
  must(on.fs.unmount());
  const large = new Disk({ size: 2 * SIZE });
  large.write(bytes(0), must(on.disk.read(bytes(0), bytes(SIZE))));
  for (let at = 1; at < 4; at++) {
    const answer = growExt4(new FaultyDevice(large.clone(), [{ on: "read", at }]), clock);
    expect(answer === undefined || answer === EIO).toBe(true);
  }
  expect(growExt4(new FaultyDevice(large.clone(), [{ on: "read", at: 1 }]), clock)).toBe(EIO);
  expect(growExt4(large, clock)).toBeUndefined();
  mounted(large).fs.check();
});

interface Place {
  readonly host: Host;
  readonly task: Task;
  readonly device: FaultyDevice;
  readonly f: number;
}

function place(): Place {
  const host = createHost();
  const { task } = host;
  task.mkdir("/m");
  const device = new FaultyDevice(host.addDisk({ size: SIZE }));
  host.addDevice("faulty", device, deviceNumber(253, 1));
  done(host.mkfs("ext4", "faulty"));
  expect(host.mount({ type: "ext4", source: "faulty", target: "/m" })).toBeUndefined();
  const f = done(task.open("/m/f", O_CREAT | O_RDWR, 0o644));
  done(task.write(f, Content.pattern(1, 10 * BLOCK + 100)));
  done(synced(task));
  done(task.fadvise(f));
  return { host, task, device, f };
}

const TEN: Content = Content.pattern(3, 10);
/** Calls that read or write a part of a block, or what is dirty, on a device that no longer does. */
const SETTLING: Readonly<Record<string, (of: Place) => unknown>> = {
  read: ({ task, f }) => task.pread(f, 10, 0),
  "write a part of a block": ({ task, f }) => task.pwrite(f, TEN, 5),
  "cut within a block": ({ task, f }) => task.ftruncate(f, 5 * BLOCK + 7),
  "punch part of a block": ({ task, f }) => task.fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7, 2 * BLOCK),
  "zero part of a block": ({ task, f }) => task.fallocate(f, FALLOC_FL_ZERO_RANGE, 7, 2 * BLOCK),
  collapse: ({ task, f }) =>
    task.pwrite(f, Content.pattern(2, BLOCK), 3 * BLOCK) && task.fallocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, BLOCK),
  insert: ({ task, f }) =>
    task.pwrite(f, Content.pattern(2, BLOCK), 3 * BLOCK) && task.fallocate(f, FALLOC_FL_INSERT_RANGE, 0, BLOCK),
  fsync: ({ task, f }) => task.pwrite(f, Content.pattern(2, BLOCK), 3 * BLOCK) && task.fsync(f),
};

test.each(Object.entries(SETTLING))("%s is EIO on a device that fails under the file's data", (_name, call) => {
  const of = place();
  for (const on of ["read", "write"] as const) of.device.inject({ on, times: Number.POSITIVE_INFINITY });
  const got = call(of);
  expect(isErrno(got) ? got.code : got).toBe("EIO");
  of.device.heal();
  of.host.check();
});

test("names that are not there, folders that are gone, and a file of 65000 names are refused (EXT4_LINK_MAX)", () => {
  const on = lab(SIZE);
  const { fs, names } = on;
  const name = (text: string) => names.intern(text);
  const init = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: "" };
  expect([fs.unlink(fs.root, name("none")), fs.rmdir(fs.root, name("none"))]).toEqual([ENOENT, ENOENT]);
  expect(fs.rename(fs.root, name("none"), fs.root, name("new"), 0)).toBe(ENOENT);
  expect(fs.create(fs.root, name("l"), { ...init, mode: 0o120777, target: "t".repeat(4096) })).toBe(ENAMETOOLONG);
  const gone = make(on, fs.root, "gone", 0o040755);
  fs.hold(gone);
  must(fs.rmdir(fs.root, name("gone")));
  expect(fs.create(gone, name("new"), init)).toBe(ENOENT);
  fs.drop(gone);
  fs.check();
  const file = make(on, fs.root, "f");
  let failed: unknown;
  let count = 1;
  for (; failed === undefined; count++) failed = fs.link(file, fs.root, name(`n${count}`));
  expect([failed, count - 1]).toEqual([EMLINK, 65_000]);
});

test("a filesystem does not grow beyond what its reserved descriptors can tell of, nor by a group that is too small to be one", () => {
  const { clock } = lab(SIZE);
  const on = lab(MIB(128));
  must(on.fs.unmount());
  const grown = (size: number): unknown => {
    const device = new Disk({ size });
    device.write(bytes(0), must(on.disk.read(bytes(0), bytes(MIB(128)))));
    return growExt4(device, clock) ?? mounted(device).fs.statfs().blocks;
  };
  expect(grown(2 ** 43)).toBe(EFBIG);
  expect(grown(MIB(257))).toBe(grown(MIB(256)));
});

describe("by a filesystem itself (asked)", () => {
  const on = lab(SIZE);
  const { fs } = on;
  const file = make(on, fs.root, "f");
  put(on, file, 0, Content.pattern(1, 3 * BLOCK));
  const handle = fileHandle(file);
  const far = (2 ** 32 - 1) * BLOCK;
  test.each<[string, () => unknown, unknown]>([
    ["an allocation in a way that it does not know", () => fs.fallocate(handle, 0x40, 0, BLOCK), ENOTSUP],
    ["an allocation beyond the largest file", () => fs.fallocate(handle, FALLOC_FL_KEEP_SIZE, far, BLOCK), EFBIG],
    ["an insertion that makes the file too long", () => fs.fallocate(handle, FALLOC_FL_INSERT_RANGE, 0, far - BLOCK), EFBIG],
    ["a write beyond the largest file", () => fs.write(handle, far, TEN), EFBIG],
    ["an attribute without a name behind its namespace", () => fs.setxattr(file, "user.", new Uint8Array(1), 0), EINVAL],
    ["an attribute whose name is too long", () => fs.setxattr(file, `user.${"n".repeat(256)}`, new Uint8Array(1), 0), ERANGE],
    ["a namespace that it does not keep", () => fs.setxattr(file, "os2.x", new Uint8Array(1), 0), ENOTSUP],
    ["a link's target of what is no link", () => fs.readlink(file), EINVAL],
    ["a clone", () => fs.clone(), ENOTSUP],
  ])("%s is refused", (_name, call, told) => {
    expect(call()).toBe(told);
    fs.check();
  });
  test("an inode that is dropped more often than held is a bug", () => {
    expect(() => fs.drop(file)).toThrow("dropped more often than held");
  });
});
