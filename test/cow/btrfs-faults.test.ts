/**
 * What btrfs does where something fails: a promise of space, the device's reads and writes, a quota. Each call answers with the error and is not half
 * done, every book adds up, and when all is well again the same call succeeds.
 */
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, EIO, ENOSPC, EROFS, isErrno } from "../../sim/core/errno.ts";
import { type KernelProfile, kernelProfile } from "../../sim/core/kernel-profile.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { extentsIn } from "../../sim/cow/btrfs/file-extents.ts";
import { inodeOf } from "../../sim/cow/btrfs/inodes.ts";
import { setReceived, syncAll } from "../../sim/cow/btrfs/ioctl.ts";
import { disableQuota, enableQuota, limitQgroup, rescanQuota } from "../../sim/cow/btrfs/quota-ioctl.ts";
import { readSuperblock, writeSuperblock } from "../../sim/cow/btrfs/records.ts";
import { send } from "../../sim/cow/btrfs/send.ts";
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  RENAME_EXCHANGE,
} from "../../sim/vfs/filesystem.ts";
import { treeOf } from "./btrfs-changes.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const random = (length: number, seed = 1): Content => Content.pattern(seed, length);

function code(answer: unknown): unknown {
  return isErrno(answer) ? answer.code : answer;
}

const SPARSE = Content.concat([random(10_000, 2), Content.zeros(30_960), random(5000, 3)]);

/** /m/v, a subvolume of a file with data, one with a hole and an end within a sector, one in its item, and a folder. */
function laidOut(how: ConstructorParameters<typeof BtrfsLab>[0] = {}): BtrfsLab {
  const lab = new BtrfsLab({ size: GIB(1), ...how });
  const { task } = lab.host;
  must(lab.subvolume("/m/v"));
  must(lab.write("/m/v/f", random(20_000)));
  must(lab.write("/m/v/sparse", random(10_000, 2)));
  must(lab.write("/m/v/sparse", random(5000, 3), 40_960));
  must(lab.write("/m/v/inline", random(500, 4)));
  must(task.setxattr("/m/v/f", "user.a", Uint8Array.of(1)));
  must(task.mkdir("/m/v/d", 0o755));
  must(task.mkdir("/m/v/empty", 0o755));
  lab.settle();
  return lab;
}

function onFile(lab: BtrfsLab, path: string, act: (fd: number) => unknown): unknown {
  const fd = lab.host.task.open(path, O_RDWR);
  if (isErrno(fd)) return fd;
  const answer = act(fd);
  lab.host.task.close(fd);
  return answer;
}

const fallocate =
  (mode: number, offset: number, length: number, path = "/m/v/sparse") =>
  (lab: BtrfsLab): unknown =>
    onFile(lab, path, (fd) => lab.host.task.fallocate(fd, mode, offset, length));

const clone =
  (source: string, from: number, to: number, length: number) =>
  (lab: BtrfsLab): unknown => {
    const { task } = lab.host;
    const input = must(task.open(source, O_RDONLY));
    const answer = onFile(lab, "/m/v/sparse", (fd) => {
      const [one, other] = [must(task.files.file(input)), must(task.files.file(fd))];
      return lab.fs.clone(one.handle, from, other.handle, to, length);
    });
    task.close(input);
    return answer;
  };

const NOBODY = 2 ** 32 - 1;
/** The owner, user 7, the group, the mask and others. */
const ACL = [1, 2, 4, 0x10, 0x20].map((tag) => ({ tag, permissions: 4, id: tag === 2 ? 7 : NOBODY }));

interface Change {
  readonly what: string;
  readonly change: (lab: BtrfsLab) => unknown;
  readonly zeroed?: readonly [from: number, to: number];
}

