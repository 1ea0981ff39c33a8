/**
 * Blocks for which no place is long enough: gangs (module/zfs/zio.c, zio_write_gang_block). How much one takes was recorded on OpenZFS 2.1.11 with
 * metaslab_force_ganging: st_blocks of a file of 131,072 bytes was 257, 513 and 769 with one copy to three, and 259, 516 and 772 in pieces.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes, KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import { type BlockPointer, type Dva, placesOf } from "../../sim/cow/zfs/block-pointer.ts";
import { piecesOf } from "../../sim/cow/zfs/gang.ts";
import { visitDatasets } from "../../sim/cow/zfs/operations.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import { OPENZFS_2_1 } from "../../sim/cow/zfs/profile.ts";
import { PoolSpace } from "../../sim/cow/zfs/space.ts";
import { zpoolAttach, zpoolDetach, zpoolScrub } from "../../sim/cow/zfs/vdev-commands.ts";
import { O_RDONLY, S_IFREG } from "../../sim/vfs/filesystem.ts";
import { runs } from "../runs.ts";
import { Files, must, sentences, ZfsLab } from "./zfs-lab.ts";

const SECTOR = 512;
/** Where the space of a pool begins on a disk. */
const FRONT = MIB(4);

/** Three metaslabs of 1 MiB in which every other run of `hole` bytes is taken. */
function holed(hole: number): PoolSpace {
  const space = new PoolSpace([{ size: MIB(3), metaslabShift: 20, ashift: 9 }]);
  for (let offset = 0; offset < MIB(3); offset += 2 * hole) space.claim({ vdev: 0, offset, size: hole });
  return space;
}

const sizeOf = (dvas: readonly Dva[]): number => dvas.reduce((sum, { size }) => sum + size, 0);

describe("a gang", () => {
  test.each([
    [1, 259 - 257],
    [2, 516 - 513],
    [3, 772 - 769],
  ])("of %i copies has %i headers, and shares its bytes among three parts as evenly as sectors go", (copies, headers) => {
    const space = holed(KIB(64));
    const before = space.allocated;
    const dvas = space.allocateGang(KIB(128), copies) ?? [];
    expect(dvas).toHaveLength(headers);
    expect(sizeOf(dvas)).toBe(copies * KIB(128) + headers * SECTOR);
    expect(space.allocated - before).toBe(sizeOf(dvas));
    for (const dva of dvas.slice(0, copies)) {
      expect(dva.gang?.parts.map(({ from, length }) => [from, length])).toEqual([
        [0, 44_032],
        [44_032, 43_520],
        [87_552, 43_520],
      ]);
    }
    expect(dvas.slice(copies).map(({ size, gang }) => [size, gang?.parts])).toEqual(
      new Array(headers - copies).fill([SECTOR, []]),
    );
    space.check();
  });

  test("has gangs as parts where no place is long enough for a third either", () => {
    const space = holed(KIB(8));
    const [dva] = space.allocateGang(KIB(128), 1) ?? [];
    const pieces = piecesOf(dva as Dva, KIB(128)).filter(({ from }) => from >= 0);
    let at = 0;
    for (const { from, length, dva: place } of pieces) {
      expect([from, place.size <= KIB(8), place.gang]).toEqual([at, true, undefined]);
      at += length;
    }
    expect(at).toBe(KIB(128));
    // Two levels of nine parts are 15 KiB each; three of 27 are 5.
    expect(pieces).toHaveLength(27);
  });

  test("leaves nothing taken where its last part has no room", () => {
    const space = holed(KIB(8));
    const before = space.allocated;
    expect(space.allocateGang(MIB(2), 1)).toBeUndefined();
    expect(space.allocated).toBe(before);
    space.check();
  });

  test("is free as a whole, two groups after its block went", () => {
    const space = holed(KIB(8));
    const before = space.allocated;
    const [one = [], other = []] = [1, 2].map(() => space.allocateGang(KIB(64), 1));
    for (const dva of one) space.free(dva, 4, true);
    for (const dva of other) space.free(dva, 4, false);
    expect(space.deferredBytes).toBe(sizeOf(other));
    space.groupDone(6);
    expect([space.allocated, space.deferredBytes]).toEqual([before, 0]);
    space.check();
  });

  test("fits whenever there are sectors enough, in whatever holes", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2047), { maxLength: 600 }), fc.integer({ min: 2, max: 256 }), (taken, sectors) => {
        const space = new PoolSpace([{ size: MIB(1), metaslabShift: 20, ashift: 9 }]);
        const used = new Set(taken);
        for (const at of used) space.claim({ vdev: 0, offset: at * SECTOR, size: SECTOR });
        const dvas = space.allocateGang(sectors * SECTOR, 1);
        if (dvas === undefined) return;
        const own = dvas.flatMap((dva) => [...placesOf(dva)]);
        const places = new Set(
          own.flatMap(({ offset, size }) => Array.from({ length: size / SECTOR }, (_, at) => offset / SECTOR + at)),
        );
        expect(places.size).toBe(sizeOf(dvas) / SECTOR);
        for (const at of places) expect(used.has(at)).toBe(false);
        space.check();
      }),
      runs(100),
    );
  });
});

