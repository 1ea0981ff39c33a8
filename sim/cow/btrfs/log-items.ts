/**
 * An inode's items in the log tree, but for a directory's entries (fs/btrfs/tree-log.c: btrfs_log_inode, copy_inode_items_to_log, btrfs_log_all_xattrs,
 * fill_inode_item; Linux 6.18).
 */
import { S_IFMT, S_IFREG } from "../../vfs/filesystem.ts";
import { Cursor } from "../cursor.ts";
import type { Tree } from "../tree.ts";
import type { InodeState } from "./inode-state.ts";
import type { FileExtent, InodeItem, InodeRef } from "./items.ts";
import { EXTENT_DATA, INODE_BYTES, INODE_EXTREF, INODE_ITEM, INODE_REF, key, XATTR_ITEM } from "./layout.ts";
import { findConflict } from "./log-conflicts.ts";
import type { LogContext } from "./log-context.ts";
import { logChangedExtents, logFoundExtent, logHoles, logPreallocated } from "./log-extents.ts";
import type { BtrfsState } from "./state.ts";

/** How much of an inode is logged (LOG_INODE_ALL, LOG_INODE_EXISTS). */
export type Depth = "all" | "exists";

const EVERY_KIND = 255;

/** What one call of logInode works on. */
export interface Work {
  readonly state: BtrfsState;
  readonly context: LogContext;
  readonly log: Tree;
  readonly inode: InodeState;
  /** What was asked for; a symbolic link is logged in full all the same. */
  readonly asked: Depth;
  readonly depth: Depth;
  /** Whether the log had something of the inode before. */
  readonly wasLogged: boolean;
  /** Of one that merely exists: the size that the log is to tell. */
  readonly loggedSize: number;
}

/** The size that the log tells of an inode: no more than it has now, as it may have been cut (logged_inode_size). */
export function sizeInLog(log: Tree, inode: InodeState): number {
  const item = log.get(key(inode.ino, INODE_ITEM)) as InodeItem | undefined;
  return item === undefined ? 0 : Math.min(item.size, inode.size);
}

/** Logs all items but a directory's entries. */
export function logItems(work: Work): boolean {
  const { state, inode, log, asked, depth, wasLogged } = work;
  const { needsFullSync, copyEverything } = inode.log;
  const isFull = depth === "all" && needsFullSync && !inode.isDirectory;
  const isQuick = !inode.isDirectory && depth === "all" && !isFull;
  if (isFull) inode.log.needsFullSync = false;
  if (isFull || inode.isDirectory || !needsFullSync) inode.log.copyEverything = false;
  // Of a link that is asked for by its names these may be others than the log has.
  const copies = !isQuick || copyEverything || asked === "exists";
  let hasItem = false;
  if (copies) {
    const last = isFull ? EVERY_KIND : XATTR_ITEM;
    if (wasLogged && state.logs.claim()) log.removeRange(key(inode.ino, 0), key(inode.ino, last + 1));
    const copied = copyItems(work, last);
    if (copied === undefined) return false;
    hasItem = copied;
    if (isFull && (inode.mode & S_IFMT) === S_IFREG) logPreallocated(state, log, inode);
    logXattrs(work);
    if (isFull) logHoles(state, log, inode);
  }
  if (!hasItem) {
    putItem(work, "all");
    if (!copies && !wasLogged) logXattrs(work);
  }
  if (isQuick) logChangedExtents(state, log, inode, wasLogged);
  else if (depth === "all") inode.log.takeExtents(state.generation);
  return true;
}

/** Puts the inode's item in, as of now. A generation of 0 says that the inode merely exists (fill_inode_item). */
function putItem({ state, log, inode, loggedSize }: Work, depth: Depth): void {
  const all = depth === "all";
  const item: InodeItem = { ...inode.item(), generation: all ? inode.generation : 0, size: all ? inode.size : loggedSize };
  state.logs.set(log, key(inode.ino, INODE_ITEM), INODE_BYTES, item);
}

/**
 * Copies the items up to a kind that lie in leaves which the running transaction has changed; extended attributes are copied elsewhere.
 * @returns whether the inode's own item was among them; undefined where it cannot be logged.
 */
function copyItems(work: Work, last: number): boolean | undefined {
  const { state, context, log, inode, depth } = work;
  const end = key(inode.ino, last + 1);
  const cursor = new Cursor(inode.subvolume.tree);
  let hasItem = false;
  for (let more = cursor.seek(key(inode.ino, INODE_ITEM)); more && cursor.compare(end) < 0; ) {
    if (cursor.nodeAt(0).generation !== state.generation) {
      more = cursor.nextLeaf();
      continue;
    }
    const { key: at, value, size } = cursor;
    if (at.kind === INODE_ITEM) {
      hasItem = true;
      putItem(work, depth);
    } else if (at.kind === EXTENT_DATA) {
      if (at.offset >= inode.size) break;
      logFoundExtent(state, log, inode, { at: at.offset, extent: value as FileExtent });
    } else if (at.kind !== XATTR_ITEM) {
      state.logs.set(log, at, size, value);
      const isName = at.kind === INODE_REF || at.kind === INODE_EXTREF;
      // Also of what is not new: a directory may have the name of one that has gone since the last commit.
      if (isName && !findConflict(state, context, inode, { at, refs: value as readonly InodeRef[] })) return undefined;
    }
    more = cursor.next();
  }
  return hasItem;
}

/** All extended attributes: what the log does not have is gone (btrfs_log_all_xattrs). */
function logXattrs({ state, log, inode }: Work): void {
  inode.subvolume.tree.visit(key(inode.ino, XATTR_ITEM), key(inode.ino, XATTR_ITEM + 1), (at, value, size) => {
    state.logs.set(log, at, size, value);
    return false;
  });
}