/** Changes that ask for space, each at several places; and what of the sparse file is zero already where the second edge is refused. */
const CHANGES: readonly Change[] = [
  { what: "a write", change: (lab) => lab.write("/m/v/f", random(6000, 5), 100) },
  { what: "a write behind an end that is not aligned", change: (lab) => lab.write("/m/v/f", random(100, 6), 30_000) },
  { what: "a truncate that makes it longer", change: (lab) => lab.host.task.truncate("/m/v/f", 50_000) },
  { what: "a fallocate", change: fallocate(0, 15_000, 60_000) },
  { what: "a fallocate that keeps the size", change: fallocate(FALLOC_FL_KEEP_SIZE, 50_000, 60_000) },
  { what: "zeroing", change: fallocate(FALLOC_FL_ZERO_RANGE, 1000, 50_000), zeroed: [1000, 4096] },
  { what: "zeroing within a sector", change: fallocate(FALLOC_FL_ZERO_RANGE, 100, 200) },
  { what: "zeroing behind the end", change: fallocate(FALLOC_FL_ZERO_RANGE, 50_000, 1000) },
  { what: "a hole", change: fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, 8000), zeroed: [1000, 4096] },
  { what: "a clone behind the end", change: clone("/m/v/f", 0, 49_152, 20_000) },
  { what: "a clone of what is in an item", change: clone("/m/v/inline", 0, 49_152, 500) },
  { what: "a new file", change: (lab) => lab.write("/m/v/new", "") },
  { what: "a new folder", change: (lab) => lab.host.task.mkdir("/m/v/d/new") },
  { what: "a symbolic link", change: (lab) => lab.host.task.symlink("f", "/m/v/l") },
  { what: "a link", change: (lab) => lab.host.task.link("/m/v/f", "/m/v/g") },
  { what: "a rename", change: (lab) => lab.host.task.rename("/m/v/f", "/m/v/d/f") },
  { what: "an exchange", change: (lab) => lab.host.task.rename("/m/v/f", "/m/v/d", RENAME_EXCHANGE) },
  { what: "an attribute", change: (lab) => lab.host.task.setxattr("/m/v/f", "user.b", new Uint8Array(1000)) },
  { what: "an access control list", change: (lab) => lab.fs.setAcl(must(lab.host.task.resolve("/m/v/f")).inode, "access", ACL) },
  {
    what: "a chmod of what was not to be written",
    change: (lab) => {
      lab.settle();
      return lab.host.task.chmod("/m/v/f", 0o600);
    },
  },
  { what: "flags", change: (lab) => onFile(lab, "/m/v/f", (fd) => lab.host.task.setFlags(fd, 0x80)) },
  { what: "a subvolume", change: (lab) => lab.subvolume("/m/v/sub") },
  { what: "a snapshot", change: (lab) => lab.snapshot("/m/v", "/m/v/snap") },
];

describe("a promise of space that fails", () => {
  test.each(CHANGES)("refuses $what with ENOSPC, wherever it fails, and leaves all as it was", ({ change, zeroed }) => {
    const lab = laidOut();
    const { allocations, task } = lab.host;
    for (let at = 1; at < 20; at++) {
      const before = treeOf(task, "/m/v");
      const failed = allocations.failed;
      allocations.fail(at, Number.POSITIVE_INFINITY);
      const answer = code(change(lab));
      const struck = allocations.failed > failed;
      allocations.heal();
      lab.host.check();
      if (!struck) {
        // As often as it was refused before, this time it has all that it asks for.
        expect([at > 1, answer !== "ENOSPC"]).toEqual([true, true]);
        lab.settle();
        lab.host.check();
        return;
      }
      expect(answer).toBe("ENOSPC");
      const after = treeOf(task, "/m/v");
      if (zeroed === undefined || after.join() === before.join()) expect(after).toEqual(before);
      else {
        const [from, to] = zeroed;
        const edges = Content.concat([SPARSE.slice(0, from), Content.zeros(to - from), SPARSE.slice(to, SPARSE.length)]);
        expect(lab.read("/m/v/sparse")).toBe(edges.sha256());
      }
    }
    expect.unreachable("the call asks for space without an end");
  });
});

