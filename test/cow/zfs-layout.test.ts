/**
 * The bytes of zfs's metadata blocks, which decide how long they are after compression: they lie where the structures of OpenZFS 2.1 have them
 * (include/sys/spa.h: blkptr_t; dnode.h: dnode_phys_t; sa_impl.h, zfs_sa.h; zap_impl.h; zap_leaf.h; dmu_objset.h: objset_phys_t).
 */
import { describe, expect, test } from "vitest";
import type { BlockKind, BlockPointer } from "../../sim/cow/zfs/block-pointer.ts";
import { compressedLength } from "../../sim/cow/zfs/compress.ts";
import {
  DNODE_BLOCK_BYTES,
  dnodesLength,
  headLength,
  indirectLength,
  LEAF_BYTES,
  lastBlock,
  leafChunks,
  leafHolds,
  leafLength,
  microDirectoryLength,
  objsetLength,
} from "../../sim/cow/zfs/encode.ts";
import { OPENZFS_2_1, ZFS_V23, type ZfsProfile } from "../../sim/cow/zfs/profile.ts";
import * as columns from "../../sim/cow/zfs/records.ts";

const view = new DataView(lastBlock.buffer);
const u16 = (at: number): number => view.getUint16(at, true);
const u32 = (at: number): number => view.getUint32(at, true);
const u64 = (at: number): number => Number(view.getBigUint64(at, true));
const isZero = (from: number, to: number): boolean => lastBlock.subarray(from, to).every((byte) => byte === 0);
const text = (at: number, length: number): string =>
  String.fromCharCode(...lastBlock.subarray(at, at + length)).replace(/\0.*$/, "");

/** Writes a mark where a block ends, which making it leaves alone. */
function markEnd(bytes: number): () => void {
  lastBlock[bytes] = 99;
  return () => expect(lastBlock[bytes]).toBe(99);
}

/** What is told of a block's length is what the compressor makes of all its bytes. */
function expectWhole(profile: ZfsProfile, told: number, bytes: number): void {
  expect(told).toBe(compressedLength(lastBlock.slice(0, bytes), bytes, profile.metadataCompression));
}

function pointer(of: Partial<BlockPointer> = {}): BlockPointer {
  const dvas = [
    { vdev: 1, offset: 0x123_4567_8000, size: 0x2200 },
    { vdev: 2, offset: 0x400, size: 0x2400 },
    { vdev: 3, offset: 0x600, size: 0x2600 },
  ];
  return { dvas, logicalSize: 0x4000, physicalSize: 0x1000, birth: 0x1_0000_0007, level: 2, kind: "data", stamp: 5, ...of };
}

/** A block pointer's fields (blkptr_t), but for the checksum. */
function pointerAt(at: number): object {
  return {
    dvas: [0, 16, 32].map((dva) => [u32(at + dva), u32(at + dva + 4), u64(at + dva + 8)]),
    sizes: [u16(at + 48) + 1, u16(at + 50) + 1],
    properties: [...lastBlock.subarray(at + 52, at + 56)],
    births: [u64(at + 56), u64(at + 64), u64(at + 72), u64(at + 80)],
    fill: u64(at + 88),
  };
}

const LZ4 = 15;
const OFF = 2;
const FLETCHER_4 = 7;
const LITTLE_ENDIAN = 0x80;
/** The fields of `pointer()`. */
const FIELDS = {
  dvas: [
    [0x11, 1, 0x123_4567_8000 / 512],
    [0x12, 2, 2],
    [0x13, 3, 3],
  ],
  sizes: [32, 8],
  properties: [LZ4, FLETCHER_4, 19, LITTLE_ENDIAN | 2],
  births: [0, 0, 0, 0x1_0000_0007],
  fill: 1,
};

