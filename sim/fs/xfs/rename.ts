/** Renaming (fs/xfs/xfs_inode.c: xfs_rename, xfs_cross_rename). */
import { EEXIST, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type NewInode, RENAME_EXCHANGE, RENAME_WHITEOUT, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ROOTS_WHITEOUT } from "../../vfs/whiteout.ts";
import {
  addEntry,
  dirtyDots,
  dirtyEntry,
  enter,
  isEmpty,
  lookupEntry,
  placeEntry,
  removeEntry,
  roomForEntry,
} from "./directories.ts";
import { EXTRA, MODE } from "./inodes.ts";
import { addLinks, dropDirectory, dropLink, makeWhiteout, otherProject } from "./namei.ts";
import { stamp } from "./stamp.ts";
import type { XfsState } from "./state.ts";

/** A name in a directory. */
export interface Place {
  readonly directory: number;
  readonly name: Name;
}

function isDirectory(state: XfsState, ino: number): boolean {
  return (state.word(ino, MODE) & S_IFMT) === S_IFDIR;
}

export function rename(
  state: XfsState,
  source: Place,
  target: Place,
  flags: number,
  left: NewInode = ROOTS_WHITEOUT,
): Errno | undefined {
  const unread = enter(state, source.directory) ?? enter(state, target.directory);
  if (unread !== undefined) return unread;
  const ino = lookupEntry(state, source.directory, source.name);
  const replaced = lookupEntry(state, target.directory, target.name);
  const barred = otherProject(state, ino, target.directory);
  if (barred !== undefined) return barred;
  if ((flags & RENAME_EXCHANGE) !== 0) return exchange(state, source, target);
  const moves = source.directory !== target.directory;
  const directory = isDirectory(state, ino);
  if (replaced !== 0 && isDirectory(state, replaced) && !isEmpty(state, replaced)) return EEXIST;
  const refused =
    (directory && moves ? enter(state, ino) : undefined) ??
    (replaced === 0 ? roomForEntry(state, target.directory, target.name) : undefined) ??
    state.begin();
  if (refused !== undefined) return refused;
  const whiteout = (flags & RENAME_WHITEOUT) === 0 ? 0 : makeWhiteout(state, target.directory, left);
  if (isErrno(whiteout)) return whiteout;
  move(state, { ino, replaced, source, target });
  if (directory && moves) {
    state.setWord(ino, EXTRA, target.directory);
    dirtyDots(state, ino);
    addLinks(state, source.directory, -1);
    if (replaced === 0) addLinks(state, target.directory, 1);
  } else if (directory && replaced !== 0) addLinks(state, source.directory, -1);
  // In the kernel's order, which fine times show (xfs_dir_rename_children).
  stamp(state, target.directory, true);
  if (replaced !== 0) dropReplaced(state, replaced);
  stamp(state, ino, false);
  stamp(state, source.directory, true);
  if (whiteout !== 0) addEntry(state, source.directory, source.name, whiteout);
  return undefined;
}

function dropReplaced(state: XfsState, replaced: number): void {
  if (isDirectory(state, replaced)) dropDirectory(state, replaced);
  else dropLink(state, replaced);
}

function move(
  state: XfsState,
  change: { readonly ino: number; readonly replaced: number; readonly source: Place; readonly target: Place },
): void {
  const { ino, replaced, source, target } = change;
  const row = state.dentries.find(source.directory, source.name);
  if (replaced !== 0) {
    const over = state.dentries.find(target.directory, target.name);
    state.dentries.replace(over, ino);
    dirtyEntry(state, target.directory, over);
    removeEntry(state, source.directory, row);
    return;
  }
  // The kernel adds the new name before it takes the old one away: the two may not share a slot.
  const moved = state.dentries.insert(target.directory, target.name, ino);
  placeEntry(state, target.directory, moved);
  removeEntry(state, source.directory, row);
}

function exchange(state: XfsState, source: Place, target: Place): Errno | undefined {
  const one = state.dentries.find(source.directory, source.name);
  const other = state.dentries.find(target.directory, target.name);
  const oneInode = state.dentries.child(one);
  const otherInode = state.dentries.child(other);
  const refused =
    otherProject(state, otherInode, source.directory) ??
    enterDirectory(state, oneInode) ??
    enterDirectory(state, otherInode) ??
    state.begin();
  if (refused !== undefined) return refused;
  state.dentries.replace(one, otherInode);
  state.dentries.replace(other, oneInode);
  dirtyEntry(state, source.directory, one);
  dirtyEntry(state, target.directory, other);
  if (source.directory !== target.directory) {
    reparent(state, oneInode, source.directory, target.directory);
    reparent(state, otherInode, target.directory, source.directory);
    stampExchanged(state, oneInode, otherInode, source.directory, target.directory);
    stamp(state, target.directory, true);
  }
  stamp(state, source.directory, true);
  return undefined;
}

/**
 * Only what gets another ".." is changed, and the other is stamped for those who look for changes by ctime; where the links of the two parents
 * change, they are first (xfs_dir_exchange_children).
 */
function stampExchanged(state: XfsState, one: number, other: number, source: number, target: number): void {
  const [isOne, isOther] = [isDirectory(state, one), isDirectory(state, other)];
  if (!isOne && !isOther) return;
  if (isOne !== isOther) for (const parent of isOne ? [source, target] : [target, source]) stamp(state, parent, false);
  stamp(state, one, isOne);
  stamp(state, other, isOther);
}

/** Reads what holds "..", if there is one. */
function enterDirectory(state: XfsState, ino: number): Errno | undefined {
  return isDirectory(state, ino) ? enter(state, ino) : undefined;
}

function reparent(state: XfsState, ino: number, from: number, to: number): void {
  if (!isDirectory(state, ino)) return;
  state.setWord(ino, EXTRA, to);
  dirtyDots(state, ino);
  addLinks(state, from, -1);
  addLinks(state, to, 1);
}
