/**
 * Power cuts: at every command of the disks, with any part of their caches kept, an import finds a transaction group that was written, whole; and
 * what an fsync promised.
 */
import { describe, expect, test } from "vitest";
import { Disk, keepAll, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsClone, zfsCreate, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { type Inode, S_IFDIR, S_IFMT } from "../../sim/vfs/filesystem.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

/** Every path of a filesystem with a digest of its content. */
function treeOf(lab: ZfsLab, files: Files): string[] {
  const rows: string[] = [];
  const visit = (directory: Inode, path: string): void => {
    files.fs.iterate(directory, (name, object, type) => {
      const at = `${path}/${lab.names.text(name)}`;
      if ((type & S_IFMT) === S_IFDIR) {
        rows.push(at);
        visit(object as Inode, at);
        return;
      }
      const handle = must(files.fs.open(object as Inode, 0));
      rows.push(`${at} ${must(files.fs.read(handle, 0, MIB(1))).sha256()}`);
      files.fs.close(handle, 0);
    });
  };
  visit(files.fs.root, "");
  return rows.sort();
}

/** The state of all datasets: their names, and the tree of each head. */
function stateOf(lab: ZfsLab, pool: Pool): string {
  const names = zfsList(pool, { columns: ["name"], type: "all" }).map(([name]) => name ?? "");
  const trees = names.map((name) => [name, ...treeOf(lab, new Files(lab, lab.mount(pool, name)))]);
  return JSON.stringify(trees);
}

/** Some calls and commands, chosen at random; some of them have a group written. */
function doSomething(files: Files, pool: Pool, random: Random, step: number): void {
  const name = `/f${random.below(6)}`;
  switch (random.below(8)) {
    case 0:
      zfsSnapshot(pool, `tank/a@s${step}`);
      return;
    case 1:
      pool.syncIfDirty();
      return;
    case 2:
      if (!isErrno(files.find(name))) files.unlink(name);
      return;
    case 3:
      if (isErrno(files.find(`/d${step}`))) files.mkdir(`/d${step}`);
      return;
    default:
      files.write(name, Content.pattern(step, 1 + random.below(20_000)), random.below(3) * 60_000);
  }
}

test.each([1, 2])("after a cut at any command the pool is a group that was written, seed %i", (seed) => {
  const random = new Random(seed);
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  zfsCreate(pool, "tank/a");
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  /** What each group left, and disks as a cut would leave them. */
  const states = new Map<number, string>();
  const cuts: Disk[] = [];
  const keep = (): void => {
    states.set(pool.store.group - 1, stateOf(lab, pool));
  };
  keep();
  pool.logs.add({ setWritten: () => undefined, groupWritten: keep });
  disk.watcher = () => {
    const choices = [keepNone, keepAll, keepRandom(() => random.fraction())];
    const cut = disk.clone({ silent: true });
    cut.powerCut(choices[cuts.length % 3]);
    cuts.push(cut);
  };
  for (let step = 0; step < 16; step++) doSomething(files, pool, random, step);
  pool.syncIfDirty();
  disk.watcher = undefined;
  expect(cuts.length).toBeGreaterThan(30);
  for (const [index, cut] of cuts.entries()) {
    if (index % 3 !== seed % 3 && process.env["COWLAB_SOAK"] === undefined) continue;
    const other = new ZfsLab();
    const found = must(other.import([cut]));
    const group = found.store.group - 1;
    checkPool(found);
    expect(stateOf(other, found), `cut ${index}`).toBe(states.get(group));
    found.stop();
  }
});

test("what an fsync promised is there after a cut, and what came later is whole or not there", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  const files = new Files(lab, lab.mount(pool, "tank"));
  const promised = new Map<string, string>();
  for (let step = 0; step < 12; step++) {
    const path = `/f${step % 4}`;
    files.write(path, Content.text(`step ${step}`));
    files.write("/other", Content.text(`other ${step}`));
    const groups = pool.counters.groups;
    expect(files.fs.fsync(must(files.fs.open(must(files.find(path)), 0)), false)).toBeUndefined();
    promised.set(path, `step ${step}`);
    // Only the first fsync of the mount has a group written; the others write to the log.
    expect(pool.counters.groups - groups).toBe(step === 0 ? 1 : 0);
    const cut = disk.clone({ silent: true });
    cut.powerCut(keepNone);
    const other = new ZfsLab();
    const found = must(other.import([cut]));
    const again = new Files(other, other.mount(found, "tank"));
    for (const [at, text] of promised) expect(again.read(at).toText()).toBe(text);
    checkPool(found);
    again.fs.check();
    found.stop();
  }
});

