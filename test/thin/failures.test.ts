/**
 * A pool's metadata where a block of it cannot be read, or no block is free for a change: whoever asks gets an error or the right answer, and after
 * going back everything is as it was committed (dm_pool_abort_metadata). And what a check finds of metadata that does not add up.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { EILSEQ, EINVAL, EIO, ENODATA, ENOSPC, ENOTBLK, EPERM, type Errno, isErrno } from "../../sim/core/errno.ts";
import { buildImage } from "../../sim/thin/build.ts";
import { CountedMetadata } from "../../sim/thin/counted-metadata.ts";
import { CountedSpace } from "../../sim/thin/counted-space.ts";
import { FoundCounts } from "../../sim/thin/found-counts.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlock } from "../../sim/thin/metadata-block.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { readDeviceDetails } from "../../sim/thin/model.ts";
import { seal, unseal } from "../../sim/thin/sealed-block.ts";
import type { ThinDevice } from "../../sim/thin/thin-metadata.ts";

/** Three bitmaps of the data's map. */
const DATA_BLOCKS = 40_000;
const DISK_BLOCKS = 1200;

interface World {
  readonly disk: Disk;
  readonly device: FaultyDevice;
  readonly metadata: PoolMetadata;
}

function must<T>(value: T | Errno): T {
  if (isErrno(value)) throw new Error(value.code);
  return value;
}

function world(of?: Disk): World {
  const disk = of === undefined ? new Disk({ size: DISK_BLOCKS * 4096 }) : of.clone({ silent: true });
  const device = new FaultyDevice(disk);
  const options = { dataBlockSectors: 128, format: true, reserve: "none" } as const;
  return { disk, device, metadata: must(PoolMetadata.open(new MetadataBlocks(device, 1), options)) };
}

function device(metadata: PoolMetadata, id: number): ThinDevice {
  return must(metadata.openDevice(id));
}

/** Trees of two levels, shared by five devices, so that counts are above what a bitmap tells; and a held metadata snapshot. */
function made(): Disk {
  const { disk, metadata } = world();
  must(metadata.growData(DATA_BLOCKS));
  must(metadata.commit());
  must(metadata.createThin(0));
  const origin = device(metadata, 0);
  for (let at = 0; at < 700; at++) must(metadata.map(origin, at * 3, must(metadata.newDataBlock())));
  for (let id = 1; id < 6; id++) must(metadata.createSnap(id, 0));
  for (let id = 1; id < 6; id++) must(metadata.map(device(metadata, id), 30, must(metadata.newDataBlock())));
  must(metadata.commit());
  must(metadata.reserveSnap());
  must(metadata.commit());
  return disk;
}

const DISK = made();
const HELD = JSON.stringify(world(DISK).metadata.devices());

const QUESTIONS: Readonly<Record<string, (metadata: PoolMetadata) => unknown>> = {
  "all devices": (metadata) => metadata.devices(),
  "all details": ({ state }) => readDeviceDetails(state),
  "counts of data blocks": ({ state }) => {
    const found = new FoundCounts();
    return state.data.refcounts.addTo(found) ?? [...found].flat();
  },
  "one count": (metadata) => metadata.countData(3),
  "a mapping": (metadata) => metadata.lookup({ ...device0(metadata), id: 3 }, 600),
  "a range": (metadata) => metadata.findRange(device0(metadata), 500, 3000),
  "the last mapping": (metadata) => metadata.highestMapped(device0(metadata)),
};

function device0(metadata: PoolMetadata): ThinDevice {
  const found = metadata.device(0);
  return isErrno(found)
    ? {
        id: 0,
        details: { mapped: 700, transaction: 0, creationTime: 0, snapshotTime: 5 },
        order: 0,
        open: 0,
        changed: false,
        aborted: false,
        stale: false,
      }
    : found;
}

