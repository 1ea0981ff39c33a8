/**
 * Mounting: everything from the device again, from the superblock down (fs/btrfs/disk-io.c: open_ctree; Linux 6.18).
 *
 * Interface: all nodes are read, so that what cannot be read is found here. Inodes and subvolumes without a name are freed, as a power cut may have left them.
 */
import type { BlockDevice } from "../../block/device.ts";
import { EINVAL, type Errno, isErrno } from "../../core/errno.ts";
import { Cursor } from "../cursor.ts";
import type { Extent } from "../extent.ts";
import { Tree } from "../tree.ts";
import { BlockGroup } from "./block-group.ts";
import { Btrfs } from "./btrfs.ts";
import { commit, settleReferences } from "./commit.ts";
import type { BtrfsEnvironment } from "./environment.ts";
import { settleChunk } from "./extent-items.ts";
import { inodeOf } from "./inodes.ts";
import type { BlockGroupItem, ChunkItem, QgroupItem, QgroupLimit, QgroupStatus, RootItem } from "./items.ts";
import {
  BLOCK_GROUP_ITEM,
  CHUNK_ITEM,
  CHUNK_TREE,
  EXTENT_ITEM,
  EXTENT_TREE,
  FIRST_FREE,
  handleOf,
  key,
  METADATA_ITEM,
  ORPHAN_ITEM,
  ORPHANS,
  QGROUP_INFO,
  QGROUP_LIMIT,
  QGROUP_RELATION,
  QGROUP_STATUS,
  QUOTA_TREE,
  ROOT_ITEM,
  ROOT_TREE,
} from "./layout.ts";
import { replayLogs } from "./log-replay.ts";
import { freeInode, removeOrphan } from "./namei.ts";
import { Quotas } from "./quotas.ts";
import { readBelow, readSuperblock, type SuperblockRecord } from "./records.ts";
import { Space, sizeClassOf } from "./space.ts";
import { BtrfsState } from "./state.ts";
import { lastInoIn } from "./subvolumes.ts";

/**
 * Mounts the filesystem on a device.
 * @returns EINVAL when there is none, EIO when its trees cannot be read.
 */
export function mountBtrfs(device: BlockDevice, environment: BtrfsEnvironment): Btrfs | Errno {
  const superblock = readSuperblock(device);
  if (isErrno(superblock)) return superblock;
  if (superblock.totalBytes > device.size) return EINVAL;
  const { profile, options, clock } = environment;
  const space = new Space(superblock.totalBytes, profile.sizeClasses, {
    discardsLater: options?.discard === undefined ? profile.discardsLater : options.discard === "async",
    listsNew: profile.dropsNewChunks,
    now: () => clock.now,
  });
  const state = new BtrfsState(device, environment, {
    space,
    uuid: superblock.uuid,
    generation: superblock.generation + 1,
    mayHaveCache: false,
    commit,
    settleReferences,
  });
  const failed = loadChunks(state, superblock) ?? loadTrees(state, superblock);
  if (failed !== undefined) return failed;
  loadQuotas(state);
  state.statsAreNew = true;
  space.onChunk = (group, made) => {
    if (made) state.globalReserve.renew();
    settleChunk(state, group, made);
  };
  state.committed = { ...superblock, logRoot: 0 };
  const fs = new Btrfs(state);
  const unplayed = superblock.logRoot === 0 ? undefined : replayLogs(state, superblock.logRoot);
  if (unplayed !== undefined) return unplayed;
  freeOrphans(state);
  // Taking back that there may be a space cache is a transaction of its own (btrfs_set_free_space_cache_v1_active).
  state.cacheIsNew = superblock.mayHaveCache;
  return (state.cacheIsNew ? state.commit() : undefined) ?? fs;
}

function loadTree(state: BtrfsState, id: number, root: number): Tree | Errno {
  const failed = readBelow(state, state.nodes, root);
  if (failed !== undefined) return failed;
  const tree = new Tree(state, id, root);
  state.trees.set(id, tree);
  state.committedRoots.set(id, root);
  state.writtenRoots.set(id, root);
  return tree;
}

/** The chunks: those of the system from the superblock, the others from the chunk tree that lies in them. */
function loadChunks(state: BtrfsState, superblock: SuperblockRecord): Errno | undefined {
  for (const { start, item } of superblock.systemChunks) state.space.add(new BlockGroup({ start, ...item }));
  const tree = loadTree(state, CHUNK_TREE, superblock.chunkRoot);
  if (isErrno(tree)) return tree;
  tree.visit(key(FIRST_FREE, CHUNK_ITEM), key(FIRST_FREE, CHUNK_ITEM + 1), ({ offset }, value) => {
    if (state.space.groups.every(({ start }) => start !== offset))
      state.space.add(new BlockGroup({ start: offset, ...(value as ChunkItem) }));
    return false;
  });
  return undefined;
}

