/**
 * Both kinds of pool metadata beside plain maps: thousands of single mappings and whole ranges put in and taken out in an order that fills, splits,
 * joins and empties nodes at either end and in the middle (drivers/md/persistent-data/dm-btree.c, dm-btree-remove.c), with snapshots that share them.
 */
import { describe, expect, test } from "vitest";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { InvariantError } from "../../sim/core/assert.ts";
import { EBUSY, EEXIST, EINVAL, EIO, ENODATA, type Errno, isErrno } from "../../sim/core/errno.ts";
import { Random } from "../../sim/core/random.ts";
import { CountedMetadata } from "../../sim/thin/counted-metadata.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import type { ThinDevice, ThinMetadata } from "../../sim/thin/thin-metadata.ts";
import { disks } from "./thin-lab.ts";

const DATA_BLOCKS = 40_000;

function must<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(value.code);
  return value;
}

/** The device below each. */
const devices = new WeakMap<ThinMetadata, FaultyDevice>();

function onDevice(): ThinMetadata {
  const device = new FaultyDevice(disks({ data: 1, metadata: 4000 }).metadata);
  const metadata = must(PoolMetadata.open(new MetadataBlocks(device), { dataBlockSectors: 128, format: true, reserve: "none" }));
  devices.set(metadata, device);
  return metadata;
}

const KINDS: readonly (readonly [string, () => ThinMetadata])[] = [
  ["on a device", onDevice],
  ["that is only counted", () => new CountedMetadata()],
];

/** Metadata beside maps of what each device should have. */
class Lab {
  readonly metadata: ThinMetadata;
  readonly models: Map<number, Map<number, number>> = new Map();
  readonly #devices = new Map<number, ThinDevice>();

  constructor(metadata: ThinMetadata) {
    this.metadata = metadata;
    must(metadata.growData(DATA_BLOCKS));
    must(metadata.commit());
  }
  device(id: number): ThinDevice {
    const known = this.#devices.get(id);
    if (known !== undefined) return known;
    const opened = must(this.metadata.openDevice(id));
    this.#devices.set(id, opened);
    return opened;
  }
  create(id: number): void {
    must(this.metadata.createThin(id));
    this.models.set(id, new Map());
  }
  snap(id: number, origin: number): void {
    must(this.metadata.createSnap(id, origin));
    this.models.set(id, new Map(this.models.get(origin)));
  }
  /** Maps a block where it is not mapped to itself alone, as a write does. */
  map(id: number, virtual: number): void {
    const found = this.metadata.lookup(this.device(id), virtual);
    if (!isErrno(found) && !found.shared) return;
    const data = must(this.metadata.newDataBlock());
    must(this.metadata.map(this.device(id), virtual, data));
    this.models.get(id)?.set(virtual, data);
  }
  unmap(id: number, begin: number, end: number): void {
    must(this.metadata.unmap(this.device(id), begin, end));
    const model = this.models.get(id) ?? new Map<number, number>();
    for (const virtual of [...model.keys()]) if (virtual >= begin && virtual < end) model.delete(virtual);
  }
  check(): void {
    must(this.metadata.commit());
    for (const [id, model] of this.models) {
      const of = this.device(id);
      expect(of.details.mapped).toBe(model.size);
      for (const [virtual, data] of model) {
        const found = this.metadata.lookup(of, virtual);
        if (isErrno(found) || found.block !== data) expect([virtual, found]).toEqual([virtual, data]);
      }
      expect(this.metadata.highestMapped(of)).toBe(model.size === 0 ? undefined : Math.max(...model.keys()));
    }
    this.metadata.check("pool", 0);
  }
}

const ORDERS: readonly (readonly [string, (at: number, count: number, random: Random) => number])[] = [
  ["upwards", (at) => at * 2],
  ["downwards", (at, count) => (count - at) * 2],
  ["from the middle outwards", (at, count) => (count + (at % 2 === 0 ? at : -at)) * 2],
  ["in no order", (_at, count, random) => random.below(count * 8)],
];

