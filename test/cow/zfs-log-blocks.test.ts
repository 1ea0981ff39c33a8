/**
 * The blocks of intent logs: how large they are made, what of a commit goes where, and what a power cut at any command leaves of them (module/zfs/zil.c:
 * zil_block_buckets, zil_lwb_commit, zil_claim; zfs_log.c: zfs_log_write; dmu.c: dmu_sync; OpenZFS 2.1). Sizes on a real pool: zfs-vectors.test.ts,
 * test/drivers/zfs-space.test.ts.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Disk, keepAll, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsClone, zfsCreate, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsGet } from "../../sim/cow/zfs/listing.ts";
import { LogSizes } from "../../sim/cow/zfs/log-sizes.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { OPENZFS_2_1, ZFS_PROFILES } from "../../sim/cow/zfs/profile.ts";
import { againAfterCut as again, Files, must, ZfsLab } from "./zfs-lab.ts";

interface Machine {
  readonly lab: ZfsLab;
  readonly disk: Disk;
  readonly pool: Pool;
  /** Of tank/a. */
  readonly files: Files;
}

function machine(properties: Readonly<Record<string, string>> = {}): Machine {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  expect(zfsCreate(pool, "tank/a", properties)).toBeUndefined();
  return { lab, disk, pool, files: new Files(lab, lab.mount(pool, "tank/a")) };
}

/** A machine whose log has begun. */
function begun(properties?: Readonly<Record<string, string>>): Machine {
  const made = machine(properties);
  made.files.write("/begin", Content.text("x"));
  expect(made.files.fs.sync()).toBeUndefined();
  made.pool.syncIfDirty();
  return made;
}

function digest(files: Files, path: string): string | undefined {
  return isErrno(files.find(path)) ? undefined : files.read(path).sha256();
}

test("the next block is as large as the commit asks for, and not smaller than for sixteen blocks before", () => {
  const sizes = new LogSizes();
  const asked = [1, 4096, 4097, 12_288, 12_289, 36_864, 36_865, 69_632, 69_633, 131_072, 131_073, 135_168, 135_169];
  expect(asked.map((bytes) => new LogSizes().next(bytes) / KIB(1))).toEqual([
    4, 4, 12, 12, 36, 36, 68, 68, 128, 128, 68, 68, 128,
  ]);
  expect(sizes.next(5000)).toBe(KIB(12));
  for (let block = 1; block < 16; block++) expect(sizes.next(100)).toBe(KIB(12));
  expect(sizes.next(100)).toBe(KIB(4));
});

describe("the first commit of a filesystem", () => {
  test("has a group written that tells where the log begins, and then an empty block", () => {
    const { files, pool, disk } = machine();
    files.write("/f", Content.text("one"));
    const { groups } = pool.counters;
    expect(files.fs.sync()).toBeUndefined();
    expect(pool.counters.groups).toBe(groups + 1);
    // The block that was written, and the next.
    expect(pool.store.logBytes).toBe(KIB(8));
    expect(digest(again(disk), "/f")).toBe(Content.text("one").sha256());
    pool.syncIfDirty();
    expect(pool.store.logBytes).toBe(KIB(4));
    checkPool(pool);
  });

  test("is that of its unmount at the latest: a layer that was unpacked has a block of 4 KiB", () => {
    const { files, pool } = machine();
    files.write("/f", Content.pattern(1, MIB(1)));
    expect(files.fs.unmount()).toBeUndefined();
    expect(pool.store.logBytes).toBe(KIB(4));
    checkPool(pool);
  });

  test("does not come where nothing was done", () => {
    const { files, pool } = machine();
    const { groups } = pool.counters;
    expect(files.fs.sync()).toBeUndefined();
    expect(files.fs.unmount()).toBeUndefined();
    expect([pool.counters.groups, pool.store.logBytes]).toEqual([groups, 0]);
  });
});

