/**
 * The end of a transaction (fs/btrfs/transaction.c: btrfs_commit_transaction; Linux 6.18).
 *
 * Order: inodes to their items; quotas counted; a snapshot made, then its name; references, roots and chunks to their trees until nothing changes any more; new nodes to the device, flush,
 * superblock, flush. A power cut before the superblock is written finds the old tree, whose blocks nobody has touched.
 */

import { assert } from "../../core/assert.ts";
import { Content } from "../../core/content.ts";
import { EROFS, type Errno } from "../../core/errno.ts";
import { OwnerFinder, type TreesView } from "../owners.ts";
import { Tree } from "../tree.ts";
import { settleExtent } from "./extent-items.ts";
import type { BlockGroupItem, QgroupStatus } from "./items.ts";
import {
  BLOCK_GROUP_ITEM,
  CHUNK_TREE,
  DEVICE_STATS,
  DEVICE_STATS_BYTES,
  DEVICE_TREE,
  EXTENT_TREE,
  key,
  PERSISTENT_ITEM,
  QGROUP_INFO,
  QGROUP_LIMIT,
  QGROUP_STATUS,
  QUOTA_TREE,
  ROOT_BYTES,
  ROOT_ITEM,
  ROOT_TREE,
  SUPERBLOCK_BYTES,
} from "./layout.ts";
import { type SuperblockRecord, writeSuperblock } from "./records.ts";
import type { BtrfsState } from "./state.ts";
import { movedRoot, PLAIN_ROOT } from "./subvolume.ts";
import { treesNow } from "./trees-now.ts";

/** A snapshot that is to be made by the commit. */
export interface PendingSnapshot {
  /** Makes its tree and its quota group: all that is to be in it is in its source's tree. */
  readonly copy: () => void;
  /** Gives it its name, which is not in it though it be within its source. */
  readonly name: () => void;
}

/**
 * Commits.
 * @param snapshot - made when all that is to be in it is in its source's tree.
 */
export function commit(state: BtrfsState, snapshot?: PendingSnapshot): Errno | undefined {
  if (state.error !== undefined) return EROFS;
  state.delayedInodes.settleAll(state.generation);
  if (!state.isChanged && snapshot === undefined) {
    // What a call has reserved that changed nothing in the end is given back all the same.
    state.quotas?.settle(delayedBySubvolume(state));
    return undefined;
  }
  state.counters.commits += 1;
  state.cacheIsNew = false;
  countQuotas(state);
  const failed = (snapshot === undefined ? undefined : makeSnapshot(state, snapshot)) ?? settleAndWrite(state);
  if (failed !== undefined) {
    state.error = failed;
    return failed;
  }
  finish(state);
  return undefined;
}

/** Makes a snapshot, and changes the folder of its name after that (create_pending_snapshot). */
function makeSnapshot(state: BtrfsState, snapshot: PendingSnapshot): Errno | undefined {
  snapshot.copy();
  const failed = state.quotas === undefined ? undefined : writeBetween(state);
  if (failed !== undefined) return failed;
  snapshot.name();
  state.delayedInodes.settleAll(state.generation);
  countQuotas(state);
  return undefined;
}

/**
 * Writes all trees as they are with the snapshot, but no superblock: what the quota groups count of the snapshot's name is counted against this
 * (qgroup_account_snapshot).
 */
function writeBetween(state: BtrfsState): Errno | undefined {
  settle(state);
  const failed = writeNodes(state);
  if (failed === undefined) noteRoots(state);
  return failed;
}

function settleAndWrite(state: BtrfsState): Errno | undefined {
  state.logs.drop();
  settle(state);
  return writeAll(state);
}

/** Counts for the quota groups what has changed of extents since the last commit. */
function countQuotas(state: BtrfsState): void {
  const { quotas, references } = state;
  if (quotas === undefined || quotas.standsStill) return;
  const rootsThen = new Map<number, Tree | undefined>();
  const then: TreesView = {
    ...treesNow(state),
    extent: (start) => state.storedExtent(start),
    references: (extent) => state.storedReferences(extent),
    tree: (id) => {
      const root = state.committedRoots.get(id);
      if (!state.isSubvolume(id) || root === undefined) return undefined;
      const known = rootsThen.get(id) ?? new Tree(state, id, root);
      rootsThen.set(id, known);
      return known;
    },
  };
  const before = new OwnerFinder(then);
  const after = new OwnerFinder(treesNow(state));
  for (const start of references.changed()) {
    quotas.account(references.lengthOf(start), before.treesOf(start), after.treesOf(start));
  }
}

/** Bytes that delayed allocation has promised, by subvolume. */
function delayedBySubvolume(state: BtrfsState): Map<number, number> {
  const kept = new Map<number, number>();
  for (const { delayed, subvolume } of state.dirtied) {
    if (delayed !== undefined) kept.set(subvolume.id, (kept.get(subvolume.id) ?? 0) + delayed.covered);
  }
  return kept;
}

function writeQuotas(state: BtrfsState): void {
  const { quotas } = state;
  if (quotas === undefined) return;
  quotas.settle(delayedBySubvolume(state));
  const tree = state.tree(QUOTA_TREE);
  const status = tree.get(key(0, QGROUP_STATUS)) as QgroupStatus;
  if (status.inconsistent !== quotas.inconsistent) tree.set(key(0, QGROUP_STATUS), 32, { inconsistent: quotas.inconsistent });
  for (const group of quotas.groups.values()) {
    if (!group.dirty) continue;
    group.dirty = false;
    tree.set(key(0, QGROUP_INFO, group.id), 40, { referenced: group.referenced, exclusive: group.exclusive });
    tree.set(key(0, QGROUP_LIMIT, group.id), 40, group.limit);
  }
}

