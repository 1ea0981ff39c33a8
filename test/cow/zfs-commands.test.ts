/**
 * zfs(8): what it lists, and how it words what is wrong.
 */
import { expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { zfsClone, zfsCreate, zfsPromote, zfsRename, zfsRollback, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { SPACE_COLUMNS, zfsGet, zfsList } from "../../sim/cow/zfs/listing.ts";
import { ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
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
  expect(zfsCreate(pool, "t9/a b%")).toBe("cannot create 't9/a b%': invalid character '%' in name");
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
  for (const row of zfsList(pool, { columns: SPACE_COLUMNS })) {
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