const CHANGES: Readonly<Record<string, (metadata: PoolMetadata) => Errno | undefined>> = {
  "map a block": (metadata) => {
    const block = metadata.newDataBlock();
    return isErrno(block) ? block : metadata.map(device0(metadata), 1001, block);
  },
  "map over a shared block": (metadata) => {
    const block = metadata.newDataBlock();
    return isErrno(block) ? block : metadata.map(device0(metadata), 300, block);
  },
  unmap: (metadata) => metadata.unmap(device0(metadata), 100, 1500),
  "count references": (metadata) => metadata.incData(0, 20) ?? metadata.decData(0, 30),
  "grow the data": (metadata) => metadata.growData(30_000),
  "make a device": (metadata) => metadata.createThin(9),
  "snap a device": (metadata) => metadata.createSnap(9, 2),
  "delete a device": (metadata) => metadata.deleteDevice(3),
  "hold a snapshot": (metadata) => metadata.releaseSnap() ?? metadata.reserveSnap(),
  "give a snapshot up": (metadata) => metadata.releaseSnap(),
};

/** The places at which something fails: all of the first, then ever fewer. */
function* places(): Generator<number> {
  for (let at = 1; at < 400; at = Math.ceil(at * 1.25)) yield at;
}

describe("a block that cannot be read", () => {
  test.each(Object.entries(QUESTIONS))("gives an error or the right answer to who asks for %s", (_, ask) => {
    const sound = JSON.stringify(ask(world(DISK).metadata));
    let struck = 0;
    for (const at of places()) {
      const { device: faulty, metadata } = world(DISK);
      faulty.inject({ on: "read", at });
      const got = ask(metadata);
      if (faulty.failed === 0) break;
      struck += 1;
      if (got !== EIO) expect([at, JSON.stringify(got)]).toEqual([at, sound]);
    }
    expect(struck).toBeGreaterThan(0);
  });

  test("says nothing of what a check would find", () => {
    for (const at of places()) {
      const { device: faulty, metadata } = world(DISK);
      faulty.inject({ on: "read", at, times: Number.POSITIVE_INFINITY });
      if (at > 60) break;
      metadata.check("pool", 0);
    }
  });
});

describe("a change", () => {
  test.each(Object.entries(CHANGES))("to %s that fails anywhere is gone when the pool goes back", (_, change) => {
    for (const way of ["read", "space", "write"] as const) {
      for (const at of places()) {
        const { device: faulty, disk, metadata } = world(DISK);
        const { space } = metadata.state.tx;
        let asked = 0;
        if (way === "space") {
          const newBlock = space.newBlock.bind(space);
          space.newBlock = () => (++asked >= at ? ENOSPC : newBlock());
        } else faulty.inject({ on: way, at, times: Number.POSITIVE_INFINITY });
        const failed = change(metadata);
        // A read that fails while references are counted is not told: counting has no result there (dm-thin-metadata.c, with_runs).
        if (failed !== undefined) expect(failed.code).toMatch(/^(EIO|ENOSPC|EINVAL|ENODATA)$/);
        const struck = way === "space" ? asked >= at : faulty.failed > 0;
        if (!struck) break;
        faulty.heal();
        expect(metadata.abort()).toBeUndefined();
        // A held snapshot's root goes out with the first flush that follows, which none of these had.
        expect(JSON.stringify(metadata.devices())).toBe(HELD);
        // No block of it goes out later.
        const { writes } = disk.counters;
        expect([metadata.blocks.flush(), disk.counters.writes]).toEqual([undefined, writes]);
      }
    }
  });

  test("is refused for good once the way back cannot be read", () => {
    const { device: faulty, metadata } = world(DISK);
    faulty.inject({ on: "read", times: Number.POSITIVE_INFINITY });
    expect(metadata.abort()).toBe(EIO);
    faulty.heal();
    expect([metadata.abort(), metadata.commit(), metadata.markNeedsCheck(), metadata.createThin(9)]).toEqual(
      Array.from({ length: 4 }, () => EINVAL),
    );
  });

  test("of the flag that asks for a check needs the superblock", () => {
    const { device: faulty, metadata } = world(DISK);
    metadata.blocks.reset();
    faulty.inject({ on: "read", times: Number.POSITIVE_INFINITY });
    expect(metadata.markNeedsCheck()).toBe(EIO);
    expect(metadata.held).toBe(0);
  });
});

