/**
 * Subvolumes: making, snapshots, removing (fs/btrfs/ioctl.c: create_subvol, create_snapshot, btrfs_ioctl_snap_destroy; transaction.c: create_pending_snapshot;
 * extent-tree.c: btrfs_drop_snapshot; Linux 6.18. spec/block-cow.md 2.2).
 */
import { assert } from "../../core/assert.ts";
import { EEXIST, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, ENOTTY, EROFS, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { S_IFDIR } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { Node } from "../node.ts";
import { Tree } from "../tree.ts";
import { commit } from "./commit.ts";
import { writeInode } from "./delayed-inodes.ts";
import { handleOfEntry, lookupEntry } from "./directories.ts";
import { InodeState } from "./inode-state.ts";
import { inodeOf, stamp } from "./inodes.ts";
import type { RootItem } from "./items.ts";
import {
  FIRST_FREE,
  handleOf,
  INODE_REF,
  key,
  LAST_FREE,
  ORPHAN_ITEM,
  ORPHANS,
  REF_BYTES,
  ROOT_ITEM,
  ROOT_REF,
  UUID_SUBVOLUME,
  UUID_TREE,
} from "./layout.ts";
import { noteUnlink } from "./log-names.ts";
import { delallocReserve } from "./metadata-space.ts";
import { itemsToCreate } from "./namei.ts";
import { inheritProperties } from "./props.ts";
import { removeQgroup, setRelation } from "./quota-items.ts";
import type { Qgroup } from "./quotas.ts";
import { nameSubvolume, unnameSubvolume } from "./root-refs.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";
import { beginSubvolume } from "./transaction.ts";

/** Of a new subvolume beside its folder's items: its tree, root item, two references, uuid, and two of a quota group; groups above it need two each (create_subvol_num_items). */
const ROOT_ITEMS = 7;
/** Of a snapshot's name: the folder's item, two entries. */
const SNAPSHOT_NAME_ITEMS = 3;
/** Of a name that goes: the folder's item, two entries, two references. */
const REMOVAL_ITEMS = 5;
const UUID_BYTES = 8;

/** A uuid as a key of the uuid tree. */
function uuidKey(uuid: string): ReturnType<typeof key> {
  const hex = uuid.replaceAll("-", "");
  return key(Number.parseInt(hex.slice(0, 12), 16), UUID_SUBVOLUME, Number.parseInt(hex.slice(16, 28), 16));
}

/** What forbids a new subvolume's name; that it is there is told before its folder is asked (btrfs_may_create). */
function freeName(state: BtrfsState, directory: InodeState, name: Name): Errno | undefined {
  if (directory.isPlaceholder) return ENOTTY;
  if (directory.nlink === 0) return ENOENT;
  if (lookupEntry(state, directory, name) !== undefined) return EEXIST;
  return directory.subvolume.item.readOnly ? EROFS : undefined;
}

function newItem(state: BtrfsState, parts: Partial<RootItem>): RootItem {
  const now = state.environment.clock.time();
  return {
    root: 0,
    generation: state.generation,
    lastSnapshot: 0,
    readOnly: false,
    refs: 1,
    uuid: state.newUuid(),
    parentUuid: "",
    receivedUuid: "",
    ctransid: state.generation,
    otransid: state.generation,
    stransid: 0,
    rtransid: 0,
    ctime: now,
    otime: now,
    ...parts,
  };
}

function register(state: BtrfsState, tree: Tree, item: RootItem, lastIno: number): Subvolume {
  const subvolume: Subvolume = { id: tree.id, tree, item, device: undefined, lastIno, logSyncs: 0, lastLogSync: 0 };
  state.trees.set(tree.id, tree);
  state.subvolumes.set(tree.id, subvolume);
  state.itemChanged(subvolume);
  state.tree(UUID_TREE).set(uuidKey(item.uuid), UUID_BYTES, tree.id);
  return subvolume;
}

/** The root folder of a new subvolume, whose tree is empty. */
export function makeRootFolder(state: BtrfsState, subvolume: Subvolume, bytes = 0): InodeState {
  const now = state.environment.clock.time();
  const times = { atime: now, mtime: now, ctime: now, otime: now };
  const base = {
    generation: state.generation,
    mode: S_IFDIR | 0o755,
    uid: 0,
    gid: 0,
    nlink: 1,
    size: 0,
    bytes,
    rdev: 0,
    flags: 0,
  };
  const root = new InodeState(handleOf(subvolume.id, FIRST_FREE), FIRST_FREE, subvolume, { ...base, ...times });
  subvolume.tree.set(key(FIRST_FREE, INODE_REF, FIRST_FREE), REF_BYTES + 2, [{ index: 0, name: ".." }]);
  writeInode(root);
  root.log.changed(state.generation, subvolume.logSyncs);
  state.inodes.set(root);
  return root;
}

/** Makes an empty subvolume. @returns its id. */
export function createSubvolume(
  state: BtrfsState,
  directory: InodeState,
  name: Name,
  parents: readonly Qgroup[],
): number | Errno {
  const items = ROOT_ITEMS + 2 * parents.length + itemsToCreate(directory, { mode: S_IFDIR });
  const taken = freeName(state, directory, name);
  if (taken !== undefined) return taken;
  // Its number is given before there is room for it, and not again.
  const id = state.nextSubvolume++;
  const refused = beginSubvolume(state, items, directory.subvolume);
  if (refused !== undefined) return refused;
  const subvolume = register(state, new Tree(state, id), newItem(state, {}), FIRST_FREE);
  inheritQuota(state, undefined, id, parents);
  const root = makeRootFolder(state, subvolume);
  inheritProperties(root, inodeOf(state, handleOf(directory.subvolume.id, FIRST_FREE)));
  writeInode(root);
  // An fsync of the directory commits: the new root is in no commit yet (btrfs_record_new_subvolume).
  noteUnlink(state, directory);
  nameSubvolume(state, directory, state.environment.names.text(name), id);
  stamp(state, directory, true);
  if (!state.profile.commitsSubvolumes) return id;
  return state.commit() ?? id;
}

function flushSubvolume(state: BtrfsState, subvolume: Subvolume): Errno | undefined {
  return state.flushData((inode) => inode.subvolume === subvolume);
}

/** Makes a snapshot. @returns its id. */
export function createSnapshot(
  state: BtrfsState,
  source: Subvolume,
  directory: InodeState,
  how: { name: Name; readOnly: boolean; parents: readonly Qgroup[] },
): number | Errno {
  if (directory.isPlaceholder) return ENOTTY;
  const items = ROOT_ITEMS + 2 * how.parents.length + SNAPSHOT_NAME_ITEMS;
  // What is dirty of the source is written whatever becomes of the name (btrfs_mksnapshot).
  const refused =
    flushSubvolume(state, source) ?? freeName(state, directory, how.name) ?? beginSubvolume(state, items, directory.subvolume);
  if (refused !== undefined) return refused;
  const id = state.nextSubvolume++;
  const copy = (): void => {
    const subvolume = copyTree(state, source, id);
    inheritQuota(state, source.id, id, how.parents);
    subvolume.item = { ...subvolume.item, readOnly: how.readOnly };
  };
  const name = (): void => {
    nameSubvolume(state, directory, state.environment.names.text(how.name), id);
    stamp(state, directory, true);
  };
  const failed = commit(state, { copy, name });
  if (failed !== undefined) return failed;
  const { events } = state.environment;
  if (events.listening) events.emit({ op: "snapshot", filesystem: state.label, source: `${source.id}`, target: `${id}` });
  return id;
}

/** The snapshot's subvolume: its tree shares all below the root with the source's (create_pending_snapshot). */
function copyTree(state: BtrfsState, source: Subvolume, id: number): Subvolume {
  const tree = source.tree.snapshot(id);
  state.references.changeBelow(tree.rootNode, { tree: id }, 1);
  source.tree.lastSnapshot = state.generation;
  tree.lastSnapshot = state.generation;
  state.sharedTree = source.id;
  state.itemChanged(source);
  const item = newItem(state, { parentUuid: source.item.uuid, ctransid: source.item.ctransid });
  return register(state, tree, item, lastInoIn(tree));
}

/** The highest number that an inode of a tree has: the next one goes on behind it (btrfs_init_root_free_objectid). */
export function lastInoIn(tree: Tree): number {
  const cursor = new Cursor(tree);
  assert(cursor.seekBefore(key(LAST_FREE, 0)), `subvolume ${tree.id} has a root folder`);
  return cursor.key.object;
}

/** The quota group of a new subvolume. @param source - of a snapshot: what it was taken of. */
function inheritQuota(state: BtrfsState, source: number | undefined, id: number, parents: readonly Qgroup[]): void {
  const { quotas } = state;
  if (quotas === undefined) return;
  quotas.inherit(source === undefined ? undefined : quotas.groupOf(source), id, parents);
  for (const parent of parents) setRelation(state, id, parent.id, true);
}

/** Whether other subvolumes have their names in this one. */
function hasNested(state: BtrfsState, id: number): boolean {
  const cursor = new Cursor(state.rootTree);
  return cursor.seek(key(id, ROOT_REF)) && cursor.compare(key(id, ROOT_REF + 1)) < 0;
}

/** Takes a subvolume's name away; the cleaner drops what it has. @returns ENOTDIR and EINVAL for what is none, ENOTEMPTY where others are in it. */
export function destroySubvolume(state: BtrfsState, directory: InodeState, name: Name): Errno | undefined {
  const entry = lookupEntry(state, directory, name);
  if (entry === undefined) return ENOENT;
  if (directory.subvolume.item.readOnly) return EROFS;
  const root = inodeOf(state, handleOfEntry(state, directory, entry));
  if (!root.isDirectory) return ENOTDIR;
  if (root.ino !== FIRST_FREE || root.isPlaceholder) return EINVAL;
  const { subvolume } = root;
  if (hasNested(state, subvolume.id)) return ENOTEMPTY;
  const refused = beginSubvolume(state, REMOVAL_ITEMS, directory.subvolume, true);
  if (refused !== undefined) return refused;
  // An fsync of the directory commits (btrfs_record_snapshot_destroy).
  noteUnlink(state, directory);
  unnameSubvolume(state, directory, state.environment.names.text(name), subvolume.id);
  root.parent = directory.handle;
  stamp(state, directory, true);
  subvolume.item = { ...subvolume.item, refs: 0 };
  state.itemChanged(subvolume);
  state.rootTree.set(key(ORPHANS, ORPHAN_ITEM, subvolume.id), 0, true);
  state.tree(UUID_TREE).remove(uuidKey(subvolume.item.uuid));
  state.deleted.push(subvolume.id);
  for (const inode of state.inodes.of(subvolume.id)) if (inode.holds === 0) dropDirty(state, inode);
  return undefined;
}

/** Whether an open file or a process still stands in a subvolume. */
function isUsed(state: BtrfsState, subvolume: Subvolume): boolean {
  for (const inode of state.inodes.of(subvolume.id)) if (inode.holds > 0) return true;
  return false;
}

/** Drops the subvolumes that have no name and no user any more (the cleaner thread). @returns how many. */
export function cleanSubvolumes(state: BtrfsState): number | Errno {
  let cleaned = 0;
  for (const id of [...state.deleted]) {
    const subvolume = state.subvolumes.get(id);
    if (subvolume === undefined || isUsed(state, subvolume)) continue;
    const failed = dropSubvolume(state, subvolume);
    if (failed !== undefined) return failed;
    cleaned += 1;
  }
  return cleaned;
}

function dropSubvolume(state: BtrfsState, subvolume: Subvolume): Errno | undefined {
  const { id, tree } = subvolume;
  for (const inode of [...state.inodes.of(id)]) forgetInode(state, inode);
  const failed = state.commit();
  if (failed !== undefined) return failed;
  state.references.dropTree(tree, (node) => {
    if (state.quotas !== undefined) touchBelow(state, node);
  });
  state.rootTree.remove(key(id, ROOT_ITEM));
  state.rootTree.remove(key(ORPHANS, ORPHAN_ITEM, id));
  state.dropTree(id);
  state.subvolumes.delete(id);
  state.deleted.splice(state.deleted.indexOf(id), 1);
  const failedLast = state.commit();
  if (failedLast !== undefined || state.quotas === undefined || !state.profile.dropsQgroups) return failedLast;
  removeQgroup(state, state.quotas, state.quotas.groupOf(id));
  return state.commit();
}

/** What is dirty of an inode that nobody holds goes nowhere: without its subvolume's name it is evicted (btrfs_drop_inode, btrfs_evict_inode). */
export function dropDirty(state: BtrfsState, inode: InodeState): void {
  inode.mapping?.truncate(0);
  state.flushLater.delete(inode);
  state.delayedBytes -= inode.delayed?.covered ?? 0;
  state.metadata.delalloc -= delallocReserve(inode);
  inode.delayed = undefined;
  inode.delayedNew = undefined;
}

function forgetInode(state: BtrfsState, inode: InodeState): void {
  dropDirty(state, inode);
  state.delayedInodes.forget(inode);
  state.dirtied.delete(inode);
  state.inodes.delete(inode.handle);
}

/** Counts a subtree anew that lost one of the trees that use it (btrfs_qgroup_trace_subtree). */
function touchBelow(state: BtrfsState, node: Node): void {
  state.references.touch(node.address);
  for (const child of node.children) touchBelow(state, state.read(child));
  for (let slot = 0; node.level === 0 && slot < node.count; slot++) {
    const item = state.referenceOf(node, slot);
    if (item !== undefined) state.references.touch(item.start);
  }
}
