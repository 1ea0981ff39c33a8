/** A large file takes groups of blocks whole: each of their bitmaps is journaled, written in place and lost as if it had been taken block by block. */
import { expect, test } from "vitest";
import type { BlockDevice } from "../../sim/block/device.ts";
import { type CutChoice, type Disk, type DiskCommand, keepNone, keepRandom } from "../../sim/block/disk.ts";
import { DiskHistory } from "../../sim/block/history.ts";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { bytes, seconds } from "../../sim/core/units.ts";
import { BLOCK_SIZE, BLOCKS_PER_GROUP, blockBitmapOf } from "../../sim/fs/ext4/layout.ts";
import { superblockOf } from "../../sim/fs/ext4/mount.ts";
import { type BitmapRecord, type Ext4Record, readRecord, type SuperblockRecord } from "../../sim/fs/ext4/records.ts";
import { O_RDWR, type StatFs } from "../../sim/vfs/filesystem.ts";
import { Ext4Host, ext4Disk, MIB, put, value } from "./ext4-lab.ts";

const GIB = 1024 * MIB;
const PAGES = GIB / 4096;

function fsync(host: Ext4Host, path: string): void {
  const fd = value(host.task.open(path, O_RDWR)) as number;
  value(host.task.fsync(fd));
  value(host.task.close(fd));
}

/** The groups of the block bitmaps that were written to the log, and in place, once for each time. */
function writtenBitmaps(disk: Disk, act: () => void): { readonly logged: number[]; readonly placed: number[] } {
  const { geometry, journal } = layoutOf(disk);
  const [first = 0, length = 0] = journal;
  const logged: number[] = [];
  const placed: number[] = [];
  disk.watcher = (command: DiskCommand) => {
    if (command.kind !== "write") return;
    const written = command.content.wholeRecord();
    // In the log it is packed still.
    const record = (written?.blockAt?.(0, BLOCK_SIZE) ?? written) as Ext4Record | undefined;
    if (record?.kind !== "ext4.blockBitmap") return;
    const at = command.offset / BLOCK_SIZE;
    if (at >= first && at < first + length) {
      logged.push(record.group);
      return;
    }
    expect(at, "a bitmap is in its place").toBe(blockBitmapOf(geometry, record.group));
    placed.push(record.group);
  };
  act();
  disk.watcher = undefined;
  return { logged, placed };
}

/** Sorted, and none twice. */
function distinct(groups: readonly number[]): number[] {
  const sorted = [...groups].sort((one, other) => one - other);
  expect(new Set(sorted).size).toBe(sorted.length);
  return sorted;
}

function layoutOf(device: BlockDevice): SuperblockRecord {
  return value(superblockOf(device)) as SuperblockRecord;
}

function usedIn(record: BitmapRecord): number {
  const since = record.since === undefined ? 0 : usedIn(record.since);
  return record.changes.reduce((sum, change, at) => sum + (at % 2 === 1 ? change : 0), since);
}

function freeBlocksOf(host: Ext4Host): number {
  return (value(host.task.statfs("/")) as StatFs).blocksFree;
}

test("a transaction that takes groups whole tells the bitmap of each once, and each comes into its place", () => {
  const disk = ext4Disk(40 * GIB);
  const host = new Ext4Host(disk, { memoryPages: 64 * PAGES });
  const before = freeBlocksOf(host);
  const { logged, placed } = writtenBitmaps(disk, () => {
    put(host.task, "/file", Content.pattern(1, 0x7fff_f000));
    put(host.task, "/file", Content.pattern(2, GIB), 2 * GIB);
    fsync(host, "/file");
    host.check();
    host.unmount();
  });
  const groups = distinct(logged);
  expect(groups.length).toBeGreaterThanOrEqual(24);
  expect(distinct(placed)).toEqual(groups);
  const again = new Ext4Host(disk);
  again.check();
  // The page between the two, and the leaf of the extents.
  expect(before - freeBlocksOf(again)).toBe(3 * PAGES - 1 + 1);
  const { geometry } = layoutOf(disk);
  const whole = groups.filter((group) => {
    const record = readRecord(disk, blockBitmapOf(geometry, group)) as BitmapRecord;
    expect([record.kind, record.group]).toEqual(["ext4.blockBitmap", group]);
    return usedIn(record) === BLOCKS_PER_GROUP;
  });
  // But those with copies of the superblock, which a file does not begin in.
  expect(whole.length).toBeGreaterThanOrEqual(16);
});

