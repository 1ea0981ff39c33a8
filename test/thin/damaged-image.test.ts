/** Images whose blocks are whole but say what cannot be: thin_check finds it, and tells it in the words of the real one. */
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes } from "../../sim/core/units.ts";
import { keyAt, setCount, setKey, valueAt } from "../../sim/thin/btree-node.ts";
import { ThinPool } from "../../sim/thin/pool.ts";
import { seal, unseal } from "../../sim/thin/sealed-block.ts";
import { thinCheck, thinDump, thinRestore } from "../../src/thin/commands.ts";
import { HAS_TOOLS, image, table, tool, toolOnEach } from "./thin-lab.ts";

const BLOCK = 4096;
const SIZE = 1024 * BLOCK;

const XML = `<superblock uuid="" time="3" transaction="5" flags="0" version="2" data_block_size="128" nr_data_blocks="1600">
  <device dev_id="0" mapped_blocks="3" transaction="1" creation_time="0" snap_time="1">
    <single_mapping origin_block="0" data_block="4" time="0"/>
    <single_mapping origin_block="7" data_block="9" time="0"/>
    <single_mapping origin_block="100" data_block="2" time="0"/>
  </device>
  <device dev_id="5" mapped_blocks="1" transaction="2" creation_time="1" snap_time="2">
    <single_mapping origin_block="3" data_block="5" time="1"/>
  </device>
</superblock>
`;

/** Where a restored image of it has what (thin_restore's order). */
function places(): { readonly raw: Uint8Array; readonly details: number; readonly devices: number; readonly leaf: number } {
  const disk = new Disk({ size: SIZE });
  expect(thinRestore(disk, XML).exitCode).toBe(0);
  const raw = image(disk);
  const nodes: number[] = [];
  for (let block = 1; block < 20; block++) {
    const found = unseal(Content.literal(raw.subarray(block * BLOCK, (block + 1) * BLOCK)), block, "node");
    if (!isErrno(found)) nodes.push(block);
  }
  // Behind the space maps: details, devices, the mappings of each device.
  const [leaf = 0] = nodes.slice(-2);
  return { raw, details: leaf - 2, devices: leaf - 1, leaf };
}

const MAX_ENTRIES = 5;
const VALUE_SIZE = 6;

type Damage = readonly [string, "details" | "devices" | "leaf", (words: Uint32Array) => void];

/** The checker's words, and its exit code; the damage is in a block that is sealed again. */
function checked(where: Damage[1], damage: Damage[2]): { mine: { out: string; err: string; code: number }; raw: Uint8Array } {
  const { raw, ...at } = places();
  const location = at[where];
  const found = unseal(Content.literal(raw.slice(location * BLOCK, (location + 1) * BLOCK)), location, "node");
  if (isErrno(found)) throw new Error(`block ${location}: ${found.code}`);
  damage(found.words);
  raw.set(seal(found).toBytes(), location * BLOCK);
  const disk = new Disk({ size: SIZE });
  disk.write(bytes(0), Content.literal(raw));
  const { out, err, exitCode } = thinCheck(disk);
  return { mine: { out, err, code: exitCode }, raw };
}

const SHAPES: readonly (readonly [...Damage, string])[] = [
  ["keys in the wrong order", "leaf", (words) => setKey(words, 1, keyAt(words, 0)), "keys are out of order, 0 <= 0"],
  ["more entries than a node holds", "leaf", (words) => setCount(words, 300), "bad nr_entries: 300 < 252"],
  [
    "another size of values",
    "leaf",
    (words) => words.fill(24, VALUE_SIZE, VALUE_SIZE + 1),
    "value size mismatch: expected 8, but got 24",
  ],
  ["a most that does not fit", "leaf", (words) => words.fill(9000, MAX_ENTRIES, MAX_ENTRIES + 1), "max entries too large: 9000"],
  [
    "a tree in a bitmap",
    "devices",
    (words) => words.fill(2, valueAt(words, 0), valueAt(words, 0) + 1),
    "bad checksum in btree node (block 2)",
  ],
];

test.each(SHAPES)("%s: a node that cannot be is told as the tool tells it", (_, where, damage, words) => {
  const { mine, raw } = checked(where, damage);
  expect(mine).toMatchObject({ code: 1, err: expect.stringContaining(words) });
  if (HAS_TOOLS) expect(mine).toEqual(tool("thin_check", raw));
});

/** thin_check 0.9 does not compare these; later ones do. */
const FIGURES: readonly (readonly [...Damage, string])[] = [
  [
    "a mapping less than the details say",
    "leaf",
    (words) => setCount(words, 2),
    "device 0 has unexpected number of mappings, expected 3, actual 2",
  ],
  [
    "details of another number of mappings",
    "details",
    (words) => words.fill(9, valueAt(words, 0), valueAt(words, 0) + 1),
    "device 0 has unexpected number of mappings, expected 9, actual 3",
  ],
  [
    "a data block that another mapping has",
    "leaf",
    (words) => words.copyWithin(valueAt(words, 1), valueAt(words, 0), valueAt(words, 0) + 2),
    "Bad reference count for data block 4.  Expected 2, but space map contains 1.",
  ],
  ["a device without mappings", "devices", (words) => setCount(words, 1), "the details tree and the mapping tree (device 5)"],
  ["a device without details", "details", (words) => setCount(words, 1), "the details tree and the mapping tree (device 5)"],
  ["details of another device", "details", (words) => setKey(words, 1, 6), "the details tree and the mapping tree (device 6)"],
  [
    "two devices on one tree",
    "devices",
    (words) => words.copyWithin(valueAt(words, 1), valueAt(words, 0), valueAt(words, 0) + 2),
    "metadata reference counts differ for block 9, expected 2, but got 1",
  ],
];

