/**
 * What xfs refuses, and with which error: no room for what is shared, a device that fails under data, sizes and kinds. Errors are those of
 * Linux 6.18 (asked, where a name says so) or of its source.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { E2BIG, EFBIG, EINVAL, EIO, EMLINK, ENOTSUP, ERANGE, isErrno } from "../../sim/core/errno.ts";
import { bytes, deviceNumber, MIB } from "../../sim/core/units.ts";
import { MODE, NLINK, WORDS } from "../../sim/fs/xfs/inodes.ts";
import { LINK_MAX } from "../../sim/fs/xfs/layout.ts";
import { mkfsXfs } from "../../sim/fs/xfs/mkfs.ts";
import type { ClusterRecord } from "../../sim/fs/xfs/records.ts";
import { createHost, type Host } from "../../sim/host.ts";
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  fileHandle,
  newAttributes,
  O_CREAT,
  O_RDWR,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from "../../sim/vfs/filesystem.ts";
import type { Task } from "../../sim/vfs/task.ts";
import { folder, make, must, put, stat } from "./disk-helpers.ts";
import { done, synced } from "./protected.ts";
import { lab, mounted, ROOT } from "./xfs-helpers.ts";

const BLOCK = 4096;

interface Place {
  readonly host: Host;
  readonly task: Task;
  readonly device: FaultyDevice;
  /** Open files of ten blocks each, of which b shares a's, and of half a block. */
  readonly a: number;
  readonly b: number;
  readonly half: number;
}

function place(): Place {
  const host = createHost();
  const { task } = host;
  task.mkdir("/m");
  const device = new FaultyDevice(host.addDisk({ size: MIB(300) }));
  host.addDevice("faulty", device, deviceNumber(253, 1));
  done(host.mkfs("xfs", "faulty"));
  expect(host.mount({ type: "xfs", source: "faulty", target: "/m" })).toBeUndefined();
  const open = (path: string): number => done(task.open(path, O_CREAT | O_RDWR, 0o644));
  const [a, b, half] = ["/m/a", "/m/b", "/m/half"].map(open) as [number, number, number];
  done(task.write(a, Content.pattern(1, 10 * BLOCK)));
  done(task.write(half, Content.pattern(2, BLOCK / 2)));
  done(task.clone(a, b));
  done(synced(task));
  return { host, task, device, a, b, half };
}

function answer(got: unknown): string {
  return isErrno(got) ? got.code : "ok";
}

const TEN: Content = Content.pattern(3, 10);
const dirty = ({ task, a }: Place): unknown => task.pwrite(a, TEN, 3 * BLOCK);

/** Calls on blocks that are shared, when no block is to be had. */
const UNSHARING: Readonly<Record<string, (of: Place) => unknown>> = {
  write: ({ task, b }) => task.pwrite(b, TEN, 5),
  "truncate within a block": ({ task, b }) => task.ftruncate(b, 5 * BLOCK + 7),
  "punch part of a block": ({ task, b }) => task.fallocate(b, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7, 100),
  unshare: ({ task, b }) => task.fallocate(b, FALLOC_FL_UNSHARE_RANGE, 0, 2 * BLOCK),
  allocate: ({ task, b }) => task.fallocate(b, 0, 10 * BLOCK, BLOCK),
};

test.each(Object.entries(UNSHARING))(
  "%s is ENOSPC where shared blocks cannot have new ones, and the file is as it was",
  (_name, call) => {
    const of = place();
    of.host.allocations.fail(1, Number.POSITIVE_INFINITY);
    expect(answer(call(of))).toBe("ENOSPC");
    of.host.allocations.heal();
    of.host.check();
    expect(done(of.task.pread(of.b, 11 * BLOCK, 0)).equals(Content.pattern(1, 10 * BLOCK))).toBe(true);
  },
);

/** Calls that must first write what is dirty, or read what they change a part of, on a device that no longer does. */
const SETTLING: Readonly<Record<string, (of: Place) => unknown>> = {
  punch: ({ task, a }) => task.fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * BLOCK, 4 * BLOCK),
  zero: ({ task, a }) => task.fallocate(a, FALLOC_FL_ZERO_RANGE, 2 * BLOCK, 4 * BLOCK),
  collapse: ({ task, a }) => task.fallocate(a, FALLOC_FL_COLLAPSE_RANGE, BLOCK, BLOCK),
  insert: ({ task, a }) => task.fallocate(a, FALLOC_FL_INSERT_RANGE, BLOCK, BLOCK),
  unshare: ({ task, a }) => task.fallocate(a, FALLOC_FL_UNSHARE_RANGE, 0, 5 * BLOCK),
  "clone from": ({ task, a, half }) => task.clone(a, half),
  "clone to": ({ task, a, b }) => task.clone(b, a),
  "write behind the end": ({ task, half }) => task.pwrite(half, TEN, 3 * BLOCK),
  "make longer": ({ task, half }) => task.ftruncate(half, 3 * BLOCK),
  "cut within a block": ({ task, half }) => task.ftruncate(half, 10),
  fsync: ({ task, a }) => task.fsync(a),
};

