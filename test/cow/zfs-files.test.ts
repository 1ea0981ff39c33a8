/**
 * Files of zfs at their edges: holes, sizes, fallocate and SEEK_HOLE as OpenZFS 2.1 has them (module/zfs/zfs_vnops.c, module/os/linux/zfs/zpl_file.c).
 */
import { describe, expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { E2BIG, EFBIG, EINVAL, EIO, ENOENT, ENOSPC, ENOTSUP, ENXIO } from "../../sim/core/errno.ts";
import { GIB, KIB, MIB, seconds } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsGet } from "../../sim/cow/zfs/listing.ts";
import { BLOCK_SIZE } from "../../sim/cow/zfs/records.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, newAttributes } from "../../sim/vfs/filesystem.ts";
import { IMMUTABLE, NO_DUMP } from "../../sim/vfs/inode-flags.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

function mounted(): { lab: ZfsLab; files: Files; pool: ReturnType<ZfsLab["create"]> } {
  const lab = new ZfsLab();
  const pool = lab.create();
  return { lab, pool, files: new Files(lab, lab.mount(pool, "tank")) };
}

test.each([
  ["one block", 8, KIB(300)],
  ["many blocks", KIB(256), KIB(128) * 1024 * 3],
])(
  "what lies between the end of a file of %s and a write far behind it are zeros, before its group is written and after",
  (_, length, offset) => {
    const { files, pool } = mounted();
    files.write("/f", Content.pattern(1, length));
    pool.syncIfDirty();
    files.write("/f", Content.text("end"), offset);
    const file = must(files.fs.open(must(files.find("/f")), 0));
    const between = (): string[] => {
      const at = [length, KIB(128), KIB(256), offset - KIB(128)].filter((one) => one >= length);
      return at.map((from) => must(files.fs.read(file, from, KIB(4))).sha256());
    };
    const zeros = between().map(() => Content.zeros(KIB(4)).sha256());
    expect(between()).toEqual(zeros);
    const hole = files.fs.seek(file, KIB(128), true);
    pool.syncIfDirty();
    expect(between()).toEqual(zeros);
    expect(files.fs.seek(file, KIB(128), true)).toBe(hole);
  },
);

test.each<readonly [string, number, readonly [number, number], readonly [number, boolean, boolean]]>([
  ["zero a range within", FALLOC_FL_ZERO_RANGE, [2, 3], [10, true, true]],
  ["zero a range over the end", FALLOC_FL_ZERO_RANGE, [8, 8], [16, true, true]],
  ["zero a range behind the end", FALLOC_FL_ZERO_RANGE, [20, 4], [24, true, true]],
  ["zero a range over the end and keep the size", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, [8, 8], [10, true, true]],
  ["zero a range behind the end and keep the size", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, [20, 4], [10, false, false]],
  ["punch at the end", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, [10, 4], [10, true, true]],
  ["allocate within", 0, [0, 10], [10, false, false]],
  ["allocate over the end", 0, [0, 30], [30, false, false]],
  ["allocate over the end and keep the size", FALLOC_FL_KEEP_SIZE, [0, 30], [10, false, false]],
])("fallocate: to %s", (_, mode, [offset, length], [size, stamps, logs]) => {
  const { lab, files } = mounted();
  files.write("/f", Content.text("0123456789"));
  const inode = must(files.find("/f"));
  const file = must(files.fs.open(inode, 0));
  files.fs.fsync(file, false);
  lab.clock.advance(seconds(1));
  const before = newAttributes();
  files.fs.getattr(inode, before);
  const { logBytes } = files.fs.state.set.store;
  expect(files.fs.fallocate(file, mode, offset, length)).toBeUndefined();
  const after = newAttributes();
  files.fs.getattr(inode, after);
  expect(after.size).toBe(size);
  expect(after.mtime.seconds > before.mtime.seconds).toBe(stamps);
  // An allocation is not in the log (zfs_freesp with log=FALSE).
  expect(files.fs.fsync(file, false)).toBeUndefined();
  expect(files.fs.state.set.store.logBytes > logBytes).toBe(logs);
  const wanted = [..."0123456789".padEnd(size, "\0")].map((one, at) =>
    mode !== 0 && (mode & ~FALLOC_FL_KEEP_SIZE) !== 0 && at >= offset && at < offset + length ? "\0" : one,
  );
  expect(files.read("/f").toText()).toBe(wanted.slice(0, size).join(""));
});

