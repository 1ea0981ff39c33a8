/**
 * Deduplicated blocks: one place for equal blocks that are written alike, however many files have them (module/zfs/ddt.c).
 */
import { expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

const DATA = Content.pattern(7, KIB(512));

function deduplicating(): { lab: ZfsLab; disk: Disk; pool: Pool; files: Files } {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  expect(zfsCreate(pool, "tank/a", { dedup: "on" })).toBeUndefined();
  return { lab, disk, pool, files: new Files(lab, lab.mount(pool, "tank/a")) };
}

/** Writes a file in a group of its own. @returns by how much that made the pool fuller. */
function put(pool: Pool, files: Files, path: string): number {
  const before = pool.store.space.allocated - pool.store.space.deferredBytes;
  must(files.write(path, DATA));
  pool.syncIfDirty();
  return pool.store.space.allocated - pool.store.space.deferredBytes - before;
}

test("equal blocks of several files and groups have one place, which goes with the last of them", () => {
  const { disk, pool, files } = deduplicating();
  expect(put(pool, files, "/one")).toBeGreaterThan(KIB(512));
  for (const path of ["/two", "/three"]) expect(put(pool, files, path)).toBeLessThan(KIB(64));
  expect(zpoolList(pool).dedupRatio).toBe("3.00");
  checkPool(pool);
  files.unlink("/one");
  files.unlink("/three");
  pool.syncIfDirty();
  expect(zpoolList(pool).dedupRatio).toBe("1.00");
  files.fs.unmount();
  pool.export();
  const other = new ZfsLab();
  const again = must(other.import([disk]));
  expect(zpoolList(again).dedupRatio).toBe("1.00");
  const found = new Files(other, other.mount(again, "tank/a"));
  expect(found.read("/two").sha256()).toBe(DATA.sha256());
  expect(put(again, found, "/four")).toBeLessThan(KIB(64));
  checkPool(again);
  found.unlink("/two");
  found.unlink("/four");
  again.syncIfDirty();
  expect(again.store.dedupTable.size).toBe(0);
  checkPool(again);
});

test("a block that was found in the table is in the ARC when the first one is", () => {
  const { pool, files } = deduplicating();
  put(pool, files, "/one");
  put(pool, files, "/two");
  const misses = pool.arc.counters.demandDataMisses;
  files.read("/two");
  expect(pool.arc.counters.demandDataMisses).toBe(misses);
});

test("a block of more copies is another one, and both are found again", () => {
  const { disk, pool, files } = deduplicating();
  put(pool, files, "/one");
  zfsSet(pool, "copies", "2", "tank/a");
  expect(put(pool, files, "/two")).toBeGreaterThan(2 * KIB(512));
  expect(put(pool, files, "/three")).toBeLessThan(KIB(64));
  files.fs.unmount();
  pool.export();
  const again = must(new ZfsLab().import([disk]));
  expect(again.store.dedupTable.size).toBe(8);
  checkPool(again);
});

test("a place that a snapshot shares in the table outlives files and comes back after a cut", () => {
  const { disk, pool, files } = deduplicating();
  put(pool, files, "/one");
  expect(zfsSnapshot(pool, "tank/a@s")).toBeUndefined();
  files.unlink("/one");
  put(pool, files, "/two");
  disk.powerCut(keepNone);
  pool.stop();
  const again = must(new ZfsLab().import([disk]));
  checkPool(again);
  expect(zpoolList(again).dedupRatio).toBe("2.00");
  expect(zfsDestroy(again, "tank/a@s")).toBeUndefined();
  expect(zpoolList(again).dedupRatio).toBe("1.00");
  checkPool(again);
});
