/** Names that were another inode's at the last commit (fs/btrfs/tree-log.c: btrfs_check_ref_name_override, add_conflicting_inode; Linux 6.18). */
import { S_IFDIR, S_IFMT } from "../../vfs/filesystem.ts";
import type { Key } from "../key.ts";
import type { Tree } from "../tree.ts";
import type { InodeState } from "./inode-state.ts";
import type { DirEntry, InodeExtref, InodeItem, InodeRef } from "./items.ts";
import { DIR_ITEM, INODE_ITEM, INODE_REF, key } from "./layout.ts";
import { committedTree, inodeIn, type LogContext, needsLog } from "./log-context.ts";
import { nameHash } from "./name-hash.ts";
import type { BtrfsState } from "./state.ts";

/** More inodes whose names others have now are not followed. */
const CONFLICTS_MAX = 10;

/**
 * Looks whether one of the inode's names was another's at the last commit, which is to be logged too then.
 * @returns whether the log can tell.
 */
export function findConflict(
  state: BtrfsState,
  context: LogContext,
  inode: InodeState,
  { at, refs }: { readonly at: Key; readonly refs: readonly InodeRef[] },
): boolean {
  const { subvolume } = inode;
  const then = committedTree(state, subvolume);
  if (then === undefined) return true;
  for (const ref of refs) {
    const parent = at.kind === INODE_REF ? at.offset : (ref as InodeExtref).parent;
    const entries = then.get(key(parent, DIR_ITEM, nameHash(ref.name))) as readonly DirEntry[] | undefined;
    const entry = entries?.find(({ name }) => name === ref.name);
    if (entry === undefined) continue;
    if (entry.isSubvolume) return false;
    const isOther = entry.target !== inode.ino && entry.target !== context.inode.ino;
    return isOther ? addConflict(state, context, { inode, then }, { ino: entry.target, parent }) : true;
  }
  return true;
}

function addConflict(
  state: BtrfsState,
  context: LogContext,
  { inode, then }: { readonly inode: InodeState; readonly then: Tree },
  conflict: LogContext["conflicts"][number],
): boolean {
  if (context.conflictsFound >= CONFLICTS_MAX) return false;
  const other = inodeIn(state, inode.subvolume, conflict.ino);
  // Of what has gone only a directory matters: subvolumes may have been in it, and its parent knows.
  const matters = other === undefined ? wasDirectory(then, conflict.ino) : needsLog(state, other);
  if (!matters) return true;
  context.conflicts.push(conflict);
  context.conflictsFound += 1;
  return true;
}

function wasDirectory(then: Tree, ino: number): boolean {
  const item = then.get(key(ino, INODE_ITEM)) as InodeItem | undefined;
  return item !== undefined && (item.mode & S_IFMT) === S_IFDIR;
}
