/** The log's blocks as one run, and records that tell what changed. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { WORDS } from "../../sim/fs/ext4/inode-words.ts";
import { BLOCK_SIZE } from "../../sim/fs/ext4/layout.ts";
import { LogSegment, logBlocksOf } from "../../sim/fs/ext4/log.ts";
import { type InodeExtras, packInode } from "../../sim/fs/ext4/packed-inodes.ts";
import { BLOCK_BITMAP, INODE_TABLE, unpackRecord } from "../../sim/fs/ext4/packed-records.ts";
import { type Metadata, PackedReader, PackedWords } from "../../sim/fs/ext4/packed-words.ts";
import type { BitmapRecord, Ext4Record } from "../../sim/fs/ext4/records.ts";
import { historyOf, Revisions } from "../../sim/fs/ext4/revisions.ts";
import { runs } from "../runs.ts";

const BLOCK: number = BLOCK_SIZE;
const HOME = 1000;

/** A bitmap that tells nothing but its group. */
function bitmap(group: number): Metadata {
  return {
    block: HOME + group,
    stamp: 0,
    pack: (into) => {
      into.put(0);
      into.put(group);
      into.putAll([]);
      return BLOCK_BITMAP;
    },
  };
}

/** What the segment's newest transaction is on the device. */
function added(segment: LogSegment, sequence: number, blocks: readonly Metadata[], revoked: readonly number[]): Content {
  const begin = segment.length;
  segment.add({ sequence, metadata: blocks, blocks: blocks.length, revoked }, () => undefined);
  return Content.record(segment, begin, segment.length);
}

function blocksOf(content: Content): (Ext4Record | undefined)[] {
  return Array.from(
    { length: content.length / BLOCK },
    (_, at) => content.slice(at * BLOCK, (at + 1) * BLOCK).wholeRecord() as Ext4Record | undefined,
  );
}

describe("a transaction in the log", () => {
  test.each([
    [1, 0],
    [254, 0],
    [255, 3],
    [600, 509],
    [3, 510],
    [0, 1],
  ])("of %i blocks and %i revokes has its blocks in the order of jbd2", (count, revokes) => {
    const segment = new LogSegment();
    added(segment, 6, [bitmap(3)], [8]);
    const metadata = Array.from({ length: count }, (_, group) => bitmap(group));
    const homes = metadata.map(({ block }) => block);
    const revoked = Array.from({ length: revokes }, (_, at) => 5000 + at);
    const content = added(segment, 7, metadata, revoked);
    added(segment, 8, [bitmap(4)], []);
    const blocks = blocksOf(content);
    expect(blocks).toHaveLength(logBlocksOf(count, revokes));
    expect(blocks.at(-1)).toMatchObject({ kind: "jbd2.commit", sequence: 7 });
    const told = blocks.flatMap((block) => (block?.kind === "jbd2.revoke" ? block.blocks : []));
    expect(told).toEqual(revoked);
    let at = Math.ceil(revokes / 509);
    for (let first = 0; first < count; first += 254) {
      const descriptor = blocks[at];
      if (descriptor?.kind !== "jbd2.descriptor") throw new Error(`block ${at} is no descriptor`);
      expect(descriptor).toMatchObject({ sequence: 7, blocks: homes.slice(first, first + 254) });
      descriptor.checks.forEach((record, index) => {
        expect(Content.record(record).wholeRecord()).toMatchObject({ kind: "ext4.blockBitmap", group: first + index });
        expect(blocks[at + 1 + index]).toBe(record);
      });
      at += 1 + descriptor.checks.length;
    }
    expect(at).toBe(blocks.length - 1);
  });

  test("gives no block for a part of one, or for bytes of two", () => {
    const content = added(new LogSegment(), 1, [bitmap(0)], []);
    expect(content.wholeRecord()).toBeUndefined();
    expect(content.slice(0, 512).wholeRecord()).toBeUndefined();
    expect(content.slice(512, 512 + BLOCK).wholeRecord()).toBeUndefined();
    expect(Content.concat([content.slice(BLOCK, BLOCK + 512), Content.zeros(BLOCK - 512)]).wholeRecord()).toBeUndefined();
  });

  test("gives a superblock whose first sector is there", () => {
    const superblock = { kind: "ext4.superblock", length: BLOCK, decisiveBytes: 512 };
    const content = Content.record(superblock);
    expect(content.slice(0, 512).wholeRecord()).toBe(superblock);
    expect(content.slice(0, 511).wholeRecord()).toBeUndefined();
    expect(content.slice(512).wholeRecord()).toBeUndefined();
  });
});

