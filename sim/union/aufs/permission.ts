/**
 * Permissions of what lies below (fs/aufs/i_op.c, aufs_permission; dir.c, au_wr_dir_need_wh; spec/union.md section 12 and part D, P).
 */
import { EROFS, type Errno } from "../../core/errno.ts";
import { CAP_DAC_READ_SEARCH, type Credentials, capable } from "../../vfs/credentials.ts";
import { S_IFDIR, S_IFLNK, S_IFREG } from "../../vfs/filesystem.ts";
import { inodePermission, MAY_EXEC, MAY_WRITE } from "../../vfs/permission.ts";
import { IS_DIRECTORY, type Node } from "../nodes.ts";
import { nearestWritable } from "./policy.ts";
import type { Aufs } from "./state.ts";

/** Types that are written on a branch; what a device, a pipe or a socket takes, no branch sees. */
const ON_BRANCH = new Set([S_IFREG, S_IFDIR, S_IFLNK]);

/**
 * Whether the caller may look for a name of a writable branch in what lies below: of the next directory below, permissions count.
 */
export function mayLookBelow(aufs: Aufs, directory: Node, branch: number): Errno | undefined {
  for (let below = branch + 1; below < aufs.uppers.length; below++) {
    const inode = aufs.inodeOn(directory, below);
    if (inode !== undefined) return inodePermission(aufs.caller, aufs.upperAt(below).fs, inode, MAY_EXEC);
  }
  const lower = aufs.nodes.lowerOf(directory);
  if (lower === 0) return undefined;
  return inodePermission(aufs.caller, aufs.view.fsOf(lower), aufs.view.inodeOf(lower), MAY_EXEC);
}

/**
 * Whether the caller may change the entries of a directory on a branch: the VFS asks the branch's own, too (may_create, may_delete). Of the topmost one
 * it has asked already.
 */
export function mayChange(aufs: Aufs, directory: Node, branch: number): Errno | undefined {
  if (branch === aufs.branchOf(directory)) return undefined;
  return inodePermission(aufs.caller, aufs.upperAt(branch).fs, aufs.mustBeOn(directory, branch), MAY_WRITE | MAY_EXEC);
}

/**
 * What aufs asks besides the mode of the topmost branch: to write, a writable branch at or above; without dirperm1, of a directory that is not
 * written, every branch's permission.
 */
export function refuseBelow(aufs: Aufs, who: Credentials, node: Node, mask: number): Errno | undefined {
  const { nodes } = aufs;
  if ((mask & MAY_WRITE) !== 0) {
    if (aufs.isWritable(0) || !ON_BRANCH.has(nodes.typeOf(node))) return undefined;
    return nearestWritable(aufs, aufs.branchOf(node)) === EROFS ? EROFS : undefined;
  }
  if (aufs.options.dirperm1 || !nodes.has(node, IS_DIRECTORY) || capable(who, CAP_DAC_READ_SEARCH)) return undefined;
  const top = aufs.branchOf(node);
  for (let branch = top + 1; branch < aufs.uppers.length; branch++) {
    const inode = aufs.inodeOn(node, branch);
    const refused = inode === undefined ? undefined : inodePermission(who, aufs.upperAt(branch).fs, inode, mask);
    if (refused !== undefined) return refused;
  }
  const lower = nodes.lowerOf(node);
  if (lower === 0) return undefined;
  for (const { fs, inode } of aufs.view.stackOf(lower)) {
    const refused = inodePermission(who, fs, inode, mask);
    if (refused !== undefined) return refused;
  }
  return undefined;
}
