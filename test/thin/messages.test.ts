/**
 * What a pool answers to messages and logs of them, in the order in which the kernel looks (drivers/md/dm-thin.c, pool_message and
 * process_*_mesg), and what it says of devices that it cannot grow to.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { FaultyDevice } from "../../sim/block/faulty.ts";
import { EINVAL } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { sendMessage } from "../../sim/thin/messages.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { poolStatus, poolStatusLine } from "../../sim/thin/status.ts";
import { ThinVolume } from "../../sim/thin/volume.ts";
import { thinCheckAndClear } from "../../src/thin/commands.ts";
import { BLOCK, disks, HAS_TOOLS, IMAGE, image, openPool, openVolume, sectors, table, tools } from "./thin-lab.ts";

interface Logged {
  readonly pool: ThinPool;
  readonly lines: string[];
}

/** A pool with device 0, which is in use, and its snapshot 1. */
function logged(): Logged {
  const lines: string[] = [];
  const pool = openPool(disks({ data: 16, metadata: 256 }), { log: (line) => lines.push(line) });
  sendMessage(pool, "create_thin 0");
  openVolume(pool, 0).write(bytes(0), sectors(1, 1));
  sendMessage(pool, "create_snap 1 0");
  return { pool, lines };
}

describe("a message", () => {
  test.each([
    ["create_thin", "EINVAL", ["Message received with 1 arguments instead of 2."]],
    ["create_thin 2 3", "EINVAL", ["Message received with 3 arguments instead of 2."]],
    ["create_thin x", "EINVAL", ["Message received with invalid device id: x"]],
    ["create_thin -1", "EINVAL", ["Message received with invalid device id: -1"]],
    ["create_thin 0x2", "EINVAL", ["Message received with invalid device id: 0x2"]],
    ["create_thin 16777216", "EINVAL", ["Message received with invalid device id: 16777216"]],
    ["create_thin 16777215", undefined, []],
    ["create_thin +2", undefined, []],
    ["CREATE_THIN 2", undefined, []],
    ["create_thin 1", "EEXIST", ["Creation of new thinly-provisioned device with id 1 failed."]],
    ["create_snap 2", "EINVAL", ["Message received with 2 arguments instead of 3."]],
    ["create_snap x y", "EINVAL", ["Message received with invalid device id: x"]],
    ["create_snap 2 y", "EINVAL", ["Message received with invalid device id: y"]],
    // That the snapshot exists is seen before that its origin is missing.
    ["create_snap 1 9", "EEXIST", ["Creation of new snapshot 1 of device 9 failed."]],
    ["create_snap 1 1", "EEXIST", ["Creation of new snapshot 1 of device 1 failed."]],
    ["create_snap 2 9", "ENODATA", ["Creation of new snapshot 2 of device 9 failed."]],
    ["create_snap 2 2", "ENODATA", ["Creation of new snapshot 2 of device 2 failed."]],
    ["create_snap 2 1", undefined, []],
    ["delete", "EINVAL", ["Message received with 1 arguments instead of 2."]],
    ["delete x", "EINVAL", ["Message received with invalid device id: x"]],
    ["delete 9", "ENODATA", ["Deletion of thin device 9 failed."]],
    ["delete 0", "EBUSY", ["Deletion of thin device 0 failed."]],
    ["delete 1", undefined, []],
    ["set_transaction_id 0", "EINVAL", ["Message received with 2 arguments instead of 3."]],
    ["set_transaction_id a b", "EINVAL", ["set_transaction_id message: Unrecognised id a."]],
    ["set_transaction_id 0 b", "EINVAL", ["set_transaction_id message: Unrecognised new id b."]],
    ["set_transaction_id 1 2", "EINVAL", ["mismatched transaction id", "Failed to change transaction id from 1 to 2."]],
    ["set_transaction_id 0 0", undefined, []],
    ["set_transaction_id 0 4294967296", undefined, []],
    ["reserve_metadata_snap 1", "EINVAL", ["Message received with 2 arguments instead of 1."]],
    ["reserve_metadata_snap", undefined, []],
    ["release_metadata_snap 1", "EINVAL", ["Message received with 2 arguments instead of 1."]],
    ["release_metadata_snap", "EINVAL", ["release_metadata_snap message failed."]],
    [" ", "EINVAL", ["Empty message received."]],
    ["trim 0 1", "EINVAL", ["Unrecognised thin pool target message received: trim"]],
  ] as const)("%s gives %s", (text, code, lines) => {
    const { pool, lines: got } = logged();
    const before = pool.counters.commits;
    expect([sendMessage(pool, text)?.code, got]).toEqual([code, lines]);
    // Only one that is done is committed; holding a snapshot commits once more before.
    expect(pool.counters.commits - before).toBe(code !== undefined ? 0 : text.startsWith("reserve") ? 2 : 1);
    checkPool(pool);
  });

  test("that holds the metadata is refused while it is held, and figures say so", () => {
    const { pool, lines } = logged();
    sendMessage(pool, "reserve_metadata_snap");
    const { held, usedMetadata } = poolStatus(pool) as NonNullable<ReturnType<typeof poolStatus>>;
    expect(poolStatusLine(pool)).toContain(` ${held} rw `);
    expect([sendMessage(pool, "reserve_metadata_snap")?.code, lines]).toEqual([
      "EBUSY",
      ["reserve_metadata_snap message failed."],
    ]);
    checkPool(pool);
    // What is deleted meanwhile stays in the snapshot.
    expect(sendMessage(pool, "delete 1")).toBeUndefined();
    checkPool(pool);
    expect(sendMessage(pool, "release_metadata_snap")).toBeUndefined();
    expect(poolStatus(pool)).toMatchObject({ held: undefined, usedMetadata: usedMetadata - 1 });
    checkPool(pool);
  });

  test("is not served in a mode without changes, whatever it says (pool_message)", () => {
    const { pool, lines } = logged();
    pool.suspend();
    pool.reload({ table: table("read_only") });
    pool.resume();
    lines.length = 0;
    expect(["delete 1", "nonsense", "set_transaction_id 0 1"].map((text) => sendMessage(pool, text)?.code)).toEqual(
      new Array(3).fill("ENOTSUP"),
    );
    expect(lines).toEqual(new Array(3).fill("pool: unable to service pool target messages in READ_ONLY or FAIL mode"));
  });
});

