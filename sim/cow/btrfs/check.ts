/**
 * Whether what a btrfs keeps adds up (btrfs check): trees are in order, every extent has the references that trees make, space holds what extents take, quotas count what
 * can be reached.
 */
import { assert, InvariantError } from "../../core/assert.ts";
import { Cursor } from "../cursor.ts";
import type { Extent } from "../extent.ts";
import type { Node } from "../node.ts";
import type { FreeSpaceInfo } from "./block-group.ts";
import { changesOf } from "./delayed-inodes.ts";
import { freeRanges } from "./free-space-tree.ts";
import { EXTENT_ITEM, EXTENT_TREE, FREE_SPACE_INFO, FREE_SPACE_TREE, key, METADATA_ITEM, SECTOR_SIZE } from "./layout.ts";
import { type Quotas, qgroupName } from "./quotas.ts";
import type { BtrfsState } from "./state.ts";

/** Throws an InvariantError when something does not add up. O(everything). */
export function check(state: BtrfsState): void {
  for (const tree of state.trees.values()) tree.check();
  const found = referencesFound(state);
  const extents = allExtents(state);
  for (const extent of extents.values()) {
    const has = state.references.count(extent.start);
    const kept = state.references.referencesTo(extent.start).reduce((sum, { count }) => sum + count, 0);
    assert(kept === has, `extent ${extent.start} counts ${has} references, keeps ${kept}`);
    const made = found.get(extent.start) ?? 0;
    assert(has === made, `extent ${extent.start} counts ${has} references, trees make ${made}`);
  }
  for (const start of found.keys()) assert(extents.has(start), `what is at ${start} is an extent`);
  state.logs.check();
  checkSpace(state, extents);
  checkFreeSpace(state);
  checkDelayed(state);
  state.quotas?.check();
  if (state.quotas?.inconsistent === false && !state.isChanged) checkQuotas(state, state.quotas);
}

/** How often each extent is pointed to, by start: from each node once, from each root once. */
function referencesFound(state: BtrfsState): Map<number, number> {
  const found = new Map<number, number>();
  const seen = new Set<number>();
  const count = (start: number): void => {
    found.set(start, (found.get(start) ?? 0) + 1);
  };
  const go = (address: number): void => {
    count(address);
    if (seen.has(address)) return;
    seen.add(address);
    const node = state.read(address);
    for (const child of node.children) go(child);
    for (let slot = 0; node.level === 0 && slot < node.count; slot++) {
      const item = state.referenceOf(node, slot);
      if (item !== undefined) count(item.start);
    }
  };
  for (const tree of state.trees.values()) go(tree.root);
  return found;
}

/** Every extent that has references, as of now. */
function allExtents(state: BtrfsState): Map<number, Extent> {
  const out = new Map<number, Extent>();
  const cursor = new Cursor(state.tree(EXTENT_TREE));
  for (let more = cursor.seek(key(0, 0)); more; more = cursor.next()) {
    const { kind } = cursor.key;
    if (kind === EXTENT_ITEM || kind === METADATA_ITEM) out.set(cursor.key.object, cursor.value as Extent);
  }
  for (const start of state.references.changed()) {
    const extent = state.references.extent(start);
    if (extent !== undefined && state.references.count(start) > 0) out.set(start, extent);
    else out.delete(start);
  }
  return out;
}

function checkSpace(state: BtrfsState, extents: ReadonlyMap<number, Extent>): void {
  state.space.check();
  const used = new Map<number, number>();
  for (const { start, length } of extents.values()) {
    const group = state.space.groupOf(start).start;
    used.set(group, (used.get(group) ?? 0) + length);
  }
  // What has lost its last reference in this transaction is counted until the commit takes it out.
  for (const start of state.references.changed()) {
    if (state.references.count(start) > 0) continue;
    const group = state.space.groupOf(start).start;
    used.set(group, (used.get(group) ?? 0) + state.references.lengthOf(start));
  }
  for (const group of state.space.groups) {
    const has = used.get(group.start) ?? 0;
    assert(group.used === has, `block group ${group.start} counts ${group.used} bytes, its extents are ${has}`);
  }
}

/** Whether the free space tree has free what the extents of the extent tree do not take. */
function checkFreeSpace(state: BtrfsState): void {
  const tree = state.tree(FREE_SPACE_TREE);
  for (const group of state.space.groups) {
    const expected: number[] = [];
    let at = group.start;
    state.tree(EXTENT_TREE).visit(key(group.start, EXTENT_ITEM), key(group.end, 0), ({ kind }, value) => {
      if (kind !== EXTENT_ITEM && kind !== METADATA_ITEM) return false;
      const { start, length } = value as Extent;
      if (start > at) expected.push(at, start);
      at = start + length;
      return false;
    });
    if (group.end > at) expected.push(at, group.end);
    const found = freeRanges(tree, group);
    assert(found.join() === expected.join(), `the free space tree tells what block group ${group.start} has free`);
    const info = tree.get(key(group.start, FREE_SPACE_INFO, group.length)) as FreeSpaceInfo;
    assert(info.ranges * 2 === found.length, `block group ${group.start} has ${info.ranges} free ranges`);
  }
}

function checkDelayed(state: BtrfsState): void {
  let delayed = 0;
  for (const inode of state.inodes.all()) {
    delayed += inode.delayed?.covered ?? 0;
    inode.delayed?.visit(0, Number.MAX_SAFE_INTEGER, (from, to) => {
      for (let at = from; at < to; at += SECTOR_SIZE)
        assert(inode.mapping?.isDirty(at / SECTOR_SIZE) === true, `what is promised to inode ${inode.ino} at ${at} is dirty`);
    });
  }
  assert(delayed === state.delayedBytes, `${state.delayedBytes} bytes are promised, inodes have ${delayed}`);
  state.delayedInodes.check();
  for (const inode of state.inodes.all()) {
    if (changesOf(inode) > 0 && !state.delayedInodes.has(inode))
      throw new InvariantError(`no commit settles what waits of inode ${inode.ino}`);
  }
}

/** Counts what each subvolume reaches from scratch. */
function checkQuotas(state: BtrfsState, quotas: Quotas): void {
  const owners = new Map<number, Set<number>>();
  for (const { id, tree } of state.subvolumes.values()) {
    const reach = (start: number): void => {
      owners.set(start, (owners.get(start) ?? new Set()).add(id));
    };
    const go = (node: Node): void => {
      reach(node.address);
      for (const child of node.children) go(state.read(child));
      for (let slot = 0; node.level === 0 && slot < node.count; slot++) {
        const item = state.referenceOf(node, slot);
        if (item !== undefined) reach(item.start);
      }
    };
    go(tree.rootNode);
  }
  for (const group of quotas.groups.values()) {
    const below = new Set([group]);
    for (const one of below) for (const member of one.members) below.add(member);
    const own = new Set([...below].map(({ id }) => id));
    let referenced = 0;
    let exclusive = 0;
    for (const [start, ids] of owners) {
      const length = state.references.lengthOf(start);
      const inside = [...ids].filter((id) => own.has(id)).length;
      if (inside === 0) continue;
      referenced += length;
      if (inside === ids.size) exclusive += length;
    }
    const says = `${group.referenced}/${group.exclusive}`;
    const name = qgroupName(group.id);
    assert(says === `${referenced}/${exclusive}`, `qgroup ${name} counts ${says}, reaches ${referenced}/${exclusive}`);
  }
}
