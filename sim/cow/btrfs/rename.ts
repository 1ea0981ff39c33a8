/** Renaming (fs/btrfs/inode.c: btrfs_rename, btrfs_rename_exchange; Linux 6.18): inodes stay in their subvolume, a subvolume itself may go anywhere. */
import { assert } from "../../core/assert.ts";
import { ENOENT, ENOTEMPTY, EPERM, EROFS, type Errno, EXDEV } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type NewInode, RENAME_EXCHANGE, RENAME_WHITEOUT, S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { ROOTS_WHITEOUT } from "../../vfs/whiteout.ts";
import { addEntry, addRef, handleOfEntry, lookupEntry, takeIndex } from "./directories.ts";
import type { InodeState } from "./inode-state.ts";
import { inodeOf, setTimes, stamp } from "./inodes.ts";
import { FIRST_FREE } from "./layout.ts";
import { logNewName, noteMove, type OldName } from "./log-names.ts";
import { dropDirectory, dropLink, freeNameless, itemsToCreate, leaveWhiteout, takeName, unlinkName } from "./namei.ts";
import { nameSubvolume, unnameSubvolume } from "./root-refs.ts";
import type { BtrfsState } from "./state.ts";
import { begin } from "./transaction.ts";

/** What a move estimates to change for its two entries, by hash and by index each; for what it moves; for what it replaces, in items. */
const ENTRY_ITEMS = 4;
const REPLACED_ITEMS = 5;
/** Of a subvolume: references and back references, old and new; of an inode: itself and both references. */
const movedItems = (inode: InodeState): number => (inode.ino === FIRST_FREE ? 4 : 3);

/** A name in a directory. */
export interface Place {
  readonly directory: InodeState;
  readonly name: Name;
}

function inodeAt(state: BtrfsState, place: Place): InodeState | undefined {
  const entry = lookupEntry(state, place.directory, place.name);
  return entry === undefined ? undefined : inodeOf(state, handleOfEntry(state, place.directory, entry));
}

/** The inode of a name that is known to be there. */
function inodeThere(state: BtrfsState, place: Place): InodeState {
  const inode = inodeAt(state, place);
  assert(inode !== undefined, "what is renamed is there");
  return inode;
}

/** Interface: both names are looked up already, and what they name may be moved (fs/namei.c: vfs_rename). */
export function rename(
  state: BtrfsState,
  source: Place,
  target: Place,
  flags: number,
  left: NewInode = ROOTS_WHITEOUT,
): Errno | undefined {
  const inode = inodeThere(state, source);
  const replaced = inodeAt(state, target);
  if (source.directory.subvolume.item.readOnly || target.directory.subvolume.item.readOnly) return EROFS;
  if ((flags & RENAME_EXCHANGE) !== 0) return exchange(state, source, target);
  if (target.directory.isPlaceholder) return EPERM;
  const crosses = source.directory.subvolume !== target.directory.subvolume;
  if (inode.ino !== FIRST_FREE && crosses) return EXDEV;
  if (inode.isPlaceholder || replaced?.ino === FIRST_FREE) return ENOTEMPTY;
  if (inode.isDirectory && replaced !== undefined && replaced.size > 0) return ENOTEMPTY;
  if (replaced === inode) return undefined;
  // What takes another file's place is written first, so that the transaction has less to wait for.
  if (replaced !== undefined && replaced.size > 0 && (inode.mode & S_IFMT) === S_IFREG) inode.mapping?.flush();
  const whiteout = (flags & RENAME_WHITEOUT) === 0 ? undefined : left;
  const refused = begin(state, itemsToMove(inode, replaced, source, target, whiteout), source.directory.subvolume);
  if (refused !== undefined) return refused;
  const index = announce(state, target, inode);
  if (source.directory !== target.directory) noteMove(state, source.directory, inode);
  stampRenamed(state, source, target, [inode, replaced]);
  const old = leave(state, source, inode);
  if (replaced !== undefined) removeReplaced(state, target, replaced);
  arrive(state, target, inode, index);
  if (old !== undefined) logNewName(state, inode, old);
  if ((flags & RENAME_WHITEOUT) !== 0) leaveWhiteout(state, source.directory, source.name, left);
  if (replaced !== undefined) freeNameless(state, replaced);
  return undefined;
}