describe("a volume's table", () => {
  test("is refused for an id that is none, a device that is not there, a pool that is suspended (thin_ctr)", () => {
    const { pool } = logged();
    const why = (id: number): unknown => {
      const volume = ThinVolume.open(pool, { name: "thin", id, size: BLOCK });
      return volume instanceof ThinVolume ? volume.status : [volume.errno.code, volume.reason];
    };
    expect([why(2 ** 24), why(-1), why(7), why(1)]).toEqual([
      ["EINVAL", "Invalid device id"],
      ["EINVAL", "Invalid device id"],
      ["ENODATA", "Couldn't open thin internal device"],
      "128 127",
    ]);
    pool.suspend();
    expect([why(7), why(1)]).toEqual([
      ["ENODATA", "Couldn't open thin internal device"],
      ["EINVAL", "Unable to activate thin device while pool is suspended"],
    ]);
    pool.resume();
    // The refused one does not keep the device.
    expect(sendMessage(pool, "delete 1")?.code).toBe("EBUSY");
  });

  test("bounds what can be read, written and discarded, in whole sectors", () => {
    const { pool } = logged();
    const volume = openVolume(pool, 1, 4);
    const beyond = bytes(4 * BLOCK - 512);
    expect([
      volume.read(beyond, bytes(1024)),
      volume.write(beyond, sectors(1, 2)),
      volume.discard(beyond, bytes(1024)),
      volume.read(bytes(100), bytes(512)),
      volume.write(bytes(100), sectors(1, 1)),
      volume.discard(bytes(0), bytes(100)),
    ]).toEqual(new Array(6).fill(EINVAL));
  });
});

