/**
 * Pool version 23: the bytes that zfs-fuse counted after each operation (spec/block-cow.md §3.4), ashift 12 and 9.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { GIB, KIB, MIB, nanoseconds } from "../../sim/core/units.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSet, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import type { Directory } from "../../sim/cow/zfs/dsl.ts";
import { columnOf, zpoolList } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { ZFS_V23 } from "../../sim/cow/zfs/profile.ts";
import { newAttributes, S_IFLNK } from "../../sim/vfs/filesystem.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

class V23 {
  readonly lab: ZfsLab = new ZfsLab();
  readonly pool: Pool;
  seed = 1;

  constructor(ashift: number, size: number) {
    this.pool = this.lab.create({ profile: ZFS_V23, ashift, tops: [[new Disk({ size })]] });
  }

  files(name: string): Files {
    return new Files(this.lab, this.lab.mount(this.pool, name));
  }

  create(name: string): Files {
    expect(zfsCreate(this.pool, name)).toBeUndefined();
    return this.files(name);
  }

  write(files: Files, path: string, length: number, offset = 0): void {
    // Files were made one after the other, each at another time.
    this.lab.clock.spend(nanoseconds(1_237_000_000));
    files.write(path, Content.pattern(this.seed++, length), offset);
  }

  figure(name: string, column: string): number {
    this.pool.syncIfDirty();
    const dataset = findDataset(this.pool, name);
    return dataset === undefined ? -1 : Number(columnOf(this.pool, dataset, column));
  }
}

describe("ashift 12, no compression", () => {
  test("each operation costs what was counted", () => {
    const v23 = new V23(12, GIB(2));
    const a = v23.create("tank/a");
    const used = (): number => v23.figure("tank/a", "used");
    expect(used()).toBe(114_688);
    a.make("/e");
    expect(used()).toBe(114_688);
    const sizes: readonly (readonly [string, number, number])[] = [
      ["f1", 1, 118_784],
      ["f4k", 4096, 122_880],
      ["f4k1", 4097, 131_072],
      ["f64k", 65_536, 196_608],
      ["f128k", 131_072, 327_680],
      ["f128k1", 131_073, 598_016],
      ["f1m1", 1_048_577, 1_785_856],
    ];
    for (const [name, size, sum] of sizes) {
      v23.write(a, `/${name}`, size);
      expect(used(), name).toBe(sum);
    }
    a.mkdir("/d");
    expect(used()).toBe(1_794_048);
    must(a.fs.create(a.fs.root, a.at("/sl").name, { mode: S_IFLNK | 0o777, uid: 0, gid: 0, rdev: 0, target: "tgt" }));
    expect(used()).toBe(1_794_048);
    a.write("/zeros", Content.zeros(MIB(1)));
    expect(used()).toBe(2_850_816);
    a.fs.setattr(a.make("/sparse"), { size: GIB(1) });
    expect(used()).toBe(2_850_816);
    expect(blocksOf(a)).toEqual({
      d: 17,
      e: 1,
      f1: 9,
      f128k: 257,
      f128k1: 529,
      f1m1: 2321,
      f4k: 9,
      f4k1: 17,
      sl: 1,
      sparse: 1,
      zeros: 2065,
    });
    a.unlink("/f1m1");
    expect(used()).toBe(1_662_976);
    a.fs.setattr(must(a.find("/f128k")), { size: 65_536 });
    expect(used()).toBe(1_662_976);
  });

  test("snapshots and clones share 256 MiB until they are written or removed", () => {
    const v23 = new V23(12, GIB(2));
    const a = v23.create("tank/a");
    v23.write(a, "/small", 1_548_288 - 131_072);
    const before = v23.figure("tank/a", "used");
    v23.write(a, "/big", MIB(256));
    const big = 268_705_792;
    const full = v23.figure("tank/a", "used");
    expect(full - before).toBe(big);
    zfsSnapshot(v23.pool, "tank/a@s1");
    expect(v23.figure("tank/a@s1", "used")).toBe(0);
    v23.write(a, "/big", 1, 1000);
    expect(v23.figure("tank/a", "used")).toBe(full + 237_568);
    expect(v23.figure("tank/a@s1", "used")).toBe(237_568);
    zfsSnapshot(v23.pool, "tank/a@s2");
    v23.write(a, "/big", 1, 1000);
    expect(["tank/a@s1", "tank/a@s2"].map((name) => v23.figure(name, "used"))).toEqual([237_568, 237_568]);
    expect(v23.figure("tank/a", "usedbysnapshots")).toBe(475_136);
    zfsClone(v23.pool, "tank/a@s2", "tank/c");
    expect([v23.figure("tank/c", "used"), v23.figure("tank/c", "referenced")]).toEqual([0, full]);
    const c = v23.files("tank/c");
    v23.write(c, "/big", 1, 1000);
    expect(v23.figure("tank/c", "used")).toBe(237_568);
    c.unlink("/big");
    expect(v23.figure("tank/c", "used")).toBe(90_112);
    a.unlink("/big");
    expect(["tank/a@s1", "tank/a@s2"].map((name) => v23.figure(name, "used"))).toEqual([237_568, 237_568]);
    expect(v23.figure("tank/a", "usedbysnapshots")).toBe(big + 327_680);
    expect(v23.figure("tank/a", "used")).toBe(full + 475_136 - 147_456);
    expect(zfsPromote(v23.pool, "tank/c")).toBeUndefined();
    expect(v23.figure("tank/a", "used")).toBe(KIB(88));
    expect(v23.figure("tank/a", "usedbysnapshots")).toBe(0);
    expect(["tank/c@s1", "tank/c@s2"].map((name) => v23.figure(name, "used"))).toEqual([237_568, 237_568]);
    expect(v23.figure("tank/c", "used")).toBe(v23.figure("tank/c", "usedbydataset") + v23.figure("tank/c", "usedbysnapshots"));
  });
});

function blocksOf(files: Files): Record<string, number> {
  const found: Record<string, number> = {};
  const of = newAttributes();
  for (const name of ["d", "e", "f1", "f128k", "f128k1", "f1m1", "f4k", "f4k1", "sl", "sparse", "zeros"]) {
    files.fs.getattr(must(files.find(`/${name}`)), of);
    found[name] = of.blocks;
  }
  return found;
}

describe("ashift 9", () => {
  test("each file costs what was counted", () => {
    const v23 = new V23(9, GIB(1));
    const figures = zpoolList(v23.pool);
    expect(figures.size).toBe(MIB(1016));
    expect(v23.figure("tank", "available")).toBe(MIB(984) - v23.figure("tank", "used"));
    const a = v23.create("tank/a");
    expect(v23.figure("tank/a", "used")).toBe(21_504);
    const sizes: readonly (readonly [number, number])[] = [
      [1, 1536],
      [4096, 4096],
      [4097, 4608],
      [65_536, 65_536],
      [131_073, 264_192],
      [1_048_577, 1_182_720],
    ];
    for (const [size, delta] of sizes) {
      const before = v23.figure("tank/a", "used");
      v23.write(a, `/f${size}`, size);
      expect(v23.figure("tank/a", "used") - before, String(size)).toBe(delta);
    }
  });

  test("a record size of 4 KiB needs an indirect block for every 128 records", () => {
    const v23 = new V23(9, GIB(1));
    // The pool held other files before: offsets are part of what is compressed.
    v23.write(v23.create("tank/c"), "/other", MIB(6));
    v23.create("tank/r4").fs.unmount();
    zfsSet(v23.pool, "recordsize", "4k", "tank/r4");
    const files = v23.files("tank/r4");
    v23.write(files, "/f", 1_048_577);
    expect(v23.figure("tank/r4", "used")).toBe(1_101_824);
    const of = newAttributes();
    files.fs.getattr(must(files.find("/f")), of);
    expect(of.blocks).toBe(2109);
  });

  test("lzjb makes holes of zeros and keeps what saves an eighth", () => {
    const v23 = new V23(9, GIB(1));
    zfsCreate(v23.pool, "tank/c", { compression: "lzjb" });
    const c = v23.files("tank/c");
    c.write("/z", Content.zeros(MIB(1)));
    v23.pool.syncIfDirty();
    const blocks = (name: string): number => {
      v23.pool.syncIfDirty();
      const of = newAttributes();
      c.fs.getattr(must(c.find(name)), of);
      return of.blocks;
    };
    expect(blocks("/z")).toBe(1);
    v23.write(c, "/r", MIB(1));
    expect(blocks("/r")).toBe(2053);
    c.write("/y", Content.repeat(new TextEncoder().encode("abcdefgh\n"), MIB(1)));
    expect(blocks("/y")).toBe(77);
    const tail = Content.concat([Content.pattern(9, 114_688), Content.zeros(16_384)]);
    c.write("/m", Content.concat(Array.from({ length: 8 }, () => tail)));
    expect(blocks("/m")).toBe(2053);
    const less = Content.concat([Content.pattern(11, 131_072 - 14_000), Content.zeros(14_000)]);
    c.write("/m2", Content.concat(Array.from({ length: 8 }, () => less)));
    expect(blocks("/m2")).toBe(2053);
    v23.write(c, "/one", 1);
    expect(blocks("/one")).toBe(2);
    v23.pool.syncIfDirty();
    const { head } = v23.pool.root.children.get("c") as Directory;
    expect([head.referenced, columnOf(v23.pool, head, "compressratio")]).toEqual([3_213_824, "1.31"]);
  });

  test("two equal files count twice in the dataset and lie in the pool once", () => {
    const v23 = new V23(9, GIB(1));
    zfsCreate(v23.pool, "tank/d", { dedup: "on" });
    const d = v23.files("tank/d");
    const before = zpoolList(v23.pool).allocated;
    d.write("/one", Content.pattern(5, MIB(1)));
    d.write("/two", Content.pattern(5, MIB(1)));
    expect(Math.abs(v23.figure("tank/d", "used") - 2_123_776)).toBeLessThanOrEqual(1024);
    const figures = zpoolList(v23.pool);
    expect(figures.dedupRatio).toBe("2.00");
    expect(figures.allocated - before).toBeLessThan(1_100_000 * 1.05);
  });

  test("a quota stops writing when what is on the devices has reached it", () => {
    const v23 = new V23(9, GIB(1));
    zfsCreate(v23.pool, "tank/q", { quota: "10M" });
    const q = v23.files("tank/q");
    expect(q.write("/f", Content.pattern(1, MIB(16)))).toBe(10_485_760);
    expect(v23.figure("tank/q", "available")).toBe(0);
    expect(q.write("/f", Content.pattern(1, 1), MIB(10))).toMatchObject({ code: "EDQUOT" });
  });

  test("a reservation counts in the parent's space", () => {
    const v23 = new V23(9, GIB(1));
    zfsCreate(v23.pool, "tank/rs");
    const before = v23.figure("tank", "usedbychildren");
    zfsSet(v23.pool, "reservation", "100M", "tank/rs");
    expect(Math.abs(v23.figure("tank", "usedbychildren") - before - (MIB(100) - 21_504))).toBeLessThan(6000);
    expect(v23.figure("tank/rs", "used")).toBe(21_504);
  });

  test("a chain of layers as Docker makes them costs what was counted", () => {
    const v23 = new V23(9, GIB(1));
    const l0 = v23.create("tank/L0");
    v23.write(l0, "/big", 300_000);
    l0.write("/four", Content.text("four"));
    expect(v23.figure("tank/L0", "used")).toBe(418_304);
    zfsSnapshot(v23.pool, "tank/L0@1");
    zfsClone(v23.pool, "tank/L0@1", "tank/L1", { mountpoint: "legacy" });
    expect(zfsDestroy(v23.pool, "tank/L0@1", { defer: true })).toBeUndefined();
    expect([v23.figure("tank/L1", "used"), v23.figure("tank/L1", "referenced")]).toEqual([0, 418_304]);
    const l1 = v23.files("tank/L1");
    v23.write(l1, "/big", 1, 5);
    expect(v23.figure("tank/L1", "used")).toBe(151_552);
    v23.write(l1, "/four", 500, 4);
    expect(v23.figure("tank/L1", "used")).toBe(152_064);
    l1.mkdir("/d");
    expect(v23.figure("tank/L1", "used")).toBe(154_112);
    l1.unlink("/big");
    expect([v23.figure("tank/L1", "used"), v23.figure("tank/L1", "referenced")]).toEqual([20_992, 24_064]);
  });
});
