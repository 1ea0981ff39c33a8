/** The free space tree against a plain list of sectors: its ranges, its bitmaps and when it goes from one to the other (fs/btrfs/free-space-tree.c, Linux 6.18). */
import { describe, expect, test } from "vitest";
import { Random } from "../../sim/core/random.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { BlockGroup, type FreeSpaceInfo } from "../../sim/cow/btrfs/block-group.ts";
import { addFreeGroup, dropFreeGroup, freeRanges, giveFree, rangesMax, takeFree } from "../../sim/cow/btrfs/free-space-tree.ts";
import {
  FREE_SPACE_BITMAP,
  FREE_SPACE_EXTENT,
  FREE_SPACE_INFO,
  FREE_SPACE_TREE,
  key,
  SECTOR_SIZE,
} from "../../sim/cow/btrfs/layout.ts";
import type { BtrfsState } from "../../sim/cow/btrfs/state.ts";
import type { Tree } from "../../sim/cow/tree.ts";
import { BtrfsLab } from "./btrfs-lab.ts";

const START = GIB(100);

class Pair {
  readonly state: BtrfsState = new BtrfsLab().fs.state;
  readonly group: BlockGroup;
  readonly free: boolean[];

  constructor(length: number) {
    // Neighbours that touch it on both sides.
    for (const [start, size] of [
      [START - MIB(8), MIB(8)],
      [START, length],
      [START + length, MIB(8)],
    ] as const)
      addFreeGroup(this.state, new BlockGroup({ start, length: size, type: "data", stripes: [start] }));
    this.group = new BlockGroup({ start: START, length, type: "data", stripes: [START] });
    this.free = new Array<boolean>(length / SECTOR_SIZE).fill(true);
  }

  get tree(): Tree {
    return this.state.tree(FREE_SPACE_TREE);
  }
  get info(): FreeSpaceInfo {
    return this.tree.get(key(START, FREE_SPACE_INFO, this.group.length)) as FreeSpaceInfo;
  }
  /** Kind and bytes of the group's items. */
  items(): (readonly [number, number, number])[] {
    const out: (readonly [number, number, number])[] = [];
    this.tree.visit(key(START, FREE_SPACE_EXTENT), key(this.group.end, 0), ({ kind, offset }, _, size) => {
      out.push([kind, offset, size]);
      return false;
    });
    return out;
  }
  isAll(at: number, count: number, value: boolean): boolean {
    for (let sector = at; sector < at + count; sector++) if (this.free[sector] !== value) return false;
    return true;
  }
  take(at: number, count: number): void {
    takeFree(this.state, this.group, START + at * SECTOR_SIZE, count * SECTOR_SIZE);
    this.free.fill(false, at, at + count);
  }
  give(at: number, count: number): void {
    giveFree(this.state, this.group, START + at * SECTOR_SIZE, count * SECTOR_SIZE);
    this.free.fill(true, at, at + count);
  }

  check(): void {
    const expected: number[] = [];
    for (const [at, isFree] of this.free.entries()) {
      if (isFree && this.free[at - 1] !== true) expected.push(START + at * SECTOR_SIZE);
      if (isFree && this.free[at + 1] !== true) expected.push(START + (at + 1) * SECTOR_SIZE);
    }
    expect(freeRanges(this.tree, this.group)).toEqual(expected);
    expect(this.info.ranges).toBe(expected.length / 2);
    const kinds = new Set(this.items().map(([kind]) => kind));
    expect([...kinds]).toEqual(this.info.usesBitmaps ? [FREE_SPACE_BITMAP] : expected.length === 0 ? [] : [FREE_SPACE_EXTENT]);
  }
}

describe("the free space tree", () => {
  test.each([MIB(1), MIB(8), MIB(8) + KIB(64), MIB(20)])("has of a group of %i bytes what a plain list has", (length) => {
    const pair = new Pair(length);
    const random = new Random(length);
    const sectors = pair.free.length;
    for (let step = 0; step < 160; step++) {
      const at = random.below(sectors);
      const count = Math.min(sectors - at, 1 + random.below(step % 10 === 0 ? sectors : 6));
      if (pair.isAll(at, count, true)) pair.take(at, count);
      else if (pair.isAll(at, count, false)) pair.give(at, count);
      if (step % 8 === 0) {
        pair.check();
        pair.state.unwritten = {};
      }
    }
    for (let at = 0; at < sectors; at++) if (pair.free[at] === false) pair.give(at, 1);
    pair.check();
    expect(pair.info.ranges).toBe(1);
  });

  test("keeps as many ranges as bitmaps would take, then bitmaps of 2048 sectors, the last as long as it must be", () => {
    expect([MIB(1), MIB(8), MIB(8) + KIB(4), GIB(1)].map(rangesMax)).toEqual([11, 11, 22, 1438]);
    const pair = new Pair(MIB(8) + KIB(64));
    for (let n = 0; n < 21; n++) pair.take(4 * n + 2, 1);
    expect([pair.info, pair.items().length]).toEqual([{ ranges: 22, usesBitmaps: false }, 22]);
    pair.take(2000, 1);
    expect(pair.info).toEqual({ ranges: 23, usesBitmaps: true });
    expect(pair.items()).toEqual([
      [FREE_SPACE_BITMAP, MIB(8), 256],
      [FREE_SPACE_BITMAP, KIB(64), 2],
    ]);
    pair.check();
  });

  test("goes back to ranges when there are a hundred fewer", () => {
    const pair = new Pair(MIB(80));
    expect(rangesMax(MIB(80))).toBe(112);
    for (let n = 0; n < 112; n++) pair.take(2 * n + 1, 1);
    expect([pair.info.ranges, pair.info.usesBitmaps]).toEqual([113, true]);
    for (let n = 0; n < 101; n++) pair.give(2 * n + 1, 1);
    expect([pair.info.ranges, pair.info.usesBitmaps]).toEqual([12, true]);
    pair.give(2 * 101 + 1, 1);
    expect([pair.info.ranges, pair.info.usesBitmaps]).toEqual([11, false]);
    pair.check();
  });

  test("refuses to take what is not free, and to give what is, in ranges as in bitmaps", () => {
    const pair = new Pair(MIB(8));
    pair.take(10, 5);
    expect(() => pair.take(8, 4)).toThrow("16384 bytes at 107374215168 are not free in the free space tree");
    for (let n = 0; n < 20; n++) pair.take(100 + 3 * n, 1);
    expect(pair.info.usesBitmaps).toBe(true);
    expect(() => pair.take(12, 1)).toThrow(/the sector at \d+ was taken/);
    expect(() => pair.give(50, 1)).toThrow(/the sector at \d+ was free/);
  });

  test("forgets a group that goes, and nothing of its neighbours, and names one that it does not know", () => {
    const pair = new Pair(MIB(8));
    pair.take(5, 1);
    dropFreeGroup(pair.state, pair.group);
    expect(pair.items()).toEqual([]);
    expect(() => pair.take(50, 1)).toThrow(`the free space tree does not know the block group at ${START}`);
    for (const start of [START - MIB(8), START + MIB(8)])
      expect(freeRanges(pair.tree, new BlockGroup({ start, length: MIB(8), type: "data", stripes: [start] }))).toEqual([
        start,
        start + MIB(8),
      ]);
  });
});