/** A pool whose space is full but for holes of 8 KiB. It keeps little for itself, so that there is no place that is longer. */
function holedPool(tops: Disk[][]): { pool: Pool; files: Files; filling: ReadonlySet<number> } {
  const lab = new ZfsLab();
  const pool = lab.create({ tops, profile: { ...OPENZFS_2_1, slop: () => KIB(1280) } });
  const files = new Files(lab, lab.mount(pool, "tank"));
  files.write("/whole", Content.pattern(7, Math.floor(pool.available(pool.root) / KIB(128)) * KIB(128) - MIB(4)));
  let count = 0;
  for (let written: number | Errno = 0; !isErrno(written); count++) {
    // Once nearly full, each write waits for the group before it.
    const made = files.fs.create(files.fs.root, lab.names.intern(`${count}`), NEW_FILE);
    written = isErrno(made) ? made : files.write(`/${count}`, Content.pattern(count, KIB(8)));
  }
  for (let file = 0; file < count; file += 2) files.unlink(`/${file}`);
  for (let group = 0; group < 4; group++) must(pool.syncGroup());
  return { pool, files, filling: new Set(gangs(pool).map(({ dvas }) => dvas[0]?.offset ?? 0)) };
}

/** Blocks in pieces. @param but - where those begin that are not meant */
function gangs(pool: Pool, but: ReadonlySet<number> = new Set()): BlockPointer[] {
  const found: BlockPointer[] = [];
  visitDatasets(pool, (pointer) => {
    const { dvas } = pointer;
    if (dvas.some(({ gang }) => gang !== undefined) && !but.has(dvas[0]?.offset ?? 0)) found.push(pointer);
  });
  return found;
}

const NEW_FILE = { mode: S_IFREG | 0o644, uid: 0, gid: 0, rdev: 0, target: "" };

const disk = (name: string): Disk => new Disk({ name, size: MIB(64) });

describe("a pool that has holes alone", () => {
  test("goes on: blocks are written in pieces, read, found by an import, and given back", () => {
    const one = disk("one");
    const { pool, files, filling } = holedPool([[one]]);
    const content = Content.pattern(77, KIB(300));
    const text = sentences(KIB(200));
    must(files.write("/big", content));
    files.write("/text", text);
    must(pool.syncGroup());
    expect(gangs(pool, filling).length).toBeGreaterThanOrEqual(3);
    checkPool(pool);
    pool.arc.clear();
    expect(files.read("/big").sha256()).toBe(content.sha256());
    files.fs.unmount();
    pool.export();
    const lab = new ZfsLab();
    const again = must(lab.import([one]));
    const found = new Files(lab, lab.mount(again, "tank"));
    expect([found.read("/big").sha256(), found.read("/text").sha256()]).toEqual([content.sha256(), text.sha256()]);
    checkPool(again);
    // Without what the pool's own tables take, and what waits to be free.
    const { space } = again.store;
    const filled = (): number => space.allocated - space.deferredBytes - again.meta.allocated;
    const before = filled();
    const taken = gangs(again, filling).reduce((sum, { dvas }) => sum + sizeOf(dvas), 0);
    found.unlink("/big");
    found.unlink("/text");
    for (let group = 0; group < 4; group++) must(again.syncGroup());
    // But for a block of the mount's log.
    expect(before - filled()).toBeGreaterThanOrEqual(taken - KIB(4));
    expect(gangs(again, filling)).toEqual([]);
    checkPool(again);
  });

  test("reads one as long as one of its headers is whole", () => {
    const one = disk("one");
    const { pool, files, filling } = holedPool([[one]]);
    const content = Content.pattern(77, KIB(100));
    must(files.write("/big", content));
    must(pool.syncGroup());
    const headers = gangs(pool, filling).flatMap(({ kind, dvas }) => (kind === "data" ? dvas : []));
    expect(headers).toHaveLength(2);
    const answers = headers.map(({ offset }) => {
      one.write(bytes(FRONT + offset), Content.zeros(SECTOR));
      pool.arc.clear();
      const handle = must(files.fs.open(must(files.find("/big")), O_RDONLY));
      const got = files.fs.read(handle, 0, content.length);
      return isErrno(got) ? got.code : got.sha256() === content.sha256();
    });
    expect(answers).toEqual([true, "EIO"]);
  });

  test("has them on every side of a mirror, also on one that joined later or was damaged", () => {
    const [one, two] = [disk("one"), disk("two")];
    const { pool, files } = holedPool([[one]]);
    const content = Content.pattern(77, KIB(300));
    must(files.write("/big", content));
    must(pool.syncGroup());
    expect(zpoolAttach(pool, "one", two)).toBeUndefined();
    one.write(bytes(MIB(4)), Content.zeros(MIB(30)));
    expect(zpoolScrub(pool)).toBeUndefined();
    expect(pool.scan).toMatchObject({ errors: 0 });
    expect(zpoolDetach(pool, "one")).toBeUndefined();
    pool.arc.clear();
    expect(files.read("/big").sha256()).toBe(content.sha256());
    checkPool(pool);
  });
});
