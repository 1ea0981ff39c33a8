/**
 * Flags of chattr(1) (fs/overlayfs/inode.c, ovl_fileattr_get and ovl_fileattr_set; Linux 6.18, recorded).
 */
import { ENOTTY, type Errno } from "../../core/errno.ts";
import type { Node } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import { PROTECTING, protect, protectionOf } from "./protection.ts";
import type { Overlay } from "./state.ts";

/** @returns undefined where the filesystem that shows the node has none. */
export function fileFlags(overlay: Overlay, node: Node): number | Errno | undefined {
  const fs = overlay.fsOf(node);
  const inode = overlay.inodeOf(node);
  const flags = fs.fileFlags?.(inode);
  if (typeof flags !== "number" || !overlay.nodes.hasUpper(node)) return flags;
  return flags | protectionOf(overlay, fs, inode);
}

export function setFileFlags(overlay: Overlay, node: Node, flags: number): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  const failed = copyUp(overlay, node);
  if (failed !== undefined) return failed;
  if (upper.fs.setFileFlags === undefined) return ENOTTY;
  const inode = nodes.upperOf(node);
  if (!overlay.profile.flagsInXattr) return upper.fs.setFileFlags(inode, flags);
  return protect(overlay, upper, inode, flags & PROTECTING) ?? upper.fs.setFileFlags(inode, flags & ~PROTECTING);
}