describe.each(KINDS)("metadata %s", (kind, make) => {
  test.each(ORDERS)("holds what was mapped %s, in a device and in snapshots of it, until all is unmapped", (_, place) => {
    const lab = new Lab(make());
    const random = new Random(7);
    lab.create(0);
    const COUNT = 1500;
    for (let at = 0; at < COUNT; at++) {
      lab.map(0, place(at, COUNT, random));
      if (at === COUNT / 2) lab.snap(1, 0);
    }
    lab.check();
    for (let at = 0; at < 60; at++) {
      const begin = random.below(COUNT * 4);
      lab.unmap(at % 2, begin, begin + 1 + random.below(at % 7 === 0 ? 1500 : 40));
      if (at % 20 === 19) lab.check();
    }
    for (let at = 0; at < 400; at++) lab.map(at % 2, random.below(COUNT * 4));
    lab.check();
    lab.unmap(0, 0, 2 ** 40);
    lab.check();
    lab.unmap(1, 0, 2 ** 40);
    lab.check();
    expect(lab.metadata.freeDataBlocks).toBe(DATA_BLOCKS);
  });

  test("finds ranges of neighbours that are as shared, and where none is left", () => {
    const lab = new Lab(make());
    lab.create(0);
    for (let virtual = 10; virtual < 20; virtual++) lab.map(0, virtual);
    lab.snap(1, 0);
    lab.map(0, 14);
    const { metadata } = lab;
    const of = lab.device(0);
    expect(metadata.findRange(of, 0, 100)).toEqual({ begin: 10, end: 14, data: 0, shared: true });
    expect(metadata.findRange(of, 14, 100)).toEqual({ begin: 14, end: 15, data: 10, shared: false });
    expect(metadata.findRange(of, 15, 17)).toEqual({ begin: 15, end: 17, data: 5, shared: true });
    expect(metadata.findRange(of, 20, 100)).toBe(ENODATA);
    expect(metadata.findRange(of, 0, 10)).toBe(ENODATA);
    lab.check();
  });

  test("keeps a device that is in use, takes none twice, and snaps none that is not there", () => {
    const lab = new Lab(make());
    const { metadata } = lab;
    lab.create(3);
    lab.map(3, 5);
    expect(metadata.createThin(3)).toBe(EEXIST);
    expect(metadata.createSnap(3, 3)).toBe(EEXIST);
    expect(metadata.createSnap(4, 9)).toBe(ENODATA);
    expect(metadata.deleteDevice(9)).toBe(ENODATA);
    expect(metadata.deleteDevice(3)).toBe(EBUSY);
    // Its details are in the tree once they are committed: each message ends with a commit.
    must(metadata.commit());
    lab.device(3).open = 0;
    expect(metadata.deleteDevice(3)).toBeUndefined();
    must(metadata.commit());
    expect([metadata.device(3), metadata.openDevice(3), metadata.freeDataBlocks]).toEqual([ENODATA, ENODATA, DATA_BLOCKS]);
    metadata.check("pool", 0);
  });

  test("counts data blocks that are referenced once more, and frees them with the last reference", () => {
    const lab = new Lab(make());
    const { metadata } = lab;
    lab.create(0);
    lab.map(0, 0);
    expect(metadata.countData(0)).toBe(1);
    must(metadata.incData(0, 1));
    expect(metadata.countData(0)).toBe(2);
    lab.unmap(0, 0, 1);
    expect(metadata.countData(0)).toBe(1);
    must(metadata.decData(0, 1));
    expect(metadata.countData(0)).toBe(0);
    expect(metadata.decData(0, 1)).toBe(EINVAL);
    if (kind === "on a device") must(metadata.commit());
  });

  test("does not add up when a mapped data block, far behind the first, has lost its reference", () => {
    const lab = new Lab(make());
    const { metadata } = lab;
    lab.create(0);
    for (let virtual = 0; virtual < 17_000; virtual++) lab.map(0, virtual);
    lab.check();
    must(metadata.decData(16_700, 16_701));
    expect(() => metadata.check("pool", 0)).toThrow(InvariantError);
  });

  test("changes the transaction id only from the one that it has", () => {
    const { metadata } = new Lab(make());
    expect([metadata.setTransaction(1, 2), metadata.setTransaction(0, 5), metadata.setTransaction(0, 6)]).toEqual([
      EINVAL,
      undefined,
      EINVAL,
    ]);
    expect(metadata.transaction).toBe(5);
  });

  test("that has failed gives EINVAL to every change, and says that it lost a device's", () => {
    const made = make();
    const lab = new Lab(made);
    lab.create(0);
    lab.map(0, 1);
    must(made.commit());
    lab.map(0, 2);
    const of = lab.device(0);
    failForGood(made);
    expect([of.aborted, of.stale]).toEqual([true, true]);
    const changes: readonly (() => unknown)[] = [
      () => made.createThin(1),
      () => made.createSnap(1, 0),
      () => made.deleteDevice(0),
      () => made.setTransaction(0, 1),
      () => made.lookup(of, 1),
      () => made.map(of, 3, 3),
      () => made.unmap(of, 0, 9),
      () => made.newDataBlock(),
      () => made.incData(0, 1),
      () => made.decData(0, 1),
      () => made.growData(10),
      () => made.growMetadata(10),
      () => made.openDevice(0),
      () => made.reserveSnap(),
      () => made.releaseSnap(),
      () => made.markNeedsCheck(),
      () => made.commit(),
    ];
    expect(changes.map((change) => change())).toEqual(changes.map(() => EINVAL));
  });
});

/** Aborts it where even the last commit cannot be read. */
function failForGood(metadata: ThinMetadata): void {
  const device = devices.get(metadata);
  device?.inject({ on: "read", times: Number.POSITIVE_INFINITY });
  expect(metadata.abort()).toBe(EIO);
}