describe("a quota that is used up", () => {
  /** The subvolume may have so many bytes more. */
  function limited(more: number): BtrfsLab {
    const lab = laidOut({ faulty: true });
    lab.quota();
    lab.settle();
    const id = lab.id("/m/v");
    const used = lab.fs.state.quotas?.groupOf(id).referenced ?? 0;
    must(limitQgroup(lab.fs, id, { referencedMax: used + more }));
    lab.settle();
    return lab;
  }

  test.each(CHANGES.filter(({ what }) => !/chmod|a snapshot|a clone$|a hole/.test(what)))(
    "refuses $what with EDQUOT, and leaves all as it was",
    ({ change }) => {
      const lab = limited(0);
      const before = treeOf(lab.host.task, "/m/v");
      const answer = code(change(lab));
      lab.host.check();
      expect(answer).toBe("EDQUOT");
      expect(treeOf(lab.host.task, "/m/v")).toEqual(before);
    },
  );

  test("cannot be made room in by a device that fails", () => {
    for (const change of [
      (lab: BtrfsLab) => lab.write("/m/v/f", random(4096)),
      (lab: BtrfsLab) => lab.host.task.mkdir("/m/v/new"),
    ]) {
      const lab = limited(0);
      must(lab.write("/m/top", "x"));
      lab.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
      expect(code(change(lab))).toBe("EIO");
      lab.device.heal();
    }
  });

  test("is made room in by what has been promised for nothing", () => {
    const lab = limited(KIB(64));
    // Each promises a sector and counts one item's bytes: the promises run out, and what is written back shows that there is room.
    for (let n = 0; n < 12; n++) expect(lab.write("/m/v/inline", random(100, n))).toBe(100);
    lab.settle();
    lab.host.check();
  });
});

describe("a device", () => {
  test("that cannot read the rest of a page refuses a write in it, and promises no space for it", () => {
    const lab = laidOut({ faulty: true, memory: MIB(64) });
    const { task } = lab.host;
    const fd = must(task.open("/m/v/f", O_RDWR));
    lab.fs.dropPages(must(task.files.file(fd)).handle);
    const { blocks } = must(task.fstat(fd));
    for (const call of [
      () => task.pwrite(fd, random(10), 100),
      () => task.pwrite(fd, random(9000), 4000),
      () => task.fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 10),
      () => task.pwrite(fd, random(10), 30_000),
      () => task.ftruncate(fd, 30_000),
    ]) {
      lab.device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
      expect(call()).toBe(EIO);
      lab.device.heal();
      expect([lab.fs.state.delayedBytes, must(task.fstat(fd)).blocks, must(task.fstat(fd)).size]).toEqual([0, blocks, 20_000]);
      lab.host.check();
    }
    expect(lab.read("/m/v/f")).toBe(random(20_000).sha256());
    expect(task.pwrite(fd, random(10), 100)).toBe(10);
  });

  test("that cannot be read is told by reads and by a stream, of plain and of compressed data", () => {
    for (const options of ["", "compress-force=zlib"]) {
      const lab = laidOut({ faulty: true, memory: MIB(64), options });
      must(lab.write("/m/v/big", Content.zeros(KIB(300))));
      must(lab.snapshot("/m/v", "/m/ro", true));
      must(lab.host.unmount("/m"));
      lab.mount();
      lab.device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
      const fd = must(lab.host.task.open("/m/v/big", O_RDONLY));
      expect(lab.host.task.pread(fd, 4096, 0)).toBe(EIO);
      expect(send(lab.fs, lab.id("/m/ro"), "ro")).toBe(EIO);
      lab.device.heal();
      expect(must(lab.host.task.pread(fd, 4096, 0)).sha256()).toBe(Content.zeros(4096).sha256());
    }
  });

  test.each([
    ["plain", ""],
    ["compressed", "compress-force=zlib"],
    ["not copied", "nodatacow"],
  ])("that cannot write %s data tells fsync, loses no space and takes the next data", (_, options) => {
    const lab = new BtrfsLab({ size: GIB(1), faulty: true, options });
    const { task } = lab.host;
    must(lab.write("/m/f", Content.zeros(KIB(64))));
    const { data } = lab.settle();
    const [first] = extentsIn(inodeOf(lab.fs.state, must(task.resolve("/m/f")).inode), 0, 1);
    if (first === undefined || first.extent.kind === "inline") throw new Error("the file has an extent");
    // Data lies in the first chunk, nodes elsewhere.
    lab.device.inject({ on: "write", times: 1, range: { start: MIB(13), end: MIB(21) } });
    must(lab.write("/m/f", Content.zeros(8192)));
    const fd = must(task.open("/m/f", O_RDONLY));
    expect(task.fsync(fd)).toBe(EIO);
    lab.host.check();
    expect(task.fsync(fd)).toBeUndefined();
    lab.host.check();
    must(lab.write("/m/f", Content.zeros(KIB(64))));
    expect(lab.settle().data).toBe(data);
    lab.host.check();
  });

  test("that cannot write some pages of a file gets those behind them (filemap_fdatawrite)", () => {
    const lab = new BtrfsLab({ size: GIB(1), faulty: true });
    const { task } = lab.host;
    const fd = must(task.open("/m/f", O_RDWR | O_CREAT, 0o644));
    must(task.pwrite(fd, random(4096, 1), 0));
    must(task.pwrite(fd, random(4096, 2), MIB(1)));
    lab.device.inject({ on: "write", times: 1, range: { start: MIB(13), end: MIB(21) } });
    expect([task.fsync(fd), task.fsync(fd)]).toEqual([EIO, undefined]);
    lab.host.check();
    lab.fs.dropPages(must(task.files.file(fd)).handle);
    const [first, second] = [0, MIB(1)].map((at) => must(task.pread(fd, 4096, at)).sha256());
    expect([first, second]).toEqual([Content.zeros(4096).sha256(), random(4096, 2).sha256()]);
  });

  test("that cannot write a node ends all changes with EROFS; what was open may still be closed, and comes back freed", () => {
    const lab = laidOut({ faulty: true });
    const { task } = lab.host;
    const snap = must(lab.snapshot("/m/v", "/m/snap", true));
    const fd = must(task.open("/m/v/f", O_RDWR));
    must(lab.fs.sync());
    must(task.unlink("/m/v/f"));
    must(lab.fs.sync());
    lab.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    must(task.chmod("/m/v/d", 0o700));
    expect(lab.fs.sync()).toBe(EIO);
    expect(task.rmdir("/m/v/empty")).toBe(EROFS);
    expect([lab.remove("/m/snap"), enableQuota(lab.fs), setReceived(lab.fs, snap, { uuid: "u", stransid: 1 })]).toEqual([
      EROFS,
      EROFS,
      EROFS,
    ]);
    expect(task.pwrite(fd, random(10), 0)).toBe(EROFS);
    expect(task.close(fd)).toBeUndefined();
    expect(lab.host.unmount("/m")).toBeUndefined();
    lab.device.heal();
    lab.mount();
    expect(must(lab.host.task.readdir("/m/v")).map(({ name }) => name)).toEqual(["sparse", "inline", "d", "empty"]);
    expect(setReceived(lab.fs, 999, { uuid: "u", stransid: 1 })).toBe(EINVAL);
    lab.host.check();
  });

  test("that fails ends what the tools are at: quotas, their count, the cleaner", () => {
    const lab = laidOut({ faulty: true });
    lab.quota();
    must(lab.snapshot("/m/v", "/m/w"));
    must(lab.remove("/m/w"));
    must(lab.write("/m/v/new", "x"));
    lab.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    expect(rescanQuota(lab.fs)).toBe(EIO);
    expect([disableQuota(lab.fs), syncAll(lab.fs), lab.fs.clean()]).toEqual([EROFS, EROFS, EROFS]);
    lab.device.heal();
  });

  test("that fails under the cleaner leaves the subvolume to be dropped after the next mount", () => {
    const lab = laidOut({ faulty: true });
    must(lab.remove("/m/v"));
    must(lab.fs.sync());
    lab.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    expect(lab.fs.clean()).toBe(EIO);
    lab.host.unmount("/m");
    lab.device.heal();
    lab.mount();
    lab.host.check();
    expect(lab.settle().data).toBe(0);
    lab.host.check();
  });
});

