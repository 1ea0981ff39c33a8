/**
 * Blocks of zfs below files: what they take, where they lie, which of several copies answers, and which numbers objects get (module/zfs/zio.c,
 * metaslab.c, arc.c, dmu_object.c).
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EventStream } from "../../sim/core/events.ts";
import { bytes, GIB, KIB, MIB } from "../../sim/core/units.ts";
import { checkPool, createPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsCreate, zfsSet } from "../../sim/cow/zfs/commands.ts";
import { zfsGet, zpoolList } from "../../sim/cow/zfs/listing.ts";
import { ObjectNumbers } from "../../sim/cow/zfs/object-numbers.ts";
import { OPENZFS_2_1, ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { USED } from "../../sim/cow/zfs/records.ts";
import { PoolSpace } from "../../sim/cow/zfs/space.ts";
import { Files, must, sentences, ZfsLab } from "./zfs-lab.ts";

const NO_TIMES = Content.literal(Uint8Array.from({ length: KIB(4) }, (_, at) => (at === 4095 ? 1 : 0)));

describe("a file's bytes", () => {
  test.each<readonly [string, Content, Record<string, string>, number]>([
    ["zeros, compressed", Content.literal(new Uint8Array(KIB(4))), { compression: "lz4" }, 0],
    ["zeros", Content.zeros(KIB(4)), {}, KIB(4)],
    ["nearly zeros, compressed into the pointer", NO_TIMES, { compression: "lz4" }, 0],
    ["nearly zeros, deduplicated: never in the pointer", NO_TIMES, { compression: "lz4", dedup: "on" }, 512],
    ["text over and over, with compression=on", sentences(KIB(4)), { compression: "on" }, 0],
    ["what has no two alike places", Content.pattern(1, KIB(4)), { compression: "lz4" }, KIB(4)],
    ["a pattern behind text", Content.concat([sentences(KIB(2)), Content.pattern(1, KIB(2))]), { compression: "lz4" }, KIB(2.5)],
    ["few", Content.text("twelve bytes"), { compression: "lz4" }, 0],
  ])("that are %s take what they take, and come back from the devices as they were", (_, content, properties, used) => {
    const lab = new ZfsLab();
    const disk = new Disk({ size: MIB(96) });
    const pool = lab.create({ tops: [[disk]] });
    expect(zfsCreate(pool, "tank/a", properties)).toBeUndefined();
    const files = new Files(lab, lab.mount(pool, "tank/a"));
    const inode = files.make("/f");
    files.write("/f", content);
    pool.syncIfDirty();
    expect(files.fs.state.set.word(inode, USED)).toBe(used);
    const logical = Number(zfsGet(pool, ["logicalreferenced"], "tank/a")?.[0]?.[2]);
    expect(logical).toBeGreaterThanOrEqual(used);
    files.fs.unmount();
    pool.export();
    const other = new ZfsLab();
    const again = must(other.import([disk]));
    again.arc.clear();
    expect(new Files(other, other.mount(again, "tank/a")).read("/f").sha256()).toBe(content.sha256());
    checkPool(again);
  });

  test("are told as missed and as found in the ARC by whoever listens", () => {
    const lab = new ZfsLab();
    const events = new EventStream(() => lab.clock.now);
    const told: string[] = [];
    events.subscribe(({ event }) => told.push(event.op));
    const disk = new Disk({ size: MIB(96) });
    const pool = must(createPool({ clock: lab.clock, memory: GIB(1), events }, { name: "tank", tops: [[disk]] }));
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/f", Content.pattern(1, KIB(4)));
    pool.syncIfDirty();
    pool.arc.clear();
    told.length = 0;
    files.read("/f");
    files.read("/f");
    expect(told).toEqual(["arcMiss", "arcHit"]);
  });

  test("of a block larger than the ARC are read from the devices each time", () => {
    const lab = new ZfsLab();
    const disk = new Disk({ size: MIB(96) });
    lab.create({ tops: [[disk]] }).export();
    const pool = must(importPool({ clock: lab.clock, memory: KIB(200) }, [disk]));
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/f", Content.pattern(1, KIB(128)));
    pool.syncIfDirty();
    for (let n = 0; n < 2; n++) {
      const { demandDataMisses } = pool.arc.counters;
      files.read("/f");
      expect(pool.arc.counters.demandDataMisses - demandDataMisses).toBe(1);
    }
    pool.arc.check();
  });
});

describe("a disk of 4 KiB sectors", () => {
  test("holds blocks of less than a sector, each in one of its own", () => {
    const lab = new ZfsLab();
    const disk = new Disk({ size: MIB(96), sectorSize: 4096 });
    const pool = lab.create({ tops: [[disk]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    const inode = files.make("/f");
    files.write("/f", Content.text("few"));
    pool.syncIfDirty();
    expect(files.fs.state.set.word(inode, USED)).toBe(4096);
    files.fs.unmount();
    pool.export();
    const other = new ZfsLab();
    const again = must(other.import([disk]));
    expect(new Files(other, other.mount(again, "tank")).read("/f").toText()).toBe("few");
    checkPool(again);
  });
});

describe("a mirror", () => {
  test("whose first side was overwritten is read from the other", () => {
    const lab = new ZfsLab();
    const [one, two] = [new Disk({ size: MIB(96) }), new Disk({ size: MIB(96) })];
    const pool = lab.create({ tops: [[one, two]] });
    zfsSet(pool, "compression", "lz4", "tank");
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/f", sentences(KIB(300)));
    files.fs.unmount();
    pool.export();
    one.write(bytes(MIB(4)), Content.zeros(MIB(90)));
    const other = new ZfsLab();
    const again = must(other.import([one, two]));
    expect(new Files(other, other.mount(again, "tank")).read("/f").sha256()).toBe(sentences(KIB(300)).sha256());
    checkPool(again);
  });

  test("one side of which missed writes is read from the other, and up to date again after the next import", () => {
    const lab = new ZfsLab();
    const [one, two] = [new Disk({ name: "one", size: MIB(96) }), new Disk({ name: "two", size: MIB(96) })];
    const device = new FaultyDevice(one);
    const pool = lab.create({ tops: [[device, two]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/before", Content.pattern(1, KIB(200)));
    pool.syncIfDirty();
    expect(zpoolList(pool).health).toBe("ONLINE");
    device.inject({ on: "write", times: 3 });
    files.write("/missed", Content.pattern(2, KIB(200)));
    pool.syncIfDirty();
    device.heal();
    files.write("/after", Content.pattern(3, KIB(200)));
    pool.syncIfDirty();
    // A disk that works again is a part of the pool as before, but for what it has missed.
    expect([zpoolList(pool).health, pool.store.tops[0]?.sides[0]?.missed?.upTo]).toEqual(["ONLINE", pool.store.group - 2]);
    const whole = ["before", "missed", "after"].map((_, at) => Content.pattern(at + 1, KIB(200)).sha256());
    const read = (of: Files): string[] => ["before", "missed", "after"].map((name) => of.read(`/${name}`).sha256());
    pool.arc.clear();
    expect(read(files)).toEqual(whole);
    files.fs.unmount();
    expect(pool.export()).toBeUndefined();
    const other = new ZfsLab();
    const failing = new FaultyDevice(one.clone({ silent: true }));
    failing.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    const half = must(importPool({ clock: lab.clock, memory: MIB(64) }, [failing, two.clone({ silent: true })]));
    expect(zpoolList(half).health).toBe("DEGRADED");
    half.stop();
    const again = must(other.import([one, two]));
    expect(zpoolList(again).health).toBe("ONLINE");
    expect(again.export()).toBeUndefined();
    const last = new ZfsLab();
    const alone = must(last.import([one]));
    expect(read(new Files(last, last.mount(alone, "tank")))).toEqual(whole);
    checkPool(alone);
  });

  test("both sides of which fail at once is suspended", () => {
    const lab = new ZfsLab();
    const devices = [1, 2].map(() => new FaultyDevice(new Disk({ size: MIB(96) })));
    const pool = lab.create({ tops: [devices] });
    for (const device of devices) device.inject({ on: "flush", times: Number.POSITIVE_INFINITY });
    expect(zfsCreate(pool, "tank/a")).toBe("cannot create 'tank/a': pool I/O is currently suspended");
    expect(zpoolList(pool).health).toBe("SUSPENDED");
  });

  test("one side of which has unreadable labels and uberblocks is imported from the other", () => {
    const lab = new ZfsLab();
    const [one, two] = [new Disk({ size: MIB(96) }), new Disk({ size: MIB(96) })];
    lab.create({ tops: [[one, two]] }).export();
    const device = new FaultyDevice(one);
    for (const start of [KIB(128), KIB(384), MIB(96) - KIB(384), MIB(96) - KIB(128)])
      device.inject({ on: "read", times: Number.POSITIVE_INFINITY, range: { start, end: start + KIB(128) } });
    expect(must(importPool({ clock: lab.clock, memory: MIB(64) }, [device, two])).name).toBe("tank");
  });
});

describe("the space of a pool", () => {
  const device = (size: number): { size: number; metaslabShift: number; ashift: number } => ({
    size,
    metaslabShift: 20,
    ashift: 9,
  });

  test("goes on with the next device where one is full, until none has room for all copies of a block", () => {
    const space = new PoolSpace([device(MIB(2)), device(MIB(4))]);
    const taken: number[] = [];
    for (let at = space.allocate(KIB(512), 1); at !== undefined; at = space.allocate(KIB(512), 1)) taken.push(at[0]?.vdev ?? -1);
    expect(taken.filter((vdev) => vdev === 0)).toHaveLength(4);
    expect(taken.filter((vdev) => vdev === 1)).toHaveLength(8);
    space.check();
  });

  test("gives a block's first copy back where there is no room for the second", () => {
    const space = new PoolSpace([device(MIB(1))]);
    expect(space.allocate(KIB(600), 2)).toBeUndefined();
    expect(space.allocated).toBe(0);
    expect(space.allocate(KIB(600), 1)).toHaveLength(1);
    space.check();
  });

  test("takes back at once what was taken in the same group, everything else two groups later", () => {
    const space = new PoolSpace([device(MIB(1))]);
    const [one] = space.allocate(KIB(64), 1) ?? [];
    const [other] = space.allocate(KIB(64), 1) ?? [];
    if (one === undefined || other === undefined) throw new Error("no room");
    space.free(one, 7, true);
    expect(space.allocated).toBe(KIB(64));
    space.free(other, 7, false);
    for (const [group, left] of [
      [7, KIB(64)],
      [8, KIB(64)],
      [9, 0],
    ] as const) {
      space.groupDone(group);
      expect(space.allocated, `group ${group}`).toBe(left);
    }
    space.check();
  });

  test.each([
    [MIB(64), MIB(16)],
    [GIB(1), MIB(128)],
    [GIB(10), MIB(512)],
    [GIB(200), GIB(2)],
    [GIB(8192), GIB(16)],
  ])("of %i bytes is cut into metaslabs of %i (vdev_metaslab_set_size)", (size, metaslab) => {
    expect(2 ** OPENZFS_2_1.metaslabShift(size)).toBe(metaslab);
  });
});

describe("object numbers", () => {
  const numbers = (used: readonly number[], inUse: ReadonlySet<number> = new Set()): ObjectNumbers =>
    new ObjectNumbers({ region: 4096, rescanAfter: 1 }, used, new Set([0, 1]), (object) => !inUse.has(object));

  test("are taken by each processor from chunks of 128 of its own, without those that are never given", () => {
    const of = numbers([]);
    expect([of.take(0), of.take(0), of.take(1), of.take(0), of.take(1)]).toEqual([2, 3, 128, 4, 129]);
  });

  test("begin in the first region that is less than a quarter full and no processor is in", () => {
    expect(numbers([1024, 1023]).take(0)).toBe(4096);
    const of = numbers([1025, 10, 10]);
    for (let n = 0; n < 4096 / 128; n++) {
      const first = of.take(n % 2);
      for (let rest = 1; rest < 128; rest++) of.take(n % 2);
      expect(first).toBe(4096 + n * 128);
    }
    expect(of.take(0)).toBe(8192);
  });

  test("of another processor's region are left to it, however few of them are taken", () => {
    const of = numbers([1025]);
    expect(of.take(0)).toBe(4096);
    // The other processor's chunks go on through the region; all that it took is given back in the end.
    const taken = Array.from({ length: 31 * 128 }, () => of.take(1));
    for (const object of taken) of.give(object);
    expect(of.take(1)).toBe(8192);
  });

  test("are looked for from the beginning again when one was given back", () => {
    const inUse = new Set<number>();
    const of = numbers([], inUse);
    for (let n = 0; n < 4094; n++) inUse.add(of.take(0));
    for (const object of [...inUse].slice(0, 3500)) {
      inUse.delete(object);
      of.give(object);
    }
    expect(of.take(0)).toBe(2);
  });
});

test("compression=on is lzjb in version 23 and lz4 in OpenZFS", () => {
  expect([ZFS_V23.onCompression, OPENZFS_2_1.onCompression]).toEqual(["lzjb", "lz4"]);
  const taken = [ZFS_V23, OPENZFS_2_1].map((profile) => {
    const lab = new ZfsLab();
    const pool = lab.create({ profile });
    zfsSet(pool, "compression", "on", "tank");
    const files = new Files(lab, lab.mount(pool, "tank"));
    const inode = files.make("/f");
    files.write("/f", sentences(KIB(128)));
    pool.syncIfDirty();
    return files.fs.state.set.word(inode, USED);
  });
  expect(taken[0]).toBeGreaterThan(taken[1] as number);
  expect(taken[0]).toBeLessThan(KIB(32));
});
