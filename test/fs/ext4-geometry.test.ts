/**
 * Where mke2fs 1.47.0 puts everything, against ours. Each line of the data is what dumpe2fs showed of a filesystem made with defaults on a sparse
 * file of that size; below 512 MiB with -b 4096, as mke2fs would take blocks of 1 KiB there.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { TIB } from "../../sim/core/units.ts";
import {
  blockBitmapOf,
  blocksIn,
  DESCRIPTORS_PER_BLOCK,
  firstBlockOf,
  fixedBlocks,
  geometryOf,
  inodeBitmapOf,
  inodeTableOf,
  overheadOf,
} from "../../sim/fs/ext4/layout.ts";
import { mkfsExt4 } from "../../sim/fs/ext4/mkfs.ts";
import { type DescriptorsRecord, type Ext4Record, readRecord, type SuperblockRecord } from "../../sim/fs/ext4/records.ts";
import { historyOf } from "../../sim/fs/ext4/revisions.ts";
import { mounted, must } from "./ext4-mounted.ts";

interface Recorded {
  readonly size: number;
  readonly blocks: number;
  readonly groups: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly reservedDescriptors: number;
  readonly reservedBlocks: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly overhead: number;
  readonly journalLength: number;
  /** Runs of the journal inode: first block and count. */
  readonly journal: readonly (readonly [start: number, count: number])[];
  /** Group, its first and last block, block bitmap, inode bitmap, first and last block of the table, free blocks, free inodes, directories. */
  readonly sample: readonly (readonly number[])[];
}

const recorded: readonly Recorded[] = readFileSync(new URL("../data/vectors/ext4-geometry.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Recorded);

function named(size: number): string {
  const mebibytes = size / 2 ** 20;
  return Number.isInteger(mebibytes) ? `${mebibytes} MiB` : `${size} bytes`;
}

function made(size: number): { disk: Disk; superblock: SuperblockRecord } {
  const disk = new Disk({ size });
  const failed = mkfsExt4(disk);
  if (failed !== undefined) throw new Error(failed.code);
  return { disk, superblock: record(disk, 0) as SuperblockRecord };
}

function record(disk: Disk, block: number): Ext4Record {
  const found = readRecord(disk, block);
  if (found === undefined || isErrno(found)) throw new Error(`block ${block} holds no record`);
  return found;
}

/** A row of the sample, as ours is. */
function rowOf(disk: Disk, { geometry }: SuperblockRecord, group: number): number[] {
  const descriptors = record(disk, 1 + Math.floor(group / DESCRIPTORS_PER_BLOCK)) as DescriptorsRecord;
  let counts = [blocksIn(geometry, group) - fixedBlocks(geometry, group), geometry.inodesPerGroup, 0];
  for (const { changes } of historyOf(descriptors))
    for (let at = 0; at < changes.length; at += 4) if (changes[at] === group) counts = changes.slice(at + 1, at + 4);
  const first = firstBlockOf(group);
  const table = inodeTableOf(geometry, group);
  return [
    group,
    first,
    first + blocksIn(geometry, group) - 1,
    blockBitmapOf(geometry, group),
    inodeBitmapOf(geometry, group),
    table,
    table + geometry.tableBlocks - 1,
    ...counts,
  ];
}

describe("mke2fs's layout of a device of", () => {
  for (const line of recorded) {
    test(`${named(line.size)} has the same geometry`, () => {
      const geometry = geometryOf(line.size);
      expect({
        blocks: geometry.blocks,
        groups: geometry.groups,
        inodes: geometry.inodes,
        inodesPerGroup: geometry.inodesPerGroup,
        reservedDescriptors: geometry.reservedDescriptorBlocks,
        reservedBlocks: geometry.reservedBlocks,
        journalLength: geometry.journalBlocks,
        overhead: overheadOf(geometry),
      }).toEqual({
        blocks: line.blocks,
        groups: line.groups,
        inodes: line.inodes,
        inodesPerGroup: line.inodesPerGroup,
        reservedDescriptors: line.reservedDescriptors,
        reservedBlocks: line.reservedBlocks,
        journalLength: line.journalLength,
        overhead: line.overhead,
      });
    });

    test(`${named(line.size)} has the journal, the bitmaps and tables, and what is free at the same places`, () => {
      const { disk, superblock } = made(line.size);
      expect(superblock.journal).toEqual(line.journal.flat());
      expect(line.sample.map((row) => rowOf(disk, superblock, row[0] ?? 0))).toEqual(line.sample);
      expect([superblock.freeBlocks, superblock.freeInodes]).toEqual([line.freeBlocks, line.freeInodes]);
    });
  }
});

test("a filesystem with a journal of eight extents, which need a block of their own, mounts and adds up", () => {
  const lab = mounted(TIB(1));
  lab.host.check();
  expect(must(lab.task.statfs("/")).blocksFree).toBe(recorded.find((line) => line.size === TIB(1))?.freeBlocks);
});
