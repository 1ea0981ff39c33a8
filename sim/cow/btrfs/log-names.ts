/**
 * What the log must learn when a name comes or goes (fs/btrfs/tree-log.c: btrfs_record_unlink_dir, btrfs_del_dir_entries_in_log, btrfs_del_inode_ref_in_log,
 * btrfs_log_new_name; Linux 6.18).
 *
 * Interface: without a log of the running transaction that has the inode or its directory, only a note is made for the next fsync.
 */
import { removeRefIn } from "./directories.ts";
import type { InodeState } from "./inode-state.ts";
import type { DirEntry } from "./items.ts";
import { DIR_INDEX, key } from "./layout.ts";
import { isLogged, newContext } from "./log-context.ts";
import { logRange } from "./log-directory.ts";
import { logWithParents } from "./log-sync.ts";
import type { BtrfsState } from "./state.ts";

/** Where a name was: its directory, and its index in there. */
export interface OldName {
  readonly directory: InodeState;
  readonly name: string;
  readonly index: number;
}

/** An inode is about to lose a name: an fsync of it looks at the directories that it was in. */
export function noteUnlink(state: BtrfsState, { log }: InodeState): void {
  log.unlinkedIn = state.generation;
}

/** An inode is about to move to another directory: an fsync of the one that it leaves must not lose it, so that it commits, unless the log follows the move. */
export function noteMove(state: BtrfsState, from: InodeState, inode: InodeState): void {
  noteUnlink(state, inode);
  if (!isLogged(state, from) && !isLogged(state, inode)) from.log.unlinkedIn = state.generation;
}

/** A name has gone: the log forgets it. */
export function unlinkInLog(state: BtrfsState, inode: InodeState, { directory, name, index }: OldName): void {
  const log = state.logs.of(directory.subvolume);
  inode.log.lastParent = directory.handle;
  if (log === undefined) return;
  if (isLogged(state, inode) && state.logs.claim()) removeRefIn(log, inode.ino, directory.ino, name);
  if (isLogged(state, directory)) forgetEntry(state, { directory, name, index });
}

/** @returns whether the log had the entry. */
function forgetEntry(state: BtrfsState, { directory, name, index }: OldName): boolean {
  const log = state.logs.of(directory.subvolume);
  const at = key(directory.ino, DIR_INDEX, index);
  const entry = log?.get(at) as DirEntry | undefined;
  return entry?.name === name && state.logs.claim() && log?.remove(at) === true;
}

/** An inode has another name now. @param old - the one that it has lost, when it was renamed. */
export function logNewName(state: BtrfsState, inode: InodeState, old?: OldName): void {
  if (!inode.isDirectory) noteUnlink(state, inode);
  const hasLeftLogged = old !== undefined && isLogged(state, old.directory);
  if (!isLogged(state, inode) && !hasLeftLogged) return;
  const log = state.logs.of(inode.subvolume);
  if (hasLeftLogged && log !== undefined && !forgetEntry(state, old))
    logRange(state, log, old.directory.ino, old.index, old.index);
  logWithParents(state, newContext(inode, true), inode, "exists");
}
