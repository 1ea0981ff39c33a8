/** What btrfs's tools ask of a mounted filesystem by ioctl (fs/btrfs/ioctl.c; Linux 6.18): subvolumes and the cleaner. */
import { EINVAL, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, inodeHandle } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { Btrfs } from "./btrfs.ts";
import { inodeOf } from "./inodes.ts";
import type { RootItem, RootRef } from "./items.ts";
import { FIRST_FREE, handleOf, key, ROOT_BACKREF, ROOT_TREE } from "./layout.ts";
import { inheritedGroups } from "./quota-ioctl.ts";
import { createSnapshot, createSubvolume, destroySubvolume } from "./subvolumes.ts";
import { begin } from "./transaction.ts";

/** BTRFS_IOC_SUBVOL_CREATE_V2. @param groups - quota groups that its own becomes a member of. @returns the new subvolume's id. */
export function makeSubvolume(fs: Btrfs, directory: Inode, name: Name, groups: readonly number[] = []): number | Errno {
  const parents = inheritedGroups(fs, groups);
  return isErrno(parents) ? parents : createSubvolume(fs.state, inodeOf(fs.state, directory), name, parents);
}

/**
 * BTRFS_IOC_SNAP_CREATE_V2 of the subvolume whose root folder an inode is. `groups`: as makeSubvolume's.
 * @returns the new subvolume's id; EINVAL for an inode that is no subvolume's root, whatever has the name.
 */
export function makeSnapshot(
  fs: Btrfs,
  source: Inode,
  directory: Inode,
  how: { readonly name: Name; readonly readOnly: boolean; readonly groups?: readonly number[] },
): number | Errno {
  const parents = inheritedGroups(fs, how.groups ?? []);
  if (isErrno(parents)) return parents;
  const root = inodeOf(fs.state, source);
  if (root.ino !== FIRST_FREE) return EINVAL;
  return createSnapshot(fs.state, root.subvolume, inodeOf(fs.state, directory), { ...how, parents });
}

/** BTRFS_IOC_SNAP_DESTROY. @returns ENOTEMPTY when other subvolumes are in it. */
export function removeSubvolume(fs: Btrfs, directory: Inode, name: Name): Errno | undefined {
  return destroySubvolume(fs.state, inodeOf(fs.state, directory), name);
}

/** BTRFS_IOC_SYNC and what follows it: everything is written, what was deleted is gone. */
export function syncAll(fs: Btrfs): Errno | undefined {
  return fs.state.flushAndCommit() ?? fs.clean();
}

/** The id of the subvolume that an inode is in (BTRFS_IOC_INO_LOOKUP). */
export function subvolumeIdOf(fs: Btrfs, inode: Inode): number {
  return inodeOf(fs.state, inode).subvolume.id;
}

/** The root folder of a subvolume. @returns ENOENT when there is none of that id. */
export function subvolumeRoot(fs: Btrfs, id: number): Inode | Errno {
  const subvolume = fs.state.subvolumes.get(id);
  return subvolume === undefined || subvolume.item.refs === 0 ? ENOENT : inodeHandle(handleOf(id, FIRST_FREE));
}

/**
 * BTRFS_IOC_SUBVOL_SETFLAGS, `btrfs property set … ro`: whether the subvolume whose root folder an inode is may be written. A change is committed.
 * @returns EINVAL for an inode that is no subvolume's root.
 */
export function setReadOnly(fs: Btrfs, root: Inode, readOnly: boolean): Errno | undefined {
  const { state } = fs;
  const inode = inodeOf(state, root);
  if (inode.ino !== FIRST_FREE) return EINVAL;
  const { subvolume } = inode;
  if (subvolume.item.readOnly === readOnly) return undefined;
  const refused = begin(state, 1, subvolume);
  if (refused !== undefined) return refused;
  subvolume.item = { ...subvolume.item, readOnly };
  state.itemChanged(subvolume);
  state.rootTree.own(state.rootTree.rootNode, undefined, 0);
  return state.commit();
}

/**
 * BTRFS_IOC_SET_RECEIVED_SUBVOL and BTRFS_IOC_SUBVOL_SETFLAGS: what the sender called it, and whether it may be written.
 * @returns EINVAL for a subvolume that is not there.
 */
export function setReceived(
  fs: Btrfs,
  id: number,
  received: { readonly uuid: string; readonly stransid: number },
): Errno | undefined {
  const { state } = fs;
  const subvolume = state.subvolumes.get(id);
  if (subvolume === undefined) return EINVAL;
  const refused = state.flushAndCommit() ?? begin(state, 2, subvolume);
  if (refused !== undefined) return refused;
  const { uuid, stransid } = received;
  subvolume.item = { ...subvolume.item, receivedUuid: uuid, stransid, rtransid: state.generation, readOnly: true };
  state.itemChanged(subvolume);
  state.rootTree.own(state.rootTree.rootNode, undefined, 0);
  return state.commit();
}

/** A subvolume as `btrfs subvolume list` and `show` tell it. */
interface SubvolumeInfo {
  readonly id: number;
  /** The subvolume that its name is in. */
  readonly parent: number;
  /** From the top of the filesystem, without a leading slash. */
  readonly path: string;
  readonly item: RootItem;
}

/** All subvolumes that have a name, by id. */
export function listSubvolumes(fs: Btrfs): SubvolumeInfo[] {
  const out: SubvolumeInfo[] = [];
  for (const { id, item } of fs.state.subvolumes.values()) {
    const found = backrefOf(fs, id);
    if (found !== undefined && item.refs > 0) out.push({ id, parent: found.parent, path: pathOf(fs, found), item });
  }
  return out.sort((one, other) => one.id - other.id);
}

/** Where a subvolume has its name: in which one. */
interface Backref {
  readonly parent: number;
  readonly ref: RootRef;
}

function backrefOf(fs: Btrfs, id: number): Backref | undefined {
  const cursor = new Cursor(fs.state.tree(ROOT_TREE));
  if (!cursor.seek(key(id, ROOT_BACKREF)) || cursor.compare(key(id, ROOT_BACKREF + 1)) >= 0) return undefined;
  return { parent: cursor.key.offset, ref: cursor.value as RootRef };
}

/** A subvolume's path from the top: names of folders from its directories' own references. */
function pathOf(fs: Btrfs, { parent, ref }: Backref): string {
  const parts = [ref.name];
  let inode = fs.state.handle(parent, ref.directory) as Inode;
  for (;;) {
    const name = nameOf(fs, inode);
    if (name === undefined) break;
    parts.unshift(name);
    inode = fs.parentOf(inode);
  }
  return parts.join("/");
}

function nameOf(fs: Btrfs, directory: Inode): string | undefined {
  const above = fs.parentOf(directory);
  if (above === directory) return undefined;
  let found: string | undefined;
  const { names } = fs.state.environment;
  fs.iterate(above, (name) => {
    if (found === undefined && fs.lookup(above, name) === directory) found = names.text(name);
  });
  return found;
}
