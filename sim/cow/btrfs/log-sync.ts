/**
 * fsync(2) (fs/btrfs/file.c: btrfs_sync_file; tree-log.c: btrfs_log_inode_parent, btrfs_sync_log; Linux 6.18).
 *
 * What is synced is copied to a log tree, which is written with the superblock that tells of it; nothing else of the transaction is. Where the log could not say what
 * there is after a power cut, the transaction commits.
 */
import { EROFS, type Errno, isErrno } from "../../core/errno.ts";
import { S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { InodeState } from "./inode-state.ts";
import { inodeOf, parentOf } from "./inodes.ts";
import type { InodeExtref } from "./items.ts";
import { FIRST_FREE, handleOf, INODE_EXTREF, INODE_REF, key } from "./layout.ts";
import { committedTree, inodeIn, type LogContext, needsLog, newContext } from "./log-context.ts";
import { followEntries, logInode } from "./log-inode.ts";
import type { Depth } from "./log-items.ts";
import { writeSuperblock } from "./records.ts";
import type { BtrfsState } from "./state.ts";
import type { Subvolume } from "./subvolume.ts";

/** What a log came to: it has to be written, it has all of it already, or it cannot tell. */
type Logged = "logged" | "known" | "commit";

/** Writes a file's dirty pages, and what is needed to find them and its names after a power cut. */
export function fsync(state: BtrfsState, inode: InodeState): Errno | undefined {
  if (state.error !== undefined) return EROFS;
  const failed = inode.mapping?.flush();
  if (failed !== undefined) return failed;
  if (inode.isPlaceholder || inode.log.changedIn < state.generation || isInLog(state, inode)) return undefined;
  const logged = logWithParents(state, newContext(inode, false), inode, "all");
  if (logged === "known") return undefined;
  if (logged === "commit") return state.commit();
  const written = writeLog(state, inode.subvolume);
  return written === "commit" ? state.commit() : written;
}

/** Whether the device has all of an inode, in a log of the running transaction (btrfs_inode_in_log). */
function isInLog(state: BtrfsState, { log, subvolume }: InodeState): boolean {
  const { loggedIn, changedAtSync, loggedAtSync } = log;
  return loggedIn === state.generation && changedAtSync <= loggedAtSync && changedAtSync <= subvolume.lastLogSync;
}

/** Logs an inode and what has to be there for its names: new directories above it, and all of those that had a name which it has lost. */
export function logWithParents(state: BtrfsState, context: LogContext, inode: InodeState, depth: Depth): Logged {
  const { subvolume } = inode;
  const { item } = subvolume;
  if (state.environment.options?.notreelog === true || item.refs === 0 || item.generation === state.generation) return "commit";
  if (isInLog(state, inode)) return "known";
  if (state.logs.begin(subvolume) === undefined) return "commit";
  if (logAll(state, context, inode, depth)) return "logged";
  state.logs.setMustCommit();
  return "commit";
}

function logAll(state: BtrfsState, context: LogContext, inode: InodeState, depth: Depth): boolean {
  if (!logInode(state, context, inode, depth)) return false;
  const isCommitted = inode.generation < state.generation && inode.log.unlinkedIn < state.generation;
  if ((inode.mode & S_IFMT) === S_IFREG && isCommitted) return true;
  const { hasNewEntries } = context;
  if (inode.log.unlinkedIn >= state.generation && !logOldParents(state, context, inode)) return false;
  if (!logNewAncestors(state, context, inode)) return false;
  return !hasNewEntries || followEntries(state, context, inode);
}

/** The directories that an inode's names were in at the last commit (btrfs_log_all_parents). */
function logOldParents(state: BtrfsState, context: LogContext, inode: InodeState): boolean {
  const parents = new Set<number>();
  committedTree(state, inode.subvolume)?.visit(key(inode.ino, INODE_REF), key(inode.ino, INODE_EXTREF + 1), (at, value) => {
    if (at.kind === INODE_REF) parents.add(at.offset);
    else for (const { parent } of value as readonly InodeExtref[]) parents.add(parent);
    return false;
  });
  for (const ino of parents) {
    const parent = inodeIn(state, inode.subvolume, ino);
    if (parent === undefined) return false;
    if (!needsLog(state, parent)) continue;
    context.hasNewEntries = false;
    if (!logInode(state, context, parent, "all")) return false;
    if (context.hasNewEntries && !followEntries(state, context, parent)) return false;
  }
  return true;
}

/** The directories that an inode's names are in now, and those above them, as far as no commit has them (log_all_new_ancestors). */
function logNewAncestors(state: BtrfsState, context: LogContext, inode: InodeState): boolean {
  const parents = parentsNow(state, inode);
  if (parents === undefined) return false;
  for (const first of parents) {
    for (let at: InodeState | undefined = first; at !== undefined; at = above(state, at)) {
      if (at.generation >= state.generation && needsLog(state, at) && !logInode(state, context, at, "exists")) return false;
    }
  }
  return true;
}

/** The directory above another one in the same subvolume. */
function above(state: BtrfsState, directory: InodeState): InodeState | undefined {
  return directory.ino === FIRST_FREE ? undefined : inodeOf(state, parentOf(state, directory));
}

/** @returns undefined where there are more names than a log follows. */
function parentsNow(state: BtrfsState, inode: InodeState): InodeState[] | undefined {
  if (inode.isDirectory) {
    const parent = above(state, inode);
    return parent === undefined ? [] : [parent];
  }
  const { ino, subvolume } = inode;
  if (inode.nlink === 0) {
    const last = state.inodes.get(inode.log.lastParent);
    return last === undefined ? [] : [last];
  }
  const parents: InodeState[] = [];
  const cursor = new Cursor(subvolume.tree);
  const end = key(ino, INODE_EXTREF + 1);
  for (let more = cursor.seek(key(ino, INODE_REF)); more && cursor.compare(end) < 0; more = cursor.next()) {
    if (cursor.key.kind === INODE_EXTREF) return undefined;
    parents.push(inodeOf(state, handleOf(subvolume.id, cursor.key.offset)));
  }
  return parents;
}

/** Writes a subvolume's log, then the superblock that tells of it; of that the first copy alone, as of the last commit otherwise. */
function writeLog(state: BtrfsState, subvolume: Subvolume): Errno | "commit" | undefined {
  if (state.logs.mustCommit) return "commit";
  const logRoot = state.logs.writeTrees(subvolume);
  const { committed, device } = state;
  if (isErrno(logRoot) || state.logs.mustCommit || committed === undefined) return "commit";
  const failed = device.flush() ?? writeSuperblock(device, { ...committed, logRoot }, "first") ?? device.flush();
  if (failed !== undefined) {
    state.error = failed;
    return failed;
  }
  subvolume.lastLogSync = subvolume.logSyncs;
  subvolume.logSyncs += 1;
  return undefined;
}
