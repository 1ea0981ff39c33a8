/**
 * Metadata images: the golden one byte for byte, what thin_restore makes opened and written on, faults told as thin_check tells them.
 */
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { checkPool } from "../../sim/thin/check.ts";
import { thinCheck, thinCheckAndClear, thinDump, thinRestore } from "../../src/thin/commands.ts";
import { BLOCK, HAS_TOOLS, image, openPool, openVolume, sectors, tool } from "./thin-lab.ts";

/** The image of spec/block-cow.md §1.10: four devices on two leaves. */
const GOLDEN = `<superblock uuid="" time="3" transaction="5" flags="0" version="2" data_block_size="128" nr_data_blocks="1600">
  <def name="a">
    <range_mapping origin_begin="0" data_begin="0" length="4" time="0"/>
    <single_mapping origin_block="100" data_block="4" time="0"/>
  </def>
  <def name="b">
    <range_mapping origin_begin="0" data_begin="0" length="3" time="0"/>
    <single_mapping origin_block="3" data_block="5" time="1"/>
    <single_mapping origin_block="100" data_block="4" time="0"/>
  </def>
  <device dev_id="0" mapped_blocks="5" transaction="1" creation_time="0" snap_time="1"><ref name="a"/></device>
  <device dev_id="1" mapped_blocks="5" transaction="2" creation_time="1" snap_time="2"><ref name="b"/></device>
  <device dev_id="2" mapped_blocks="5" transaction="4" creation_time="2" snap_time="2"><ref name="b"/></device>
  <device dev_id="3" mapped_blocks="5" transaction="5" creation_time="3" snap_time="3"><ref name="a"/></device>
</superblock>
`;
const GOLDEN_SHA256 = "1c826ed92696055294acda00fe8c402130ff400793ad39e628a2f4b3d949ed78";

function restored(xml: string): Disk {
  const disk = new Disk({ size: 1024 * 4096 });
  expect(thinRestore(disk, xml)).toEqual({ out: "", err: "", exitCode: 0 });
  return disk;
}

describe("an image", () => {
  test("with shared trees is the golden one, byte for byte", () => {
    const raw = restored(GOLDEN).read(bytes(0), bytes(1024 * 4096));
    expect(isErrno(raw) ? raw.code : raw.sha256()).toBe(GOLDEN_SHA256);
  });

  test.runIf(HAS_TOOLS)("that thin_restore made opens as a pool, which goes on from there", () => {
    const xml = thinDump(restored(GOLDEN)).out;
    const theirs = image(restored(xml));
    expect(tool("thin_check", theirs).code).toBe(0);
    const metadata = new Disk({ size: theirs.length });
    metadata.write(bytes(0), Content.literal(theirs));
    const pool = openPool({ metadata, data: new Disk({ size: 1600 * BLOCK }) });
    const volume = openVolume(pool, 1);
    expect(volume.status).toBe("640 12927");
    expect(volume.write(bytes(0), sectors(7, 1))).toBeUndefined();
    expect(volume.flush()).toBeUndefined();
    const devices = pool.metadata.devices();
    expect(isErrno(devices) ? devices : devices[1]?.runs[0]).toEqual({ origin: 0, data: 6, length: 1, time: 3 });
    checkPool(pool);
    expect(tool("thin_check", image(metadata))).toMatchObject({ code: 0 });
  });

  test.each([
    [
      "a wrong checksum of a leaf",
      9 * 4096 + 40,
      "thin device 0 is missing mappings [0, -]\n    bad checksum in btree node (block 9)",
    ],
    ["a wrong checksum of the details", 7 * 4096 + 40, "missing devices: [0, -]\n    bad checksum in btree node (block 7)"],
    ["a wrong checksum of a bitmap", 2 * 4096 + 40, "bad checksum in space map bitmap (block 2)"],
    ["a wrong checksum of the superblock", 100, "superblock is corrupt"],
  ])("with %s is faulty, in the tool's words", (_, place, words) => {
    const raw = image(restored(GOLDEN));
    raw[place] = (raw[place] as number) ^ 0x55;
    const disk = new Disk({ size: raw.length });
    disk.write(bytes(0), Content.literal(raw));
    const mine = thinCheck(disk);
    expect(mine.exitCode).toBe(1);
    expect(mine.err).toContain(words);
    if (HAS_TOOLS) expect(tool("thin_check", raw)).toEqual({ out: mine.out, err: mine.err, code: 1 });
  });

  test.runIf(HAS_TOOLS)("whose flag is to be cleared is judged as the tool judges it, whichever of its blocks is damaged", () => {
    const whole = image(restored(GOLDEN.replace('flags="0"', 'flags="1"')));
    for (let block = -1; block <= 11; block++) {
      const raw = whole.slice();
      if (block >= 0) raw[block * 4096 + 200] = (raw[block * 4096 + 200] as number) ^ 0x55;
      const disk = new Disk({ size: raw.length });
      disk.write(bytes(0), Content.literal(raw));
      const { out, err, exitCode } = thinCheckAndClear(disk);
      const theirs = tool("thin_check", raw, "--clear-needs-check-flag");
      expect([block, theirs]).toEqual([block, { out, err, code: exitCode }]);
    }
  });

  test("is not made from what is no dump, and the line is told", () => {
    const disk = new Disk({ size: 1024 * 4096 });
    expect(thinRestore(disk, '<superblock time="1">\n').err).toMatch(/^line 1: <superblock> needs /);
    expect(thinRestore(disk, `${GOLDEN.replace('"a"/>', '"z"/>')}`).err).toMatch(/nothing is defined as z/);
    expect(thinRestore(new Disk({ size: 8 * 4096 }), GOLDEN).exitCode).toBe(1);
  });

  test("is not made from a text that ends early, names blocks that the pool lacks, or numbers that are none", () => {
    const disk = new Disk({ size: 1024 * 4096 });
    const dump = (run: string, blocks = 100): string =>
      `<superblock uuid="" time="1" transaction="2" flags="0" version="2" data_block_size="128" nr_data_blocks="${blocks}">\n  <device dev_id="1" mapped_blocks="2" transaction="0" creation_time="0" snap_time="1">\n    ${run}\n  </device>\n</superblock>\n`;
    const range = (from: number | string, length: number | string): string =>
      `<range_mapping origin_begin="0" data_begin="${from}" length="${length}" time="0"/>`;
    expect(thinRestore(disk, dump(range(98, 2))).exitCode).toBe(0);
    // As thin_restore 0.9 says it.
    expect(thinRestore(disk, dump(range(0, 200))).err).toBe("mapping beyond end of data device (100 >= 100)\n");
    expect(thinRestore(disk, dump(range(150, 1))).err).toBe("mapping beyond end of data device (150 >= 100)\n");
    expect(thinRestore(disk, dump(range(0, "9".repeat(20)))).err).toMatch(/^line 3: the length of <range_mapping> is too large/);
    expect(thinRestore(disk, dump(range(0, 1)).slice(0, -30)).err).toMatch(/^line 3: the text ends within <device>/);
    expect(thinRestore(disk, dump(range(0, 1), 1e12)).err).toBe("metadata device too small: No space left on device\n");
  });
});
