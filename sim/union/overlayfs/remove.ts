/**
 * Names that go: unlink and rmdir (fs/overlayfs/dir.c, ovl_do_remove; union.md section 5).
 *
 * Interface: a name that some lower layer shows is replaced by a whiteout; any other is simply taken away. Its entry goes with it, as the kernel
 * unhashes the dentry (ovl_remove_upper: d_drop): the next lookup asks the layers.
 */
import { EIO, ENOENT, ENOTEMPTY, type Errno, ESTALE, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { IS_DIRECTORY, type Node } from "../nodes.ts";
import { copyUp } from "./copy-up.ts";
import { noteLinks } from "./hard-links.ts";
import { afterUnlink, needsCopyToGo } from "./index-cleanup.ts";
import { lookup } from "./lookup.ts";
import { listMerged } from "./readdir.ts";
import type { Overlay } from "./state.ts";
import { clearWhiteouts, placeWhiteout } from "./whiteout.ts";

export function unlink(overlay: Overlay, directory: Node, name: Name): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  const node = lookup(overlay, directory, name);
  if (isErrno(node)) return node;
  // The count of an indexed file's links is kept with its copy, which therefore must be there.
  const failed =
    (needsCopyToGo(overlay, node) ? copyUp(overlay, node) : undefined) ?? copyUp(overlay, directory) ?? noteLinks(overlay, node);
  if (failed !== undefined) return failed;
  if (overlay.replaced.has(node)) return ESTALE;
  overlay.nodes.beforeLoss(node);
  const covered = overlay.lowerHas(directory, name);
  const removed = covered ? placeWhiteout(overlay, directory, name, false) : upper.fs.unlink(nodes.upperOf(directory), name);
  if (removed !== undefined) return removed;
  nodes.forget(directory, name);
  overlay.openedAs.forget({ node, directory, name });
  afterUnlink(overlay, node);
  overlay.nodes.afterLoss(node);
  return undefined;
}

/** @returns ENOTEMPTY while the merged directory shows an entry. */
export function rmdir(overlay: Overlay, directory: Node, name: Name): Errno | undefined {
  const { writable: upper, nodes } = overlay;
  const node = lookup(overlay, directory, name);
  if (isErrno(node)) return node;
  const covered = overlay.lowerHas(directory, name);
  const whiteouts = isPureUpper(overlay, node) && !covered ? [] : whiteoutsOfEmpty(overlay, node);
  if (isErrno(whiteouts)) return whiteouts;
  const failed =
    copyUp(overlay, directory) ??
    (needsCopyToGo(overlay, node) ? copyUp(overlay, node) : undefined) ??
    (overlay.replaced.has(node) ? ENOENT : undefined);
  if (failed !== undefined) return failed;
  overlay.nodes.beforeLoss(node);
  if (whiteouts.length > 0) {
    const cleared = clearWhiteouts(overlay, node, whiteouts);
    if (cleared !== undefined) return cleared;
    overlay.nodes.beforeLoss(node);
  }
  const removed = covered
    ? placeWhiteout(overlay, directory, name, nodes.hasUpper(node))
    : upper.fs.rmdir(nodes.upperOf(directory), name);
  if (removed !== undefined) return removed;
  nodes.forget(directory, name);
  afterUnlink(overlay, node);
  overlay.nodes.afterLoss(node);
  return undefined;
}

/**
 * A directory that is on the upper layer alone, and is no copy: what it may hold is left to the upper filesystem. A copy that has lost what it was merged
 * with may still have whiteouts (ovl_pure_upper, ovl_inode_init: OVL_WHITEOUTS).
 */
function isPureUpper(overlay: Overlay, node: Node): boolean {
  const { nodes } = overlay;
  if (!nodes.hasUpper(node) || nodes.lowerOf(node) !== 0) return false;
  return isErrno(overlay.writable.fs.getxattr(nodes.upperOf(node), overlay.xattrs.origin));
}

/**
 * The whiteouts that the upper layer has in a directory which shows nothing (ovl_check_empty_dir).
 * @returns ENOTEMPTY when it shows something.
 */
export function whiteoutsOfEmpty(overlay: Overlay, node: Node): Name[] | Errno {
  const { nodes } = overlay;
  if (!nodes.has(node, IS_DIRECTORY)) return EIO;
  const whiteouts: Name[] = [];
  let shown = 0;
  const failed = listMerged(overlay, node, (entry, fromUpper) => {
    // A doubtful one counts, whiteout or not: nothing is looked up here.
    if (!entry.hidden) shown += 1;
    else if (fromUpper) whiteouts.push(entry.name);
  });
  if (failed !== undefined) return failed;
  return shown > 0 ? ENOTEMPTY : whiteouts;
}
