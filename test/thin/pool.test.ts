/**
 * A pool's rules one by one: allocation, sharing by time, modes, status and table lines.
 */
import { describe, expect, test } from "vitest";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { Clock } from "../../sim/core/clock.ts";
import { Content } from "../../sim/core/content.ts";
import { ENOSPC, type Errno, isErrno } from "../../sim/core/errno.ts";
import { bytes, deviceNumber, seconds } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { parsePoolTable, poolTableLine, TargetError } from "../../sim/thin/pool-options.ts";
import { poolStatusLine } from "../../sim/thin/status.ts";
import type { ThinVolume } from "../../sim/thin/volume.ts";
import { BLOCK, disks, image, openPool, openVolume, sectors, table } from "./thin-lab.ts";

describe("blocks", () => {
  test("are given out in order, shared by time, and taken again only after a commit", () => {
    // The worked vector of spec/block-cow.md §1.13a.
    const pool = openPool(disks({ data: 8, metadata: 256 }), { table: table("skip_block_zeroing") });
    const used = (): number => pool.metadata.dataBlocks - pool.metadata.freeDataBlocks;
    expect(sendMessage(pool, "create_thin 1")).toBeUndefined();
    const one = openVolume(pool, 1);
    const write = (volume: ThinVolume, block: number): void => {
      expect(volume.write(bytes(block * BLOCK), sectors(1, 1))).toBeUndefined();
    };
    for (const block of [0, 1, 2]) write(one, block);
    expect(sendMessage(pool, "create_snap 2 1")).toBeUndefined();
    const two = openVolume(pool, 2);
    for (const [volume, block] of [
      [one, 0],
      [one, 0],
      [two, 0],
      [two, 5],
    ] as const)
      write(volume, block);
    expect(used()).toBe(5);
    two.close();
    expect(sendMessage(pool, "delete 2")).toBeUndefined();
    expect(used()).toBe(3);
    for (const block of [1, 1]) write(one, block);
    expect(one.discard(bytes(2 * BLOCK), bytes(BLOCK))).toBeUndefined();
    for (const block of [6, 7]) write(one, block);
    expect(pool.commit()).toBeUndefined();
    write(one, 8);
    pool.commit();
    const devices = pool.metadata.devices();
    expect(isErrno(devices) ? devices : devices.map(({ runs }) => runs)).toEqual([
      [
        { origin: 0, data: 3, length: 1, time: 1 },
        { origin: 1, data: 6, length: 1, time: 1 },
        { origin: 6, data: 7, length: 1, time: 1 },
        { origin: 7, data: 0, length: 2, time: 1 },
      ],
    ]);
    expect(pool.counters).toMatchObject({ provisioned: 7, broken: 3, copied: 3, zeroed: 0, unmapped: 1 });
    checkPool(pool);
  });

  test.each([12, 5])("get several writes at once as those one by one, where %i blocks are free", (free) => {
    const run = (atOnce: boolean) => {
      const under = disks({ data: 4 + free, metadata: 256 });
      const pool = openPool(under, { table: table("error_if_no_space") });
      sendMessage(pool, "create_thin 1");
      const origin = openVolume(pool, 1);
      for (const block of [0, 1, 2, 4]) expect(origin.write(bytes(block * BLOCK), sectors(block + 1, 128))).toBeUndefined();
      sendMessage(pool, "create_snap 2 1");
      const volume = openVolume(pool, 2);
      expect(volume.write(bytes(BLOCK), sectors(9, 1))).toBeUndefined();
      const units = Content.pattern(7, 90 * 4096);
      const from = bytes(BLOCK - 3 * 4096);
      let failed: Errno | undefined;
      if (atOnce) failed = volume.writeUnits(from, units, bytes(4096));
      else for (let at = 0; at < units.length; at += 4096) failed ??= volume.write(bytes(from + at), units.slice(at, at + 4096));
      expect(pool.commit()).toBeUndefined();
      checkPool(pool);
      return { failed, counters: pool.counters, data: image(under.data), metadata: image(under.metadata) };
    };
    const together = run(true);
    const apart = run(false);
    expect([together.failed, together.counters]).toEqual([apart.failed, apart.counters]);
    expect(Buffer.compare(together.data, apart.data)).toBe(0);
    expect(Buffer.compare(together.metadata, apart.metadata)).toBe(0);
    expect(together.failed).toBe(free === 12 ? undefined : ENOSPC);
  });

  // process_shared_bio: io_overwrites_block spares the copy (drivers/md/dm-thin.c).
  test("that are shared are copied for a piece of them, and not at all for what overwrites them whole", () => {
    const on = disks({ data: 8, metadata: 256 });
    const pool = openPool(on);
    expect(sendMessage(pool, "create_thin 1")).toBeUndefined();
    const one = openVolume(pool, 1);
    for (const block of [0, 1]) expect(one.write(bytes(block * BLOCK), sectors(1, 128))).toBeUndefined();
    expect(sendMessage(pool, "create_snap 2 1")).toBeUndefined();
    const { counters } = on.data;
    const before = { ...counters };
    expect(one.write(bytes(0), sectors(2, 128))).toBeUndefined();
    expect([counters.reads - before.reads, counters.writtenBytes - before.writtenBytes]).toEqual([0, BLOCK]);
    expect(one.write(bytes(BLOCK), sectors(2, 1))).toBeUndefined();
    expect([counters.readBytes - before.readBytes, counters.writtenBytes - before.writtenBytes]).toEqual([
      BLOCK,
      2 * BLOCK + 512,
    ]);
    checkPool(pool);
  });

  test("that a volume never wrote read as zeros, in a pool that zeroes and in one that does not", () => {
    for (const features of [[], ["skip_block_zeroing"]]) {
      const devices = disks({ data: 8, metadata: 256 });
      devices.data.write(bytes(0), sectors(0xaa, 8 * 128));
      const pool = openPool(devices, { table: table(...features) });
      sendMessage(pool, "create_thin 0");
      const volume = openVolume(pool, 0);
      volume.write(bytes(0), sectors(1, 1));
      const read = volume.read(bytes(0), bytes(2 * BLOCK));
      if (isErrno(read)) throw new Error(read.code);
      expect(read.byteAt(0)).toBe(1);
      expect(read.byteAt(512)).toBe(features.length === 0 ? 0 : 0xaa);
      expect(read.byteAt(BLOCK)).toBe(0);
    }
  });
});