describe("growing", () => {
  test("waits until metadata that needs a check is repaired (maybe_resize_data_dev, maybe_resize_metadata_dev)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    const small = new FaultyDevice(devices.metadata);
    const first = openPool({ data: devices.data, metadata: small }, { sectors: 8 * 128 });
    sendMessage(first, "create_thin 0");
    openVolume(first, 0).write(bytes(0), sectors(1, 1));
    small.inject({ on: "write", at: 2 });
    first.commit();
    expect(first.metadata.needsCheck).toBe(true);
    const larger = new Disk({ size: 300 * 4096 });
    devices.metadata.visit((offset, content) => larger.write(bytes(offset), content));
    const lines: string[] = [];
    const pool = openPool({ data: devices.data, metadata: larger }, { log: (line) => lines.push(line) });
    expect([pool.mode, pool.metadata.dataBlocks, pool.metadata.metadataBlocks]).toEqual(["readOnly", 8, 256]);
    expect(lines).toEqual([
      "pool: unable to switch pool to write mode until repaired.",
      "pool: switching pool to read-only mode",
      "pool: unable to grow the data device until repaired.",
      "pool: unable to grow the metadata device until repaired.",
    ]);
  });

  test("goes on once a check has found nothing, which clears the flag as the tool does (thin_check --clear-needs-check-flag)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    const faulty = new FaultyDevice(devices.metadata);
    const first = openPool({ data: devices.data, metadata: faulty });
    sendMessage(first, "create_thin 0");
    openVolume(first, 0).write(bytes(0), sectors(1, 1));
    faulty.inject({ on: "write", at: 2 });
    first.commit();
    const raw = image(devices.metadata);
    expect(openPool(devices).mode).toBe("readOnly");
    const result = thinCheckAndClear(devices.metadata);
    expect(result.exitCode).toBe(0);
    expect(openPool(devices).mode).toBe("write");
    if (!HAS_TOOLS) return;
    const [told, cleared] = tools(
      [
        ["thin_check", "--clear-needs-check-flag", IMAGE],
        ["base64", "-w0", IMAGE],
      ],
      raw,
    );
    expect(told).toEqual({ out: result.out, err: result.err, code: 0 });
    expect(Buffer.compare(Buffer.from(cleared?.out ?? "", "base64"), image(devices.metadata))).toBe(0);
  });

  test("takes a larger metadata device in, and refuses a smaller one", () => {
    const devices = disks({ data: 16, metadata: 256 });
    openPool(devices).close();
    const resized = (blocks: number): { lines: string[]; pool: ReturnType<typeof ThinPool.open> } => {
      const lines: string[] = [];
      const metadata = new Disk({ size: blocks * 4096 });
      devices.metadata.visit((offset, content) => metadata.write(bytes(offset), content));
      const pool = ThinPool.open({ name: "pool", data: devices.data, metadata, table: table(), log: (line) => lines.push(line) });
      return { lines, pool };
    };
    const { pool, lines } = resized(40_000);
    if (!(pool instanceof ThinPool)) throw new Error(pool.reason);
    expect(lines).toEqual(["pool: growing the metadata device from 256 to 40000 blocks"]);
    expect(poolStatusLine(pool)).toMatch(/\/40000 0\/16 - rw .* - 1024 $/);
    checkPool(pool);
    const less = resized(200);
    expect(less.pool).toMatchObject({ errno: EINVAL });
    expect(less.lines).toEqual(["pool: metadata device (200 blocks) too small: expected 256"]);
  });

  test("does not change the size of data blocks (dm_pool_metadata_open)", () => {
    const devices = disks({ data: 16, metadata: 256 });
    openPool(devices).close();
    const pool = ThinPool.open({ name: "pool", ...devices, table: { ...table(), blockSectors: 256 } });
    expect(pool).toMatchObject({ errno: EINVAL, reason: "Error creating metadata object" });
  });

  test("a pool over a blank device is not made where it may not be written", () => {
    const pool = ThinPool.open({ name: "pool", ...disks({ data: 16, metadata: 256 }), table: table("read_only") });
    expect(pool).toMatchObject({ errno: { code: "EPERM" }, reason: "Error creating metadata object" });
  });
});

test("a pool with blocks that are no power of two cuts, zeroes and discards at their borders", () => {
  const size = 384 * 512;
  const data = new Disk({ size: 8 * size });
  data.write(bytes(0), sectors(0xaa, 8 * 384));
  const pool = openPool({ data, metadata: new Disk({ size: 256 * 4096 }) }, { table: { ...table(), blockSectors: 384 } });
  sendMessage(pool, "create_thin 0");
  const volume = ThinVolume.open(pool, { name: "thin0", id: 0, size: 6 * size });
  if (!(volume instanceof ThinVolume)) throw new Error(volume.reason);
  expect(volume.write(bytes(383 * 512), sectors(1, 2))).toBeUndefined();
  expect(volume.write(bytes(4 * size), sectors(2, 384))).toBeUndefined();
  expect(pool.counters).toMatchObject({ provisioned: 3, zeroed: 2 });
  expect(volume.status).toBe("1152 1919");
  expect(volume.discard(bytes(512), bytes(5 * size - 512))).toBeUndefined();
  expect(volume.status).toBe("384 383");
  checkPool(pool);
});