/** What the kernel estimates that a move changes, in items (btrfs_rename). */
function itemsToMove(
  inode: InodeState,
  replaced: InodeState | undefined,
  source: Place,
  target: Place,
  whiteout: NewInode | undefined,
): number {
  // Without a whiteout, the old parent.
  const left = whiteout === undefined ? 1 : itemsToCreate(source.directory, whiteout);
  const parent = source.directory === target.directory ? 0 : 1;
  return left + movedItems(inode) + ENTRY_ITEMS + parent + (replaced === undefined ? 0 : REPLACED_ITEMS);
}

/** simple_rename_timestamp. Later steps of the same call stamp again, which then finds nobody who has been told the times. */
function stampRenamed(state: BtrfsState, source: Place, target: Place, inodes: readonly (InodeState | undefined)[]): void {
  setTimes(state, source.directory, true);
  if (source.directory !== target.directory) setTimes(state, target.directory, true);
  for (const inode of inodes) if (inode !== undefined) setTimes(state, inode, false);
}

/** Tells an inode the name that it is to get, while it has the old one. @returns where that will be listed; 0 of a subvolume. */
function announce(state: BtrfsState, { directory, name }: Place, inode: InodeState): number {
  if (inode.ino === FIRST_FREE) return 0;
  const index = takeIndex(directory);
  inode.nameIndex = 0;
  addRef(inode, directory.ino, { index, name: state.environment.names.text(name) });
  return index;
}

/** Takes the name away where the inode was. @returns where that is; undefined of a subvolume, whose moves no log tells. */
function leave(state: BtrfsState, place: Place, inode: InodeState): OldName | undefined {
  const name = state.environment.names.text(place.name);
  if (inode.ino !== FIRST_FREE) return takeName(state, place.directory, name, inode);
  state.logs.setMustCommit();
  unnameSubvolume(state, place.directory, name, inode.subvolume.id);
  return undefined;
}

/** Gives the inode its name where it is now. */
function arrive(state: BtrfsState, place: Place, inode: InodeState, index: number): void {
  const name = state.environment.names.text(place.name);
  if (inode.ino === FIRST_FREE) nameSubvolume(state, place.directory, name, inode.subvolume.id);
  else {
    addEntry(state, place.directory, { name, target: inode.ino, isSubvolume: false, type: inode.mode & S_IFMT }, index);
    stamp(state, place.directory, true);
    if (inode.isDirectory) inode.parent = place.directory.handle;
    if (inode.nlink === 1) inode.nameIndex = index;
  }
}

function removeReplaced(state: BtrfsState, place: Place, inode: InodeState): void {
  const name = state.environment.names.text(place.name);
  if (inode.isDirectory) dropDirectory(state, place.directory, name, inode);
  else {
    unlinkName(state, place.directory, name, inode);
    dropLink(state, inode);
  }
}

function exchange(state: BtrfsState, source: Place, target: Place): Errno | undefined {
  const one = inodeThere(state, source);
  const other = inodeThere(state, target);
  const crosses = source.directory.subvolume !== target.directory.subvolume;
  if (crosses && (one.ino !== FIRST_FREE || other.ino !== FIRST_FREE)) return EXDEV;
  if (one.isPlaceholder || other.isPlaceholder) {
    // The kernel finds out when it looks for the reference, with half of the transaction done: it aborts it (recorded on 6.18).
    state.error = ENOENT;
    return ENOENT;
  }
  const parents = source.directory === target.directory ? 1 : 2;
  const items = 2 * ENTRY_ITEMS + parents + movedItems(one) + movedItems(other);
  const refused = begin(state, items, source.directory.subvolume);
  if (refused !== undefined) return refused;
  const index = announce(state, target, one);
  const otherIndex = announce(state, source, other);
  if (source.directory !== target.directory) {
    noteMove(state, source.directory, one);
    noteMove(state, target.directory, other);
  }
  stampRenamed(state, source, target, [one, other]);
  const oldOne = leave(state, source, one);
  const oldOther = leave(state, target, other);
  arrive(state, target, one, index);
  arrive(state, source, other, otherIndex);
  if (oldOne !== undefined && oldOther !== undefined) {
    logNewName(state, one, oldOne);
    logNewName(state, other, oldOther);
  }
  return undefined;
}
