/**
 * Images of many devices and mappings, whose trees have levels of nodes and whose blocks are in more trees than a bitmap can count: they are
 * faultless for thin_check, told alike by thin_dump, and opened as a pool that goes on from there.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { thinCheck, thinDump, thinRestore } from "../../src/thin/commands.ts";
import { BLOCK, HAS_TOOLS, image, openPool, openVolume, sectors, tool } from "./thin-lab.ts";

const SIZE = 2048 * 4096;
const DATA_BLOCKS = 70_000;

/** Mappings that are no neighbours, so that each is an entry: `count` from an origin and a data block on. */
function scattered(count: number, data: number): string {
  return Array.from(
    { length: count },
    (_, at) => `<single_mapping origin_block="${at * 3}" data_block="${data + at * 2}" time="${at % 4}"/>`,
  ).join("\n");
}

/** @param shapes - how many mappings each definition has. @param shared - how many devices refer to each */
function xml(shapes: readonly number[], shared: number): string {
  let data = 0;
  let id = 0;
  const definitions = shapes.map((count, at) => {
    const text = `<def name="d${at}">${scattered(count, data)}</def>`;
    data += count * 2;
    return text;
  });
  const devices = shapes.flatMap((count, at) =>
    Array.from(
      { length: shared },
      () =>
        `<device dev_id="${id++}" mapped_blocks="${count}" transaction="0" creation_time="0" snap_time="4"><ref name="d${at}"/></device>`,
    ),
  );
  const head = `<superblock uuid="" time="4" transaction="9" flags="0" version="2" data_block_size="128" nr_data_blocks="${DATA_BLOCKS}">`;
  return `${head}${definitions.join("\n")}\n${devices.join("\n")}</superblock>\n`;
}

const SHAPES: readonly (readonly [string, readonly number[], number])[] = [
  ["one device of 30,000 mappings, in three levels", [30_000], 1],
  ["a last leaf that would be nearly empty", [252 * 2 + 5], 1],
  ["400 devices, whose details and roots have levels", Array.from({ length: 400 }, () => 1), 1],
  ["trees that five devices share, and more of them than one leaf counts", Array.from({ length: 300 }, () => 2), 5],
];

describe.each(SHAPES)("an image of %s", (_, shapes, shared) => {
  const text = xml(shapes, shared);
  const disk = new Disk({ size: SIZE });

  test("is restored without a fault, and dumped as it was told", () => {
    expect(thinRestore(disk, text)).toEqual({ out: "", err: "", exitCode: 0 });
    expect(thinCheck(disk).exitCode).toBe(0);
    const again = new Disk({ size: SIZE });
    expect(thinRestore(again, thinDump(disk).out).exitCode).toBe(0);
    expect(thinDump(again).out).toBe(thinDump(disk).out);
  });

  test.runIf(HAS_TOOLS)("has no fault for the real thin_check, and is dumped by the real thin_dump as by ours", () => {
    const raw = image(disk);
    expect(tool("thin_check", raw)).toMatchObject({ code: 0 });
    expect(tool("thin_dump", raw).out).toBe(thinDump(disk).out);
  });

  test("opens as a pool that goes on from there", () => {
    const metadata = new Disk({ size: SIZE });
    metadata.write(bytes(0), Content.literal(image(disk)));
    const pool = openPool({ metadata, data: new Disk({ size: DATA_BLOCKS * BLOCK }) });
    const mapped = shapes.reduce((sum, count) => sum + count, 0);
    expect(pool.metadata.dataBlocks - pool.metadata.freeDataBlocks).toBe(mapped);
    const devices = pool.metadata.devices();
    expect(isErrno(devices) ? devices : devices.length).toBe(shapes.length * shared);
    const volume = openVolume(pool, 0, 100_000);
    for (const block of [0, 1, 2, 99_999]) expect(volume.write(bytes(block * BLOCK), sectors(1, 1))).toBeUndefined();
    expect(volume.discard(bytes(0), bytes(90_000 * BLOCK))).toBeUndefined();
    expect(volume.flush()).toBeUndefined();
    checkPool(pool);
    expect(thinCheck(metadata).exitCode).toBe(0);
  });
});
