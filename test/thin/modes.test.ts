/**
 * What a pool does where few get: between its modes, at reloads, with bios that wait, at the end of its metadata. Each test names the functions
 * of drivers/md/dm-thin.c (Linux 6.1 to 6.18) that say so.
 */
import { describe, expect, test } from "vitest";
import { Disk, keepAll } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { LinearDevice } from "../../sim/block/linear.ts";
import { Clock } from "../../sim/core/clock.ts";
import { EINVAL, EIO, ENOSPC, ENOTSUP, isErrno } from "../../sim/core/errno.ts";
import { EventStream } from "../../sim/core/events.ts";
import { bytes, seconds } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import type { PoolOptions } from "../../sim/thin/pool-options.ts";
import { poolStatus, poolStatusLine } from "../../sim/thin/status.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";
import { Waiting } from "../../sim/thin/waiting.ts";
import { BLOCK, type Disks, disks, openPool, openVolume, sectors, table } from "./thin-lab.ts";

/** A pool of `blocks`, all of them mapped by device 0, and one more write of device 0 that waits. */
function fullPool(blocks: number, options: Partial<PoolOptions> = {}): { pool: ThinPool; volume: ThinVolume; waiting: Waiting } {
  const pool = openPool(disks({ data: 16, metadata: 256 }), { sectors: blocks * 128, clock: new Clock(), ...options });
  sendMessage(pool, "create_thin 0");
  const volume = openVolume(pool, 0);
  expect(volume.write(bytes(0), sectors(1, blocks * 128))).toBeUndefined();
  const waiting = volume.submit(bytes(blocks * BLOCK), sectors(2, 1));
  if (!(waiting instanceof Waiting)) throw new Error("the write does not wait");
  return { pool, volume, waiting };
}

function suspendAndResume(pool: ThinPool): void {
  pool.suspend();
  expect(pool.resume()).toBeUndefined();
}

