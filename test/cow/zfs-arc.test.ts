/**
 * Where a library's bytes are in memory when several clones read it: once in the ARC; once more for each of them where it is mapped.
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { zfsClone, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { fileHandle } from "../../sim/vfs/filesystem.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

const LIBRARY = MIB(64);
const CLONES = ["tank/a", "tank/b", "tank/c", "tank/d"];

test("clones that read one library share it in the ARC, and each has pages of its own when it is mapped", () => {
  const lab = new ZfsLab();
  const pool = lab.create({ tops: [[new Disk({ size: MIB(256) })]] });
  const base = new Files(lab, lab.mount(pool, "tank"));
  base.write("/lib", Content.pattern(1, LIBRARY));
  zfsSnapshot(pool, "tank@s");
  // A host that was switched off has nothing in memory.
  pool.arc.clear();
  const clones = CLONES.map((name) => {
    zfsClone(pool, "tank@s", name);
    return new Files(lab, lab.mount(pool, name));
  });
  const misses: number[] = [];
  for (const files of clones) {
    const before = pool.arc.counters.demandDataMisses;
    expect(files.read("/lib").length).toBe(LIBRARY);
    misses.push(pool.arc.counters.demandDataMisses - before);
  }
  expect(misses).toEqual([512, 0, 0, 0]);
  expect(pool.arc.dataSize).toBe(LIBRARY);
  expect(lab.cache.cachedPages).toBe(0);
  for (const [index, files] of clones.entries()) {
    const handle = fileHandle(must(files.find("/lib")));
    must(files.fs.readMapped(handle, 0, LIBRARY));
    expect(files.fs.cachedPages(handle)).toBe(LIBRARY / 4096);
    expect(lab.cache.cachedPages).toBe((index + 1) * (LIBRARY / 4096));
  }
  expect(pool.arc.dataSize).toBe(LIBRARY);
});

test("a clone that writes a record stops sharing that record alone", () => {
  const lab = new ZfsLab();
  const pool = lab.create({ tops: [[new Disk({ size: MIB(256) })]] });
  new Files(lab, lab.mount(pool, "tank")).write("/lib", Content.pattern(1, MIB(4)));
  zfsSnapshot(pool, "tank@s");
  zfsClone(pool, "tank@s", "tank/a");
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  const before = pool.arc.dataSize;
  files.write("/lib", Content.text("x"), MIB(1));
  pool.syncIfDirty();
  expect(pool.arc.dataSize - before).toBe(131_072);
});