test("fallocate refuses what it does not know, and more than there is room for", () => {
  const { files } = mounted();
  const file = must(files.fs.open(files.make("/f"), 0));
  expect(files.fs.fallocate(file, 8, 0, 10)).toBe(ENOTSUP);
  expect(files.fs.fallocate(file, 0, 0, GIB(1))).toBe(ENOSPC);
  expect(files.fs.size(must(files.find("/f")))).toBe(0);
});

describe("a file's block", () => {
  const blockSize = (files: Files): number => files.fs.state.set.word(must(files.find("/f")), BLOCK_SIZE);

  test("that is larger than a new record size grows to the next power of two alone", () => {
    const { files, pool } = mounted();
    files.write("/f", Content.pattern(1, KIB(100)));
    pool.syncIfDirty();
    zfsSet(pool, "recordsize", "8k", "tank");
    files.write("/f", Content.pattern(2, KIB(100)), KIB(100));
    expect(blockSize(files)).toBe(KIB(128));
    const whole = Content.concat([Content.pattern(1, KIB(100)), Content.pattern(2, KIB(100))]);
    expect(files.read("/f").sha256()).toBe(whole.sha256());
    files.write("/g", Content.pattern(1, KIB(100)));
    expect(files.fs.state.set.word(must(files.find("/g")), BLOCK_SIZE)).toBe(KIB(8));
  });

  test("never becomes smaller: an empty file keeps it, and a truncation within it", () => {
    const { files, pool } = mounted();
    files.write("/f", Content.pattern(1, KIB(20)));
    const inode = must(files.find("/f"));
    for (const size of [KIB(1), 0, KIB(19)]) {
      expect(files.fs.setattr(inode, { size })).toBeUndefined();
      pool.syncIfDirty();
      expect(blockSize(files)).toBe(KIB(20));
    }
    expect(
      files.read("/f").isZero ||
        files
          .read("/f")
          .toBytes()
          .every((byte) => byte === 0),
    ).toBe(true);
  });

  test("made of many small writes is one run of bytes in the end", () => {
    const { files } = mounted();
    const wanted = new Uint8Array(KIB(4));
    for (let n = 0; n < 600; n++) {
      const at = (n * 2027) % KIB(4);
      wanted[at] = n % 256;
      files.write("/f", Content.literal(Uint8Array.of(n % 256)), at);
    }
    const content = files.read("/f");
    expect(content.toBytes()).toEqual(wanted.slice(0, content.length));
    expect(content.runs.length).toBeLessThan(300);
  });
});

test("what is no file is not read, and sizes and positions behind what a number holds are refused", () => {
  const { files } = mounted();
  const { fs } = files;
  const file = must(fs.open(files.make("/f"), 0));
  expect(fs.read(must(fs.open(files.mkdir("/d"), 0)), 0, 10)).toBe(EINVAL);
  expect(fs.write(file, 2 ** 53 - 2 ** 20, Content.text("x"))).toBe(EFBIG);
  expect(fs.setattr(must(files.find("/f")), { size: 2 ** 53 })).toBe(EFBIG);
  expect(fs.read(file, 0, 10)).toBe(Content.empty);
  expect(fs.setxattr(must(files.find("/f")), "user.k", new Uint8Array(65_537), 0)).toBe(E2BIG);
  expect(fs.readlink(must(files.find("/f")))).toBe(EINVAL);
  expect(fs.clone()).toBe(ENOTSUP);
});