describe("bios that wait for space", () => {
  test("wait again for the whole time after a resume, and so do later ones after the time was up (bind_control_target)", () => {
    const clock = new Clock();
    const { pool, volume, waiting } = fullPool(2, { clock });
    clock.spend(seconds(59));
    suspendAndResume(pool);
    clock.spend(seconds(59));
    expect([poolStatus(pool)?.noSpace, waiting.pending]).toEqual(["queue_if_no_space", true]);
    expect(pool.waitFor(waiting)).toBe(ENOSPC);
    expect(clock.now).toBe(seconds(59 + 60));
    expect(volume.submit(bytes(2 * BLOCK), sectors(2, 1))).toBe(ENOSPC);
    suspendAndResume(pool);
    expect([poolStatus(pool)?.mode, poolStatus(pool)?.noSpace]).toEqual(["out_of_data_space", "queue_if_no_space"]);
    expect(volume.submit(bytes(2 * BLOCK), sectors(2, 1))).toBeInstanceOf(Waiting);
  });

  test("do not run out of time while the pool is suspended (pool_postsuspend)", () => {
    const clock = new Clock();
    const { pool, waiting } = fullPool(2, { clock });
    pool.suspend();
    clock.spend(seconds(100));
    expect(poolStatus(pool)?.noSpace).toBe("queue_if_no_space");
    pool.resume();
    expect(waiting.pending).toBe(true);
  });

  test("wait for ever where the time is 0, and there is nothing that would end it", () => {
    const clock = new Clock();
    const { pool, waiting } = fullPool(2, { clock, noSpaceTimeout: 0 });
    clock.spend(seconds(1000));
    expect(poolStatus(pool)?.noSpace).toBe("queue_if_no_space");
    expect([pool.waitFor(waiting), waiting.pending]).toEqual([EIO, true]);
  });

  test("take the space of a discard after the status that tells of it (check_for_data_space, requeue_bios)", () => {
    const clock = new Clock();
    const { pool, volume, waiting } = fullPool(2, { clock });
    expect(volume.discard(bytes(0), bytes(BLOCK))).toBeUndefined();
    expect(poolStatusLine(pool)).toMatch(/ 1\/2 - rw /);
    expect(waiting.pending).toBe(true);
    clock.spend(seconds(1));
    clock.runDueTimers();
    expect([waiting.pending, waiting.error]).toEqual([false, undefined]);
    expect(poolStatusLine(pool)).toMatch(/ 2\/2 - rw /);
    expect(volume.status).toBe("256 383");
    checkPool(pool);
  });

  test("go on within a second where blocks became free meanwhile, as the worker commits then (do_waker, check_for_data_space)", () => {
    const clock = new Clock();
    const { pool, volume, waiting } = fullPool(2, { clock, table: table("no_discard_passdown") });
    clock.spend(seconds(10));
    pool.commitForFlush();
    expect(volume.discard(bytes(0), bytes(BLOCK))).toBeUndefined();
    expect(waiting.pending).toBe(true);
    expect(pool.waitFor(waiting)).toBeUndefined();
    expect(clock.now).toBeLessThanOrEqual(seconds(11));
    expect([poolStatusLine(pool), volume.status]).toEqual([expect.stringMatching(/ 2\/2 - rw /), "256 383"]);
    checkPool(pool);
  });

  test("take what a resize brings at once, as far as it goes (pool_resume)", () => {
    const pool = openPool(disks({ data: 16, metadata: 256 }), { sectors: 8 * 128, clock: new Clock() });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    volume.write(bytes(0), sectors(1, 8 * 128));
    const waiting = volume.submit(bytes(8 * BLOCK), sectors(2, 4 * 128));
    pool.suspend();
    pool.reload({ sectors: 10 * 128 });
    pool.resume();
    expect(poolStatusLine(pool)).toMatch(/ 10\/10 - out_of_data_space /);
    expect(waiting).toMatchObject({ pending: true });
    pool.suspend();
    pool.reload({ sectors: 12 * 128 });
    pool.resume();
    expect(waiting).toMatchObject({ pending: false, error: undefined });
    expect(poolStatusLine(pool)).toMatch(/ 12\/12 - rw /);
  });

  test("fail for want of space when the pool becomes read-only, as none had come (get_pool_io_error_code)", () => {
    const { pool, volume, waiting } = fullPool(2);
    pool.suspend();
    pool.reload({ table: table("read_only") });
    pool.resume();
    expect([pool.mode, waiting.pending, waiting.error]).toEqual(["readOnly", false, ENOSPC]);
    expect(volume.submit(bytes(2 * BLOCK), sectors(2, 1))).toBe(EIO);
  });

  test("fail at once under error_if_no_space, which a reload can ask for and take back (bind_control_target)", () => {
    const { pool, volume, waiting } = fullPool(2);
    const reload = (...words: string[]): void => {
      pool.suspend();
      pool.reload({ table: table(...words) });
      pool.resume();
    };
    reload("error_if_no_space");
    // The pool is in write mode again, tries the bio, finds nothing, and fails it.
    expect([waiting.pending, waiting.error, pool.mode]).toEqual([false, ENOSPC, "outOfDataSpace"]);
    expect(volume.submit(bytes(2 * BLOCK), sectors(2, 1))).toBe(ENOSPC);
    reload();
    expect(volume.submit(bytes(2 * BLOCK), sectors(2, 1))).toBeInstanceOf(Waiting);
  });
});

