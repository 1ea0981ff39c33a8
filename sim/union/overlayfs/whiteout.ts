/**
 * Whiteouts on the upper layer (fs/overlayfs/dir.c, ovl_whiteout, ovl_cleanup_and_whiteout, ovl_clear_empty; union.md section 5).
 *
 * Interface: a whiteout is made in work/ and renamed into place, so that at no moment the name shows what lies below.
 */
import { EMLINK, type Errno, isErrno } from "../../core/errno.ts";
import type { Name } from "../../core/names.ts";
import { type Inode, RENAME_EXCHANGE, S_IFDIR } from "../../vfs/filesystem.ts";
import { ROOTS_WHITEOUT } from "../../vfs/whiteout.ts";
import { HOLDS_UPPER, IS_OPAQUE, type Node } from "../nodes.ts";
import { copyXattrs } from "./copy-up.ts";
import type { Overlay, UpperLayer } from "./state.ts";
import { YES } from "./xattrs.ts";

/** A whiteout in work/: a hard link to the mount's spare one, or the spare one itself where links are not to be had. */
function newWhiteout(overlay: Overlay, upper: UpperLayer): Name | Errno {
  if (overlay.spareWhiteout === undefined) {
    const name = overlay.temporaryName();
    const inode = upper.fs.create(upper.work, name, ROOTS_WHITEOUT);
    if (isErrno(inode)) {
      overlay.freeName(name);
      return inode;
    }
    overlay.counters.upperCreates += 1;
    overlay.spareWhiteout = name;
    overlay.spareWhiteoutInode = inode;
  }
  if (overlay.shareWhiteouts && overlay.spareWhiteoutInode !== undefined) {
    const name = overlay.temporaryName();
    const failed = upper.fs.link(overlay.spareWhiteoutInode, upper.work, name);
    if (failed === undefined) return name;
    overlay.freeName(name);
    if (failed !== EMLINK) overlay.shareWhiteouts = false;
  }
  const spare = overlay.spareWhiteout;
  overlay.spareWhiteout = undefined;
  overlay.spareWhiteoutInode = undefined;
  return spare;
}

/**
 * Puts a whiteout at a name of a directory, over what the upper layer has there.
 * @param overDirectory - whether that is a directory, which must be empty.
 */
export function placeWhiteout(overlay: Overlay, directory: Node, name: Name, overDirectory: boolean): Errno | undefined {
  const failed = renameWhiteout(overlay, overlay.nodes.upperOf(directory), name, overDirectory);
  if (failed !== undefined) return failed;
  countWhiteout(overlay, directory, name);
  return undefined;
}

/** Puts a whiteout over what a directory of the upper filesystem has at a name (ovl_cleanup_and_whiteout). */
export function renameWhiteout(overlay: Overlay, into: Inode, name: Name, overDirectory: boolean): Errno | undefined {
  const { writable: upper } = overlay;
  const made = newWhiteout(overlay, upper);
  if (isErrno(made)) return made;
  const failed = upper.fs.rename(upper.work, made, into, name, overDirectory ? RENAME_EXCHANGE : 0);
  // An exchange leaves the directory there.
  if (failed !== undefined || overDirectory) overlay.discard(made, failed === undefined);
  else overlay.freeName(made);
  return failed;
}

/** Counts a whiteout, and tells those who listen. */
export function countWhiteout(overlay: Overlay, directory: Node, name: Name): void {
  overlay.counters.whiteouts += 1;
  if (!overlay.events.listening) return;
  const parent = overlay.pathOf(directory);
  const path = `${parent === "/" ? "" : parent}/${overlay.names.text(name)}`;
  overlay.events.emit({ op: "whiteout", filesystem: overlay.label, path });
}

/** Sets the opaque mark of an upper directory. */
export function setOpaque(overlay: Overlay, inode: Inode): Errno | undefined {
  return overlay.writable.fs.setxattr(inode, overlay.xattrs.opaque, YES, 0);
}

/**
 * Puts an empty opaque directory in the place of one that holds nothing but whiteouts, which go.
 * Interface: the node's upper inode is another one afterwards.
 */
export function clearWhiteouts(overlay: Overlay, node: Node, whiteouts: readonly Name[]): Errno | undefined {
  const { writable: upper, nodes, attributes } = overlay;
  const before = nodes.upperOf(node);
  const passing = overlay.temporaryName();
  const failed = upper.fs.getattr(before, attributes, true);
  if (failed !== undefined) return failed;
  const { mode, uid, gid, atime, mtime } = attributes;
  const made = upper.fs.create(upper.work, passing, { mode: mode | S_IFDIR, uid, gid, rdev: 0, target: "" });
  if (isErrno(made)) {
    overlay.freeName(passing);
    return made;
  }
  const replaced =
    copyXattrs(overlay, upper, { fs: upper.fs, inode: before }, made) ??
    setOpaque(overlay, made) ??
    upper.fs.setattr(made, { mode: mode & 0o7777, uid, gid, atime, mtime }) ??
    upper.fs.rename(upper.work, passing, nodes.upperOf(nodes.parentOf(node)), nodes.nameOf(node), RENAME_EXCHANGE);
  const wasHeld = nodes.has(node, HOLDS_UPPER);
  if (replaced === undefined) {
    overlay.counters.upperCreates += 1;
    for (const name of whiteouts) upper.fs.unlink(before, name);
    nodes.setUpper(node, made);
    nodes.set(node, IS_OPAQUE);
    nodes.clear(node, HOLDS_UPPER);
  }
  overlay.discard(passing, true);
  if (replaced === undefined && wasHeld) upper.fs.drop(before);
  return replaced;
}
