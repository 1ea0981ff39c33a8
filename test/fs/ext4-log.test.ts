/** The log's blocks as one run, and records that tell what changed. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Content } from "../../sim/core/content.ts";
import { LoggedTransaction, logBlocksOf } from "../../sim/fs/ext4/log.ts";
import type { BitmapRecord, Ext4Record } from "../../sim/fs/ext4/records.ts";
import { historyOf, Revisions } from "../../sim/fs/ext4/revisions.ts";
import { runs } from "../runs.ts";

const BLOCK = 4096;

function bitmap(group: number): BitmapRecord {
  return { kind: "ext4.blockBitmap", length: BLOCK, group, since: undefined, changes: [] };
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
    const records = Array.from({ length: count }, (_, group) => bitmap(group));
    const homes = records.map(({ group }) => 1000 + group);
    const revoked = Array.from({ length: revokes }, (_, at) => 5000 + at);
    const content = Content.record(new LoggedTransaction(7, records, homes, revoked));
    const blocks = blocksOf(content);
    expect(blocks).toHaveLength(logBlocksOf(count, revokes));
    expect(blocks.at(-1)).toMatchObject({ kind: "jbd2.commit", sequence: 7 });
    const told = blocks.flatMap((block) => (block?.kind === "jbd2.revoke" ? block.blocks : []));
    expect(told).toEqual(revoked);
    let at = Math.ceil(revokes / 509);
    for (let first = 0; first < count; first += 254) {
      const part = records.slice(first, first + 254);
      expect(blocks[at]).toMatchObject({ kind: "jbd2.descriptor", sequence: 7, blocks: homes.slice(first, first + 254) });
      part.forEach((record, index) => {
        expect(blocks[at + 1 + index]).toBe(record);
      });
      at += 1 + part.length;
    }
    expect(at).toBe(blocks.length - 1);
  });

  test("gives no block for a part of one, or for bytes of two", () => {
    const content = Content.record(new LoggedTransaction(1, [bitmap(0)], [9], []));
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
      interface Version {
        readonly since: Version | undefined;
        readonly changes: readonly (readonly [place: number, value: number])[];
      }
      const revisions = new Revisions<Version>();
      const cells: number[] = new Array<number>(WHOLE).fill(0);
      let value = 0;
      for (const places of commits) {
        for (const place of places) cells[place] = ++value;
        const since = revisions.base(places.length, WHOLE);
        const told = since === undefined ? [...cells.keys()] : places;
        const version = revisions.made({ since, changes: told.map((place) => [place, cells[place] as number] as const) });
        const read: number[] = [];
        const history = historyOf(version);
        for (const { changes } of history) for (const [place, at] of changes) read[place] = at;
        expect(read).toEqual(cells);
        expect(history.reduce((sum, { changes }) => sum + changes.length, 0)).toBeLessThanOrEqual(2 * WHOLE);
      }
    }),
    runs(200),
  );
});