test("a clone writes its set's block only to take out the log of the filesystem whose snapshot it is of", () => {
  for (const [isSynced, own] of [
    [false, "0"],
    [true, "1024"],
  ] as const) {
    const { files, pool } = machine();
    files.write("/f", Content.text("one"));
    if (isSynced) files.fs.sync();
    zfsSnapshot(pool, "tank/a@s");
    zfsClone(pool, "tank/a@s", "tank/b");
    expect(zfsGet(pool, ["used"], "tank/b")?.[0]?.[2]).toBe(own);
    checkPool(pool);
  }
});

describe("a sync of the filesystem", () => {
  test("makes durable in the log whatever was done, without a group", () => {
    const { files, pool, disk } = begun();
    for (let n = 0; n < 100; n++) files.write(`/${n}`, Content.pattern(n, 1024));
    files.unlink("/7");
    const { groups } = pool.counters;
    expect(files.fs.sync()).toBeUndefined();
    expect(pool.counters.groups).toBe(groups);
    const found = again(disk);
    for (let n = 0; n < 100; n++) expect(digest(found, `/${n}`)).toBe(n === 7 ? undefined : Content.pattern(n, 1024).sha256());
  });

  test("makes nothing durable with sync=disabled", () => {
    const { files, pool, disk } = begun();
    zfsSet(pool, "sync", "disabled", "tank/a");
    files.write("/f", Content.text("two"));
    expect(files.fs.sync()).toBeUndefined();
    expect(digest(again(disk), "/f")).toBeUndefined();
  });
});

