/**
 * A metadata device that fails, and one that is too small: whatever the command at which it happens, whoever asked gets an error, the pool
 * stops changing its metadata, and what is on the device is the last commit, whole (metadata_operation_failed, abort_transaction).
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { checkImage } from "../../sim/thin/check-image.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { PoolMetadata } from "../../sim/thin/metadata.ts";
import { MetadataBlocks } from "../../sim/thin/metadata-blocks.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import type { PoolOptions } from "../../sim/thin/pool-options.ts";
import { poolStatusLine } from "../../sim/thin/status.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";
import { BLOCK, openVolume, sectors, table } from "./thin-lab.ts";

const SOAK = Number(process.env["COWLAB_SOAK"] ?? 0) > 0;
const DATA_BLOCKS = 20_000;
const METADATA_BLOCKS = 600;
/** Of a step's commands those that fail: the first ones, then ever rarer. */
const PLACES = SOAK ? Array.from({ length: 400 }, (_, at) => at + 1) : [1, 2, 4, 9, 25];
/** Writes that make trees of two levels. */
const MANY = 420;

/** What a run begins with: the disks that another one left. */
interface Left {
  readonly disk: Disk;
  readonly data: Disk;
  readonly dataBlocks: number;
}

class Run {
  readonly disk: Disk;
  readonly device: FaultyDevice;
  readonly data: Disk;
  readonly volumes = new Map<number, ThinVolume>();
  readonly pool: ThinPool | undefined;

  constructor({ disk, data, dataBlocks }: Left, options: Partial<PoolOptions> = {}) {
    this.disk = disk.clone({ silent: true });
    this.device = new FaultyDevice(this.disk);
    this.data = data.clone({ silent: true });
    const pool = ThinPool.open({
      name: "pool",
      data: this.data,
      metadata: this.device,
      table: table("skip_block_zeroing"),
      sectors: dataBlocks * 128,
      metadataCache: 1,
      ...options,
    });
    this.pool = pool instanceof ThinPool ? pool : undefined;
  }

  /** The disks as they are now. */
  get left(): Left {
    const dataBlocks = this.pool?.metadata.dataBlocks ?? 0;
    return { disk: this.disk.clone({ silent: true }), data: this.data.clone({ silent: true }), dataBlocks };
  }

  volume(id: number): ThinVolume | undefined {
    const { pool } = this;
    if (pool === undefined) return undefined;
    const known = this.volumes.get(id);
    if (known !== undefined) return known;
    const volume = ThinVolume.open(pool, { name: `thin${id}`, id, size: 200_000 * BLOCK });
    if (!(volume instanceof ThinVolume)) return undefined;
    this.volumes.set(id, volume);
    return volume;
  }

  message(text: string): Errno | undefined {
    return this.pool === undefined ? undefined : sendMessage(this.pool, text);
  }

  /** Blocks from `first` on in steps of `step`. @returns the first error. */
  many(id: number, first: number, step: number, count: number): Errno | undefined {
    const volume = this.volume(id);
    for (let at = 0; at < count; at++) {
      const failed = volume?.write(bytes((first + at * step) * BLOCK), sectors(1 + (at % 255), 1));
      if (failed !== undefined) return failed;
    }
    return volume?.flush();
  }

  discard(id: number, first: number, count: number): Errno | undefined {
    const volume = this.volume(id);
    return volume?.discard(bytes(first * BLOCK), bytes(count * BLOCK)) ?? volume?.flush();
  }

  remove(id: number): Errno | undefined {
    this.volumes.get(id)?.close();
    this.volumes.delete(id);
    return this.message(`delete ${id}`);
  }

  resume(sectors: number): Errno | undefined {
    this.pool?.suspend();
    this.pool?.reload({ sectors });
    return this.pool?.resume();
  }
}

/** Each is committed at its end, if not before. */
const STEPS: readonly ((run: Run) => Errno | undefined)[] = [
  (run) => run.message("create_thin 1"),
  (run) => run.many(1, 0, 1, MANY),
  (run) => run.many(1, 100_000, 7, MANY),
  (run) => run.message("create_snap 2 1"),
  (run) => run.many(2, 100_003, 7, 200),
  (run) => run.many(1, 100_000, 21, 60),
  (run) => run.message("create_snap 3 2"),
  (run) => run.message("create_snap 4 3"),
  (run) => run.many(4, 0, 3, 90),
  (run) => run.many(3, 1, 3, 90),
  (run) => run.message("reserve_metadata_snap"),
  (run) => run.many(2, 0, 2, 130),
  (run) => run.message("set_transaction_id 0 1"),
  (run) => run.discard(1, 10, 300),
  (run) => run.discard(4, 100_000, 3000),
  (run) => run.message("release_metadata_snap"),
  (run) => run.resume(DATA_BLOCKS * 128),
  (run) => run.remove(2),
  (run) => run.many(3, 50_000, 1, MANY),
  (run) => run.remove(1),
  (run) => run.remove(3),
  (run) => run.discard(4, 0, 200_000),
  (run) => run.message("create_thin 9"),
];