test("seeking: an empty file's hole, and what a file's size hides", () => {
  const { files, pool } = mounted();
  const inode = files.make("/f");
  const file = must(files.fs.open(inode, 0));
  expect(files.fs.seek(file, 0, true)).toBe(ENXIO);
  expect(files.fs.setattr(inode, { size: KIB(1) })).toBeUndefined();
  expect(files.fs.seek(file, 100, true)).toBe(100);
  expect(files.fs.seek(file, 100, false)).toBe(ENXIO);
  files.write("/f", Content.pattern(1, KIB(300)));
  pool.syncIfDirty();
  expect(files.fs.seek(file, KIB(200), false)).toBe(KIB(200));
  expect(files.fs.seek(file, KIB(200), true)).toBe(KIB(300));
  expect(files.fs.seek(file, KIB(300), false)).toBe(ENXIO);
});

test("a mapping reads whole pages, zeros behind the file's end, and nothing behind it", () => {
  const { lab, files } = mounted();
  files.write("/f", Content.text("mapped"));
  const file = must(files.fs.open(must(files.find("/f")), 0));
  expect(must(files.fs.readMapped(file, 0, KIB(4))).toText()).toBe("mapped");
  expect(must(files.fs.readMapped(file, KIB(8), KIB(4))).length).toBe(0);
  expect(files.fs.cachedPages(file)).toBe(1);
  files.write("/f", Content.text("M"));
  files.write("/f", Content.text("behind"), KIB(20));
  expect(must(files.fs.readMapped(file, 0, 6)).toText()).toBe("Mapped");
  expect(files.fs.cachedPages(file)).toBe(1);
  expect(must(files.fs.readMapped(file, 0, KIB(32))).sha256()).toBe(files.read("/f").sha256());
  files.write("/f", Content.pattern(1, KIB(10)), KIB(3));
  expect(must(files.fs.readMapped(file, 0, KIB(32))).sha256()).toBe(files.read("/f").sha256());
  expect(files.fs.cachedPages(file)).toBe(6);
  expect(lab.cache.dirtyPages).toBe(0);
  lab.cache.check();
});

test("names are made in a folder that is there, and taken from one that has them", () => {
  const { lab, files, pool } = mounted();
  const { fs } = files;
  const gone = files.mkdir("/d");
  fs.hold(gone);
  const folder = files.at("/d");
  expect(fs.rmdir(folder.directory, folder.name)).toBeUndefined();
  const init = { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: "" };
  const name = lab.names.intern("new");
  expect(fs.create(gone, name, init)).toBe(ENOENT);
  expect(fs.link(files.make("/f"), gone, name)).toBe(ENOENT);
  expect(fs.unlink(fs.root, name)).toBe(ENOENT);
  expect(fs.rmdir(fs.root, name)).toBe(ENOENT);
  fs.drop(gone);
  fs.check();
  checkPool(pool);
});

test("a large folder that loses a name has that name's leaf written anew, not all", () => {
  const { pool, files } = mounted();
  files.mkdir("/d");
  for (let n = 0; n < 3000; n++) files.make(`/d/a-rather-long-name-of-a-file-${n}`);
  const bytesOf = (path: string, property: string): number => Number(zfsGet(pool, [property], path)?.[0]?.[2]);
  expect(zfsSnapshot(pool, "tank@s")).toBeUndefined();
  expect(files.unlink("/d/a-rather-long-name-of-a-file-7")).toBeUndefined();
  expect(zfsSnapshot(pool, "tank@t")).toBeUndefined();
  expect(bytesOf("tank@t", "referenced")).toBeGreaterThan(KIB(400));
  expect(bytesOf("tank@t", "written")).toBeLessThan(KIB(50));
  files.fs.check();
  checkPool(pool);
});