test.each(Object.entries(SETTLING))("%s is EIO on a device that fails under the file's data", (_name, call) => {
  const of = place();
  for (const fd of [of.a, of.b, of.half]) done(of.task.fadvise(fd));
  done(dirty(of));
  for (const on of ["read", "write"] as const) of.device.inject({ on, times: Number.POSITIVE_INFINITY });
  expect(answer(call(of))).toBe("EIO");
  of.device.heal();
  of.host.check();
});

test("a write that finds no room has what others took in advance given back first, and is EIO where that cannot be written", () => {
  const of = place();
  const { task } = of;
  const grown = done(task.open("/m/grown", O_CREAT | O_RDWR, 0o644));
  // 16 MiB that grew: as much again is taken in advance while the file is open.
  for (let at = 0; at < 4; at++) done(task.pwrite(grown, Content.pattern(4, MIB(4)), at * MIB(4)));
  const other = done(task.open("/m/other", O_CREAT | O_RDWR, 0o644));
  let [size, failed] = [0, ""];
  while (failed === "") {
    const written = task.pwrite(other, Content.pattern(5, 64 * 1024), size);
    if (isErrno(written)) failed = written.code;
    else size += written;
  }
  expect(failed).toBe("ENOSPC");
  const told = newAttributes();
  done(task.stat("/m/grown", told));
  expect(told.blocks * 512).toBe(MIB(16));
  of.host.check();
  done(task.pwrite(grown, TEN, 0));
  of.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
  expect(answer(task.pwrite(other, Content.pattern(5, 64 * 1024), size))).toBe("EIO");
});

/** Folders in each of their forms, by how many names of 30 bytes they have. */
test.each([3, 60, 110, 400, 2500])(
  "a folder of %i names takes another one where there is no block to be had as long as it has room for it",
  (names) => {
    const { host, task } = place();
    done(task.mkdir("/m/d"));
    for (let n = 0; n < names; n++) done(task.mknod(`/m/d/${String(n).padStart(30, "n")}`, S_IFREG | 0o644));
    done(synced(task));
    host.allocations.fail(1, Number.POSITIVE_INFINITY);
    let [made, failed] = [0, ""];
    for (; failed === ""; made++) failed = answer(task.link("/m/a", `/m/d/${String(made).padStart(30, "m")}`)).replace("ok", "");
    host.allocations.heal();
    expect(failed).toBe("ENOSPC");
    host.check();
    expect(done(task.readdir("/m/d")).length).toBe(names + made - 1);
  },
);

describe("by a filesystem itself", () => {
  const on = lab(MIB(300));
  const file = make(on, ROOT, "f");
  const { fs } = on;
  const handle = fileHandle(file);
  const far = Number.MAX_SAFE_INTEGER - 4096;
  put(on, file, 0, Content.pattern(1, 3 * BLOCK));
  test.each<[string, () => unknown, unknown]>([
    ["an allocation in a way that it does not know", () => fs.fallocate(handle, 0x80, 0, BLOCK), ENOTSUP],
    ["an allocation beyond the largest file", () => fs.fallocate(handle, 0, far, BLOCK), EFBIG],
    ["a write beyond the largest file", () => fs.write(handle, far, TEN), EFBIG],
    ["a size beyond the largest file", () => fs.setattr(file, { size: far + 1 }), EFBIG],
    [
      "an insertion that makes the file too long",
      () => fs.fallocate(handle, FALLOC_FL_INSERT_RANGE, 0, far - BLOCK - (far % BLOCK)),
      EFBIG,
    ],
    ["an attribute without a name behind its namespace (asked)", () => fs.setxattr(file, "user.", new Uint8Array(1), 0), EINVAL],
    ["an attribute whose name is too long", () => fs.setxattr(file, `user.${"n".repeat(256)}`, new Uint8Array(1), 0), ERANGE],
    ["a namespace that it does not keep (asked)", () => fs.setxattr(file, "os2.x", new Uint8Array(1), 0), ENOTSUP],
    ["its removal", () => fs.removexattr(file, "os2.x"), ENOTSUP],
    ["flags that it does not keep (asked)", () => fs.setFileFlags(file, 1), ENOTSUP],
    ["a clone from behind the end (asked)", () => fs.clone(handle, 4 * BLOCK, handle, 8 * BLOCK, BLOCK), EINVAL],
    ["a link's target of what is no link (asked)", () => fs.readlink(file), EINVAL],
  ])("%s is refused", (_name, call, told) => {
    expect(call()).toBe(told);
    fs.check();
  });

  test("an inode that is dropped more often than held is a bug", () => {
    expect(() => fs.drop(file)).toThrow("dropped more often than held");
  });
});