describe("a reload", () => {
  test("does not change the block size (__pool_find)", () => {
    const pool = openPool(disks({ data: 16, metadata: 256 }));
    pool.suspend();
    expect(pool.reload({ table: { ...table("error_if_no_space"), blockSectors: 256 } })).toBeUndefined();
    expect(pool.resume()).toBeUndefined();
    expect(pool.tableLine).toBe("0:0 0:0 128 0 1 error_if_no_space ");
  });

  test("may not turn discards on or off (pool_ctr)", () => {
    const pool = openPool(disks({ data: 16, metadata: 256 }));
    expect(pool.reload({ table: table("ignore_discard") })?.reason).toBe("Discard support cannot be disabled once enabled");
  });

  test("to less than the metadata knows leaves the pool suspended, and a longer one makes it go on (maybe_resize_data_dev)", () => {
    const lines: string[] = [];
    const pool = openPool(disks({ data: 16, metadata: 256 }), { log: (line) => lines.push(line) });
    pool.suspend();
    pool.reload({ sectors: 15 * 128 });
    expect([pool.resume(), pool.suspended]).toEqual([EINVAL, true]);
    expect(lines.at(-1)).toBe("pool: pool target (15 blocks) too small: expected 16");
    pool.reload({ sectors: 16 * 128 });
    expect([pool.resume(), pool.suspended]).toEqual([undefined, false]);
  });

  test("to read_only keeps what was written readable and refuses changes; one without it brings writing back (set_pool_mode)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    const pool = openPool(devices);
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    volume.write(bytes(0), sectors(1, 128));
    volume.flush();
    pool.suspend();
    const written = devices.metadata.counters.writes;
    pool.reload({ table: table("read_only") });
    pool.resume();
    expect(volume.write(bytes(0), sectors(2, 1))).toBeUndefined();
    expect(volume.write(bytes(BLOCK), sectors(2, 1))).toBe(EIO);
    expect(volume.discard(bytes(0), bytes(BLOCK))).toBeUndefined();
    expect(volume.flush()).toBeUndefined();
    expect(volume.status).toBe("128 127");
    expect(poolStatusLine(pool)).toMatch(/ ro discard_passdown queue_if_no_space - /);
    expect(sendMessage(pool, "create_thin 1")?.code).toBe("ENOTSUP");
    expect(devices.metadata.counters.writes).toBe(written);
    pool.suspend();
    pool.reload({ table: table() });
    pool.resume();
    expect(volume.write(bytes(BLOCK), sectors(2, 1))).toBeUndefined();
    checkPool(pool);
  });
});

describe("an external origin", () => {
  function withOrigin(originSectors: number, ...features: string[]): { pool: ThinPool; volume: ThinVolume; origin: Disk } {
    const origin = new Disk({ name: "origin", size: originSectors * 512 });
    origin.write(bytes(0), sectors(9, originSectors));
    const devices = disks({ data: 16, metadata: 256 });
    devices.data.write(bytes(0), sectors(0xaa, 16 * 128));
    const pool = openPool(devices, { table: table(...features) });
    sendMessage(pool, "create_thin 0");
    const volume = ThinVolume.open(pool, { name: "thin0", id: 0, size: 8 * BLOCK, origin });
    if (!(volume instanceof ThinVolume)) throw new Error(volume.reason);
    return { pool, volume, origin };
  }
  const bytesOf = (volume: ThinVolume, first: number, ...at: number[]): (number | string)[] =>
    at.map((sector) => {
      const read = volume.read(bytes((first + sector) * 512), bytes(512));
      return isErrno(read) ? read.code : read.byteAt(0);
    });

  test("that ends within a block is zeros behind its end, and the block of a first write what the pool makes of it (schedule_external_copy)", () => {
    for (const [features, behind] of [
      [[], 0],
      [["skip_block_zeroing"], 0xaa],
    ] as const) {
      const { pool, volume } = withOrigin(128 + 40, ...features);
      expect(bytesOf(volume, 128, 0, 39, 40, 127)).toEqual([9, 9, 0, 0]);
      volume.write(bytes((128 + 60) * 512), sectors(3, 1));
      expect(bytesOf(volume, 128, 0, 39, 40, 60, 127)).toEqual([9, 9, behind, 3, behind]);
      volume.write(bytes(2 * BLOCK), sectors(4, 1));
      expect(bytesOf(volume, 256, 0, 1)).toEqual([4, behind]);
      expect(pool.counters).toMatchObject({ provisioned: 2, copied: 1, copiedBytes: BLOCK });
    }
  });

  test("is not copied where the write covers the block (io_overwrites_block)", () => {
    const { pool, volume, origin } = withOrigin(8 * 128);
    const { reads } = origin.counters;
    volume.write(bytes(0), sectors(3, 128));
    expect([origin.counters.reads - reads, pool.counters.copied, pool.counters.zeroed]).toEqual([0, 0, 0]);
  });

  test("larger than the volume shows only as far as the volume goes", () => {
    const { volume } = withOrigin(100 * 128);
    expect(bytesOf(volume, 0, 8 * 128 - 1)).toEqual([9]);
    expect(volume.read(volume.size, bytes(512))).toBe(EINVAL);
  });

  test("cannot be read past its end while the pool makes no blocks: nobody cuts the bio then (__process_bio_read_only)", () => {
    const { pool, volume } = withOrigin(128 + 40);
    pool.suspend();
    pool.reload({ table: table("read_only") });
    pool.resume();
    expect(bytesOf(volume, 128, 0, 39, 40)).toEqual([9, 9, "EIO"]);
    expect(volume.read(bytes(BLOCK), bytes(BLOCK))).toBe(EIO);
  });

  test("that cannot be read fails the write and maps nothing", () => {
    const faulty = new FaultyDevice(new Disk({ size: 8 * BLOCK }), [{ on: "read", times: Number.POSITIVE_INFINITY }]);
    const pool = openPool(disks({ data: 16, metadata: 256 }));
    sendMessage(pool, "create_thin 0");
    const volume = ThinVolume.open(pool, { name: "thin0", id: 0, size: 8 * BLOCK, origin: faulty });
    if (!(volume instanceof ThinVolume)) throw new Error(volume.reason);
    expect(volume.write(bytes(0), sectors(1, 1))).toBe(EIO);
    expect([volume.mapped, pool.mode]).toEqual([0, "write"]);
  });
});

