/**
 * Access control lists (fs/overlayfs/inode.c: ovl_set_acl, ovl_set_or_remove_acl; Linux 6.18, recorded): those of the inode that shows the
 * node, set on the upper layer.
 */
import { ENODATA, ENOTSUP, type Errno } from "../../core/errno.ts";
import { S_ISGID } from "../../vfs/filesystem.ts";
import type { AclChange } from "../../vfs/posix-acl.ts";
import type { Node } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import type { Overlay } from "./state.ts";

/** @returns ENOTSUP where the upper filesystem keeps no lists, ENODATA for the removal of one that a lower object does not have. */
export function setAcl(overlay: Overlay, node: Node, { kind, acl, mode }: AclChange): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  if (upper.fs.setAcl === undefined) return ENOTSUP;
  const before = overlay.fsOf(node).mode(overlay.inodeOf(node)) & 0o7777;
  // The upper filesystem will be asked by the mounter, who may have every set-group-id bit: it goes first.
  if (mode !== undefined && (before & ~mode & S_ISGID) !== 0) {
    const failed = copyUp(overlay, node) ?? upper.fs.setattr(nodes.upperOf(node), { mode: before & ~S_ISGID });
    if (failed !== undefined) return failed;
  }
  if (!nodes.hasUpper(node)) {
    if (acl === undefined && overlay.fsOf(node).acl?.(overlay.inodeOf(node), kind) === undefined) return ENODATA;
    const failed = copyUp(overlay, node);
    if (failed !== undefined) return failed;
  }
  return upper.fs.setAcl(nodes.upperOf(node), kind, acl, mode);
}
