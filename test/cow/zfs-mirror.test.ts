/**
 * Mirrors as zpool(8) handles them: whatever goes offline, comes back, joins, is replaced or leaves, all sides that have missed nothing hold the same blocks, and
 * nothing that was written is lost (module/zfs/vdev_mirror.c, dsl_scan.c, spa.c).
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Disk, keepNone } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Content } from "../../sim/core/content.ts";
import { bytes, KIB, MIB } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/cow/zfs/assemble.ts";
import type { BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { readLabel } from "../../sim/cow/zfs/labels.ts";
import { visitDatasets } from "../../sim/cow/zfs/operations.ts";
import type { Pool } from "../../sim/cow/zfs/pool.ts";
import {
  zpoolAttach,
  zpoolClear,
  zpoolDetach,
  zpoolOffline,
  zpoolOnline,
  zpoolReplace,
  zpoolScrub,
} from "../../sim/cow/zfs/vdev-commands.ts";
import { runs } from "../runs.ts";
import { Files, must, ZfsLab } from "./zfs-lab.ts";

const SIZE = MIB(80);
/** Where the space of a pool begins on a disk. */
const FRONT = MIB(4);

const disk = (name: string): Disk => new Disk({ name, size: SIZE });

/** Throws when two sides that have missed nothing differ in a block of the pool. */
function expectEqualSides(pool: Pool): void {
  const blocks: BlockPointer[] = [];
  pool.meta.load(
    () => undefined,
    (pointer) => blocks.push(pointer),
  );
  must(visitDatasets(pool, (pointer) => blocks.push(pointer)) as undefined);
  for (const { dvas, physicalSize } of blocks) {
    for (const { vdev, offset } of dvas) {
      const whole = pool.store.tops[vdev]?.sides.filter(({ state, missed }) => state === "ONLINE" && missed === undefined) ?? [];
      const length = bytes(Math.ceil(physicalSize / 512) * 512);
      const copies = whole.map(({ device }) => must(device?.read(bytes(FRONT + offset), length) as Content));
      for (const copy of copies) expect(copy.equals(copies[0] as Content), `${vdev}:${offset}`).toBe(true);
    }
  }
}

/** A pool on a mirror with one file system mounted, and what it should hold. */
class MirrorLab {
  lab = new ZfsLab();
  readonly disks: Disk[] = ["one", "two"].map(disk);
  pool: Pool = this.lab.create({ tops: [this.disks] });
  files: Files = new Files(this.lab, this.lab.mount(this.pool, "tank"));
  readonly held = new Map<string, string>();

  write(name: string, seed: number): void {
    const content = Content.pattern(seed, KIB(1 + (seed % 200)));
    must(this.files.write(name, content));
    // What was longer before keeps its end.
    this.held.set(name, this.files.read(name).sha256());
  }

  /** The power goes, what was not flushed with it, and the pool is found again. */
  cut(): void {
    this.lab = new ZfsLab();
    for (const one of this.disks) one.powerCut(keepNone);
    this.find(this.disks);
  }

  find(disks: readonly Disk[]): void {
    this.pool = must(this.lab.import(disks));
    this.files = new Files(this.lab, this.lab.mount(this.pool, "tank"));
  }

  expectHeld(): void {
    this.pool.arc.clear();
    for (const [name, hash] of this.held) expect(this.files.read(name).sha256(), name).toBe(hash);
  }
}

const SPARES = ["three", "four"] as const;
const STEPS = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("write" as const), file: fc.nat(4), seed: fc.nat(5000) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("offline", "temporary", "online", "online" as const), side: fc.nat(2) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom("detach", "attach", "replace" as const), side: fc.nat(2), spare: fc.nat(3) }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("fsync", "scrub", "cut" as const) }) },
  ),
  { minLength: 3, maxLength: 25 },
);
type Step = typeof STEPS extends fc.Arbitrary<(infer One)[]> ? One : never;

/** Makes a step; what the pool refuses is refused. */
function run(on: MirrorLab, step: Step): void {
  const sides = on.pool.store.tops[0]?.sides ?? [];
  const nameOf = (at: number): string => sides[at % sides.length]?.name ?? "";
  switch (step.do) {
    case "write":
      on.write(`/f${step.file}`, step.seed);
      break;
    case "scrub":
      expect(zpoolScrub(on.pool)).toBeUndefined();
      break;
    case "fsync":
    case "cut":
      for (const file of on.held.keys()) on.files.fsync(file);
      if (step.do === "cut") on.cut();
      break;
    case "offline":
    case "temporary":
      zpoolOffline(on.pool, nameOf(step.side), step.do === "temporary");
      break;
    case "online":
      zpoolOnline(on.pool, nameOf(step.side));
      break;
    case "detach":
      zpoolDetach(on.pool, nameOf(step.side));
      break;
    default: {
      const free = on.disks.filter((one) => !sides.some(({ device }) => device === one));
      const device = free[step.spare % free.length];
      if (device !== undefined) (step.do === "attach" ? zpoolAttach : zpoolReplace)(on.pool, nameOf(step.side), device);
    }
  }
}