test.each(FIGURES)("%s: figures that do not agree are found", (_, where, damage, words) => {
  expect(checked(where, damage).mine).toMatchObject({ code: 1, err: expect.stringContaining(words) });
});

/** Words of the superblock that say where something is: the roots of both trees, and of each space map its index and its counts. */
const ROOTS = {
  details: 82,
  mappings: 80,
  "data index": 20,
  "data counts": 22,
  "metadata index": 52,
  "metadata counts": 54,
  held: 14,
};

/** What the checker says where a root leads to a block of another kind, to one of another tree or behind the end. */
const LEADS: readonly (readonly [keyof typeof ROOTS, number, string])[] = [
  ["details", 0, "missing devices: [0, -]\n    bad checksum in btree node (block 0)"],
  ["details", 2, "missing devices: [0, -]\n    bad checksum in btree node (block 2)"],
  ["details", 9, "missing devices: [0, -]\n    value size mismatch: expected 24, but got 8 (block 9)."],
  ["details", 5000, "missing devices: [0, -]\n    block out of bounds (5000 >= 1024)"],
  ["mappings", 0, "missing all mappings for devices: [0, -]\n    bad checksum in btree node (block 0)"],
  ["mappings", 9, "thin device 100 is missing mappings [0, -]\n    block out of bounds (33554432 >= 1024)"],
  ["mappings", 5000, "missing all mappings for devices: [0, -]\n    block out of bounds (5000 >= 1024)"],
  ["data index", 0, "bad checksum in btree node (block 0)"],
  ["data index", 9, "metadata reference counts differ for block 5, expected 0, but got 1"],
  ["data index", 5000, "block out of bounds (5000 >= 1024)"],
  ["data counts", 1, "bad checksum in btree node (block 1)"],
  ["data counts", 9, "metadata reference counts differ for block 6, expected 0, but got 1"],
  ["metadata index", 0, "bad checksum in metadata index block (block 0)"],
  ["metadata index", 5000, "block out of bounds (5000 >= 1024)"],
  ["metadata counts", 0, "bad checksum in btree node (block 0)"],
  ["metadata counts", 9, "metadata reference counts differ for block 3, expected 0, but got 1"],
  ["held", 2, "bad checksum in superblock, wanted 3081439809"],
  ["held", 5000, "block out of bounds (5000 >= 1024)"],
];

/** An image whose superblock says something else. */
function withWord(at: number, value: number): { readonly disk: Disk; readonly raw: Uint8Array } {
  const { raw } = places();
  const found = unseal(Content.literal(raw.slice(0, BLOCK)), 0, "superblock");
  if (isErrno(found)) throw new Error(found.code);
  found.words[at] = value;
  raw.set(seal(found).toBytes(), 0);
  const disk = new Disk({ size: SIZE });
  disk.write(bytes(0), Content.literal(raw));
  return { disk, raw };
}

test("a root that leads elsewhere: what is there is told as the tool tells it", () => {
  const images = LEADS.map(([root, block]) => withWord(ROOTS[root], block));
  const mine = images.map(({ disk }) => thinCheck(disk)).map(({ out, err, exitCode }) => ({ out, err, code: exitCode }));
  for (const [at, [root, block, words]] of LEADS.entries()) expect(mine[at]?.err, `${root} at ${block}`).toContain(words);
  if (!HAS_TOOLS) return;
  const raws = images.map(({ raw }) => raw);
  for (const [at, told] of toolOnEach("thin_check", raws).entries()) expect(mine[at], LEADS[at]?.join(" ")).toEqual(told);
});

test("a dump needs no map of the metadata, and neither it nor a check asks for features; a pool needs all that it knows", () => {
  const [magic, compatRo] = [8, 89];
  for (const [at, value, errno] of [
    [ROOTS["metadata index"], 5000, "EIO"],
    [compatRo, 1, "EINVAL"],
    [magic, 9, "EILSEQ"],
  ] as const) {
    const { disk, raw } = withWord(at, value);
    expect(thinDump(disk).out).toBe(XML);
    if (at !== ROOTS["metadata index"]) expect(thinCheck(disk)).toMatchObject({ exitCode: 0 });
    if (HAS_TOOLS) expect(tool("thin_dump", raw)).toMatchObject({ out: XML, code: 0 });
    const data = new Disk({ size: 1600 * 65_536 });
    expect(ThinPool.open({ name: "pool", table: table(), data, metadata: disk })).toMatchObject({ errno: { code: errno } });
  }
});