describe("a write of 32 KiB or more", () => {
  const data = Content.pattern(1, KIB(128));

  test("goes to its place with the commit, which the group then takes as it is", () => {
    const { files, pool, disk } = begun();
    files.write("/f", data);
    const { writtenBytes } = disk.counters;
    const { blocksWritten } = pool.store.counters;
    files.fsync("/f");
    // A record of the log that points there, and the data.
    expect(disk.counters.writtenBytes - writtenBytes).toBe(KIB(4 + 128));
    expect(pool.store.counters.blocksWritten - blocksWritten).toBe(1);
    expect(pool.store.logBytes).toBe(KIB(4 + 128 + 4));
    expect(digest(again(disk), "/f")).toBe(data.sha256());
    const before = disk.counters.writtenBytes;
    pool.syncIfDirty();
    expect(disk.counters.writtenBytes - before).toBeLessThan(KIB(64));
    expect(pool.store.logBytes).toBe(KIB(4));
    checkPool(pool);
    expect(digest(again(disk), "/f")).toBe(data.sha256());
  });

  test("goes with its data into the log when it is smaller, and to its place however small with logbias=throughput", () => {
    for (const [length, logbias, bytes] of [
      [KIB(32) - 1, "latency", KIB(4 + 36)],
      [KIB(32), "latency", KIB(4 + 32)],
      [600, "latency", KIB(4)],
      [600, "throughput", KIB(4) + 1024],
    ] as const) {
      const { files, pool, disk } = begun({ logbias });
      files.write("/f", Content.pattern(1, length));
      const { writtenBytes } = disk.counters;
      files.fsync("/f");
      expect(disk.counters.writtenBytes - writtenBytes, `${length} ${logbias}`).toBe(bytes);
      expect(digest(again(disk), "/f")).toBe(Content.pattern(1, length).sha256());
      pool.syncIfDirty();
      checkPool(pool);
    }
  });

  test("gives its place up when the block is written once more, cut off or removed before the group", () => {
    const calls: readonly ((files: Files) => unknown)[] = [
      (files) => files.write("/f", Content.text("over"), 5),
      (files) => files.fs.setattr(must(files.find("/f")), { size: 0 }),
      (files) => files.unlink("/f"),
      (files) => files.write("/f", Content.pattern(2, KIB(200))),
    ];
    for (const call of calls) {
      const { files, pool, disk } = begun();
      files.write("/f", data);
      files.fsync("/f");
      expect(isErrno(call(files))).toBe(false);
      const wanted = digest(files, "/f");
      expect(digest(again(disk), "/f")).toBe(data.sha256());
      expect(files.fs.sync()).toBeUndefined();
      expect(digest(again(disk), "/f")).toBe(wanted);
      pool.syncIfDirty();
      expect(digest(again(disk), "/f")).toBe(wanted);
      checkPool(pool);
    }
  });

  test("that comes twice before the commit is written once", () => {
    const { files, pool, disk } = begun();
    files.write("/f", data);
    files.write("/f", Content.pattern(2, KIB(64)), KIB(32));
    const wanted = digest(files, "/f");
    const { blocksWritten } = pool.store.counters;
    files.fsync("/f");
    expect(pool.store.counters.blocksWritten - blocksWritten).toBe(1);
    expect(digest(again(disk), "/f")).toBe(wanted);
  });

  test("is lost where the file was written, cut and written again before one fsync, as OpenZFS 2.1.11 loses it", () => {
    const twice = Content.text("B".repeat(40_000));
    for (const [isCut, after] of [
      [true, Content.zeros(40_000)],
      [false, twice],
    ] as const) {
      const { files, disk } = begun();
      files.write("/f", Content.text("A".repeat(40_000)));
      if (isCut) files.fs.setattr(must(files.find("/f")), { size: 0 });
      files.write("/f", twice);
      files.fsync("/f");
      // Recorded: the second write's record says only where the file ends, and the cut lies between.
      expect(digest(again(disk), "/f")).toBe(after.sha256());
    }
  });

  test("is not told where a power cut has lost its data: the log ends there", () => {
    const { files, disk } = begun();
    files.write("/f", data);
    const cuts: Disk[] = [];
    const random = new Random(3);
    disk.watcher = () => {
      for (const keep of [keepAll, keepRandom(() => random.fraction())]) {
        const cut = disk.clone({ silent: true });
        cut.powerCut(keep);
        cuts.push(cut);
      }
    };
    files.fsync("/f");
    disk.watcher = undefined;
    expect(cuts.length).toBeGreaterThan(4);
    const seen = new Set(cuts.map((cut) => digest(again(cut), "/f")));
    // The name alone is there, or all.
    expect([...seen].every((one) => [undefined, Content.empty.sha256(), data.sha256()].includes(one))).toBe(true);
    expect(seen.has(data.sha256())).toBe(true);
  });

  test.each([
    ["compression", "lz4"],
    ["dedup", "on"],
    ["copies", "2"],
  ])("is stored as %s=%s says", (property, value) => {
    const used: string[] = [];
    for (const isSynced of [false, true]) {
      const { files, pool, disk } = begun({ [property]: value });
      for (const path of ["/f", "/g"]) {
        files.write(path, Content.repeat(data.slice(0, KIB(1)).toBytes(), KIB(128)));
        if (isSynced) files.fsync(path);
      }
      files.write("/zeros", Content.zeros(KIB(64)));
      if (isSynced) files.fsync("/zeros");
      expect(digest(again(disk), "/g")).toBe(isSynced ? digest(files, "/g") : undefined);
      pool.syncIfDirty();
      checkPool(pool);
      used.push(zfsGet(pool, ["used"], "tank/a")?.[0]?.[2] ?? "");
      files.unlink("/f");
      files.unlink("/g");
      pool.syncIfDirty();
      checkPool(pool);
    }
    // Metadata blocks hold other places.
    expect(Math.abs(Number(used[0]) - Number(used[1]))).toBeLessThanOrEqual(1024);
  });
});

describe("an extended attribute that is set", () => {
  const value = Content.text("value").toBytes();

  /** What is there of it after a cut, when the file was made durable, and when the filesystem was. Recorded on OpenZFS 2.1.11. */
  test.each([
    ["on", OPENZFS_2_1, "", "value"],
    ["sa", OPENZFS_2_1, undefined, undefined],
    ["sa", ZFS_PROFILES.get("current"), "value", "value"],
  ])("with xattr=%s is a hidden file, or is told by later versions", (xattr, profile, afterFsync, afterSync) => {
    const lab = new ZfsLab();
    const disk = new Disk({ size: MIB(128) });
    const pool = lab.create({ tops: [[disk]], ...(profile === undefined ? {} : { profile }) });
    expect(zfsCreate(pool, "tank/a", { xattr })).toBeUndefined();
    const files = new Files(lab, lab.mount(pool, "tank/a"));
    files.write("/begin", Content.text("x"));
    files.fsync("/begin");
    expect(files.fs.setxattr(files.make("/f"), "user.k", value, 0)).toBeUndefined();
    const left = (): string | undefined => {
      const found = again(disk);
      const got = found.fs.getxattr(must(found.find("/f")), "user.k");
      return isErrno(got) ? undefined : new TextDecoder().decode(got);
    };
    files.fsync("/f");
    expect(left()).toBe(afterFsync);
    files.fs.sync();
    expect(left()).toBe(afterSync);
    pool.syncIfDirty();
    expect(left()).toBe("value");
    files.fs.check();
    checkPool(pool);
  });
});