/** The step whose message commits once more in itself, which fails as the message's own error (dm_pool_reserve_metadata_snap). */
const RESERVING = 10;
/**
 * The steps that hold a metadata snapshot and give it up: their change of the superblock goes out with the blocks of the next commit and not
 * behind them, so that what fails between leaves a root that is held and not counted, or the other way round (CVE-2026-72108: kernels before
 * 6.1.178, 6.12.97, 6.18.40).
 */
const HOLDING: ReadonlySet<number> = new Set([RESERVING, 15]);
/** The steps that end with a flush. */
const IS_IO: ReadonlySet<number> = new Set([...STEPS.keys()].filter((at) => /run\.(many|discard)/.test(String(STEPS[at]))));

/** What is on a metadata device, which adds up. */
function found(disk: Disk): string {
  const metadata = PoolMetadata.open(new MetadataBlocks(disk.clone({ silent: true })), {
    dataBlockSectors: 128,
    format: false,
    reserve: "none",
  });
  if (isErrno(metadata)) return metadata.code;
  metadata.check("found", 0);
  return JSON.stringify(metadata.devices());
}

/** New disks. */
function blank(metadataBlocks: number): Left {
  return {
    disk: new Disk({ name: "meta", size: metadataBlocks * 4096 }),
    data: new Disk({ name: "data", size: DATA_BLOCKS * BLOCK }),
    dataBlocks: DATA_BLOCKS / 2,
  };
}

/** Each step made by a pool that is opened for it: the disks before it, and what they hold; and after the last one. */
function withoutFaults(): { readonly left: readonly Left[]; readonly states: readonly string[] } {
  const left = [new Run(blank(METADATA_BLOCKS)).left];
  for (const [index, step] of STEPS.entries()) {
    const run = new Run(left[index] as Left);
    expect([index, step(run)]).toEqual([index, undefined]);
    left.push(run.left);
  }
  return { left, states: left.map(({ disk }) => found(disk)) };
}

describe("a metadata device that fails", () => {
  const { left, states } = withoutFaults();

  test.each([
    ["a read, once", "read", 1],
    ["every read from one on", "read", Number.POSITIVE_INFINITY],
    ["a write, once", "write", 1],
    ["every write from one on", "write", Number.POSITIVE_INFINITY],
    ["a flush", "flush", 1],
  ] as const)("%s, leaves the last commit, and a pool that says so", (_, on, times) => {
    let struckRuns = 0;
    for (const at of STEPS.keys()) {
      for (const place of PLACES) {
        const run = new Run(left[at] as Left);
        run.device.inject({ on, at: place, times });
        const failed = STEPS[at]?.(run);
        const struck = run.device.failed > 0;
        run.device.heal();
        // Further commands of its kind the step does not have.
        if (!struck) break;
        struckRuns += 1;
        const { pool } = run;
        if (pool === undefined) throw new Error("no pool");
        // A message is done when its change is: what comes of its commit is not told (pool_message). A read that fails while references are
        // counted is not told either, and leaves wrong counts, as counting has no result there (dm-thin-metadata.c, with_runs).
        if (on !== "read" && at !== RESERVING) expect(pool.mode).not.toBe("write");
        if (on !== "read" && IS_IO.has(at)) expect([at, place, failed?.code]).toEqual([at, place, "EIO"]);
        if (pool.mode === "write") continue;
        expect(["readOnly", "fail"]).toContain(pool.mode);
        if (on !== "read" && !HOLDING.has(at)) {
          expect(states.slice(at, at + 2)).toContain(found(run.disk));
          checkPool(pool);
        }
        expect(sendMessage(pool, "create_thin 77")?.code).toBe("ENOTSUP");
        expect(poolStatusLine(pool)).toMatch(pool.mode === "fail" ? /^Fail$/ : / ro .* needs_check /);
        // A device whose making was taken back can still be opened, and has no mappings to tell of (__open_device).
        expect(run.volume(1)?.status ?? "").toMatch(pool.mode === "fail" ? /^(Fail)?$/ : /^(\d+ [\d-]+|Error)?$/);
      }
    }
    expect(struckRuns).toBeGreaterThan(STEPS.length);
  });

  test("when it is opened gives no pool, or one whose last commit is there", () => {
    const whole = left[12] as Left;
    for (let at = 1; ; at++) {
      const device = new FaultyDevice(whole.disk.clone({ silent: true }), [{ on: "read", at }]);
      const pool = ThinPool.open({ name: "pool", data: whole.data, metadata: device, table: table("skip_block_zeroing") });
      if (device.failed === 0) break;
      if (pool instanceof ThinPool) checkPool(pool);
      else expect(pool.errno.code).toBe("EIO");
    }
  });
});

