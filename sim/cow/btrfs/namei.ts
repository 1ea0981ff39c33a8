/**
 * Making and removing names (fs/btrfs/inode.c: btrfs_create_common, btrfs_symlink, btrfs_link, btrfs_unlink, btrfs_rmdir, btrfs_tmpfile, btrfs_evict_inode; Linux 6.18).
 *
 * Interface: an inode without names that is held keeps an orphan item, so that a mount after a power cut frees it; the last `drop` frees it otherwise.
 */
import { Content } from "../../core/content.ts";
import { EACCES, EMLINK, ENOENT, ENOTEMPTY, ENOTSUP, EPERM, EROFS, type Errno, EXDEV } from "../../core/errno.ts";
import { type Name, utf8Length } from "../../core/names.ts";
import { type NewInode, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { initAcls } from "./acl.ts";
import { writeInode } from "./delayed-inodes.ts";
import {
  addEntry,
  addRef,
  forgetPlaceholder,
  handleOfEntry,
  indexOfEntry,
  lookupEntry,
  makeRef,
  nameIndexOf,
  removeEntry,
  removeRef,
  takeIndex,
} from "./directories.ts";
import { letGoExtents, putExtent } from "./file-extents.ts";
import { InodeState } from "./inode-state.ts";
import { dirty, inodeOf, setTimes, stamp } from "./inodes.ts";
import {
  COMPRESS_FLAG,
  FIRST_FREE,
  INODE_BYTES,
  INODE_ITEM,
  key,
  LINKS_MAX,
  NOCOMPRESS_FLAG,
  NOCOW_FLAG,
  NODATASUM_FLAG,
  ORPHAN_ITEM,
  ORPHANS,
} from "./layout.ts";
import { logNewName, noteUnlink, type OldName, unlinkInLog } from "./log-names.ts";
import { compressionProperty, inheritProperties } from "./props.ts";
import { undelay } from "./reserve.ts";
import type { BtrfsState } from "./state.ts";
import { begin, beginRemoval, join } from "./transaction.ts";

/** What the kernel estimates that taking a name away changes, in items. */
const UNLINK_ITEMS = 6;
/** The same for an inode without a name: the inode, the label of a security module, the orphan. */
const NAMELESS_ITEMS = 3;
/** For another name of an inode: the inode and its reference, the entry by hash and by index, the directory; and the orphan that one without names was. */
const LINK_ITEMS = 5;
/** Flags that a new inode has from its directory (btrfs_inherit_iflags). */
const INHERITED = NOCOW_FLAG | COMPRESS_FLAG | NOCOMPRESS_FLAG;

/** Why a directory takes no new names. */
function closedError(directory: InodeState, mode: number): Errno | undefined {
  // Without an operation of its own, the kernel says so differently to open and to mkdir and the others.
  if (directory.isPlaceholder) return (mode & S_IFMT) === S_IFREG ? EACCES : EPERM;
  if (directory.subvolume.item.readOnly) return EROFS;
  return directory.nlink === 0 ? ENOENT : undefined;
}

/** Flags of a new inode: its directory's, and a file's by the options of mount. */
function flagsOf(state: BtrfsState, directory: InodeState, type: number): number {
  const { nodatacow, nodatasum } = state.environment.options ?? {};
  let flags = directory.flags & INHERITED;
  if (type !== S_IFREG) return flags;
  if (nodatacow === true) flags |= NOCOW_FLAG;
  if (nodatasum === true || (flags & NOCOW_FLAG) !== 0) flags |= NODATASUM_FLAG;
  return flags;
}

/** Makes an inode, with the reference to its name where it has one (btrfs_create_new_inode). */
function makeInode(state: BtrfsState, directory: InodeState, init: NewInode, name?: string): InodeState {
  const { subvolume } = directory;
  subvolume.lastIno += 1;
  const ino = subvolume.lastIno;
  const now = state.environment.clock.time();
  const type = init.mode & S_IFMT;
  const inode = new InodeState(state.handle(subvolume.id, ino), ino, subvolume, {
    generation: state.generation,
    mode: init.mode,
    uid: init.uid,
    gid: init.gid,
    nlink: 1,
    size: utf8Length(init.target),
    bytes: utf8Length(init.target),
    rdev: init.rdev,
    flags: flagsOf(state, directory, type),
    atime: now,
    mtime: now,
    ctime: now,
    otime: now,
  });
  if (type === S_IFDIR) inode.parent = directory.handle;
  inode.log.changed(state.generation, subvolume.logSyncs);
  inode.log.needsFullSync = true;
  state.inodes.set(inode);
  if (name !== undefined) inode.nameIndex = takeIndex(directory);
  const item = { key: key(ino, INODE_ITEM), size: INODE_BYTES, value: inode.item() };
  const reference = name === undefined ? [] : [makeRef(inode, directory.ino, { index: inode.nameIndex, name })];
  subvolume.tree.insertAll([item, ...reference]);
  inheritProperties(inode, directory);
  writeInode(inode);
  initAcls(state, inode, init.acls);
  return inode;
}

/** A symbolic link's target is data in its item: what fits PATH_MAX fits there. */
function putTarget(inode: InodeState, target: string): void {
  const content = Content.text(target);
  const { length } = content;
  putExtent(inode, 0, { kind: "inline", generation: inode.generation, length, stored: length, content, compression: "none" });
}

/** What the kernel estimates that a new inode with a name changes, in items (btrfs_new_inode_prepare; btrfs_symlink). */
export function itemsToCreate(directory: InodeState, init: Pick<NewInode, "mode" | "acls">): number {
  const target = (init.mode & S_IFMT) === S_IFLNK ? 1 : 0;
  // Inode, label, the entry by hash and by index, the directory.
  return 5 + target + itemsInherited(directory, init);
}

/** What a new inode gets of its directory, in items. */
function itemsInherited(directory: InodeState, { acls }: Pick<NewInode, "acls">): number {
  const property = compressionProperty(directory) === "none" ? 0 : 1;
  return property + (acls?.access === undefined ? 0 : 1) + (acls?.default === undefined ? 0 : 1);
}

/** Makes an inode and the entry that names it. */
function makeNamed(state: BtrfsState, directory: InodeState, init: NewInode, name: string): InodeState {
  const inode = makeInode(state, directory, init, name);
  const entry = { name, target: inode.ino, isSubvolume: false, type: inode.mode & S_IFMT };
  addEntry(state, directory, entry, inode.nameIndex);
  return inode;
}

export function create(state: BtrfsState, directory: InodeState, name: Name, init: NewInode): number | Errno {
  const closed = closedError(directory, init.mode);
  if (closed !== undefined) return closed;
  const refused = begin(state, itemsToCreate(directory, init), directory.subvolume);
  if (refused !== undefined) return refused;
  const inode = makeNamed(state, directory, init, state.environment.names.text(name));
  if ((init.mode & S_IFMT) === S_IFLNK) putTarget(inode, init.target);
  stamp(state, directory, true);
  return inode.handle;
}

/** Leaves a whiteout where a rename took a name away. */
export function leaveWhiteout(state: BtrfsState, directory: InodeState, name: Name, init: NewInode): void {
  makeNamed(state, directory, init, state.environment.names.text(name));
  stamp(state, directory, true);
}

export function tmpfile(state: BtrfsState, directory: InodeState, init: NewInode): number | Errno {
  if (directory.isPlaceholder) return ENOTSUP;
  const items = NAMELESS_ITEMS + itemsInherited(directory, init);
  const refused = closedError(directory, init.mode) ?? begin(state, items, directory.subvolume);
  if (refused !== undefined) return refused;
  const inode = makeInode(state, directory, init);
  inode.nlink = 0;
  inode.holds = 1;
  addOrphan(inode);
  writeInode(inode);
  return inode.handle;
}

export function link(state: BtrfsState, source: InodeState, directory: InodeState, name: Name): Errno | undefined {
  const closed = closedError(directory, S_IFLNK);
  if (closed !== undefined) return closed;
  if (source.subvolume !== directory.subvolume) return EXDEV;
  if (source.nlink >= LINKS_MAX) return EMLINK;
  const refused = begin(state, LINK_ITEMS + (source.nlink === 0 ? 1 : 0), directory.subvolume);
  if (refused !== undefined) return refused;
  const wasNameless = source.nlink === 0;
  source.nlink += 1;
  source.nameIndex = 0;
  source.log.copyEverything = true;
  setTimes(state, source, false);
  const place = { index: takeIndex(directory), name: state.environment.names.text(name) };
  addRef(source, directory.ino, place);
  const entry = { name: place.name, target: source.ino, isSubvolume: false, type: source.mode & S_IFMT };
  addEntry(state, directory, entry, place.index);
  stamp(state, directory, true);
  dirty(state, source);
  if (wasNameless) removeOrphan(source);
  logNewName(state, source);
  return undefined;
}

// Inodes without names

/** Leaves a note for a mount after a power cut, which frees the inode. */
export function addOrphan(inode: InodeState): void {
  inode.subvolume.tree.set(key(ORPHANS, ORPHAN_ITEM, inode.ino), 0, true);
}
export function removeOrphan(inode: InodeState): void {
  inode.subvolume.tree.remove(key(ORPHANS, ORPHAN_ITEM, inode.ino));
}

/** Takes one name's count from an inode. Where it was the last, who calls frees the inode in the end, or, when it is held, the last drop. */
export function dropLink(state: BtrfsState, inode: InodeState): void {
  inode.nlink -= 1;
  dirty(state, inode);
  if (inode.nlink === 0) addOrphan(inode);
}

/** Frees an inode that has no name any more and that nobody holds. */
export function freeNameless(state: BtrfsState, inode: InodeState): void {
  if (inode.nlink === 0 && inode.holds === 0) freeInode(state, inode);
}

/** Frees an inode with all that it has (btrfs_evict_inode). */
export function freeInode(state: BtrfsState, inode: InodeState): void {
  inode.mapping?.truncate(0);
  undelay(state, inode, 0, Number.MAX_SAFE_INTEGER);
  state.delayedInodes.settleItem(inode, state.generation);
  state.delayedInodes.forget(inode);
  if ((inode.mode & S_IFMT) === S_IFREG) letGoExtents(state, inode);
  const { tree } = inode.subvolume;
  tree.removeRange(key(inode.ino, 0), key(inode.ino + 1, 0));
  removeOrphan(inode);
  state.dirtied.delete(inode);
  state.flushLater.delete(inode);
  state.inodes.delete(inode.handle);
}

/** The last hold of an inode without names has ended. */
export function dropHold(state: BtrfsState, inode: InodeState): void {
  if (join(state) === undefined) freeInode(state, inode);
}

// Removing

/** The entry's inode in memory, and what stands against taking its name. */
function victimOf(state: BtrfsState, directory: InodeState, name: Name): InodeState | Errno {
  const entry = lookupEntry(state, directory, name);
  if (entry === undefined) return ENOENT;
  if (directory.subvolume.item.readOnly) return EROFS;
  return inodeOf(state, handleOfEntry(state, directory, entry));
}

export function unlink(state: BtrfsState, directory: InodeState, name: Name): Errno | undefined {
  const inode = victimOf(state, directory, name);
  if (!(inode instanceof InodeState)) return inode;
  const refused = beginRemoval(state, UNLINK_ITEMS);
  if (refused !== undefined) return refused;
  noteUnlink(state, inode);
  unlinkName(state, directory, state.environment.names.text(name), inode);
  dropLink(state, inode);
  freeNameless(state, inode);
  return undefined;
}

/** Takes a name away from an inode and its directory; the count stays (__btrfs_unlink_inode). @returns where it was. */
export function takeName(state: BtrfsState, directory: InodeState, name: string, inode: InodeState): OldName {
  let index = nameIndexOf(inode);
  removeEntry(state, directory, name, () => {
    if (index === 0) index = removeRef(inode, directory.ino, name);
    else state.delayedInodes.loseReference(inode);
    return index;
  });
  setTimes(state, inode, false);
  stamp(state, directory, true);
  dirty(state, inode);
  return { directory, name, index };
}

/** Takes a name away, from the log too. */
export function unlinkName(state: BtrfsState, directory: InodeState, name: string, inode: InodeState): void {
  unlinkInLog(state, inode, takeName(state, directory, name, inode));
}

/** @param destroy - removes a subvolume whose root it is. */
export function rmdir(
  state: BtrfsState,
  directory: InodeState,
  name: Name,
  destroy: (subvolume: InodeState) => Errno | undefined,
): Errno | undefined {
  const inode = victimOf(state, directory, name);
  if (!(inode instanceof InodeState)) return inode;
  if (inode.size > 0) return ENOTEMPTY;
  if (inode.ino === FIRST_FREE) return destroy(inode);
  const refused = beginRemoval(state, UNLINK_ITEMS);
  if (refused !== undefined) return refused;
  // What was deleted in it may have been a subvolume, which no log tells of.
  if (inode.log.unlinkedIn >= state.generation) noteUnlink(state, directory);
  if (!inode.isPlaceholder) addOrphan(inode);
  dropDirectory(state, directory, state.environment.names.text(name), inode);
  freeNameless(state, inode);
  return undefined;
}

/** Takes its only name from an empty directory, or from what stands for a subvolume. */
export function dropDirectory(state: BtrfsState, directory: InodeState, name: string, inode: InodeState): void {
  if (inode.isPlaceholder) {
    removeEntry(state, directory, name, () => indexOfEntry(directory, name));
    forgetPlaceholder(state, directory, name);
    stamp(state, directory, true);
    return;
  }
  unlinkName(state, directory, name, inode);
  // Who stands in it still finds the way up.
  inode.parent = directory.handle;
  dropLink(state, inode);
}
