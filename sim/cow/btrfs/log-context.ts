/** What one call of fsync, or one new name, brings to the log (fs/btrfs/tree-log.h: struct btrfs_log_ctx), and which inodes it meets (Linux 6.18). */
import { Tree } from "../tree.ts";
import type { InodeState } from "./inode-state.ts";
import { inodeOf } from "./inodes.ts";
import { handleOf, INODE_ITEM, key } from "./layout.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";

/** An inode whose name at the last commit is another's now. */
interface Conflict {
  readonly ino: number;
  /** The directory that the name is in. */
  readonly parent: number;
}

export interface LogContext {
  /** What is synced, or has got a name. */
  readonly inode: InodeState;
  /** For a new name: what else is new in directories is left alone. */
  readonly forName: boolean;
  /** Whether entries have come to the log whose inodes may have to follow. */
  hasNewEntries: boolean;
  readonly conflicts: Conflict[];
  conflictsFound: number;
  /** Whether conflicts are being logged: those found meanwhile wait for their turn. */
  inConflicts: boolean;
  /** Whether entries that no list has yet are being followed. */
  inUnlisted: boolean;
}

export function newContext(inode: InodeState, forName: boolean): LogContext {
  const found = { hasNewEntries: false, conflicts: [], conflictsFound: 0 };
  return { inode, forName, ...found, inConflicts: false, inUnlisted: false };
}

/** Whether an inode was logged in the running transaction. */
export function isLogged(state: BtrfsState, { log }: InodeState): boolean {
  return log.loggedIn === state.generation;
}

/** Whether an inode that another one leads to is to be logged: new names and lost ones come to the log as they happen (need_log_inode). */
export function needsLog(state: BtrfsState, inode: InodeState): boolean {
  if (inode.isDirectory && inode.log.changedIn < state.generation) return false;
  return !isLogged(state, inode) || inode.log.copyEverything;
}

/** An inode by its number; undefined where it has gone. */
export function inodeIn(state: BtrfsState, subvolume: Subvolume, ino: number): InodeState | undefined {
  return subvolume.tree.has(key(ino, INODE_ITEM)) ? inodeOf(state, handleOf(subvolume.id, ino)) : undefined;
}

/** A subvolume's tree as of the last commit; undefined where it was not there. */
export function committedTree(state: BtrfsState, { id }: Subvolume): Tree | undefined {
  const root = state.committedRoots.get(id);
  return root === undefined ? undefined : new Tree(state, id, root);
}