describe("a discard that is passed on", () => {
  /** Devices 0 and 1 share block 0, which holds ones; everything is committed. */
  function sharing(): { devices: Disks; pool: ThinPool; zero: ThinVolume; one: ThinVolume } {
    const devices = disks({ data: 16, metadata: 256 });
    const pool = openPool(devices);
    sendMessage(pool, "create_thin 0");
    const zero = openVolume(pool, 0);
    zero.write(bytes(0), sectors(1, 2 * 128));
    zero.flush();
    sendMessage(pool, "create_snap 1 0");
    return { devices, pool, zero, one: openVolume(pool, 1) };
  }

  test("reaches no block that another device still has, and those around it (passdown_double_checking_shared_status)", () => {
    const { devices, zero, one, pool } = sharing();
    expect(zero.discard(bytes(0), bytes(2 * BLOCK))).toBeUndefined();
    expect(devices.data.counters.discardedBytes).toBe(0);
    expect(one.discard(bytes(BLOCK), bytes(BLOCK))).toBeUndefined();
    expect(devices.data.counters.discardedBytes).toBe(BLOCK);
    const read = one.read(bytes(0), bytes(512));
    expect(isErrno(read) ? read.code : read.byteAt(0)).toBe(1);
    checkPool(pool);
  });

  test("takes a block that another device left in the same transaction: a power cut gives it back to that device, empty", () => {
    const { devices, zero, one } = sharing();
    // Nothing of this is flushed but the copy's old place is given up, and by the counts of now nobody else has it.
    expect(one.write(bytes(0), sectors(2, 1))).toBeUndefined();
    expect(zero.discard(bytes(0), bytes(BLOCK))).toBeUndefined();
    expect(devices.data.counters.discardedBytes).toBe(BLOCK);
    devices.data.powerCut(keepAll);
    devices.metadata.powerCut(keepAll);
    const again = openVolume(openPool(devices), 1);
    const read = again.read(bytes(0), bytes(BLOCK));
    expect(isErrno(read) ? read.code : read.isZero).toBe(true);
  });

  test("lowers the device's figures although the data device fails it (passdown_endio)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    const data = new FaultyDevice(devices.data);
    const pool = openPool({ data, metadata: devices.metadata });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    volume.write(bytes(0), sectors(1, 3 * 128));
    data.inject({ on: "discard" });
    expect(volume.discard(bytes(100 * 512), bytes(2 * BLOCK))).toBeUndefined();
    expect([volume.status, pool.counters.unmapped]).toEqual(["256 383", 1]);
    checkPool(pool);
  });

  test("is not passed on to a device that cannot discard, and the log says so (disable_passdown_if_not_supported)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    const data = new FaultyDevice(devices.data, [{ on: "discard", times: Number.POSITIVE_INFINITY, error: ENOTSUP }]);
    const lines: string[] = [];
    const pool = openPool({ data, metadata: devices.metadata }, { log: (line) => lines.push(line) });
    expect(lines).toEqual(["Data device (data) discard unsupported: Disabling discard passdown."]);
    expect(poolStatusLine(pool)).toMatch(/ rw no_discard_passdown /);
    expect(pool.tableLine).toBe("0:0 0:0 128 0 0 ");
  });
});

