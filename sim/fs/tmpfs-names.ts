/**
 * Names of a tmpfs: made, taken away and moved (mm/shmem.c, shmem_mknod, shmem_unlink, shmem_rename2; fs/libfs.c, simple_rename_exchange).
 */
import { ENOENT, ENOSPC, ENOTEMPTY, type Errno, isErrno } from "../core/errno.ts";
import type { Name } from "../core/names.ts";
import { type Inode, type NewInode, RENAME_EXCHANGE, RENAME_WHITEOUT, S_IFDIR, S_IFMT } from "../vfs/filesystem.ts";
import { ROOTS_WHITEOUT } from "../vfs/whiteout.ts";
import type { TmpfsState } from "./tmpfs-state.ts";

export function create(state: TmpfsState, directory: Inode, name: Name, init: NewInode): Inode | Errno {
  const { nlink } = state.inodes;
  if (nlink[directory] === 0) return ENOENT;
  const made = state.make(init, directory);
  if (isErrno(made)) return made;
  state.entries.insert(directory, name, made);
  if ((init.mode & S_IFMT) === S_IFDIR) {
    state.inodes.nlink[made] = 2;
    countBelow(state, directory, 1);
  } else state.inodes.nlink[made] = 1;
  state.changed(directory);
  return made;
}

export function link(state: TmpfsState, source: Inode, directory: Inode, name: Name): Errno | undefined {
  const { inodes } = state;
  if (inodes.nlink[directory] === 0) return ENOENT;
  // A file without names has paid for one when it was made.
  if (inodes.nlink[source] !== 0 && !state.space.takeInode()) return ENOSPC;
  state.entries.insert(directory, name, source);
  inodes.nlink[source] = (inodes.nlink[source] as number) + 1;
  state.changedWith(directory, source);
  return undefined;
}

export function unlink(state: TmpfsState, directory: Inode, name: Name): Errno | undefined {
  const row = state.entries.find(directory, name);
  const victim = state.entries.child(row);
  state.entries.remove(row);
  loseName(state, directory, victim);
  return undefined;
}

export function rmdir(state: TmpfsState, directory: Inode, name: Name): Errno | undefined {
  const row = state.entries.find(directory, name);
  const victim = state.entries.child(row);
  if (state.entries.count(victim) > 0) return ENOTEMPTY;
  state.entries.remove(row);
  loseName(state, directory, victim);
  countBelow(state, directory, -1);
  return undefined;
}

/** Takes a name in a directory from an inode; an empty directory loses its own "." with it. @returns whether the inode is still there. */
function loseName(state: TmpfsState, directory: number, victim: number): boolean {
  const { inodes } = state;
  const left = state.isDirectory(victim) ? 0 : (inodes.nlink[victim] as number) - 1;
  inodes.nlink[victim] = left;
  state.changedWith(directory, victim);
  if (left > 0) state.space.giveInode();
  else if (inodes.holders[victim] === 0) {
    state.free(victim);
    return false;
  }
  return true;
}

/** What is renamed, and where to. */
export interface Renamed {
  readonly directory: Inode;
  readonly name: Name;
  readonly toDirectory: Inode;
  readonly toName: Name;
}

/** @param left - what RENAME_WHITEOUT leaves */
export function rename(
  state: TmpfsState,
  { directory, name, toDirectory, toName }: Renamed,
  flags: number,
  left: NewInode = ROOTS_WHITEOUT,
): Errno | undefined {
  const { entries, inodes } = state;
  const row = entries.find(directory, name);
  const moved = entries.child(row);
  const targetRow = entries.find(toDirectory, toName);
  if ((flags & RENAME_EXCHANGE) !== 0) return exchange(state, row, targetRow);
  const target = targetRow === 0 ? 0 : entries.child(targetRow);
  if (target !== 0 && entries.count(target) > 0) return ENOTEMPTY;
  const whiteout = (flags & RENAME_WHITEOUT) !== 0 ? state.make(left, directory) : undefined;
  if (isErrno(whiteout)) return whiteout;
  if (whiteout !== undefined) state.changed(directory);
  const stamped = [moved];
  if (target !== 0) {
    if (state.isDirectory(target)) countBelow(state, toDirectory, -1);
    entries.remove(targetRow);
    if (loseName(state, toDirectory, target)) stamped.push(target);
  }
  entries.move(row, toDirectory, toName);
  if (whiteout !== undefined) {
    entries.insert(directory, name, whiteout);
    inodes.nlink[whiteout] = 1;
  }
  reparent(state, moved, directory, toDirectory);
  stampRenamed(state, directory, toDirectory, stamped);
  return undefined;
}

function exchange(state: TmpfsState, row: number, otherRow: number): undefined {
  const { entries } = state;
  const one = entries.child(row);
  const other = entries.child(otherRow);
  const directory = entries.directory(row);
  const otherDirectory = entries.directory(otherRow);
  entries.replace(row, other);
  entries.replace(otherRow, one);
  reparent(state, one, directory, otherDirectory);
  reparent(state, other, otherDirectory, directory);
  stampRenamed(state, directory, otherDirectory, [one, other]);
  return undefined;
}

/** simple_rename_timestamp. */
function stampRenamed(state: TmpfsState, directory: number, toDirectory: number, moved: readonly number[]): void {
  state.changed(directory);
  if (toDirectory !== directory) state.changed(toDirectory);
  for (const inode of moved) state.stamp(inode);
}

/** A directory that moves takes its ".." along. */
function reparent(state: TmpfsState, moved: number, from: number, to: number): void {
  if (from === to || !state.isDirectory(moved)) return;
  countBelow(state, from, -1);
  countBelow(state, to, 1);
  state.inodes.extra[moved] = to;
}

function countBelow(state: TmpfsState, parent: number, by: number): void {
  state.inodes.nlink[parent] = (state.inodes.nlink[parent] as number) + by;
}