/** A call on one of a few files, or what makes all durable. */
type Step = readonly [call: "write" | "cut" | "remove" | "move" | "fsync" | "sync" | "group" | "remount", a: number, b: number];

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.tuple(
    fc.constantFrom("write", "write", "write", "cut", "remove", "move", "fsync", "sync", "group", "remount"),
    fc.nat(3),
    fc.nat(200),
  ) as fc.Arbitrary<Step>,
  { minLength: 4, maxLength: 24, size: "max" },
);

/** Makes a step. @returns the files as they are from then on. */
function take(on: Machine, files: Files, [call, a, b]: Step, seed: number): Files {
  const path = `/f${a}`;
  const isThere = !isErrno(files.find(path));
  if (call === "write") files.write(path, Content.pattern(seed, 1 + b * 1000), (b % 3) * 40_000);
  if (call === "group") on.pool.syncIfDirty();
  // What is written around a cut may be lost: a cut begins with a sync.
  if (call === "sync" || call === "cut") expect(files.fs.sync()).toBeUndefined();
  if (call === "remount") {
    expect(files.fs.unmount()).toBeUndefined();
    return new Files(on.lab, on.lab.mount(on.pool, "tank/a"));
  }
  if (!isThere) return files;
  if (call === "cut") files.fs.setattr(must(files.find(path)), { size: b * 700 });
  if (call === "remove") files.unlink(path);
  if (call === "fsync") expect(files.fsync(path)).toBeUndefined();
  const [from, to] = [files.at(path), files.at(`/f${(a + 1) % 4}`)];
  if (call === "move") files.fs.rename(from.directory, from.name, to.directory, to.name, 0);
  return files;
}

function contents(files: Files): (string | undefined)[] {
  return [0, 1, 2, 3].map((n) => digest(files, `/f${n}`));
}

test("a cut at any command leaves a pool that adds up; after what makes all durable, everything is there", () => {
  fc.assert(
    fc.property(steps, fc.nat(), (list, seed) => {
      const on = begun();
      const random = new Random(seed);
      const cuts: Disk[] = [];
      on.disk.watcher = () => {
        if (random.below(6) !== 0) return;
        const cut = on.disk.clone({ silent: true });
        cut.powerCut([keepNone, keepAll, keepRandom(() => random.fraction())][cuts.length % 3]);
        cuts.push(cut);
      };
      let { files } = on;
      let durable = contents(files);
      for (const [index, step] of list.entries()) {
        if (step[0] === "cut") durable = contents(files);
        files = take(on, files, step, index);
        if (step[0] === "sync" || step[0] === "group" || step[0] === "remount") durable = contents(files);
        const found = again(on.disk);
        // An fsync may have made more durable than its own file: names, and what was renamed.
        if (!list.slice(0, index + 1).some(([call]) => call === "fsync")) expect(contents(found)).toEqual(durable);
        const synced = step[0] === "fsync" ? digest(files, `/f${step[1]}`) : undefined;
        if (synced !== undefined) expect(digest(found, `/f${step[1]}`)).toBe(synced);
      }
      on.disk.watcher = undefined;
      for (const cut of cuts.slice(0, 12)) again(cut);
      on.pool.syncIfDirty();
      checkPool(on.pool);
    }),
    { numRuns: process.env["COWLAB_SOAK"] === undefined ? 25 : 1000 },
  );
}, 120_000);
