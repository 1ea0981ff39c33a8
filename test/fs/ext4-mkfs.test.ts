import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  blockBitmapOf,
  blocksIn,
  fixedBlocks,
  geometryOf,
  inodeBitmapOf,
  inodeTableOf,
  journalRunsOf,
  overheadOf,
} from "../../sim/fs/ext4/layout.ts";
import { lab } from "./ext4-helpers.ts";

interface Recorded {
  mib: number;
  blocks: number;
  inodes: number;
  reserved: number;
  overhead: number;
  free: number;
  freeInodes: number;
  groups: [group: number, blockBitmap: number, inodeBitmap: number, table: number, free: number, freeInodes: number][];
}
const recorded = JSON.parse(readFileSync(new URL("./ext4-geometry.json", import.meta.url), "utf8")) as Recorded[];

describe("the geometry that mke2fs 1.47.0 chose for a sparse file", () => {
  for (const known of recorded) {
    it(`of ${known.mib} MiB is ours`, () => {
      const geometry = geometryOf(known.mib * 2 ** 20);
      expect([geometry.blocks, geometry.inodes, geometry.reservedBlocks]).toEqual([known.blocks, known.inodes, known.reserved]);
      expect(overheadOf(geometry)).toBe(known.overhead);
      for (const [group, blockBitmap, inodeBitmap, table, free] of known.groups) {
        const places = [blockBitmapOf(geometry, group), inodeBitmapOf(geometry, group), inodeTableOf(geometry, group)];
        expect(places, `group ${group}`).toEqual([blockBitmap, inodeBitmap, table]);
        if (group > 0 && group + 1 < geometry.groups / 2 - 20)
          expect(blocksIn(geometry, group) - fixedBlocks(geometry, group)).toBe(free);
      }
    });
  }
});

describe("a fresh filesystem", () => {
  for (const known of recorded.filter((one) => one.mib <= 16_384)) {
    it(`of ${known.mib} MiB has as many free blocks and inodes as mke2fs leaves`, () => {
      const { fs } = lab(known.mib * 2 ** 20);
      const told = fs.statfs();
      expect([told.blocksFree, told.filesFree, told.blocks]).toEqual([
        known.free,
        known.freeInodes,
        known.blocks - known.overhead,
      ]);
      fs.check();
    });
  }

  it("has its journal where mke2fs puts it", () => {
    expect(journalRunsOf(geometryOf(64 * 2 ** 20))).toEqual([15, 10, 26, 15, 1066, 999]);
    expect(journalRunsOf(geometryOf(200 * 2 ** 20))).toEqual([3236, 4096]);
    expect(journalRunsOf(geometryOf(3000 * 2 ** 20))).toEqual([327_680, 16_384]);
    expect(journalRunsOf(geometryOf(2 ** 32))).toEqual([491_520, 16_384]);
    expect(journalRunsOf(geometryOf(10 * 2 ** 30))).toEqual([1_081_344, 16_384]);
    expect(journalRunsOf(geometryOf(2 ** 38))[0]).toBe(33_587_200);
  });

  it("of 16 TiB mounts without reading its groups one by one", () => {
    const { disk, fs } = lab(16_777_215 * 2 ** 20);
    expect(disk.counters.reads).toBeLessThan(40);
    expect(fs.statfs().blocksFree).toBe(4_260_837_088);
  });
});
