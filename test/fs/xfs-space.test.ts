/**
 * Where xfs places blocks and inodes, beside a search of everything that is free (fs/xfs/libxfs/xfs_alloc.c: xfs_alloc_ag_vextent_near; xfs_ialloc.c:
 * xfs_dialloc_ag_inobt, xfs_dialloc_ag_finobt_near).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Disk } from "../../sim/block/disk.ts";
import { Clock } from "../../sim/core/clock.ts";
import { isErrno } from "../../sim/core/errno.ts";
import { bytes, MIB } from "../../sim/core/units.ts";
import { newState } from "../../sim/fs/xfs/assemble.ts";
import { nameHash } from "../../sim/fs/xfs/directory-data.ts";
import type { Group } from "../../sim/fs/xfs/group.ts";
import { groupStart } from "../../sim/fs/xfs/layout.ts";
import { mkfsXfs, toolEnvironment } from "../../sim/fs/xfs/mkfs.ts";
import { superblockOf } from "../../sim/fs/xfs/mount.ts";
import type { DirectoryIndexRecord } from "../../sim/fs/xfs/records.ts";
import { allocateAligned, allocateBlocks, allocateMetadata, allocateStriped, freeBlocks } from "../../sim/fs/xfs/space.ts";
import type { XfsState } from "../../sim/fs/xfs/state.ts";
import { runs } from "../runs.ts";
import { folder, make, must, stat } from "./disk-helpers.ts";
import { lab, mounted, ROOT } from "./xfs-helpers.ts";

const STRIPE = { unit: 16, width: 64 };

function fresh(stripe?: typeof STRIPE): XfsState {
  const disk = new Disk({ size: MIB(512) });
  must(mkfsXfs(disk, stripe === undefined ? {} : { stripe }));
  const superblock = must(superblockOf(disk));
  const state = newState(disk, superblock.geometry, toolEnvironment(new Clock()));
  for (const group of state.groups) {
    expect(group.load(disk)).toBeUndefined();
    state.freeBlocks += group.countedFree;
  }
  return state;
}

type Extent = readonly [first: number, length: number];

function freeExtents(group: Group): Extent[] {
  const found: Extent[] = [];
  group.byBlock.visit(([first = 0, length = 0]) => found.push([first, length]));
  return found;
}

/** What stays free at the end of a group that is broken up: more than is reserved for trees. */
const TAIL = 3000;

/** Leaves of a group's largest free extent islands of these lengths, each behind a gap of the other number of blocks. */
function breakUp(group: Group, islands: readonly Extent[]): void {
  const largest = freeExtents(group).reduce((one, other) => (other[1] > one[1] ? other : one));
  let at = largest[0];
  for (const [gap, length] of islands) {
    group.takeRun(at, gap);
    at += gap + length;
  }
  group.takeRun(at, largest[0] + largest[1] - at - TAIL);
}

/** Every place where so many aligned blocks are free: the least distance that one has from the goal. */
function leastDistance(extents: readonly Extent[], { goal, count, alignment }: Wish): number {
  let least = Number.POSITIVE_INFINITY;
  for (const [first, length] of extents) {
    for (let at = Math.ceil(first / alignment) * alignment; at + count <= first + length; at += alignment)
      least = Math.min(least, Math.abs(at - goal));
  }
  return least;
}

interface Wish {
  readonly goal: number;
  readonly count: number;
  readonly alignment: number;
}