describe("an indirect block", () => {
  test("has each pointer in its 128 bytes, and zeros for holes and behind the last", () => {
    const told = indirectLength(OPENZFS_2_1, [pointer(), undefined, pointer({ physicalSize: 0x4000, level: 0, birth: 9 })]);
    expect(pointerAt(0)).toEqual(FIELDS);
    expect(isZero(128, 256)).toBe(true);
    const plain = { ...FIELDS, sizes: [32, 32], properties: [OFF, FLETCHER_4, 19, LITTLE_ENDIAN], births: [0, 0, 0, 9] };
    expect(pointerAt(256)).toEqual(plain);
    lastBlock.fill(0, 384, 1 << 17);
    expectWhole(OPENZFS_2_1, told, 1 << 17);
  });

  test.each<readonly [BlockKind, number]>([
    ["data", 19],
    ["indirect", 19],
    ["dnodes", 10],
    ["objset", 11],
    ["directory", 20],
    ["system", 21],
    ["mos", 2],
  ])("says of what kind a block is: %s", (kind, type) => {
    indirectLength(OPENZFS_2_1, [pointer({ kind })]);
    expect(lastBlock[54]).toBe(type);
    indirectLength(OPENZFS_2_1, [pointer({ kind, dvas: [] })]);
    expect(lastBlock[54]).toBe(type);
  });

  test("has in an embedded pointer its bytes where places and checksum would be, and no more of them than there are", () => {
    for (const physicalSize of [1, 47, 48, 49, 79, 80, 81, 112]) {
      indirectLength(OPENZFS_2_1, [pointer({ dvas: [], physicalSize, birth: 0x2_0000_0001 })]);
      expect([u16(48) >> 8, lastBlock[52], lastBlock[54], lastBlock[55]], `${physicalSize}`).toEqual([
        physicalSize,
        LZ4 | 0x80,
        19,
        0x80,
      ]);
      expect(u64(80)).toBe(0x2_0000_0001);
      const payload = [...lastBlock.subarray(0, 48), ...lastBlock.subarray(56, 80), ...lastBlock.subarray(88, 128)];
      expect(payload.slice(physicalSize).every((byte) => byte === 0)).toBe(true);
      // Random bytes: hardly any is zero, and most are found once.
      expect(payload.slice(0, physicalSize).filter((byte) => byte === 0).length).toBeLessThan(3);
      expect(new Set(payload.slice(0, physicalSize)).size).toBeGreaterThan(physicalSize * 0.6);
      expect(lastBlock[48]).toBe(0);
    }
  });

  test("has Fletcher's four sums of so many random words: each near its mean while it fits 64 bits; none of zeros", () => {
    const seen = new Set<number>();
    for (let stamp = 1; stamp <= 20; stamp++) {
      indirectLength(OPENZFS_2_1, [pointer({ stamp })]);
      const [words, spread] = [1024, 1 / 32];
      const sums = [0, 8, 16].map((at) => u32(96 + at + 4) + 1);
      const means = [words / 2, words ** 2 / 4, words ** 3 / 12];
      for (const [n, sum] of sums.entries()) {
        expect(Math.abs(sum - (means[n] as number)), `sum ${n}`).toBeLessThanOrEqual((means[n] as number) * spread + 1);
        seen.add(sum).add(u32(96 + n * 8));
      }
      seen.add(u32(120)).add(u32(124));
    }
    // Of the first sum's high halves some are the same.
    expect(seen.size).toBeGreaterThan(140);
    indirectLength(OPENZFS_2_1, [pointer({ stamp: 0 })]);
    expect(isZero(96, 128)).toBe(true);
  });

  test("has sums of any value where they do not fit 64 bits", () => {
    const fourth: number[] = [];
    for (let stamp = 1; stamp <= 40; stamp++) {
      indirectLength(OPENZFS_2_1, [pointer({ stamp, physicalSize: 0x20000, logicalSize: 0x20000 })]);
      fourth.push(u32(124) / 2 ** 32);
    }
    expect(Math.min(...fourth)).toBeLessThan(0.2);
    expect(Math.max(...fourth)).toBeGreaterThan(0.8);
  });
});

/** Columns of 32 dnodes, of which none is in use. */
function noDnodes(): columns.DnodesRecord {
  const rows = columns.DNODES_PER_BLOCK;
  return {
    kind: "zfs.dnodes",
    length: 0,
    words: new Float64Array(rows * columns.WORDS),
    times: new Array(rows * columns.TIMES).fill(undefined),
    tops: new Array(rows).fill(undefined),
    bodies: new Array(rows).fill(undefined),
  };
}

function setWords(of: columns.DnodesRecord, index: number, words: Readonly<Record<number, number>>): void {
  for (const [column, value] of Object.entries(words)) of.words[index * columns.WORDS + Number(column)] = value;
}

