/**
 * A pool without a metadata device beside one with: the same answer to every step, the same data blocks for the same virtual blocks, the
 * same figures.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { EINVAL, EIO, type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { CountedMap } from "../../sim/thin/counted-map.ts";
import { CountedSpace } from "../../sim/thin/counted-space.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import { poolStatus, poolStatusLine } from "../../sim/thin/status.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { PROPERTY_MILLISECONDS, runs } from "../runs.ts";
import { BLOCK, openPool, openVolume, sectors, table } from "./thin-lab.ts";

const DEVICES = 6;
const BLOCKS = 900;
/** Scattered over a wide device, so that trees of every height are met. */
const PLACES = [0, 200, 256, 1000, 65_536, 70_000, 2 ** 24 - 300, 2 ** 24 + 5, 2 ** 33] as const;
const VOLUME_BLOCKS = 2 ** 34;

type Step =
  | { readonly kind: "message"; readonly text: string }
  | { readonly kind: "delete" | "flush" | "status"; readonly id: number }
  | { readonly kind: "grow" }
  | {
      readonly kind: "write" | "discard";
      readonly id: number;
      readonly block: number;
      readonly sector: number;
      readonly count: number;
      readonly sectorCount: number;
    };

const id = fc.nat(DEVICES - 1);
const place = fc.tuple(fc.constantFrom(...PLACES), fc.nat(300)).map(([from, offset]) => from + offset);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: id.map((device) => ({ kind: "message" as const, text: `create_thin ${device}` })) },
  {
    weight: 4,
    arbitrary: fc.tuple(id, id).map(([one, other]) => ({ kind: "message" as const, text: `create_snap ${one} ${other}` })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("set_transaction_id 0 1", "set_transaction_id 1 0", "delete 99", "nonsense")
      .map((text) => ({ kind: "message" as const, text })),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("delete" as const, "flush" as const, "status" as const), id }) },
  { weight: 1, arbitrary: fc.constant({ kind: "grow" as const }) },
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constantFrom("write" as const, "write" as const, "write" as const, "discard" as const),
      id,
      block: place,
      sector: fc.oneof(fc.constant(0), fc.nat(127)),
      count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 200 })),
      sectorCount: fc.constantFrom(1, 128, 128, 300),
    }),
  },
);

/** One pool, with its volumes and disks. */
class Side {
  readonly data: Disk = new Disk({ size: 4 * BLOCKS * BLOCK });
  readonly pool: ThinPool;
  readonly volumes = new Map<number, ThinVolume>();
  blocks = BLOCKS;

  constructor(keepsMetadata: boolean, features: readonly string[]) {
    const metadata = keepsMetadata ? { metadata: new Disk({ size: 4096 * 4096 }) } : {};
    this.pool = openPool({ data: this.data, ...metadata }, { table: table(...features), sectors: BLOCKS * 128 });
  }

  volume(device: number): ThinVolume | undefined {
    if (isErrno(this.pool.metadata.device(device))) return undefined;
    const open = this.volumes.get(device) ?? openVolume(this.pool, device, VOLUME_BLOCKS);
    this.volumes.set(device, open);
    return open;
  }

  close(device: number): void {
    this.volumes.get(device)?.close();
    this.volumes.delete(device);
  }

  make(one: Step): unknown {
    switch (one.kind) {
      case "message":
        return sendMessage(this.pool, one.text)?.code;
      case "delete":
        this.close(one.id);
        return sendMessage(this.pool, `delete ${one.id}`)?.code;
      case "flush":
        return this.volume(one.id)?.flush()?.code;
      case "status":
        return this.volume(one.id)?.status;
      case "grow":
        this.pool.suspend();
        this.blocks = Math.min(this.blocks + 50, 4 * BLOCKS);
        this.pool.reload({ sectors: this.blocks * 128 });
        return this.pool.resume()?.code;
      case "discard":
        return this.#each(one, (volume, at) => volume.discard(at, bytes(one.sectorCount * 512)));
      default:
        return this.#each(one, (volume, at) => volume.write(at, sectors(1 + (one.block % 255), one.sectorCount)));
    }
  }