test("an inode that has all the names that there can be gets no more, nor a folder (XFS_MAXLINK)", () => {
  const on = lab(MIB(300));
  const file = make(on, ROOT, "f");
  const directory = folder(on, ROOT, "d");
  must(on.fs.unmount());
  const content = must(on.disk.read(bytes(0), bytes(MIB(300))));
  let at = 0;
  for (const run of content.runs) {
    const record = run.wholeRecord() as ClusterRecord | undefined;
    if (record?.kind === "xfs.inodes") {
      const words = record.words.slice();
      for (const ino of [file, directory]) {
        const index = ino - record.first;
        if (index >= 0 && index < 32 && words[index * WORDS + MODE] !== 0) words[index * WORDS + NLINK] = LINK_MAX;
      }
      on.disk.write(bytes(at), Content.record({ ...record, words } as ClusterRecord));
    }
    at += run.length;
  }
  const again = mounted(on.disk);
  const name = again.names.intern("new");
  expect(again.fs.lookup(again.fs.root, again.names.intern("f"))).toBe(file);
  expect(again.fs.link(file, again.fs.root, name)).toBe(EMLINK);
  expect(again.fs.lookup(again.fs.root, again.names.intern("d"))).toBe(directory);
  expect(again.fs.create(directory, name, { mode: S_IFDIR, uid: 0, gid: 0, rdev: 0, target: "" })).toBe(EMLINK);
  expect(isErrno(again.fs.create(directory, name, { mode: S_IFREG, uid: 0, gid: 0, rdev: 0, target: "" }))).toBe(false);
});

test("without checksums a list has 25 entries, extents are not shared, and a crash leaves no copy-on-write blocks to look for", () => {
  const on = lab(MIB(300), { crc: false });
  const file = make(on, ROOT, "f");
  const entries = (count: number) =>
    Array.from({ length: count }, (_, at) => ({
      tag: at === 0 ? 1 : at === 1 ? 4 : at === 2 ? 32 : at === 3 ? 16 : 2,
      permissions: 7,
      id: at < 4 ? 0xffffffff : at,
    }));
  expect(on.fs.setAcl(file, "access", entries(26), 0o777)).toBe(E2BIG);
  expect(on.fs.setAcl(file, "access", entries(25), 0o777)).toBeUndefined();
  expect(on.fs.clone(fileHandle(file), 0, fileHandle(file), BLOCK, 0)).toBe(ENOTSUP);
  must(on.fs.setxattr(file, "user.large", new Uint8Array(10_000), 0));
  on.fs.check();
  must(on.fs.sync());
  on.disk.powerCut(() => false);
  const again = mounted(on.disk);
  again.fs.check();
  const found = must(again.fs.lookup(again.fs.root, again.names.intern("f")));
  expect((again.fs.getxattr(found, "user.large") as Uint8Array).length).toBe(10_000);
  expect(again.fs.acl(found, "access")).toEqual(entries(25));
});

test.each<[string, number, string, readonly (readonly [bytes: number, sectors: number])[]]>([
  [
    "a device",
    S_IFCHR | 0o644,
    "",
    [
      [100, 0],
      [400, 8],
    ],
  ],
  [
    "a short link",
    S_IFLNK | 0o777,
    "t".repeat(60),
    [
      [30, 0],
      [400, 8],
    ],
  ],
  ["a long link", S_IFLNK | 0o777, "t".repeat(800), [[300, 16]]],
])("attributes of %s leave its inode when they no longer fit beside what it holds (asked)", (_name, mode, target, sizes) => {
  const on = lab(MIB(300));
  const inode = make(on, ROOT, "n", mode, target);
  for (const [at, [length, sectors]] of sizes.entries()) {
    must(on.fs.setxattr(inode, `trusted.${"ab"[at]}`, new Uint8Array(length), 0));
    expect(stat(on, inode).blocks).toBe(sectors);
    on.fs.check();
  }
});

test("a filesystem is not made where its groups are smaller than its log, nor on a device that fails, nor mounted on a part of its device (asked)", () => {
  const stripe = { unit: 64, width: 128 };
  expect([300, 512, 600].map((size) => mkfsXfs(new Disk({ size: MIB(size) }), { stripe }))).toEqual([EINVAL, EINVAL, undefined]);
  const failing = new FaultyDevice(new Disk({ size: MIB(300) }), [
    { on: "discard", error: ENOTSUP },
    { on: "write", times: Number.POSITIVE_INFINITY },
  ]);
  expect(mkfsXfs(failing)).toBe(EIO);
  const { disk } = lab(MIB(512));
  const short = new Disk({ size: MIB(400) });
  short.write(bytes(0), must(disk.read(bytes(0), bytes(MIB(400)))));
  expect(() => mounted(short)).toThrow("EIO");
});
