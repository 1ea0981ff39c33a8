/**
 * The free space tree: what each block group has free, as items (fs/btrfs/free-space-tree.c; Linux 6.18). Nothing is allocated from it while the filesystem is mounted,
 * but every extent that comes or goes changes it, and so does every node that such a change copies.
 *
 * Interface: a range is an item as long as a group has few; a group with more ranges than their items are worth keeps bitmaps of 2048 sectors each, and comes back from
 * them when it has a hundred fewer.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { Cursor } from "../cursor.ts";
import type { Key } from "../key.ts";
import type { Tree } from "../tree.ts";
import type { Bitmap, BlockGroup, FreeSpaceInfo } from "./block-group.ts";
import { FORMAT, FREE_SPACE_BITMAP, FREE_SPACE_EXTENT, FREE_SPACE_INFO, FREE_SPACE_TREE, key, SECTOR_SIZE } from "./layout.ts";
import type { BtrfsState } from "./state.ts";

/** BTRFS_FREE_SPACE_BITMAP_SIZE, and the bytes of a group that one stands for. */
const BITMAP_BYTES = 256;
const BITMAP_RANGE: number = BITMAP_BYTES * 8 * SECTOR_SIZE;
const INFO_BYTES = 8;
/** By how many ranges fewer a group goes back from bitmaps to ranges. */
const HYSTERESIS = 100;

interface GroupRange {
  readonly start: number;
  readonly length: number;
}

/** More ranges than these are kept as bitmaps (set_free_space_tree_thresholds). */
export function rangesMax(length: number): number {
  return Math.floor((Math.ceil(length / BITMAP_RANGE) * (FORMAT.itemBytes + BITMAP_BYTES)) / FORMAT.itemBytes);
}

/** What the tree says of a group, which remembers it. */
function infoOf(tree: Tree, group: BlockGroup): FreeSpaceInfo {
  const { start, length, freeSpace } = group;
  if (freeSpace.info !== undefined) return freeSpace.info;
  const info = tree.get(key(start, FREE_SPACE_INFO, length)) as FreeSpaceInfo | undefined;
  if (info === undefined) throw new InvariantError(`the free space tree does not know the block group at ${start}`);
  freeSpace.info = info;
  return info;
}

/** A new group, all of it free. */
export function addFreeGroup(state: BtrfsState, { start, length }: GroupRange): void {
  const tree = state.tree(FREE_SPACE_TREE);
  tree.set(key(start, FREE_SPACE_INFO, length), INFO_BYTES, { ranges: 1, usesBitmaps: false } satisfies FreeSpaceInfo);
  tree.set(key(start, FREE_SPACE_EXTENT, length), 0, true);
}

/** A group has gone. */
export function dropFreeGroup(state: BtrfsState, group: BlockGroup): void {
  const { start, length, freeSpace } = group;
  freeSpace.info = undefined;
  freeSpace.bitmaps = [];
  state.tree(FREE_SPACE_TREE).removeRange(key(start, FREE_SPACE_INFO), key(start + length, 0));
}

/** An extent has come: its bytes, which must be free, are so no more (btrfs_remove_from_free_space_tree). */
export function takeFree(state: BtrfsState, group: BlockGroup, start: number, length: number): void {
  const tree = state.tree(FREE_SPACE_TREE);
  const info = infoOf(tree, group);
  const more = info.usesBitmaps ? markFree(state, group, { start, length }, false) : cutRange(tree, start, length);
  settleCount(state, group, info, more);
}

/** An extent has gone: its bytes are free (btrfs_add_to_free_space_tree). */
export function giveFree(state: BtrfsState, group: BlockGroup, start: number, length: number): void {
  const tree = state.tree(FREE_SPACE_TREE);
  const info = infoOf(tree, group);
  const more = info.usesBitmaps ? markFree(state, group, { start, length }, true) : joinRange(tree, group, start, length);
  settleCount(state, group, info, more);
}