describe("a mount", () => {
  test("of a device that has shrunk is EINVAL, of one with its root in no chunk EIO", () => {
    const lab = laidOut({ faulty: true });
    must(lab.host.unmount("/m"));
    const superblock = must(readSuperblock(lab.device));
    const errnoOf = (): unknown => lab.host.mount({ type: "btrfs", source: lab.source, target: "/m" })?.errno;
    must(writeSuperblock(lab.device, { ...superblock, totalBytes: GIB(2) }));
    expect(errnoOf()).toBe(EINVAL);
    must(writeSuperblock(lab.device, { ...superblock, root: 2 ** 40 }));
    expect(errnoOf()).toBe(EIO);
    must(writeSuperblock(lab.device, superblock));
    expect(errnoOf()).toBeUndefined();
    lab.host.check();
  });

  test("of a device whose chunks cannot be read is EIO", () => {
    const lab = laidOut({ faulty: true });
    const { state } = lab.fs;
    must(lab.host.unmount("/m"));
    for (const group of state.space.groups.filter(({ type }) => type === "system"))
      for (const start of group.stripes)
        lab.device.inject({ on: "read", times: Number.POSITIVE_INFINITY, range: { start, end: start + group.length } });
    expect(lab.host.mount({ type: "btrfs", source: lab.source, target: "/m" })?.errno).toBe(EIO);
  });

  test("finds out that a subvolume's node cannot be read in either of its places", () => {
    const lab = laidOut({ faulty: true });
    const { state } = lab.fs;
    const node = state.tree(lab.id("/m/v")).root;
    must(lab.host.unmount("/m"));
    const group = state.space.groupOf(node);
    for (const [count, stripe] of group.stripes.entries()) {
      const start = stripe + node - group.start;
      lab.device.inject({ on: "read", times: Number.POSITIVE_INFINITY, range: { start, end: start + 16_384 } });
      const failed = lab.host.mount({ type: "btrfs", source: lab.source, target: "/m" });
      expect(failed?.errno).toBe(count === 0 ? undefined : EIO);
      if (count === 0) must(lab.host.unmount("/m"));
    }
  });
});

