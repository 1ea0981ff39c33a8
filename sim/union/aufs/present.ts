/**
 * What a branch has at a name right now, where branches may be changed beside the mount: what the VFS asks of a branch's own entry before it
 * changes one (fs/namei.c, may_create and may_delete), whatever the mount believes. Without the option udba what is known is what there is.
 */
import { EEXIST, EIO, ENOENT, type Errno, isErrno } from "../../core/errno.ts";
import type { Inode } from "../../vfs/filesystem.ts";
import type { Node } from "../nodes.ts";
import { IS_PSEUDO_LINKED } from "./flags.ts";
import type { Aufs, BranchName } from "./state.ts";

/** What the branch says. */
export function present(aufs: Aufs, { directory, name, branch }: BranchName): Inode | Errno {
  return aufs.upperAt(branch).fs.lookup(aufs.mustBeOn(directory, branch), name);
}

/** Whether somebody has made an entry where the mount knows of none. */
export function isTaken(aufs: Aufs, at: BranchName): boolean {
  return aufs.options.udba !== undefined && !isErrno(present(aufs, at));
}

/** @returns EEXIST for a new name that somebody has made already. */
export function refuseTaken(aufs: Aufs, at: BranchName): Errno | undefined {
  return isTaken(aufs, at) ? EEXIST : undefined;
}

/** @returns ENOENT for a name that the branch does not have any more, or that is another's. */
export function refuseGone(aufs: Aufs, node: Node, at: BranchName): Errno | undefined {
  if (aufs.options.udba === undefined) return undefined;
  const found = present(aufs, at);
  // Of a pseudo-linked node, the branch may have the inode that it was copied from.
  if (aufs.nodes.has(node, IS_PSEUDO_LINKED)) return isErrno(found) ? ENOENT : undefined;
  return found === (aufs.inodeOn(node, at.branch) ?? aufs.inodeOf(node)) ? undefined : ENOENT;
}

/**
 * Refuses a new name on another branch than the one where the search for it ended, if that branch has an entry there, beside a whiteout
 * (au_wr_dir_cpup, au_lkup_neg). @param top - where it ended: the topmost branch of the name, or of its directory where the name is absent. @returns EIO
 */
export function refuseHidden(aufs: Aufs, at: BranchName, top: number): Errno | undefined {
  return aufs.uppers.length > 1 && top !== at.branch && !isErrno(present(aufs, at)) ? EIO : undefined;
}
