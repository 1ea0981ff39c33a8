/**
 * Many transaction groups: roots of the meta object set that share what they hold, and dead lists beside plain lists.
 */
import { expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import type { BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { zfsClone, zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { DeadList } from "../../sim/cow/zfs/dead-list.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

/** What zfs list tells of every dataset below the root, whose own sums hold blocks that only an import counts anew. */
function listOf(pool: Pool): string {
  const columns = ["name", "used", "referenced", "usedbysnapshots", "logicalused", "written", "origin", "quota"];
  return JSON.stringify(zfsList(pool, { columns, type: "all" }).filter(([name]) => name !== "tank"));
}

test("each of hundreds of groups is found as it was, whatever later ones have added to it", () => {
  const random = new Random(7);
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  zfsCreate(pool, "tank/a");
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  const cuts: { readonly disk: Disk; readonly list: string }[] = [];
  for (let step = 0; step < 400; step++) {
    const older = `tank/a@s${step - 1 - random.below(8)}`;
    switch (random.below(6)) {
      case 0:
        zfsSnapshot(pool, `tank/a@s${step}`);
        break;
      case 1:
        zfsClone(pool, older, `tank/c${step}`);
        break;
      case 2:
        zfsDestroy(pool, older);
        break;
      case 3:
        zfsSet(pool, "quota", `${20 + random.below(9)}M`, "tank/a");
        break;
      default:
        files.write(`/f${random.below(4)}`, Content.pattern(step, 2000));
        pool.syncIfDirty();
    }
    if (step % 16 !== 0) continue;
    pool.syncIfDirty();
    cuts.push({ disk: disk.clone({ silent: true }), list: listOf(pool) });
  }
  checkPool(pool);
  for (const cut of cuts) {
    cut.disk.powerCut(keepNone);
    const found = must(new ZfsLab().import([cut.disk]));
    expect(listOf(found)).toBe(cut.list);
    checkPool(found);
    found.stop();
  }
});

test("clones that let blocks go in any order count them with the same snapshots", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a");
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  for (let step = 0; step < 12; step++) {
    if (step % 3 === 0) files.write(`/f${step}`, Content.pattern(step, 4000));
    zfsSnapshot(pool, `tank/a@s${step}`);
  }
  for (const step of [11, 4, 7, 0, 9, 2]) {
    zfsClone(pool, `tank/a@s${step}`, `tank/c${step}`);
    const clone = new Files(lab, lab.mount(pool, `tank/c${step}`));
    for (let file = 0; file <= step; file += 3) clone.write(`/f${file}`, Content.pattern(100 + file, 4000));
    pool.syncIfDirty();
    checkPool(pool);
    clone.fs.unmount();
  }
  for (const step of [4, 11, 0, 2, 9, 7]) {
    expect(zfsDestroy(pool, `tank/c${step}`)).toBeUndefined();
    expect(zfsDestroy(pool, `tank/a@s${step}`)).toBeUndefined();
    checkPool(pool);
  }
});

test.each([1, 2, 3])("a dead list holds what a plain list of blocks and keys holds, seed %i", (seed) => {
  const random = new Random(seed);
  const lists = [new DeadList(), new DeadList()] as const;
  const plain: [{ key: number; stamp: number }[], { key: number; stamp: number }[]] = [[], []];
  const block = (stamp: number): BlockPointer => ({
    dvas: [{ vdev: 0, offset: stamp * 512, size: 512 }],
    logicalSize: 1024,
    physicalSize: 512,
    birth: 1,
    level: 0,
    kind: "data",
    stamp,
  });
  const stampsOf = (list: DeadList): number[] => {
    const found: number[] = [];
    list.visit(({ stamp }) => found.push(stamp));
    return found.sort((one, other) => one - other);
  };
  for (let stamp = 0; stamp < 300; stamp++) {
    const which = random.below(2) as 0 | 1;
    const key = random.below(9);
    if (random.below(20) > 1) {
      lists[which].add(key, block(stamp));
      plain[which].push({ key, stamp });
    } else if (random.below(2) === 0) {
      const taken: number[] = [];
      lists[which].take(key, (pointer) => taken.push(pointer.stamp));
      const expected = plain[which].filter((one) => one.key >= key).map((one) => one.stamp);
      expect(taken.sort((one, other) => one - other)).toEqual(expected.sort((one, other) => one - other));
      plain[which] = plain[which].filter((one) => one.key < key);
    } else {
      const other = which === 0 ? 1 : 0;
      lists[which].merge(new DeadList(lists[other].freeze()));
      lists[other].take(0, () => undefined);
      plain[which].push(...plain[other]);
      plain[other] = [];
    }
    for (const index of [0, 1] as const) {
      const rows = plain[index];
      expect(lists[index].count).toBe(rows.length);
      expect(lists[index].space(2, 6).used).toBe(512 * rows.filter((one) => one.key >= 2 && one.key < 6).length);
      expect(stampsOf(lists[index])).toEqual(rows.map((one) => one.stamp).sort((one, other) => one - other));
    }
    const keys = lists[0].freeze().lists.map(([one]) => one);
    expect(keys).toEqual([...new Set(keys)].sort((one, other) => one - other));
  }
});
