/**
 * Which blocks of the data device a discard reaches, run by run, and what a pool does when its metadata fails within one (drivers/md/dm-thin.c:
 * break_up_discard_bio, passdown_double_checking_shared_status, process_prepared_discard_passdown_pt1 and _pt2; spec/block-cow.md §1.7).
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import { EIO } from "../../sim/core/errno.ts";
import { type Bytes, bytes, seconds } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import type { ThinPool } from "../../sim/thin/pool.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { BLOCK, disks, openPool, openVolume, sectors, table } from "./thin-lab.ts";

let pool: ThinPool;
let volume: ThinVolume;
/** Discards of the data device, in blocks: first and how many. */
let reached: (readonly [number, number])[];
let logged: string[];

/** A disk that notes which blocks are discarded. */
function noting(disk: Disk): Disk {
  return new Proxy(disk, {
    get(target, key): unknown {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        if (key === "discard") {
          const [offset, length] = given as [Bytes, Bytes];
          reached.push([offset / BLOCK, length / BLOCK]);
        }
        return value.apply(target, given);
      };
    },
  });
}

beforeEach(() => {
  reached = [];
  logged = [];
  const { data, metadata } = disks({ data: 64, metadata: 256 });
  pool = openPool({ data: noting(data), metadata }, { log: (line) => logged.push(line) });
  sendMessage(pool, "create_thin 0");
  volume = openVolume(pool, 0);
});

/** Writes blocks of a volume one by one, so that neighbours get neighbouring data blocks. */
function write(of: ThinVolume, ...blocks: readonly number[]): void {
  for (const block of blocks) expect(of.write(bytes(block * BLOCK), sectors(1, 128))).toBeUndefined();
}

function discard(of: ThinVolume, first: number, count: number): unknown {
  reached = [];
  return of.discard(bytes(first * BLOCK), bytes(count * BLOCK));
}

/** A pool whose next command makes it commit by time, and a volume of it with three blocks. */
function dueToCommit(): { readonly pool: ThinPool; readonly volume: ThinVolume } {
  const clock = new Clock();
  const pool = openPool(disks({ data: 64, metadata: 256 }), { clock });
  sendMessage(pool, "create_thin 0");
  const volume = openVolume(pool, 0);
  write(volume, 1, 2, 3);
  clock.spend(seconds(2));
  return { pool, volume };
}

describe("a discard", () => {
  test("reaches each run of data blocks that is mapped in its range as one, and nothing where nothing is mapped", () => {
    write(volume, 10, 11, 12, 20, 21);
    write(volume, 30);
    expect(discard(volume, 11, 30)).toBeUndefined();
    expect(reached).toEqual([
      [1, 2],
      [3, 2],
      [5, 1],
    ]);
    expect(discard(volume, 11, 30)).toBeUndefined();
    expect(reached).toEqual([]);
    expect([pool.counters.unmapped, pool.metadata.dataBlocks - pool.metadata.freeDataBlocks]).toEqual([5, 1]);
    checkPool(pool);
  });

  test("of shared blocks reaches the runs that nobody else has, at both ends and in the middle, and none of no blocks", () => {
    write(volume, 0, 1, 2, 3, 4, 5, 6, 7);
    sendMessage(pool, "create_snap 1 0");
    const snapshot = openVolume(pool, 1);
    // The snapshot leaves 0, 3, 4 and 7 to the origin.
    for (const [first, count] of [
      [0, 1],
      [3, 2],
      [7, 1],
    ] as const)
      expect(discard(snapshot, first, count)).toBeUndefined();
    expect(reached).toEqual([]);
    expect(discard(volume, 0, 8)).toBeUndefined();
    expect(reached).toEqual([
      [0, 1],
      [3, 2],
      [7, 1],
    ]);
    expect(discard(snapshot, 0, 8)).toBeUndefined();
    expect(reached).toEqual([
      [1, 2],
      [5, 2],
    ]);
    expect(pool.metadata.freeDataBlocks).toBe(64);
    checkPool(pool);
  });

  test("that all others share reaches nothing", () => {
    write(volume, 0, 1, 2);
    sendMessage(pool, "create_snap 1 0");
    expect(discard(volume, 0, 3)).toBeUndefined();
    expect([reached, pool.counters.unmapped]).toEqual([[], 3]);
    checkPool(pool);
  });

  test.each([
    ["unmap", "dm_thin_remove_range", []],
    ["incData", "dm_pool_inc_data_range", []],
    ["decData", "dm_pool_dec_data_range", [[0, 2]]],
  ] as const)(
    "in which the metadata fails (%s) gives EIO, and the pool names the operation and goes back to its last commit",
    (call, named, done) => {
      write(volume, 5, 6);
      expect(volume.flush()).toBeUndefined();
      const own = pool.metadata[call].bind(pool.metadata);
      let fails = true;
      Object.assign(pool.metadata, {
        [call]: (...given: Parameters<typeof own>) => (fails ? EIO : (own as (...all: unknown[]) => unknown)(...given)),
      });
      expect(discard(volume, 5, 2)).toBe(EIO);
      fails = false;
      expect(reached).toEqual(done);
      expect(logged).toContain(`pool: metadata operation '${named}' failed: error = -5`);
      expect([pool.mode, pool.metadata.needsCheck]).toEqual(["readOnly", true]);
      expect(pool.metadata.freeDataBlocks).toBe(62);
    },
  );

  test("during which the pool commits by time leaves its blocks counted once more in that commit, which the next one puts right", () => {
    const { pool: timed, volume: of } = dueToCommit();
    expect(discard(of, 1, 2)).toBeUndefined();
    checkPool(timed);
    expect([timed.metadata.freeDataBlocks, timed.lostBlocks]).toEqual([63, 2]);
    expect(timed.commit()).toBeUndefined();
    checkPool(timed);
    expect(timed.lostBlocks).toBe(0);
  });

  test("whose blocks cannot be given back after such a commit leaves them in use, and the books say so", () => {
    const { pool: timed, volume: of } = dueToCommit();
    Object.assign(timed.metadata, { decData: () => EIO });
    expect(discard(of, 1, 2)).toBe(EIO);
    checkPool(timed);
    expect([timed.mode, timed.metadata.freeDataBlocks, timed.lostBlocks]).toEqual(["readOnly", 61, 2]);
  });

  test("without pass-down only unmaps", () => {
    const { data, metadata } = disks({ data: 64, metadata: 256 });
    const plain = openPool({ data: noting(data), metadata }, { table: table("no_discard_passdown") });
    sendMessage(plain, "create_thin 0");
    const of = openVolume(plain, 0);
    write(of, 1, 2, 3);
    expect(discard(of, 2, 5)).toBeUndefined();
    expect([reached, plain.counters.unmapped, plain.metadata.freeDataBlocks]).toEqual([[], 2, 63]);
    checkPool(plain);
  });
});
