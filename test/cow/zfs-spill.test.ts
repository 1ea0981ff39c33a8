/**
 * What lies in a bonus and what in a spill block, as st_blocks told on a pool of OpenZFS 2.1.11 with sectors of 512 bytes: two copies of a spill block, and one
 * sector for the dnode (module/zfs/sa.c).
 */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool, importPool } from "../../sim/cow/zfs/assemble.ts";
import { zfsCreate, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { zfsGet } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { newAttributes, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

interface Machine {
  readonly lab: ZfsLab;
  readonly disk: Disk;
  readonly pool: Pool;
  readonly files: Files;
}

function machine(): Machine {
  const lab = new ZfsLab();
  const disk = new Disk({ size: MIB(128) });
  const pool = lab.create({ tops: [[disk]] });
  expect(zfsCreate(pool, "tank/a", { xattr: "sa" })).toBeUndefined();
  return { lab, disk, pool, files: new Files(lab, lab.mount(pool, "tank/a")) };
}

/** st_blocks when everything is written. */
function blocks({ files, pool }: Machine, path: string): number {
  pool.syncIfDirty();
  files.fs.check();
  checkPool(pool);
  const into = newAttributes();
  expect(files.fs.getattr(must(files.find(path)), into)).toBeUndefined();
  return into.blocks;
}

function set({ files }: Machine, name: string, length: number, seed: number): void {
  const value = Content.pattern(seed, length).toBytes();
  expect(files.fs.setxattr(must(files.find("/f")), name, value, 0)).toBeUndefined();
}

test.each([
  [88, 1],
  [89, 3],
  [456, 3],
  [457, 5],
  [1000, 7],
  [32_768, 131],
])("a value of %i bytes under a name of six takes %i sectors", (length, sectors) => {
  const on = machine();
  on.files.make("/f");
  set(on, "user.k", length, 1);
  expect(blocks(on, "/f")).toBe(sectors);
});

test.each([
  [144, 1],
  [145, 3],
  [500, 3],
  [600, 5],
])("a link with a target of %i characters takes %i sectors, and reads back", (length, sectors) => {
  const on = machine();
  const target = [...Content.pattern(7, length).toBytes()].map((byte) => String.fromCharCode(48 + (byte % 64))).join("");
  const { directory, name } = on.files.at("/l");
  must(on.files.fs.create(directory, name, { mode: S_IFLNK | 0o777, uid: 0, gid: 0, rdev: 0, target }));
  expect(blocks(on, "/l")).toBe(sectors);
  on.files.fs.unmount();
  const again = new Files(on.lab, on.lab.mount(on.pool, "tank/a"));
  expect(again.fs.readlink(must(again.find("/l")))).toBe(target);
});

test("a spill block grows and never becomes smaller while there is one: what it held stays in it", () => {
  const on = machine();
  on.files.make("/f");
  const inode = must(on.files.find("/f"));
  const steps: readonly (readonly [() => unknown, number])[] = [
    [() => set(on, "user.k", 200, 1), 3],
    [() => set(on, "user.m", 30_000, 2), 121],
    [() => on.files.fs.removexattr(inode, "user.m"), 121],
    [() => set(on, "user.k", 300, 3), 121],
    [() => set(on, "user.m", 1000, 4), 121],
    [() => on.files.fs.removexattr(inode, "user.k"), 121],
    [() => set(on, "user.m", 20, 5), 1],
    [() => set(on, "user.m", 2000, 6), 11],
    [() => set(on, "user.n", 2000, 7), 17],
    [() => on.files.fs.removexattr(inode, "user.n"), 17],
  ];
  for (const [index, [act, sectors]] of steps.entries()) {
    act();
    expect(blocks(on, "/f"), `step ${index}`).toBe(sectors);
  }
  expect(on.files.fs.listxattr(inode)).toEqual(["user.m"]);
});

test("a snapshot keeps the spill block and the hidden files that there were, a rollback gives them back, and an import finds them", () => {
  const on = machine();
  const { files, lab, pool, disk } = on;
  files.make("/f");
  const inode = must(files.find("/f"));
  set(on, "user.k", 3000, 1);
  set(on, "user.large", 40_000, 2);
  const seen = (of: Files): (string | undefined)[] =>
    ["user.k", "user.large"].map((name) => Content.literal(must(of.fs.getxattr(must(of.find("/f")), name))).sha256());
  const wanted = seen(files);
  zfsSnapshot(pool, "tank/a@s");
  set(on, "user.k", 3000, 3);
  set(on, "user.large", 40_000, 4);
  pool.syncIfDirty();
  expect(seen(files)).not.toEqual(wanted);
  expect(seen(new Files(lab, lab.mount(pool, "tank/a@s")))).toEqual(wanted);
  lab.mount(pool, "tank/a@s").unmount();
  expect(zfsRollback(pool, "tank/a@s")).toBeUndefined();
  expect(seen(files)).toEqual(wanted);
  checkPool(pool);
  files.fs.unmount();
  expect(pool.export()).toBeUndefined();
  const other = new ZfsLab();
  const found = must(importPool({ clock: other.clock, memory: MIB(64) }, [disk]));
  const again = new Files(other, other.mount(found, "tank/a"));
  expect(seen(again)).toEqual(wanted);
  expect(zfsDestroy(found, "tank/a@s")).toBeUndefined();
  again.unlink("/f");
  found.syncIfDirty();
  again.fs.check();
  checkPool(found);
  expect(inode).toBeGreaterThan(0);
  expect(Number(zfsGet(found, ["referenced"], "tank/a")?.[0]?.[2])).toBeLessThan(30_000);
});
