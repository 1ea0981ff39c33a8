/**
 * The free space tree: what a group has free as ranges, or as bitmaps where there are many (fs/btrfs/free-space-tree.c). The items of data and system chunks are
 * those of a filesystem of 4 GiB on Linux 6.18 (mkfs.btrfs -K 6.2; btrfs inspect-internal dump-tree -t 10 after each step).
 */

import { expect, test } from "vitest";
import type { Disk } from "../../sim/block/disk.ts";
import { Content } from "../../sim/core/content.ts";
import { Random } from "../../sim/core/random.ts";
import { GIB, seconds } from "../../sim/core/units.ts";
import type { FreeSpaceInfo } from "../../sim/cow/btrfs/block-group.ts";
import { freeRanges, giveFree, rangesMax, takeFree } from "../../sim/cow/btrfs/free-space-tree.ts";
import {
  FREE_SPACE_BITMAP,
  FREE_SPACE_EXTENT,
  FREE_SPACE_INFO,
  FREE_SPACE_TREE,
  key,
  NODE_SIZE,
} from "../../sim/cow/btrfs/layout.ts";
import { mountBtrfs } from "../../sim/cow/btrfs/mount.ts";
import { BtrfsLab, must } from "./btrfs-lab.ts";

const DATA = 13_631_488;
const SYSTEM = 22_020_096;
const METADATA = 30_408_704;
const CHUNK = 8_388_608;

/** The items of a group as "start INFO ranges", with "bitmaps" if it has them, "start RANGE length" and "start BITMAP bytes". */
function itemsOf(lab: BtrfsLab, start: number): string[] {
  const items: string[] = [];
  lab.fs.state.tree(FREE_SPACE_TREE).visit(key(start, 0), key(start + CHUNK, 0), ({ object, kind, offset }, value, size) => {
    const info = value as FreeSpaceInfo;
    if (kind === FREE_SPACE_INFO) items.push(`${object} INFO ${info.ranges}${info.usesBitmaps ? " bitmaps" : ""}`);
    if (kind === FREE_SPACE_EXTENT) items.push(`${object} RANGE ${offset}`);
    if (kind === FREE_SPACE_BITMAP) items.push(`${object} BITMAP ${size}`);
    return false;
  });
  return items;
}

test("a data chunk's items are the kernel's while files come and go, as ranges and from the twelfth on as a bitmap for good", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  const remove = (from: number, to: number): void => {
    for (let n = from; n < to; n += 2) must(lab.host.task.unlink(`/m/f${n}`));
    lab.settle();
    lab.fs.check();
  };
  expect(itemsOf(lab, DATA)).toEqual([`${DATA} INFO 1`, `${DATA} RANGE ${CHUNK}`]);
  for (let n = 0; n < 60; n++) must(lab.write(`/m/f${n}`, Content.pattern(n, 4096)));
  lab.settle();
  expect(itemsOf(lab, DATA)).toEqual([`${DATA} INFO 1`, "13877248 RANGE 8142848"]);
  remove(1, 20);
  const holes = Array.from({ length: 10 }, (_, n) => `${13_635_584 + n * 8192} RANGE 4096`);
  expect(itemsOf(lab, DATA)).toEqual([`${DATA} INFO 11`, ...holes, "13877248 RANGE 8142848"]);
  remove(21, 60);
  expect(itemsOf(lab, DATA)).toEqual([`${DATA} INFO 30 bitmaps`, `${DATA} BITMAP 256`]);
  remove(0, 60);
  expect(itemsOf(lab, DATA)).toEqual([`${DATA} INFO 1 bitmaps`, `${DATA} BITMAP 256`]);
  expect(itemsOf(lab, SYSTEM)).toEqual([`${SYSTEM} INFO 2`, `${SYSTEM} RANGE 16384`, "22052864 RANGE 8355840"]);
});

test("a large chunk goes over to bitmaps and comes back from them when it has a hundred ranges fewer", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  const { state } = lab.fs;
  const tree = state.tree(FREE_SPACE_TREE);
  const group = state.space.groupOf(METADATA);
  const infoNow = (): FreeSpaceInfo => tree.get(key(METADATA, FREE_SPACE_INFO, group.length)) as FreeSpaceInfo;
  const before = freeRanges(tree, group);
  // Far from what the tree's own nodes take; every second place, so that each is a range more.
  const places = Array.from({ length: 400 }, (_, n) => METADATA + 2 ** 24 + 3 * n * NODE_SIZE);
  const random = new Random(7);
  const taken = new Set<number>();
  const most = rangesMax(group.length);
  expect(most).toBe(359);
  let wasBitmaps = false;
  const turns: number[] = [];
  const follow = (): void => {
    const expected: number[] = [...before.slice(0, -2), before.at(-2) as number];
    for (const at of [...taken].sort((one, other) => one - other)) expected.push(at, at + NODE_SIZE);
    expect(freeRanges(tree, group)).toEqual([...expected, before.at(-1)]);
    const { ranges, usesBitmaps } = infoNow();
    expect(ranges).toBe((expected.length + 1) / 2);
    if (usesBitmaps !== wasBitmaps) turns.push(ranges);
    wasBitmaps = usesBitmaps;
  };
  for (const left = [...places]; left.length > 0; ) {
    const [at = 0] = left.splice(random.below(left.length), 1);
    takeFree(state, group, at, NODE_SIZE);
    taken.add(at);
    follow();
  }
  for (const left = [...places]; left.length > 0; ) {
    const [at = 0] = left.splice(random.below(left.length), 1);
    giveFree(state, group, at, NODE_SIZE);
    taken.delete(at);
    follow();
  }
  expect(turns).toEqual([most + 1, most - 101]);
});

test("a power cut finds the bitmaps of the last commit, whatever has changed in them since", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  for (let n = 0; n < 60; n++) must(lab.write(`/m/f${n}`, Content.pattern(n, 4096)));
  lab.settle();
  for (let n = 1; n < 60; n += 2) must(lab.host.task.unlink(`/m/f${n}`));
  lab.settle();
  const { state } = lab.fs;
  const freeNow = (of: typeof state): number[] => freeRanges(of.tree(FREE_SPACE_TREE), of.space.groupOf(DATA));
  const committed = freeNow(state);
  expect(itemsOf(lab, DATA)[0]).toBe(`${DATA} INFO 30 bitmaps`);
  for (const n of [2, 4, 6]) giveFree(state, state.space.groupOf(DATA), (committed[2 * n] as number) - 4096, 4096);
  expect(freeNow(state).length).toBe(committed.length - 6);
  const cut = (lab.host.disks.get("vda") as Disk).clone();
  cut.powerCut();
  const mounted = must(mountBtrfs(cut, state.environment));
  expect(freeNow(mounted.state)).toEqual(committed);
  mounted.check();
});

test("a chunk that goes takes its items along", () => {
  const lab = new BtrfsLab({ size: GIB(4) });
  must(lab.write("/m/large", Content.pattern(1, 2 ** 25)));
  lab.settle();
  const made = lab.fs.state.space.groups.filter(({ type }) => type === "data").at(-1)?.start ?? 0;
  expect(itemsOf(lab, made)).toEqual([`${made} INFO 1`]);
  must(lab.host.task.unlink("/m/large"));
  lab.settle();
  lab.host.clock.advance(seconds(60));
  lab.settle();
  expect(itemsOf(lab, DATA)[0]).toBe(`${DATA} INFO 1`);
  expect(itemsOf(lab, made)).toEqual([]);
  lab.fs.check();
});