describe("a mirror", () => {
  test("loses nothing and its whole sides hold the same, whatever is done to them", () => {
    fc.assert(
      fc.property(STEPS, (steps) => {
        const on = new MirrorLab();
        for (const one of SPARES) on.disks.push(disk(one));
        for (const step of steps) {
          run(on, step);
          on.pool.syncIfDirty();
          expectEqualSides(on.pool);
          checkPool(on.pool);
        }
        on.expectHeld();
        // Any side that has missed nothing is enough.
        on.files.fs.unmount();
        on.pool.export();
        for (const { state, missed, device } of on.pool.store.tops[0]?.sides ?? []) {
          if (state !== "ONLINE" || missed !== undefined) continue;
          const alone = (device as Disk).clone({ silent: true });
          on.lab = new ZfsLab();
          on.find([alone]);
          on.expectHeld();
          on.pool.stop();
        }
      }),
      runs(60),
    );
  });

  test("whose one side has missed a write cannot do without the other until it was brought up to date", () => {
    const device = new FaultyDevice(disk("one"));
    const lab = new ZfsLab();
    const pool = lab.create({ tops: [[device, disk("two")]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    device.inject({ on: "write", times: 1 });
    files.write("/f", Content.pattern(1, KIB(64)));
    pool.syncIfDirty();
    expect(zpoolOffline(pool, "two")).toBe("cannot offline two: no valid replicas");
    expect(zpoolDetach(pool, "two")).toBe("cannot detach two: no valid replicas");
    expect(zpoolOffline(pool, "one")).toBeUndefined();
    expect(zpoolOffline(pool, "two")).toBe("cannot offline two: no valid replicas");
    expect(zpoolOnline(pool, "one")).toBeUndefined();
    expect(zpoolOffline(pool, "two")).toBeUndefined();
    expect(zpoolDetach(pool, "one")).toBe("cannot detach one: no valid replicas");
    expect(zpoolDetach(pool, "two")).toBeUndefined();
    expect(zpoolDetach(pool, "one")).toBe("cannot detach one: only applicable to mirror and replacing vdevs");
    pool.arc.clear();
    expect(files.read("/f").sha256()).toBe(Content.pattern(1, KIB(64)).sha256());
  });

  test("one side of which was away when a log was written has it after the import that brings it back", () => {
    const on = new MirrorLab();
    on.pool.syncIfDirty();
    expect(zpoolOffline(on.pool, "one", true)).toBeUndefined();
    on.write("/f", 7);
    on.files.fsync("/f");
    for (const one of on.disks) one.powerCut(keepNone);
    on.lab = new ZfsLab();
    must(on.lab.import(on.disks)).stop();
    on.find(on.disks.slice(0, 1));
    on.expectHeld();
  });

  test("knows after an import which side was taken offline, but for one that was only until then", () => {
    for (const [temporary, state] of [
      [false, "OFFLINE"],
      [true, "ONLINE"],
    ] as const) {
      const on = new MirrorLab();
      expect(zpoolOffline(on.pool, "two", temporary)).toBeUndefined();
      on.files.fs.unmount();
      on.pool.export();
      on.find(on.disks);
      expect(on.pool.store.tops[0]?.sides.map((side) => side.state)).toEqual(["ONLINE", state]);
    }
  });

  test("has no part in a disk that was detached, whether its labels could be taken away or not", () => {
    const on = new MirrorLab();
    const [one, two] = on.disks as [Disk, Disk];
    zpoolOffline(on.pool, "two");
    on.write("/f", 3);
    expect(zpoolDetach(on.pool, "two")).toBeUndefined();
    expect(readLabel(two)?.pool).toBe("tank");
    on.files.fs.unmount();
    on.pool.export();
    on.find([two, one]);
    expect(on.pool.store.tops[0]?.sides.map((side) => side.device)).toEqual([one]);
    on.expectHeld();
    expect(zpoolAttach(on.pool, "one", two)).toBeUndefined();
    expect(zpoolDetach(on.pool, "two")).toBeUndefined();
    expect(readLabel(two)).toBeUndefined();
  });

  test("is repaired by a scrub where a block of one side is not whole, and by whoever reads it", () => {
    const on = new MirrorLab();
    const [one] = on.disks as [Disk, Disk];
    on.write("/f", 3);
    on.pool.syncIfDirty();
    one.write(bytes(FRONT), Content.zeros(MIB(40)));
    on.pool.arc.clear();
    expect(zpoolScrub(on.pool)).toBeUndefined();
    expect(on.pool.scan).toMatchObject({ kind: "scrub", errors: 0 });
    expect(on.pool.scan?.repaired).toBeGreaterThan(0);
    expect(on.pool.store.tops[0]?.sides[0]?.errors.checksum).toBeGreaterThan(0);
    zpoolScrub(on.pool);
    expect(on.pool.scan?.repaired).toBe(0);
    expect(zpoolClear(on.pool)).toBeUndefined();
    expect(on.pool.store.tops[0]?.sides[0]?.errors.checksum).toBe(0);
  });

  test("goes on without a disk that fails for good, and takes it back when its errors are cleared", () => {
    const device = new FaultyDevice(disk("one"));
    const lab = new ZfsLab();
    const pool = lab.create({ tops: [[device, disk("two")]] });
    const files = new Files(lab, lab.mount(pool, "tank"));
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    files.write("/f", Content.pattern(1, KIB(64)));
    pool.syncIfDirty();
    expect(pool.store.tops[0]?.sides[0]).toMatchObject({ state: "FAULTED", errors: { write: 1 } });
    device.heal();
    expect(zpoolClear(pool, "one")).toBeUndefined();
    expect(pool.store.tops[0]?.sides[0]).toMatchObject({ state: "ONLINE", missed: undefined, errors: { write: 0 } });
    expectEqualSides(pool);
  });
});