describe("a data device that fails", () => {
  function shared(...features: string[]): { pool: ThinPool; volume: ThinVolume; data: FaultyDevice } {
    const devices = disks({ data: 16, metadata: 256 });
    const data = new FaultyDevice(devices.data);
    const pool = openPool({ data, metadata: devices.metadata }, { table: table(...features) });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    volume.write(bytes(0), sectors(1, 128));
    sendMessage(pool, "create_snap 1 0");
    return { pool, volume, data };
  }

  test.each([[["skip_block_zeroing"]], [[]]])(
    "while a shared block is written anew leaves the old one in place, %j (process_prepared_mapping)",
    (features) => {
      for (const count of [1, 128]) {
        const { volume, data, pool } = shared(...features);
        data.inject({ on: "write" });
        expect(volume.write(bytes(0), sectors(2, count))).toBe(EIO);
        const read = volume.read(bytes(0), bytes(512));
        expect([isErrno(read) ? read.code : read.byteAt(0), pool.counters.broken]).toEqual([1, 0]);
        expect(volume.write(bytes(0), sectors(2, count))).toBeUndefined();
      }
    },
  );

  test("while a new block is filled leaves it unmapped; one that is taken as it is stays mapped (schedule_zero)", () => {
    for (const [features, count, mapped] of [
      [[], 1, 1],
      [[], 128, 1],
      [["skip_block_zeroing"], 128, 2],
    ] as const) {
      const { volume, data } = shared(...features);
      data.inject({ on: "write" });
      expect(volume.write(bytes(BLOCK), sectors(2, count))).toBe(EIO);
      expect([features, count, volume.mapped]).toEqual([features, count, mapped]);
    }
  });
});

describe("at the end of its metadata a pool", () => {
  /** Provisions until the free metadata is used up. @returns the first error. */
  function useUp(...features: string[]): { pool: ThinPool; error: string | undefined } {
    const pool = openPool(disks({ data: 30_000, metadata: 160 }), { table: table(...features) });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0, 200_000);
    for (let block = 0; block < 30_000; block++) {
      const failed = volume.write(bytes(((block * 7919) % 200_000) * BLOCK), sectors(1, 1));
      if (failed !== undefined) return { pool, error: failed.code };
      if (pool.mode !== "write") return { pool, error: undefined };
    }
    throw new Error("there is metadata left");
  }

  test("commits before the reserve is touched, and fails what was being prepared (alloc_data_block, process_prepared_mapping_fail)", () => {
    const { pool, error } = useUp();
    expect([error, pool.mode, pool.metadata.needsCheck]).toEqual(["EIO", "outOfMetadataSpace", false]);
    expect(poolStatusLine(pool)).toMatch(/ 160\/160 .* ro discard_passdown queue_if_no_space - 40 $/);
  });

  test("has a block mapped at once that is not zeroed, which fails as a change and wants a check (schedule_zero)", () => {
    const { pool, error } = useUp("skip_block_zeroing");
    expect([error, pool.mode, pool.metadata.needsCheck]).toEqual(["EIO", "readOnly", true]);
    expect(poolStatusLine(pool)).toMatch(/ ro discard_passdown queue_if_no_space needs_check 40 $/);
  });
});