describe("a device that is full", () => {
  test("is made room on by what has been removed, and tells where it cannot be written", () => {
    const lab = new BtrfsLab({ size: MIB(128), faulty: true });
    const { task } = lab.host;
    const fill = (): unknown => must(lab.write("/m/fill", random(MIB(256)))) > 0 && must(lab.fs.sync() ?? 0);
    fill();
    expect(lab.write("/m/f", random(4096))).toBe(ENOSPC);
    must(task.unlink("/m/fill"));
    // What it had is pinned until the transaction ends: the write waits for that.
    expect(lab.write("/m/f", random(MIB(1)))).toBe(MIB(1));
    lab.host.check();
    fill();
    must(task.chmod("/m/f", 0o600));
    lab.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    expect(lab.write("/m/f", random(4096))).toBe(EIO);
    lab.device.heal();
  });

  test("or cannot be read refuses the batch at hand to kernels that write in batches, and keeps those before it", () => {
    const profile = (kernelProfile("6.1") as KernelProfile).btrfs;
    const lab = new BtrfsLab({ size: MIB(128), faulty: true, profile, memory: MIB(8) });
    const { task } = lab.host;
    must(lab.write("/m/f", random(MIB(4))));
    must(lab.fs.sync());
    const fd = must(task.open("/m/f", O_RDWR));
    lab.fs.dropPages(must(task.files.file(fd)).handle);
    lab.device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
    // The first batch ends with its page; the last page of all must be read.
    const done = must(task.pwrite(fd, random(MIB(3) + 10, 2), 0));
    expect([done > 0, done < MIB(3) + 10, done % 4096]).toEqual([true, true, 0]);
    expect(task.pwrite(fd, random(10), MIB(3) + 5000)).toBe(EIO);
    lab.device.heal();
    lab.host.check();
    must(lab.write("/m/fill", random(MIB(256))));
    must(lab.fs.sync());
    expect(lab.write("/m/fill", random(MIB(1)))).toBe(ENOSPC);
    lab.host.check();
  });
});

describe("metadata that is full", () => {
  test("refuses what needs more, an attribute's removal too, lets a file go, and what that frees is there again", () => {
    const lab = new BtrfsLab({ size: MIB(128), faulty: true });
    const { task } = lab.host;
    must(lab.write("/m/fill", random(MIB(256))));
    must(lab.write("/m/f", ""));
    lab.settle();
    const value = new Uint8Array(16_000);
    const set = (n: number): unknown => code(task.setxattr("/m/f", `user.${n}`, value));
    let count = 0;
    while (set(count) === undefined) count += 1;
    expect([set(count), count > 1000]).toEqual(["ENOSPC", true]);
    lab.host.check();
    expect(task.statfs("/m")).toMatchObject({ blocksAvailable: 0 });
    expect(code(task.mkdir("/m/d"))).toBe("ENOSPC");
    expect(code(task.removexattr("/m/f", "user.0"))).toBe("ENOSPC");
    must(task.unlink("/m/f"));
    lab.host.check();
    // What was freed is pinned until the transaction ends, which is what this call waits for.
    expect(task.mkdir("/m/d")).toBeUndefined();
    lab.settle();
    expect(must(task.statfs("/m")).blocksFree).toBeGreaterThan(2000);
    lab.host.check();
  });
});