test("an image is not written where the device fails, or is too small", () => {
  const model = { time: 0, transaction: 0, needsCheck: false, dataBlockSectors: 128, dataBlocks: 100, devices: [] };
  const faulty = new FaultyDevice(new Disk({ size: 64 * 4096 }));
  faulty.inject({ on: "write", at: 2 });
  expect(buildImage(faulty, model)).toBe(EIO);
  expect(buildImage(faulty, { ...model, dataBlocks: 2_000_000 })).toBe(ENOSPC);
  expect(buildImage(faulty, model)).toBeUndefined();
});

describe("a check", () => {
  const WRONG: readonly (readonly [string, (metadata: PoolMetadata) => void, string])[] = [
    [
      "a data block that nobody maps",
      (metadata) => must(metadata.newDataBlock()),
      "1 data blocks have leaked, 0 are known to be lost",
    ],
    [
      "another number of mappings in a device's details",
      (metadata) => {
        const of = device(metadata, 2);
        of.details.mapped += 1;
        metadata.noteChange(of);
      },
      "device 2 maps 700 blocks, its details say 701",
    ],
    [
      "a mapped block that is free",
      (metadata) => {
        const block = must(metadata.lookup(device(metadata, 5), 30)).block;
        must(metadata.decData(block, block + 1));
      },
      "which is free",
    ],
  ];

  test.each(WRONG)("finds %s before it is committed or after", (_, spoil, said) => {
    for (const commits of [false, true]) {
      const { metadata } = world(DISK);
      spoil(metadata);
      if (commits) must(metadata.commit());
      else if (said.startsWith("1 data")) continue;
      expect(() => metadata.check("pool", 0)).toThrow(commits ? /leaked|wrong|free|maps/ : said);
    }
  });

  test("lets data blocks go that are known to be lost", () => {
    const { metadata } = world(DISK);
    must(metadata.newDataBlock());
    must(metadata.commit());
    metadata.check("pool", 1);
  });

  test("finds bitmaps and index that do not agree", () => {
    const { metadata } = world(DISK);
    const { refcounts } = metadata.state.data;
    refcounts.allocated += 1;
    expect(() => refcounts.check("data")).toThrow(/blocks have references, counted/);
    refcounts.allocated -= 1;
    const entry = { block: 0, free: 0, noneFreeBefore: 0 };
    must(refcounts.index.load(1, entry));
    must(refcounts.index.save(1, { ...entry, free: entry.free - 7 }));
    expect(() => refcounts.check("data")).toThrow(/free entries, its index says/);
    must(refcounts.index.save(1, { ...entry, noneFreeBefore: 9 }));
    expect(() => refcounts.check("data")).toThrow(/a free entry 0 before 9/);
  });
});

