/**
 * What zfs(8) and zpool(8) do not do, in their words (OpenZFS 2.1: lib/libzfs/libzfs_dataset.c, libzfs_util.c), and that nothing has changed then;
 * and what columns and properties show of each kind of dataset.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { EINVAL, ENOENT, EOVERFLOW, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool, createPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsGet, zfsList, zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { Files, ZfsLab } from "./zfs-lab.ts";

let lab: ZfsLab;
let pool: Pool;

beforeEach(() => {
  lab = new ZfsLab();
  pool = lab.create();
  for (const name of ["a", "a/b", "c"]) expect(zfsCreate(pool, `tank/${name}`)).toBeUndefined();
  for (const name of ["s", "t"]) expect(zfsSnapshot(pool, `tank/a@${name}`)).toBeUndefined();
  expect(zfsClone(pool, "tank/a@s", "tank/clone")).toBeUndefined();
});

function everything(): string[][] {
  return zfsList(pool, { columns: ["name", "used", "referenced", "origin"], type: "all" });
}

const LONG = "n".repeat(260);

describe("names", () => {
  test.each<readonly [string, () => string | undefined, string]>([
    ["too long", () => zfsCreate(pool, `tank/${LONG}`), `cannot create 'tank/${LONG}': name is too long`],
    ["a leading slash", () => zfsCreate(pool, "/tank/x"), "cannot create '/tank/x': leading slash in name"],
    [
      "an empty component",
      () => zfsCreate(pool, "tank//x"),
      "cannot create 'tank//x': empty component or misplaced '@' or '#' delimiter in name",
    ],
    ["a pool alone", () => zfsCreate(pool, "other"), "cannot create 'other': missing dataset name"],
    ["another pool", () => zfsCreate(pool, "other/x"), "cannot create 'other/x': no such pool 'other'"],
    ["a snapshot's", () => zfsCreate(pool, "tank/x@y"), "cannot create 'tank/x@y': snapshot delimiter '@' is not expected here"],
    [
      "two snapshots'",
      () => zfsSnapshot(pool, "tank/a@x@y"),
      "cannot create snapshot 'tank/a@x@y': multiple '@' and/or '#' delimiters in name",
    ],
    ["of a dataset that is not there", () => zfsSnapshot(pool, "tank/none@x"), "cannot open 'tank/none': dataset does not exist"],
  ])("%s are refused, and nothing is made", (_, command, said) => {
    const before = everything();
    expect(command()).toBe(said);
    expect(everything()).toEqual(before);
  });
});

describe("commands", () => {
  test.each<readonly [string, () => string | undefined, string]>([
    [
      "create with a property that there is not",
      () => zfsCreate(pool, "tank/x", { sharing: "on" }),
      "cannot create 'tank/x': invalid property 'sharing'",
    ],
    [
      "create with a quota that is no number",
      () => zfsCreate(pool, "tank/x", { quota: "much" }),
      "cannot create 'tank/x': bad numeric value 'much'",
    ],
    [
      "create with a value that there is not",
      () => zfsCreate(pool, "tank/x", { sync: "maybe" }),
      "cannot create 'tank/x': 'sync' must be one of 'standard | always | disabled'",
    ],
    [
      "clone of a filesystem",
      () => zfsClone(pool, "tank/a", "tank/x"),
      "cannot open 'tank/a': operation not applicable to datasets of this type",
    ],
    ["clone of no snapshot", () => zfsClone(pool, "tank/a@no", "tank/x"), "cannot open 'tank/a@no': dataset does not exist"],
    [
      "clone to a name that is taken",
      () => zfsClone(pool, "tank/a@s", "tank/c"),
      "cannot create 'tank/c': dataset already exists",
    ],
    [
      "clone with a wrong value",
      () => zfsClone(pool, "tank/a@s", "tank/x", { readonly: "perhaps" }),
      "cannot create 'tank/x': 'readonly' must be one of 'on | off'",
    ],
    ["promote of what is not there", () => zfsPromote(pool, "tank/none"), "cannot open 'tank/none': dataset does not exist"],
    ["rollback to no snapshot", () => zfsRollback(pool, "tank/a@none"), "cannot open 'tank/a@none': dataset does not exist"],
    [
      "rollback to a filesystem",
      () => zfsRollback(pool, "tank/a"),
      "cannot open 'tank/a': missing '@' delimiter in snapshot name",
    ],
    [
      "rename of what is not there",
      () => zfsRename(pool, "tank/none", "tank/x"),
      "cannot open 'tank/none': dataset does not exist",
    ],
    [
      "rename to a name that is taken",
      () => zfsRename(pool, "tank/a", "tank/c"),
      "cannot rename 'tank/a': dataset already exists",
    ],
    [
      "rename of a snapshot to another dataset",
      () => zfsRename(pool, "tank/a@s", "tank/c@s"),
      "cannot rename to 'tank/c@s': snapshots must be part of same dataset",
    ],
    [
      "rename of a snapshot to one that is there",
      () => zfsRename(pool, "tank/a@s", "t"),
      "cannot rename 'tank/a@s': dataset already exists",
    ],
    [
      "rename of a snapshot to a wrong name",
      () => zfsRename(pool, "tank/a@s", "tank/a@%"),
      "cannot rename to 'tank/a@%': invalid character % in name",
    ],
    [
      "set on what is not there",
      () => zfsSet(pool, "quota", "1G", "tank/none"),
      "cannot open 'tank/none': dataset does not exist",
    ],
    [
      "set of a property that there is not",
      () => zfsSet(pool, "sharing", "on", "tank/a"),
      "cannot set property for 'tank/a': invalid property 'sharing'",
    ],
    [
      "set of a wrong value",
      () => zfsSet(pool, "atime", "sometimes", "tank/a"),
      "cannot set property for 'tank/a': 'atime' must be one of 'on | off'",
    ],
    [
      "set of a quota below what is used",
      () => zfsSet(pool, "quota", "1k", "tank"),
      "cannot set property for 'tank': size is less than current used or reserved space",
    ],
    [
      "create with a reservation that there is no room for",
      () => zfsCreate(pool, "tank/new", { reservation: "1T" }),
      "cannot create 'tank/new': out of space",
    ],
    [
      "clone with a reservation that there is no room for",
      () => zfsClone(pool, "tank/a@s", "tank/new", { refreservation: "1T" }),
      "cannot create 'tank/new': out of space",
    ],
    [
      "set of a reservation that there is no room for",
      () => zfsSet(pool, "reservation", "1T", "tank/a"),
      "cannot set property for 'tank/a': size is greater than available space",
    ],
  ])("%s is refused, and changes nothing", (_, command, said) => {
    const before = everything();
    expect(command()).toBe(said);
    expect(everything()).toEqual(before);
    checkPool(pool);
  });

  test("promote is refused where both have a snapshot of one name", () => {
    expect(zfsSnapshot(pool, "tank/clone@s")).toBeUndefined();
    expect(zfsPromote(pool, "tank/clone")).toBe("cannot promote 'tank/clone': conflicting snapshot 's' from parent 'tank/a@s'");
  });

  test("a snapshot is renamed by its own name or by the whole one", () => {
    expect(zfsRename(pool, "tank/a@s", "first")).toBeUndefined();
    expect(zfsRename(pool, "tank/a@t", "tank/a@second")).toBeUndefined();
    expect(zfsList(pool, { columns: ["name"], type: "snapshot" })).toEqual([["tank/a@first"], ["tank/a@second"]]);
    checkPool(pool);
  });
});

describe("columns", () => {
  test("show what a dataset is, whether it is mounted, where it comes from and what comes from it", () => {
    const mounted = lab.mount(pool, "tank/c");
    const columns = ["name", "type", "mounted", "origin"];
    expect(zfsList(pool, { columns, type: "all" })).toEqual([
      ["tank", "filesystem", "no", "-"],
      ["tank/a", "filesystem", "no", "-"],
      ["tank/a@s", "snapshot", "-", "-"],
      ["tank/a@t", "snapshot", "-", "-"],
      ["tank/a/b", "filesystem", "no", "-"],
      ["tank/c", "filesystem", "yes", "-"],
      ["tank/clone", "filesystem", "no", "tank/a@s"],
    ]);
    mounted.unmount();
    expect(zfsGet(pool, ["clones"], "tank/a@s")).toEqual([["tank/a@s", "clones", "tank/clone", "-"]]);
    expect(zfsGet(pool, ["type", "createtxg"], "tank/none")).toBeUndefined();
  });

  test("show a ratio, a size before compression, the group of its birth and a setting with its source; and nothing of what is not known", () => {
    expect(zfsSet(pool, "compression", "lz4", "tank/c")).toBeUndefined();
    const files = new Files(lab, lab.mount(pool, "tank/c"));
    files.write("/f", Content.repeat(Content.text("much of the same ").toBytes(), MIB(2)));
    pool.syncIfDirty();
    const [ratio, logical, birth, set, unknown] = zfsGet(
      pool,
      ["compressratio", "logicalreferenced", "createtxg", "compression", "nonsense"],
      "tank/c",
    ) ?? [[], [], [], [], []];
    expect(Number.parseFloat(ratio?.[2] ?? "")).toBeGreaterThan(1.5);
    expect(Number(logical?.[2])).toBeGreaterThan(MIB(2));
    expect(Number(birth?.[2])).toBeGreaterThan(0);
    expect(set?.slice(2)).toEqual(["lz4", "local"]);
    expect(unknown?.slice(2)).toEqual(["-", "-"]);
  });
});

describe("pools", () => {
  const parts = (): { clock: typeof lab.clock; memory: number } => ({ clock: lab.clock, memory: MIB(64) });

  test("need devices, which are large enough", () => {
    expect(createPool(parts(), { name: "p", tops: [] })).toBe(EINVAL);
    expect(createPool(parts(), { name: "p", tops: [[new Disk({ size: MIB(1) })]] })).toBe(EOVERFLOW);
    expect(importPool(parts(), [])).toBe(ENOENT);
    expect(importPool(parts(), [new Disk({ size: MIB(256) })])).toBe(ENOENT);
  });

  test("are imported only with every top device, of those that are theirs", () => {
    const [one, other] = [new Disk({ name: "one", size: MIB(128) }), new Disk({ name: "other", size: MIB(128) })];
    const wide = lab.create({ name: "wide", tops: [[one], [other]] });
    expect(zfsCreate(wide, "wide/x")).toBeUndefined();
    expect(wide.export()).toBeUndefined();
    expect(lab.import([one])).toBe(ENOENT);
    const again = lab.import([other, new Disk({ size: MIB(128) }), one]);
    if (isErrno(again)) throw new Error(again.code);
    expect(zfsList(again, { columns: ["name"] })).toEqual([["wide"], ["wide/x"]]);
    checkPool(again);
  });

  test("are suspended by a group that cannot be written, and say so", () => {
    const device = new FaultyDevice(new Disk({ size: MIB(128) }));
    const lost = lab.create({ name: "lost", tops: [[device]] });
    expect(zpoolList(lost).health).toBe("ONLINE");
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    const said = "pool I/O is currently suspended";
    expect(zfsCreate(lost, "lost/x")).toBe(`cannot create 'lost/x': ${said}`);
    expect(zpoolList(lost).health).toBe("SUSPENDED");
    const before = zfsList(lost, { type: "all" });
    expect(zfsCreate(lost, "lost/y")).toBe(`cannot create 'lost/y': ${said}`);
    expect(zfsSnapshot(lost, "lost@s")).toBe(`cannot open 'lost': ${said}`);
    expect(zfsClone(lost, "lost@s", "lost/z")).toBe(`cannot open 'lost@s': ${said}`);
    expect(zfsPromote(lost, "lost/x")).toBe(`cannot open 'lost/x': ${said}`);
    expect(zfsRollback(lost, "lost@s")).toBe(`cannot open 'lost@s': ${said}`);
    expect(zfsRename(lost, "lost/x", "lost/y")).toBe(`cannot open 'lost/x': ${said}`);
    expect(zfsSet(lost, "atime", "off", "lost")).toBe(`cannot open 'lost': ${said}`);
    expect(zfsDestroy(lost, "lost/x")).toBe(`cannot open 'lost/x': ${said}`);
    expect(zfsList(lost, { type: "all" })).toEqual(before);
  });
});

describe("destroy", () => {
  test.each<readonly [string, string, Parameters<typeof zfsDestroy>[2], string]>([
    ["no filesystem", "tank/none", {}, "cannot open 'tank/none': dataset does not exist"],
    ["no snapshot", "tank/a@none", {}, "could not find any snapshots to destroy; check snapshot names."],
    [
      "the pool's own filesystem",
      "tank",
      {},
      "cannot destroy 'tank': operation does not apply to pools\nuse 'zfs destroy -r tank' to destroy all datasets in the pool\nuse 'zpool destroy tank' to destroy the pool itself",
    ],
    [
      "a filesystem with children and snapshots",
      "tank/a",
      {},
      "cannot destroy 'tank/a': filesystem has children\nuse '-r' to destroy the following datasets:\ntank/a/b\ntank/a@s\ntank/a@t",
    ],
    [
      "a filesystem with clones outside",
      "tank/a",
      { recursive: true },
      "cannot destroy 'tank/a': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\ntank/clone",
    ],
    [
      "a snapshot with clones",
      "tank/a@s",
      {},
      "cannot destroy 'tank/a@s': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/clone",
    ],
  ])("of %s is refused, and nothing goes", (_, path, options, said) => {
    const before = everything();
    expect(zfsDestroy(pool, path, options)).toBe(said);
    expect(everything()).toEqual(before);
  });

  test("of a snapshot that is mounted is refused", () => {
    const mounted = lab.mount(pool, "tank/a@t");
    expect(zfsDestroy(pool, "tank/a@t")).toBe("cannot destroy snapshot tank/a@t: dataset is busy");
    mounted.unmount();
    expect(zfsDestroy(pool, "tank/a@t")).toBeUndefined();
    checkPool(pool);
  });

  test("of everything in a pool leaves the pool's own filesystem, and the space that was taken and promised is free again", () => {
    expect(zfsSet(pool, "reservation", "20M", "tank/c")).toBeUndefined();
    expect(zfsSet(pool, "atime", "off", "tank")).toBeUndefined();
    const used = (): number => Number(zfsGet(pool, ["used"], "tank")?.[0]?.[2]);
    const before = used();
    expect(before).toBeGreaterThan(MIB(20));
    expect(zfsDestroy(pool, "tank", { recursive: true })).toBeUndefined();
    expect(zfsList(pool, { columns: ["name", "atime"], type: "all" })).toEqual([["tank", "off"]]);
    expect(used()).toBeLessThan(MIB(1));
    expect(zfsCreate(pool, "tank/a")).toBeUndefined();
    checkPool(pool);
  });
});

describe("limits", () => {
  test("a refquota counts what a filesystem refers to, its snapshots not, and shows what is left of it", () => {
    expect(zfsSet(pool, "refquota", "2M", "tank/c")).toBeUndefined();
    const files = new Files(lab, lab.mount(pool, "tank/c"));
    const free = (): number => files.fs.statfs().blocksFree * 131_072;
    expect(free()).toBeLessThanOrEqual(MIB(2));
    files.make("/g");
    files.write("/f", Content.pattern(1, MIB(3)));
    pool.syncIfDirty();
    expect(free()).toBe(0);
    expect(files.write("/g", Content.pattern(2, MIB(1)))).toMatchObject({ code: "EDQUOT" });
    expect(zfsSnapshot(pool, "tank/c@s")).toBeUndefined();
    files.unlink("/f");
    pool.syncIfDirty();
    expect(files.write("/g", Content.pattern(2, MIB(1)))).toBe(MIB(1));
    checkPool(pool);
  });

  test("one that is nearly reached has the group written first; where that fails the call does", () => {
    const device = new FaultyDevice(new Disk({ size: MIB(128) }));
    const small = lab.create({ name: "small", tops: [[device]] });
    expect(zfsCreate(small, "small/x", { quota: "4M" })).toBeUndefined();
    const files = new Files(lab, lab.mount(small, "small/x"));
    files.make("/g");
    files.write("/f", Content.pattern(1, MIB(1)));
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    expect(files.write("/g", Content.pattern(2, MIB(1)))).toMatchObject({ code: "EIO" });
    expect(zpoolList(small).health).toBe("SUSPENDED");
  });
});

test("a clone of a clone is promoted over the one between, and each side's sums are those of its blocks", () => {
  const write = (name: string, seed: number): void => {
    const mounted = lab.mount(pool, name);
    new Files(lab, mounted).write(`/${seed}`, Content.pattern(seed, MIB(1)));
    mounted.unmount();
  };
  write("tank/clone", 1);
  for (const name of ["u", "v"]) expect(zfsSnapshot(pool, `tank/clone@${name}`)).toBeUndefined();
  expect(zfsClone(pool, "tank/clone@v", "tank/third")).toBeUndefined();
  write("tank/third", 2);
  expect(zfsPromote(pool, "tank/third")).toBeUndefined();
  checkPool(pool);
  expect(zfsList(pool, { columns: ["name", "origin"], type: "all" }).filter(([name]) => /clone|third/.test(name ?? ""))).toEqual([
    ["tank/clone", "tank/third@v"],
    ["tank/third", "tank/a@s"],
    ["tank/third@u", "-"],
    ["tank/third@v", "-"],
  ]);
  expect(zfsDestroy(pool, "tank/clone")).toBeUndefined();
  expect(zfsPromote(pool, "tank/third")).toBeUndefined();
  checkPool(pool);
  expect(zfsGet(pool, ["origin", "creation"], "tank/third")?.map((row) => row[2])).toEqual(["-", expect.stringMatching(/^\d+$/)]);
});
