/** Renaming (fs/ext4/namei.c: ext4_rename2, ext4_rename, ext4_cross_rename). */
import { ENOENT, ENOTEMPTY, type Errno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type NewInode, RENAME_EXCHANGE, RENAME_WHITEOUT, S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import { ROOTS_WHITEOUT } from "../../vfs/whiteout.ts";
import {
  addEntry,
  dirtyDots,
  dirtyEntry,
  findEntry,
  isEmpty,
  lookupEntry,
  readDirectory,
  removeEntry,
  roomForEntry,
} from "./directories.ts";
import type { EntryRow } from "./entry-rows.ts";
import { allocatePromised } from "./file.ts";
import { EXTRA, MODE } from "./inode-words.ts";
import { addLinks, dropDirectory, dropLink, makeWhiteout } from "./namei.ts";
import { stamp } from "./stamp.ts";
import type { Ext4State } from "./state.ts";

/** A name in a directory. */
export interface Place {
  readonly directory: number;
  readonly name: Name;
}

function isDirectory(state: Ext4State, ino: number): boolean {
  return (state.word(ino, MODE) & S_IFMT) === S_IFDIR;
}

export function rename(
  state: Ext4State,
  source: Place,
  target: Place,
  flags: number,
  left: NewInode = ROOTS_WHITEOUT,
): Errno | undefined {
  const row = findEntry(state, source.directory, source.name);
  if (row === 0) return ENOENT;
  const ino = state.dentries.child(row);
  const replaced = lookupEntry(state, target.directory, target.name);
  if (typeof replaced !== "number") return replaced;
  const moves = source.directory !== target.directory;
  const unread = moves
    ? (readDots(state, ino) ?? ((flags & RENAME_EXCHANGE) === 0 ? undefined : readDots(state, replaced)))
    : undefined;
  if (unread !== undefined) return unread;
  if ((flags & RENAME_EXCHANGE) !== 0) return exchange(state, source, target);
  const directory = isDirectory(state, ino);
  if (replaced !== 0 && isDirectory(state, replaced) && !isEmpty(state, replaced)) return ENOTEMPTY;
  if (replaced !== 0 && !directory) allocatePromised(state, ino);
  const refused = (replaced === 0 ? roomForEntry(state, target.directory, target.name, 0) : undefined) ?? state.begin();
  if (refused !== undefined) return refused;
  const leaves = (flags & RENAME_WHITEOUT) !== 0;
  const whiteout = leaves ? makeWhiteout(state, source.directory, left) : 0;
  if (typeof whiteout !== "number") return whiteout;
  move(state, { row, ino, replaced, source, target });
  if (directory && moves) {
    state.setWord(ino, EXTRA, target.directory);
    dirtyDots(state, ino);
    addLinks(state, source.directory, -1);
    if (replaced === 0) addLinks(state, target.directory, 1);
  } else if (directory && replaced !== 0) addLinks(state, source.directory, -1);
  // In the kernel's order, which fine times show: each name that is set stamps its directory, the one that goes stamps it last (ext4_rename).
  if (leaves) stamp(state, source.directory, true);
  stamp(state, target.directory, true);
  stamp(state, ino, false);
  if (replaced !== 0) dropReplaced(state, replaced);
  stamp(state, source.directory, true);
  if (leaves) addEntry(state, source.directory, source.name, whiteout);
  return undefined;
}

/** Reads what holds "..", if there is one. */
function readDots(state: Ext4State, ino: number): Errno | undefined {
  return isDirectory(state, ino) ? readDirectory(state, ino) : undefined;
}

function dropReplaced(state: Ext4State, replaced: number): void {
  if (isDirectory(state, replaced)) dropDirectory(state, replaced);
  else dropLink(state, replaced);
}

function move(
  state: Ext4State,
  change: {
    readonly row: EntryRow;
    readonly ino: number;
    readonly replaced: number;
    readonly source: Place;
    readonly target: Place;
  },
): void {
  const { row, ino, replaced, source, target } = change;
  if (replaced !== 0) {
    const over = state.dentries.find(target.directory, target.name);
    state.dentries.replace(over, ino);
    dirtyEntry(state, target.directory, over);
    removeEntry(state, source.directory, row);
    return;
  }
  // The kernel adds the new name before it takes the old one away: the two may not share a slot.
  addEntry(state, target.directory, target.name, ino);
  removeEntry(state, source.directory, row);
}

function exchange(state: Ext4State, source: Place, target: Place): Errno | undefined {
  const refused = state.begin();
  if (refused !== undefined) return refused;
  const one = state.dentries.find(source.directory, source.name);
  const other = state.dentries.find(target.directory, target.name);
  const oneInode = state.dentries.child(one);
  const otherInode = state.dentries.child(other);
  state.dentries.replace(one, otherInode);
  state.dentries.replace(other, oneInode);
  dirtyEntry(state, source.directory, one);
  dirtyEntry(state, target.directory, other);
  if (source.directory !== target.directory) {
    reparent(state, oneInode, source.directory, target.directory);
    reparent(state, otherInode, target.directory, source.directory);
  }
  stamp(state, target.directory, true);
  stamp(state, source.directory, true);
  stamp(state, oneInode, false);
  stamp(state, otherInode, false);
  return undefined;
}

function reparent(state: Ext4State, ino: number, from: number, to: number): void {
  if (!isDirectory(state, ino)) return;
  state.setWord(ino, EXTRA, to);
  dirtyDots(state, ino);
  addLinks(state, from, -1);
  addLinks(state, to, 1);
}
