/**
 * zfs rollback of a filesystem that is mounted and in use, and of one with newer snapshots and clones of those; holds; what zfs get tells of snapshots.
 * Answers: OpenZFS 2.1.11 on Linux 6.1.
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { EIO, isErrno } from "../../sim/core/errno.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsHold, zfsHolds, zfsRelease } from "../../sim/cow/zfs/holds.ts";
import { columnOf, zfsGet, zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { newAttributes } from "../../sim/vfs/filesystem.ts";
import { ZfsHistorian } from "./zfs-history.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

let lab: ZfsLab;
let disk: Disk;
let pool: Pool;

beforeEach(() => {
  lab = new ZfsLab();
  disk = new Disk({ size: MIB(256) });
  pool = lab.create({ name: "zp", tops: [[disk]] });
  expect(zfsCreate(pool, "zp/a")).toBeUndefined();
});

function snapshots(...names: readonly string[]): void {
  for (const name of names) expect(zfsSnapshot(pool, name)).toBeUndefined();
}

describe("a mounted filesystem that is taken back", () => {
  let files: Files;
  let kept: ReturnType<Files["make"]>;

  beforeEach(() => {
    files = new Files(lab, lab.mount(pool, "zp/a"));
    files.write("/f", Content.pattern(1, 200_000));
    kept = must(files.find("/f"));
    files.mkdir("/d");
    files.write("/d/x", Content.pattern(2, 5000));
    snapshots("zp/a@s1");
  });

  test("shows an open file that was there as it was then, and takes what is written to it", () => {
    const { fs } = files;
    const open = must(fs.open(kept, 0));
    files.write("/f", Content.pattern(3, 1000), 100);
    files.unlink("/d/x");
    expect(zfsRollback(pool, "zp/a@s1")).toBeUndefined();
    expect(must(fs.read(open, 0, 200_000)).equals(Content.pattern(1, 200_000))).toBe(true);
    expect(fs.write(open, 0, Content.pattern(9, 10))).toBe(10);
    expect(isErrno(files.find("/d/x"))).toBe(false);
    fs.close(open, 0);
    expect(fs.sync()).toBeUndefined();
    fs.check();
    checkPool(pool);
  });

  test("lets calls on an open file that was not there fail with EIO, until it is closed", () => {
    const { fs } = files;
    files.write("/g", Content.pattern(4, 3000));
    const gone = must(files.find("/g"));
    const open = must(fs.open(gone, 0));
    expect(zfsRollback(pool, "zp/a@s1")).toBeUndefined();
    expect(isErrno(files.find("/g"))).toBe(true);
    expect(fs.getattr(gone, newAttributes())).toBe(EIO);
    expect(fs.read(open, 0, 10)).toBe(EIO);
    expect(fs.write(open, 0, Content.pattern(9, 10))).toBe(EIO);
    expect(fs.fsync(open, false)).toBe(EIO);
    // The number is not another file's while somebody has it open.
    expect(files.make("/h")).not.toBe(gone);
    fs.close(open, 0);
    expect(files.make("/i")).not.toBe(files.find("/h"));
    fs.check();
  });

  test("counts nothing as written since then", () => {
    files.write("/f", Content.pattern(3, 1000), 100);
    expect(zfsRollback(pool, "zp/a@s1")).toBeUndefined();
    const [, then] = [findDataset(pool, "zp/a"), findDataset(pool, "zp/a@s1")];
    expect(findDataset(pool, "zp/a")?.referenced).toBe(then?.referenced);
    files.fs.unmount();
    const again = new Files(lab, lab.mount(pool, "zp/a"));
    expect(again.read("/f").equals(Content.pattern(1, 200_000))).toBe(true);
  });
});

test("a name that a rollback has taken away from under a mount is found, listed nowhere, and leads nowhere behind that mount's end", () => {
  const machine = new ZfsHistorian();
  for (const line of ["zfs create zp/a", "zfs snapshot zp/a@s", "zfs create zp/a/b", "zfs rollback zp/a@s"])
    expect(machine.command(line)).toEqual([0, "", ""]);
  expect(machine.call({ do: "write", path: "/m/a/b/f", len: 10 })).toBe(10);
  expect([machine.call({ do: "listdir", path: "/m/a" }), machine.call({ do: "listdir", path: "/m/a/b" })]).toEqual([[], ["f"]]);
  expect([machine.call({ do: "mkdir", path: "/m/a/b" }), machine.call({ do: "rmdir", path: "/m/a/b" })]).toEqual([
    "EEXIST",
    "EBUSY",
  ]);
  expect(machine.command("zfs destroy zp/a/b")).toEqual([0, "", ""]);
  expect([machine.call({ do: "listdir", path: "/m/a/b" }), machine.call({ do: "mkdir", path: "/m/a/b" })]).toEqual([
    "EIO",
    "EEXIST",
  ]);
});

describe("newer snapshots", () => {
  test("are named, the newest first, and go with -r", () => {
    snapshots("zp/a@s1", "zp/a@s2", "zp/a@s3");
    expect(zfsRollback(pool, "zp/a@s1")).toBe(
      "cannot rollback to 'zp/a@s1': more recent snapshots or bookmarks exist\n" +
        "use '-r' to force deletion of the following snapshots and bookmarks:\nzp/a@s3\nzp/a@s2",
    );
    expect(zfsRollback(pool, "zp/a@s1", { recursive: true })).toBeUndefined();
    expect(zfsList(pool, { columns: ["name"], type: "snapshot" })).toEqual([["zp/a@s1"]]);
    checkPool(pool);
  });

  test("that have clones go with -R alone", () => {
    snapshots("zp/a@s1", "zp/a@s4");
    expect(zfsClone(pool, "zp/a@s4", "zp/d")).toBeUndefined();
    expect(zfsRollback(pool, "zp/a@s1", { recursive: true })).toBe(
      "cannot rollback to 'zp/a@s1': clones of previous snapshots exist\n" +
        "use '-R' to force deletion of the following clones and dependents:\nzp/d",
    );
    expect(zfsRollback(pool, "zp/a@s1", { clones: true })).toBeUndefined();
    expect(zfsList(pool, { columns: ["name"], type: "all" })).toEqual([["zp"], ["zp/a"], ["zp/a@s1"]]);
    checkPool(pool);
  });
});

describe("a held snapshot", () => {
  beforeEach(() => {
    snapshots("zp/a@s");
    expect(zfsHold(pool, "k", "zp/a@s")).toBeUndefined();
  });

  test("is not destroyed, alone or with its filesystem", () => {
    expect(zfsDestroy(pool, "zp/a@s")).toBe("cannot destroy snapshot zp/a@s: dataset is busy");
    expect(zfsDestroy(pool, "zp/a", { recursive: true })).toBe("cannot destroy snapshot zp/a@s: dataset is busy");
    expect(zfsHold(pool, "k", "zp/a@s")).toBe("cannot hold snapshot 'zp/a@s': tag already exists on this dataset");
    expect(zfsHolds(pool, "zp/a@s")).toEqual([["zp/a@s", "k"]]);
  });

  test("that is to be destroyed goes with the last hold, also after another import", () => {
    expect(zfsHold(pool, "l", "zp/a@s")).toBeUndefined();
    expect(zfsDestroy(pool, "zp/a@s", { defer: true })).toBeUndefined();
    expect(pool.export()).toBeUndefined();
    pool = must(lab.import([disk]));
    const columns = ["name", "userrefs", "defer_destroy"];
    expect(zfsList(pool, { columns, type: "snapshot" })).toEqual([["zp/a@s", "2", "on"]]);
    expect(zfsRelease(pool, "k", "zp/a@s")).toBeUndefined();
    expect(zfsRelease(pool, "k", "zp/a@s")).toBe("cannot release hold from snapshot 'zp/a@s': no such tag on this dataset");
    expect(zfsRelease(pool, "l", "zp/a@s")).toBeUndefined();
    expect(findDataset(pool, "zp/a@s")).toBeUndefined();
    expect(zfsRelease(pool, "l", "zp/a@s")).toBe("cannot release hold from snapshot 'zp/a@s': dataset does not exist");
    checkPool(pool);
  });
});

describe("zfs get", () => {
  test("written@ tells what was written since an earlier snapshot of the same line, and is there still", () => {
    const files = new Files(lab, lab.mount(pool, "zp/a"));
    const written = (since: string): number => Number(zfsGet(pool, [`written@${since}`], "zp/a")?.[0]?.[2]);
    snapshots("zp/a@s0");
    files.write("/f", Content.pattern(1, 131_072));
    snapshots("zp/a@s1");
    files.write("/g", Content.pattern(2, 131_072));
    snapshots("zp/a@s2");
    const before = [written("s0"), written("s1"), written("s2")] as const;
    expect(before[0]).toBeGreaterThan(262_144);
    expect(before[1]).toBeGreaterThanOrEqual(131_072);
    expect(before[1]).toBeLessThan(262_144);
    expect(before[2]).toBe(0);
    files.unlink("/f");
    pool.syncGroup();
    // What s1 has alone now was written after s0, but is not there any more.
    expect(written("s0")).toBeLessThan(before[0] - 100_000);
    expect(zfsGet(pool, ["written@none"], "zp/a")?.[0]?.[2]).toBe("-");
  });

  test("a snapshot without clones has none to show, and a ratio of its own", () => {
    snapshots("zp/a@s");
    const snapshot = findDataset(pool, "zp/a@s") as NonNullable<ReturnType<typeof findDataset>>;
    expect(["clones", "compressratio", "userrefs"].map((column) => columnOf(pool, snapshot, column))).toEqual(["-", "1.00", "0"]);
  });
});

test("a limit below what is used or reserved is refused", () => {
  const refused = "cannot set property for 'zp/a': size is less than current used or reserved space";
  new Files(lab, lab.mount(pool, "zp/a")).write("/f", Content.pattern(1, 2_000_000));
  pool.syncGroup();
  expect(zfsSet(pool, "refquota", "1M", "zp/a")).toBe(refused);
  expect(zfsSet(pool, "reservation", "10M", "zp/a")).toBeUndefined();
  expect(zfsSet(pool, "quota", "5M", "zp/a")).toBe(refused);
  expect(zfsSet(pool, "quota", "10M", "zp/a")).toBeUndefined();
  expect(zfsPromote(pool, "zp/a")).toBe("cannot promote 'zp/a': not a cloned filesystem");
});
