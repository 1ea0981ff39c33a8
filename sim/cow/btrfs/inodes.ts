/**
 * Inodes in memory (fs/btrfs/inode.c, delayed-inode.c): read from their item at first use, written back to it at a commit.
 */
import { assert } from "../../core/assert.ts";
import type { DeviceNumber } from "../../core/units.ts";
import type { Mapping } from "../../vfs/address-space.ts";
import { type Inode, inodeHandle } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import { InodeState } from "./inode-state.ts";
import type { InodeItem, RootRef } from "./items.ts";
import { FIRST_FREE, handleOf, INODE_ITEM, INODE_REF, inoOf, key, ROOT_BACKREF, subvolumeOf } from "./layout.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";

/** The inode of a handle. */
export function inodeOf(state: BtrfsState, handle: number): InodeState {
  return state.inodes.get(handle) ?? load(state, handle);
}

function load(state: BtrfsState, handle: number): InodeState {
  const inode = reachInode(state, handle);
  assert(inode !== undefined, `subvolume ${subvolumeOf(handle)} has no inode ${inoOf(handle)}`);
  return inode as InodeState;
}

/** The inode of a handle that may be an old one: undefined where it is gone, or its subvolume is (btrfs_get_dentry). */
export function reachInode(state: BtrfsState, handle: number): InodeState | undefined {
  const known = state.inodes.get(handle);
  if (known !== undefined) return known;
  const subvolume = state.subvolumes.get(subvolumeOf(handle));
  const item = subvolume?.tree.get(key(inoOf(handle), INODE_ITEM)) as InodeItem | undefined;
  if (subvolume === undefined || item === undefined) return undefined;
  const inode = new InodeState(handle, inoOf(handle), subvolume, item);
  if (item.nlink === 1) inode.nameIndex = -1;
  state.inodes.set(inode);
  return inode;
}

/** The inode's item is to be written (btrfs_update_inode). */
export function dirty(state: BtrfsState, inode: InodeState): void {
  if (inode.isPlaceholder) return;
  inode.log.changed(state.generation, inode.subvolume.logSyncs);
  state.delayedInodes.update(inode);
}

/** Stamps ctime, and mtime too where content has changed; the inode's item is to be written. */
export function stamp(state: BtrfsState, inode: InodeState, content: boolean): void {
  setTimes(state, inode, content);
  dirty(state, inode);
}

/** Stamps ctime, and mtime too where content has changed, of what is to be written anyway. */
export function setTimes(state: BtrfsState, inode: InodeState, content: boolean): void {
  const { clock } = state.environment;
  const now = inode.asked ? clock.changeTime(inode.ctime) : clock.time();
  inode.asked = false;
  inode.ctime = now;
  if (content) inode.mtime = now;
}

export function mappingOf(state: BtrfsState, inode: InodeState): Mapping {
  assert(state.addressSpace !== undefined, "the filesystem has an address space once it is mounted");
  inode.mapping ??= state.environment.cache.mapping(
    state.addressSpace as NonNullable<typeof state.addressSpace>,
    inodeHandle(inode.handle),
  );
  return inode.mapping as Mapping;
}

/** The mapping for who makes pages of it dirty. */
export function dirtyMappingOf(state: BtrfsState, inode: InodeState): Mapping {
  state.dirtied.add(inode);
  const mapping = mappingOf(state, inode);
  if (mapping.dirtyPages === 0) state.flushLater.add(inode);
  return mapping;
}

/** st_dev of a subvolume: its own anonymous number, taken at first use. */
export function deviceOf(state: BtrfsState, subvolume: Subvolume): DeviceNumber {
  const device = subvolume.device ?? state.environment.newDevice();
  subvolume.device = device;
  return device;
}

/** The directory above one: that of its only name, or of the one that it lost; of a subvolume's root, where the subvolume has its name. */
export function parentOf(state: BtrfsState, directory: InodeState): Inode {
  if (directory.standsIn !== 0) return inodeHandle(directory.standsIn);
  if (directory.parent !== 0) return inodeHandle(directory.parent);
  if (directory.ino === FIRST_FREE) return parentOfRoot(state, directory);
  const cursor = new Cursor(directory.subvolume.tree);
  const isNamed = cursor.seek(key(directory.ino, INODE_REF)) && cursor.compare(key(directory.ino, INODE_REF + 1)) < 0;
  assert(isNamed, `directory ${directory.ino} has a name`);
  directory.parent = handleOf(directory.subvolume.id, cursor.key.offset);
  return inodeHandle(directory.parent);
}

function parentOfRoot(state: BtrfsState, directory: InodeState): Inode {
  const { id } = directory.subvolume;
  const cursor = new Cursor(state.rootTree);
  if (!cursor.seek(key(id, ROOT_BACKREF)) || cursor.compare(key(id, ROOT_BACKREF + 1)) >= 0) return inodeHandle(directory.handle);
  return inodeHandle(handleOf(cursor.key.offset, (cursor.value as RootRef).directory));
}