describe("a pool's mode", () => {
  test("is told to whoever listens, with what its volumes unmap", () => {
    const clock = new Clock();
    const events = new EventStream(() => clock.now);
    const told: unknown[] = [];
    events.subscribe(({ event }) => told.push(event.op === "poolMode" ? event.mode : event.op));
    const { pool, volume } = fullPool(2, { clock, events });
    expect(told.at(-1)).toBe("outOfDataSpace");
    expect(volume.discard(bytes(0), bytes(BLOCK))).toBeUndefined();
    expect(told.at(-1)).toBe("thinUnmap");
    suspendAndResume(pool);
    expect(told.slice(-2)).toEqual(["write", "thinProvision"]);
  });

  test("asked for at a resume stays what it is while the metadata is to be checked (set_pool_mode)", () => {
    const { data, metadata } = disks({ data: 16, metadata: 256 });
    const device = new FaultyDevice(metadata);
    const pool = openPool({ data, metadata: device });
    sendMessage(pool, "create_thin 0");
    device.inject({ on: "flush" });
    expect(sendMessage(pool, "create_thin 1")).toBeUndefined();
    expect(pool.mode).toBe("readOnly");
    pool.suspend();
    pool.reload({ table: table() });
    expect(pool.resume()).toBeUndefined();
    expect([pool.mode, poolStatus(pool)?.needsCheck]).toEqual(["readOnly", true]);
    const line = poolStatusLine(pool);
    pool.close();
    expect(line).toMatch(/ ro .* needs_check /);
  });

  test("without a block for a write in it is never asked for one, and its table must have a length", () => {
    const { pool } = fullPool(2);
    expect(() => pool.newBlock()).toThrow("a new block in mode outOfDataSpace");
    const devices = disks({ data: 16, metadata: 256 });
    expect(ThinPool.open({ name: "pool", table: table(), ...devices, sectors: 0 })).toMatchObject({
      errno: EINVAL,
      reason: "zero-length target",
    });
  });

  test("out of data space comes also from a block that somebody has refused, and a commit by time that fails ends it", () => {
    const clock = new Clock();
    const { data, metadata } = disks({ data: 16, metadata: 256 });
    const device = new FaultyDevice(metadata);
    let refused = false;
    const allocations = { fails: () => refused } as NonNullable<PoolOptions["allocations"]>;
    const pool = openPool({ data, metadata: device }, { clock, allocations });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    expect(volume.write(bytes(0), sectors(1, 128))).toBeUndefined();
    refused = true;
    expect(volume.submit(bytes(BLOCK), sectors(1, 1))).toBeInstanceOf(Waiting);
    expect(pool.mode).toBe("outOfDataSpace");
    device.inject({ on: "write", times: Number.POSITIVE_INFINITY });
    clock.spend(seconds(2));
    clock.runDueTimers();
    expect(["readOnly", "fail"]).toContain(pool.mode);
  });

  test("of a pool without a clock lets no write wait: there is nobody to end it", () => {
    const pool = openPool(disks({ data: 16, metadata: 256 }), { sectors: 128 });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    expect(volume.write(bytes(0), sectors(1, 256))).toBe(ENOSPC);
    expect(pool.mode).toBe("outOfDataSpace");
  });

  test("is read-only where its metadata device grew, and its map could not", () => {
    const { data, metadata } = disks({ data: 64, metadata: 256 });
    openPool({ data, metadata: new LinearDevice(metadata, { name: "meta", start: 0, size: 64 * 4096 }) }).close();
    for (let at = 1; ; at++) {
      const device = new FaultyDevice(metadata.clone({ silent: true }));
      device.inject({ on: "write", at });
      const pool = openPool({ data, metadata: device });
      expect(pool.metadata.metadataBlocks).toBe(pool.mode === "write" ? 256 : 64);
      if (device.failed === 0) break;
      expect(pool.mode).toBe("readOnly");
    }
  });
});

test("a read over several blocks gives the error of any, and one whose mapping cannot be read EIO", () => {
  const { data, metadata } = disks({ data: 64, metadata: 256 });
  const [dataDevice, device] = [new FaultyDevice(data), new FaultyDevice(metadata)];
  const pool = openPool({ data: dataDevice, metadata: device }, { metadataCache: 1 });
  sendMessage(pool, "create_thin 0");
  sendMessage(pool, "create_thin 1");
  const [volume, empty] = [openVolume(pool, 0), openVolume(pool, 1)];
  expect(volume.write(bytes(0), sectors(1, 384))).toBeUndefined();
  expect(volume.flush()).toBeUndefined();
  dataDevice.inject({ on: "read", at: 2 });
  expect(volume.read(bytes(0), bytes(3 * BLOCK))).toBe(EIO);
  device.inject({ on: "read", times: Number.POSITIVE_INFINITY });
  expect(empty.read(bytes(0), bytes(512))).toBe(EIO);
});