test("the log forgets what a group holds: an older write does not come back", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  const files = new Files(lab, lab.mount(pool, "tank"));
  files.make("/f");
  const handle = must(files.fs.open(must(files.find("/f")), 0));
  files.fs.fsync(handle, false);
  files.write("/f", Content.text("older"));
  files.fs.fsync(handle, false);
  files.write("/f", Content.text("newer"));
  pool.syncIfDirty();
  disk.powerCut(keepNone);
  pool.stop();
  const other = new ZfsLab();
  const found = must(other.import([disk]));
  expect(new Files(other, other.mount(found, "tank")).read("/f").toText()).toBe("newer");
  checkPool(found);
});

test("an exported pool is found again with its properties, snapshots and clones, and goes on", () => {
  const lab = new ZfsLab();
  const disks = [new Disk({ size: MIB(128), name: "vda" }), new Disk({ size: MIB(128), name: "vdb" })];
  const pool = lab.create({ tops: disks.map((disk) => [disk]) });
  zfsCreate(pool, "tank/a", { compression: "lz4", quota: "50M" });
  const mounted = lab.mount(pool, "tank/a");
  new Files(lab, mounted).write("/f", Content.pattern(1, MIB(5)));
  zfsSnapshot(pool, "tank/a@s");
  zfsClone(pool, "tank/a@s", "tank/b");
  zfsDestroy(pool, "tank/a@s", { defer: true });
  mounted.unmount();
  const columns = ["name", "used", "referenced", "usedbysnapshots", "logicalused", "compression", "quota", "origin", "written"];
  const before = zfsList(pool, { columns, type: "all" });
  expect(pool.export()).toBeUndefined();
  const other = new ZfsLab();
  const found = must(other.import(disks));
  const withoutRoot = (rows: string[][]): string[][] => rows.filter(([name]) => name !== "tank");
  expect(withoutRoot(zfsList(found, { columns, type: "all" }))).toEqual(withoutRoot(before));
  const clone = other.mount(found, "tank/b");
  expect(new Files(other, clone).read("/f").sha256()).toBe(Content.pattern(1, MIB(5)).sha256());
  clone.unmount();
  expect(zfsDestroy(found, "tank/b")).toBeUndefined();
  expect(zfsList(found, { columns: ["name"], type: "all" }).flat()).toEqual(["tank", "tank/a"]);
  checkPool(found);
});

describe("a mirror", () => {
  test("goes on with one side, and reads what only one side has", () => {
    const lab = new ZfsLab();
    const [one, two] = [new Disk({ size: MIB(128), name: "vda" }), new Disk({ size: MIB(128), name: "vdb" })];
    const pool = lab.create({ tops: [[one, two]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    files.write("/f", Content.pattern(1, MIB(2)));
    pool.syncIfDirty();
    expect(one.counters.writtenBytes).toBe(two.counters.writtenBytes);
    files.fs.unmount();
    pool.export();
    const other = new ZfsLab();
    const found = must(other.import([two]));
    expect(new Files(other, other.mount(found, "tank")).read("/f").sha256()).toBe(Content.pattern(1, MIB(2)).sha256());
  });
});

test("a pool whose only disk fails is suspended: every later change gives EIO", () => {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const device = new FaultyDevice(disk);
  const pool = lab.create({ tops: [[device]] });
  const files = new Files(lab, lab.mount(pool, "tank"));
  files.write("/f", Content.pattern(1, MIB(1)));
  device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
  expect(pool.syncIfDirty()).toMatchObject({ code: "EIO" });
  expect(files.write("/f", Content.pattern(2, 10))).toMatchObject({ code: "EIO" });
});
