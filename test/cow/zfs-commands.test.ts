/**
 * zfs(8): what it lists, and how it words what is wrong.
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC, isErrno } from "../../sim/core/errno.ts";
import { KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsGet, zfsList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { zfsRename } from "../../sim/cow/zfs/rename.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { Files, ZfsLab } from "./zfs-lab.ts";

test("names that are taken, missing or wrong are refused in zfs's words", () => {
  const lab = new ZfsLab();
  const pool = lab.create({ name: "t9" });
  expect(zfsCreate(pool, "t9/leg3")).toBeUndefined();
  expect(zfsSnapshot(pool, "t9/leg3@x")).toBeUndefined();
  expect(zfsSnapshot(pool, "t9/leg3")).toBe("cannot snapshot 't9/leg3': missing '@' delimiter in snapshot name");
  expect(zfsCreate(pool, "t9/leg3")).toBe("cannot create 't9/leg3': dataset already exists");
  expect(zfsCreate(pool, "t9/no/such")).toBe("cannot create 't9/no/such': parent does not exist");
  expect(zfsDestroy(pool, "t9/nope")).toBe("cannot open 't9/nope': dataset does not exist");
  expect(zfsCreate(pool, "t9/a b%")).toBe("cannot create 't9/a b%': invalid character % in name");
  expect(zfsCreate(pool, "t9/a$")).toBe("cannot create 't9/a$': invalid character '$' in name");
  expect(zfsSnapshot(pool, "t9/leg3@x")).toBe("cannot create snapshot 't9/leg3@x': dataset already exists");
  expect(zfsPromote(pool, "t9/leg3")).toBe("cannot promote 't9/leg3': not a cloned filesystem");
  expect(zfsSet(pool, "recordsize", "100", "t9/leg3")).toContain("must be power of 2");
  expect(zfsRename(pool, "t9/leg3", "t9/leg3/below")).toContain("cannot be a descendant");
  expect(zfsSnapshot(pool, "t9/leg3@y")).toBeUndefined();
  expect(zfsRollback(pool, "t9/leg3@x")).toContain("more recent snapshots or bookmarks exist");
  expect(zfsClone(pool, "t9/leg3@x", "t9/c")).toBeUndefined();
  expect(zfsDestroy(pool, "t9/leg3@x")).toBe(
    "cannot destroy 't9/leg3@x': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\nt9/c",
  );
});

test("a snapshot of all below is taken of all or of none", () => {
  const pool = new ZfsLab().create({ name: "t9" });
  for (const name of ["t9/a", "t9/a/b", "t9/c"]) expect(zfsCreate(pool, name)).toBeUndefined();
  expect(zfsSnapshot(pool, "t9/a@x", { recursive: true })).toBeUndefined();
  const named = (): string[][] => zfsList(pool, { type: "snapshot", columns: ["name"] });
  expect(named()).toEqual([["t9/a@x"], ["t9/a/b@x"]]);
  expect(zfsSnapshot(pool, "t9@x", { recursive: true })).toBe("cannot create snapshot 't9/a@x': dataset already exists");
  expect(named()).toHaveLength(2);
  checkPool(pool);
});

test("the old zfs does not quote the character that is wrong", () => {
  const pool = new ZfsLab().create({ name: "t9", profile: ZFS_V23 });
  expect(zfsCreate(pool, "t9/a b%")).toBe("cannot create 't9/a b%': invalid character % in name");
});

test("a mounted layer is busy", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a", { mountpoint: "legacy" });
  const mounted = lab.mount(pool, "tank/a");
  expect(zfsDestroy(pool, "tank/a", { recursive: true })).toBe("cannot destroy 'tank/a': dataset is busy");
  mounted.unmount();
  expect(zfsDestroy(pool, "tank/a", { recursive: true })).toBeUndefined();
});

test("the columns of zfs list -o space add up to what is used", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a");
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  files.write("/f", Content.pattern(1, MIB(3)));
  zfsSnapshot(pool, "tank/a@s");
  files.unlink("/f");
  pool.syncIfDirty();
  for (const row of zfsList(pool, { columns: ["space"] })) {
    const [, , used, snapshots, dataset, reservation, children] = row.map(Number);
    expect(Number(snapshots) + Number(dataset) + Number(reservation) + Number(children)).toBe(used);
  }
  expect(zfsList(pool).map(([name]) => name)).toEqual(["tank", "tank/a"]);
});

test("properties come from where they are set, and children inherit them", () => {
  const pool = new ZfsLab().create();
  zfsCreate(pool, "tank/a", { compression: "lz4", mountpoint: "/srv" });
  zfsCreate(pool, "tank/a/b", { quota: "10M" });
  expect(zfsGet(pool, ["compression", "mountpoint", "quota", "recordsize"], "tank/a/b")).toEqual([
    ["tank/a/b", "compression", "lz4", "inherited from tank/a"],
    ["tank/a/b", "mountpoint", "/srv/b", "inherited from tank/a"],
    ["tank/a/b", "quota", "10485760", "local"],
    ["tank/a/b", "recordsize", "131072", "default"],
  ]);
});

test("a refreservation is taken from the pool at once, filled by what the head has alone, and taken again by a snapshot", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a", { refreservation: "10M" });
  const files = new Files(lab, lab.mount(pool, "tank/a"));
  const space = (): number[] => {
    pool.syncIfDirty();
    checkPool(pool);
    const columns = ["name", "used", "usedbydataset", "usedbyrefreservation", "usedbysnapshots"];
    const row = zfsList(pool, { columns }).find(([name]) => name === "tank/a") ?? [];
    return row.slice(1).map(Number);
  };
  expect(space()[0]).toBe(MIB(10));
  files.write("/f", Content.pattern(1, MIB(4)));
  const [used = 0, own = 0, promised = 0] = space();
  expect([used, promised]).toEqual([MIB(10), MIB(10) - own]);
  expect(own).toBeGreaterThan(MIB(4));
  zfsSnapshot(pool, "tank/a@s");
  // Nothing is the head's alone now: all is promised anew.
  expect(space()).toEqual([own + MIB(10), own, MIB(10), 0]);
  expect(zfsDestroy(pool, "tank/a@s")).toBeUndefined();
  expect(space()[0]).toBe(MIB(10));
  expect(zfsSet(pool, "refreservation", "10T", "tank/a")).toBe(
    "cannot set property for 'tank/a': size is greater than available space",
  );
  expect(zfsSet(pool, "refreservation", "none", "tank/a")).toBeUndefined();
  expect(space()[2]).toBe(0);
});

test("what is promised to one filesystem, others cannot fill", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a", { refreservation: "30M" });
  zfsCreate(pool, "tank/b");
  const a = new Files(lab, lab.mount(pool, "tank/a"));
  const b = new Files(lab, lab.mount(pool, "tank/b"));
  let error: unknown;
  for (let n = 0; n < 400 && !isErrno(error); n++) error = b.write("/f", Content.pattern(n, MIB(1)), n * MIB(1));
  expect(error).toBe(ENOSPC);
  // What a group may come to take at worst must have room too.
  for (let n = 0; n < 120; n++) {
    expect(a.write("/f", Content.pattern(n, KIB(128)), n * KIB(128))).toBe(KIB(128));
    pool.syncIfDirty();
  }
  expect(zfsSnapshot(pool, "tank/a@s")).toBe("cannot create snapshot 'tank/a@s': out of space");
  pool.syncIfDirty();
  checkPool(pool);
});

// dsl_dataset_promote_check and dsl_dir_rename_check, by dsl_dir_transfer_possible: only limits that the space is not under already matter.
test("a clone is promoted only as far as its quota has room for what it gets", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/a");
  new Files(lab, lab.mount(pool, "tank/a")).write("/f", Content.pattern(1, MIB(8)));
  pool.syncIfDirty();
  zfsSnapshot(pool, "tank/a@s");
  zfsClone(pool, "tank/a@s", "tank/c", { quota: "4M" });
  expect(zfsPromote(pool, "tank/c")).toBe("cannot promote 'tank/c': out of space");
  expect(zfsSet(pool, "quota", "10M", "tank/c")).toBeUndefined();
  expect(zfsPromote(pool, "tank/c")).toBeUndefined();
  checkPool(pool);
});

test("a filesystem moves below another one only if that one's quota has room for it, its reservation included", () => {
  const lab = new ZfsLab();
  const pool = lab.create();
  zfsCreate(pool, "tank/small", { quota: "4M" });
  zfsCreate(pool, "tank/a");
  new Files(lab, lab.mount(pool, "tank/a")).write("/f", Content.pattern(1, MIB(1)));
  pool.syncIfDirty();
  expect(zfsSet(pool, "reservation", "6M", "tank/a")).toBeUndefined();
  expect(zfsRename(pool, "tank/a", "tank/small/a")).toBe("cannot rename 'tank/a': out of space");
  expect(zfsSet(pool, "reservation", "2M", "tank/a")).toBeUndefined();
  expect(zfsRename(pool, "tank/a", "tank/small/a")).toBeUndefined();
  // Within a quota nothing is added to it.
  zfsCreate(pool, "tank/small/b");
  expect(zfsRename(pool, "tank/small/a", "tank/small/b/a")).toBeUndefined();
  checkPool(pool);
});

test("a reservation that a dataset is made with counts in what is above, as one that it is given later", () => {
  const lab = new ZfsLab();
  const figures = (make: (pool: Pool) => void): number => {
    const pool = lab.create();
    zfsCreate(pool, "tank/s");
    zfsSnapshot(pool, "tank/s@x");
    make(pool);
    checkPool(pool);
    // Another group makes the meta object set larger.
    return pool.root.usage.children - pool.meta.allocated;
  };
  const reservation = "20M";
  const later =
    (path: string) =>
    (pool: Pool): void => {
      expect(zfsSet(pool, "reservation", reservation, path)).toBeUndefined();
    };
  const created = figures((pool) => zfsCreate(pool, "tank/a", { reservation }));
  const cloned = figures((pool) => zfsClone(pool, "tank/s@x", "tank/a", { reservation }));
  expect(created).toEqual(figures((pool) => [zfsCreate(pool, "tank/a"), later("tank/a")(pool)]));
  expect(cloned).toEqual(figures((pool) => [zfsClone(pool, "tank/s@x", "tank/a"), later("tank/a")(pool)]));
});

test("zfs list knows columns by their short names", () => {
  const pool = new ZfsLab().create();
  const short = ["avail", "refer", "lused", "lrefer", "usedsnap", "usedds", "usedchild"];
  const long = [
    "available",
    "referenced",
    "logicalused",
    "logicalreferenced",
    "usedbysnapshots",
    "usedbydataset",
    "usedbychildren",
  ];
  const row = (columns: readonly string[]): unknown => zfsList(pool, { columns, type: "filesystem" })[0];
  expect(row(short)).toEqual(row(long));
  expect(row(long)).not.toContain("-");
});
