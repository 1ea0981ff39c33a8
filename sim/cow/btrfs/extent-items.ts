/** Extents and chunks as items of the extent, chunk, device and free space trees (fs/btrfs/extent-tree.c, block-group.c). */
import { assert, InvariantError } from "../../core/assert.ts";
import { Cursor } from "../cursor.ts";
import { changesOf, type Delta, newExtent } from "../deltas.ts";
import type { Extent } from "../extent.ts";
import type { Tree } from "../tree.ts";
import type { BlockGroup } from "./block-group.ts";
import { dropReferences, keyOfExtent, settleReferences } from "./extent-references.ts";
import { addFreeGroup, dropFreeGroup, giveFree, takeFree } from "./free-space-tree.ts";
import type { BlockGroupItem, ChunkItem } from "./items.ts";
import {
  BLOCK_GROUP_ITEM,
  CHECKSUM_TREE,
  CHECKSUMS,
  CHUNK_ITEM,
  CHUNK_TREE,
  DEV_EXTENT,
  DEVICE_TREE,
  EXTENT_CSUM,
  EXTENT_TREE,
  FIRST_FREE,
  ITEM_BYTES_MAX,
  key,
  SECTOR_SIZE,
} from "./layout.ts";
import type { BtrfsState } from "./state.ts";

/** Brings what the transaction did to one extent to the extent tree. What has no reference any more is taken out, and its place is pinned. */
export function settleExtent(state: BtrfsState, delta: Delta): void {
  const { isNew } = delta;
  const tree = state.tree(EXTENT_TREE);
  const extent = isNew ? newExtent(delta) : state.storedExtent(delta.start);
  if (extent === undefined) throw new InvariantError(`there is no extent at ${delta.start}`);
  const references = extent.references + delta.more;
  const { start, length, level, generation } = extent;
  if (isNew) state.space.settled(start, length);
  if (references === 0) {
    if (!isNew) {
      if (extent.apart > 0) dropReferences(tree, extent);
      tree.remove(keyOfExtent(extent));
    }
    if (level < 0) removeChecksums(state.tree(CHECKSUM_TREE), start, length);
    else dropFresh(state, start);
    if (!isNew) giveFree(state, state.space.groupOf(start), start, length);
    state.space.pin(start, length);
    return;
  }
  if (!isNew && delta.change === undefined && !delta.becomesFull) return;
  const { inline, itemBytes, apart } = settleReferences(tree, extent, changesOf(delta));
  const full = extent.full || delta.becomesFull;
  const settled: Extent = { start, length, level, generation, full, references, inline, itemBytes, apart };
  tree.set(keyOfExtent(extent), itemBytes, settled);
  if (isNew) takeFree(state, state.space.groupOf(start), start, length);
}

/** A node that nothing refers to is not written, if this transaction has made it. */
function dropFresh(state: BtrfsState, start: number): void {
  const node = state.read(start);
  if (node.generation === state.generation) state.fresh.drop(node);
}

/** The most checksums that an item has (fs/btrfs/file-item.c: MAX_CSUM_ITEMS). */
const CHECKSUMS_MAX: number = Math.floor((ITEM_BYTES_MAX + 25 - 50) / 4) - 1;
const CHECKSUM_BYTES = 4;

/** Adds the checksums of data that was written: to the item before, as far as it and its leaf have room, else as new items. @param tree - by default the checksum tree. */
export function addChecksums(state: BtrfsState, start: number, length: number, tree: Tree = state.tree(CHECKSUM_TREE)): void {
  let at = start;
  let left = length / SECTOR_SIZE;
  const cursor = new Cursor(tree);
  if (cursor.seekBefore(key(CHECKSUMS, EXTENT_CSUM, at)) && cursor.key.object === CHECKSUMS) {
    const count = cursor.value as number;
    if (cursor.key.offset + count * SECTOR_SIZE === at && count < CHECKSUMS_MAX) {
      const leaf = cursor.nodeAt(0);
      const free = state.format.nodeBytes - state.format.headerBytes - leaf.used;
      const more = Math.min(left, CHECKSUMS_MAX - count, Math.floor(free / CHECKSUM_BYTES));
      if (more > 0) {
        tree.set(cursor.key, (count + more) * CHECKSUM_BYTES, count + more);
        at += more * SECTOR_SIZE;
        left -= more;
      }
    }
  }
  while (left > 0) {
    const count = Math.min(left, CHECKSUMS_MAX);
    tree.set(key(CHECKSUMS, EXTENT_CSUM, at), count * CHECKSUM_BYTES, count);
    at += count * SECTOR_SIZE;
    left -= count;
  }
}