test.each([20, 300])(
  "of %i free extents and more aligned blocks are taken whose distance from the goal is the least, or less than one alignment more",
  (islands) => {
    const island = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 30 }));
    const arbitrary = fc.record({
      islands: fc.array(island, { minLength: islands, maxLength: islands + 40 }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      count: fc.integer({ min: 1, max: 9 }),
      alignment: fc.constantFrom(1, 1, 4, 8),
    });
    const property = fc.property(arbitrary, (given) => {
      const state = fresh();
      const group = state.group(1);
      group.fixFreeList();
      breakUp(group, given.islands);
      const before = freeExtents(group);
      const [first] = before[0] as Extent;
      const last = before.at(-2) as Extent;
      const wish = { ...given, goal: Math.floor(first + given.at * (last[0] + last[1] - first)) };
      const { available } = group;
      const start = allocateAligned(state, group, wish);
      const least = leastDistance(before, wish);
      expect([available >= wish.count, Number.isFinite(least)]).toEqual([true, true]);
      const isFree = before.some(([from, length]) => start >= from && start + wish.count <= from + length);
      expect([start % wish.alignment, isFree]).toEqual([0, true]);
      // xfs_alloc_compute_diff rounds the place in an extent up before it is compared.
      expect(Math.abs(start - wish.goal)).toBeLessThan(least + wish.alignment);
      for (const tree of group.trees()) tree.check();
    });
    fc.assert(property, runs(islands === 20 ? 20 : 10));
  },
);

test("blocks of a striped file go on behind those before where these are free, else from a stripe unit on, else there are none", () => {
  const state = fresh(STRIPE);
  const run = { start: 0, count: 0 };
  const goal = groupStart(state.geometry, 1) + 1003;
  expect(allocateStriped(state, { goal, wanted: 32 }, true, run)).toBe(true);
  expect(run).toEqual({ start: goal, count: 32 });
  // What lies there is taken now.
  expect(allocateStriped(state, { goal, wanted: 32 }, true, run)).toBe(true);
  expect([(run.start - groupStart(state.geometry, 1)) % STRIPE.unit, run.start > goal, run.count]).toEqual([0, true, 32]);
  expect(allocateStriped(state, { goal, wanted: state.geometry.groupBlocks }, true, run)).toBe(false);
});

test("aligned blocks are given all or none", () => {
  const state = fresh();
  const group = state.group(1);
  group.fixFreeList();
  breakUp(
    group,
    Array.from({ length: 300 }, () => [1, 20] as const),
  );
  expect(group.available).toBeGreaterThan(3500);
  const before = freeExtents(group);
  expect(allocateAligned(state, group, { goal: 0, count: 3500, alignment: 1 })).toBe(-1);
  expect(allocateAligned(state, group, { goal: 0, count: 3000, alignment: 4096 })).toBe(-1);
  expect(freeExtents(group)).toEqual(before);
});

test("a request that no extent holds is met by the longest one, in the goal's group first", () => {
  const state = fresh();
  for (const group of state.groups) {
    group.fixFreeList();
    breakUp(
      group,
      Array.from({ length: 300 }, (_, at) => [2, at === 7 + group.index ? 3100 + group.index : 15] as const),
    );
  }
  const run = { start: 0, count: 0 };
  const second = groupStart(state.geometry, 2);
  expect(allocateBlocks(state, { goal: second, wanted: 4000, userData: true }, run)).toBe(true);
  expect([Math.floor(run.start / state.geometry.groupBlocks), run.count]).toEqual([2, 3102]);
  // One that a later group holds as a whole goes there.
  expect(allocateBlocks(state, { goal: second, wanted: 3103, userData: true }, run)).toBe(true);
  expect([Math.floor(run.start / state.geometry.groupBlocks), run.count]).toEqual([3, 3103]);
});

test("metadata may have blocks that the running checkpoint freed when there are no others: the last of them first", () => {
  const state = fresh();
  const run = { start: 0, count: 0 };
  const taken: Extent[] = [];
  while (allocateBlocks(state, { goal: 0, wanted: 2 ** 20, userData: false }, run)) taken.push([run.start, run.count]);
  expect(state.groups.every((group) => freeExtents(group).length === 0)).toBe(true);
  const [start] = taken.at(-1) as Extent;
  freeBlocks(state, start, 2);
  expect([allocateMetadata(state, 0), allocateMetadata(state, 0)]).toEqual([start + 1, start]);
  expect(() => allocateMetadata(state, 0)).toThrow("a block that was promised is not there");
  freeBlocks(state, start, 1);
  // A checkpoint makes it free for anything.
  must(state.force());
  expect(
    state.groups.reduce((sum, group) => sum + freeExtents(group).length, 0) +
      state.groups.reduce((sum, group) => sum + group.freeList.length, 0),
  ).toBeGreaterThan(0);
});

