/**
 * Space maps: what OpenZFS 2.1.11 had of them in a new pool and after a few groups (zdb -dd, zdb -m), and that they tell what is taken.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { GIB, KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import type { BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { zfsCreate } from "../../sim/cow/zfs/commands.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { SpaceChanges } from "../../sim/cow/zfs/space-changes.ts";
import { SpaceMap, type SpaceMapIo } from "../../sim/cow/zfs/space-map.ts";
import { logsOf, metaslabsOf } from "../../sim/cow/zfs/space-maps.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

/** Maps that are in use, and logs: how many, and bytes of one copy of each block. */
function mapsOf(pool: Pool): { maps: number; logs: number; sizes: number[] } {
  const frozen = pool.meta.maps.freeze();
  const metaslabs = metaslabsOf(frozen);
  const logs = logsOf(frozen);
  const blocks = [...metaslabs, ...logs].flatMap(({ map }) => map.blocks);
  return { maps: metaslabs.length, logs: logs.length, sizes: blocks.map(({ physicalSize }) => physicalSize) };
}

const changes = (...runs: readonly (readonly [start: number, count: number, isTaken: boolean])[]): SpaceChanges => {
  const made = new SpaceChanges();
  for (const [start, count, isTaken] of runs) made.add(start, count, isTaken);
  return made;
};

function netOf(of: SpaceChanges): unknown[] {
  const runs: unknown[] = [];
  of.visit((...run) => runs.push(run));
  return runs;
}

/** Places that no pool has. */
class Places implements SpaceMapIo {
  readonly compression = "lz4";
  readonly indirectBytes: number = KIB(128);
  made = 0;
  killed = 0;

  indirectSize(): number {
    return 1024;
  }
  rounded(compressed: number, logical: number): number {
    return Math.min(logical, Math.ceil(compressed / 512) * 512);
  }
  make({ level, logicalSize, physicalSize }: { level: number; logicalSize: number; physicalSize: number }): BlockPointer {
    this.made += 1;
    return { dvas: [], logicalSize, physicalSize, birth: 1, level, kind: "mos", stamp: 1 };
  }
  kill(): void {
    this.killed += 1;
  }
}

describe("what a place went through", () => {
  test("leaves what happened to it last, or nothing", () => {
    expect(netOf(changes([8, 4, true], [8, 4, false], [20, 2, false], [20, 1, true]))).toEqual([[21, 1, false]]);
  });

  test("is one run with what lies beside it", () => {
    expect(netOf(changes([8, 4, true], [16, 4, true], [12, 4, true], [20, 4, false]))).toEqual([
      [8, 12, true],
      [20, 4, false],
    ]);
  });
});

describe("a map", () => {
  const SHAPE = { blockBytes: KIB(128), hasTwoWords: true };

  test("tells every run again, with a device where it has one, and counts what is taken", () => {
    const map = new SpaceMap(SHAPE);
    map.append(changes([5, 3, true], [100_000, 40_000, true]), { group: 4, pass: 1 });
    map.append(changes([6, 1, false]), { group: 5, pass: 1 }, { device: 2, first: 2 ** 33, unit: 8 });
    const runs: unknown[] = [];
    map.visit((...run) => runs.push(run));
    expect(runs).toEqual([
      [0xff_ffff, 5, 3, true],
      [0xff_ffff, 100_000, 40_000, true],
      [2, 2 ** 33 + 48, 8, false],
    ]);
    expect([map.taken, map.freeze().length]).toEqual([40_002, 8 * (1 + 1 + 2 + 1 + 2)]);
  });

  test("writes its block anew when that becomes longer, and an indirect one above several", () => {
    const io = new Places();
    const map = new SpaceMap(SHAPE);
    const sizes: (number | undefined)[] = [];
    for (let group = 1; map.freeze().length < KIB(130); group++) {
      for (let run = 0; run < 400; run++) map.append(changes([(group * 400 + run) * 3, 1 + (run % 2), true]), { group, pass: 1 });
      map.fit(io, 0);
      sizes.push(map.freeze().blocks[0]?.physicalSize);
    }
    const { blocks, indirect } = map.freeze();
    expect([blocks.length, indirect?.physicalSize]).toEqual([2, 1024]);
    expect(sizes).toEqual(sizes.toSorted((one, other) => Number(one) - Number(other)));
    expect(io.made - io.killed).toBe(3);
  });

  test("that is long for what is taken is made anew", () => {
    const io = new Places();
    const map = new SpaceMap(SHAPE);
    for (let group = 1; group < 40_000; group++) map.append(changes([group % 2, 1, group % 4 < 2]), { group, pass: 1 });
    const { length } = map.freeze();
    map.append(changes([100, 7, true]), { group: 40_000, pass: 1 });
    map.condense(io, { group: 40_000, pass: 1 });
    expect(length).toBeGreaterThan(KIB(512));
    expect(map.freeze().length).toBeLessThan(64);
    const runs: unknown[] = [];
    map.visit((_device, ...run) => runs.push(run));
    expect(runs).toContainEqual([100, 7, true]);
  });
});