/** What of a range a tree has checksums of: starts and lengths, ascending. */
export function checksumsIn(tree: Tree, start: number, length: number): (readonly [start: number, length: number])[] {
  const found: (readonly [number, number])[] = [];
  const end = start + length;
  const cursor = new Cursor(tree);
  let more = cursor.seekBefore(key(CHECKSUMS, EXTENT_CSUM, start + 1)) && cursor.key.object === CHECKSUMS;
  if (!more) more = cursor.seek(key(CHECKSUMS, EXTENT_CSUM, start));
  for (; more && cursor.compare(key(CHECKSUMS, EXTENT_CSUM, end)) < 0; more = cursor.next()) {
    const from = Math.max(start, cursor.key.offset);
    const to = Math.min(end, cursor.key.offset + (cursor.value as number) * SECTOR_SIZE);
    if (to > from) found.push([from, to - from]);
  }
  return found;
}

/** Takes the checksums of a range out, the last ones first; items that cross its edges are cut where they are (btrfs_del_csums). */
export function removeChecksums(tree: Tree, start: number, length: number): void {
  const end = start + length;
  const item = (from: number, to: number): { size: number; value: number } => {
    const count = (to - from) / SECTOR_SIZE;
    return { size: count * CHECKSUM_BYTES, value: count };
  };
  for (;;) {
    const found = tree.reach(key(CHECKSUMS, EXTENT_CSUM, end - 1));
    if (found?.key.object !== CHECKSUMS) return;
    const at = found.key.offset;
    const itemEnd = at + (found.value as number) * SECTOR_SIZE;
    if (itemEnd <= start) return;
    if (at >= start && itemEnd <= end) {
      const first = tree.removeLast(key(CHECKSUMS, EXTENT_CSUM, start), key(CHECKSUMS, EXTENT_CSUM, end));
      if (first?.offset === start) return;
    } else if (at >= start) tree.rekey(found.key, key(CHECKSUMS, EXTENT_CSUM, end), item(end, itemEnd));
    else if (itemEnd > end)
      tree.split(found.key, item(at, start), { key: key(CHECKSUMS, EXTENT_CSUM, start), ...item(start, itemEnd) });
    else {
      const { size, value } = item(at, start);
      tree.set(found.key, size, value);
      return;
    }
  }
}

/** Brings a chunk that has come or gone to the trees that tell of it. */
export function settleChunk(state: BtrfsState, group: BlockGroup, made: boolean): void {
  const { start, length, type, stripes } = group;
  const chunk: ChunkItem = { type, length, stripes };
  const chunkKey = key(FIRST_FREE, CHUNK_ITEM, start);
  const groupKey = key(start, BLOCK_GROUP_ITEM, length);
  if (made) {
    // No log tells of it (btrfs_make_block_group).
    state.logs.setMustCommit();
    state.tree(CHUNK_TREE).set(chunkKey, 48 + 32 * stripes.length, chunk);
    state.tree(EXTENT_TREE).set(groupKey, 24, { used: group.used, type } satisfies BlockGroupItem);
    addFreeGroup(state, group);
  } else {
    const gone = [state.tree(CHUNK_TREE).remove(chunkKey), state.tree(EXTENT_TREE).remove(groupKey)];
    assert(!gone.includes(false), `chunk ${start} was known before it went`);
    dropFreeGroup(state, group);
  }
  for (const stripe of stripes) {
    if (made) state.tree(DEVICE_TREE).set(key(1, DEV_EXTENT, stripe), 48, { start, length });
    else state.tree(DEVICE_TREE).remove(key(1, DEV_EXTENT, stripe));
  }
}