describe("counting in memory alone", () => {
  function space(): CountedSpace {
    const made = new CountedSpace();
    made.extend(70);
    made.commit();
    return made;
  }

  test("gives blocks in order, from the beginning again where the end is reached, and none that was given back in this transaction", () => {
    const counts = space();
    for (let block = 0; block < 70; block++) expect(counts.newBlock()).toBe(block);
    expect(counts.newBlock()).toBe(ENOSPC);
    expect(counts.dec(3, 4)).toBeUndefined();
    expect([counts.free, counts.newBlock()]).toEqual([1, ENOSPC]);
    // Counted again before it was free: it stays taken.
    counts.inc(3, 4);
    counts.commit();
    expect(counts.newBlock()).toBe(ENOSPC);
    expect(counts.dec(3, 4)).toBeUndefined();
    counts.commit();
    expect(counts.newBlock()).toBe(3);
    expect(counts.dec(69, 70) ?? counts.dec(69, 70)).toBe(EINVAL);
  });

  test.each<readonly [string, ReadonlyMap<number, number>, number, string]>([
    ["a reference that nobody has", new Map([[0, 1]]), 0, "block 1 has 0 references, counted 2"],
    ["more lost blocks than are known", new Map([[1, 2]]), 0, "1 data blocks have leaked, 0 are known to be lost"],
  ])("is checked: %s is found", (_, references, lost, said) => {
    const counts = space();
    counts.newBlock();
    counts.newBlock();
    counts.inc(1, 2);
    expect(() => counts.check("pool", references, lost)).toThrow(said);
    counts.check("pool", new Map([[1, 2]]), 1);
  });

  test("counts more than a byte holds, and no more blocks than can be told apart", () => {
    const counts = space();
    for (let n = 0; n < 300; n++) counts.inc(5, 6);
    expect(counts.count(5)).toBe(300);
    for (let n = 0; n < 300; n++) must(counts.dec(5, 6) ?? true);
    expect(counts.count(5)).toBe(0);
    const metadata = new CountedMetadata();
    expect(metadata.commit()).toBeUndefined();
    expect(metadata.growData(2 ** 32)).toBe(EINVAL);
  });

  test("a deleted device gives back what no snapshot has, and a failed pool tells of no range", () => {
    const metadata = new CountedMetadata();
    must(metadata.growData(2000));
    must(metadata.commit());
    must(metadata.createThin(0));
    const origin = must(metadata.openDevice(0));
    for (let at = 0; at < 600; at++) must(metadata.map(origin, at * 200, must(metadata.newDataBlock())));
    must(metadata.createSnap(1, 0));
    must(metadata.map(origin, 0, must(metadata.newDataBlock())));
    must(metadata.map(origin, 1, must(metadata.newDataBlock())));
    origin.open -= 1;
    must(metadata.deleteDevice(0));
    must(metadata.commit());
    metadata.check("pool", 0);
    expect(metadata.freeDataBlocks).toBe(2000 - 600);
    const snapshot = must(metadata.openDevice(1));
    expect(metadata.highestMapped(snapshot)).toBe(599 * 200);
    expect(metadata.abort()).toBe(EIO);
    expect(metadata.findRange(snapshot, 0, 100)).toBe(EINVAL);
    snapshot.open -= 1;
  });
});

describe("metadata blocks", () => {
  test("are not changed, made or written where they may only be read", () => {
    const { metadata } = world(DISK);
    const { blocks } = metadata;
    blocks.readOnly = true;
    expect([blocks.change(0, "superblock"), blocks.fresh(900, "node"), blocks.flush()]).toEqual([EPERM, EPERM, EPERM]);
    expect(isErrno(blocks.read(0, "superblock"))).toBe(false);
  });

  test("are of the kind and at the place that they say", () => {
    const node = new MetadataBlock(7, "node");
    const content = seal(node);
    expect(unseal(content, 8, "node")).toBe(ENOTBLK);
    expect(unseal(content, 7, "bitmap")).toBe(EILSEQ);
    expect(isErrno(unseal(content, 7, "node"))).toBe(false);
  });

  test("are as many as a space map can count, and a device must hold at least its maps", () => {
    const { metadata } = world(DISK);
    expect(metadata.growMetadata(255 * 16_320)).toBe(EINVAL);
    expect(metadata.countData(DATA_BLOCKS)).toBe(EINVAL);
    const small = new MetadataBlocks(new Disk({ size: 3 * 4096 }));
    expect(PoolMetadata.open(small, { dataBlockSectors: 128, format: true, reserve: "none" })).toBe(ENOSPC);
  });
});

test("a device that the trees do not have has no mappings, wherever its number would be", () => {
  const { metadata } = world();
  must(metadata.growData(10));
  must(metadata.createThin(3));
  must(metadata.createThin(5));
  const of = device(metadata, 3);
  for (const id of [1, 4, 9]) expect(metadata.lookup({ ...of, id }, 0)).toBe(ENODATA);
});
