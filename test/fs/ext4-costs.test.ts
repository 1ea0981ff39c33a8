/** What operations cost on a disk of 4 GiB, against what the kernel's statfs, stat and filefrag told (block sheet, table 4). */
import { describe, expect, it } from "vitest";
import { Content } from "../../sim/core/content.ts";
import type { Ext4 } from "../../sim/fs/ext4/ext4.ts";
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, type Inode, S_IFCHR, S_IFIFO, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { folder, type Lab, make, must, put, stat } from "./disk-helpers.ts";
import { lab, ROOT } from "./ext4-helpers.ts";

/** Row by row: change in free blocks and inodes, st_blocks, size, and the extents that filefrag counts. */
function row(on: Lab<Ext4>, act: () => Inode | undefined): (number | undefined)[] {
  const before = on.fs.statfs();
  const inode = act();
  must(on.fs.sync());
  const after = on.fs.statfs();
  on.fs.check();
  const spent = [before.blocksFree - after.blocksFree, before.filesFree - after.filesFree];
  if (inode === undefined) return spent;
  const told = stat(on, inode);
  return [...spent, told.blocks, told.size, on.fs.extents(inode).length / 3];
}

/** Does something to an inode, which then is looked at. */
function having(inode: Inode, ..._done: unknown[]): Inode {
  return inode;
}

const bytes = (length: number): Content => Content.pattern(7, length);

describe("on a disk of 4 GiB", () => {
  it("each operation takes what the kernel's takes", () => {
    const on = lab(2 ** 32);
    const { fs, names } = on;
    const file = (name: string, length: number): Inode => {
      const made = make(on, ROOT, name);
      put(on, made, 0, bytes(length));
      return made;
    };
    const fallocate = (inode: Inode, mode: number, offset: number, length: number): Inode => {
      const handle = must(fs.open(inode, 1));
      must(fs.fallocate(handle, mode, offset, length));
      fs.close(handle, 1);
      return inode;
    };
    expect(fs.statfs()).toMatchObject({ blocks: 1_011_640, blocksFree: 1_011_634, blocksAvailable: 955_110, files: 262_144 });
    expect(row(on, () => make(on, ROOT, "empty"))).toEqual([0, 1, 0, 0, 0]);
    expect(row(on, () => file("f1", 1))).toEqual([1, 1, 8, 1, 1]);
    expect(row(on, () => file("f4096", 4096))).toEqual([1, 1, 8, 4096, 1]);
    expect(row(on, () => file("f4097", 4097))).toEqual([2, 1, 16, 4097, 1]);
    expect(row(on, () => file("f64k", 65_536))).toEqual([16, 1, 128, 65_536, 1]);
    expect(row(on, () => file("f1m", 1_048_577))).toEqual([257, 1, 2056, 1_048_577, 1]);
    expect(row(on, () => folder(on, ROOT, "d")).slice(0, 4)).toEqual([1, 1, 8, 4096]);
    for (const [length, blocks] of [
      [6, 0],
      [59, 0],
      [60, 1],
      [1000, 1],
    ] as const)
      expect(row(on, () => make(on, ROOT, `l${length}`, S_IFLNK | 0o777, "x".repeat(length))).slice(0, 4)).toEqual([
        blocks,
        1,
        blocks * 8,
        length,
      ]);
    expect(row(on, () => make(on, ROOT, "fifo", S_IFIFO | 0o644))).toEqual([0, 1, 0, 0, 0]);
    expect(row(on, () => make(on, ROOT, "whiteout", S_IFCHR))).toEqual([0, 1, 0, 0, 0]);
    const f4096 = must(fs.lookup(ROOT, names.intern("f4096")));
    const f64k = must(fs.lookup(ROOT, names.intern("f64k")));
    const f1m = must(fs.lookup(ROOT, names.intern("f1m")));
    expect(row(on, () => void fs.link(f4096, ROOT, names.intern("hard")))).toEqual([0, 0]);
    expect(row(on, () => having(f4096, must(fs.setxattr(f4096, "user.a", new Uint8Array(8), 0))))).toEqual([0, 0, 8, 4096, 1]);
    expect(row(on, () => having(f64k, must(fs.setxattr(f64k, "user.big", new Uint8Array(1000), 0))))).toEqual([
      1, 0, 136, 65_536, 1,
    ]);
    const sparse = make(on, ROOT, "sparse");
    expect(row(on, () => having(sparse, must(fs.setattr(sparse, { size: 2 ** 30 }))))).toEqual([0, 0, 0, 2 ** 30, 0]);
    expect(row(on, () => having(sparse, put(on, sparse, 2 ** 30 - 1, bytes(1))))).toEqual([1, 0, 8, 2 ** 30, 1]);
    expect(row(on, () => void put(on, make(on, ROOT, "zeros"), 0, Content.zeros(2 ** 20)))).toEqual([256, 1]);
    const big = make(on, ROOT, "big");
    expect(row(on, () => having(big, put(on, big, 0, bytes(2 ** 30)))).slice(0, 4)).toEqual([262_145, 0, 2_097_160, 2 ** 30]);
    expect(row(on, () => having(big, put(on, big, 2 ** 29, bytes(1)))).slice(0, 4)).toEqual([0, 0, 2_097_160, 2 ** 30]);
    expect(row(on, () => having(f4096, put(on, f4096, 4096, bytes(1)))).slice(0, 4)).toEqual([1, 0, 16, 4097]);
    expect(row(on, () => having(f1m, must(fs.setattr(f1m, { size: 524_288 }))))).toEqual([-129, 0, 1024, 524_288, 1]);
    const hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    expect(row(on, () => fallocate(big, hole, 131_072, 65_536)).slice(0, 4)).toEqual([-16, 0, 2_097_032, 2 ** 30]);
    expect(row(on, () => fallocate(make(on, ROOT, "fa"), 0, 0, 2 ** 20)).slice(0, 4)).toEqual([256, 1, 2048, 2 ** 20]);
    const many = (name: string, length: number): Inode => {
      const made = folder(on, ROOT, name);
      for (let n = 0; n < 100; n++) put(on, make(on, made, `f${n}`), 0, bytes(length));
      return made;
    };
    expect(row(on, () => many("m4k", 4096)).slice(0, 4)).toEqual([101, 101, 8, 4096]);
    expect(row(on, () => many("m0", 0)).slice(0, 4)).toEqual([1, 101, 8, 4096]);
    const away = (name: string) => (): undefined => void must(fs.unlink(ROOT, names.intern(name)));
    expect(row(on, away("f64k"))).toEqual([-17, -1]);
    expect(row(on, away("f1m"))).toEqual([-128, -1]);
    expect(row(on, () => void must(fs.rmdir(ROOT, names.intern("d"))))).toEqual([-1, -1]);
    const m4k = must(fs.lookup(ROOT, names.intern("m4k")));
    const clear = (): undefined => {
      for (let n = 0; n < 100; n++) must(fs.unlink(m4k, names.intern(`f${n}`)));
      return void must(fs.rmdir(ROOT, names.intern("m4k")));
    };
    expect(row(on, clear)).toEqual([-101, -101]);
    expect(row(on, away("big"))).toEqual([-262_129, -1]);
  });
});