const FILE = {
  [columns.MODE]: 0o100753,
  [columns.UID]: 1001,
  [columns.GID]: 1002,
  [columns.NLINK]: 3,
  [columns.SIZE]: 0x5_0000_0003,
  [columns.PARENT]: 34,
  [columns.BLOCK_SIZE]: 0x20000,
  [columns.LEVELS]: 2,
  [columns.BLOCKS]: 0x1_0000_0002,
  [columns.USED]: 0x3_0000_0200,
  [columns.GENERATION]: 77,
};

describe("a block of dnodes", () => {
  function withFile(profile: ZfsProfile): number {
    const of = noDnodes();
    setWords(of, 1, FILE);
    of.tops[1] = pointer();
    for (let time = 0; time < 4; time++)
      of.times[4 + time] = { seconds: 1_700_000_000 + time, nanoseconds: 4_000_000 * time + 1000 };
    return dnodesLength(profile, of, new Map());
  }

  test("has a file's numbers in its 512 bytes, and zeros for those that are not in use", () => {
    const told = withFile(OPENZFS_2_1);
    expect([...lastBlock.subarray(512, 520)]).toEqual([19, 17, 2, 1, 44, 0, 0, 3]);
    expect([u16(520), u16(522)]).toEqual([0x20000 / 512, 176]);
    expect([u64(528), u64(536)]).toEqual([0x1_0000_0001, 0x3_0000_0200]);
    expect(pointerAt(576)).toEqual(FIELDS);
    expect([isZero(0, 512), isZero(1024, DNODE_BLOCK_BYTES)]).toEqual([true, true]);
    expectWhole(OPENZFS_2_1, told, DNODE_BLOCK_BYTES);
  });

  test("has a file's attributes in its bonus, in the order of their layout", () => {
    withFile(OPENZFS_2_1);
    const bonus = 512 + 192;
    expect([u32(bonus), u16(bonus + 4)]).toEqual([0x2f505a, 0x402]);
    const numbers = [0, 1, 2, 3, 4, 5].map((n) => u64(bonus + 8 + n * 8));
    expect(numbers).toEqual([0o100753, 0x5_0000_0003, 77, 1001, 1002, 34]);
    // Archive, modified, trivial ACL.
    expect([u32(bonus + 56), u32(bonus + 60)]).toEqual([7, 0x408]);
    for (let time = 0; time < 4; time++) {
      expect(u64(bonus + 64 + time * 16)).toBe(1_700_000_000 + time);
      // Between the virtual clock's milliseconds.
      const beyond = u64(bonus + 72 + time * 16) - (4_000_000 * time + 1000);
      expect(beyond).toBeGreaterThanOrEqual(0);
      expect(beyond).toBeLessThan(256);
    }
    // Links, and an ACL of three entries: owner, group, everybody, each with what the mode gives it.
    expect([u64(bonus + 128), u64(bonus + 136), u64(bonus + 144)]).toEqual([3, 0, 3]);
    const entries = [0, 1, 2].map((n) => [u16(bonus + 152 + n * 8), u16(bonus + 154 + n * 8), u32(bonus + 156 + n * 8)]);
    expect(entries).toEqual([
      [0, 0x1000, 0x120088 | (7 << 1)],
      [0, 0x2000, 0x120088 | (5 << 1)],
      [0, 0x4000, 0x120088 | (3 << 1)],
    ]);
    expect(isZero(bonus + 176, 1024)).toBe(true);
  });

  test("of version 23 has a znode's type and size, and is compressed by LZJB", () => {
    const told = withFile(ZFS_V23);
    expect([...lastBlock.subarray(512, 520)]).toEqual([19, 14, 2, 1, 17, 0, 0, 3]);
    expect(u16(522)).toBe(264);
    expectWhole(ZFS_V23, told, DNODE_BLOCK_BYTES);
  });

  test("has a directory's type, and two more than its entries; a device's number; a symbolic link's target", () => {
    const of = noDnodes();
    setWords(of, 0, { [columns.MODE]: 0o040755, [columns.SIZE]: 5 });
    setWords(of, 2, { [columns.MODE]: 0o020600, [columns.RDEV]: 0x801, [columns.SIZE]: 9 });
    setWords(of, 3, { [columns.MODE]: 0o120777 });
    setWords(of, 31, { [columns.MODE]: 0o120777 });
    of.bodies[3] = { target: "a/target" };
    of.bodies[31] = { target: "x".repeat(200) };
    const expectEnd = markEnd(DNODE_BLOCK_BYTES);
    const told = dnodesLength(OPENZFS_2_1, of, new Map());
    expectEnd();
    const behindAcl = (index: number): number => index * 512 + 192 + 176;
    expect([0, 2, 3, 31].map((index) => lastBlock[index * 512])).toEqual([20, 19, 19, 19]);
    expect([u64(192 + 16), u64(2 * 512 + 192 + 16)]).toEqual([7, 9]);
    expect(u64(behindAcl(2))).toBe(0x801);
    expect(isZero(behindAcl(2) + 8, 3 * 512)).toBe(true);
    expect(text(behindAcl(3), 20)).toBe("a/target");
    expect(text(behindAcl(31), 144)).toBe("x".repeat(144));
    // An empty file has no block that could be its last.
    expect(u64(16)).toBe(0);
    expectWhole(OPENZFS_2_1, told, DNODE_BLOCK_BYTES);
  });

  test("has objects of the system, which have one pointer and no attributes", () => {
    const told = dnodesLength(
      OPENZFS_2_1,
      noDnodes(),
      new Map([
        [4, pointer()],
        [5, undefined],
      ] as const),
    );
    expect([...lastBlock.subarray(2048, 2056)]).toEqual([21, 17, 1, 3, 0, 0, 0, 3]);
    expect([u16(2056), u64(2064), u64(2072)]).toEqual([1, 0, 1024]);
    expect(pointerAt(2112)).toEqual(FIELDS);
    expect([isZero(0, 2048), isZero(2560 + 32, DNODE_BLOCK_BYTES), isZero(2240, 2560)]).toEqual([true, true, true]);
    expectWhole(OPENZFS_2_1, told, DNODE_BLOCK_BYTES);
  });
});