/** The counts of the device's errors, which mounting has set: the first commit behind it writes them (btrfs_run_dev_stats). */
function writeDeviceStats(state: BtrfsState): void {
  if (!state.statsAreNew) return;
  state.statsAreNew = false;
  state.tree(DEVICE_TREE).set(key(DEVICE_STATS, PERSISTENT_ITEM, 1), DEVICE_STATS_BYTES, true);
}

/** Brings quotas, roots, extents and block groups to their trees, which changes those trees, until nothing is left. */
function settle(state: BtrfsState): void {
  const { references } = state;
  writeQuotas(state);
  writeDeviceStats(state);
  state.sharedTree = undefined;
  for (;;) {
    for (const id of ascending(state.touched)) {
      const tree = state.trees.get(id);
      if (tree !== undefined) settleRoot(state, tree);
    }
    if (!references.isChanged && !settleGroups(state)) return;
    for (let delta = references.take(); delta !== undefined; delta = references.take()) settleExtent(state, delta);
  }
}

/**
 * Brings some of what is pending of extents to their tree before the commit does (btrfs_run_delayed_refs). Quota groups are counted by what a whole transaction has
 * changed: where there are any, all of it waits for the commit.
 */
export function settleReferences(state: BtrfsState, most: number): void {
  if (state.quotas !== undefined) return;
  for (let settled = 0; settled < most; settled++) {
    const delta = state.references.take();
    if (delta === undefined) return;
    settleExtent(state, delta);
  }
}

function ascending(ids: ReadonlySet<number>): number[] {
  return [...ids].sort((one, other) => one - other);
}

/** A tree's root has moved: the root tree says so. The roots of the root tree and the chunk tree are in the superblock. */
function settleRoot(state: BtrfsState, tree: Tree): void {
  if (tree.id === ROOT_TREE || tree.id === CHUNK_TREE) return;
  const subvolume = state.subvolumes.get(tree.id);
  const isChanged = subvolume !== undefined && state.takeChangedItem(subvolume);
  if (tree.root === state.writtenRoots.get(tree.id) && !isChanged) return;
  state.writtenRoots.set(tree.id, tree.root);
  const { generation } = state.read(tree.root);
  const item = movedRoot(subvolume?.item ?? PLAIN_ROOT, { root: tree.root, generation, lastSnapshot: tree.lastSnapshot });
  if (subvolume !== undefined) subvolume.item = item;
  state.rootTree.set(key(tree.id, ROOT_ITEM), ROOT_BYTES, item);
}

/** @returns whether any block group's count has changed. */
function settleGroups(state: BtrfsState): boolean {
  let changed = false;
  for (const group of state.space.groups) {
    if (group.used === group.written) continue;
    group.written = group.used;
    const item: BlockGroupItem = { used: group.used, type: group.type };
    state.tree(EXTENT_TREE).set(key(group.start, BLOCK_GROUP_ITEM, group.length), 24, item);
    changed = true;
  }
  return changed || state.references.isChanged;
}

/** Writes the nodes that are new and not written yet, in the order of their addresses, as pages of one file. What is written is copied before it changes again. */
export function writeNodes(state: BtrfsState): Errno | undefined {
  state.unwritten = {};
  for (const node of state.fresh.takeUnwritten()) {
    node.seal();
    const failed = state.write(node.address, Content.record(node));
    if (failed !== undefined) {
      // No commit may count on a node that is not there (BTRFS_FS_BTREE_ERR).
      state.error = failed;
      return failed;
    }
    state.counters.nodesWritten += 1;
  }
  return undefined;
}

function writeAll(state: BtrfsState): Errno | undefined {
  const superblock = superblockOf(state);
  const failed = writeNodes(state) ?? state.device.flush() ?? writeSuperblock(state.device, superblock) ?? state.device.flush();
  if (failed === undefined) state.committed = superblock;
  return failed;
}

function superblockOf(state: BtrfsState): SuperblockRecord {
  const system = state.space.groups.filter(({ type }) => type === "system");
  return {
    kind: "btrfs.superblock",
    length: SUPERBLOCK_BYTES,
    uuid: state.uuid,
    generation: state.generation,
    root: state.rootTree.root,
    logRoot: 0,
    chunkRoot: state.tree(CHUNK_TREE).root,
    totalBytes: state.space.deviceBytes,
    mayHaveCache: state.mayHaveCache,
    systemChunks: system.map(({ start, type, length, stripes }) => ({ start, item: { type, length, stripes } })),
  };
}

/** The transaction is durable: what it freed is free, and the next one begins. */
function finish(state: BtrfsState): void {
  for (const type of ["data", "metadata", "system"] as const)
    assert(state.space.unsettled(type) === 0, `the extent tree knows of all ${type} that was taken`);
  state.space.unpin((start, isNode) => {
    // Nodes of log trees are not among them.
    if (isNode && state.nodes.get(start) !== undefined) state.nodes.delete(start);
  });
  noteRoots(state);
  state.touched.clear();
  state.fresh.clear();
  state.generation += 1;
}

/** Where the roots of the trees that have changed are is where the next count for quota groups begins (switch_commit_roots). */
function noteRoots(state: BtrfsState): void {
  for (const id of state.touched) {
    const tree = state.trees.get(id);
    if (tree === undefined) state.committedRoots.delete(id);
    else state.committedRoots.set(id, tree.root);
  }
}