/** The group has so many ranges more (update_free_space_extent_count). */
function settleCount(state: BtrfsState, group: BlockGroup, info: FreeSpaceInfo, more: number): void {
  if (more === 0) return;
  const tree = state.tree(FREE_SPACE_TREE);
  const ranges = info.ranges + more;
  const most = rangesMax(group.length);
  const least = most > HYSTERESIS ? most - HYSTERESIS : 0;
  const usesBitmaps = info.usesBitmaps ? ranges >= least : ranges > most;
  const infoKey = key(group.start, FREE_SPACE_INFO, group.length);
  if (usesBitmaps !== info.usesBitmaps) {
    const free = freeRanges(tree, group);
    tree.removeRange(key(group.start, FREE_SPACE_EXTENT), key(group.start + group.length, 0));
    group.freeSpace.bitmaps = [];
    if (usesBitmaps) writeBitmaps(state, group, free);
    else for (let at = 0; at < free.length; at += 2) putRange(tree, free[at] as number, free[at + 1] as number);
  }
  group.freeSpace.info = { ranges, usesBitmaps };
  tree.set(infoKey, INFO_BYTES, group.freeSpace.info);
}

// Ranges

function putRange(tree: Tree, start: number, end: number): void {
  tree.set(key(start, FREE_SPACE_EXTENT, end - start), 0, true);
}

/** Moves to the last item before a key of a group: at least the group's own information is there. */
function seekInGroup(cursor: Cursor, at: Key): void {
  assert(cursor.seekBefore(at), "the free space tree begins with what it says of a group");
}

/** Takes bytes out of the range around them. @returns how many ranges more there are. */
function cutRange(tree: Tree, start: number, length: number): number {
  const cursor = new Cursor(tree);
  seekInGroup(cursor, key(start, FREE_SPACE_EXTENT + 1));
  const found = cursor.key;
  const end = start + length;
  const until = found.object + found.offset;
  if (found.kind !== FREE_SPACE_EXTENT || until < end)
    throw new InvariantError(`${length} bytes at ${start} are not free in the free space tree`);
  tree.remove(found);
  if (start > found.object) putRange(tree, found.object, start);
  if (until > end) putRange(tree, end, until);
  return (start > found.object ? 1 : 0) + (until > end ? 1 : 0) - 1;
}

/** Adds bytes, as one range with those that touch them. @returns how many ranges more there are. */
function joinRange(tree: Tree, group: GroupRange, start: number, length: number): number {
  const cursor = new Cursor(tree);
  let from = start;
  let until = start + length;
  seekInGroup(cursor, key(start, FREE_SPACE_EXTENT));
  const before = cursor.key;
  const touchesBefore =
    before.kind === FREE_SPACE_EXTENT && before.object >= group.start && before.object + before.offset === start;
  const behind = until < group.start + group.length && cursor.seek(key(until, FREE_SPACE_EXTENT)) ? cursor.key : key(0, 0);
  const touchesBehind = behind.kind === FREE_SPACE_EXTENT && behind.object === until;
  if (touchesBefore) {
    tree.remove(before);
    from = before.object;
  }
  if (touchesBehind) {
    tree.remove(behind);
    until += behind.offset;
  }
  putRange(tree, from, until);
  return 1 - (touchesBefore ? 1 : 0) - (touchesBehind ? 1 : 0);
}

// Bitmaps

function bitmapLength(group: GroupRange, at: number): number {
  return Math.min(BITMAP_RANGE, group.start + group.length - at);
}

function putBitmap(tree: Tree, group: BlockGroup, at: number, bitmap: Bitmap): void {
  group.freeSpace.bitmaps[(at - group.start) / BITMAP_RANGE] = bitmap;
  const length = bitmapLength(group, at);
  tree.set(key(at, FREE_SPACE_BITMAP, length), Math.ceil(length / SECTOR_SIZE / 8), bitmap);
}

/** Where the bitmap begins that has an address. */
function bitmapAt(group: GroupRange, address: number): number {
  return group.start + Math.floor((address - group.start) / BITMAP_RANGE) * BITMAP_RANGE;
}

/** A bitmap of a group, which remembers it. */
function bitmapOf(tree: Tree, group: BlockGroup, at: number): Bitmap {
  const place = (at - group.start) / BITMAP_RANGE;
  const { bitmaps } = group.freeSpace;
  const remembered = bitmaps[place];
  if (remembered !== undefined) return remembered;
  const bitmap = tree.get(key(at, FREE_SPACE_BITMAP, bitmapLength(group, at))) as Bitmap | undefined;
  if (bitmap === undefined) throw new InvariantError(`the free space tree has no bitmap at ${at}`);
  bitmaps[place] = bitmap;
  return bitmap;
}

