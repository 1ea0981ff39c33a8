/**
 * References of extents as they lie in the extent tree: in the extent's item as long as that is short, else as items of their own behind it
 * (fs/btrfs/extent-tree.c: lookup_inline_extent_backref, insert_extent_backref, remove_extent_backref; Linux 6.18).
 */
import { assert } from "../../core/assert.ts";
import { crc32cBytes } from "../../core/crc32c.ts";
import { type Extent, type Inline, type Reference, sameReference } from "../extent.ts";
import type { Key } from "../key.ts";
import type { Tree } from "../tree.ts";
import {
  EXTENT_DATA_REF,
  EXTENT_ITEM,
  EXTENT_ITEM_BYTES,
  EXTENT_ITEM_BYTES_MAX,
  key,
  METADATA_ITEM,
  SHARED_BLOCK_REF,
  SHARED_DATA_REF,
  TREE_BLOCK_REF,
} from "./layout.ts";

/** The value of a reference to a node that is an item: its key says all. */
const TO_NODE = true;

export function keyOfExtent({ start, length, level }: Extent): Key {
  return level < 0 ? key(start, EXTENT_ITEM, length) : key(start, METADATA_ITEM, level);
}

/** Bytes that a reference takes in an extent's item, its type included. */
function inlineBytes(isData: boolean, { parent }: Reference): number {
  if (!isData) return 9;
  return parent > 0 ? 13 : 29;
}

/** Whether one reference to an extent stands before another in its item: owners' before parents', the later made first (lookup_inline_extent_backref). */
function standsBefore(one: Reference, other: Reference): boolean {
  if (one.parent > 0 || other.parent > 0) return one.parent === 0 || (other.parent > 0 && one.parent > other.parent);
  return one.tree > other.tree;
}

/** The reference of who made a change, if it is in the list. */
function findIn(list: Inline | undefined, isData: boolean, wanted: Reference): Reference | undefined {
  for (let at = list; at !== undefined; at = at.next) {
    if (sameReference(at.reference, wanted)) return at.reference;
    // Data's are in the order of a hash; a search there goes on to the end.
    if (!isData && standsBefore(wanted, at.reference)) return undefined;
  }
  return undefined;
}

/** The list with another reference in the place of `known`, or without it; what is behind it is shared. */
function replaced(list: Inline, known: Reference, by: Reference | undefined): Inline | undefined {
  if (list.reference !== known) return { reference: list.reference, next: replaced(list.next as Inline, known, by) };
  return by === undefined ? list.next : { reference: by, next: list.next };
}

/** The list with one more; what is behind it is shared. */
function withOne(list: Inline | undefined, more: Reference): Inline {
  if (list === undefined || standsBefore(more, list.reference)) return { reference: more, next: list };
  return { reference: list.reference, next: withOne(list.next, more) };
}

const SIGN = 0xffffffff;

/** Stands for hash_extent_data_ref, whose 63 bits are more than a number has: its high bits. */
function dataHash({ tree, object, offset }: Reference): number {
  const words = new BigUint64Array([BigInt(tree), BigInt(object), BigInt.asUintN(64, BigInt(offset))]);
  const raw = new Uint8Array(words.buffer);
  const high = crc32cBytes(SIGN, raw.subarray(0, 8)) >>> 0;
  const low = crc32cBytes(SIGN, raw.subarray(8)) >>> 0;
  return high * 2 ** 20 + (low >>> 12);
}

/** So many references of one extent have the same hash at most. */
const SAME_HASH_MAX = 8;

/** Where a reference of its own is, or would be put: those with one hash lie behind each other, with gaps where one has gone (lookup_extent_data_ref). */
function keyApart(tree: Tree, extent: Extent, reference: Reference): Key {
  const { start, level } = extent;
  if (level >= 0)
    return reference.parent > 0 ? key(start, SHARED_BLOCK_REF, reference.parent) : key(start, TREE_BLOCK_REF, reference.tree);
  if (reference.parent > 0) return key(start, SHARED_DATA_REF, reference.parent);
  const hash = dataHash(reference);
  let free = hash;
  let found: Key | undefined;
  tree.visit(key(start, EXTENT_DATA_REF, hash), key(start, EXTENT_DATA_REF, hash + SAME_HASH_MAX), (at, there) => {
    if (sameReference(there as Reference, reference)) found = at;
    else if (at.offset === free) free += 1;
    return found !== undefined;
  });
  return found ?? key(start, EXTENT_DATA_REF, free);
}

/** Changes a reference that is an item of its own, or makes it one. @returns how many such items are more. */
function settleApart(tree: Tree, extent: Extent, change: Reference): number {
  const at = keyApart(tree, extent, change);
  const there = tree.get(at);
  const had = there === undefined ? 0 : there === TO_NODE ? 1 : (there as Reference).count;
  const count = had + change.count;
  assert(count >= 0, "a reference is given back only by who has it");
  if (count === 0) {
    tree.remove(at);
    return -1;
  }
  if (extent.level >= 0) tree.set(at, 0, TO_NODE);
  else tree.set(at, change.parent > 0 ? 4 : 28, { ...change, count });
  return there === undefined ? 1 : 0;
}

/** What an extent's item says of its references. */
interface Kept {
  inline: Inline | undefined;
  itemBytes: number;
  apart: number;
}

/** Brings changes of an extent's references to where they are kept, new ones first. @returns what its item says then. */
export function settleReferences(tree: Tree, extent: Extent, changes: readonly Reference[]): Readonly<Kept> {
  const { inline, apart } = extent;
  const kept: Kept = { inline, itemBytes: extent.references === 0 ? EXTENT_ITEM_BYTES : extent.itemBytes, apart };
  for (const change of changes) if (change.count > 0) settleReference(tree, extent, kept, change);
  for (const change of changes) if (change.count < 0) settleReference(tree, extent, kept, change);
  return kept;
}

function settleReference(tree: Tree, extent: Extent, kept: Kept, change: Reference): void {
  const isData = extent.level < 0;
  const known = findIn(kept.inline, isData, change);
  const count = change.count + (known?.count ?? 0);
  const more = inlineBytes(isData, change);
  if (known !== undefined) {
    assert(count >= 0, "a reference is given back only by who has it");
    kept.inline = replaced(kept.inline as Inline, known, count > 0 ? { ...change, count } : undefined);
    if (count === 0) kept.itemBytes -= more;
  } else if (kept.apart === 0 && kept.itemBytes + more < EXTENT_ITEM_BYTES_MAX && count > 0) {
    kept.inline = withOne(kept.inline, change);
    kept.itemBytes += more;
  } else kept.apart += settleApart(tree, extent, change);
}

/** All references of an extent, as the extent tree has them. */
export function referencesInTree(tree: Tree, extent: Extent): readonly Reference[] {
  const all: Reference[] = [];
  for (let at = extent.inline; at !== undefined; at = at.next) all.push(at.reference);
  if (extent.apart === 0) return all;
  tree.visit(key(extent.start, TREE_BLOCK_REF), key(extent.start, SHARED_DATA_REF + 1), ({ kind, offset }, value) => {
    if (value !== TO_NODE) all.push(value as Reference);
    else if (kind === TREE_BLOCK_REF) all.push({ parent: 0, tree: offset, object: 0, offset: 0, count: 1 });
    else all.push({ parent: offset, tree: 0, object: 0, offset: 0, count: 1 });
    return false;
  });
  return all;
}

/** Takes out the references that are items of their own. */
export function dropReferences(tree: Tree, { start }: Extent): void {
  tree.removeRange(key(start, TREE_BLOCK_REF), key(start, SHARED_DATA_REF + 1));
}