test("a group whose blocks the same transaction frees again is told once, as it is then", () => {
  const disk = ext4Disk(40 * GIB);
  // Pages that are dirty beyond a tenth of memory are written, and so have places, before anything is committed.
  const host = new Ext4Host(disk, { memoryPages: 8 * PAGES });
  put(host.task, "/keep", Content.pattern(1, MIB));
  fsync(host, "/keep");
  const before = freeBlocksOf(host);
  const { logged, placed } = writtenBitmaps(disk, () => {
    put(host.task, "/file", Content.pattern(2, 0x7fff_f000));
    value(host.task.truncate("/file", GIB / 2));
    host.check();
    fsync(host, "/file");
    host.check();
    host.unmount();
  });
  expect(distinct(logged).length).toBeGreaterThanOrEqual(15);
  expect(distinct(placed)).toEqual(distinct(logged));
  const again = new Ext4Host(disk);
  again.check();
  // And the leaf of its extents.
  expect(before - freeBlocksOf(again)).toBe(PAGES / 2 + 1);
});

test("a group taken whole that loses blocks in a later transaction is written in place as it is then, its neighbours as they were", () => {
  const disk = ext4Disk(40 * GIB);
  const host = new Ext4Host(disk, { memoryPages: 64 * PAGES });
  const before = freeBlocksOf(host);
  put(host.task, "/file", Content.pattern(2, 0x7fff_f000));
  fsync(host, "/file");
  value(host.task.truncate("/file", GIB + 4096));
  fsync(host, "/file");
  host.check();
  const crashed = disk.clone();
  crashed.powerCut(keepNone);
  const { placed } = writtenBitmaps(disk, () => host.unmount());
  expect(distinct(placed).length).toBeGreaterThanOrEqual(15);
  for (const image of [crashed, disk]) {
    const again = new Ext4Host(image);
    again.check();
    // And the leaf of its extents.
    expect(before - freeBlocksOf(again)).toBe(PAGES + 2);
    again.unmount();
  }
});

test("what a group was when it was taken whole is never written once it has changed again", () => {
  const disk = ext4Disk(40 * GIB);
  const host = new Ext4Host(disk, { memoryPages: 64 * PAGES });
  put(host.task, "/file", Content.pattern(2, 0x7fff_f000));
  fsync(host, "/file");
  value(host.task.unlink("/file"));
  const { placed } = writtenBitmaps(disk, () => host.clock.advance(seconds(100)));
  expect(distinct(placed).length).toBeGreaterThanOrEqual(15);
  const { geometry } = layoutOf(disk);
  for (const group of placed) {
    const isWhole = usedIn(readRecord(disk, blockBitmapOf(geometry, group)) as BitmapRecord) === BLOCKS_PER_GROUP;
    expect(isWhole, `group ${group} is used`).toBe(false);
  }
  host.check();
});

test("a power cut after any write of a copy of gigabytes leaves what is whole", () => {
  const disk = ext4Disk(24 * GIB);
  const history = new DiskHistory(disk);
  const host = new Ext4Host(disk, { memoryPages: PAGES });
  put(host.task, "/file", Content.pattern(1, 0x7fff_f000));
  fsync(host, "/file");
  const promised = history.writes;
  put(host.task, "/other", Content.pattern(2, GIB + 12_345));
  value(host.task.truncate("/file", 700 * MIB));
  value(host.task.syncfs());
  host.unmount();
  history.stop();
  const random = new Random(7);
  const choices: readonly CutChoice[] = [keepNone, keepRandom(() => random.fraction())];
  for (let count = 0; count <= history.writes; count += 6 + random.below(20)) {
    for (const choice of choices) {
      const after = new Ext4Host(history.imageAfter(count, choice));
      after.check();
      if (count > promised) {
        const fd = value(after.task.open("/file", O_RDWR)) as number;
        const read = value(after.task.pread(fd, 4096, 600 * MIB)) as Content;
        expect(read.equals(Content.pattern(1, 4096, 600 * MIB)), `after write ${count}`).toBe(true);
        value(after.task.close(fd));
      }
      after.unmount();
    }
  }
});

test("extents alike that are written at once are commands of their own", () => {
  const disk = ext4Disk(40 * GIB);
  const host = new Ext4Host(disk, { memoryPages: 64 * PAGES });
  const lengths: number[] = [];
  disk.watcher = (command) => {
    if (command.kind === "write" && command.content.kind === "pattern") lengths.push(command.content.length);
  };
  put(host.task, "/file", Content.pattern(1, 0x7fff_f000));
  fsync(host, "/file");
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(0x7fff_f000);
  expect(Math.max(...lengths)).toBe(bytes(BLOCKS_PER_GROUP * BLOCK_SIZE));
  expect(lengths.length).toBeGreaterThanOrEqual(16);
});