function isFree({ words }: Bitmap, sector: number): boolean {
  return (((words[sector >>> 5] as number) >>> (sector & 31)) & 1) === 1;
}

function setFree({ words }: Bitmap, sector: number, free: boolean): void {
  const bit = 1 << (sector & 31);
  const word = words[sector >>> 5] as number;
  words[sector >>> 5] = free ? word | bit : word & ~bit;
}

/** Whether a sector of the group, in the bitmap that begins at `at` or in a neighbour of it, is free. */
function isFreeBeside(tree: Tree, group: BlockGroup, known: { at: number; bitmap: Bitmap }, address: number): boolean {
  if (address < group.start || address >= group.start + group.length) return false;
  const at = bitmapAt(group, address);
  const bitmap = at === known.at ? known.bitmap : bitmapOf(tree, group, at);
  return isFree(bitmap, (address - at) / SECTOR_SIZE);
}

/** Sets or clears the bits of a range. @returns how many ranges more there are (modify_free_space_bitmap). */
function markFree(state: BtrfsState, group: BlockGroup, { start, length }: GroupRange, free: boolean): number {
  const tree = state.tree(FREE_SPACE_TREE);
  const end = start + length;
  let beside = 0;
  for (let at = bitmapAt(group, start); at < end; at += BITMAP_RANGE) {
    const known = bitmapOf(tree, group, at);
    const bitmap = known.made === state.unwritten ? known : { words: known.words.slice(), made: state.unwritten };
    const first = Math.max(start, at);
    const last = Math.min(end, at + BITMAP_RANGE);
    if (first === start && isFreeBeside(tree, group, { at, bitmap }, start - SECTOR_SIZE)) beside += 1;
    if (last === end && isFreeBeside(tree, group, { at, bitmap }, end)) beside += 1;
    for (let address = first; address < last; address += SECTOR_SIZE) {
      const sector = (address - at) / SECTOR_SIZE;
      if (isFree(bitmap, sector) === free) throw new InvariantError(`the sector at ${address} was ${free ? "free" : "taken"}`);
      setFree(bitmap, sector, free);
    }
    if (bitmap !== known) putBitmap(tree, group, at, bitmap);
  }
  return free ? 1 - beside : beside - 1;
}

/** Writes the bitmaps of a whole group, with ranges given as pairs of start and end. */
function writeBitmaps(state: BtrfsState, group: BlockGroup, free: readonly number[]): void {
  const tree = state.tree(FREE_SPACE_TREE);
  let next = 0;
  for (let at = group.start; at < group.start + group.length; at += BITMAP_RANGE) {
    const end = at + bitmapLength(group, at);
    const bitmap: Bitmap = { words: new Array<number>(BITMAP_BYTES / 4).fill(0), made: state.unwritten };
    while (next < free.length && (free[next] as number) < end) {
      const last = Math.min(end, free[next + 1] as number);
      for (let address = Math.max(at, free[next] as number); address < last; address += SECTOR_SIZE)
        setFree(bitmap, (address - at) / SECTOR_SIZE, true);
      if ((free[next + 1] as number) > end) break;
      next += 2;
    }
    putBitmap(tree, group, at, bitmap);
  }
}

/** The free ranges of a group as the tree has them: pairs of start and end, ascending. */
export function freeRanges(tree: Tree, group: GroupRange): number[] {
  const free: number[] = [];
  const add = (start: number, end: number): void => {
    if (free.at(-1) === start) free[free.length - 1] = end;
    else free.push(start, end);
  };
  tree.visit(key(group.start, FREE_SPACE_EXTENT), key(group.start + group.length, 0), ({ object, kind, offset }, value) => {
    if (kind === FREE_SPACE_EXTENT) add(object, object + offset);
    for (let sector = 0; kind === FREE_SPACE_BITMAP && sector < offset / SECTOR_SIZE; sector++) {
      const at = object + sector * SECTOR_SIZE;
      if (isFree(value as Bitmap, sector)) add(at, at + SECTOR_SIZE);
    }
    return false;
  });
  return free;
}