describe("a new pool of OpenZFS 2.1", () => {
  const pool = (): { lab: ZfsLab; pool: Pool } => {
    const lab = new ZfsLab();
    return { lab, pool: lab.create({ tops: [[new Disk({ size: GIB(4) - MIB(9) })]] }) };
  };

  test("uses nine metaslabs, and has a log of each of its four groups and three maps that were flushed", () => {
    const { maps, logs, sizes } = mapsOf(pool().pool);
    expect([maps, logs, sizes]).toEqual([9, 4, new Array(7).fill(1024)]);
  });

  test("comes to a map of each of them and as many logs, and goes on with those", () => {
    const { lab, pool: made } = pool();
    zfsCreate(made, "tank/a");
    const files = new Files(lab, lab.mount(made, "tank/a"));
    const seen: string[] = [];
    for (let group = 0; group < 20; group++) {
      files.write(`/${group}`, Content.pattern(group, KIB(4)));
      must(made.syncGroup());
      const { maps, logs, sizes } = mapsOf(made);
      seen.push([maps, logs, sizes.length].join());
    }
    expect(new Set(seen.slice(10))).toEqual(new Set(["9,9,18"]));
    checkPool(made);
  });

  test("writes no log for a group in which nothing happened", () => {
    const { pool: made } = pool();
    const before = mapsOf(made);
    for (let group = 0; group < 5; group++) must(made.syncGroup());
    expect(mapsOf(made)).toEqual(before);
  });
});

describe("maps on the devices", () => {
  test.each([undefined, ZFS_V23])("tell an import what is taken (%#)", (profile) => {
    const lab = new ZfsLab();
    const disk = new Disk({ size: GIB(1) });
    const pool = lab.create({ tops: [[disk]], ...(profile === undefined ? {} : { profile }) });
    const files = new Files(lab, lab.mount(pool, "tank"));
    for (let file = 0; file < 300; file++) files.write(`/${file}`, Content.pattern(file, KIB(1 + (file % 9))));
    must(pool.syncGroup());
    for (let file = 0; file < 300; file += 3) files.unlink(`/${file}`);
    must(pool.syncGroup());
    const { space } = pool.store;
    const taken = space.allocated - space.deferredBytes;
    const again = must(new ZfsLab().import([disk]));
    expect(again.store.space.allocated).toBe(taken);
    checkPool(again);
  });

  test("of v23 are told by every group themselves", () => {
    const lab = new ZfsLab();
    const pool = lab.create({ profile: ZFS_V23, tops: [[new Disk({ size: GIB(1) })]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/f", Content.pattern(1, KIB(64)));
    must(pool.syncGroup());
    const { maps, logs, sizes } = mapsOf(pool);
    expect([maps, logs, sizes.length]).toEqual([3, 0, 3]);
    checkPool(pool);
  });
});