test("revisions tell everything, and what they keep alive is at most twice the whole and the last change", () => {
  const WHOLE = 10;
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(WHOLE - 1), { minLength: 1, maxLength: WHOLE }), { maxLength: 30 }), (commits) => {
      const revisions = new Revisions();
      const cells: number[] = new Array<number>(WHOLE).fill(0);
      let told: readonly number[] = [];
      // Pairs of a cell and its value, as a bitmap tells pairs.
      const block: Metadata = {
        block: HOME,
        stamp: 0,
        pack: (into) => {
          const builds = revisions.begin(into, told.length, WHOLE);
          into.put(0);
          into.putAll((builds ? told : [...cells.keys()]).flatMap((place) => [place, cells[place] as number]));
          return BLOCK_BITMAP;
        },
      };
      let value = 0;
      let packed = new PackedWords(4);
      for (const [commit, places] of commits.entries()) {
        for (const place of places) cells[place] = ++value;
        told = places;
        if (commit % 3 === 0) packed = new PackedWords(4);
        const version = unpackRecord({ packed, at: packed.putBlock(block) }) as BitmapRecord;
        const read: number[] = [];
        const history = historyOf(version);
        for (const { changes } of history)
          for (let at = 0; at < changes.length; at += 2) read[changes[at] as number] = changes[at + 1] as number;
        expect(read).toEqual(cells);
        expect(history.reduce((sum, { changes }) => sum + changes.length / 2, 0)).toBeLessThanOrEqual(2 * WHOLE);
      }
    }),
    runs(200),
  );
});

test("words read back as they were put, with a sign or without, and none changes another", () => {
  const word = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
    fc.nat(300),
    fc.nat(40).map((bits) => 2 ** (bits % 32)),
  );
  fc.assert(
    fc.property(fc.array(fc.array(word, { maxLength: 20 }), { maxLength: 10 }), fc.nat(127), (lists, changed) => {
      const packed = new PackedWords(4);
      const places = lists.map((list, block) =>
        packed.putBlock({
          block,
          stamp: 0,
          pack: (into) => {
            const at = into.end;
            into.put(0);
            into.putAll(list);
            into.change(at, changed);
            return INODE_TABLE;
          },
        }),
      );
      let next = places[0] ?? 0;
      for (const [block, list] of lists.entries()) {
        const at = places[block] as number;
        expect([at, packed.homeOf(at), packed.kindOf(at)]).toEqual([next, block, INODE_TABLE]);
        next = at + packed.sizeOf(at);
        const reader = PackedReader.ofEntry({ packed, at });
        expect(reader.unsigned()).toBe(changed);
        expect(reader.unsignedList()).toEqual(list.map((value) => value >>> 0));
        expect(reader.at).toBe(next);
        const signed = PackedReader.ofEntry({ packed, at });
        signed.signed();
        expect(signed.signedList()).toEqual(list.map((value) => value | 0));
      }
    }),
    runs(200),
  );
});

test("small words take a byte, and only such a one is changed in its place", () => {
  const packed = new PackedWords();
  const sizes = [0, 127, 128, 2 ** 14 - 1, 2 ** 14, 2 ** 21 - 1, 2 ** 28, 2 ** 32 - 1, -1].map((word) => {
    const before = packed.end;
    packed.put(word);
    return packed.end - before;
  });
  expect(sizes).toEqual([1, 1, 2, 2, 3, 3, 5, 5, 5]);
  expect(() => packed.change(3, 1)).toThrow("no single byte");
  expect(() => packed.change(1, 128)).toThrow("no single byte");
});

test("inodes read back as they were packed, whichever of their words are 0 and whichever times are equal", () => {
  const word = fc.oneof(fc.constantFrom(0, 1, -1), fc.integer());
  const block = fc.nat(2 ** 32 - 1);
  const extent = fc.tuple(block, fc.integer({ min: -32_767, max: 32_768 }), block);
  const extras: fc.Arbitrary<InodeExtras> = fc.record({
    tree: fc.option(
      fc.oneof(
        fc.array(extent, { maxLength: 4 }).map((extents) => ({ depth: 0, entries: extents.flat() })),
        fc.array(fc.tuple(block, block), { maxLength: 4 }).map((pairs) => ({ depth: 1, entries: pairs.flat() })),
      ),
      { nil: undefined },
    ),
    target: fc.option(fc.string(), { nil: undefined }),
    xattrs: fc.option(fc.constant({ name: "user.a", value: Content.text("b"), next: undefined }), { nil: undefined }),
    xattrBlock: fc.oneof(fc.constant(0), block),
  });
  const inode = fc.tuple(
    fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    fc.array(word, { minLength: WORDS, maxLength: WORDS }),
    extras,
  );
  fc.assert(
    fc.property(fc.array(inode, { maxLength: 16 }), (inodes) => {
      const packed = new PackedWords(4);
      const at = packed.putBlock({
        block: HOME,
        stamp: 0,
        pack: (into) => {
          into.put(0);
          into.put(inodes.length);
          for (const [ino, words, more] of inodes) packInode(into, ino, Int32Array.from(words), more);
          return INODE_TABLE;
        },
      });
      const changes = inodes.map(([ino, words, more]) => ({ ino, words, ...more }));
      expect(unpackRecord({ packed, at })).toEqual({ kind: "ext4.inodeTable", length: BLOCK, since: undefined, changes });
    }),
    runs(200),
  );
});
