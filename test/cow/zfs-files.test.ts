/**
 * Files of zfs at their edges: holes, sizes, fallocate and SEEK_HOLE as OpenZFS 2.1 has them (module/zfs/zfs_vnops.c, module/os/linux/zfs/zpl_file.c).
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC, ENOTSUP } from "../../sim/core/errno.ts";
import { GIB, KIB, seconds } from "../../sim/core/units.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, newAttributes } from "../../sim/vfs/filesystem.ts";
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