describe("a metadata snapshot whose commit fails", () => {
  /** The pool of CVE-2026-72108's reproducers: 2 MiB of metadata of which only the first blocks are good, 16 MiB of data. */
  function pool(goodBlocks: number): { pool: ThinPool; disk: Disk } {
    const disk = new Disk({ name: "meta", size: 512 * 4096 });
    const range = { start: goodBlocks * 4096, end: disk.size };
    const bad = (["read", "write"] as const).map((on) => ({ on, times: Number.POSITIVE_INFINITY, range }));
    const opened = ThinPool.open({
      name: "tpool",
      data: new Disk({ name: "tdata", size: 32_768 * 512 }),
      metadata: new FaultyDevice(disk, bad),
      table: table("skip_block_zeroing"),
    });
    if (!(opened instanceof ThinPool)) throw new Error(opened.reason);
    return { pool: opened, disk };
  }
  const faultsOn = (disk: Disk): readonly unknown[] =>
    checkImage(new MetadataBlocks(disk)).faults.map((fault) =>
      fault.kind === "metadataCount" ? [fault.block, fault.expected, fault.got] : fault,
    );

  test("is held all the same, with nothing counted for it, in the very blocks that a kernel's thin_check told of", () => {
    const made = pool(14);
    sendMessage(made.pool, "reserve_metadata_snap");
    expect(faultsOn(made.disk)).toEqual([
      [6, 2, 1],
      [7, 2, 1],
      [13, 1, 0],
    ]);
  });

  test("is given up all the same, with everything still counted for it", () => {
    const made = pool(16);
    expect(sendMessage(made.pool, "reserve_metadata_snap")).toBeUndefined();
    expect(faultsOn(made.disk)).toEqual([]);
    sendMessage(made.pool, "release_metadata_snap");
    expect(faultsOn(made.disk)).toEqual([
      [6, 1, 2],
      [7, 1, 2],
      [13, 0, 1],
    ]);
  });
});

describe("a metadata device that is too small", () => {
  test("leaves the last commit wherever the blocks run out, and a pool that says so", () => {
    let ranOut = 0;
    for (let blocks = 4; blocks < METADATA_BLOCKS; blocks += SOAK || blocks < 30 ? 1 : 3) {
      const run = new Run(blank(blocks), { metadataReserve: "none" });
      const { pool } = run;
      if (pool === undefined) continue;
      let before = found(run.disk);
      const at = STEPS.findIndex((step) => {
        before = found(run.disk);
        return step(run) !== undefined || pool.mode !== "write";
      });
      if (at < 0) break;
      ranOut += 1;
      expect(["readOnly", "outOfMetadataSpace", "outOfDataSpace", "write"]).toContain(pool.mode);
      // A message that finds no block is refused and leaves what it had begun to the next commit, as with the kernel.
      if (pool.mode === "readOnly") expect(found(run.disk)).toBe(before);
    }
    expect(ranOut).toBeGreaterThan(20);
  });
});

test("volumes of a pool that failed say so, and no other can be opened", () => {
  const run = new Run(blank(METADATA_BLOCKS));
  STEPS[0]?.(run);
  const volume = run.volume(1) as ThinVolume;
  volume.write(bytes(0), sectors(1, 1));
  run.device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
  expect(volume.flush()?.code).toBe("EIO");
  const pool = run.pool as ThinPool;
  expect([pool.mode, volume.status, poolStatusLine(pool)]).toEqual(["fail", "Fail", "Fail"]);
  expect(
    [volume.write(bytes(0), sectors(1, 1)), volume.read(bytes(0), bytes(512)), volume.flush()].map((one) => isErrno(one)),
  ).toEqual([true, true, true]);
  expect(volume.discard(bytes(0), bytes(BLOCK))?.code).toBe("EIO");
  expect(ThinVolume.open(pool, { name: "more", id: 1, size: BLOCK })).toMatchObject({
    reason: "Couldn't open thin device, Pool is in fail mode",
  });
  expect(() => openVolume(pool, 1)).toThrow("EINVAL");
});