test("a file's flags are those that zfs keeps, and stay as they are on a filesystem that can only be read", () => {
  const { files, pool } = mounted();
  const inode = files.make("/f");
  expect(files.fs.setFileFlags(inode, IMMUTABLE | NO_DUMP)).toBeUndefined();
  expect(files.fs.setFileFlags(inode, 0x4)).toBe(ENOTSUP);
  zfsSet(pool, "readonly", "on", "tank");
  expect(files.fs.setFileFlags(inode, 0)).toMatchObject({ code: "EROFS" });
  expect(files.fs.fileFlags(inode)).toBe(IMMUTABLE | NO_DUMP);
});

test("a file without a name that gets one waits for its group, unless sync=disabled", () => {
  for (const [sync, groups] of [
    ["standard", 1],
    ["disabled", 0],
  ] as const) {
    const { files, pool } = mounted();
    zfsSet(pool, "sync", sync, "tank");
    const made = must(files.fs.tmpfile(files.fs.root, { mode: 0o100644, uid: 0, gid: 0, rdev: 0, target: "" }));
    const before = pool.counters.groups;
    const { directory, name } = files.at("/named");
    expect(files.fs.link(made, directory, name)).toBeUndefined();
    expect(pool.counters.groups - before, sync).toBe(groups);
    files.fs.drop(made);
    files.fs.check();
    checkPool(pool);
  }
});

test("a snapshot's mount has no room, and what it shows is not freed from it", () => {
  const { lab, files, pool } = mounted();
  files.write("/f", Content.pattern(1, KIB(200)));
  expect(zfsSnapshot(pool, "tank@s")).toBeUndefined();
  const snapshot = lab.mount(pool, "tank@s");
  expect(snapshot.statfs()).toMatchObject({ blocksFree: 0, blocksAvailable: 0, filesFree: 0 });
  expect(snapshot.statfs().blocks).toBeGreaterThan(0);
  expect(snapshot.unmount()).toBeUndefined();
  files.fs.check();
  checkPool(pool);
});

test("a partial write is stamped and in the log as far as it got", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(96) });
  const device = new FaultyDevice(disk);
  const pool = lab.create({ tops: [[device]] });
  zfsSet(pool, "recordsize", "4k", "tank");
  const files = new Files(lab, lab.mount(pool, "tank"));
  files.write("/f", Content.pattern(1, KIB(16)));
  const inode = must(files.find("/f"));
  const file = must(files.fs.open(inode, 0));
  files.fs.fsync(file, false);
  pool.arc.clear();
  lab.clock.advance(seconds(1));
  const before = newAttributes();
  files.fs.getattr(inode, before);
  device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
  // The first two blocks are written whole; of the third a part would stay.
  expect(files.fs.write(file, 0, Content.pattern(2, KIB(9)))).toBe(KIB(8));
  expect(files.fs.write(file, KIB(13), Content.text("x"))).toBe(EIO);
  device.heal();
  const after = newAttributes();
  files.fs.getattr(inode, after);
  expect(after.mtime.seconds).toBe(before.mtime.seconds + 1);
  expect(files.fs.fsync(file, false)).toBeUndefined();
  disk.powerCut(keepNone);
  const other = new ZfsLab();
  const again = new Files(other, other.mount(must(other.import([disk])), "tank"));
  expect(again.read("/f").slice(0, KIB(8)).sha256()).toBe(Content.pattern(2, KIB(9)).slice(0, KIB(8)).sha256());
});

test("a hole of which one edge cannot be read is not punched at all", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(96) });
  const device = new FaultyDevice(disk);
  const pool = lab.create({ tops: [[device]] });
  zfsSet(pool, "recordsize", "4k", "tank");
  const files = new Files(lab, lab.mount(pool, "tank"));
  files.write("/f", Content.pattern(1, KIB(16)));
  pool.syncIfDirty();
  const file = must(files.fs.open(must(files.find("/f")), 0));
  pool.arc.clear();
  files.fs.read(file, 0, KIB(4));
  device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
  expect(files.fs.fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, KIB(1), KIB(12))).toBe(EIO);
  device.heal();
  expect(files.read("/f").sha256()).toBe(Content.pattern(1, KIB(16)).sha256());
});
