/**
 * An inode goes to the log tree of its subvolume, and those that have to follow it (fs/btrfs/tree-log.c: btrfs_log_inode, log_conflicting_inodes,
 * log_new_delayed_dentries, log_new_dir_dentries; Linux 6.18).
 *
 * Interface: functions tell whether it is logged; where not, only a commit can keep what fsync promises. An inode that is logged in full is as it is now after a power
 * cut; one that merely exists has its names and attributes, and of its size and data what was logged before.
 */
import { S_IFDIR, S_IFLNK, S_IFMT } from "../../vfs/filesystem.ts";
import type { Tree } from "../tree.ts";
import type { InodeState } from "./inode-state.ts";
import type { DirEntry } from "./items.ts";
import { DIR_INDEX, key } from "./layout.ts";
import { inodeIn, isLogged, type LogContext, needsLog } from "./log-context.ts";
import { logDirectory, logRemoved, logUnlisted, type Unlisted } from "./log-directory.ts";
import { type Depth, logItems, sizeInLog, type Work } from "./log-items.ts";
import type { BtrfsState } from "./state.ts";

/** Logs an inode, and those whose names it has taken. */
export function logInode(state: BtrfsState, context: LogContext, inode: InodeState, asked: Depth): boolean {
  const log = state.logs.of(inode.subvolume);
  if (log === undefined) return false;
  // A symbolic link without its target would be none.
  const depth = (inode.mode & S_IFMT) === S_IFLNK ? "all" : asked;
  const isFullDirectory = inode.isDirectory && depth === "all";
  if (isFullDirectory && context.inUnlisted) state.delayedInodes.settle(inode, state.generation);
  // What went elsewhere from here would be lost: nobody knows where to.
  if (isFullDirectory && inode.log.unlinkedIn >= state.generation) return false;
  const wasLogged = isLogged(state, inode);
  const loggedSize = depth === "exists" && wasLogged && !inode.isDirectory ? sizeInLog(log, inode) : 0;
  const unlisted = isFullDirectory && !context.inUnlisted ? [...inode.listedLater] : [];
  const work: Work = { state, context, log, inode, asked, depth, wasLogged, loggedSize };
  if (!logItems(work)) return false;
  if (isFullDirectory) {
    logDirectory(state, context, log, inode);
    logUnlisted(state, log, inode, unlisted);
    logRemoved(state, log, inode, wasLogged);
  }
  inode.log.loggedIn = state.generation;
  if (depth === "all") {
    inode.log.loggedAtSync = inode.log.changedAtSync;
    inode.log.reflinkedIn = 0;
  }
  return logConflicts(state, context, inode) && followUnlisted(state, context, inode, unlisted) && !state.logs.mustCommit;
}

/** Logs inodes whose names others have now. */
function logConflicts(state: BtrfsState, context: LogContext, { subvolume }: InodeState): boolean {
  if (context.inConflicts) return true;
  context.inConflicts = true;
  let isDone = true;
  for (let next = context.conflicts.shift(); next !== undefined && isDone; next = context.conflicts.shift()) {
    const other = inodeIn(state, subvolume, next.ino);
    const parent = other === undefined ? inodeIn(state, subvolume, next.parent) : undefined;
    if (other === undefined) isDone = parent !== undefined && logInode(state, context, parent, "all");
    else if (needsLog(state, other)) isDone = logInode(state, context, other, "exists");
  }
  context.inConflicts = false;
  return isDone;
}

/** An entry's inode, if it is to be logged because the entry is. */
function followed(state: BtrfsState, directory: InodeState, entry: DirEntry): InodeState | "commit" | undefined {
  if (entry.isSubvolume) return undefined;
  const inode = inodeIn(state, directory.subvolume, entry.target);
  if (inode === undefined) return "commit";
  return needsLog(state, inode) ? inode : undefined;
}

/** Logs the inodes of entries that wait to be listed, and what is new in those of them that are directories (log_new_delayed_dentries). */
function followUnlisted(state: BtrfsState, context: LogContext, directory: InodeState, unlisted: Unlisted): boolean {
  if (unlisted.length === 0) return true;
  const { hasNewEntries } = context;
  context.inUnlisted = true;
  let isDone = true;
  for (const [, entry] of unlisted) {
    const inode = followed(state, directory, entry);
    if (inode === undefined) continue;
    context.hasNewEntries = false;
    isDone = inode !== "commit" && logInode(state, context, inode, entry.type === S_IFDIR ? "all" : "exists");
    if (isDone && context.hasNewEntries && inode !== "commit") isDone = followEntries(state, context, inode);
    if (!isDone) break;
  }
  context.hasNewEntries = hasNewEntries;
  context.inUnlisted = false;
  return isDone;
}

/** Logs the inodes of a directory's new entries, and so on in directories among them (log_new_dir_dentries). */
export function followEntries(state: BtrfsState, context: LogContext, start: InodeState): boolean {
  const log = state.logs.of(start.subvolume);
  if (context.forName || log === undefined) return true;
  const directories = [start];
  for (const directory of directories) {
    for (const [index, entry] of entriesIn(log, directory)) {
      directory.log.firstIndex = index + 1;
      const inode = entry.transid < state.generation ? undefined : followed(state, directory, entry);
      if (inode === undefined) continue;
      if (inode === "commit") return false;
      context.hasNewEntries = false;
      if (!logInode(state, context, inode, entry.type === S_IFDIR ? "all" : "exists")) return false;
      if (context.hasNewEntries) directories.push(inode);
    }
  }
  return true;
}

/** The entries that the log has of a directory, from the first that was not followed yet. */
function entriesIn(log: Tree, { ino, log: { firstIndex } }: InodeState): (readonly [number, DirEntry])[] {
  const entries: (readonly [number, DirEntry])[] = [];
  log.visit(key(ino, DIR_INDEX, firstIndex), key(ino, DIR_INDEX + 1), ({ offset }, value) => {
    entries.push([offset, value as DirEntry]);
    return false;
  });
  return entries;
}
