/**
 * Permissions of what lies below (fs/aufs/i_op.c, aufs_permission; dir.c, au_wr_dir_need_wh; spec/union.md section 12 and part D, P).
 */
import type { Errno } from "../../core/errno.ts";
import type { Credentials } from "../../vfs/credentials.ts";
import { inodePermission, MAY_EXEC, MAY_WRITE } from "../../vfs/permission.ts";
import { IS_DIRECTORY, type Node } from "../nodes.ts";
import type { Aufs } from "./state.ts";

/**
 * Whether the caller may look for a name of the writable branch in what lies below: of the next lower directory, permissions count.
 */
export function mayLookBelow(aufs: Aufs, directory: Node): Errno | undefined {
  const lower = aufs.nodes.lowerOf(directory);
  if (lower === 0) return undefined;
  return inodePermission(aufs.caller, aufs.view.fsOf(lower), aufs.view.inodeOf(lower), MAY_EXEC);
}

/** Without dirperm1, every branch's directory must allow what is not writing. */
export function refuseBelow(aufs: Aufs, who: Credentials, node: Node, mask: number): Errno | undefined {
  const { nodes } = aufs;
  if (aufs.options.dirperm1 || (mask & MAY_WRITE) !== 0 || !nodes.has(node, IS_DIRECTORY)) return undefined;
  const lower = nodes.lowerOf(node);
  if (lower === 0) return undefined;
  for (const { fs, inode } of aufs.view.stackOf(lower)) {
    const refused = inodePermission(who, fs, inode, mask);
    if (refused !== undefined) return refused;
  }
  return undefined;
}
