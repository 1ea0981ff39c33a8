/**
 * compressratio and refcompressratio: bytes before compression over bytes after it, one copy counted, metadata the same before and after
 * (dsl_dir_get_compressratio, dsl_get_refratio, BP_GET_PSIZE, BP_GET_UCSIZE; OpenZFS 2.1.11).
 */
import { beforeEach, describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { findDataset, zfsClone, zfsCreate, zfsPromote, zfsSnapshot } from "../../sim/cow/zfs/commands.ts";
import { zfsDestroy } from "../../sim/cow/zfs/destroy.ts";
import { columnOf } from "../../sim/cow/zfs/listing.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { zfsRollback } from "../../sim/cow/zfs/rollback.ts";
import { Files, must, sentences, ZfsLab } from "./zfs-lab.ts";

let lab: ZfsLab;
let disk: Disk;
let pool: Pool;

beforeEach(() => {
  lab = new ZfsLab();
  disk = new Disk({ size: MIB(256) });
  pool = lab.create({ tops: [[disk]] });
});

/** Half of it zeros: each record is half as long when compressed. */
const HALVES: Content = Content.concat(
  Array.from({ length: 8 }, (_, n) => Content.concat([Content.pattern(n + 1, 65_536), Content.zeros(65_536)])),
);

function create(name: string, properties: Readonly<Record<string, string>> = {}): Files {
  expect(zfsCreate(pool, name, { compression: "lz4", ...properties })).toBeUndefined();
  return new Files(lab, lab.mount(pool, name));
}

function column(name: string, wanted: string): string {
  pool.syncIfDirty();
  checkPool(pool);
  const dataset = findDataset(pool, name);
  return dataset === undefined ? "no such dataset" : columnOf(pool, dataset, wanted);
}

const ratios = (name: string): readonly string[] => [column(name, "compressratio"), column(name, "refcompressratio")];

describe("a ratio", () => {
  test("is 1.00 of what is not compressed, as of nothing", () => {
    const plain = create("tank/plain", { compression: "off" });
    expect(ratios("tank/plain")).toEqual(["1.00", "1.00"]);
    plain.write("/f", HALVES);
    expect(ratios("tank/plain")).toEqual(["1.00", "1.00"]);
  });

  test("counts one copy, however many are kept", () => {
    create("tank/one").write("/f", HALVES);
    create("tank/three", { copies: "3" }).write("/f", HALVES);
    expect(ratios("tank/one")).toEqual(["1.94", "1.94"]);
    expect(ratios("tank/three")).toEqual(ratios("tank/one"));
  });

  test("counts bytes that lie in their pointer before compression alone, for as long as they are there", () => {
    const files = create("tank/a");
    files.make("/f");
    const before = Number(column("tank/a", "logicalreferenced"));
    const ratio = column("tank/a", "refcompressratio");
    files.write("/f", sentences(4096));
    expect(Number(column("tank/a", "logicalreferenced")) - before).toBe(4096);
    expect(column("tank/a", "refcompressratio") > ratio).toBe(true);
    files.unlink("/f");
    files.make("/f");
    expect([column("tank/a", "logicalreferenced"), column("tank/a", "refcompressratio")]).toEqual([String(before), ratio]);
  });

  test("of a filesystem counts what its snapshots hold, but refcompressratio what it refers to itself", () => {
    const files = create("tank/a");
    files.write("/f", HALVES);
    expect(zfsSnapshot(pool, "tank/a@s")).toBeUndefined();
    files.unlink("/f");
    expect(ratios("tank/a")).toEqual(["1.93", "1.00"]);
    expect(ratios("tank/a@s")).toEqual(["1.94", "1.94"]);
    expect(zfsDestroy(pool, "tank/a@s")).toBeUndefined();
    expect(ratios("tank/a")).toEqual(["1.00", "1.00"]);
  });

  test("of a parent counts its children, and at the top the pool's own tables", () => {
    create("tank/p", { compression: "off" });
    create("tank/p/c").write("/f", HALVES);
    expect(ratios("tank/p")).toEqual(["1.92", "1.00"]);
    const [all] = ratios("tank");
    expect([Number(all) > 1.2, Number(all) < 1.92]).toEqual([true, true]);
  });

  test("moves with what a promotion moves, and comes back with a rollback and an import", () => {
    const files = create("tank/a");
    files.write("/f", HALVES);
    expect(zfsSnapshot(pool, "tank/a@s")).toBeUndefined();
    expect(zfsClone(pool, "tank/a@s", "tank/b")).toBeUndefined();
    files.unlink("/f");
    expect(zfsPromote(pool, "tank/b")).toBeUndefined();
    expect(ratios("tank/b@s")).toEqual(["1.94", "1.94"]);
    expect([column("tank/a", "compressratio"), column("tank/b", "compressratio")]).toEqual(["1.00", "1.94"]);
    new Files(lab, lab.mount(pool, "tank/b")).write("/g", Content.pattern(99, MIB(1)));
    expect(column("tank/b", "refcompressratio")).toBe("1.32");
    expect(zfsRollback(pool, "tank/b@s")).toBeUndefined();
    expect(ratios("tank/b")).toEqual(["1.94", "1.94"]);
    const before = ["tank", "tank/a", "tank/b", "tank/b@s"].flatMap(ratios);
    expect(pool.export()).toBeUndefined();
    pool = must(lab.import([disk]));
    expect(["tank", "tank/a", "tank/b", "tank/b@s"].flatMap(ratios)).toEqual(before);
  });
});