function loadTrees(state: BtrfsState, superblock: SuperblockRecord): Errno | undefined {
  const roots = loadTree(state, ROOT_TREE, superblock.root);
  if (isErrno(roots)) return roots;
  const cursor = new Cursor(roots);
  for (let more = cursor.seek(key(0, 0)); more; more = cursor.next()) {
    const { object, kind } = cursor.key;
    if (kind !== ROOT_ITEM) continue;
    const item = cursor.value as RootItem;
    const tree = loadTree(state, object, item.root);
    if (isErrno(tree)) return tree;
    if (state.isSubvolume(object)) loadSubvolume(state, tree, item);
  }
  loadSpace(state);
  for (const group of state.space.groups) if (group.used === 0) state.space.unused.emptied(group);
  loadSizeClasses(state);
  return undefined;
}

function loadSubvolume(state: BtrfsState, tree: Tree, item: RootItem): void {
  tree.lastSnapshot = item.lastSnapshot;
  state.subvolumes.set(tree.id, {
    id: tree.id,
    tree,
    item,
    device: undefined,
    lastIno: lastInoIn(tree),
    logSyncs: 0,
    lastLogSync: 0,
  });
  state.nextSubvolume = Math.max(state.nextSubvolume, tree.id + 1);
  if (item.refs === 0) state.deleted.push(tree.id);
}

/** What is free follows from what the extents take. */
function loadSpace(state: BtrfsState): void {
  const tree = state.tree(EXTENT_TREE);
  const cursor = new Cursor(tree);
  for (let more = cursor.seek(key(0, 0)); more; more = cursor.next()) {
    const { object, kind } = cursor.key;
    if (kind === EXTENT_ITEM || kind === METADATA_ITEM) {
      const { start, length } = cursor.value as Extent;
      state.space.groupOf(start).take(start, length);
    } else if (kind === BLOCK_GROUP_ITEM) state.space.groupOf(object).written = (cursor.value as BlockGroupItem).used;
  }
}

/** How many places of a data chunk a mount looks at. */
const SAMPLES = 5;

/** Which sizes a data chunk has: that of the shortest of a few of its extents (load_block_group_size_class). */
function loadSizeClasses(state: BtrfsState): void {
  if (!state.space.sizeClasses) return;
  const cursor = new Cursor(state.tree(EXTENT_TREE));
  for (const group of state.space.groups) {
    if (group.type !== "data") continue;
    let shortest = Number.POSITIVE_INFINITY;
    for (let sample = 0; sample < SAMPLES; sample++) {
      const from = group.start + sample * Math.floor(group.length / SAMPLES);
      let more = cursor.seek(key(from, EXTENT_ITEM));
      while (more && cursor.key.kind !== EXTENT_ITEM && cursor.key.object < group.end) more = cursor.next();
      if (more && cursor.key.object < group.end) shortest = Math.min(shortest, cursor.key.offset);
    }
    if (shortest < Number.POSITIVE_INFINITY) group.sizeClass = sizeClassOf(shortest);
  }
}

function loadQuotas(state: BtrfsState): void {
  const tree = state.trees.get(QUOTA_TREE);
  if (tree === undefined) return;
  const quotas = new Quotas();
  tree.visit(key(0, QGROUP_INFO), key(0, QGROUP_INFO + 1), ({ offset }, value) => {
    const limit = tree.get(key(0, QGROUP_LIMIT, offset)) as QgroupLimit | undefined;
    quotas.add(offset, value as QgroupItem, limit).dirty = false;
    return false;
  });
  for (const group of quotas.groups.values()) {
    tree.visit(key(group.id, QGROUP_RELATION), key(group.id, QGROUP_RELATION + 1), ({ offset }) => {
      const parent = quotas.groups.get(offset);
      if (parent !== undefined && offset > group.id) quotas.connect(group, parent);
      return false;
    });
  }
  quotas.inconsistent = (tree.get(key(0, QGROUP_STATUS)) as QgroupStatus).inconsistent;
  state.quotas = quotas;
}

/** Frees the inodes that nobody holds any more, the last one first. What a replayed log has given a name meanwhile stays (btrfs_orphan_cleanup). */
function freeOrphans(state: BtrfsState): void {
  for (const { id, tree } of state.subvolumes.values()) {
    const inos: number[] = [];
    tree.visit(key(ORPHANS, ORPHAN_ITEM), key(ORPHANS, ORPHAN_ITEM + 1), ({ offset }) => {
      inos.push(offset);
      return false;
    });
    for (const ino of inos.reverse()) {
      const inode = inodeOf(state, handleOf(id, ino));
      if (inode.nlink === 0) freeInode(state, inode);
      else removeOrphan(inode);
    }
  }
}