  #each(
    { id: device, block, sector, count }: Extract<Step, { kind: "write" | "discard" }>,
    work: (volume: ThinVolume, at: ReturnType<typeof bytes>) => Errno | undefined,
  ): unknown {
    const volume = this.volume(device);
    const codes: (string | undefined)[] = [];
    for (let n = 0; volume !== undefined && n < count; n++)
      codes.push(work(volume, bytes((block + n) * BLOCK + sector * 512))?.code);
    return codes;
  }

  figures(): unknown {
    const { pool } = this;
    const status = poolStatus(pool);
    return {
      devices: pool.metadata.devices(),
      counters: { ...pool.counters },
      status: { ...status, usedMetadata: 0, totalMetadata: 0, metadataLowWater: 0 },
      events: pool.events,
      time: pool.metadata.time,
    };
  }
}

describe("a pool without a metadata device", () => {
  test(
    "does with data blocks what a pool with one does",
    () => {
      const features = fc.subarray(["skip_block_zeroing", "error_if_no_space", "no_discard_passdown"]);
      fc.assert(
        fc.property(features, fc.array(step, { minLength: 5, maxLength: 50 }), (words, steps) => {
          const kept = new Side(true, words);
          const counted = new Side(false, words);
          for (const one of steps) expect([one, counted.make(one)]).toEqual([one, kept.make(one)]);
          checkPool(counted.pool);
          expect(counted.figures()).toEqual(kept.figures());
          checkPool(counted.pool);
          for (const device of kept.pool.metadata.devices() as readonly { id: number; runs: readonly { data: number }[] }[]) {
            for (const { data } of device.runs) {
              const at = bytes(data * BLOCK);
              const [one, other] = [counted.data, kept.data].map((disk) => disk.read(at, bytes(BLOCK)));
              if (one === undefined || other === undefined || isErrno(one) || isErrno(other)) throw new Error("cannot be read");
              expect(one.sha256()).toBe(other.sha256());
            }
          }
        }),
        runs(40),
      );
    },
    PROPERTY_MILLISECONDS,
  );

  test("has no metadata blocks to tell of and no metadata to hold", () => {
    const pool = openPool({ data: new Disk({ size: 10 * BLOCK }) });
    expect(sendMessage(pool, "create_thin 0")).toBeUndefined();
    expect(sendMessage(pool, "reserve_metadata_snap")).toBe(EINVAL);
    expect(sendMessage(pool, "release_metadata_snap")).toBe(EINVAL);
    expect(poolStatusLine(pool)).toBe("0 0/0 0/10 - rw discard_passdown queue_if_no_space - 0 ");
    pool.close();
  });

  test("fails for good when the data device cannot be flushed: there is no last commit to go back to", () => {
    const data = new FaultyDevice(new Disk({ size: 10 * BLOCK }));
    const pool = openPool({ data });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0, 10);
    expect(volume.write(bytes(0), sectors(1, 1))).toBeUndefined();
    data.inject({ on: "flush" });
    expect(volume.flush()).toBe(EIO);
    expect(pool.mode).toBe("fail");
    expect(volume.write(bytes(0), sectors(1, 1))).toBe(EIO);
  });
});

test("a data block may be in more leaves than a byte can count", () => {
  const space = new CountedSpace();
  space.extend(300);
  space.commit();
  const first = new CountedMap(space);
  const block = space.newBlock() as number;
  first.put(first.ownLeaf(7), 7, block, 0);
  const others = Array.from({ length: 600 }, () => new CountedMap(space, first));
  for (const other of others) {
    const own = space.newBlock();
    if (!isErrno(own)) other.put(other.ownLeaf(8), 8, own, 1);
    else other.ownLeaf(8);
  }
  expect(space.count(block)).toBe(601);
  for (const other of others) other.release();
  expect(space.count(block)).toBe(1);
  first.release();
  expect([space.count(block), space.free]).toEqual([0, 300]);
});