test("an object set's block has the dnode of dnodes, its type, and the dnodes of the sums by user and by group", () => {
  const told = objsetLength(OPENZFS_2_1, {
    tops: [pointer(), undefined, pointer()],
    accounting: [pointer(), pointer()],
    levels: 6,
  });
  expect([...lastBlock.subarray(0, 8)]).toEqual([10, 17, 6, 3, 0, 0, 0, 0]);
  expect([u16(8), u64(24), u64(704)]).toEqual([32, 30_000, 2]);
  expect([pointerAt(64), pointerAt(320)]).toEqual([FIELDS, FIELDS]);
  expect([isZero(192, 320), isZero(448, 704), isZero(712, 1024)]).toEqual([true, true, true]);
  for (const at of [1024, 1536]) {
    expect(lastBlock[at]).toBe(21);
    expect(pointerAt(at + 64)).toEqual(FIELDS);
  }
  expect(isZero(2048, 4096)).toBe(true);
  expectWhole(OPENZFS_2_1, told, 4096);
});

describe("a directory's block", () => {
  test("of a small one has its head and 64 bytes for each name", () => {
    const names = ["a", "b".repeat(49), "c".repeat(60)];
    const told = microDirectoryLength(OPENZFS_2_1, { size: 512, names, objects: [0x1_0000_0002, 3, 4], salt: 9 });
    expect([u32(0), u32(4)]).toEqual([3, 0x8000_0000]);
    expect(new Set([0, u32(8), u32(12)]).size).toBe(3);
    expect(isZero(16, 64)).toBe(true);
    for (const [n, object] of [0x1_0000_0002, 3, 4].entries()) {
      const at = 64 + n * 64;
      expect([u32(at) + (u32(at + 4) & 0xff_ffff) * 2 ** 32, lastBlock[at + 7]]).toEqual([object, 0x80]);
      expect(isZero(at + 8, at + 14)).toBe(true);
      expect(text(at + 14, 50)).toBe((names[n] as string).slice(0, 49));
    }
    expect(isZero(256, 512)).toBe(true);
    expectWhole(OPENZFS_2_1, told, 512);
    const other = u32(8);
    microDirectoryLength(OPENZFS_2_1, { size: 512, names, objects: [2, 3, 4], salt: 10 });
    expect(u32(8)).not.toBe(other);
  });

  test("of a large one has chunks of 24 bytes: an entry, its name and its value, and the free ones in a list", () => {
    const names = ["short", "n".repeat(20), "n".repeat(21), "a name that goes on over several chunks, as long ones do"];
    const expectEnd = markEnd(LEAF_BYTES);
    const told = leafLength(OPENZFS_2_1, names, 5);
    expectEnd();
    const chunkAt = (chunk: number): number => 48 + 1024 + chunk * 24;
    const slots = Array.from({ length: 512 }, (_, slot) => u16(48 + slot * 2)).filter((slot) => slot !== 0xffff);
    const chunks = names.reduce((sum, name) => sum + leafChunks(name.length), 0);
    // The kind of block, what makes it a leaf, its free chunks and its entries.
    expect([u32(4), u32(24), u16(28), u16(30)]).toEqual([0x80000000, 0x2ab1eaf, 638 - chunks, names.length]);
    expect(isZero(0, 4) && isZero(8, 24) && isZero(32, 48)).toBe(true);
    let chunk = 0;
    for (const [n, name] of names.entries()) {
      const entry = chunkAt(chunk);
      expect(slots).toContain(chunk);
      expect([lastBlock[entry], lastBlock[entry + 1], u16(entry + 2), u16(entry + 4), u16(entry + 6)]).toEqual([
        252,
        8,
        0xffff,
        chunk + 1,
        name.length + 1,
      ]);
      const parts = leafChunks(name.length) - 2;
      expect([u16(entry + 8), u16(entry + 10), u32(entry + 12)]).toEqual([chunk + 1 + parts, 1, 0]);
      expect([u32(entry + 16), u32(entry + 20) % 16, u32(entry + 20) > 0]).toEqual([0, 0, true]);
      let found = "";
      for (chunk += 1; found.length <= name.length; chunk++) {
        const isLast = chunk + 1 === u16(entry + 8);
        expect([lastBlock[chunkAt(chunk)], u16(chunkAt(chunk) + 22)]).toEqual([251, isLast ? 0xffff : chunk + 1]);
        found += String.fromCharCode(...lastBlock.subarray(chunkAt(chunk) + 1, chunkAt(chunk) + 22));
      }
      expect(found.replace(/\0+$/, "")).toBe(name);
      const value = chunkAt(chunk);
      expect([lastBlock[value], view.getUint32(value + 5, false), u16(value + 22)]).toEqual([251, 5 + n, 0xffff]);
      chunk += 1;
    }
    expect(chunk).toBe(chunks);
    expect(slots.length).toBe(names.length);
    for (; chunk < 638; chunk++) expect([lastBlock[chunkAt(chunk)], u16(chunkAt(chunk) + 22)]).toEqual([253, chunk + 1]);
    expectWhole(OPENZFS_2_1, told, LEAF_BYTES);
  });

  test("of a large one holds 638 chunks; a name takes as many as its 21 bytes a chunk ask for, and two", () => {
    expect([1, 20, 21, 41, 42, 255].map(leafChunks)).toEqual([3, 3, 4, 4, 5, 15]);
    expect([leafHolds(638), leafHolds(639)]).toEqual([true, false]);
  });

  test.each([
    [[9], [9, 9, 9, 9]],
    [
      [5, 6, 7, 8],
      [5, 6, 7, 8],
    ],
  ] as const)("that is a large one's head points to the leaves %j, each as often as its prefix is short", (leaves, quarters) => {
    const expectEnd = markEnd(LEAF_BYTES);
    const told = headLength(OPENZFS_2_1, Uint32Array.from(leaves));
    expectEnd();
    expect([u32(0), u32(4)]).toEqual([1, 0x8000_0000]);
    expect(isZero(8, 8192)).toBe(true);
    for (let n = 0; n < 1024; n++) expect(u64(8192 + n * 8)).toBe(quarters[n >> 8]);
    expectWhole(OPENZFS_2_1, told, LEAF_BYTES);
  });

  test("that is the head of more leaves than it has pointers points to the first of them", () => {
    headLength(
      OPENZFS_2_1,
      Uint32Array.from({ length: 2000 }, (_, n) => n + 7),
    );
    expect(Array.from({ length: 1024 }, (_, n) => u64(8192 + n * 8) - n)).toEqual(new Array(1024).fill(7));
  });
});