test.each([true, false])(
  "a new file gets an inode of the chunk nearest to its folder that has a free one (a tree of free inodes: %s)",
  (crc) => {
    const on = lab(MIB(300), { crc });
    const directory = folder(on, ROOT, "d");
    const files = Array.from({ length: 300 }, (_, n) => make(on, directory, `f${n}`));
    const chunkOf = (ino: number): number => Math.floor(ino / 64);
    const property = fc.property(fc.uniqueArray(fc.nat(299), { minLength: 1, maxLength: 6 }), (removed) => {
      for (const n of removed) must(on.fs.unlink(directory, on.names.intern(`f${n}`)));
      for (const _ of removed) {
        const free = new Set(files.map((ino) => Number(ino)));
        for (const [n, ino] of files.entries()) if (!isErrno(on.fs.lookup(directory, on.names.intern(`f${n}`)))) free.delete(ino);
        const wanted = Math.min(...[...free].map((ino) => Math.abs(chunkOf(ino) - chunkOf(directory))));
        const n = removed.find((at) => isErrno(on.fs.lookup(directory, on.names.intern(`f${at}`)))) as number;
        files[n] = make(on, directory, `f${n}`);
        expect(Math.abs(chunkOf(files[n] as number) - chunkOf(directory))).toBeLessThanOrEqual(wanted);
      }
      on.fs.check();
    });
    fc.assert(property, runs(4));
    expect(stat(on, directory).nlink).toBe(2);
  },
);

const hashOf = (name: string): number => nameHash(new TextEncoder().encode(name));

test("a block of a folder's index goes with its last entry, also between neighbours that are too full to join it (xfs_dir2_leafn_toosmall)", () => {
  const on = lab(MIB(300));
  const directory = folder(on, ROOT, "d");
  const names = Array.from({ length: 2000 }, (_, n) => `name-${(n * 7919) % 100_003}`);
  for (const name of names) make(on, directory, name);
  must(on.fs.unmount());
  const again = mounted(on.disk);
  const found = must(on.disk.read(bytes(0), bytes(MIB(300))))
    .runs.map((run) => run.wholeRecord() as DirectoryIndexRecord | undefined)
    .filter((record) => record?.kind === "xfs.directoryLeaf")
    .map((record) => (record as DirectoryIndexRecord).hashes)
    .sort((one, other) => (one[0] ?? 0) - (other[0] ?? 0));
  const [low = [], middle = [], high = []] = found;
  const gone = new Set(middle);
  const into = must(again.fs.lookup(again.fs.root, again.names.intern("d")));
  // Three quarters of a block are 384 entries: names with such hashes that both neighbours have more.
  const missing = [390 - low.length, 390 - high.length];
  for (let n = 0; (missing[0] ?? 0) > 0 || (missing[1] ?? 0) > 0; n++) {
    const hash = hashOf(`more-${n}`);
    const side =
      hash > (low[0] ?? 0) && hash < (low.at(-1) ?? 0) ? 0 : hash > (high[0] ?? 0) && hash < (high.at(-1) ?? 0) ? 1 : -1;
    if (side < 0 || (missing[side] ?? 0) <= 0) continue;
    make(again, into, `more-${n}`);
    missing[side] = (missing[side] ?? 0) - 1;
  }
  const before = stat(again, into).blocks;
  let removed = 0;
  for (const name of names) {
    if (!gone.has(hashOf(name))) continue;
    must(again.fs.unlink(into, again.names.intern(name)));
    removed += 1;
  }
  expect(removed).toBe(middle.length);
  again.fs.check();
  expect(stat(again, into).blocks).toBe(before - 8);
  for (const name of names) if (gone.has(hashOf(name))) make(again, into, name);
  again.fs.check();
});