describe("a pool without space", () => {
  test("lets a write wait for a minute, then fails it, until there is space again", () => {
    const clock = new Clock();
    const pool = openPool(disks({ data: 2, metadata: 256 }), { clock });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    volume.write(bytes(0), sectors(1, 256));
    expect(volume.write(bytes(2 * BLOCK), sectors(2, 1))).toBe(ENOSPC);
    expect(clock.now).toBe(seconds(60));
    expect(poolStatusLine(pool)).toMatch(/ out_of_data_space discard_passdown error_if_no_space - 64 $/);
    expect(volume.write(bytes(2 * BLOCK), sectors(2, 1))).toBe(ENOSPC);
    expect(clock.now).toBe(seconds(60));
    expect(volume.write(bytes(0), sectors(3, 1))).toBeUndefined();
    expect(volume.discard(bytes(BLOCK), bytes(BLOCK))).toBeUndefined();
    expect(poolStatusLine(pool)).toMatch(/ 1\/2 - rw discard_passdown queue_if_no_space - 64 $/);
    expect(volume.write(bytes(2 * BLOCK), sectors(2, 1))).toBeUndefined();
    checkPool(pool);
  });

  test("is grown by who hears its event, and the write that waits goes on at once", () => {
    const clock = new Clock();
    const devices = disks({ data: 8, metadata: 256 });
    const lines: string[] = [];
    const pool = openPool(devices, {
      clock,
      sectors: 2 * 128,
      log: (line) => lines.push(line),
      onEvent: () => {
        if (pool.mode !== "outOfDataSpace") return;
        pool.suspend();
        pool.reload({ sectors: 8 * 128 });
        pool.resume();
      },
    });
    sendMessage(pool, "create_thin 0");
    const volume = openVolume(pool, 0);
    expect(volume.write(bytes(0), sectors(1, 3 * 128))).toBeUndefined();
    expect(clock.now).toBe(0);
    expect(lines).toEqual([
      "pool: reached low water mark for data device: sending event.",
      "pool: switching pool to out-of-data-space (queue IO) mode",
      "pool: switching pool to write mode",
      "pool: growing the data device from 2 to 8 blocks",
    ]);
    checkPool(pool);
  });
});

test("a pool whose metadata cannot be written goes back to its last commit, read-only and to be checked", () => {
  const devices = disks({ data: 8, metadata: 256 });
  const metadata = new FaultyDevice(devices.metadata);
  const pool = openPool({ data: devices.data, metadata });
  sendMessage(pool, "create_thin 0");
  const volume = openVolume(pool, 0);
  volume.write(bytes(0), sectors(1, 1));
  metadata.inject({ on: "write", at: 2 });
  expect(volume.flush()).toMatchObject({ code: "EIO" });
  expect(pool.mode).toBe("readOnly");
  expect(poolStatusLine(pool)).toMatch(/ ro discard_passdown queue_if_no_space needs_check 64 $/);
  expect(sendMessage(pool, "create_thin 1")).toMatchObject({ code: "ENOTSUP" });
  expect(volume.write(bytes(0), sectors(1, 1))).toMatchObject({ code: "EIO" });
  const again = openPool(devices);
  expect(again.mode).toBe("readOnly");
  expect(again.metadata.needsCheck).toBe(true);
});

describe("a table", () => {
  test.each([
    ["m d 128 32768 1 skip_block_zeroing", undefined],
    ["m d 127 0", "Invalid block size"],
    ["m d 192 0", "Invalid block size"],
    ["m d 2097280 0", "Invalid block size"],
    ["m d 128 x", "Invalid low water mark"],
    ["m m 128 0", "Error setting metadata or data device"],
    ["m d 128", "Invalid argument count"],
    ["m d 128 0 1 nonsense", "Unrecognised pool feature requested"],
    ["m d 128 0 5 a b c d e", "Invalid number of pool feature arguments"],
    ["m d 128 0 2 read_only", "not enough arguments"],
  ])("%s", (line, reason) => {
    const parsed = parsePoolTable(line.split(" "));
    expect(parsed instanceof TargetError ? parsed.reason : undefined).toBe(reason);
  });

  test("is printed as the kernel prints it", () => {
    const numbers = { metadata: deviceNumber(7, 0), data: deviceNumber(7, 1) };
    expect(poolTableLine(table("error_if_no_space", "skip_block_zeroing"), numbers)).toBe(
      "7:0 7:1 128 0 2 skip_block_zeroing error_if_no_space ",
    );
    expect(poolTableLine(table("read_only", "no_discard_passdown", "ignore_discard"), numbers)).toBe(
      "7:0 7:1 128 0 3 ignore_discard no_discard_passdown read_only ",
    );
  });
});
